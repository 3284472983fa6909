"""-log densities of large counts, about their own z, so that nothing of size y log y cancels.

The laws of counts are, in s = z - (the z at which y is the mean) and with x = y/(y + other), but for a constant

    (y + other) [log(1 + x (e^s - 1)) - x s] >= 0,

`other` = n - y for the binomial law, 1/dispersion for the negative binomial, infinite for Poisson's, where it is
y (e^s - 1 - s). The constant is what remains at s = 0, by Stirling's series (DLMF 5.11.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from ... import _special
from ..._special._elementary import expm1mx, log1pmx
from ..._special._gamma import LARGE, stirling_rest
from ..._validate import Array
from .one_output import OneOutput
from .quadrature import NODES, log_sum_exp, rising_root

LARGE_COUNT = 1e5
"""From here on; below, 2^-53 y log y, what the plain forms lose, is 1.3e-10 at most, and counts keep the bits they always had."""
FAR = 700.0
"""e^s may overflow beyond."""
HALF_LOG_2PI = float(np.log(2 * np.pi)) / 2


@dataclass(frozen=True)
class LargeCount:
    """The law of y (n, 1) about the z at which it is the mean, all (n, 1); other > 0, inf for Poisson's law."""

    y: Array
    other: Array
    centre: Array
    least: Array
    """nll at the centre."""

    @classmethod
    @np.errstate(all="ignore")
    def on_log_link(cls, y: Array, r: Array) -> Self:
        """r = 1/dispersion."""
        odds = y / r
        log_share = np.where(np.isinf(odds), np.log(y) - np.log(r), np.log1p(odds))
        rest = stirling_rest(y) - stirling_rest(y + r) + _stirling_constant(r)
        return cls(y, r, np.log(y), (np.log(y) + log_share) / 2 + rest)

    @classmethod
    @np.errstate(all="ignore")
    def of_trials(cls, y: Array, n: Array) -> Self:
        """y of n, both y and n - y large."""
        other = n - y
        share = np.log(y) - np.log(n) + np.log(other)
        rest = stirling_rest(y) + stirling_rest(other) - stirling_rest(n)
        return cls(y, other, np.log(y / other), share / 2 + HALF_LOG_2PI + rest)

    def departure(self, z: Array) -> Array:
        """s (n, m)."""
        return z - self.centre

    @np.errstate(all="ignore")
    def excess(self, s: Array) -> Array:
        """nll(s) - nll(0), (n, m): by the smaller of x and 1 - x, which change places with y, other and s, -s."""
        swap = self.y > self.other
        k, rest = np.where(swap, self.other, self.y), np.where(swap, self.y, self.other)
        p, s = 1 / (1 + rest / k), np.where(swap, -s, s)
        u = p * np.expm1(s)
        near = expm1mx(s) + np.expm1(s) * np.where(u == 0, 0.0, log1pmx(u) / u)
        far = np.expm1(s) * np.where(u == 0, 1.0, np.log1p(u) / u) - s
        log_p = np.log(k) - np.log(rest) - np.log1p(k / rest)
        beyond = (k + rest) * _special.log1pexp(log_p + s) - k * s  # where e^s overflows
        beyond = np.where(np.isinf(k + rest), np.inf, beyond)
        return np.where(np.isfinite(u), k * np.where(np.abs(s) < 1, near, far), beyond)

    @np.errstate(all="ignore")
    def score(self, s: Array) -> Array:
        """-d excess/ds, (n, m)."""
        log_odds, odds, share = self._mean_at(s)
        above = np.where(s > -FAR, self.other * np.expm1(-s), self.y * odds)  # equal, but for 1
        return np.where(log_odds > 0, above, -self.y * np.expm1(s)) * share

    @np.errstate(all="ignore")
    def curvature(self, s: Array) -> Array:
        """d² excess/ds², (n, m)."""
        _, odds, share = self._mean_at(s)
        spread = odds * share * share  # m·other/(m + other)²
        return self.y * spread + np.where(np.isfinite(self.other), self.other * spread, self.y * np.exp(s))

    def _mean_at(self, s: Array) -> tuple[Array, Array, Array]:
        """log(m/other), the smaller of m/other and its inverse, and what the larger part of m + other is of both."""
        log_odds = np.log(self.y) - np.log(self.other) + s
        odds = np.exp(-np.abs(log_odds))
        return log_odds, odds, 1 / (1 + odds)

    def nll(self, z: Array) -> Array:
        """-log density (n, m) at z (n, m)."""
        return self.excess(self.departure(z)) + self.least

    @np.errstate(all="ignore")
    def predictive_nll(self, z: Array, q: Array) -> Array:
        """-log ∫ N(t; z, q) p(y|t) dt, (n,); z, q (n, 1).

        As `quadrature.laplace_hermite`, but that the mode and the nodes are found in s, which tells nodes apart that in t are the
        same number: sd·width is about 1/sqrt(y), t itself is known to 2^-53 log y.
        """
        sd, s_0, curvature = np.sqrt(q), self.departure(z), self.curvature(np.zeros_like(z))
        own, others = 1 / (1 + q * curvature), 1 / (1 / q + curvature)

        def balance(s: Array) -> tuple[Array, Array]:
            return own * (s - s_0) - others * self.score(s), own + others * self.curvature(s)

        s = rising_root(
            balance, np.minimum(s_0, 0.0), np.maximum(s_0, 0.0), own * s_0
        )  # the start: the root of the tangent at 0
        mode = np.where(q * curvature > 1, (s - s_0) / sd, sd * self.score(s))  # equal; the one that does not cancel
        width = 1 / np.hypot(1.0, sd * np.sqrt(self.curvature(s)))
        nodes, weights = _special.gauss_hermite(NODES)
        v = mode + width * nodes
        terms = np.log(weights) + (nodes**2 - v**2) / 2 - self.excess(s + sd * width * nodes)
        return -np.log(width[:, 0]) - log_sum_exp(terms) + self.least[:, 0]


def _stirling_constant(r: Array) -> Array:
    """log Gamma(r) - (r - 1/2) log r + r, (n, 1)."""
    small = np.minimum(r, LARGE)
    plain = _special.gammaln(small) - (small - 0.5) * np.log(small) + small
    return np.where(r < LARGE, plain, HALF_LOG_2PI + stirling_rest(np.maximum(r, LARGE)))


class Counts(OneOutput):
    """Counts on the log link: `nll_at` of their own where y is below LARGE_COUNT."""

    def other(self) -> float:
        """1/dispersion."""
        raise NotImplementedError

    def _large(self, y: Array) -> LargeCount:
        return LargeCount.on_log_link(y, np.full_like(y, self.other()))

    def plugin_nll(self, z: Array, y: Array, a: Array, b: Array) -> Array:
        large = y[:, 0] >= LARGE_COUNT
        result = np.empty(len(z))
        result[~large] = super().plugin_nll(z[~large], y[~large], a, b)
        result[large] = self._large(y[large]).nll(z[large])[:, 0]
        return result

    def predictive_nll(self, z: Array, C: Array, y: Array, a: Array, b: Array) -> Array:
        large = y[:, 0] >= LARGE_COUNT
        result = np.empty(len(z))
        result[~large] = super().predictive_nll(z[~large], C[~large], y[~large], a, b)
        result[large] = self._large(y[large]).predictive_nll(z[large], C[large][:, :, 0])
        return result
