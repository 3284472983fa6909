"""A filter, or a bank, that learns tables as a command gives them: new levels of categories become features on their way."""

from __future__ import annotations

from typing import Any

import numpy as np

import kfng

from .. import _tables
from .._bank_base import BankBase
from .._settings import Settings
from .._trace import SKIPPED, Trace
from .roles import Roles
from .trouble import Trouble

MOST_LEVELS = 1000


class Learner:
    """`model` is a filter, or with a key a bank."""

    def __init__(self, model: Any, roles: Roles, strict: bool = False, most_levels: int = MOST_LEVELS) -> None:
        self.model, self.roles, self.most_levels = model, roles, most_levels
        self._bad = "raise" if strict else "skip"
        if isinstance(model, BankBase) != (roles.key is not None):
            raise Trouble("--key goes with a bank, and a bank with --key")

    @classmethod
    def start(cls, settings: Settings, roles: Roles, strict: bool, most_levels: int) -> Learner:
        made = kfng.Filter._from_settings(settings) if roles.key is None else kfng.Bank._made(settings)
        return cls(made, roles, strict, most_levels)

    def learn(self, table: Any) -> list[Trace]:
        """The traces of consecutive rows."""
        traces, at = [], 0
        for row, name in _tables.unseen(self.model.settings, table):
            if row > at:
                traces.append(self._learn(table[at:row]))
                at = row
            self.grow([name])
        if at < len(table):
            traces.append(self._learn(table[at:]))
        return traces

    def _learn(self, table: Any) -> Trace:
        roles = self.roles
        weight, offset, time = roles.weight, roles.offset, roles.time
        if roles.key is None:
            return self.model.update_many(
                table, target=roles.target, weight=weight, offset=offset, time=time, on_bad_row=self._bad
            )
        keyed = table[roles.key].is_not_null().to_numpy()
        if not keyed.all() and self._bad == "skip":
            return _among(self._learn(table.filter(keyed)), keyed)
        rows = _tables.given(self.model.settings, table, None, roles.target, weight, None, offset, time)
        return self.model.update(
            table[roles.key].to_list(), rows.U[:], rows.Y, weight=rows.weight, offset=rows.offset, time=rows.time, on_bad_row=self._bad
        )  # fmt: skip

    def predict(self, table: Any) -> tuple[Any, Any]:
        """Mean and deviation; NaN where an input is missing. A level that is new is one whose coefficient the prior knows."""
        new = [name for _, name in _tables.unseen(self.model.settings, table)]
        model = self.grown(new) if new else self.model
        rows, offset = _tables.inputs(model.settings, table, 0.0 if self.roles.offset is None else self.roles.offset)
        U = rows[:]
        offset = np.broadcast_to(np.asarray(offset, dtype=np.float64), (len(U),))
        good = np.isfinite(U).all(axis=1) & np.isfinite(offset)
        if self.roles.key is not None:
            good &= table[self.roles.key].is_not_null().to_numpy()
        shape = (len(U), *model.settings.mean_shape)
        mean, std = np.full(shape, np.nan), np.full(shape, np.nan)
        if good.any():
            k = model.settings.k
            more: dict[str, Any] = {"offset": offset[good] if k == 1 else np.repeat(offset[good, None], k, axis=1)}
            keys = (
                []
                if self.roles.key is None
                else [[key for key, ok in zip(table[self.roles.key], good, strict=True) if ok]]
            )
            try:
                mean[good], std[good] = model.predict(*keys, U[good], return_std=True, **more)
            except kfng.UnsupportedError:  # a rule without a posterior
                mean[good] = model.predict(*keys, U[good], **more)
        return mean, std

    def grow(self, names: list[str]) -> None:
        self.model = self.grown(names)

    def grown(self, names: list[str]) -> Any:
        """With a feature more for each of these, whose prior is that of the other levels."""
        settings, model = self.model.settings, self.model
        for name in names:
            category, _, level = name.partition("=")
            if isinstance(model, BankBase) or not isinstance(settings.model, kfng.Linear):
                what = "a bank" if isinstance(model, BankBase) else type(settings.model).__name__
                raise Trouble(f"column {category!r}: {level!r} is a new level, and {what} cannot grow")
            own = _tables.levels_of(model.settings)[category]
            if len(own) >= self.most_levels:
                raise Trouble(
                    f"column {category!r} has more than {self.most_levels:,} levels: --drop {category}, or raise --max-levels"
                )
            model = model.add_features(1, names=[name], prior_variance=_prior(model, category, own))
        return model

    def save(self, path: str) -> None:
        self.model.save(path)


def _among(trace: Trace, there: Any) -> Trace:
    """The trace of rows of which only those `there` were learned; the others are left out."""
    parts = {}
    for name in ("z", "C", "Y", "a", "b"):
        some = getattr(trace, name)
        parts[name] = np.full((len(there), *some.shape[1:]), np.nan)
        parts[name][there] = some
    flags = np.full(len(there), SKIPPED, dtype=np.uint8)
    flags[there] = trace.flags
    return Trace(trace.settings, trace.likelihood, **parts, flags=flags)


def _prior(flt: Any, category: str, levels: list[str]) -> Any:
    """Variances (k,) of a new level's coefficients: the median of those of its category."""
    settings = flt.settings
    weights = settings.model.split(settings.belief.prior_diagonal(settings.p))["weight"]
    places = [settings.feature_names.index(f"{category}={level}") for level in levels]
    return np.median(weights[:, places], axis=1) if places else None
