"""Saves that write only what has changed: a file of changes that names a base, a whole save beside it.

The file has the form of a bank's (_bank_file.py), with the changed keys alone, those that were there first before the new ones, and

    header: object 'BankChanges', base {file, its name in the same folder; digest, its last 32 bytes in hex; keys, how many there are in all}
    gone.kind, gone.int, gone.text, gone.offsets: keys of the base that were dropped since;  used (all keys,) i8 with max_keys

Changes are all since the base, not since the last save, so that two files are enough. A base is never written to, and is in place before
the file that names it is renamed to `path`: at any moment `path` is whole, and so is the base that it names.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from . import _bank_file
from ._bank_file import add, contents, encoded, finish, key_arrays, need, pieces, read, read_keys
from ._load import require_kind
from .errors import BadDigestError, BadHeaderError, CheckpointError

if TYPE_CHECKING:
    from ._bank_parts import BankParts
    from .checkpoint import Stored

GONE = frozenset({"gone.kind", "gone.int", "gone.text", "gone.offsets"})
NAME = re.compile(r"[^/\\\0]+\.base-[0-9a-f]{16}")


class Base(NamedTuple):
    """A base, as it was left: of which path, its file, and what is to be the same when it is used again."""

    target: str
    file: str
    digest: str
    status: tuple[int, int, int]

    @classmethod
    def of(cls, target: str, file: str, digest: str) -> Self:
        return cls(target, file, digest, _status(os.path.join(os.path.dirname(target), file)))

    def is_there(self) -> bool:
        try:
            return _status(os.path.join(os.path.dirname(self.target), self.file)) == self.status
        except OSError:
            return False


def _status(path: str) -> tuple[int, int, int]:
    found = os.stat(path)
    return found.st_size, found.st_mtime_ns, found.st_ino


def save(bank: BankParts, path: Any) -> None:
    from . import checkpoint

    target = os.path.realpath(checkpoint.as_path(path))
    with bank._lock:
        base, written = bank._base, len(bank._changed()) + len(bank._gone())
        if base is None or base.target != target or 2 * written > bank._count() or not base.is_there():
            base = _new_base(bank, target)
        checkpoint.write(target, _changes(bank, base))
    _clean(target, base)


def _new_base(bank: BankParts, target: str) -> Base:
    from . import checkpoint

    bank._base = None
    name = f"{target}.base-{os.urandom(8).hex()}"
    last = b""

    def noted() -> Iterator[memoryview]:
        nonlocal last
        for part in encoded(bank):
            last = bytes(part[-32:])
            yield part

    checkpoint.write(name, noted())
    bank._mark()
    bank._base = Base.of(target, os.path.basename(name), last.hex())
    return bank._base


def _changes(bank: BankParts, base: Base) -> Iterator[memoryview]:
    from . import checkpoint

    header, arrays = contents(bank, bank._changed())
    arrays |= {name.replace("keys.", "gone."): array for name, array in key_arrays(bank._gone()).items()}
    header["object"] = "BankChanges"
    header["base"] = {"file": base.file, "digest": base.digest, "keys": bank._count()}
    return checkpoint.stream(header, arrays)


def _clean(target: str, base: Base) -> None:
    """Deletes the bases of this path that neither it nor the file before it names."""
    from . import checkpoint

    needed = {base.file}
    with suppress(CheckpointError, OSError):
        before = checkpoint.peek(target + ".prev").get("base")
        needed.add(str(before.get("file")) if isinstance(before, dict) else "")
    folder, own = os.path.split(target)
    for name in os.listdir(folder):
        if NAME.fullmatch(name) and name.rpartition(".base-")[0] == own and name not in needed:
            with suppress(OSError):
                os.unlink(os.path.join(folder, name))


# -- reading
def load(cls: type[BankParts], path: Any, found: Stored) -> Any:
    """The bank of a file of changes, at `path`, and of its base, both of unknown origin."""
    from . import checkpoint

    target, base = os.path.realpath(checkpoint.as_path(path)), found.header.get("base")
    if not isinstance(base, dict) or set(base) != {"file", "digest", "keys"}:
        raise BadHeaderError(argument="base", expected="file, digest and keys", got=repr(base)[:80])
    file, digest = base["file"], base["digest"]
    if type(file) is not str or not NAME.fullmatch(file) or type(digest) is not str:
        raise BadHeaderError(argument="base", expected="the name of a base, and its digest", got=repr(base)[:80])
    with checkpoint.stored(os.path.join(os.path.dirname(target), file)) as whole:
        if whole.digest != digest:
            raise BadDigestError(argument="base", expected=digest, got=whole.digest)
        require_kind(whole.header, "Bank")
        _same_settings(whole, found)
        bank = _bank_file.decoded(cls, whole.header, whole)
    bank._mark()
    bank._base = Base.of(target, file, digest)
    _apply(bank, found)
    need("base", bank._count() == base["keys"], f"{base['keys']} keys".replace("\n", " ")[:80], bank._count())
    return bank


def _same_settings(whole: Stored, found: Stored) -> None:
    same = whole.header.get("spec") == found.header.get("spec")
    names = [{name for name in part if name.startswith("spec.")} for part in (whole, found)]
    same = same and names[0] == names[1] and all(np.array_equal(whole[name], found[name]) for name in names[0])
    about = [part.header.get("bank") for part in (whole, found)]
    fixed = [isinstance(part, dict) and (part.get("max_keys"), part.get("evict_to")) for part in about]
    if not same or fixed[0] != fixed[1]:
        raise BadHeaderError(argument="spec", expected="the settings of the base", got="others")


def _apply(bank: BankParts, stored: Stored) -> None:
    """What has changed since the base, which counts as changed from then on as well."""
    found = read(bank, stored.header, stored, GONE)
    gone = read_keys(found.small, len(found.small["gone.kind"].reshape(-1)), "gone")
    slots, _ = bank._slots(gone, False)
    need("gone", bool((slots >= 0).all()) and len(np.unique(slots)) == len(slots), "different keys of the base")
    bank._remove(slots)
    slots, _ = bank._slots(found.keys, False)
    old, records = int((slots >= 0).sum()), found.records
    need("keys", bool((slots[:old] >= 0).all()), "keys of the base before new ones")
    need("keys", len(np.unique(slots[:old])) == old, "different keys")
    count = bank._count() + len(slots) - old
    for part, sections in pieces(found, slice(0, old)):
        bank._replace(slots[part], sections)
        if records.kind is not None:
            bank._last_times(records.kind)[slots[part]] = records.last[part]
        else:
            bank._forget_times(slots[part])
    add(bank, found, slice(old, len(slots)), slots)
    need("keys", bank._count() == count, "different keys")
    finish(bank, found)
