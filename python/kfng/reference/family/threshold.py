"""Laws of y that are thresholds of the output: y <= k exactly where a variable s of known density exceeds t.

    Poisson                y <= k  iff  t < s,  s = log of a Gamma(k+1)
    negative binomial      the same with s = log odds of a Beta(k+1, 1/d), less log d
    binomial, N trials     the same with s = log odds of a Beta(k+1, N-k)
    Gamma(shape)           log y <= x  iff  t < x + log(shape) - log of a Gamma(shape)
    (DLMF 8.4.10, 8.17.5, 8.17.24)

So with t ~ N(z, sd²) a tail of y is one integral over s, of its density times a normal distribution function. Both are
log-concave, and with them their product and the tail: it is integrated about its own mode, so that a tail of 1e-300 has as
many digits as one of 0.1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..._special._beta import _beta_weight
from ..._special._gamma import _gamma_weight
from ..._special._mills import log_normal_cdf
from ..._special._quadrature import unit_legendre
from ..._validate import Array
from .quadrature import rising_root

Fall = Callable[[Array], Array]

DEPTH = 40.0
"""An integrand below e^-40 of its largest value is dropped."""
FAR = 9.0
"""Standard deviations in which a normal distribution function goes from 0 to 1."""
CERTAIN = 1e-9
"""A T less spread than so many widths of s is taken to be spread so: what it changes is of the order of its square."""


class Threshold(NamedTuple):
    """A variable s = mode + d with the log-concave density exp(peak + fall(d)).

    mode, peak: (m,). fall, slopes: of d (m, j), the second (fall', -fall'').
    """

    mode: Array
    peak: Array
    fall: Fall
    slopes: Callable[[Array], tuple[Array, Array]]

    def reach(self, side: float, depth: Array) -> Array:
        """How far from the mode (m,) the density has fallen by e^-depth, to a side of ±1."""
        return extent(lambda d: self.fall(side * d[:, None])[:, 0], depth, self._width())

    def _width(self) -> Array:
        return np.asarray(1 / np.sqrt(self.slopes(np.zeros((len(self.mode), 1)))[1][:, 0]))

    def tail(self, t: Array, sd: Array, upper: NDArray[np.bool_]) -> tuple[Array, Array]:
        """log P(s < T) where `upper`, else log P(s > T), for T ~ N(t, sd²), sd > 0; and its derivative in t, without sign."""
        return self.tail_from(t - self.mode, sd, upper)

    def tail_from(self, t: Array, sd: Array, upper: NDArray[np.bool_]) -> tuple[Array, Array]:
        """The same of a t that is a distance from the mode, as all is in d from here on."""
        side, sd = np.where(upper, -1.0, 1.0), np.maximum(sd, CERTAIN * self._width())

        def height(d: Array) -> Array:
            """Logarithm of the integrand at d (m, j)."""
            return self.fall(d) + log_normal_cdf(side[:, None] * (d - t[:, None]) / sd[:, None])[0]

        mode, width = self._mode(t, sd, side)
        top = height(mode[:, None])[:, 0]
        left, right = (
            extent(lambda d, r=r: height((mode + r * d)[:, None])[:, 0] - top, np.full_like(t, DEPTH), width)  # type: ignore[misc]
            for r in (-1.0, 1.0)
        )
        inner = [mode - left / 6, mode, mode + right / 6, t - FAR * sd, t, t + FAR * sd]
        d, lengths = pieces(mode - left, mode + right, inner)
        cdf, ratio = log_normal_cdf(side[:, None] * (d - t[:, None]) / sd[:, None])
        mass = lengths * np.exp(self.fall(d) + cdf - top[:, None])
        total = mass.sum(axis=1)
        return self.peak + top + np.log(total), np.sum(mass * ratio, axis=1) / sd / total

    def _mode(self, t: Array, sd: Array, side: Array) -> tuple[Array, Array]:
        """Where the integrand of a tail is largest, and its width there: towards t from the density's own mode, 0."""

        def balance(d: Array) -> tuple[Array, Array]:
            x = side * (d - t) / sd
            slope, curvature = (part[:, 0] for part in self.slopes(d[:, None]))
            ratio = log_normal_cdf(x)[1]
            bend = np.where(x < -1e3, 1.0, np.clip(ratio * (x + ratio), 0.0, 1.0))  # of log Phi, in (0, 1)
            return -slope - side * ratio / sd, curvature + bend / np.square(sd)

        width = self._width()
        beyond = np.maximum(side * t, 0.0)
        # the integrand falls where d·|fall'| > 1 > x phi(x)/Phi(x), d and x = (d-t)/sd on the far side of 0 and t
        far = width
        for _ in range(60):
            short = np.abs(self.slopes((side * far)[:, None])[0][:, 0]) * far < 1
            if not short.any():
                break
            far = np.where(short, 2 * far, far)
        end = side * (beyond + far)
        start = side * beyond * (np.square(width) / (np.square(width) + np.square(sd)))
        mode = rising_root(balance, np.minimum(end, 0.0), np.maximum(end, 0.0), start, 1e-3 * np.minimum(width, sd))
        return mode, 1 / np.sqrt(balance(mode)[1])


def extent(fall: Fall, depth: Array, width: Array) -> Array:
    """How far (m,) a concave function of d >= 0 (m,) with fall(0) = 0 goes until -depth; width is that of its parabola."""
    far, near = np.sqrt(2 * depth) * width, np.zeros_like(width)
    for _ in range(60):
        short = fall(far) > -depth
        if not short.any():
            break
        far = np.where(short, 2 * far, far)
    for _ in range(12):
        middle = (near + far) / 2
        short = fall(middle) > -depth
        near, far = np.where(short, middle, near), np.where(short, far, middle)
    return far


def pieces(low: Array, high: Array, inner: list[Array]) -> tuple[Array, Array]:
    """Nodes (m, j) and weights (m, j) of an integral from low to high (m,): 32 Gauss-Legendre nodes between neighbours of `inner`."""
    borders = np.sort(np.clip(np.stack([low, *inner, high], axis=1), low[:, None], high[:, None]), axis=1)
    nodes, weights = unit_legendre(32)
    lengths, shape = np.diff(borders, axis=1)[:, :, None], (len(low), (borders.shape[1] - 1) * len(nodes))
    return (borders[:, :-1, None] + lengths * nodes).reshape(shape), (lengths * weights).reshape(shape)


def log_gamma(a: Array) -> Threshold:
    """s = log of a Gamma(a): density ∝ exp(a s - e^s); a (m,)."""
    column = a[:, None]
    return Threshold(
        np.log(a),
        _gamma_weight(a, a),
        lambda d: column * (d - np.expm1(d)),
        lambda d: (-column * np.expm1(d), column * np.exp(d)),
    )


def log_odds(a: Array, b: Array) -> Threshold:
    """s = log odds of a Beta(a, b): density ∝ e^(a s)/(1+e^s)^(a+b); a, b (m,)."""
    n, less = (a + b)[:, None], np.minimum(a, b)[:, None]
    part, rest, sign = less / n, np.maximum(a, b)[:, None] / n, np.where(a < b, 1.0, -1.0)[:, None]

    def fall(d: Array) -> Array:
        """a d - n log(1 + a/n·(e^d - 1)), or the same seen from the other end: the form whose terms are the smaller."""
        return less * sign * d - n * np.log1p(part * np.expm1(sign * d))

    def slopes(d: Array) -> tuple[Array, Array]:
        x = sign * d
        e = np.exp(-np.abs(x))
        below = np.where(x < 0, rest + part * e, rest * e + part)
        return np.sign(d) * less * rest * np.expm1(-np.abs(x)) / below, less * rest * e / np.square(below)

    return Threshold(np.log(a) - np.log(b), _beta_weight(a, b, a / (a + b), b / (a + b)), fall, slopes)
