"""Functions of one variable that need care only against overflow and cancellation."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]


def flat(*arguments: ArrayLike) -> tuple[tuple[int, ...], list[FloatArray]]:
    """Broadcast the arguments; return the common shape and each as a float64 array of shape (size,)."""
    arrays = np.broadcast_arrays(*(np.asarray(a, dtype=np.float64) for a in arguments))
    return arrays[0].shape, [a.ravel() for a in arrays]


def log1pexp(x: ArrayLike) -> FloatArray:
    """log(1 + e^x) (...,) without overflow. Accuracy: 4e-16."""
    with np.errstate(invalid="ignore"):  # NaN stays NaN, without a warning
        return np.asarray(np.logaddexp(0.0, np.asarray(x, dtype=np.float64)))


def expit(x: ArrayLike) -> FloatArray:
    """1 / (1 + e^-x) (...,), written in e^-|x| so that neither side overflows. Accuracy: 4e-16."""
    x = np.asarray(x, dtype=np.float64)
    e = np.exp(-np.abs(x))
    return np.asarray(np.where(x >= 0, 1.0, e) / (1.0 + e))


@np.errstate(all="ignore")
def logit(p: ArrayLike) -> FloatArray:
    """log(p / (1-p)) (...,). Accuracy: 4e-16.

    In the middle 2 atanh(2p - 1), where 2p - 1 is exact and keeps the relative accuracy near p = 1/2.
    """
    p = np.asarray(p, dtype=np.float64)
    middle = (p > 0.25) & (p < 0.75)
    return np.where(middle, 2.0 * np.arctanh(np.where(middle, 2.0 * p - 1.0, 0.0)), np.log(p / (1.0 - p)))


@np.errstate(all="ignore")
def log1pmx(x: ArrayLike) -> FloatArray:
    """log(1+x) - x (...,), without the cancellation at small x. Accuracy: 2e-15.

    log(1+x) = 2 atanh(r), r = x/(2+x) (DLMF 4.6.4), and 2r - x = -x·r exactly.
    """
    x = np.asarray(x, dtype=np.float64)
    near = np.abs(x) < 0.25
    r = np.where(near, x / (2.0 + x), 0.0)
    square = r * r
    series = np.zeros_like(square)
    for k in range(9, 0, -1):  # r² <= 1/49: 9 terms reach 49^-9 = 6e-16 of the first
        series = (series + 1.0 / (2 * k + 1)) * square
    return np.where(near, r * (2.0 * series - x), np.log1p(x) - x)


@np.errstate(all="ignore")
def expm1mx(x: ArrayLike) -> FloatArray:
    """e^x - 1 - x (...,), without the cancellation at small x: its Taylor series for |x| < 1. Accuracy: 1e-15."""
    x = np.asarray(x, dtype=np.float64)
    near = np.abs(x) < 1
    t = np.where(near, x, 0.0)
    series = np.ones_like(t)
    for k in range(19, 2, -1):  # 2/20! = 8e-19 of the first
        series = 1.0 + series * t / k
    return np.where(near, t * t / 2 * series, np.expm1(x) - x)


def fall_rest(v: FloatArray, m: FloatArray) -> FloatArray:
    """m - v for m = 1 - e^-v (...,), v >= 0: log1pmx(-m), except where m is too near 1 to tell v from it."""
    return np.where(v < 0.5, log1pmx(-m), m - v)


@np.errstate(all="ignore")
def log_ratio_rest(x: FloatArray, a: FloatArray) -> FloatArray:
    """log(x/a) - (x-a)/a (...,) for x, a > 0, accurate both where x is near a and where it is far below."""
    d = (x - a) / a
    return np.where(np.abs(d) < 0.5, log1pmx(d), np.log(x / a) - d)
