"""The bytes of a checkpoint: written part after part, and read, from memory or a file, when an array is asked for."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..errors import (
    BadDigestError,
    BadHeaderError,
    BadMagicError,
    BadValueError,
    DtypeError,
    TruncatedError,
    VersionError,
)
from ._header import DTYPES, MAX_HEADER, Array, check_layout, header_text, parse_header, short
from ._source import DIGEST, Held, Kept, sha256

MAGIC = b"\x89KFNG\r\n\x1a"  # the high bit, CR LF and ^Z show up a transfer in text mode, as in PNG
FORMAT = 1
HEAD = struct.Struct("<8sII")
_LENGTH = struct.Struct("<Q")
_BLOCK = 1 << 17  # numbers that stay in the cache while they are looked at


def encode(header: Mapping[str, Any], arrays: Mapping[str, Array], *, allow_nonfinite: bool = False) -> bytes:
    """The bytes of a checkpoint. `decode(encode(header, arrays))` gives both back.

    What is written can always be read.

    Parameters
    ----------
    header : dict
        Anything JSON can hold without loss, keys str, no key 'layout'.
    arrays : dict of arrays
        float64, float32, int64 or uint8, of any shape; stored little-endian in C order.
    allow_nonfinite : bool, default False
        Let NaN and infinity pass.

    Raises
    ------
    BadHeaderError
        `header` is nothing that JSON can hold.
    DtypeError, BadValueError
        One of the arrays.
    """
    return b"".join(stream(header, arrays, allow_nonfinite=allow_nonfinite))


class Pieces(NamedTuple):
    """An array that is made while it is written, piece by piece along its first axis."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    make: Callable[[], Iterator[Array]]


def stream(
    header: Mapping[str, Any], arrays: Mapping[str, Array | Pieces], *, allow_nonfinite: bool = False
) -> Iterator[memoryview]:
    """The same bytes as `encode`, part after part: nothing large is copied or held.

    Parameters
    ----------
    header, arrays, allow_nonfinite
        As for `encode`; an array may also be `Pieces`.
    """
    if "layout" in header:
        raise BadHeaderError(argument="header", expected="no key 'layout'", got="'layout'")
    kept = {name: x if isinstance(x, Pieces) else np.asarray(x) for name, x in arrays.items()}
    layout: list[list[Any]] = []
    size = 0
    for name, array in kept.items():
        code = array.dtype.newbyteorder("<").str if array.dtype.kind in "fiu" else ""
        if code not in DTYPES:
            expected = "float64, float32, int64 or uint8"
            raise DtypeError(argument=f"arrays[{name!r}]", expected=expected, got=str(array.dtype))
        layout.append([name, code, list(array.shape)])
        size += math.prod(array.shape) * array.dtype.itemsize
    text = header_text({**header, "layout": layout})
    check_layout(layout, size)
    head = HEAD.pack(MAGIC, FORMAT, len(text)) + text + _LENGTH.pack(size)
    digest = sha256(head)
    yield memoryview(head)
    for (name, array), (_, code, _) in zip(kept.items(), layout, strict=True):
        for stored in _stored(array, code):
            _check_finite(name, stored, allow_nonfinite)
            part = stored.view(np.uint8).data
            digest.update(part)
            size -= len(part)
            yield part
    if size:
        raise ValueError("pieces of another size than they promised")
    yield memoryview(digest.digest())


def _stored(array: Array | Pieces, code: str) -> Iterator[Array]:
    """The numbers as they are written, flat; so many at once as stay in the cache while they are looked at."""
    for piece in array.make() if isinstance(array, Pieces) else [array]:
        flat = np.asarray(piece, dtype=DTYPES[code], order="C").reshape(-1)
        for start in range(0, flat.size, _BLOCK):
            yield flat[start : start + _BLOCK]


def _check_finite(name: str, array: Array, allow_nonfinite: bool) -> None:
    if not allow_nonfinite and not np.isfinite(array).all():
        first = array[~np.isfinite(array)][0]
        raise BadValueError(argument=short(name), expected="finite numbers", got=float(first))


