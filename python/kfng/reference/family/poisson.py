"""Poisson observations on the log link: y >= 0 a count, E(y) = m = exp(z).

Score e = y - m, Fisher factor L = sqrt(m).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ... import _special
from ..._validate import Array
from . import first_rows
from .base import Mask
from .first_rows import Weight
from .large_counts import Counts


def log_level(Y: Array, w: Weight = None) -> Array:
    """log((sum y + 1/2)/n) of counts (n, k), (k,)."""
    n = first_rows.count(Y, w)
    return np.log((first_rows.total(Y, w) + 0.5) / np.where(n > 0, n, 1))


def log_link_variance(Y: Array, w: Weight = None) -> Array:
    """max(1, log(1 + var/mean²)): the variance of log y of a positive quantity, (k,)."""
    mean, variance = first_rows.mean(Y, w), first_rows.variance(Y, w)
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.log1p(variance / mean**2)
    return np.maximum(1.0, np.where(np.isfinite(spread), spread, 1.0))


@dataclass(frozen=True, eq=False, repr=False)
class Poisson(Counts):
    """Counts y >= 0 with mean exp(z)."""

    link: ClassVar[str] = "log"
    discrete: ClassVar[bool] = True

    def invalid(self, y: Array) -> Mask:
        return np.any(y < 0, axis=1)

    def range_text(self) -> str:
        return "a number >= 0"

    def score_at(self, z: Array, y: Array) -> Array:
        return y - np.exp(z)

    def factor(self, z: Array, observed: Mask) -> Array:
        return np.exp(z / 2)[:, None]

    def mean(self, z: Array) -> Array:
        return np.exp(z)

    def mean_slope(self, z: Array) -> Array:
        return np.exp(z)[:, :, None]

    def noise_covariance(self, z: Array, a: Array, b: Array) -> Array:
        return np.exp(z)[:, :, None]

    def nll_at(self, z: Array, y: Array) -> Array:
        return np.exp(z) - y * z + _special.gammaln(y + 1)

    def other(self) -> float:
        return np.inf

    def curvature_at(self, z: Array, y: Array) -> Array:
        return np.exp(z)

    def predictive_quantiles(self, z: Array, C: Array, a: Array, b: Array, q: Array) -> Array:
        from .mixture import poisson_quantiles

        return poisson_quantiles(z, C[:, :, 0], q)

    def predictive_tails(self, z: Array, C: Array, a: Array, b: Array, y: Array) -> tuple[Array, Array]:
        from .mixture import poisson_tail
        from .tails import count_tails

        return count_tails(poisson_tail, z, C[:, :, 0], y, self.mean(z))

    def level(self, Y: Array, w: Weight = None) -> Array:
        return log_level(Y, w)

    def link_variance(self, Y: Array, w: Weight = None) -> Array:
        return log_link_variance(Y, w)
