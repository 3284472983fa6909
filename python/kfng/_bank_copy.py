"""Keys of a bank outside it: all that is known of them, copied to another bank."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import _keys
from ._bank_prior import same_prior
from ._keys import Column
from ._settings import AXES, Settings
from .errors import ParameterError, UnsupportedError

if TYPE_CHECKING:
    from ._bank_parts import BankParts
    from .checkpoint import Stored

    Arrays = Stored | dict[str, NDArray[Any]]

Slots = NDArray[np.int64]


class Records(NamedTuple):
    """All that a bank knows of K keys but the keys: states stacked, `prior` (K,) an index of `priors`, last times."""

    sections: dict[str, NDArray[Any]]
    prior: Slots
    priors: list[Settings]
    kind: str | None
    last: NDArray[Any]


def records(bank: BankParts, slots: Slots) -> Records:
    kind = bank._time_kind
    last = np.zeros(0) if kind is None else bank._last_times(kind)[slots]
    return Records(bank._sections(slots), bank._prior_of(slots), list(bank._priors), kind, last)


def put(bank: BankParts, keys: Column, new: Records) -> Slots:
    """Add keys that are not there, in order; all or none."""
    slots = bank._append(keys, new.sections, priors_here(bank, new))
    if new.kind is not None:
        bank._last_times(new.kind)[slots] = new.last
    else:
        bank._forget_times(slots)
    if bank._recency is not None:
        bank._recency.use(slots)
    return slots


def priors_here(bank: BankParts, new: Records) -> Slots:
    """Each key's prior among those of the bank, which are made where they are not there."""
    known = [_prior_index(bank, prior) for prior in new.priors]
    prior = np.array([len(bank._priors) if index is None else index for index in known], dtype=np.int64)
    added = [i for i in np.unique(new.prior).tolist() if known[i] is None]
    if added:
        current = bank._priors[-1]
        for i in added:
            prior[i] = len(bank._priors)
            bank._set_prior(new.priors[i])
        bank._set_prior(current)
    return prior[new.prior]


def _prior_index(bank: BankParts, prior: Settings) -> int | None:
    return next((i for i, own in enumerate(bank._priors) if same_prior(own, prior)), None)


def transfer(bank: BankParts, slots: Slots, other: BankParts, keys: Column) -> None:
    """Copies of these keys for an empty bank of the same settings, whose new keys start as here."""
    put(other, keys, records(bank, slots))
    if not same_prior(other._priors[-1], bank._priors[-1]):
        other._set_prior(bank._priors[-1])


def absorb(bank: BankParts, other: Any) -> None:
    if not isinstance(other, type(bank)):
        raise ParameterError(argument="other", expected="a bank of the same kind", got=type(other).__name__)
    first, second = sorted((bank, other), key=id)
    with first._lock, second._lock:
        _same_settings(bank.settings, other.settings)
        slots = other._live()
        names = _keys.column(other._keys_at(slots))
        with bank._reading(names) as here:
            if (here >= 0).any():
                key = _keys.values(names)[int(np.argmax(here >= 0))]
                raise ParameterError(argument="other", expected="keys that are not here", got=repr(key)[:80])
        new = records(other, slots)
        if None not in (bank._time_kind, new.kind) and bank._time_kind != new.kind:
            raise UnsupportedError(argument="time", expected=f"{bank._time_kind}s in both", got=f"{new.kind}s")
        put(bank, names, new)
        if bank._recency is not None:
            bank._recency.fit()


def _same_settings(mine: Settings, other: Settings) -> None:
    for name in (*AXES, "iterations", "dtype", "feature_names", "categories", "class_names"):
        ours, its = getattr(mine, name), getattr(other, name)
        if ours != its:
            raise UnsupportedError(argument=name, expected=f"the same in both: {ours!r:.80}", got=repr(its)[:80])
    if not np.array_equal(mine.theta, other.theta):
        raise UnsupportedError(argument="theta", expected="the same theta_0 in both", got="another")