def decode(
    data: bytes | bytearray | memoryview, *, allow_nonfinite: bool = False
) -> tuple[dict[str, Any], dict[str, Array]]:
    """Header (without its layout) and arrays (fresh, writeable, native byte order) of a checkpoint's bytes.

    Memory is bounded by a multiple of len(data).

    Parameters
    ----------
    data : bytes
    allow_nonfinite : bool, default False
        Let NaN and infinity pass.

    Raises
    ------
    TruncatedError, BadMagicError, BadDigestError, VersionError, BadHeaderError, BadValueError
        What is wrong with the bytes.
    DtypeError
        `data` is not bytes.
    """
    stored = Stored(Held(as_view(data)), allow_nonfinite)
    return stored.header, dict(stored)


class Stored(Mapping[str, Array]):
    """What a checkpoint holds: its header (without its layout), and its arrays, read when they are asked for.

    An array is fresh, writeable and of native byte order. Everything but the numbers has been checked, the digest first; `digest`
    has it in hex.

    Parameters
    ----------
    source : where the bytes are
    allow_nonfinite : bool
    """

    def __init__(self, source: Held | Kept, allow_nonfinite: bool = False) -> None:
        text, start, payload_len, self.digest = _split(source)
        self._source, self._allow_nonfinite = source, allow_nonfinite
        self.header = parse_header(text)
        self._entries: dict[str, tuple[np.dtype[Any], tuple[int, ...], int]] = {}
        for name, dtype, shape, count in check_layout(self.header.pop("layout", None), payload_len):
            self._entries[name] = dtype, shape, start
            start += count * dtype.itemsize

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def shape(self, name: str) -> tuple[int, ...]:
        return self._entries[name][1]

    def __getitem__(self, name: str) -> Array:
        return self._read(name, 0, math.prod(self.shape(name))).reshape(self.shape(name))

    def rows(self, name: str, rows: slice) -> Array:
        """Some along the first axis."""
        n, *rest = self.shape(name)
        start, stop, _ = rows.indices(n)
        count, each = stop - start, math.prod(rest)
        return self._read(name, start * each, count * each).reshape(count, *rest)

    def _read(self, name: str, first: int, count: int) -> Array:
        dtype, _, start = self._entries[name]
        raw = np.empty(count, dtype)
        self._source.into(raw.view(np.uint8).data, start + first * dtype.itemsize)
        for i in range(0, count, _BLOCK):
            _check_finite(name, raw[i : i + _BLOCK], self._allow_nonfinite)
        return raw.astype(dtype.char, copy=False)


def _split(source: Held | Kept) -> tuple[bytes, int, int, str]:
    """Header text, start and length of the payload, digest in hex, after every check that needs no JSON: magic, format, lengths, digest."""
    size = source.size
    magic = source.at(0, len(MAGIC))
    if magic != MAGIC[: len(magic)]:
        raise BadMagicError(argument="magic", expected=MAGIC, got=magic)
    smallest = HEAD.size + _LENGTH.size + DIGEST
    if size < smallest:
        raise TruncatedError(argument="data", expected=f"at least {smallest} bytes", got=size)
    _, version, header_len = HEAD.unpack(source.at(0, HEAD.size))
    if version != FORMAT:
        _check_digest(source)  # a flipped bit is damage, not a newer format
        raise VersionError(argument="format", expected=FORMAT, got=version)
    if header_len > MAX_HEADER:
        raise BadHeaderError(argument="header_len", expected=f"at most {MAX_HEADER}", got=header_len)
    if size < smallest + header_len:
        raise TruncatedError(argument="data", expected=f"at least {smallest + header_len} bytes", got=size)
    start = HEAD.size + header_len
    (payload_len,) = _LENGTH.unpack(source.at(start, _LENGTH.size))
    if size != smallest + header_len + payload_len:
        raise TruncatedError(argument="data", expected=f"{smallest + header_len + payload_len} bytes", got=size)
    digest = _check_digest(source)
    return source.at(HEAD.size, header_len), start + _LENGTH.size, payload_len, digest


def _check_digest(source: Held | Kept) -> str:
    digest, stored = source.digest(), source.at(source.size - DIGEST, DIGEST)
    if digest != stored:
        raise BadDigestError(argument="digest", expected=digest.hex(), got=stored.hex())
    return digest.hex()


def as_view(data: object) -> memoryview:
    try:
        return memoryview(data).cast("B")  # type: ignore[arg-type]
    except TypeError as error:
        raise DtypeError(argument="data", expected="bytes", got=type(data).__name__) from error
