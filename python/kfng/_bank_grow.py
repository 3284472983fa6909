"""A bank each of whose filters has more features: the records of all keys at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import _bank_copy, _grow, _keys
from ._bank_prior import same_prior
from .errors import UnsupportedError

if TYPE_CHECKING:
    from ._bank_base import BankBase


def add_features(bank: BankBase, n: int, prior_variance: Any, names: Any) -> Any:
    """See `Bank.add_features`."""
    if bank.max_keys is not None:
        raise UnsupportedError(argument="add_features", expected="a bank without max_keys", got=bank.max_keys)
    slots = bank._live()
    old = _bank_copy.records(bank, slots)
    grown = [_grow.with_features(prior, n, prior_variance, names) for prior in old.priors]
    made, keep = _grow.with_features(bank.settings, n, prior_variance, names)
    other = type(bank)._made(made)
    fresh = [bank._filter_type()._from_settings(settings)._state() for settings, _ in grown]
    sections: dict[str, NDArray[Any]] = {}
    for i in np.unique(old.prior).tolist():
        own = old.prior == i
        for name, part in _grow.larger({key: some[own] for key, some in old.sections.items()}, fresh[i], keep).items():
            if name not in sections:
                sections[name] = np.empty((len(slots), *part.shape[1:]), dtype=part.dtype)
            sections[name][own] = part
    priors = [settings for settings, _ in grown]
    if len(slots):
        _bank_copy.put(other, _keys.column(bank._keys_at(slots)), old._replace(sections=sections, priors=priors))
    if not same_prior(other._priors[-1], priors[-1]):
        other._set_prior(priors[-1])
    return other
