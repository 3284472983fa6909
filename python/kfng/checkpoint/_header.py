"""The header of a checkpoint: strict JSON, and the layout of the arrays, neither believed before it is checked."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BadHeaderError

Array = NDArray[Any]

MAX_HEADER = 1 << 20
MAX_ITEMS = 100_000  # commas, colons and brackets in a header: bounds the time and memory of parsing it
MAX_ARRAYS = 4096
MAX_DEPTH = 64
MAX_NDIM = 32
DTYPES: dict[str, np.dtype[Any]] = {code: np.dtype(code) for code in ("<f8", "<f4", "<i8", "|u1")}


def header_text(header: dict[str, Any]) -> bytes:
    """JSON of the header (bytes), refused when it would not come back as it is."""
    import json

    try:
        text = json.dumps(header, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise BadHeaderError(argument="header", expected="finite JSON values", got=short(error)) from error
    if len(text) > MAX_HEADER:
        raise BadHeaderError(argument="header", expected=f"at most {MAX_HEADER} bytes as JSON", got=len(text))
    if parse_header(text) != header:
        raise BadHeaderError(
            argument="header", expected="values that JSON keeps (lists, no tuples; keys str)", got="others"
        )
    return text


def parse_header(text: bytes) -> dict[str, Any]:
    """The header as a dict. Its items are counted before parsing: a hostile megabyte must not cost seconds."""
    import json

    items = sum(text.count(mark) for mark in (b",", b":", b"[", b"{"))
    if items > MAX_ITEMS:
        raise BadHeaderError(argument="header", expected=f"at most {MAX_ITEMS} items", got=items)
    try:
        header = json.loads(
            text.decode("utf-8"), parse_constant=_refuse_constant, parse_float=_finite, object_pairs_hook=_no_duplicates
        )
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise BadHeaderError(argument="header", expected="strict JSON in UTF-8", got=short(error)) from error
    if type(header) is not dict:
        raise BadHeaderError(argument="header", expected="a JSON object", got=type(header).__name__)
    _check_depth(header)
    return header


def _check_depth(header: dict[str, Any]) -> None:
    """Refuse what nests so deeply that code walking over it recursively would fail."""
    level: list[Any] = [header]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in (node.values() if type(node) is dict else node)]
        level = [child for child in level if type(child) in (dict, list)]
        if not level:
            return
    raise BadHeaderError(argument="header", expected=f"at most {MAX_DEPTH} levels", got="more")


def _refuse_constant(text: str) -> float:
    raise ValueError(f"{text} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), -float("inf")):  # 1e999 is valid JSON
        raise ValueError("a number overflows")
    return value


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key appears twice")
    return found


def check_layout(layout: Any, payload_len: int) -> list[tuple[str, np.dtype[Any], tuple[int, ...], int]]:
    """(name, dtype, shape, count) of each array; all sizes agree with the payload before anything is allocated."""
    if type(layout) is not list or len(layout) > MAX_ARRAYS:
        got = len(layout) if type(layout) is list else type(layout).__name__
        raise BadHeaderError(argument="layout", expected=f"a list of at most {MAX_ARRAYS} arrays", got=got)
    entries, names, total = [], set(), 0
    for entry in layout:
        if type(entry) is not list or len(entry) != 3:
            raise BadHeaderError(argument="layout", expected="[name, dtype, shape]", got=short(entry))
        name, code, shape = entry
        if type(name) is not str or not name or name in names:
            raise BadHeaderError(argument="layout", expected="distinct names", got=short(name))
        if type(code) is not str or code not in DTYPES:
            raise BadHeaderError(argument=f"layout, {short(name)}", expected=sorted(DTYPES), got=short(code))
        dtype = DTYPES[code]
        count = _count(name, shape, payload_len // dtype.itemsize)
        names.add(name)
        total += count * dtype.itemsize
        entries.append((name, dtype, tuple(shape), count))
    if total != payload_len:
        raise BadHeaderError(argument="payload_len", expected=f"{total} bytes, the sum of the layout", got=payload_len)
    return entries


def _count(name: str, shape: Any, limit: int) -> int:
    """Number of elements of a shape, refused as soon as a partial product passes what the payload can hold.

    Zeros count as one in the product: NumPy refuses (0, 2^62) later and with another error.
    """
    where = f"layout, {short(name)}"
    if type(shape) is not list or len(shape) > MAX_NDIM:
        raise BadHeaderError(argument=where, expected=f"a shape of at most {MAX_NDIM} sizes", got=short(shape))
    product = 1
    for size in shape:
        if type(size) is not int or size < 0:  # bool is not an int here
            raise BadHeaderError(argument=where, expected="sizes >= 0", got=short(size))
        product *= max(size, 1)
        if product > max(limit, 1 << 32):
            raise BadHeaderError(argument=where, expected=f"at most {limit} elements", got=f"at least {short(product)}")
    count = 0 if 0 in shape else product
    if count > limit:
        raise BadHeaderError(argument=where, expected=f"at most {limit} elements", got=count)
    return count


def short(value: object) -> str:
    """A bounded repr: an error about a hostile file must not itself be a megabyte, nor fail on a huge integer."""
    if type(value) is int and abs(value) >= 1 << 64:
        return f"an integer of {value.bit_length()} bits"
    if isinstance(value, (list, dict)):
        return f"a {type(value).__name__} of {len(value)}"
    text = f"{type(value).__name__}: {value}" if isinstance(value, Exception) else repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
