"""The file a filter or a bank is saved in: bytes, a header and named arrays. It knows nothing of filters.

    magic (8) | format u32 | header_len u32 (<= 1 MiB) | header, JSON in UTF-8 | payload_len u64 | payload | SHA-256 of all before

All integers and floats are little-endian. The header's `layout` is a list of [name, dtype, shape], dtype '<f8', '<f4', '<i8' or '|u1'; the
payload is those arrays in that order, C-contiguous, with nothing between them. In every format, past and to come, the file
starts with the magic and the format number and ends with the digest, so that damage and a newer format can be told apart.

Nothing in a file is ever executed, and no size in it is believed before it has been compared with the bytes that are there.
"""

from __future__ import annotations

import errno
import math
import os
import stat
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .errors import (
    BadDigestError,
    BadHeaderError,
    BadMagicError,
    BadValueError,
    DtypeError,
    ParameterError,
    TruncatedError,
    UnreadableError,
    VersionError,
)

__all__ = [
    "FORMAT",
    "MAGIC",
    "FileMissingError",
    "FolderError",
    "ForbiddenError",
    "decode",
    "encode",
    "peek",
    "read",
    "stored",
    "stream",
    "write",
]

MAGIC = b"\x89KFNG\r\n\x1a"  # the high bit, CR LF and ^Z show up a transfer in text mode, as in PNG
FORMAT = 1
MAX_HEADER = 1 << 20
MAX_FILE = 1 << 36  # 64 GiB: a full belief of 130 000 parameters
MAX_ITEMS = 100_000  # commas, colons and brackets in a header: bounds the time and memory of parsing it
MAX_ARRAYS = 4096
MAX_DEPTH = 64
MAX_NDIM = 32
_HEAD = struct.Struct("<8sII")
_LENGTH = struct.Struct("<Q")
_DIGEST = 32
_BLOCK = 1 << 17  # numbers that stay in the cache while they are looked at
_DTYPES: dict[str, np.dtype[Any]] = {code: np.dtype(code) for code in ("<f8", "<f4", "<i8", "|u1")}

Array = NDArray[Any]


def _sha256(data: Any) -> Any:
    import hashlib  # as json, only when a file is read or written: importing kfng stays quick

    return hashlib.sha256(data)


class FileMissingError(UnreadableError, FileNotFoundError):
    """There is no file at the path."""


class FolderError(UnreadableError, IsADirectoryError):
    """The path is a folder."""


class ForbiddenError(UnreadableError, PermissionError):
    """The file may not be read."""


# ------------------------------------------------------------------------------------------------------------ bytes


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
        if code not in _DTYPES:
            expected = "float64, float32, int64 or uint8"
            raise DtypeError(argument=f"arrays[{name!r}]", expected=expected, got=str(array.dtype))
        layout.append([name, code, list(array.shape)])
        size += math.prod(array.shape) * array.dtype.itemsize
    text = _header_text({**header, "layout": layout})
    _check_layout(layout, size)
    head = _HEAD.pack(MAGIC, FORMAT, len(text)) + text + _LENGTH.pack(size)
    digest = _sha256(head)
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
        flat = np.asarray(piece, dtype=_DTYPES[code], order="C").reshape(-1)
        for start in range(0, flat.size, _BLOCK):
            yield flat[start : start + _BLOCK]


