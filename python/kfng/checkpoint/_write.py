"""A checkpoint put into its place wholly or not at all."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from ._bytes import as_view
from ._read import as_path


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
    views = map(as_view, data if isinstance(data, (list, Iterator)) else [data])
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
