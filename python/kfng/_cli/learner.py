"""A filter, or a bank, that learns tables as a command gives them: new levels of categories become features on their way.

A category that has more than `most_levels` stops a pass over a file. A pipe cannot be read again: there all further levels are one,
`column=(other)`, which has a coefficient as the others have.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

import kfng

from .. import _grow, _tables
from .._bank_base import BankBase
from .._settings import Settings
from .._trace import SKIPPED, Trace
from .roles import Roles
from .trouble import Trouble, polars

MOST_LEVELS = 1000
OTHER = "(other)"


class Learner:
    """`model` is a filter, or with a key a bank."""

    def __init__(
        self, model: Any, roles: Roles, strict: bool = False, most_levels: int = MOST_LEVELS, shares: bool = False
    ) -> None:
        self.model, self.roles, self.most_levels, self._shares = model, roles, most_levels, shares
        self._bad = "raise" if strict else "skip"
        if isinstance(model, BankBase) != (roles.key is not None):
            raise Trouble("--key goes with a bank, and a bank with --key")

    @classmethod
    def start(cls, settings: Settings, roles: Roles, strict: bool, most_levels: int, shares: bool) -> Learner:
        made = kfng.Filter._from_settings(settings) if roles.key is None else kfng.Bank._made(settings)
        return cls(made, roles, strict, most_levels, shares)

    def learn(self, table: Any) -> list[Trace]:
        """The traces of consecutive rows."""
        traces, at = [], 0
        table = self._within(table)
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
        table = self._as_other(table)
        new = [name for _, name in _tables.unseen(self.model.settings, table)]
        model = self.grown(new, table) if new else self.model
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
        """The filter that there was is used up."""
        self.model = self.grown(names, keep=False)

    def grown(self, names: list[str], table: Any = None, keep: bool = True) -> Any:
        """With a feature more for each of these, whose prior is that of the other levels; of a bank the keys of `table` alone."""
        model = self.model
        if table is not None and isinstance(model, BankBase):
            model = model.export([key for key in table[self.roles.key].drop_nulls().unique() if key in model])
        for name in names:
            category, _, level = name.partition("=")
            own = _tables.levels_of(model.settings)[category]
            if len(own) >= self.most_levels and level != OTHER:
                raise too_many(category, self.most_levels)
            prior = _prior(model, category, own)
            if keep or isinstance(model, BankBase):
                model = model.add_features(1, names=[name], prior_variance=prior)
            else:
                model, _ = _grow.taken(model, 1, prior, [name])
        return model

    # -- more levels than there may be
    def _within(self, table: Any) -> Any:
        """The table with one name for all levels beyond the most."""
        if not self._shares:
            return self._as_other(table)
        beyond: dict[str, set[str]] = {}
        seen = {name: len(set(own) - {OTHER}) for name, own in _tables.levels_of(self.model.settings).items()}
        for _, feature in _tables.unseen(self.model.settings, table):
            name, _, level = feature.partition("=")
            seen[name] += level != OTHER
            if seen[name] > self.most_levels:
                beyond.setdefault(name, set()).add(level)
        for name, levels in beyond.items():
            if f"{name}={OTHER}" not in self.model.settings.feature_names:
                print(
                    f"kfng: column {name!r} has more than {self.most_levels:,} levels: all others are one, {OTHER}",
                    file=sys.stderr,
                )
            table = _renamed(table, name, levels)
        return table

    def _as_other(self, table: Any) -> Any:
        """The table with that name for levels which the model does not know, where it knows this one."""
        for name, known in _tables.levels_of(self.model.settings).items():
            if OTHER in known:
                table = _renamed(table, name, set(table[name].drop_nulls().unique()) - set(known))
        return table

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


def too_many(category: str, most: int) -> Trouble:
    return Trouble(f"column {category!r} has more than {most:,} levels: --drop {category}, or raise --max-levels")


def _renamed(table: Any, name: str, levels: set[str]) -> Any:
    pl = polars()
    column = pl.col(name)
    return table.with_columns(pl.when(column.is_in(sorted(levels))).then(pl.lit(OTHER)).otherwise(column).alias(name))


def _prior(flt: Any, category: str, levels: list[str]) -> Any:
    """Variances (units,) of a new level's weights: the median of those of its category."""
    settings = flt.settings
    weights = _grow.input_weights(settings.model, settings.belief.prior_diagonal(settings.p))
    named = {name: place for place, name in enumerate(settings.feature_names)}
    places = [named[f"{category}={level}"] for level in levels]
    return np.median(weights[:, places], axis=1) if places else None
