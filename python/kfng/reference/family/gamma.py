"""Gamma observations on the log link: y > 0 with E(y) = m = exp(z) and Var(y) = m²/shape.

Score e = shape·(y/m - 1), Fisher factor L = sqrt(shape).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ... import _special
from ..._validate import Array, positive
from . import first_rows
from .base import Mask
from .first_rows import Weight
from .one_output import OneOutput
from .poisson import log_link_variance


@dataclass(frozen=True, eq=False, repr=False)
class Gamma(OneOutput):
    """Positive y with mean exp(z) and coefficient of variation shape^(-1/2).

    Parameters
    ----------
    shape : float > 0
        1 is the exponential law.

    Raises
    ------
    ParameterError
    """

    shape: float

    link: ClassVar[str] = "log"

    def __post_init__(self) -> None:
        self._set("shape", positive("shape", self.shape))

    def invalid(self, y: Array) -> Mask:
        return np.any(y <= 0, axis=1)

    def range_text(self) -> str:
        return "a number > 0"

    def score_at(self, z: Array, y: Array) -> Array:
        return self.shape * np.expm1(np.log(y) - z)

    def factor(self, z: Array, observed: Mask) -> Array:
        return np.full((1, 1), np.sqrt(self.shape))

    def mean(self, z: Array) -> Array:
        return np.exp(z)

    def mean_slope(self, z: Array) -> Array:
        return np.exp(z)[:, :, None]

    def noise_covariance(self, z: Array, a: Array, b: Array) -> Array:
        return (np.exp(2 * z) / self.shape)[:, :, None]

    def nll_at(self, z: Array, y: Array) -> Array:
        """log y - [shape·r - shape·e^r] + log Gamma(shape) - shape log shape, r = log(y/m)."""
        shape, r = self.shape, np.log(y) - z
        return np.log(y) + shape * (np.exp(r) - r) + _special.gammaln(shape) - shape * np.log(shape)

    def curvature_at(self, z: Array, y: Array) -> Array:
        return self.shape * np.exp(np.log(y) - z)

    def predictive_quantiles(self, z: Array, C: Array, a: Array, b: Array, q: Array) -> Array:
        from .mixture import gamma_quantiles

        return gamma_quantiles(z, C[:, :, 0], self.shape, q)

    def predictive_tails(self, z: Array, C: Array, a: Array, b: Array, y: Array) -> tuple[Array, Array]:
        from .tails import gamma_law_tails

        return gamma_law_tails(z, C[:, :, 0], y, self.shape)

    def level(self, Y: Array, w: Weight = None) -> Array:
        return np.log(first_rows.mean(Y, w))

    def link_variance(self, Y: Array, w: Weight = None) -> Array:
        return log_link_variance(Y, w)
