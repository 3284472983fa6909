"""A bank in a file, a copy, a pickle."""

from __future__ import annotations

from typing import Any, Self

from . import _bank_changes, _bank_copy, _bank_file, _validate
from ._bank_parts import BankParts
from ._copied import Copied
from .errors import UnsupportedError


class BankSave(BankParts, Copied):
    """All of it, or what has changed."""

    def save(self, path: Any, *, incremental: bool = False) -> None:
        """Write the keys in memory to a file: atomically, with a digest, the file before it kept as `<path>.prev`.

        `kfng.load` reads it. Keys in the file `evict_to` stay there, and the loaded bank goes on with that file. Threads that
        would update the bank wait meanwhile, so that the file is the bank of one moment.

        Parameters
        ----------
        path : str or os.PathLike
        incremental : bool, default False
            Write only keys that have changed since a base, a whole save in a file of its own, `<path>.base-` and 16 hex digits.
            `path` then names the base, and is of no use without it. A base is written by the first such save to `path`, and
            again when more than half of the keys have changed or the file is no longer as it was. A bank that was loaded from
            `path` goes on with its base. Bases that neither `path` nor `<path>.prev` needs are deleted.

        Raises
        ------
        OSError
            The file cannot be written; what was there is as before.
        """
        _validate.flag("incremental", incremental)
        if incremental:
            _bank_changes.save(self, path)
        else:
            from . import checkpoint

            checkpoint.write(path, _bank_file.encoded(self))

    @classmethod
    def _from_file(cls, header: dict[str, Any], arrays: _bank_file.Arrays) -> Self:
        return _bank_file.decoded(cls, header, arrays)

    @classmethod
    def _from_bytes(cls, data: bytes) -> Self:
        from . import checkpoint
        from ._load import require_kind

        header, arrays = checkpoint.decode(data)
        require_kind(header, "Bank")
        return cls._from_file(header, arrays)

    def copy(self) -> Self:
        """An independent bank in the same state.

        Raises
        ------
        UnsupportedError
            The bank has a file `evict_to`, which two cannot share; `export` copies keys.
        """
        self._alone("copy")
        with self._lock:
            twin = self._made(self.settings, self.max_keys)
            slots = self._live()
            _bank_copy.transfer(self, slots, twin, self._column(self._keys_at(slots)))
        return twin

    def _alone(self, what: str) -> None:
        if self.evict_to is not None:
            expected = f"none, to {what} a bank (two cannot share the file; export() copies keys)"
            raise UnsupportedError(argument="evict_to", expected=expected, got=repr(self.evict_to)[:80])

    def __reduce__(self) -> tuple[Any, ...]:
        self._alone("pickle")
        return type(self)._from_bytes, (b"".join(_bank_file.encoded(self)),)
