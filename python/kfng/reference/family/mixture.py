"""Quantiles of y with a normal output t ~ N(z, q) integrated out.

Each law here is a threshold: y <= k exactly where a variable s of known density exceeds t.

    Poisson                y <= k  iff  t < s,  s = log of a Gamma(k+1)
    negative binomial      the same with s = log odds of a Beta(k+1, 1/d), less log d
    binomial, N trials     the same with s = log odds of a Beta(k+1, N-k)
    Gamma(shape)           log y <= x  iff  t < x + log(shape) - log of a Gamma(shape)
    (DLMF 8.4.10, 8.17.5, 8.17.24)

So P(y <= k) is one integral over s, of its density times a normal distribution function, smooth between a few borders
whichever of the two is the narrower. q = 0 is the law itself.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..._special import gammaincinv, ndtr, ndtri
from ..._special._counts import _binom_tails, _nbinom_tails, _poisson_tails, _smallest
from ..._special._quadrature import unit_legendre
from ..._validate import Array
from .quadrature import rising_root

DEPTH = 40.0
TABLE = 9.0
"""Standard deviations within which the normal distribution function is tabulated; beyond it is 0 or 1 to 1e-19."""
PER_UNIT = 64
LARGEST_COUNT = 2.0**53
"""Beyond, neighbouring counts are the same float64."""
SQRT_2PI = float(np.sqrt(2 * np.pi))


@cache
def _table() -> tuple[Array, Array]:
    x = np.arange(-TABLE * PER_UNIT, TABLE * PER_UNIT + 1) / PER_UNIT
    return x, ndtr(x)


def normal_cdf(x: Array) -> Array:
    """Standard normal distribution function, any shape, to 1e-14: a table and six terms of Taylor's series."""
    nodes, values = _table()
    inside = np.clip(np.where(np.isnan(x), 0.0, x), -TABLE, TABLE)
    i = np.rint((inside + TABLE) * PER_UNIT).astype(np.intp)
    at, d = nodes[i], inside - nodes[i]
    density = np.exp(-at * at / 2) / SQRT_2PI
    h2, h3 = at * at - 1, at * (at * at - 3)
    h4, h5 = at * at * (at * at - 6) + 3, at * (at * at * (at * at - 10) + 15)
    series = d * (1 - d / 2 * (at - d / 3 * (h2 - d / 4 * (h3 - d / 5 * (h4 - d / 6 * h5)))))
    return values[i] + density * series


class Threshold(NamedTuple):
    """A variable s with log-concave density exp(fall(s - mode)) up to its norm; mode and both reaches to e^-40 are (m,)."""

    mode: Array
    fall: Callable[[Array], Array]
    curvature: Array

    def reach(self, side: float) -> Array:
        """How far from the mode the density has fallen by e^-40."""
        far = np.sqrt(2 * DEPTH / self.curvature)
        for _ in range(60):
            short = self.fall(side * far[:, None])[:, 0] > -DEPTH
            if not short.any():
                break
            far = np.where(short, 2 * far, far)
        near = np.zeros_like(far)
        for _ in range(12):
            middle = (near + far) / 2
            short = self.fall(side * middle[:, None])[:, 0] > -DEPTH
            near, far = np.where(short, middle, near), np.where(short, far, middle)
        return far


def log_gamma(a: Array) -> Threshold:
    """s = log of a Gamma(a): density ∝ exp(a s - e^s); a (m,)."""
    return Threshold(np.log(a), lambda d: a[:, None] * (d - np.expm1(d)), a)


def log_odds(a: Array, b: Array) -> Threshold:
    """s = log odds of a Beta(a, b): density ∝ e^(a s)/(1+e^s)^(a+b); a, b (m,)."""
    n, less = a + b, np.minimum(a, b)
    sign = np.where(a < b, 1.0, -1.0)[:, None]

    def fall(d: Array) -> Array:
        """a d - n log(1 + a/n·(e^d - 1)), or the same seen from the other end: the form whose terms are the smaller."""
        x = sign * d
        return less[:, None] * x - n[:, None] * np.log1p((less / n)[:, None] * np.expm1(x))

    return Threshold(np.log(a) - np.log(b), fall, a * (b / n))


