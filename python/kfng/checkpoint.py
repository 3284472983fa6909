"""The file a filter or a bank is saved in: bytes, a header and named arrays. It knows nothing of filters.

    magic (8) | format u32 | header_len u32 (<= 1 MiB) | header, JSON in UTF-8 | payload_len u64 | payload | SHA-256 of all before

All integers and floats are little-endian. The header's `layout` is a list of [name, dtype, shape], dtype '<f8', '<f4', '<i8' or '|u1'; the
payload is those arrays in that order, C-contiguous, with nothing between them. In every format, past and to come, the file
starts with the magic and the format number and ends with the digest, so that damage and a newer format can be told apart.

Nothing in a file is ever executed, and no size in it is believed before it has been compared with the bytes that are there.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

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
    "parts",
    "read",
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
    return b"".join(parts(header, arrays, allow_nonfinite=allow_nonfinite))


def parts(header: Mapping[str, Any], arrays: Mapping[str, Array], *, allow_nonfinite: bool = False) -> list[memoryview]:
    """The same bytes as `encode`, not joined: large arrays are not copied.

    Parameters
    ----------
    header, arrays, allow_nonfinite
        As for `encode`.
    """
    if "layout" in header:
        raise BadHeaderError(argument="header", expected="no key 'layout'", got="'layout'")
    layout, payload = [], []
    for name, array in arrays.items():
        array = np.asarray(array)
        code = array.dtype.newbyteorder("<").str if array.dtype.kind in "fiu" else ""
        if code not in _DTYPES:
            expected = "float64, float32, int64 or uint8"
            raise DtypeError(argument=f"arrays[{name!r}]", expected=expected, got=str(array.dtype))
        stored = np.asarray(array, dtype=_DTYPES[code], order="C")
        _check_finite(name, stored, allow_nonfinite)
        layout.append([name, code, list(array.shape)])
        if stored.size:
            payload.append(stored.reshape(-1).view(np.uint8).data)
    text, size = _header_text({**header, "layout": layout}), sum(len(part) for part in payload)
    _check_layout(layout, size)
    found = [memoryview(part) for part in (_HEAD.pack(MAGIC, FORMAT, len(text)), text, _LENGTH.pack(size))] + payload
    digest = _sha256(b"")
    for part in found:
        digest.update(part)
    return [*found, memoryview(digest.digest())]


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
    view = _as_view(data)
    text, payload = _split(view)
    header = _parse_header(bytes(text))
    entries = _check_layout(header.pop("layout", None), len(payload))
    arrays: dict[str, Array] = {}
    offset = 0
    for name, dtype, shape, count in entries:
        raw = np.frombuffer(payload, dtype=dtype, count=count, offset=offset) if count else np.empty(0, dtype)
        _check_finite(name, raw, allow_nonfinite)
        arrays[name] = raw.reshape(shape).astype(dtype.char, copy=True)
        offset += count * dtype.itemsize
    return header, arrays


def _as_view(data: object) -> memoryview:
    try:
        return memoryview(data).cast("B")  # type: ignore[arg-type]
    except TypeError as error:
        raise DtypeError(argument="data", expected="bytes", got=type(data).__name__) from error


def _split(view: memoryview) -> tuple[memoryview, memoryview]:
    """Header text and payload, after every check that needs no JSON: magic, format, lengths, digest."""
    size = len(view)
    magic = bytes(view[: len(MAGIC)])
    if magic != MAGIC[: len(magic)]:
        raise BadMagicError(argument="magic", expected=MAGIC, got=magic)
    smallest = _HEAD.size + _LENGTH.size + _DIGEST
    if size < smallest:
        raise TruncatedError(argument="data", expected=f"at least {smallest} bytes", got=size)
    _, version, header_len = _HEAD.unpack_from(view)
    if version != FORMAT:
        _check_digest(view)  # a flipped bit is damage, not a newer format
        raise VersionError(argument="format", expected=FORMAT, got=version)
    if header_len > MAX_HEADER:
        raise BadHeaderError(argument="header_len", expected=f"at most {MAX_HEADER}", got=header_len)
    if size < smallest + header_len:
        raise TruncatedError(argument="data", expected=f"at least {smallest + header_len} bytes", got=size)
    start = _HEAD.size + header_len
    (payload_len,) = _LENGTH.unpack_from(view, start)
    if size != smallest + header_len + payload_len:
        raise TruncatedError(argument="data", expected=f"{smallest + header_len + payload_len} bytes", got=size)
    _check_digest(view)
    return view[_HEAD.size : start], view[start + _LENGTH.size : size - _DIGEST]


def _check_digest(view: memoryview) -> None:
    digest, stored = _sha256(view[:-_DIGEST]).digest(), bytes(view[-_DIGEST:])
    if digest != stored:
        raise BadDigestError(argument="digest", expected=digest.hex(), got=stored.hex())


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


def _as_path(path: str | os.PathLike[str]) -> str:
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
    name = _as_path(path)
    try:
        return _read(name, max_bytes)
    except UnreadableError:
        raise
    except OSError as error:
        raise _unreadable(name, error) from error


def _read(name: str, max_bytes: int) -> bytes:
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)
    if os.path.isdir(name):  # Windows opens no folder and would say "permission denied"
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    with open(os.open(name, flags), "rb", buffering=0, closefd=True) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_size > max_bytes:
            got = f"{status.st_size} bytes" if stat.S_ISREG(status.st_mode) else "a pipe or device"
            raise UnreadableError(argument="path", expected=f"a plain file of at most {max_bytes} bytes", got=got)
        head = file.read(len(MAGIC))
        if head != MAGIC[: len(head)]:
            raise BadMagicError(argument="magic", expected=MAGIC, got=head)
        parts = [head]
        left = status.st_size - len(head)
        while left > 0 and (part := file.read(left)):
            parts.append(part)
            left -= len(part)
    return b"".join(parts)


def write(path: str | os.PathLike[str], data: bytes | bytearray | memoryview | list[memoryview]) -> None:
    """Put `data`, or parts of it one after the other, at `path`, wholly or not at all; what was there before stays as `<path>.prev`.

    A temporary file in the same folder is written and synced, the old file gets its second name `.prev` by a hard link, then one
    rename replaces it: from the moment it first exists there is always a complete file at `path`, old or new. After `write`
    returns, the new one survives a power cut. A failed write raises the OSError as it is, with file, `.prev` and folder as
    they were. A killed process may leave a `.kfng-*.tmp`, which is safe to delete. A symbolic link stays a link.

    Parameters
    ----------
    path : str or os.PathLike
    data : bytes, or a list of memoryviews
    """
    views = [_as_view(part) for part in (data if isinstance(data, list) else [data])]
    target = os.path.realpath(_as_path(path))
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


def _write_new(name: str, views: list[memoryview], like: str) -> None:
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
