"""What a bank with `max_keys` does: it remembers which keys were used last, and lets those longest ago make room.

Room is made as if rows came one by one: the key that goes is the one whose last row is the longest ago, whatever the
batches. A *run* is as many rows as need no key that goes in it; keys go when the run is over, so that a row which fails
leaves those that it would have displaced.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from . import _keys, _validate
from ._keys import Column, Key
from .errors import ParameterError, shown

if TYPE_CHECKING:
    from ._bank_parts import BankParts
    from ._bank_store import Store

Slots = NDArray[np.int64]


class Plan(NamedTuple):
    """The first `rows` rows of a column are a run; `made`: its keys that are not in memory, each with the first of its rows;
    `gone`: which slots go for which row."""

    rows: int
    made: dict[Key, int]
    gone: list[tuple[int, int]]


class Recency:
    """When each slot was used last, as a count of rows."""

    def __init__(self, bank: BankParts, max_keys: int, path: str | None) -> None:
        self._bank, self.max_keys, self.path = bank, max_keys, path
        self.used: Slots = np.zeros(0, dtype=np.int64)
        self._clock = 0
        self._store: Store | None = None
        if path is not None:
            from ._bank_store import Store

            self._store = Store(path, bank)

    @classmethod
    def of(cls, bank: BankParts, max_keys: Any, evict_to: Any) -> Self | None:
        if max_keys is None:
            if evict_to is not None:
                raise ParameterError(argument="evict_to", expected="None without max_keys", got=shown(evict_to))
            return None
        if evict_to is not None:
            try:
                evict_to = os.path.abspath(os.fsdecode(evict_to))
            except TypeError:
                raise ParameterError(argument="evict_to", expected="a path", got=shown(evict_to)) from None
        return cls(bank, _validate.integer("max_keys", max_keys, low=1, high=2**40), evict_to)

    # -- a run of rows
    def plan(self, keys: Column) -> Plan:
        bank = self._bank
        slots, _ = bank._slots(keys, False)
        absent = np.flatnonzero(slots < 0)
        if not len(absent):
            return Plan(len(slots), {}, [])
        made: dict[Key, int] = {}
        values = _keys.values(keys)
        for row in absent.tolist():
            made.setdefault(values[row], row)
        if bank._count() + len(made) <= self.max_keys:
            return Plan(len(slots), made, [])
        return self._walk(slots, values, self._oldest(len(made), slots))

    def _oldest(self, needed: int, slots: Slots) -> list[int]:
        """Live slots, the one used longest ago first; as many as may go in a run that touches these."""
        live = self._bank._live()
        used, most = self._grown()[live], needed + len(np.unique(slots))
        if most < len(live):
            live = live[np.argpartition(used, most)[: most + 1]]
        return live[np.argsort(self.used[live], kind="stable")].tolist()

    def _walk(self, slots: Slots, values: list[Key], oldest: list[int]) -> Plan:
        """Row by row, till one needs a key that has gone for another one of the run, or nothing is left that may go."""
        room = self.max_keys - self._bank._count()
        touched: set[int] = set()
        gone: dict[int, int] = {}
        made: dict[Key, int] = {}
        candidates = iter(oldest)
        for row, slot in enumerate(slots.tolist()):
            if slot >= 0:
                if slot in gone:
                    return Plan(row, made, list(gone.items()))
                touched.add(slot)
            elif values[row] not in made:
                if room <= 0:
                    leaves = next((s for s in candidates if s not in touched), None)
                    if leaves is None:
                        return Plan(row, made, list(gone.items()))
                    gone[leaves] = row
                else:
                    room -= 1
                made[values[row]] = row
        return Plan(len(slots), made, list(gone.items()))

    def make(self, plan: Plan, keys: Column) -> tuple[Slots, Slots]:
        """Slots of a run's keys, and the rows at which they were made; keys from the file as they were, the others new."""
        rows: list[int] = []
        for fresh, group in self._groups(plan.made):
            names = _keys.column(list(group))
            if fresh is None:
                self._bank._create(names)
            else:
                self._put(names, fresh)
            rows += group.values()
        slots, _ = self._bank._slots(keys, False)
        return slots, np.array(rows, dtype=np.int64)

    def _groups(self, made: dict[Key, int]) -> Any:
        """Runs of keys that are all new (with None) or all in the file (with what it says), in order of appearance."""
        found = {} if self._store is None else self._store.read(list(made))
        group: dict[Key, int] = {}
        before = False
        for key, row in made.items():
            if group and (key in found) != before:
                yield ([found[k] for k in group] if before else None), group
                group = {}
            group[key], before = row, key in found
        if group:
            yield ([found[k] for k in group] if before else None), group

    def settle(self, plan: Plan, slots: Slots) -> None:
        """The rows of these slots were applied: they are the last used; what had to go for them goes."""
        self.use(slots)
        go = [slot for slot, row in plan.gone if row < len(slots)]
        self.evict(np.array(go, dtype=np.int64))

    def use(self, slots: Slots) -> None:
        self._grown()[slots] = np.arange(self._clock, self._clock + len(slots))  # the last of equal slots stays
        self._clock += len(slots)

    def evict(self, slots: Slots) -> None:
        if len(slots):
            if self._store is not None:
                self._store.write(slots)
            self._bank._remove(slots)

    def fit(self) -> None:
        """Let go what is too much."""
        surplus = self._bank._count() - self.max_keys
        if surplus > 0:
            live = self._bank._live()
            order = np.argsort(self._grown()[live], kind="stable")
            self.evict(live[order[:surplus]])

    # -- keys in the file
    def guests(self, keys: Column) -> Slots:
        """Bring keys that are in the file into memory, and give their slots; whoever asked lets them go again."""
        found = {} if self._store is None else self._store.read(list(dict.fromkeys(_keys.values(keys))))
        if not found:
            return np.zeros(0, dtype=np.int64)
        return self._put(_keys.column(list(found)), list(found.values()))

    def _put(self, keys: Column, found: list[Any]) -> Slots:
        from ._bank_copy import put
        from ._bank_store import stacked

        return put(self._bank, keys, stacked(self._bank, found))

    def forget(self, keys: Column) -> None:
        if self._store is not None:
            self._store.delete(_keys.values(keys))

    def _grown(self) -> Slots:
        from ._bank_parts import grown

        self.used = grown(self.used, self._bank._capacity(), 0)
        return self.used
