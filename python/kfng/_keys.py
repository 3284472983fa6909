"""Keys of a bank: whole numbers or strings; a column of them in one of three forms that the implementations can trust.

The forms: int64 (n,), C-contiguous; a `<U` array (n,), C-contiguous; a list of exact int and str. 1 and "1" are two keys.
Columns of pandas, polars and Arrow come through their `__array__`; none of them is imported.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._validate import listed
from .errors import DtypeError, KfngError, ParameterError, ShapeError

Key = int | str
Column = NDArray[np.int64] | NDArray[np.str_] | list[Key]
KEYS = "whole numbers or strings"
LOW, HIGH = -(2**63), 2**63 - 1
SURROGATES = 0xD800, 0xDFFF


def column(keys: Any, n: int | None = None) -> Column:
    """The keys of n rows, checked.

    Raises
    ------
    ShapeError, DtypeError, ParameterError
        `row` says which key is none, where the column as a whole may hold keys.
    """
    if isinstance(keys, (list, tuple)):
        keys = listed(keys)
        if n is not None and len(keys) != n:
            raise ShapeError(argument="keys", expected=(n,), got=(len(keys),))
        return _objects(keys)
    if isinstance(keys, (str, bytes)) or not hasattr(keys, "__array__"):
        raise DtypeError(argument="keys", expected=f"a column (n,) of {KEYS}", got=type(keys).__name__)
    try:
        array = np.asarray(keys)
    except (ValueError, TypeError):
        raise DtypeError(argument="keys", expected=f"a column (n,) of {KEYS}", got=type(keys).__name__) from None
    if array.ndim != 1 or (n is not None and len(array) != n):
        raise ShapeError(argument="keys", expected="(n,)" if n is None else (n,), got=array.shape)
    kind = array.dtype.kind
    if kind in "iu":
        return _integers(array)
    if kind == "U":
        return _text(array)
    if kind == "O" or kind == "T":
        return _objects(array.astype(object).tolist())
    if array.size == 0:
        return np.zeros(0, dtype=np.int64)
    raise DtypeError(argument="keys", expected=KEYS, got=f"dtype {array.dtype}")


def single(key: Any) -> Column:
    """One key as a column."""
    return _objects([key])


def taken(keys: Column, rows: Any) -> Column:
    """The keys at these rows: a slice, indices or flags."""
    if not isinstance(keys, list):
        return np.ascontiguousarray(keys[rows])
    if isinstance(rows, slice):
        return keys[rows]
    rows = np.flatnonzero(rows) if rows.dtype == bool else rows
    return [keys[i] for i in rows.tolist()]


def values(keys: Column) -> list[Key]:
    """As Python's int and str."""
    return keys if isinstance(keys, list) else keys.tolist()


def _integers(array: NDArray[Any]) -> NDArray[np.int64]:
    if array.dtype.kind == "u" and array.dtype.itemsize == 8 and array.size:
        large = array > np.uint64(HIGH)
        if large.any():
            raise _at(int(np.argmax(large)), ParameterError, "whole numbers of 64 bits", int(array[np.argmax(large)]))
    return np.require(array, np.int64, ["C", "A"])


def _text(array: NDArray[Any]) -> NDArray[np.str_]:
    """A surrogate belongs to no text in Unicode; it could not be written to a file."""
    native = np.require(array, array.dtype.newbyteorder("="), ["C", "A"])
    if native.size and native.dtype.itemsize:
        points = native.view(np.uint32).reshape(len(native), -1)
        wrong = ((points >= SURROGATES[0]) & (points <= SURROGATES[1])).any(axis=1)
        if wrong.any():
            raise _surrogate(int(np.argmax(wrong)), str(native[np.argmax(wrong)]))
    return native


def _objects(keys: list[Any]) -> Column:
    kinds = set(map(type, keys))
    if not kinds <= {int, str}:
        keys = [_plain(i, key) for i, key in enumerate(keys)]
        kinds = set(map(type, keys))
    if int in kinds:
        for i, key in enumerate(keys):
            if type(key) is int and not LOW <= key <= HIGH:
                got = f"an integer of {key.bit_length()} bits"
                raise _at(i, ParameterError, "whole numbers of 64 bits", got)
    if str in kinds:
        try:
            "".join(key for key in keys if type(key) is str).encode()
        except UnicodeEncodeError:
            for i, key in enumerate(keys):
                if type(key) is str and any(SURROGATES[0] <= ord(mark) <= SURROGATES[1] for mark in key):
                    raise _surrogate(i, key) from None
        return keys
    return np.array(keys, dtype=np.int64)


def _plain(i: int, key: Any) -> Key:
    """NumPy's numbers and strings, and subclasses, as Python's own; anything else is no key."""
    if isinstance(key, (int, np.integer)) and not isinstance(key, bool):
        return int(key)
    if isinstance(key, str):
        return str.__str__(key)
    raise _at(i, DtypeError, KEYS, repr(key)[:80] if key is None or key != key else type(key).__name__)


def _surrogate(i: int, key: str) -> KfngError:
    return _at(i, ParameterError, "text without surrogates", ascii(key)[:80])


def _at(row: int, kind: type[KfngError], expected: str, got: Any) -> KfngError:
    error = kind(argument="keys", expected=expected, got=got)
    error.row = row
    return error
