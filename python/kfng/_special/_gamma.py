"""The gamma function, the incomplete gamma functions and the quantiles of the gamma distribution."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ._elementary import FloatArray, fall_rest, flat, log1pmx, log_ratio_rest
from ._normal import _ndtri
from ._quadrature import integrate, newton_log, reach_of

LARGE = 10.0  # from here Stirling's series with 8 terms is exact to rounding
_HALF_LOG_2PI = 0.5 * np.log(2.0 * np.pi)
_ONE_MINUS_EULER = 0.4227843350984671394  # 1 - Euler's constant
# B_2k / (2k (2k-1)), k = 1..8
_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156, -3617 / 122400)


def _zeta_minus_one(k: int) -> float:
    """zeta(k) - 1, k >= 2, by Euler-Maclaurin from n = 30 on (DLMF 25.2.9)."""
    n = 30.0
    head = sum(j ** -float(k) for j in range(29, 1, -1))
    correction = 1.0 / 2 + k / (12 * n) - k * (k + 1) * (k + 2) / (720 * n**3)
    fifth = k * (k + 1) * (k + 2) * (k + 3) * (k + 4) / (30240 * n**5)
    return float(head + n ** (1.0 - k) / (k - 1) + n ** -float(k) * (correction + fifth))


_TAYLOR = tuple((-1) ** k * _zeta_minus_one(k) / k for k in range(2, 32))


def _gammaln_near_two(z: FloatArray) -> FloatArray:
    """log Gamma(2+z) (n,), |z| <= 1/2: (1-Euler) z + sum (-1)^k (zeta(k)-1) z^k/k (DLMF 5.7.3)."""
    series = np.zeros_like(z)
    for coefficient in reversed(_TAYLOR):
        series = (series + coefficient) * z
    return (series + _ONE_MINUS_EULER) * z


def stirling_rest(x: FloatArray) -> FloatArray:
    """log Gamma(x) - [(x-1/2) log x - x + log(2 pi)/2] (n,), for x >= LARGE (DLMF 5.11.1)."""
    inverse_square = 1.0 / (x * x)
    series = np.zeros_like(x)
    for coefficient in reversed(_STIRLING):
        series = series * inverse_square + coefficient
    return series / x


@np.errstate(all="ignore")
def _gammaln(x: FloatArray) -> FloatArray:
    large = np.maximum(x, LARGE)
    stirling = (large - 0.5) * np.log(large) - large + _HALF_LOG_2PI + stirling_rest(large)
    small = np.where((x > 0) & (x < LARGE), x, 1.0)
    # down to [1.5, 2.5) by Gamma(x) = (x-1) Gamma(x-1), so that near 1 and 2, its zeros, nothing cancels
    steps = np.maximum(np.floor(small - 1.5), 0.0)
    product = np.ones_like(small)
    for j in range(1, 9):
        product = product * np.where(j <= steps, small - j, 1.0)
    base = small - steps
    below, tiny = base < 1.5, base < 0.5
    z = np.where(tiny, base, np.where(below, base - 1.0, base - 2.0))
    value = _gammaln_near_two(z) - np.where(below, np.log1p(z), 0.0) - np.where(tiny, np.log(base), 0.0)
    out = np.where(x < LARGE, value + np.log(product), stirling)
    return np.where(x > 0, np.where(np.isinf(x), np.inf, out), np.where(x == 0, np.inf, np.nan))


def gammaln(x: ArrayLike) -> FloatArray:
    """log Gamma(x) (...,) for x >= 0 (inf at 0, NaN below).

    Taylor series around 2 with recurrence below 10 (DLMF 5.7.3, 5.5.1), Stirling's series above (5.11.1). Accuracy: 2e-15,
    also near the zeros at 1 and 2.
    """
    shape, (v,) = flat(x)
    return _gammaln(v).reshape(shape)


def gammaln_ratio(a: FloatArray, b: FloatArray) -> FloatArray:
    """log Gamma(a+b) - log Gamma(a) (n,) for b > 0, without the cancellation of large logarithms when a >= LARGE."""
    big = np.maximum(a, LARGE)
    r = b / big
    stirling = (
        b * np.log(big) + big * log1pmx(r) + (b - 0.5) * np.log1p(r) + stirling_rest(big + b) - stirling_rest(big)
    )
    return np.where(a >= LARGE, stirling, _gammaln(a + b) - _gammaln(a))


def _gamma_weight(a: FloatArray, x: FloatArray) -> FloatArray:
    """log of x^a e^-x / Gamma(a) (n,): the density of log X. For large a about its mode (Loader 2000)."""
    big = np.maximum(a, LARGE)
    modal = 0.5 * np.log(big) - _HALF_LOG_2PI + big * log_ratio_rest(x, big) - stirling_rest(big)
    return np.where(a >= LARGE, modal, a * np.log(x) - x - _gammaln(a))


def _lower_log(v: FloatArray, a: FloatArray, x: FloatArray) -> FloatArray:
    m = -np.expm1(-v)  # -a v + x m, arranged so that nothing of size a cancels
    return (x - a) * m + a * fall_rest(v, m)


def _upper_log(s: FloatArray, a: FloatArray, x: FloatArray) -> FloatArray:
    return (a - 1.0) * log1pmx(s) + (a - 1.0 - x) * s


@np.errstate(all="ignore")
def gamma_tails(a: FloatArray, x: FloatArray) -> tuple[FloatArray, FloatArray]:
    """P(a, x) and Q(a, x), each (n,), by integrating the smaller tail away from x.

    P = w ∫_0^∞ e^(-a v + x(1 - e^-v)) dv (t = x e^-v),  Q = w ∫_0^∞ (1+s)^(a-1) e^(-x s) ds (t = x(1+s)),
    w = x^a e^-x / Gamma(a)  (DLMF 8.2.1, 8.2.2, 8.2.4). a < 1 goes through P(a) = P(a+1) + w/a (8.8.5).
    """
    valid = (a > 0) & (x >= 0) & np.isfinite(a)
    inner = valid & (x > 0) & np.isfinite(x)
    a_, x_ = np.where(inner, a, 1.0), np.where(inner, x, 1.0)
    lower = x_ <= np.maximum(a_, 1.0)
    weight = np.exp(_gamma_weight(a_, x_))
    tail = np.empty_like(x_)

    i = np.flatnonzero(lower)
    short = a_[i] < 1.0
    ai, xi = a_[i] + short, x_[i]
    reach = reach_of(_lower_log, lambda v, a, x: x * np.exp(-v) - a, ai - xi, xi, ai, xi)
    w = np.where(short, weight[i] * xi / a_[i], weight[i])
    tail[i] = w * integrate(_lower_log, reach, ai, xi) + np.where(short, weight[i] / a_[i], 0.0)

    j = np.flatnonzero(~lower)
    aj, xj = a_[j], x_[j]
    above = np.maximum(aj - 1.0, 0.0)
    reach = reach_of(_upper_log, lambda s, a, x: (a - 1.0) / (1.0 + s) - x, xj - aj + 1.0, above, aj, xj)
    tail[j] = weight[j] * integrate(_upper_log, reach, aj, xj)

    tail = np.minimum(tail, 1.0)
    p, q = np.where(lower, tail, 1.0 - tail), np.where(lower, 1.0 - tail, tail)
    end = np.where(valid, (x > 0) * 1.0, np.nan)  # x = 0 or inf
    return np.where(inner, p, end), np.where(inner, q, 1.0 - end)


def gammainc(a: ArrayLike, x: ArrayLike) -> FloatArray:
    """Regularised lower incomplete gamma function P(a, x) (...,), a > 0, x >= 0 (DLMF 8.2.4; see `gamma_tails`).

    Accuracy: 4e-13 down to 1e-300 for a in [1e-3, 1e4], 5e-14 within 5 sd of the mean for a up to 1e9. For x < 1 and a < 0.1
    Q is 1 - P and has an absolute accuracy of 2e-14.
    """
    shape, (a_, x_) = flat(a, x)
    return gamma_tails(a_, x_)[0].reshape(shape)


def gammaincc(a: ArrayLike, x: ArrayLike) -> FloatArray:
    """Regularised upper incomplete gamma function Q(a, x) = 1 - P (...,). Domain and accuracy as `gammainc`."""
    shape, (a_, x_) = flat(a, x)
    return gamma_tails(a_, x_)[1].reshape(shape)


@np.errstate(all="ignore")
def gammaincinv(a: ArrayLike, q: ArrayLike) -> FloatArray:
    """Quantile of the gamma distribution with shape a, scale 1 (...,): the x with P(a, x) = q; 0 at q = 0, inf at q = 1.

    Newton on log P or log Q in log x, both concave there. Start: Wilson & Hilferty 1931, or the leading term
    P ≈ x^a / Gamma(a+1), which is itself the answer once x is below the rounding of 1. Accuracy: 1e-13 for a in [0.05, 1e12].
    """
    shape, (a_, q_) = flat(a, q)
    inner = (a_ > 0) & np.isfinite(a_) & (q_ > 0) & (q_ < 1)
    b, p = np.where(inner, a_, 1.0), np.where(inner, q_, 0.5)
    below = p <= 0.5
    log_tail = np.log(np.where(below, p, 1.0 - p))
    leading = (np.log(p) + _gammaln(b + 1.0)) / b  # log x, never above the root
    cube = 1.0 - 1.0 / (9.0 * b) + _ndtri(p) / (3.0 * np.sqrt(b))
    start = np.exp(np.maximum(leading, np.log(b) + 3.0 * np.log(np.maximum(cube, 1e-100))))

    def step(x: FloatArray) -> FloatArray:
        lower, upper = gamma_tails(b, x)
        tail = np.where(below, lower, upper)
        return np.where(below, 1.0, -1.0) * (log_tail - np.log(tail)) * tail / np.exp(_gamma_weight(b, x))

    tiny = leading < -45.0
    x = np.where(tiny, np.exp(leading), newton_log(step, np.where(tiny, 1.0, start)))
    end = np.where((a_ > 0) & (q_ == 0), 0.0, np.where((a_ > 0) & (q_ == 1), np.inf, np.nan))
    return np.where(inner, x, end).reshape(shape)
