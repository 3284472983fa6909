"""Distribution functions and quantiles of counts: Poisson, negative binomial, binomial."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._beta import beta_tails
from ._elementary import FloatArray, flat
from ._gamma import gamma_tails
from ._normal import _ndtri

Tails = Callable[..., tuple[FloatArray, FloatArray]]
Reached = Callable[..., NDArray[np.bool_]]
"""Whether P(X <= k) >= q, of k and q (n,) and the parameters."""


def _poisson_tails(k: FloatArray, mu: FloatArray) -> tuple[FloatArray, FloatArray]:
    """P(X <= k) and P(X > k), each (n,), k >= 0 whole: Q(k+1, mu) and P(k+1, mu) (DLMF 8.4.10)."""
    above, up_to = gamma_tails(k + 1.0, mu)
    return up_to, above


def _nbinom_tails(k: FloatArray, mean: FloatArray, dispersion: FloatArray) -> tuple[FloatArray, FloatArray]:
    """I_x(1/dispersion, k+1) and its complement, x = 1/(1 + dispersion·mean)."""
    r = dispersion * mean
    return beta_tails(1.0 / dispersion, k + 1.0, 1.0 / (1.0 + r), r / (1.0 + r))


def _binom_tails(k: FloatArray, n: FloatArray, p: FloatArray) -> tuple[FloatArray, FloatArray]:
    """I_{1-p}(n-k, k+1) and its complement; all mass is up to k = n."""
    end = k >= n
    up_to, above = beta_tails(np.where(end, 1.0, n - k), np.where(end, 1.0, k + 1.0), 1.0 - p, p)
    return np.where(end, 1.0, up_to), np.where(end, 0.0, above)


@np.errstate(all="ignore")
def _cdf(tails: Tails, valid: NDArray[np.bool_], k: FloatArray, *parameters: FloatArray) -> FloatArray:
    whole = np.floor(k)
    inner = np.isfinite(whole) & (whole >= 0)
    value = tails(np.where(inner, whole, 0.0), *parameters)[0]
    return np.where(valid & ~np.isnan(k), np.where(inner, value, (k > 0) * 1.0), np.nan)


@np.errstate(all="ignore")
def _smallest(
    q: FloatArray, reached: Reached, mean: FloatArray, sd: FloatArray, skew: FloatArray, *parameters: FloatArray
) -> FloatArray:
    """The smallest whole k >= 0 that has `reached` q (n,), for 0 < q < 1 and valid parameters (n,).

    Starts at the normal quantile with the first Cornish-Fisher term (Cornish & Fisher 1938),
    walks by doubling steps until k is bracketed, then halves.
    """
    z = _ndtri(q)
    probe = np.maximum(np.floor(mean + sd * (z + skew * (z * z - 1.0) / 6.0)), 0.0)
    lo, hi, stride = np.full_like(q, -1.0), np.full_like(q, np.inf), np.ones_like(q)
    failed = np.zeros(q.shape, dtype=bool)
    active = np.arange(q.size)
    for _ in range(200):
        i = active
        k, target = probe[i], q[i]
        good = reached(k, target, *(p[i] for p in parameters))
        hi[i], lo[i] = np.where(good, k, hi[i]), np.where(good, lo[i], k)
        failed[i] |= ~good
        active = i = i[hi[i] - lo[i] > 1.0]
        if i.size == 0:
            break
        middle = np.floor((lo[i] + hi[i]) / 2.0)
        down = np.where(failed[i], middle, np.maximum(hi[i] - stride[i], middle))
        probe[i] = np.where(np.isinf(hi[i]), lo[i] + stride[i], down)
        stride[i] *= 2.0
    return hi


@np.errstate(all="ignore")
def _ppf(
    q: FloatArray,
    valid: NDArray[np.bool_],
    top: FloatArray,
    tails: Tails,
    mean: FloatArray,
    sd: FloatArray,
    skew: FloatArray,
    *parameters: FloatArray,
) -> FloatArray:
    """Quantiles (n,): `_smallest` where there is something to search, 0 at q = 0 or mean 0, `top` at q = 1, else NaN.

    Since it asks for P(X <= k) >= q in double precision, the quantile of a value of the distribution function here is the k
    it came from.
    """

    def reached(k: FloatArray, target: FloatArray, *own: FloatArray) -> NDArray[np.bool_]:
        return np.asarray(tails(k, *own)[0] >= target)

    out = np.where(valid & (q >= 0) & (q <= 1), 0.0, np.nan)
    out[(out == 0) & (q == 1) & (mean > 0)] = top[(out == 0) & (q == 1) & (mean > 0)]
    i = np.flatnonzero(valid & (q > 0) & (q < 1) & (mean > 0))
    out[i] = _smallest(q[i], reached, mean[i], sd[i], skew[i], *(p[i] for p in parameters))
    return out


def poisson_cdf(k: ArrayLike, mu: ArrayLike) -> FloatArray:
    """P(X <= k) (...,) for X Poisson with mean mu >= 0: Q(floor(k)+1, mu) (DLMF 8.4.10). Accuracy: as `gammainc`."""
    shape, (k_, mu_) = flat(k, mu)
    return _cdf(_poisson_tails, (mu_ >= 0) & np.isfinite(mu_), k_, mu_).reshape(shape)


@np.errstate(all="ignore")
def poisson_ppf(q: ArrayLike, mu: ArrayLike) -> FloatArray:
    """Smallest whole k with poisson_cdf(k, mu) >= q (...,), as floats; 0 at q = 0, inf at q = 1. Exact; mu up to 1e15."""
    shape, (q_, mu_) = flat(q, mu)
    sd = np.sqrt(mu_)
    valid = (mu_ >= 0) & np.isfinite(mu_)
    return _ppf(q_, valid, np.full_like(q_, np.inf), _poisson_tails, mu_, sd, 1.0 / sd, mu_).reshape(shape)


def nbinom_cdf(k: ArrayLike, mean: ArrayLike, dispersion: ArrayLike) -> FloatArray:
    """P(X <= k) (...,) for X negative binomial with Var = mean + dispersion·mean², dispersion > 0 (DLMF 8.17.24).

    Accuracy: as `betainc`, also for dispersion down to 1e-12.
    """
    shape, (k_, m, d) = flat(k, mean, dispersion)
    return _cdf(_nbinom_tails, (m >= 0) & (d > 0) & np.isfinite(m * d), k_, m, d).reshape(shape)


@np.errstate(all="ignore")
def nbinom_ppf(q: ArrayLike, mean: ArrayLike, dispersion: ArrayLike) -> FloatArray:
    """Smallest whole k with nbinom_cdf(k, mean, dispersion) >= q (...,), as floats; 0 at q = 0, inf at q = 1. Exact."""
    shape, (q_, m, d) = flat(q, mean, dispersion)
    sd = np.sqrt(m + d * m * m)
    valid = (m >= 0) & (d > 0) & np.isfinite(m * d)
    skew = (1.0 + 2.0 * d * m) / sd
    return _ppf(q_, valid, np.full_like(q_, np.inf), _nbinom_tails, m, sd, skew, m, d).reshape(shape)


def binom_cdf(k: ArrayLike, n: ArrayLike, p: ArrayLike) -> FloatArray:
    """P(X <= k) (...,) for X binomial, n >= 0 whole trials, probability p (DLMF 8.17.5). Accuracy: as `betainc`."""
    shape, (k_, n_, p_) = flat(k, n, p)
    valid = (n_ >= 0) & (n_ == np.floor(n_)) & np.isfinite(n_) & (p_ >= 0) & (p_ <= 1)
    return _cdf(_binom_tails, valid, k_, n_, p_).reshape(shape)


@np.errstate(all="ignore")
def binom_ppf(q: ArrayLike, n: ArrayLike, p: ArrayLike) -> FloatArray:
    """Smallest whole k with binom_cdf(k, n, p) >= q (...,), as floats; 0 at q = 0, n at q = 1. Exact."""
    shape, (q_, n_, p_) = flat(q, n, p)
    valid = (n_ >= 0) & (n_ == np.floor(n_)) & np.isfinite(n_) & (p_ >= 0) & (p_ <= 1)
    sd = np.sqrt(n_ * p_ * (1.0 - p_))
    skew = np.where(sd > 0, (1.0 - 2.0 * p_) / sd, 0.0)
    return _ppf(q_, valid, n_, _binom_tails, n_ * p_, sd, skew, n_, p_).reshape(shape)
