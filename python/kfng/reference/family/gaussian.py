"""Gaussian observations: y ~ N(z, R), with R a number, a matrix, or unknown variances learned beside theta.

Score e = R^-1 (y - z), Fisher factor L = chol(R)^-T (theory: Ollivier 2018, arXiv 1703.00209, section 2). A learned
variance is the conjugate normal-inverse-gamma: everything is relative to sigma², sigma² ~ InvGamma(a, b), and the
predictive law of y is Student-t with 2a degrees of freedom. A variance of each output has no conjugate form with a
shared theta: R_j = b_j/a_j is plugged in, and b_j gains each row's e_j²/(1 + w·C_jj/R_j) by half.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from ... import _special
from ..._validate import Array, finite_array, number, positive
from ...errors import NotPositiveDefiniteError, ParameterError, ShapeError, UnknownNameError, shown
from . import first_rows
from .base import Family, Mask
from .first_rows import Weight

LOG_2PI = float(np.log(2 * np.pi))
FAR = 1e100
"""Squares of residuals, over variances, may overflow beyond."""
NORMAL_95 = 1.6448536269514722
"""The 95 % quantile of the standard normal."""


@dataclass(frozen=True, eq=False, repr=False)
class Gaussian(Family):
    """y ~ N(z, R) on the identity link.

    Parameters
    ----------
    variance : float, None or 'each', default 1.0
        R for every output; None learns one sigma² for all outputs, exactly. 'each' learns one for every output, and is
        approximate: the estimate before a row counts as known in it, so predictions are normal, not Student-t, and
        the prior variance of theta is absolute.
    covariance : (k, k) array, optional
        A full R instead of `variance`.
    prior_dof : float
    prior_scale : float, or (k,) with `variance='each'`
        Prior of a learned variance: a_0 = dof/2 (dof > 2), b_0 = a_0·scale². With `variance=None` the prior standard
        deviation of theta is then sqrt(b_0/(a_0-1)·prior_variance).

    Raises
    ------
    ParameterError
        R <= 0, prior_dof <= 2, prior_scale <= 0, both `variance` and `covariance`.
    NotPositiveDefiniteError, ShapeError, NonFiniteError
        Of the arrays.
    """

    variance: float | str | None = 1.0
    covariance: Any = None
    prior_dof: float = 3.0
    prior_scale: Any = 1.0

    link: ClassVar[str] = "identity"
    partial: ClassVar[bool] = True
    covers: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.variance is not None:
            if isinstance(self.variance, str):
                if self.variance != "each":
                    raise UnknownNameError(
                        argument="variance", expected="a number > 0, None or 'each'", got=shown(self.variance)
                    )
            else:
                self._set("variance", positive("variance", self.variance))
        if self.covariance is not None:
            if self.variance != 1.0:
                raise ParameterError(argument="covariance", expected="either variance or covariance", got="both")
            self._set("covariance", _covariance_matrix(self.covariance))
        self._set("prior_dof", number("prior_dof", self.prior_dof, "a finite number > 2", 2.0, np.inf, ends="()"))
        self._set("prior_scale", _scales(self.prior_scale, self.each))

    @property
    def relative(self) -> bool:
        return self.variance is None

    @property
    def each(self) -> bool:
        return self.variance == "each"

    @property
    def fixed_factor(self) -> bool:
        return not self.each

    def outputs_needed(self) -> int | None:
        sized = self.covariance if np.ndim(self.prior_scale) == 0 else self.prior_scale
        return None if sized is None else len(sized)

    def noise_scales(self, k: int) -> int:
        return k if self.each else int(self.relative)

    def prior_noise(self, k: int) -> tuple[Array, Array]:
        a = np.full(self.noise_scales(k), self.prior_dof / 2)
        return a, a * self.prior_scale**2

    def R(self, k: int) -> Array:
        """Noise covariance (k, k) where it is known, relative to sigma² where that is learned."""
        if self.covariance is not None:
            return np.asarray(self.covariance)
        return np.eye(k) * (self.variance if isinstance(self.variance, float) else 1.0)

    def R_of_rows(self, k: int, a: Array, b: Array) -> Array:
        """The same for n rows, (n, k, k), with each output's variance b_j/a_j where it is learned."""
        return np.eye(k) * (b / a)[:, :, None] if self.each else np.broadcast_to(self.R(k), (len(a), k, k))

    def at_noise(self, a: Array, b: Array) -> Family:
        return Gaussian(covariance=np.diag(b / a)) if self.each else self

    def observed(self, y: Array, k: int) -> Mask:
        return ~np.isnan(y)

    def noise_innovations(self, z: Array, C: Array, y: Array, a: Array, b: Array, weight: float) -> Array:
        """e_j²/(1 + w·C_jj/R_j) where each output has its variance, 0 where y_j is missing."""
        if not self.each:
            return np.zeros(0)
        seen, gains = ~np.isnan(y), np.zeros(len(y))
        gains[seen] = (y - z)[seen] ** 2 / (1 + weight * np.diagonal(C) * a / b)[seen]
        return gains

    def share_within(self, z: Array, C: Array, y: Array, a: Array, b: Array) -> float:
        S = np.diagonal(C + self.R_of_rows(len(z), a[None], b[None])[0])
        limit = b[0] / a[0] * student_95(2 * a[0]) ** 2 if self.relative else NORMAL_95**2
        seen = ~np.isnan(y)
        return float(np.mean(((y - z) ** 2 <= limit * S)[seen]))

    # -- one row
    def score(self, z: Array, y: Array, observed: Mask) -> Array:
        R = self.R(len(z))[np.ix_(observed, observed)]
        e: Array = np.linalg.solve(R, (y - z)[observed]).astype(np.float64)
        return e

    def factor(self, z: Array, observed: Mask) -> Array:
        R = self.R(len(z))[np.ix_(observed, observed)]
        return np.linalg.inv(np.linalg.cholesky(R)).T

    def misfit(self, z: Array, y: Array, observed: Mask) -> float:
        return float((y - z)[observed] @ self.score(z, y, observed)) / 2

    # -- many rows
    def mean(self, z: Array) -> Array:
        return z

    def mean_slope(self, z: Array) -> Array:
        return np.broadcast_to(np.eye(z.shape[1]), (*z.shape, z.shape[1]))

    def noise_covariance(self, z: Array, a: Array, b: Array) -> Array:
        return self.posterior_scale(a, b)[:, None, None] * self.R_of_rows(z.shape[1], a, b)

    def posterior_scale(self, a: Array, b: Array) -> Array:
        return b[:, 0] / (a[:, 0] - 1) if self.relative else np.ones(len(a))

    def noise_summary(self, a: Array, b: Array) -> tuple[Any, Any]:
        if self.relative:
            return float(b[0] / (a[0] - 1)), float(2 * a[0])
        if self.each:
            return b / (a - 1), 2 * a
        return (self.variance if self.covariance is None else np.array(self.covariance)), np.inf

    def plugin_nll(self, z: Array, y: Array, a: Array, b: Array) -> Array:
        return self.predictive_nll(z, np.zeros((*z.shape, z.shape[1])), y, a, b)

    def predictive_nll(self, z: Array, C: Array, y: Array, a: Array, b: Array) -> Array:
        """Normal, or multivariate Student-t with 2a degrees of freedom and scale matrix (b/a)·(I + C) where R = sigma²·I is learned."""
        result = np.full(len(z), np.nan)
        observed = ~np.isnan(y)
        for pattern in np.unique(observed, axis=0):
            rows = (observed == pattern).all(axis=1)
            if pattern.any():
                result[rows] = self._nll(z[rows], C[rows], y[rows], a[rows], b[rows], pattern)
        return result

    @np.errstate(all="ignore")
    def _nll(self, z: Array, C: Array, y: Array, a: Array, b: Array, seen: Mask) -> Array:
        k = int(seen.sum())
        S = (C + self.R_of_rows(z.shape[1], a, b))[:, seen][:, :, seen]
        residual = (y - z)[:, seen]
        most = np.max(np.abs(residual), axis=1)
        scale = np.where(most < FAR, 1.0, np.minimum(most, np.finfo(np.float64).max))
        residual = residual / scale[:, None]
        L, lost = _factor(
            S, 1 / np.diagonal(np.linalg.inv(self.R_of_rows(z.shape[1], a, b)), axis1=1, axis2=2)[:, seen]
        )
        S[lost] = np.eye(k)  # R is lost beside C: by L instead
        terms = np.ascontiguousarray(residual * np.linalg.solve(S, residual[..., None])[..., 0])
        distance = np.sum(terms, axis=1)  # in one order however many rows there are
        log_det = np.linalg.slogdet(S)[1]
        if lost.any():
            L, residual = L[lost], residual[lost]
            distance[lost] = np.sum(np.linalg.solve(L, residual[..., None])[..., 0] ** 2, axis=1)
            log_det[lost] = 2 * np.sum(np.log(np.diagonal(L, axis1=1, axis2=2)), axis=1)
        if not self.relative:
            return 0.5 * (k * LOG_2PI + log_det + distance * scale * scale)
        a, b = a[:, 0], b[:, 0]
        log_norm = _special.gammaln(a) - _special.gammaln(a + k / 2) + 0.5 * (k * (LOG_2PI + np.log(b)) + log_det)
        far = _special.log1pexp(np.log(distance) + 2 * np.log(scale) - np.log(2 * b))
        return log_norm + (a + k / 2) * np.where(scale == 1, np.log1p(distance / (2 * b)), far)

    def predictive_quantiles(self, z: Array, C: Array, a: Array, b: Array, q: Array) -> Array:
        S = np.diagonal(C + self.R_of_rows(z.shape[1], a, b), axis1=1, axis2=2)
        sd = np.sqrt(S)
        if self.relative:
            with np.errstate(over="ignore"):
                together = np.sqrt(S * (b / a))
            sd = np.where(np.isinf(together), sd * np.sqrt(b / a), together)
            standard = _special.student_t_ppf(q[None, :], 2 * a[:, :1])[:, None, :]
        else:
            standard = _special.ndtri(q)[None, None, :]
        result = z[:, :, None] + sd[:, :, None] * standard
        return result[:, 0] if z.shape[1] == 1 else result

    def predictive_tails(self, z: Array, C: Array, a: Array, b: Array, y: Array) -> tuple[Array, Array]:
        S = np.diagonal(C + self.R_of_rows(z.shape[1], a, b), axis1=1, axis2=2)
        if not self.relative:
            x = (y - z) / np.sqrt(S)
            return _special.ndtr(x), _special.ndtr(-x)
        x = (y - z) / np.sqrt(S * (b / a))
        return _special.student_t_cdf(x, 2 * a), _special.student_t_cdf(-x, 2 * a)

    # -- the data's level
    def level(self, Y: Array, w: Weight = None) -> Array:
        return first_rows.mean(Y, w)

    def link_variance(self, Y: Array, w: Weight = None) -> Array:
        return first_rows.variance(Y, w)

    def at_level(self, Y: Array, V: Array) -> tuple[Family, float]:
        if self.each:
            return replace(self, prior_scale=np.sqrt(V)), 1.0
        if not self.relative:
            return self, 1.0
        variance = float(np.mean(V))
        return replace(self, prior_scale=float(np.sqrt(variance))), self.prior_dof / (self.prior_dof - 2) * variance