def above(s: Threshold, t: Array, sd: Array) -> tuple[Array, Array, Array]:
    """P(s > T), P(s < T) and the density of s - T at 0, each (m,), for T ~ N(t, sd²), sd > 0 (m,)."""
    left, right = s.reach(-1.0), s.reach(1.0)
    low, high = s.mode - left, s.mode + right
    inner = [s.mode - left / 6, s.mode, s.mode + right / 6, t - TABLE * sd, t, t + TABLE * sd]
    borders = np.sort(np.clip(np.stack([low, *inner, high], axis=1), low[:, None], high[:, None]), axis=1)
    nodes, weights = unit_legendre(32)
    lengths, shape = np.diff(borders, axis=1), (len(t), 7 * len(nodes))
    points = (borders[:, :-1, None] + lengths[:, :, None] * nodes).reshape(shape)
    mass = (lengths[:, :, None] * weights).reshape(shape) * np.exp(s.fall(points - s.mode[:, None]))
    mass /= mass.sum(axis=1, keepdims=True)
    x = (points - t[:, None]) / sd[:, None]
    density = np.exp(-x * x / 2) / SQRT_2PI / sd[:, None]
    return np.sum(mass * normal_cdf(x), axis=1), np.sum(mass * normal_cdf(-x), axis=1), np.sum(mass * density, axis=1)


def _pairs(z: Array, C: Array, q: Array) -> tuple[Array, Array, Array]:
    """z, sd, q of all rows (n, 1) × levels (len(q),), flat."""
    shape = (len(z), len(q))
    t, sd, level = (np.broadcast_to(part, shape).ravel() for part in (z, np.sqrt(C), q))
    return t, sd, level


Tails = Callable[..., tuple[Array, Array]]


def _counts(z: Array, C: Array, q: Array, tails: Tails, guess: Callable[[Array], Array], *parameters: Array) -> Array:
    """Smallest k with P(y <= k) >= q, (n, len(q)): 0 at q = 0; parameters (n, 1) go to `tails`, as do t and sd."""
    t, sd, level = _pairs(z, C, q)
    own = [np.broadcast_to(part, (len(z), len(q))).ravel() for part in parameters]
    start = guess(t + sd * ndtri(np.where((level > 0) & (level < 1), level, 0.5)))
    found = np.where(level > 0, np.where(level < 1, start, np.inf), 0.0)
    i = np.flatnonzero((level > 0) & (level < 1) & (start < LARGEST_COUNT))
    zero, none = np.zeros(len(i)), np.zeros(len(i))

    def reached(k: Array, target: Array, *own: Array) -> NDArray[np.bool_]:
        """P(y <= k) >= target, asked of the smaller tail."""
        up_to, beyond = tails(k, *own)
        return np.where(target > 0.5, beyond <= 1 - target, up_to >= target)

    found[i] = _smallest(level[i], reached, start[i], zero, none, t[i], sd[i], *(part[i] for part in own))
    return np.where(np.isnan(t), np.nan, found).reshape(len(z), len(q))


def _or_plain(sd: Array, mixture: Tails, plain: Tails) -> tuple[Array, Array]:
    """Tails by `mixture` where sd > 0 and by `plain` where z is certain; both take the rows they are for."""
    up_to, beyond = np.empty_like(sd), np.empty_like(sd)
    for rows, law in ((np.flatnonzero(sd > 0), mixture), (np.flatnonzero(sd == 0), plain)):
        if len(rows):
            up_to[rows], beyond[rows] = law(rows)
    return up_to, beyond


@np.errstate(all="ignore")
def poisson_quantiles(z: Array, C: Array, q: Array) -> Array:
    """(n, len(q)) for z, C (n, 1); counts too large for float64 to tell apart by the log-normal law of the mean."""

    def tails(k: Array, t: Array, sd: Array) -> tuple[Array, Array]:
        return _or_plain(
            sd,
            lambda i: above(log_gamma(k[i] + 1), t[i], sd[i])[:2],
            lambda i: _poisson_tails(k[i], np.exp(t[i])),
        )

    return _counts(z, C, q, tails, np.exp)