def _header_text(header: dict[str, Any]) -> bytes:
    """JSON of the header (bytes), refused when it would not come back as it is."""
    import json

    try:
        text = json.dumps(header, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise BadHeaderError(argument="header", expected="finite JSON values", got=_short(error)) from error
    if len(text) > MAX_HEADER:
        raise BadHeaderError(argument="header", expected=f"at most {MAX_HEADER} bytes as JSON", got=len(text))
    if _parse_header(text) != header:
        raise BadHeaderError(
            argument="header", expected="values that JSON keeps (lists, no tuples; keys str)", got="others"
        )
    return text


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
    stored = Stored(_Held(_as_view(data)), allow_nonfinite)
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

    def __init__(self, source: _Held | _Kept, allow_nonfinite: bool = False) -> None:
        text, start, payload_len, self.digest = _split(source)
        self._source, self._allow_nonfinite = source, allow_nonfinite
        self.header = _parse_header(text)
        self._entries: dict[str, tuple[np.dtype[Any], tuple[int, ...], int]] = {}
        for name, dtype, shape, count in _check_layout(self.header.pop("layout", None), payload_len):
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


class _Held:
    """Bytes in memory."""

    def __init__(self, view: memoryview) -> None:
        self._view, self.size = view, len(view)

    def at(self, start: int, count: int) -> bytes:
        return bytes(self._view[start : start + count])

    def into(self, to: memoryview, start: int) -> None:
        to[:] = self._view[start : start + len(to)]

    def digest(self) -> bytes:
        return bytes(_sha256(self._view[:-_DIGEST]).digest())


class _Kept:
    """Bytes in an open file, which may change its size meanwhile."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self.size = file, size

    def at(self, start: int, count: int) -> bytes:
        data = bytearray(min(count, max(self.size - start, 0)))
        self.into(memoryview(data), start)
        return bytes(data)

    def into(self, to: memoryview, start: int) -> None:
        self._file.seek(start)
        done = 0
        while done < len(to):
            count = self._file.readinto(to[done : done + (1 << 30)])  # type: ignore[attr-defined]
            if not count:
                raise TruncatedError(argument="data", expected=f"{self.size} bytes", got=start + done)
            done += count

    def digest(self) -> bytes:
        found, block = _sha256(b""), memoryview(bytearray(1 << 20))
        for start in range(0, self.size - _DIGEST, len(block)):
            part = block[: min(len(block), self.size - _DIGEST - start)]
            self.into(part, start)
            found.update(part)
        return bytes(found.digest())


def _as_view(data: object) -> memoryview:
    try:
        return memoryview(data).cast("B")  # type: ignore[arg-type]
    except TypeError as error:
        raise DtypeError(argument="data", expected="bytes", got=type(data).__name__) from error


def _split(source: _Held | _Kept) -> tuple[bytes, int, int, str]:
    """Header text, start and length of the payload, digest in hex, after every check that needs no JSON: magic, format, lengths, digest."""
    size = source.size
    magic = source.at(0, len(MAGIC))
    if magic != MAGIC[: len(magic)]:
        raise BadMagicError(argument="magic", expected=MAGIC, got=magic)
    smallest = _HEAD.size + _LENGTH.size + _DIGEST
    if size < smallest:
        raise TruncatedError(argument="data", expected=f"at least {smallest} bytes", got=size)
    _, version, header_len = _HEAD.unpack(source.at(0, _HEAD.size))
    if version != FORMAT:
        _check_digest(source)  # a flipped bit is damage, not a newer format
        raise VersionError(argument="format", expected=FORMAT, got=version)
    if header_len > MAX_HEADER:
        raise BadHeaderError(argument="header_len", expected=f"at most {MAX_HEADER}", got=header_len)
    if size < smallest + header_len:
        raise TruncatedError(argument="data", expected=f"at least {smallest + header_len} bytes", got=size)
    start = _HEAD.size + header_len
    (payload_len,) = _LENGTH.unpack(source.at(start, _LENGTH.size))
    if size != smallest + header_len + payload_len:
        raise TruncatedError(argument="data", expected=f"{smallest + header_len + payload_len} bytes", got=size)
    digest = _check_digest(source)
    return source.at(_HEAD.size, header_len), start + _LENGTH.size, payload_len, digest


def _check_digest(source: _Held | _Kept) -> str:
    digest, stored = source.digest(), source.at(source.size - _DIGEST, _DIGEST)
    if digest != stored:
        raise BadDigestError(argument="digest", expected=digest.hex(), got=stored.hex())
    return digest.hex()


# ----------------------------------------------------------------------------------------------------------- header


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


def _parse_header(text: bytes) -> dict[str, Any]:
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
        raise BadHeaderError(argument="header", expected="strict JSON in UTF-8", got=_short(error)) from error
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


def _check_layout(layout: Any, payload_len: int) -> list[tuple[str, np.dtype[Any], tuple[int, ...], int]]:
    """(name, dtype, shape, count) of each array; all sizes agree with the payload before anything is allocated."""
    if type(layout) is not list or len(layout) > MAX_ARRAYS:
        got = len(layout) if type(layout) is list else type(layout).__name__
        raise BadHeaderError(argument="layout", expected=f"a list of at most {MAX_ARRAYS} arrays", got=got)
    entries, names, total = [], set(), 0
    for entry in layout:
        if type(entry) is not list or len(entry) != 3:
            raise BadHeaderError(argument="layout", expected="[name, dtype, shape]", got=_short(entry))
        name, code, shape = entry
        if type(name) is not str or not name or name in names:
            raise BadHeaderError(argument="layout", expected="distinct names", got=_short(name))
        if type(code) is not str or code not in _DTYPES:
            raise BadHeaderError(argument=f"layout, {_short(name)}", expected=sorted(_DTYPES), got=_short(code))
        dtype = _DTYPES[code]
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
    where = f"layout, {_short(name)}"
    if type(shape) is not list or len(shape) > MAX_NDIM:
        raise BadHeaderError(argument=where, expected=f"a shape of at most {MAX_NDIM} sizes", got=_short(shape))
    product = 1
    for size in shape:
        if type(size) is not int or size < 0:  # bool is not an int here
            raise BadHeaderError(argument=where, expected="sizes >= 0", got=_short(size))
        product *= max(size, 1)
        if product > max(limit, 1 << 32):
            raise BadHeaderError(
                argument=where, expected=f"at most {limit} elements", got=f"at least {_short(product)}"
            )
    count = 0 if 0 in shape else product
    if count > limit:
        raise BadHeaderError(argument=where, expected=f"at most {limit} elements", got=count)
    return count


def _check_finite(name: str, array: Array, allow_nonfinite: bool) -> None:
    if not allow_nonfinite and not np.isfinite(array).all():
        first = array[~np.isfinite(array)][0]
        raise BadValueError(argument=_short(name), expected="finite numbers", got=float(first))


def _short(value: object) -> str:
    """A bounded repr: an error about a hostile file must not itself be a megabyte, nor fail on a huge integer."""
    if type(value) is int and abs(value) >= 1 << 64:
        return f"an integer of {value.bit_length()} bits"
    if isinstance(value, (list, dict)):
        return f"a {type(value).__name__} of {len(value)}"
    text = f"{type(value).__name__}: {value}" if isinstance(value, Exception) else repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


# ------------------------------------------------------------------------------------------------------------- file


def as_path(path: str | os.PathLike[str]) -> str:
    try:
        text = os.fsdecode(path)
        os.fsencode(text)
    except TypeError as error:
        raise DtypeError(argument="path", expected="str or os.PathLike", got=type(path).__name__) from error
    except UnicodeError as error:
        raise ParameterError(argument="path", expected="a file name", got=ascii(path)) from error
    if not text or "\0" in text:
        raise ParameterError(argument="path", expected="a file name", got=_short(text))
    return text


def _unreadable(path: str, error: OSError) -> UnreadableError:
    kinds: dict[type[OSError], type[UnreadableError]] = {
        FileNotFoundError: FileMissingError,
        NotADirectoryError: FileMissingError,
        IsADirectoryError: FolderError,
        PermissionError: ForbiddenError,
    }
    made = kinds.get(type(error), UnreadableError)(
        argument="path", expected="a readable file", got=f"{path!r} ({error.strerror})"
    )
    made.errno, made.strerror, made.filename = error.errno, error.strerror, path
    return made


def read(path: str | os.PathLike[str], *, max_bytes: int = MAX_FILE) -> bytes:
    """The bytes of the file at `path`, for `decode`.

    Parameters
    ----------
    path : str or os.PathLike
    max_bytes : int, default 64 GiB
        A larger file is refused.

    Raises
    ------
    UnreadableError
        Also a FileNotFoundError, IsADirectoryError or PermissionError where that is the reason; and for pipes and devices,
        which could block or never end.
    BadMagicError
        The file is something else; the rest of it is not read.
    """
    with _plain(path, max_bytes) as source:
        return source.at(0, source.size)


@contextmanager
def stored(path: str | os.PathLike[str], *, max_bytes: int = MAX_FILE) -> Iterator[Stored]:
    """A context in which the checkpoint at `path` is open: its arrays are read from the file when they are asked for.

    Parameters
    ----------
    path : str or os.PathLike
    max_bytes : int
        A larger file is refused.

    Raises
    ------
    CheckpointError
        Its kinds, as of `read` and `decode`.
    """
    with _plain(path, max_bytes) as source:
        yield Stored(source)


def peek(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The header of the checkpoint at `path`, of which nothing else is looked at: the digest is not checked.

    Parameters
    ----------
    path : str or os.PathLike

    Returns
    -------
    dict

    Raises
    ------
    CheckpointError
        Its kinds, as of `read` and `decode`.
    """
    with _plain(path, MAX_FILE) as source:
        head = source.at(0, _HEAD.size)
        length = _HEAD.unpack(head)[2] if len(head) == _HEAD.size else 0
        if not 0 < length <= MAX_HEADER:
            raise BadHeaderError(argument="header_len", expected=f"1 to {MAX_HEADER}", got=length)
        return _parse_header(source.at(_HEAD.size, length))


@contextmanager
def _plain(path: str | os.PathLike[str], max_bytes: int) -> Iterator[_Kept]:
    """An open file that begins as a checkpoint does."""
    name = as_path(path)
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        if os.path.isdir(name):  # Windows opens no folder and would say "permission denied"
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        with open(os.open(name, flags), "rb", buffering=0, closefd=True) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode) or status.st_size > max_bytes:
                got = f"{status.st_size} bytes" if stat.S_ISREG(status.st_mode) else "a pipe or device"
                expected = f"a plain file of at most {max_bytes} bytes"
                raise UnreadableError(argument="path", expected=expected, got=got)
            source = _Kept(file, status.st_size)
            head = source.at(0, len(MAGIC))
            if head != MAGIC[: len(head)]:
                raise BadMagicError(argument="magic", expected=MAGIC, got=head)
            yield source
    except UnreadableError:
        raise
    except OSError as error:
        raise _unreadable(name, error) from error


