"""The predictive law of y of rows seen, one's or a mixture's: both tails at any y, and quantiles of mixtures.

Everything here is shared Python over the families' own integrals (reference/family/tails.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import _trace
from ._settings import Settings
from ._trace import Likelihood, Seen, Trace
from .errors import UnsupportedError

Float = NDArray[np.float64]
ROOT = 1e-13
"""Relative accuracy of a quantile of a mixture."""


class Law(NamedTuple):
    """What one filter says of n rows."""

    settings: Settings
    likelihood: Likelihood
    seen: Seen

    def tails(self, y: Float, rows: Any = slice(None)) -> tuple[Float, Float]:
        """P(Y <= y) and P(Y > y) of some rows, each (m, width) as y: one column for each entry of the mean."""
        seen = Seen(*(part[rows] for part in self.seen))
        family = self.settings.family.for_rows(seen.y)
        with np.errstate(all="ignore"):
            return family.predictive_tails(seen.z, seen.C, seen.a, seen.b, y)

    @property
    def width(self) -> int:
        return math.prod(self.settings.mean_shape)


def law(trace: Trace) -> Law:
    """Of the rows of a trace."""
    return Law(trace.settings, trace.likelihood, trace._seen())


def require_order(settings: Settings, argument: str) -> None:
    """UnsupportedError where y has no distribution function that is known."""
    if not settings.rule.has_posterior:
        expected = "a rule with a posterior covariance"
        raise UnsupportedError(argument=argument, expected=expected, got=repr(settings.rule)[:80])
    if not settings.family.has_quantiles:
        raise UnsupportedError(argument=argument, expected="a family of ordered y", got=repr(settings.family))


def mixed_tails(laws: Sequence[Law], weights: Float, y: Float, rows: Any = slice(None)) -> tuple[Float, Float]:
    """The same of a mixture with weights (n, m)."""
    lower, upper = np.zeros(y.shape), np.zeros(y.shape)
    for law, weight in zip(laws, weights[rows].T, strict=True):
        low, high = law.tails(y, rows)
        w = weight[:, None]
        lower += np.where(w == 0, 0.0, w * low)
        upper += np.where(w == 0, 0.0, w * high)
    return lower, upper


def mixed_quantiles(laws: Sequence[Law], weights: Float, q: Any, argument: str) -> Float:
    """Quantiles of y of a mixture with weights (n, m): (n, len(q)), or (n, k, len(q)). They lie between those of its parts."""
    each = [_trace.quantiles(*law, q, argument) for law in laws]
    n, width, levels = len(weights), laws[0].width, np.atleast_1d(np.asarray(q, dtype=np.float64))
    parts = np.stack([part.reshape(n, width, len(levels)) for part in each])
    counts = weights.T[:, :, None, None] > 0
    with np.errstate(invalid="ignore"):
        low = np.min(np.where(counts, parts, np.inf), axis=0)
        high = np.max(np.where(counts, parts, -np.inf), axis=0)
    found = np.where(levels > 0.5, high, low)
    found = np.where(np.isnan(parts).any(axis=0), np.nan, found)
    solve = _smallest if laws[0].settings.family.discrete else _root
    for j in range(width):
        for i, level in enumerate(levels.tolist()):
            rows = np.flatnonzero(low[:, j, i] < high[:, j, i]) if 0 < level < 1 else np.zeros(0, dtype=np.intp)
            if len(rows):
                tail = _one_entry(laws, weights, rows, j, width, level)
                found[rows, j, i] = solve(tail, level, low[rows, j, i], high[rows, j, i])
    return found.reshape(each[0].shape)


Tail = Callable[[Float], Float]


def _one_entry(laws: Sequence[Law], weights: Float, rows: NDArray[np.intp], j: int, width: int, level: float) -> Tail:
    """The mixture's smaller tail at the level, as a function of entry j of y, of some rows."""

    def tail(y: Float) -> Float:
        wide = np.broadcast_to(y[:, None], (len(y), width))
        return mixed_tails(laws, weights, wide, rows)[int(level > 0.5)][:, j]

    return tail


def _smallest(tail: Tail, level: float, low: Float, high: Float) -> Float:
    """The smallest whole number, of low to high, whose probability of not being exceeded reaches the level."""
    while True:
        open_ = high - low >= 1
        middle = np.floor((low + high) / 2)
        open_ &= (middle >= low) & (middle < high)  # counts beyond 2^53 have no neighbours
        if not open_.any():
            return high
        found = tail(middle)
        reached = found <= 1 - level if level > 0.5 else found >= level
        high, low = np.where(open_ & reached, middle, high), np.where(open_ & ~reached, middle + 1, low)


@np.errstate(all="ignore")
def _root(tail: Tail, level: float, low: Float, high: Float) -> Float:
    """Where the tail is that of the level: inverse quadratic interpolation, halving where it is not to be trusted.

    An end that rounding has put on the wrong side of the level, as that of a filter with all the weight may be, is the root.
    Source: Chandrupatla 1997, Advances in Engineering Software 28.
    """
    side, target = (-1.0, math.log(1 - level)) if level > 0.5 else (1.0, math.log(level))

    def excess(y: Float) -> Float:
        return side * (np.log(tail(y)) - target)

    a, b = high, low
    fa, fb = excess(a), excess(b)
    t, best, moving = np.full(len(a), 0.5), np.where((fb >= 0) & (fa > 0), b, a), ~((fa <= 0) | (fb >= 0))
    for _ in range(100):
        x = a + t * (b - a)
        fx = excess(x)
        same = np.sign(fx) == np.sign(fa)
        c, fc = np.where(same, a, b), np.where(same, fa, fb)
        b, fb = np.where(same, b, a), np.where(same, fb, fa)
        a, fa = x, fx
        best = np.where(
            moving, np.where(np.abs(fa) < np.abs(fb), a, b), best
        )  # one that is found stays, whatever others need
        limit = ROOT * np.abs(best) / np.abs(b - a)
        moving &= (limit < 0.5) & (fa != 0) & (fb != 0)
        if not moving.any():
            break
        xi, phi = (a - b) / (c - b), (fa - fb) / (fc - fb)
        quadratic = fa / (fb - fa) * fc / (fb - fc) + (c - a) / (b - a) * fa / (fc - fa) * fb / (fc - fb)
        fits = (phi**2 < xi) & ((1 - phi) ** 2 < 1 - xi)
        t = np.where(fits & np.isfinite(quadratic), np.clip(quadratic, limit, 1 - limit), 0.5)
    return best