@np.errstate(all="ignore")
def negative_binomial_quantiles(z: Array, C: Array, dispersion: float, q: Array) -> Array:
    """(n, len(q)) for z, C (n, 1); counts too large for float64 to tell apart by the law of their continuous limit."""
    shape = 1 / dispersion

    def tails(k: Array, t: Array, sd: Array) -> tuple[Array, Array]:
        return _or_plain(
            sd,
            lambda i: above(log_odds(k[i] + 1, np.full(len(i), shape)), t[i] + np.log(dispersion), sd[i])[:2],
            lambda i: _nbinom_tails(k[i], np.exp(t[i]), np.full(len(i), dispersion)),
        )

    counts = _counts(z, C, q, tails, lambda t: np.exp(np.minimum(t, 30.0)))
    return np.where(z > 30, gamma_quantiles(z, C, shape, q), counts)


@np.errstate(all="ignore")
def binomial_quantiles(z: Array, C: Array, trials: Array, q: Array) -> Array:
    """(n, len(q)) for z, C, trials (n, 1); the largest count at q = 1."""

    def tails(k: Array, t: Array, sd: Array, n: Array) -> tuple[Array, Array]:
        def mixture(i: Array) -> tuple[Array, Array]:
            inside = k[i] < n[i]
            law = log_odds(k[i] + 1, np.where(inside, n[i] - k[i], 1.0))
            up_to, beyond, _ = above(law, t[i], sd[i])
            return np.where(inside, up_to, 1.0), np.where(inside, beyond, 0.0)

        return _or_plain(sd, mixture, lambda i: _binom_tails(k[i], n[i], 1 / (1 + np.exp(-t[i]))))

    found = _counts(z, C, q, tails, np.zeros_like, trials)
    return np.minimum(found, trials)


@np.errstate(all="ignore")
def gamma_quantiles(z: Array, C: Array, shape: float, q: Array) -> Array:
    """(n, len(q)) for z, C (n, 1): log y by Newton within a bracket; 0 at q = 0, inf at q = 1."""
    t, sd, level = _pairs(z, C, q)
    found = np.where(level > 0, np.inf, 0.0)
    plain = np.flatnonzero((sd == 0) & (level > 0) & (level < 1))
    found[plain] = np.exp(t[plain]) * gammaincinv(shape, level[plain]) / shape
    i = np.flatnonzero((sd > 0) & (level > 0) & (level < 1))
    found[i] = np.exp(_log_gamma_mixture(t[i], sd[i], shape, level[i]))
    return np.where(np.isnan(t), np.nan, found).reshape(len(z), len(q))


def _log_gamma_mixture(t: Array, sd: Array, shape: float, level: Array) -> Array:
    law = log_gamma(np.full(len(t), shape))
    low, high = law.mode - law.reach(-1.0) - np.log(shape), law.mode + law.reach(1.0) - np.log(shape)
    centre, upper = t + sd * ndtri(level), level > 0.5

    def excess(x: Array) -> tuple[Array, Array]:
        beyond, up_to, density = above(law, x + np.log(shape) - t, sd)
        return np.where(upper, (1 - level) - beyond, up_to - level), density

    return rising_root(excess, t - TABLE * sd + low, t + TABLE * sd + high, centre)


@np.errstate(all="ignore")
def normal_mixture_quantiles(mean: Array, sd: Array, weight: Array, q: Array) -> Array:
    """Quantiles (n, len(q)) of mixtures of N(mean, sd²) (n, m) with weights (m,)."""
    out = np.empty((len(mean), len(q)))
    out[:, q <= 0], out[:, q >= 1] = -np.inf, np.inf
    for j in np.flatnonzero((q > 0) & (q < 1)):
        edges = mean + sd * ndtri(q[j])

        def excess(y: Array, level: float = float(q[j])) -> tuple[Array, Array]:
            x = (y[:, None] - mean) / sd
            mass = normal_cdf(x) @ weight - level if level <= 0.5 else (1 - level) - normal_cdf(-x) @ weight
            return mass, (np.exp(-x * x / 2) / SQRT_2PI / sd) @ weight

        low, high = np.min(edges, axis=1), np.max(edges, axis=1)
        out[:, j] = rising_root(excess, low, high, edges @ weight)
    return np.where(np.isnan(mean[:, :1]), np.nan, out)
