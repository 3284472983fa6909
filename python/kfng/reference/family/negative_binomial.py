"""Negative binomial observations on the log link: counts with E(y) = m = exp(z) and Var(y) = m + dispersion·m².

Score e = (y-m)/(1 + dispersion·m), Fisher factor L = sqrt(m/(1 + dispersion·m)); both in the share
x = dispersion·m/(1 + dispersion·m), a logistic function of z, so that neither m nor m² is formed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ... import _special
from ..._validate import Array, positive
from .base import Mask
from .bernoulli import slope
from .first_rows import Weight
from .large_counts import Counts
from .poisson import log_level, log_link_variance

LEAST = 1e-300
"""The smallest dispersion that is told from 0."""


@dataclass(frozen=True, eq=False, repr=False)
class NegativeBinomial(Counts):
    """Counts y >= 0 with mean m = exp(z) and variance m + dispersion·m².

    Parameters
    ----------
    dispersion : float > 0
        Squared coefficient of variation of the rate from row to row; towards 0 the law is Poisson's (from 1e-300 on).

    Raises
    ------
    ParameterError
    """

    dispersion: float

    link: ClassVar[str] = "log"
    discrete: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self._set("dispersion", positive("dispersion", self.dispersion))

    def invalid(self, y: Array) -> Mask:
        return np.any(y < 0, axis=1)

    def range_text(self) -> str:
        return "a number >= 0"

    @property
    def _dispersion(self) -> float:
        """Far from where 1/dispersion overflows, and for z <= 300 still Poisson's law."""
        return max(self.dispersion, LEAST)

    def _odds(self, z: Array) -> Array:
        """log(dispersion·m)."""
        return z + np.log(self._dispersion)

    def score_at(self, z: Array, y: Array) -> Array:
        return y * _special.expit(-self._odds(z)) - _special.expit(self._odds(z)) / self._dispersion

    def factor(self, z: Array, observed: Mask) -> Array:
        return np.sqrt(_special.expit(self._odds(z)) / self._dispersion)[:, None]

    def mean(self, z: Array) -> Array:
        return np.exp(z)

    def mean_slope(self, z: Array) -> Array:
        return np.exp(z)[:, :, None]

    def noise_covariance(self, z: Array, a: Array, b: Array) -> Array:
        m = np.exp(z)
        return (m * (1 + self._dispersion * m))[:, :, None]

    def nll_at(self, z: Array, y: Array) -> Array:
        """(y + 1/d) log(1 + d m) - y log m + log Gamma(y+1) - log[d^y Gamma(y + 1/d)/Gamma(1/d)], d the dispersion."""
        d = self._dispersion
        return (
            y * _special.log1pexp(self._odds(z))
            + _special.log1pexp(self._odds(z)) / d
            - y * z
            + _special.gammaln(y + 1)
            - rising_factorial(y, d)
        )

    def other(self) -> float:
        return 1 / self._dispersion

    def curvature_at(self, z: Array, y: Array) -> Array:
        return (y + 1 / self._dispersion) * slope(self._odds(z))

    def predictive_quantiles(self, z: Array, C: Array, a: Array, b: Array, q: Array) -> Array:
        from .mixture import negative_binomial_quantiles

        return negative_binomial_quantiles(z, C[:, :, 0], self._dispersion, q)

    def predictive_tails(self, z: Array, C: Array, a: Array, b: Array, y: Array) -> tuple[Array, Array]:
        from .mixture import LARGEST_COUNT, negative_binomial_tail
        from .tails import count_tails, gamma_law_tails

        d = np.full_like(z, self._dispersion)
        lower, upper = count_tails(negative_binomial_tail, z, C[:, :, 0], y, self.mean(z), d)
        rows = ((z > 30) | (y >= LARGEST_COUNT))[
            :, 0
        ]  # counts that float64 does not tell apart: their continuous limit
        if rows.any():
            lower[rows], upper[rows] = gamma_law_tails(z[rows], C[rows][:, :, 0], y[rows], 1 / self._dispersion)
        return lower, upper

    def level(self, Y: Array, w: Weight = None) -> Array:
        return log_level(Y, w)

    def link_variance(self, Y: Array, w: Weight = None) -> Array:
        return log_link_variance(Y, w)


def rising_factorial(y: Array, d: float) -> Array:
    """log[d^y Gamma(y + 1/d)/Gamma(1/d)] = sum over j < y of log(1 + j·d), which is 0 where d is."""
    if d > 1e-3:
        return _special.gammaln(y + 1 / d) - _special.gammaln(1 / d) + y * np.log(d)
    r = 1 / d  # Stirling's series for both, so that log Gamma(1/d) does not cancel: DLMF 5.11.1
    x = y * d
    rest = 1 / (12 * (r + y)) - 1 / (12 * r) - (1 / (r + y)) ** 3 / 360 + d**3 / 360
    return r * ((1 + x) * np.log1p(x) - x) - 0.5 * np.log1p(x) + rest
