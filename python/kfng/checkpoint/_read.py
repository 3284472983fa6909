"""A file with a checkpoint in it, opened with care: nothing that blocks or never ends, nothing that is something else."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..errors import BadHeaderError, BadMagicError, DtypeError, ParameterError, UnreadableError
from ._bytes import HEAD, MAGIC, Stored
from ._header import MAX_HEADER, parse_header, short
from ._source import Kept

MAX_FILE = 1 << 36  # 64 GiB: a full belief of 130 000 parameters


class FileMissingError(UnreadableError, FileNotFoundError):
    """There is no file at the path."""


class FolderError(UnreadableError, IsADirectoryError):
    """The path is a folder."""


class ForbiddenError(UnreadableError, PermissionError):
    """The file may not be read."""


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
        head = source.at(0, HEAD.size)
        length = HEAD.unpack(head)[2] if len(head) == HEAD.size else 0
        if not 0 < length <= MAX_HEADER:
            raise BadHeaderError(argument="header_len", expected=f"1 to {MAX_HEADER}", got=length)
        return parse_header(source.at(HEAD.size, length))


@contextmanager
def _plain(path: str | os.PathLike[str], max_bytes: int) -> Iterator[Kept]:
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
            source = Kept(file, status.st_size)
            head = source.at(0, len(MAGIC))
            if head != MAGIC[: len(head)]:
                raise BadMagicError(argument="magic", expected=MAGIC, got=head)
            yield source
    except UnreadableError:
        raise
    except OSError as error:
        raise _unreadable(name, error) from error


def as_path(path: str | os.PathLike[str]) -> str:
    try:
        text = os.fsdecode(path)
        os.fsencode(text)
    except TypeError as error:
        raise DtypeError(argument="path", expected="str or os.PathLike", got=type(path).__name__) from error
    except UnicodeError as error:
        raise ParameterError(argument="path", expected="a file name", got=ascii(path)) from error
    if not text or "\0" in text:
        raise ParameterError(argument="path", expected="a file name", got=short(text))
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
