"""Bernoulli observations on the logit link: y in [0, 1], P(y=1) = m = 1/(1+exp(-z)).

Score e = y - m, Fisher factor L = sqrt(m(1-m)) with m(1-m) = exp(-|z|)/(1+exp(-|z|))², which never cancels at a
saturated logit (the mean-parameter form is 0/0 there).
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
from .one_output import OneOutput


def slope(z: Array) -> Array:
    """m(1-m), any shape."""
    t = np.exp(-np.abs(z))
    return t / (1 + t) ** 2


@dataclass(frozen=True, eq=False, repr=False)
class Bernoulli(OneOutput):
    """y in [0, 1] with P(y=1) = 1/(1+exp(-z)); a fraction with `weight=n` stands for n trials."""

    link: ClassVar[str] = "logit"
    discrete: ClassVar[bool] = True

    def invalid(self, y: Array) -> Mask:
        return np.any((y < 0) | (y > 1), axis=1)

    def range_text(self) -> str:
        return "a number in [0, 1]"

    def score_at(self, z: Array, y: Array) -> Array:
        return y - _special.expit(z)

    def factor(self, z: Array, observed: Mask) -> Array:
        return np.sqrt(slope(z))[:, None]

    def mean(self, z: Array) -> Array:
        return _special.expit(z)

    def mean_slope(self, z: Array) -> Array:
        return slope(z)[:, :, None]

    def noise_covariance(self, z: Array, a: Array, b: Array) -> Array:
        return slope(z)[:, :, None]

    def nll_at(self, z: Array, y: Array) -> Array:
        return _special.log1pexp(z) - y * z

    def curvature_at(self, z: Array, y: Array) -> Array:
        return slope(z)

    def predictive_quantiles(self, z: Array, C: Array, a: Array, b: Array, q: Array) -> Array:
        """0 up to q = P(y = 0), 1 beyond, (n, len(q))."""
        from .mixture import binomial_quantiles

        return binomial_quantiles(z, C[:, :, 0], np.ones_like(z), q)

    def predictive_tails(self, z: Array, C: Array, a: Array, b: Array, y: Array) -> tuple[Array, Array]:
        from .mixture import binomial_tail
        from .tails import count_tails

        return count_tails(binomial_tail, z, C[:, :, 0], y, self.mean(z), np.ones_like(z))

    def level(self, Y: Array, w: Weight = None) -> Array:
        return _special.logit((first_rows.total(Y, w) + 0.5) / (first_rows.count(Y, w) + 1))

    def link_variance(self, Y: Array, w: Weight = None) -> Array:
        return np.full(Y.shape[1], np.pi**2 / 3)
