"""The SQLite file of keys that made room in a bank.

A key's row stays in the file when the key comes back: the key in memory is the later one, and is what counts. So a bank
that is loaded from an older save still finds whatever had made room by then. One bank at a time uses a file.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import _bank_copy
from ._bank_prior import noise_scale, same_prior, with_prior
from ._keys import Key
from ._settings import Settings
from ._stamps import NONE
from .errors import BadValueError, KfngError, UnreadableError, UnsupportedError

if TYPE_CHECKING:
    from ._bank_parts import BankParts

AT_ONCE = 500
TABLES = """
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE layouts (id INTEGER PRIMARY KEY, layout TEXT UNIQUE NOT NULL);
CREATE TABLE priors (id INTEGER PRIMARY KEY, theta BLOB NOT NULL, variance BLOB NOT NULL, noise BLOB NOT NULL,
    UNIQUE (theta, variance, noise));
CREATE TABLE keys (key PRIMARY KEY NOT NULL, layout INTEGER NOT NULL, state BLOB NOT NULL, prior INTEGER NOT NULL, last BLOB)
    WITHOUT ROWID;
"""


class Record(NamedTuple):
    """One key of the file."""

    sections: dict[str, NDArray[Any]]
    prior: Settings
    last: Any


class Store:
    """The file, opened at once; sections, prior and last time of each key in it."""

    def __init__(self, path: str, bank: BankParts) -> None:
        self._path, self._bank, self._pid = path, bank, 0
        self._connection: sqlite3.Connection | None = None
        with self._open() as db:
            if not db.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
                db.executescript(TABLES)
                db.execute("INSERT INTO about VALUES ('spec', ?)", (self._spec(),))
            found = dict(db.execute("SELECT name, value FROM about").fetchall())
        if found.get("spec") != self._spec():
            expected = "a new file, or one of a bank with these settings"
            raise UnsupportedError(argument="evict_to", expected=expected, got="other settings")
        if "time" in found:
            bank._last_times(found["time"])

    def _spec(self) -> str:
        settings = self._bank.settings
        spec = {name: value for name, value in settings.spec().items() if name not in ("num_threads", "seed", "theta")}
        arrays = {name: array.tolist() for name, array in settings.arrays().items()} | {
            "theta": settings.theta.tolist()
        }
        return json.dumps([spec, arrays])

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """The connection of this process, in a transaction; a fork has one of its own."""
        try:
            if self._connection is None or self._pid != os.getpid():
                self._connection = sqlite3.connect(self._path, check_same_thread=False)
                self._pid = os.getpid()
            with self._connection as db:
                yield db
        except sqlite3.Error as error:
            expected = "an SQLite file that can be read and written"
            raise UnreadableError(argument="evict_to", expected=expected, got=f"{self._path!r} ({error})") from error

    def write(self, slots: NDArray[np.int64]) -> None:
        keys, new = self._bank._keys_at(slots), _bank_copy.records(self._bank, slots)
        names = sorted(new.sections)
        parts = [np.ascontiguousarray(new.sections[name]) for name in names]
        layout = [[name, part.dtype.str, part.shape[1:]] for name, part in zip(names, parts, strict=True)]
        with self._open() as db:
            db.execute("INSERT OR IGNORE INTO layouts (layout) VALUES (?)", (json.dumps(layout),))
            ((form,),) = db.execute("SELECT id FROM layouts WHERE layout = ?", (json.dumps(layout),)).fetchall()
            prior = {i: self._prior(db, i, new.priors[i]) for i in np.unique(new.prior).tolist()}
            if new.kind is not None:
                db.execute("INSERT OR IGNORE INTO about VALUES ('time', ?)", (new.kind,))
            rows = (
                (key, form, b"".join(part[i].tobytes() for part in parts), prior[int(new.prior[i])],
                 None if new.kind is None else new.last[i].tobytes())
                for i, key in enumerate(keys)
            )  # fmt: skip
            db.executemany("INSERT OR REPLACE INTO keys VALUES (?, ?, ?, ?, ?)", rows)

    def _prior(self, db: sqlite3.Connection, index: int, prior: Settings) -> int:
        """Its number in the file; 0 is the bank's own."""
        if index == 0:
            return 0
        parts = [part.tobytes() for part in (prior.theta, prior.belief.prior_diagonal(prior.p), noise_scale(prior))]
        db.execute("INSERT OR IGNORE INTO priors (theta, variance, noise) VALUES (?, ?, ?)", parts)
        found = db.execute("SELECT id FROM priors WHERE theta = ? AND variance = ? AND noise = ?", parts)
        ((number,),) = found.fetchall()
        return int(number)

    def read(self, keys: list[Key]) -> dict[Key, Record]:
        """Those of the keys that are in the file, in the order asked for."""
        rows: dict[Key, Any] = {}
        with self._open() as db:
            for start in range(0, len(keys), AT_ONCE):
                part = keys[start : start + AT_ONCE]
                marks = ", ".join("?" * len(part))
                found = db.execute(f"SELECT key, layout, state, prior, last FROM keys WHERE key IN ({marks})", part)
                rows |= {row[0]: row[1:] for row in found.fetchall()}
            if not rows:
                return {}
            layouts = {number: json.loads(text) for number, text in db.execute("SELECT id, layout FROM layouts")}
            priors = {number: parts for number, *parts in db.execute("SELECT id, theta, variance, noise FROM priors")}
        try:
            return {key: self._record(rows[key], layouts, priors) for key in keys if key in rows}
        except (ValueError, KeyError, TypeError, KfngError) as error:
            raise BadValueError(argument="evict_to", expected="records of a bank", got=str(error)[:80]) from error

    def _record(self, row: Any, layouts: dict[int, Any], priors: dict[int, Any]) -> Record:
        form, state, number, last = row
        sections, at = {}, 0
        for name, dtype, shape in layouts[form]:
            part = np.frombuffer(state, dtype=np.dtype(dtype), count=int(np.prod(shape, dtype=int)), offset=at)
            sections[name], at = part.reshape(shape), at + part.nbytes
        settings = self._bank.settings
        if number:
            settings = with_prior(settings, *(np.frombuffer(blob) for blob in priors[number]))
        kind = self._bank._time_kind
        when = (
            None if last is None or kind is None else np.frombuffer(last, dtype=self._bank._last_times(kind).dtype)[0]
        )
        return Record(sections, settings, when)

    def delete(self, keys: list[Key]) -> None:
        with self._open() as db:
            db.executemany("DELETE FROM keys WHERE key = ?", ((key,) for key in keys))


def stacked(bank: BankParts, found: list[Record]) -> _bank_copy.Records:
    """Records of the file as `_bank_copy.put` takes them."""
    priors: list[Settings] = []
    prior = []
    for record in found:
        index = next((i for i, own in enumerate(priors) if same_prior(own, record.prior)), None)
        if index is None:
            index = len(priors)
            priors.append(record.prior)
        prior.append(index)
    sections = {name: np.array([record.sections[name] for record in found]) for name in found[0].sections}
    kind = bank._time_kind
    none = None if kind is None else NONE[kind]
    last = np.array([none if record.last is None else record.last for record in found]) if kind else np.zeros(0)
    return _bank_copy.Records(sections, np.array(prior, dtype=np.int64), priors, kind, last)