def write(
    path: str | os.PathLike[str], data: bytes | bytearray | memoryview | list[memoryview] | Iterator[memoryview]
) -> None:
    """Put `data`, or parts of it one after the other, at `path`, wholly or not at all; what was there before stays as `<path>.prev`.

    A temporary file in the same folder is written and synced, the old file gets its second name `.prev` by a hard link, then one
    rename replaces it: from the moment it first exists there is always a complete file at `path`, old or new. After `write`
    returns, the new one survives a power cut. A failed write raises the OSError as it is, with file, `.prev` and folder as
    they were. A killed process may leave a `.kfng-*.tmp`, which is safe to delete. A symbolic link stays a link.

    Parameters
    ----------
    path : str or os.PathLike
    data : bytes, or memoryviews one after the other
    """
    views = map(_as_view, data if isinstance(data, (list, Iterator)) else [data])
    target = os.path.realpath(as_path(path))
    previous = target + ".prev"
    with _spare_names(os.path.dirname(target)) as spare:
        new, held, older = spare(), spare(), spare()
        _write_new(new, views, target)
        had_target, had_previous = _hold(target, held), _hold(previous, older)
        moved_previous = replaced = False
        try:
            if had_target:
                os.replace(held, previous)
                moved_previous = True
            os.replace(new, target)
            replaced = True
            _sync_folder(os.path.dirname(target))
        except BaseException:
            with suppress(OSError):
                if replaced and had_target:
                    os.replace(previous, target)
                elif replaced:
                    os.unlink(target)
            with suppress(OSError):
                if moved_previous and had_previous:
                    os.replace(older, previous)
                elif moved_previous:
                    os.unlink(previous)
            raise


