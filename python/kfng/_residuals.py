"""What a trace says of the y that came, as numbers that are alike for all families: errors, standard errors, places in the law."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _border
from ._law import Law, law, mixed_tails, require_order
from ._mixture_trace import MixtureTrace, mixed_mean
from ._settings import Settings
from ._trace import Trace
from .errors import ParameterError

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Seen:
    """A trace and the y (n, y_width) to judge it by."""

    trace: Trace | MixtureTrace
    Y: Float

    @classmethod
    def of(cls, trace: Any, y: Any = None) -> Seen:
        if not isinstance(trace, (Trace, MixtureTrace)):
            raise ParameterError(argument="trace", expected="a Trace or MixtureTrace", got=type(trace).__name__)
        first = trace.traces[0] if isinstance(trace, MixtureTrace) else trace
        Y = first.Y if y is None else _border.many_y(first.settings, "y", y, len(trace))
        return cls(trace, np.asarray(Y, dtype=np.float64))

    @property
    def parts(self) -> tuple[Trace, ...]:
        return self.trace.traces if isinstance(self.trace, MixtureTrace) else (self.trace,)

    @property
    def settings(self) -> Settings:
        return self.parts[0].settings

    @property
    def weights(self) -> Float:
        """(m, n) of the filters of a mixture; one of a filter."""
        if isinstance(self.trace, MixtureTrace):
            return np.ascontiguousarray(self.trace.weights.T)
        return np.ones((1, len(self.trace)))

    @property
    def laws(self) -> list[Law]:
        return [own._replace(seen=own.seen._replace(y=self.Y)) for own in (law(part) for part in self.parts)]

    @cached_property
    def wide(self) -> Float:
        """y (n, m_y) as what the mean is the mean of: of a class one number for each."""
        family = self.settings.family
        shape = self.settings.mean_shape
        if type(family).__name__ == "Categorical":
            known = ~np.isnan(self.Y[:, 0])
            hot = np.eye(shape[0])[np.where(known, self.Y[:, 0], 0).astype(np.intp)]
            return np.where(known[:, None], hot, np.nan)
        return self.Y[:, :1] if shape == () else self.Y

    def table(self, values: Any) -> Float:
        """(n, m_y) of what is shaped as the prediction."""
        return np.asarray(values, dtype=np.float64).reshape(len(self.Y), math.prod(self.settings.mean_shape))

    @cached_property
    def errors(self) -> Float:
        """y - prediction, (n, m_y)."""
        return self.wide - self.table(self.trace.prediction)

    @cached_property
    def residuals(self) -> Float:
        """Errors over their predicted standard deviations, (n, m_y); NaN where y is missing."""
        with np.errstate(divide="ignore", invalid="ignore"):
            found = self.errors / self.table(self.trace.std)
        return np.where(np.isfinite(found), found, np.nan)

    def covariance(self) -> Float:
        """Cov(y) with theta integrated out, (n, m_y, m_y)."""
        with np.errstate(all="ignore"):
            each = []
            for own in self.laws:
                family = own.settings.family.for_rows(self.Y)
                z, C, _, a, b = own.seen
                each.append(family.predictive_covariance(z, C, a, b))
            if len(each) == 1:
                return each[0]
            centre = self.table(self.trace.prediction)
            away = [self.table(part.prediction) - centre for part in self.parts]
            return mixed_mean(
                self.weights, [C + d[:, :, None] * d[:, None, :] for C, d in zip(each, away, strict=True)]
            )

    def pit(self, rng: np.random.Generator, rows: Any = slice(None)) -> Float:
        """P(Y <= y) of some rows (m, m_y), of counts a uniform draw between P(Y < y) and that; NaN where y is missing."""
        for part in self.parts:
            require_order(part.settings, "pit")
        y = self.wide[rows]
        lower = self._below(y, rows)
        if self.settings.family.discrete:
            before = self._below(np.ceil(y) - 1, rows)
            lower = before + rng.random(y.shape) * (lower - before)
        return np.where(np.isnan(y), np.nan, lower)

    def _below(self, y: Float, rows: Any) -> Float:
        laws = self.laws
        return laws[0].tails(y, rows)[0] if len(laws) == 1 else mixed_tails(laws, self.weights.T, y, rows)[0]
