"""The normal distribution and the error function."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ._elementary import FloatArray, flat
from ._quadrature import DEPTH, integrate

_HALF_LOG_2PI = 0.5 * np.log(2.0 * np.pi)


def _erf_centre(x: FloatArray) -> FloatArray:
    """erf (n,) for |x| <= 1: 2x/sqrt(pi) ∫_0^1 e^(-x² s²) ds (DLMF 7.2.1)."""
    return 2.0 / np.sqrt(np.pi) * x * integrate(lambda s, x: -np.square(x * s), np.ones_like(x), x, order=20)


def _erfcx(x: FloatArray) -> FloatArray:
    """e^(x²) erfc(x) (n,) for x >= 1: 2/sqrt(pi) ∫_0^∞ e^(-t² - 2xt) dt (DLMF 7.7.2, t shifted by x)."""
    reach = DEPTH / (x + np.sqrt(x * x + DEPTH))
    return 2.0 / np.sqrt(np.pi) * integrate(lambda t, x: -t * (t + 2.0 * x), reach, x)


def _exp_minus_square(x: FloatArray) -> FloatArray:
    """e^(-x²) (n,); x² is split so that its rounding, which the exponential would multiply by x², does no harm."""
    head = np.trunc(16.0 * x) / 16.0
    return np.asarray(np.exp(-head * head) * np.exp(-(x - head) * (x + head)))


def _erfc_pair(x: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(erf, erfc), each (n,) and each with its own relative accuracy."""
    size = np.minimum(np.abs(x), 30.0)  # e^-900 is 0
    small, rest = np.empty_like(x), np.empty_like(x)
    i, j = np.flatnonzero(size <= 1.0), np.flatnonzero(~(size <= 1.0))
    small[i] = _erf_centre(size[i])
    rest[i] = 1.0 - small[i]
    rest[j] = _erfcx(size[j]) * _exp_minus_square(size[j])
    small[j] = 1.0 - rest[j]
    return np.copysign(small, x), np.where(x < 0, 1.0 + small, rest)


def erf(x: ArrayLike) -> FloatArray:
    """erf(x) (...,), DLMF 7.2.1. Accuracy: 3e-15."""
    shape, (v,) = flat(x)
    return _erfc_pair(v)[0].reshape(shape)


def erfc(x: ArrayLike) -> FloatArray:
    """1 - erf(x) (...,), DLMF 7.2.2, relative accuracy kept to the underflow. Accuracy: 3e-14."""
    shape, (v,) = flat(x)
    return _erfc_pair(v)[1].reshape(shape)


def ndtr(x: ArrayLike) -> FloatArray:
    """Standard normal distribution function (...,), erfc(-x/sqrt 2)/2 (DLMF 7.20(iii)). Accuracy: 3e-13 at x = -37, 3e-14 above -8."""
    shape, (v,) = flat(x)
    return (0.5 * _erfc_pair(v * -np.sqrt(0.5))[1]).reshape(shape)


def _log_ndtr(x: FloatArray) -> FloatArray:
    out = np.empty_like(x)
    i, j, k = np.flatnonzero(x < -1.5), np.flatnonzero((x >= -1.5) & (x <= 0)), np.flatnonzero(~(x <= 0))
    out[i] = -np.square(x[i]) / 2.0 + np.log(0.5 * _erfcx(-x[i] * np.sqrt(0.5)))
    out[j] = np.log(0.5 * _erfc_pair(-x[j] * np.sqrt(0.5))[1])
    out[k] = np.log1p(-0.5 * _erfc_pair(x[k] * np.sqrt(0.5))[1])
    return out


@np.errstate(all="ignore")
def log_ndtr(x: ArrayLike) -> FloatArray:
    """log of the standard normal distribution function (...,), finite far below where it underflows. Accuracy: 4e-14."""
    shape, (v,) = flat(x)
    return _log_ndtr(v).reshape(shape)


@np.errstate(all="ignore")
def _ndtri(q: FloatArray) -> FloatArray:
    p = np.minimum(q, 1.0 - q)  # exact: 1-q is exact for q >= 1/2
    # Abramowitz & Stegun 26.2.23: right to 4.5e-4
    t = np.sqrt(-2.0 * np.log(np.where(p > 0, p, 0.5)))
    x = ((0.010328 * t + 0.802853) * t + 2.515517) / (((0.001308 * t + 0.189269) * t + 1.432788) * t + 1.0) - t
    i, j = np.flatnonzero(p > 0.2), np.flatnonzero(p <= 0.2)
    for _ in range(3):
        log_density = -x * x / 2.0 - _HALF_LOG_2PI
        x[i] -= (_erf_centre(x[i] * np.sqrt(0.5)) / 2.0 - (p[i] - 0.5)) / np.exp(log_density[i])
        log_tail = _log_ndtr(x[j])  # Newton on the logarithm: its derivative is density/tail
        x[j] -= (log_tail - np.log(p[j])) * np.exp(log_tail - log_density[j])
    x = np.where(p == 0, -np.inf, np.where(p == 0.5, 0.0, x))
    return np.where((q >= 0) & (q <= 1), np.where(q > 0.5, -x, x), np.nan)


def ndtri(q: ArrayLike) -> FloatArray:
    """Standard normal quantile (...,): the x with ndtr(x) = q; ndtri(0) = -inf, ndtri(1/2) = 0, ndtri(1) = inf.

    Start of Abramowitz & Stegun 26.2.23, then three Newton steps, on the logarithm of the tail below q = 0.2. Accuracy: 5e-15.
    """
    shape, (v,) = flat(q)
    return _ndtri(v).reshape(shape)