def student_95(dof: float) -> float:
    """The 95 % quantile of Student's t by the Cornish-Fisher expansion (Abramowitz and Stegun 26.7.5): to 3e-3 of itself at
    2 degrees of freedom, 5e-4 at 3, 4e-5 at 5, 1e-7 at 20; for one comparison in every row.
    """
    z = NORMAL_95
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / dof**power for power, term in enumerate(terms, 1))


def _scales(value: Any, each: bool) -> float | Array:
    """`prior_scale` in canonical form: a float, or a read-only array (k,)."""
    if not each or np.ndim(value) == 0:
        return positive("prior_scale", value)
    scales = finite_array("prior_scale", value)
    if scales.ndim != 1 or len(scales) == 0:
        raise ShapeError(argument="prior_scale", expected="a number or (k,)", got=scales.shape)
    if not (scales > 0).all():
        raise ParameterError(argument="prior_scale", expected="numbers > 0", got=float(np.min(scales)))
    return scales


def _covariance_matrix(value: Any) -> Array:
    R = finite_array("covariance", value)
    if R.ndim != 2 or R.shape[0] != R.shape[1] or R.shape[0] == 0:
        raise ShapeError(argument="covariance", expected="(k, k)", got=R.shape)
    if not np.allclose(R, R.T, rtol=1e-12, atol=0):
        raise NotPositiveDefiniteError(argument="covariance", expected="a symmetric matrix", got="an asymmetric one")
    try:
        np.linalg.cholesky(R)
    except np.linalg.LinAlgError:
        raise NotPositiveDefiniteError(
            argument="covariance", expected="a positive definite matrix", got="one that is not"
        ) from None
    return R


def _factor(S: Array, least: Array) -> tuple[Array, Mask]:
    """chol(S) (n, k, k), and where a pivot came out without a sign: R is then lost beside C, and the pivot what it is at `least` (n, k)."""
    A, lost = S.copy(), np.zeros(len(S), dtype=bool)
    L = np.zeros_like(A)
    for j in range(A.shape[1]):
        pivot = A[:, j, j]
        bad = ~(pivot > 0)
        lost |= bad
        L[:, j:, j] = A[:, j:, j]
        L[:, j, j] = np.where(bad, least[:, j], pivot)
        L[:, j:, j] /= np.sqrt(L[:, j, j])[:, None]
        A[:, j:, j:] -= L[:, j:, None, j] * L[:, None, j:, j]
    return L, lost
