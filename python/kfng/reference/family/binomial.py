"""Binomial observations on the logit link: y successes of N trials, E(y) = N m with m = 1/(1+exp(-z)).

Score e = y - N m, Fisher factor L = sqrt(N m(1-m)).
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from ... import _special
from ..._special._gamma import gammaln_ratio
from ..._validate import Array, integer
from . import first_rows
from .base import Mask
from .bernoulli import slope
from .first_rows import Weight
from .large_counts import LARGE_COUNT, LargeCount
from .one_output import OneOutput
from .quadrature import laplace_hermite


@dataclass(frozen=True)
class FewOfMany:
    """k of n trials, (n, 1), few beside many, in the z of what there are few of."""

    k: Array
    n: Array

    def nll_at(self, z: Array) -> Array:
        k, n = self.k, self.n
        ways = gammaln_ratio(n - k + 1, k) - _special.gammaln(k + 1)
        return n * _special.log1pexp(z) - k * z - ways

    def score_at(self, z: Array) -> Array:
        return self.k - self.n * _special.expit(z)

    def curvature_at(self, z: Array) -> Array:
        return self.n * slope(z)


@dataclass(frozen=True, eq=False, repr=False)
class Binomial(OneOutput):
    """y successes of `trials` trials, each with probability 1/(1+exp(-z)).

    Parameters
    ----------
    trials : int >= 1 or None
        None: each y is a pair (successes, trials), and `predict`, which sees no y, speaks of one trial. A row whose
        successes are NaN is missing, and if its trials are NaN as well they count as 1.

    Raises
    ------
    ParameterError
    """

    trials: int | None = None

    link: ClassVar[str] = "logit"
    discrete: ClassVar[bool] = True
    _of_rows: ClassVar[Array | None] = None
    """Trials (n, 1) of the rows that `for_rows` was asked about."""

    def __post_init__(self) -> None:
        if self.trials is not None:
            self._set("trials", integer("trials", self.trials, low=1))

    def y_width(self, k: int) -> int:
        return 2 if self.trials is None else 1

    def for_rows(self, Y: Array) -> Self:
        if self.trials is not None:
            return self
        twin = copy(self)
        twin._set("_of_rows", self._trials(Y))
        return twin

    def _trials(self, y: Array) -> Array:
        """N (n, 1) of observations y (n, y_width)."""
        if self.trials is not None:
            return np.full((len(y), 1), float(self.trials))
        return np.where(np.isnan(y[:, 1:]), 1.0, y[:, 1:])

    def _count(self, z: Array) -> Array | float:
        """N where no y is at hand: of the rows asked about, else `trials`, else 1."""
        if self._of_rows is not None:
            return self._of_rows if z.ndim == 2 else self._of_rows[0]
        return 1.0 if self.trials is None else float(self.trials)

    def missing(self, y: Array) -> Mask:
        return np.isnan(y[:, 0])

    def invalid(self, y: Array) -> Mask:
        bad = np.any((y[:, :1] < 0) | (y[:, :1] > self._trials(y)), axis=1)
        if self.trials is None:
            bad |= (y[:, 1] < 0) | (np.isnan(y[:, 1]) & ~np.isnan(y[:, 0]))
        return bad

    def range_text(self) -> str:
        return (
            "(successes, trials) with 0 <= successes <= trials"
            if self.trials is None
            else f"a number in [0, {self.trials}]"
        )

    def score_at(self, z: Array, y: Array) -> Array:
        return y[:, :1] - self._trials(y) * _special.expit(z)

    def factor(self, z: Array, observed: Mask) -> Array:
        return np.sqrt(self._count(z) * slope(z))[:, None]

    def mean(self, z: Array) -> Array:
        return self._count(z) * _special.expit(z)

    def mean_slope(self, z: Array) -> Array:
        return (self._count(z) * slope(z))[:, :, None]

    def noise_covariance(self, z: Array, a: Array, b: Array) -> Array:
        return (self._count(z) * slope(z))[:, :, None]

    def nll_at(self, z: Array, y: Array) -> Array:
        y, n = y[:, :1], self._trials(y)
        return (
            n * _special.log1pexp(z)
            - y * z
            - _special.gammaln(n + 1)
            + _special.gammaln(y + 1)
            + _special.gammaln(n - y + 1)
        )

    @np.errstate(all="ignore")
    def plugin_nll(self, z: Array, y: Array, a: Array, b: Array) -> Array:
        return self._by_size(
            z, y, super().plugin_nll(z, y, a, b), lambda law, z: law.nll(z)[:, 0], lambda few, z: few.nll_at(z)[:, 0]
        )

    @np.errstate(all="ignore")
    def predictive_nll(self, z: Array, C: Array, y: Array, a: Array, b: Array) -> Array:
        q = C[:, :, 0]
        return self._by_size(
            z,
            y,
            super().predictive_nll(z, C, y, a, b),
            lambda law, z, q: law.predictive_nll(z, q),
            lambda few, z, q: laplace_hermite(few.nll_at, few.score_at, few.curvature_at, z, q),
            q,
        )

    def _by_size(self, z: Array, y: Array, result: Array, large: Any, few: Any, *more: Array) -> Array:
        """`result` (n,), of a few trials; with many by what does not cancel."""
        y, n = y[:, :1], self._trials(y)
        many = (n >= LARGE_COUNT)[:, 0]
        both = many & (np.minimum(y, n - y) >= LARGE_COUNT)[:, 0]
        if both.any():
            law = LargeCount.of_trials(y[both], n[both])
            result[both] = large(law, z[both], *(part[both] for part in more))
        rest = many & ~both & ~np.isnan(y[:, 0])
        if rest.any():
            sign = np.where(y <= n - y, 1.0, -1.0)[rest]
            of = FewOfMany(np.minimum(y, n - y)[rest], n[rest])
            result[rest] = few(of, sign * z[rest], *(part[rest] for part in more))
        return result

    def curvature_at(self, z: Array, y: Array) -> Array:
        return self._trials(y) * slope(z)

    def predictive_quantiles(self, z: Array, C: Array, a: Array, b: Array, q: Array) -> Array:
        from .mixture import binomial_quantiles

        return binomial_quantiles(z, C[:, :, 0], np.broadcast_to(self._count(z), z.shape), q)

    def predictive_tails(self, z: Array, C: Array, a: Array, b: Array, y: Array) -> tuple[Array, Array]:
        from .mixture import binomial_tail
        from .tails import count_tails

        trials = np.broadcast_to(self._count(z), z.shape)
        return count_tails(binomial_tail, z, C[:, :, 0], y, self.mean(z), trials)

    def level(self, Y: Array, w: Weight = None) -> Array:
        seen = np.where(self.missing(Y), 0.0, 1.0 if w is None else w)
        return _special.logit((first_rows.total(Y[:, :1], seen) + 0.5) / (first_rows.total(self._trials(Y), seen) + 1))

    def link_variance(self, Y: Array, w: Weight = None) -> Array:
        return np.full(1, np.pi**2 / 3)
