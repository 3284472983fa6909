"""kfng.reference.Bank: a dict of filters, which is what a bank is; the oracle of kfng.Bank."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from .. import _keys
from .._bank_base import BankBase, Sections, Slots
from .._bank_file import key_arrays
from .._filter_base import FilterBase
from .._keys import Column, Key
from .._settings import Settings
from .._validate import Array
from .filter import Filter, Likelihood


class Bank(BankBase):
    __doc__ = BankBase.__doc__

    _filters: dict[Key, tuple[int, Filter]]
    """In order of appearance, each key's slot and filter."""
    _at: dict[int, Key]
    """The key of each slot that is in use."""
    _prior_at: dict[int, int]
    _free: list[int]
    _starts: list[Filter]
    """Filters that have seen nothing, one for each prior."""
    _written: set[Key]
    """Keys made or written since `_mark`; `_then`: keys of then that are still there; `_left`: those that are gone."""
    _then: set[Key]
    _left: list[Key]

    @classmethod
    def _from_settings(cls, settings: Settings) -> Self:
        self = object.__new__(cls)
        _ = settings.threads  # checked as kfng does, though NumPy has threads of its own
        self.settings, self._likelihood = settings, Likelihood(settings.family)
        self._filters, self._at, self._prior_at, self._free = {}, {}, {}, []
        self._starts = [Filter._from_settings(settings)]
        self._written, self._then, self._left = set(), set(), []
        return self

    def _filter_type(self) -> type[FilterBase]:
        return Filter

    # -- keys and slots
    def _slots(self, keys: Column, create: bool) -> tuple[Slots, Slots]:
        new, names = [], _keys.values(keys)
        for row, key in enumerate(names):
            if create and key not in self._filters:
                self._add(key, self._starts[-1].copy(), len(self._starts) - 1)
                new.append(row)
        slots = [self._filters[key][0] if key in self._filters else -1 for key in names]
        return np.array(slots, dtype=np.int64), np.array(new, dtype=np.int64)

    def _add(self, key: Key, flt: Filter, prior: int) -> int:
        slot = self._free.pop() if self._free else len(self._at)
        self._filters[key], self._at[slot], self._prior_at[slot] = (slot, flt), key, prior
        self._written.add(key)
        return slot

    def _remove(self, slots: Slots) -> None:
        for slot in slots.tolist():
            key = self._at.pop(slot)
            del self._filters[key]
            self._free.append(slot)
            self._written.discard(key)
            if key in self._then:
                self._then.remove(key)
                self._left.append(key)

    # -- what has changed
    def _mark(self) -> None:
        self._written, self._then, self._left = set(), set(self._filters), []

    def _changed(self) -> Slots:
        return np.array([slot for key, (slot, _) in self._filters.items() if key in self._written], dtype=np.int64)

    def _gone(self) -> list[Key]:
        return list(self._left)

    def _of(self, slots: Slots) -> list[Filter]:
        """The filter of each slot; of -1 one that has seen nothing."""
        return [self._starts[-1] if slot < 0 else self._filters[self._at[slot]][1] for slot in slots.tolist()]

    def _live(self) -> Slots:
        return np.array([slot for slot, _ in self._filters.values()], dtype=np.int64)

    def _keys_at(self, slots: Slots) -> list[Key]:
        return [self._at[slot] for slot in slots.tolist()]

    def _key_arrays(self, slots: Slots) -> Sections:
        return key_arrays(self._keys_at(slots))

    def _reserve(self, ints: int) -> None:
        pass

    def _capacity(self) -> int:
        return len(self._at) + len(self._free)

    def _count(self) -> int:
        return len(self._filters)

    # -- rows
    def _run(self, slots: Slots, U: Any, Y: Any, weight: Any, dt: Any, offset: Any, blank: Any) -> tuple[Any, ...]:
        rows, error = (U, Y, weight, dt, offset, blank), None
        out: list[Any] = [self._starts[0]._run(*(part[:0] for part in rows))[2:]]
        for i, flt in enumerate(self._of(slots)):
            done, error, *row = flt._run(*(part[i : i + 1] for part in rows))
            if not done:
                break
            out.append(tuple(row))
        self._written.update(self._at[slot] for slot in slots.tolist())
        return len(out) - 1, error, *(np.concatenate(parts) for parts in zip(*out, strict=True))

    def _refuse(self, slots: Slots) -> None:
        self._written.update(self._at[slot] for slot in slots.tolist())
        for flt in self._of(slots):
            flt._refuse(1)

    def _predict(self, slots: Slots, U: Any, offset: Any) -> tuple[Array, Array, Array, Array]:
        k = self.settings.k
        z, C = np.zeros((len(slots), k)), np.zeros((len(slots), k, k))
        for i, flt in enumerate(self._of(slots)):
            z[i : i + 1], C[i : i + 1] = flt._predict(U[i : i + 1], offset[i : i + 1])
        return z, C, *self._noise(slots)

    # -- reading
    def _theta(self, slots: Slots) -> NDArray[Any]:
        found = [flt.theta for flt in self._of(slots)]
        return np.array(found, dtype=self.settings.float).reshape(-1, self.settings.p)

    def _variances(self, slots: Slots) -> Array:
        belief = self.settings.belief
        found = [belief.variances(flt._now.P) for flt in self._of(slots)]
        return np.array(found, dtype=np.float64).reshape(len(slots), self.settings.p)

    def _noise(self, slots: Slots) -> tuple[Array, Array]:
        pairs, m = [flt._noise() for flt in self._of(slots)], self.settings.family.noise_scales(self.settings.k)
        a, b = (np.array([pair[i] for pair in pairs], dtype=np.float64).reshape(len(pairs), m) for i in (0, 1))
        return a, b

    def _sections(self, slots: Slots, names: tuple[str, ...] | None = None) -> Sections:
        template = self._starts[0]._state()
        states = [flt._state() for flt in self._of(slots)]
        return {
            name: np.array([state[name] for state in states], dtype=part.dtype).reshape(len(states), *part.shape)
            for name, part in template.items()
            if names is None or name in names
        }

    def _append(self, keys: Column, sections: Sections, prior: Slots) -> Slots:
        made = []
        for i, index in enumerate(prior.tolist()):
            flt = self._starts[index].copy()
            flt._set_state({name: part[i] for name, part in sections.items()})
            made.append(flt)
        slots = map(self._add, _keys.values(keys), made, prior.tolist())
        return np.array(list(slots), dtype=np.int64)

    def _replace(self, slots: Slots, sections: Sections) -> None:
        for i, (slot, flt) in enumerate(zip(slots.tolist(), self._of(slots), strict=True)):
            flt._set_state({name: part[i] for name, part in sections.items()})
            self._written.add(self._at[slot])

    # -- priors
    def _prior_of(self, slots: Slots) -> Slots:
        return np.array([self._prior_at[slot] for slot in slots.tolist()], dtype=np.int64)

    def _add_prior(self, settings: Settings) -> None:
        self._starts.append(Filter._from_settings(settings))

    def _core_nbytes(self) -> int:
        return sum(part.nbytes for _, flt in self._filters.values() for part in flt._state().values())
