"""Quantiles of y with a normal output t ~ N(z, q) integrated out, by the tails of threshold.py; q = 0 is the law itself."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..._special import gammaincinv, ndtri
from ..._special._counts import _binom_tails, _nbinom_tails, _poisson_tails, _smallest
from ..._special._mills import log_normal_cdf
from ..._validate import Array
from .quadrature import LOG_2PI, narrowed, rising_root
from .threshold import DEPTH, FAR, Threshold, log_gamma, log_odds, pieces

LARGEST_COUNT = 2.0**53
"""Beyond, neighbouring counts are the same float64."""
Mask = NDArray[np.bool_]
Rows = NDArray[np.intp]
Tails = Callable[[Rows], tuple[Array, Array]]


def _pairs(z: Array, C: Array, q: Array) -> tuple[Array, Array, Array]:
    """z, sd, q of all rows (n, 1) × levels (len(q),), flat."""
    shape = (len(z), len(q))
    t, sd, level = (np.broadcast_to(part, shape).ravel() for part in (z, np.sqrt(C), q))
    return t, sd, level


Tail = Callable[..., Array]
"""P(y > k) (m,) where upper (m,), else P(y <= k), of k, upper and the parameters of the law, t and sd the first two."""


def _counts(z: Array, C: Array, q: Array, tail: Tail, guess: Callable[..., Array], *parameters: Array) -> Array:
    """Smallest k with P(y <= k) >= q, (n, len(q)): 0 at q = 0; parameters (n, 1) go to `tail` and `guess` after t and sd."""
    t, sd, level = _pairs(z, C, q)
    own = [np.broadcast_to(part, (len(z), len(q))).ravel() for part in parameters]
    start = guess(t + sd * ndtri(np.where((level > 0) & (level < 1), level, 0.5)), *own)
    found = np.where(level > 0, np.where(level < 1, start, np.inf), 0.0)
    i = np.flatnonzero((level > 0) & (level < 1) & (start < LARGEST_COUNT))
    zero, none = np.zeros(len(i)), np.zeros(len(i))

    def reached(k: Array, target: Array, *own: Array) -> Mask:
        """P(y <= k) >= target, asked of the smaller tail."""
        upper = target > 0.5
        asked = tail(k, upper, *own)
        return np.where(upper, asked <= 1 - target, asked >= target)

    found[i] = _smallest(level[i], reached, start[i], zero, none, t[i], sd[i], *(part[i] for part in own))
    return np.where(np.isnan(t), np.nan, found).reshape(len(z), len(q))


def _or_plain(sd: Array, upper: Mask, mixture: Callable[[Rows], Threshold], t: Array, plain: Tails) -> Array:
    """Tails by the threshold `mixture` where sd > 0, by the law `plain` where z is certain; both take the rows they are for."""
    out = np.empty_like(sd)
    i, j = np.flatnonzero(sd > 0), np.flatnonzero(sd == 0)
    if len(i):
        out[i] = np.exp(mixture(i).tail(t[i], sd[i], upper[i])[0])
    if len(j):
        up_to, beyond = plain(j)
        out[j] = np.where(upper[j], beyond, up_to)
    return out


def poisson_tail(k: Array, upper: Mask, t: Array, sd: Array) -> Array:
    """P(y > k) where upper, else P(y <= k); all (m,)."""
    return _or_plain(sd, upper, lambda i: log_gamma(k[i] + 1), t, lambda i: _poisson_tails(k[i], np.exp(t[i])))


def negative_binomial_tail(k: Array, upper: Mask, t: Array, sd: Array, dispersion: Array) -> Array:
    """As `poisson_tail`."""
    return _or_plain(
        sd,
        upper,
        lambda i: log_odds(k[i] + 1, 1 / dispersion[i]),
        np.where(sd > 0, t + np.log(dispersion), t),
        lambda i: _nbinom_tails(k[i], np.exp(t[i]), dispersion[i]),
    )


def binomial_tail(k: Array, upper: Mask, t: Array, sd: Array, n: Array) -> Array:
    """As `poisson_tail`, of n trials."""
    inside = np.minimum(k, n - 1)
    found = _or_plain(
        sd,
        upper,
        lambda i: log_odds(inside[i] + 1, n[i] - inside[i]),
        t,
        lambda i: _binom_tails(k[i], n[i], 1 / (1 + np.exp(-t[i]))),
    )
    return np.where(k < n, found, np.where(upper, 0.0, 1.0))


@np.errstate(all="ignore")
def poisson_quantiles(z: Array, C: Array, q: Array) -> Array:
    """(n, len(q)) for z, C (n, 1); counts too large for float64 to tell apart by the log-normal law of the mean."""
    return _counts(z, C, q, poisson_tail, np.exp)


@np.errstate(all="ignore")
def negative_binomial_quantiles(z: Array, C: Array, dispersion: float, q: Array) -> Array:
    """(n, len(q)) for z, C (n, 1); counts too large for float64 to tell apart by the law of their continuous limit."""

    def guess(t: Array, _: Array) -> Array:
        return np.exp(np.minimum(t, 30.0))

    found = _counts(z, C, q, negative_binomial_tail, guess, np.full_like(z, dispersion))
    large = (z > 30) | ((found >= LARGEST_COUNT) & (q < 1))
    rows = large.any(axis=1)
    found[rows] = np.where(large[rows], gamma_quantiles(z[rows], C[rows], 1 / dispersion, q), found[rows])
    return found


@np.errstate(all="ignore")
def binomial_quantiles(z: Array, C: Array, trials: Array, q: Array) -> Array:
    """(n, len(q)) for z, C, trials (n, 1); the largest count at q = 1."""
    found = _counts(z, C, q, binomial_tail, lambda t, n: n / (1 + np.exp(-t)), trials)
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


def _log_tail(level: Array) -> tuple[Mask, Array]:
    """Whether the upper tail is the smaller one, and the logarithm of the smaller one."""
    upper = level > 0.5
    return upper, np.log(np.where(upper, 1 - level, level))


def _log_gamma_mixture(t: Array, sd: Array, shape: float, level: Array) -> Array:
    """log y: Newton on the logarithm of a tail, which is concave. A tail below e^-40 of the level's is beyond any doubt.

    In log y - t, so that quantiles that are nearly the same are in order.
    """
    law, (upper, log_level) = log_gamma(np.full(len(t), shape)), _log_tail(level)
    depth = DEPTH - log_level
    spread = np.sqrt(2 * depth) * sd
    sign = np.where(upper, -1.0, 1.0)

    def excess(x: Array) -> tuple[Array, Array]:
        # y <= e^(t+x) iff T > 0, T the threshold of mean x + log(shape), which is x from its mode: its upper tail is the lower one of y
        log_tail, slope = law.tail_from(x, sd, ~upper)
        return sign * (log_tail - log_level), slope

    low, high = -spread - law.reach(-1.0, depth), spread + law.reach(1.0, depth)
    return t + rising_root(excess, low, high, sd * ndtri(level), 1e-15 * (high - low))


@np.errstate(all="ignore")
def normal_mixture_quantiles(at: Callable[[Array], tuple[Array, Array, Array]], q: Array) -> Array:
    """Quantiles (n, len(q)) of a mixture over v ~ N(0, 1) of normals; `at` v (n, j) gives mean, its slope in v and sd.

    A tail is the mean over v of a normal tail, which is integrated where their product is not negligible: it may fall
    within a narrow range about the v at which y is the mean.
    """
    n = len(at(np.zeros((1, 1)))[0])
    return np.stack([_normal_mixture(at, np.full(n, level)) for level in q], axis=1)


def _normal_mixture(at: Callable[[Array], tuple[Array, Array, Array]], level: Array) -> Array:
    upper, log_level = _log_tail(level)
    side = np.where(upper, -1.0, 1.0)[:, None]
    reach = np.sqrt(2 * (DEPTH - log_level))
    mean, slope, sd = at(np.zeros((len(level), 1)))
    ends = [at(v[:, None]) for v in (-reach, reach)]
    edges = np.stack([m[:, 0] + s[:, 0] * x for m, _, s in ends for x in (0.0, ndtri(level))])

    def excess(y: Array) -> tuple[Array, Array]:
        def height(v: Array) -> Array:
            mean, _, sd = at(v)
            return log_normal_cdf(side * (y[:, None] - mean) / sd)[0] - (v * v + LOG_2PI) / 2

        low, high = narrowed(height, -reach, reach)
        cross = (y[:, None] - mean) / slope
        width = FAR * np.abs(at(cross)[2] / slope)
        sixths = [low + (high - low) * i / 6 for i in range(1, 6)]
        inner = [*sixths, *(np.nan_to_num(v)[:, 0] for v in (cross - width, cross, cross + width))]
        v, lengths = pieces(low, high, inner)
        mass = lengths * np.exp(height(v))
        m, _, s = at(v)
        ratio = log_normal_cdf(side * (y[:, None] - m) / s)[1] / s
        total = mass.sum(axis=1)
        return side[:, 0] * (np.log(total) - log_level), np.sum(mass * ratio, axis=1) / total

    found = rising_root(excess, edges.min(axis=0), edges.max(axis=0), (mean + sd * ndtri(level)[:, None])[:, 0])
    found = np.where(level <= 0, -np.inf, np.where(level >= 1, np.inf, found))
    return np.where(np.isnan(mean[:, 0]), np.nan, found)
