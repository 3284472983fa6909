"""Gaussian observations whose mean and variance are both outputs: y ~ N(m, v), z = (m, log v).

Score e = ((y-m)/v, ((y-m)²/v - 1)/2) with 1/v = exp(-z_2), Fisher factor L = diag(v^-1/2, 2^-1/2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ..._validate import Array
from . import first_rows
from .base import Family, Mask
from .first_rows import Weight
from .quadrature import DEPTH, LOG_2PI, WIDE, log_normal_mean


@dataclass(frozen=True, eq=False, repr=False)
class GaussianMeanVariance(Family):
    """y ~ N(z_1, exp(z_2)): a number, from a model with two outputs. Clamp and step clip act on z_2 alone."""

    link: ClassVar[str] = "log"

    def outputs_needed(self) -> int | None:
        return 2

    def y_width(self, k: int) -> int:
        return 1

    def mean_shape(self, k: int) -> tuple[int, ...]:
        return ()

    def clamp(self, z: Array, c: float) -> Array:
        return np.concatenate([z[..., :1], np.clip(z[..., 1:], -c, c)], axis=-1)

    def moves(self, change: Array) -> Array:
        return change[1:]

    def score(self, z: Array, y: Array, observed: Mask) -> Array:
        r, precision = float(y[0] - z[0]), np.exp(-z[1])
        return np.array([r * precision, (r * r * precision - 1) / 2])

    def factor(self, z: Array, observed: Mask) -> Array:
        return np.diag([np.exp(-z[1] / 2), np.sqrt(0.5)])

    def mean(self, z: Array) -> Array:
        return z[:, :1]

    def mean_slope(self, z: Array) -> Array:
        return np.broadcast_to(np.array([[1.0, 0.0]]), (len(z), 1, 2))

    def noise_covariance(self, z: Array, a: Array, b: Array) -> Array:
        return np.exp(z[:, 1])[:, None, None]

    def plugin_nll(self, z: Array, y: Array, a: Array, b: Array) -> Array:
        r = y[:, 0] - z[:, 0]
        return (LOG_2PI + z[:, 1] + np.square(r * np.exp(-z[:, 1] / 2))) / 2

    def predictive_nll(self, z: Array, C: Array, y: Array, a: Array, b: Array) -> Array:
        """-log density (n,): z_1 integrated out in closed form given z_2 = z_2 + sd·v, v by quadrature."""
        centre, slope, rest, sd = given_v(z, C)
        r = y[:, :1] - centre

        def log_density(v: Array) -> Array:
            log_variance = np.logaddexp(z[:, 1:] + sd * v, np.log(rest))
            return -(LOG_2PI + log_variance + np.square((r - slope * v) * np.exp(-log_variance / 2))) / 2

        with np.errstate(all="ignore"):
            surprise = np.square(r) / (np.exp(z[:, 1:]) + rest)
            near = np.sqrt(surprise + 2 * DEPTH) + sd
            # far off: the largest is no smaller than where the variance has grown to r², and beyond, v² alone is DEPTH below that
            v = np.fmax((2 * np.log(np.abs(r)) - z[:, 1:]) / sd, 0.0)
            least = log_density(v) - v**2 / 2
            farthest = sd + np.sqrt(2 * (DEPTH - least) - LOG_2PI - z[:, 1:])
            reach = np.where(near < WIDE / 2, near, np.fmin(np.fmin(near, farthest), 1e300))
            return -log_normal_mean(log_density, reach[:, 0])

    def predictive_quantiles(self, z: Array, C: Array, a: Array, b: Array, q: Array) -> Array:
        """Of the mixture of normals over z_2, (n, len(q))."""
        from .mixture import normal_mixture_quantiles

        centre, slope, rest, sd = given_v(z, C)
        return normal_mixture_quantiles(
            lambda v: (centre + slope * v, slope, np.sqrt(np.exp(z[:, 1:] + sd * v) + rest)), q
        )

    def predictive_tails(self, z: Array, C: Array, a: Array, b: Array, y: Array) -> tuple[Array, Array]:
        from .tails import normal_mixture_tails

        parts = (z[:, 1:], *given_v(z, C))

        def at(v: Array, rows: NDArray[np.intp]) -> tuple[Array, Array, Array]:
            log_variance, centre, slope, rest, sd = (part[rows] for part in parts)
            return centre + slope * v, slope, np.sqrt(np.exp(log_variance + sd * v) + rest)

        return normal_mixture_tails(at, y)

    def level(self, Y: Array, w: Weight = None) -> Array:
        """(mean, log variance); rows all alike give the log of their own square, or of 1."""
        mean, variance = first_rows.mean(Y, w)[0], first_rows.variance(Y, w)[0]
        size = variance if variance > 0 else mean**2 if mean != 0 else 1.0
        return np.array([mean, np.log(size)])

    def link_variance(self, Y: Array, w: Weight = None) -> Array:
        return np.array([first_rows.variance(Y, w)[0], 1.0])


def given_v(z: Array, C: Array) -> tuple[Array, Array, Array, Array]:
    """z_1 | v ~ N(centre + slope·v, rest) where z_2 has moved by sd·v, v ~ N(0, 1); all (n, 1)."""
    sd = np.sqrt(C[:, 1, 1])
    slope = np.where(sd > 0, C[:, 0, 1] / np.where(sd > 0, sd, 1.0), 0.0)
    rest = np.maximum(C[:, 0, 0] - slope**2, 0.0)
    return z[:, :1], slope[:, None], rest[:, None], sd[:, None]
