"""Where the bytes of a checkpoint are: in memory, or in an open file."""

from __future__ import annotations

from typing import Any, BinaryIO

from ..errors import TruncatedError

DIGEST = 32


class Held:
    """Bytes in memory."""

    def __init__(self, view: memoryview) -> None:
        self._view, self.size = view, len(view)

    def at(self, start: int, count: int) -> bytes:
        return bytes(self._view[start : start + count])

    def into(self, to: memoryview, start: int) -> None:
        to[:] = self._view[start : start + len(to)]

    def digest(self) -> bytes:
        return bytes(sha256(self._view[:-DIGEST]).digest())


class Kept:
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
        found, block = sha256(b""), memoryview(bytearray(1 << 20))
        for start in range(0, self.size - DIGEST, len(block)):
            part = block[: min(len(block), self.size - DIGEST - start)]
            self.into(part, start)
            found.update(part)
        return bytes(found.digest())


def sha256(data: Any) -> Any:
    import hashlib  # as json, only when a file is read or written: importing kfng stays quick

    return hashlib.sha256(data)