@contextmanager
def _spare_names(folder: str) -> Iterator[Any]:
    """Hands out unused names in the folder, and at the end removes what is left under them."""
    names: list[str] = []

    def spare() -> str:
        names.append(os.path.join(folder, f".kfng-{os.urandom(8).hex()}.tmp"))
        return names[-1]

    try:
        yield spare
    finally:
        for name in names:
            with suppress(OSError):
                os.unlink(name)


def _write_new(name: str, views: Iterable[memoryview], like: str) -> None:
    """Create `name`, which must not exist, with these bytes and no wider permissions than `like` has; synced to disk."""
    try:
        mode = stat.S_IMODE(os.stat(like).st_mode) & 0o666
    except FileNotFoundError:
        mode = 0o666
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    fd = os.open(name, flags, mode)
    try:
        for view in views:
            done = 0
            while done < len(view):  # a single write takes at most 2 GiB
                written = os.write(fd, view[done : done + (1 << 30)])
                if written == 0:
                    raise OSError(errno.EIO, "nothing was written", name)
                done += written
        os.fsync(fd)
    finally:
        os.close(fd)


_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV}


def _hold(path: str, name: str) -> bool:
    """Give the file at `path` the second name `name`; False if there is no file. Copies where hard links are not to be had."""
    try:
        os.link(path, name)
    except FileNotFoundError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        with open(path, "rb") as file:
            _write_new(name, [memoryview(file.read())], path)
    return True


def _sync_folder(folder: str) -> None:
    """Make the renames durable. Windows cannot open a folder, and some file systems have nothing to sync there."""
    if os.name == "nt":
        return
    fd = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(fd)
