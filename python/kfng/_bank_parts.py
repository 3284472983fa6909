"""What the parts of a bank share: what an implementation supplies, what a bank holds, and how keys are looked up."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from . import _bank_rows, _forks, _keys
from ._bank_changes import Base
from ._bank_cold import Recency
from ._filter_base import COUNTERS, FilterBase
from ._keys import Column, Key
from ._settings import Settings
from ._stamps import KIND, NONE
from ._trace import Likelihood
from .errors import ParameterError, UnknownKeyError, UnsupportedError, shown

Float = NDArray[np.float64]
Slots = NDArray[np.int64]
Sections = dict[str, NDArray[Any]]


class BankParts:
    """The rest of a bank is methods on this."""

    settings: Settings
    _likelihood: Likelihood
    _lock: threading.RLock
    _priors: list[Settings]
    _time_kind: str | None
    _last: NDArray[Any]
    _recency: Recency | None
    _base: Base | None

    if TYPE_CHECKING:  # supplied by kfng.Bank and kfng.reference.Bank

        def _slots(self, keys: Column, create: bool) -> tuple[Slots, Slots]: ...
        def _run(self, slots: Slots, U: Any, Y: Any, weight: Any, dt: Any, offset: Any, blank: Any) -> Any: ...
        def _refuse(self, slots: Slots) -> None: ...
        def _predict(self, slots: Slots, U: Any, offset: Any) -> tuple[Float, Float, Float, Float]: ...
        def _theta(self, slots: Slots) -> NDArray[Any]: ...
        def _variances(self, slots: Slots) -> Float: ...
        def _noise(self, slots: Slots) -> tuple[Float, Float]: ...
        def _live(self) -> Slots: ...
        def _keys_at(self, slots: Slots) -> list[Key]: ...
        def _key_arrays(self, slots: Slots) -> Sections: ...
        def _reserve(self, ints: int) -> None: ...
        def _capacity(self) -> int: ...
        def _count(self) -> int: ...
        def _sections(self, slots: Slots, names: tuple[str, ...] | None = None) -> Sections: ...
        def _append(self, keys: Column, sections: Sections, prior: Slots) -> Slots: ...
        def _prior_of(self, slots: Slots) -> Slots: ...
        def _add_prior(self, settings: Settings) -> None: ...
        def _replace(self, slots: Slots, sections: Sections) -> None: ...
        def _remove(self, slots: Slots) -> None: ...
        def _mark(self) -> None: ...
        def _changed(self) -> Slots: ...
        def _gone(self) -> list[Key]: ...
        def _core_nbytes(self) -> int: ...
        def _filter_type(self) -> type[FilterBase]: ...

    @classmethod
    def _from_settings(cls, settings: Settings) -> Self:
        raise NotImplementedError

    @classmethod
    def _made(cls, settings: Settings, max_keys: Any = None, evict_to: Any = None) -> Self:
        """An empty bank."""
        if settings.sensitivity is not None or settings.model.inputs is None:
            expected = "a model without a state whose outputs follow from a row: Linear or MLP"
            raise UnsupportedError(argument="model", expected=expected, got=shown(settings.model))
        settings.rule.spec()  # a callable cannot be written to a file
        self = cls._from_settings(settings)
        self._begin(max_keys, evict_to)
        return self

    def _begin(self, max_keys: Any, evict_to: Any) -> None:
        self._lock = _forks.lock(self)
        self._priors = [self.settings]
        self._time_kind = None
        self._last = np.zeros(0)
        self._recency = Recency.of(self, max_keys, evict_to)
        self._base = None

    def spec(self) -> dict[str, Any]:
        """The settings as plain JSON values (arrays by shape)."""
        return self.settings.spec()

    def _counters(self, slots: Slots) -> NDArray[np.int64]:
        return self._sections(slots, ("counters",))["counters"].astype(np.int64)

    def _scales(self, slots: Slots) -> Float:
        """The posterior covariance as a multiple of what the belief keeps (n,): noise variance, times the rule's factor."""
        a, b = self._noise(slots)
        updates = self._counters(slots)[:, COUNTERS.index("n_updates")]
        counts, where = np.unique(updates, return_inverse=True)
        factors = np.array([self.settings.rule.scale(count) for count in counts.tolist()])
        return self.settings.family.posterior_scale(a, b) * (factors[where] if len(counts) else np.ones(0))

    def _set_prior(self, settings: Settings) -> None:
        self._add_prior(settings)
        self._priors.append(settings)

    @property
    def max_keys(self) -> int | None:
        """Keys kept in memory at most."""
        return None if self._recency is None else self._recency.max_keys

    @property
    def evict_to(self) -> str | None:
        """The file of keys that made room."""
        return None if self._recency is None else self._recency.path

    def _last_times(self, kind: str) -> NDArray[Any]:
        """Each slot's last time stamp, of this kind, grown to the slots there are."""
        if self._time_kind is None:
            self._time_kind, self._last = kind, np.zeros(0, dtype=KIND[kind])
        elif self._time_kind != kind:
            expected = f"{self._time_kind}s, as before"
            raise ParameterError(argument="time", expected=expected, got=f"{kind}s")
        self._last = grown(self._last, self._capacity(), NONE[kind])
        return self._last

    def _forget_times(self, slots: Slots) -> None:
        if self._time_kind is not None:
            self._last_times(self._time_kind)[slots] = NONE[self._time_kind]

    def _create(self, keys: Column) -> tuple[Slots, Slots]:
        """As `_slots`, new ones made: they have no last time."""
        slots, new = self._slots(keys, True)
        self._forget_times(slots[new])
        return slots, new

    def _column(self, keys: Any) -> Column:
        return _keys.column(keys)

    def _reading(self, column: Column, known: bool = False) -> _bank_rows.Reading:
        """The slots of keys while they are read, -1 where there is none: those in the file are in memory for so long."""
        return _bank_rows.Reading(self, column, known)

    def _need_posterior(self, argument: str) -> None:
        rule = self.settings.rule
        if not rule.has_posterior:
            expected = "a rule with a posterior covariance"
            raise UnsupportedError(argument=argument, expected=expected, got=shown(rule))


def grown(array: NDArray[Any], size: int, fill: Any) -> NDArray[Any]:
    """The array with room for `size` slots; a quarter more, so that growing costs little."""
    if len(array) >= size:
        return array
    larger = np.full(max(64, size + size // 4), fill, dtype=array.dtype)
    larger[: len(array)] = array
    return larger


def unknown(keys: Column, slots: Slots) -> UnknownKeyError:
    """The error of the first key that has no slot."""
    row = int(np.argmax(slots < 0))
    error = UnknownKeyError(argument="keys", expected="keys of the bank", got=shown(_keys.values(keys)[row]))
    error.row = row
    return error
