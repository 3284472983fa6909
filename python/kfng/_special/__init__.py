"""The special functions kfng needs, in NumPy alone, all in float64.

One idea serves every tail probability here (normal, gamma, beta, and with them Student's t and the counts): the tail is the
density at its border times the integral of a log-concave function that falls from 1, and 64 Gauss-Legendre nodes over the
reach of that function give it to about 1e-14, whatever the size of the parameters. Every quantile is Newton's method on the
logarithm of a tail, in the logarithm of the argument, where that tail is concave and Newton therefore converges.

Arguments broadcast; the result is an array of the broadcast shape. NaN gives NaN, and so does an argument outside the domain.
Accuracies in the docstrings are the largest relative errors against SciPy and mpmath on the grids of tests/special.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._later import later

if TYPE_CHECKING:
    from ._beta import betainc, student_t_cdf, student_t_logpdf, student_t_ppf
    from ._counts import binom_cdf, binom_ppf, nbinom_cdf, nbinom_ppf, poisson_cdf, poisson_ppf
    from ._elementary import expit, log1pexp, log1pmx, logit
    from ._gamma import gammainc, gammaincc, gammaincinv, gammaln
    from ._normal import erf, erfc, log_ndtr, ndtr, ndtri
    from ._quadrature import gauss_hermite

# kfng.Filter computes densities and quantiles in Rust: `import kfng` does without these
_LATER = {
    "betainc": "kfng._special._beta",
    "student_t_cdf": "kfng._special._beta",
    "student_t_logpdf": "kfng._special._beta",
    "student_t_ppf": "kfng._special._beta",
    "binom_cdf": "kfng._special._counts",
    "binom_ppf": "kfng._special._counts",
    "nbinom_cdf": "kfng._special._counts",
    "nbinom_ppf": "kfng._special._counts",
    "poisson_cdf": "kfng._special._counts",
    "poisson_ppf": "kfng._special._counts",
    "expit": "kfng._special._elementary",
    "log1pexp": "kfng._special._elementary",
    "log1pmx": "kfng._special._elementary",
    "logit": "kfng._special._elementary",
    "gammainc": "kfng._special._gamma",
    "gammaincc": "kfng._special._gamma",
    "gammaincinv": "kfng._special._gamma",
    "gammaln": "kfng._special._gamma",
    "erf": "kfng._special._normal",
    "erfc": "kfng._special._normal",
    "log_ndtr": "kfng._special._normal",
    "ndtr": "kfng._special._normal",
    "ndtri": "kfng._special._normal",
    "gauss_hermite": "kfng._special._quadrature",
}


def __getattr__(name: str) -> Any:
    return later(globals(), _LATER, name)


__all__ = [
    "betainc",
    "binom_cdf",
    "binom_ppf",
    "erf",
    "erfc",
    "expit",
    "gammainc",
    "gammaincc",
    "gammaincinv",
    "gammaln",
    "gauss_hermite",
    "log1pexp",
    "log1pmx",
    "log_ndtr",
    "logit",
    "nbinom_cdf",
    "nbinom_ppf",
    "ndtr",
    "ndtri",
    "poisson_cdf",
    "poisson_ppf",
    "student_t_cdf",
    "student_t_logpdf",
    "student_t_ppf",
]
