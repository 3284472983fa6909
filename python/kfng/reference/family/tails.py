"""P(Y <= y) and P(Y > y) with a normal output t ~ N(z, q) integrated out: the integrals that quantiles are roots of.

Each law is asked for the tail on the far side of its centre; the other is what is left. Where that tail turns out to be
nearly all, it is the other one that is integrated.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..._special._gamma import gamma_tails
from ..._special._mills import log_normal_cdf
from ..._validate import Array
from .mixture import Tail
from .quadrature import LOG_2PI, narrowed
from .threshold import DEPTH, FAR, log_gamma, pieces

Mask = NDArray[np.bool_]
Both = tuple[Array, Array]
MOSTLY = 0.9
SCOUTS = np.linspace(-40.0, 40.0, 81)
"""Where a tail that float64 can hold has its largest part between."""
BLOCK = 2048
"""Rows whose nodes are in memory at once."""


def both(ask: Callable[[Mask, NDArray[np.intp]], Array], upper: Mask) -> Both:
    """(P(Y <= y), P(Y > y)) (n,) from what gives the tail where `upper`, else the other, of some rows."""
    n = len(upper)
    asked = np.empty(n)
    for start in range(0, n, BLOCK):
        rows = np.arange(start, min(start + BLOCK, n))
        asked[rows] = ask(upper[rows], rows)
    again = np.flatnonzero(asked > MOSTLY)
    upper = upper.copy()
    upper[again] = ~upper[again]
    asked[again] = ask(upper[again], again)
    asked = np.clip(asked, 0.0, 1.0)
    return np.where(upper, 1 - asked, asked), np.where(upper, asked, 1 - asked)


@np.errstate(all="ignore")
def count_tails(tail: Tail, z: Array, C: Array, y: Array, centre: Array, *parameters: Array) -> Both:
    """Of counts, all (n, 1): `tail` as in mixture.py, `centre` near the median; P(Y <= y) of any number y."""
    t, sd, at, middle, *own = (part.ravel() for part in np.broadcast_arrays(z, np.sqrt(C), y, centre, *parameters))
    k = np.floor(at)
    lower, upper = np.full(len(t), np.nan), np.full(len(t), np.nan)
    i = np.flatnonzero((k >= 0) & np.isfinite(k) & np.isfinite(t))

    def ask(above: Mask, rows: NDArray[np.intp]) -> Array:
        j = i[rows]
        return tail(k[j], above, t[j], sd[j], *(part[j] for part in own))

    lower[i], upper[i] = both(ask, (k >= middle)[i])
    return _ends(lower, upper, k, t, z.shape)


@np.errstate(all="ignore")
def gamma_law_tails(z: Array, C: Array, y: Array, shape: float) -> Both:
    """Of a Gamma(shape) of mean e^t, all (n, 1)."""
    t, sd, at = (part.ravel() for part in np.broadcast_arrays(z, np.sqrt(C), y))
    lower, upper = np.full(len(t), np.nan), np.full(len(t), np.nan)
    inside = (at > 0) & np.isfinite(at) & np.isfinite(t)
    i, j = np.flatnonzero(inside & (sd > 0)), np.flatnonzero(inside & (sd == 0))
    if len(j):
        lower[j], upper[j] = gamma_tails(np.full(len(j), shape), shape * at[j] * np.exp(-t[j]))
    x = np.log(at)

    def ask(above: Mask, rows: NDArray[np.intp]) -> Array:
        # y <= e^x iff T > t, T the threshold of mean x + log(shape): its upper tail is the lower one of y
        law = log_gamma(np.full(len(rows), shape))
        return np.exp(law.tail(x[i[rows]] + np.log(shape) - t[i[rows]], sd[i[rows]], ~above)[0])

    if len(i):
        lower[i], upper[i] = both(ask, (x >= t)[i])
    return _ends(lower, upper, np.where(at > 0, at, -1.0), t, z.shape)


@np.errstate(all="ignore")
def normal_mixture_tails(at: Callable[[Array, NDArray[np.intp]], tuple[Array, Array, Array]], y: Array) -> Both:
    """Of a mixture over v ~ N(0, 1) of normals; `at` v (m, j) of m rows gives mean, its slope in v and sd. y (n, 1)."""
    flat = y.ravel()
    every = np.arange(len(flat))
    mean, slope, sd = at(np.zeros((len(flat), 1)), every)
    known = np.isfinite(mean[:, 0]) & np.isfinite(flat)
    i = np.flatnonzero(known)
    lower, upper = np.full(len(flat), np.nan), np.full(len(flat), np.nan)

    def ask(above: Mask, rows: NDArray[np.intp]) -> Array:
        j = i[rows]
        side, value = np.where(above, -1.0, 1.0)[:, None], flat[j][:, None]

        def height(v: Array) -> Array:
            m, _, s = at(v, j)
            return log_normal_cdf(side * (value - m) / s)[0] - (v * v + LOG_2PI) / 2

        least = height(np.broadcast_to(SCOUTS, (len(j), len(SCOUTS)))).max(axis=1)
        reach = np.sqrt(2 * (DEPTH - least))  # the largest is no smaller than that: beyond, v² alone is DEPTH below it
        low, high = narrowed(height, -reach, reach)
        cross = (value - mean[j]) / slope[j]
        width = FAR * np.abs(at(cross, j)[2] / slope[j])
        sixths = [low + (high - low) * part / 6 for part in range(1, 6)]
        inner = [*sixths, *(np.nan_to_num(v)[:, 0] for v in (cross - width, cross, cross + width))]
        v, lengths = pieces(low, high, inner)
        return np.sum(lengths * np.exp(height(v)), axis=1)

    lower[i], upper[i] = both(ask, (flat >= mean[:, 0])[i])
    lower = np.where(np.isposinf(flat), 1.0, np.where(np.isneginf(flat), 0.0, lower))
    return lower.reshape(y.shape), np.where(np.isinf(flat), 1 - lower, upper).reshape(y.shape)


def _ends(lower: Array, upper: Array, y: Array, t: Array, shape: tuple[int, ...]) -> Both:
    """Below 0 there is nothing, at infinity all; NaN where y or the output is."""
    known = ~np.isnan(t)
    lower = np.where(known & (y < 0), 0.0, np.where(known & np.isposinf(y), 1.0, lower))
    upper = np.where(known & (y < 0), 1.0, np.where(known & np.isposinf(y), 0.0, upper))
    return lower.reshape(shape), upper.reshape(shape)
