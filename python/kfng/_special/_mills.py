"""The logarithm of the normal distribution function of many numbers at once, by a table of Mills' ratio."""

from __future__ import annotations

from functools import cache

import numpy as np

from ._elementary import FloatArray
from ._normal import _HALF_LOG_2PI, _erfcx, ndtr

TABLE = 40.0
"""Up to here Mills' ratio is tabulated; beyond, its asymptotic series is exact to rounding."""
PER_UNIT = 64
TERMS = 7


@cache
def _table() -> FloatArray:
    x = np.arange(TABLE * PER_UNIT + 1) / PER_UNIT
    near, far = x[x < 1.5], x[x >= 1.5]
    start = ndtr(-near) * np.exp(near * near / 2 + _HALF_LOG_2PI)
    return np.concatenate([start, np.sqrt(np.pi / 2) * _erfcx(far * np.sqrt(0.5))])


def _mills(x: FloatArray) -> FloatArray:
    """M(x) = Phi(-x)/phi(x) for x >= 0, any shape: six terms of Taylor's series about the nearest node, or DLMF 7.12.1.

    M' = x M - 1, and by differentiating M^(n+1) = x M^(n) + n M^(n-1).
    """
    inside = np.minimum(x, TABLE)
    i = np.rint(inside * PER_UNIT).astype(np.intp)
    at = i / PER_UNIT
    d, before, now = inside - at, _table()[i], at * _table()[i] - 1
    total, power = before + now * d, d
    for n in range(1, TERMS):
        before, now = now, at * now + n * before
        power = power * d / (n + 1)
        total = total + power * now
    r = 1 / np.square(np.maximum(x, TABLE))
    series = np.ones_like(x)
    for odd in (11.0, 9.0, 7.0, 5.0, 3.0, 1.0):
        series = 1 - odd * r * series
    return np.where(x > TABLE, series / np.maximum(x, TABLE), total)


def log_normal_cdf(x: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(log Phi(x), phi(x)/Phi(x)), the second its derivative, any shape. Accuracy: 3e-14 of each; NaN gives NaN."""
    size = np.abs(np.where(np.isnan(x), 0.0, x))
    ratio, log_density = _mills(size), -size * size / 2 - _HALF_LOG_2PI
    far = np.exp(log_density) * ratio
    log_cdf = np.where(x < 0, log_density + np.log(ratio), np.log1p(-far))
    slope = np.where(x < 0, 1 / ratio, np.exp(log_density) / (1 - far))
    return np.where(np.isnan(x), np.nan, log_cdf), np.where(np.isnan(x), np.nan, slope)
