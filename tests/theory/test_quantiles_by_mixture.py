"""Quantiles of y with z ~ N(z, q) integrated out, against the distribution function by brute force: SciPy's law of y
integrated over z with 1600 nodes where it falls, out to levels where only one end of that integral counts; and against the law itself where z is certain."""

import mpmath
import numpy as np
import pytest
from scipy import stats

from kfng.reference.family import (
    Bernoulli,
    Binomial,
    Gamma,
    Gaussian,
    GaussianMeanVariance,
    NegativeBinomial,
    Poisson,
)

LEVELS = np.array([1e-300, 1e-30, 1e-12, 1e-6, 0.01, 0.2, 0.5, 0.77, 0.99, 1 - 1e-6, 1 - 1e-12, 1 - 2.0**-53])


def logistic(t):
    return 1 / (1 + np.exp(-t))


FAMILIES = {  # family, SciPy's law of y at an output t, variance of log y or of the logit beyond 1/y, outputs z
    "bernoulli": (Bernoulli(), lambda t: stats.binom(1, logistic(t)), 4.0, (-6.0, 0.0, 2.0)),
    "binomial": (Binomial(30), lambda t: stats.binom(30, logistic(t)), 4.0, (-6.0, 0.0, 2.0)),
    "poisson": (Poisson(), lambda t: stats.poisson(np.exp(t)), 0.0, (-6.0, 0.0, 2.0, 9.0)),
    "negative_binomial": (
        NegativeBinomial(0.6), lambda t: stats.nbinom(1 / 0.6, 1 / (1 + 0.6 * np.exp(t))), 0.6, (-6.0, 0.0, 2.0, 9.0),
    ),
    "gamma": (Gamma(0.4), lambda t: stats.gamma(0.4, scale=np.exp(t) / 0.4), 2.5, (-6.0, 0.0, 2.0, 9.0)),
    "narrow_gamma": (Gamma(1e4), lambda t: stats.gamma(1e4, scale=np.exp(t) / 1e4), 1e-4, (0.0, 9.0)),
}  # fmt: skip
V = np.linspace(-39, 39, 100_001)
MASS = np.exp(-V * V / 2) / np.exp(-V * V / 2).sum()
NODES, WEIGHTS = np.polynomial.legendre.leggauss(400)


def quantiles(family, z, sd):
    z = np.atleast_2d(z)
    return family.predictive_quantiles(
        z, np.full((len(z), 1, 1), sd**2), np.zeros((len(z), 0)), np.zeros((len(z), 0)), LEVELS
    )


def excess(name, y, z, sd, level):
    """F(y) - level, from whichever tail is the smaller: 400 Gauss-Legendre nodes in each of four pieces about the fall of F."""
    _, law, variance, _ = FAMILIES[name]
    tail, sign, target = ("cdf", 1, level) if level <= 0.5 else ("sf", -1, 1 - level)
    if sd == 0:
        return sign * (getattr(law(z), tail)(y) - target)
    centre, width = (np.log(max(y, 1e-300)) - z) / sd, np.sqrt(variance + 1 / max(y, 1.0)) / sd
    borders = np.clip([-45.0, centre - 14 * width, centre, centre + 14 * width, 45.0], -45.0, 45.0)
    total = 0.0
    for low, high in zip(borders[:-1], borders[1:], strict=True):
        v = low + (high - low) * (NODES + 1) / 2
        total += (high - low) / 2 * WEIGHTS @ (stats.norm.pdf(v) * getattr(law(z + sd * v), tail)(y))
    return sign * (total - target)


@pytest.mark.parametrize("sd", [0.0, 1e-3, 0.3, 1.0, 3.0])
@pytest.mark.parametrize("name", FAMILIES)
def test_quantiles(name, sd):
    """A count k is the quantile iff F(k-1) < level <= F(k); a number y iff F(y) = level. 1e-9 of slack, relative in the tails."""
    family, _, _, zs = FAMILIES[name]
    got = quantiles(family, np.array(zs)[:, None], sd)
    assert (np.diff(got, axis=1) >= 0).all()
    for row, z in zip(got, zs, strict=True):
        for y, level in zip(row, LEVELS, strict=True):
            slack = 1e-9 * min(level, 1 - level)
            if y == 0 and name.endswith("gamma"):
                assert excess(name, 1e-300, z, sd, level) > 0  # too small a number for float64
            elif name.endswith("gamma"):
                assert abs(excess(name, y, z, sd, level)) <= slack
            else:
                assert y == int(y)
                assert excess(name, y, z, sd, level) >= -slack
                assert y == 0 or excess(name, y - 1, z, sd, level) < slack


@pytest.mark.parametrize("name", ["poisson", "gamma", "binomial", "negative_binomial"])
def test_the_plain_quantile_is_wrong(name):
    """Control: with z certain the quantiles are others, and fail the test above."""
    z = np.array([[FAMILIES[name][3][2]]])
    doubtful, certain = quantiles(FAMILIES[name][0], z, 1.0)[0], quantiles(FAMILIES[name][0], z, 0.0)[0]
    far = [abs(excess(name, y, float(z[0, 0]), 1.0, level)) for y, level in zip(certain, LEVELS, strict=True)]
    assert max(far) > 1e-2
    assert (doubtful != certain).sum() >= 4


def test_ends_and_missing():
    none, q = np.zeros((2, 0)), np.array([0.0, 1.0])
    z, C = np.array([[0.4], [np.nan]]), np.full((2, 1, 1), 0.3)
    ends = {"bernoulli": 1, "binomial": 30}
    with np.errstate(all="raise"):
        for name, (family, *_) in FAMILIES.items():
            got = family.predictive_quantiles(z, C, none, none, q)
            assert got[0].tolist() == [0.0, ends.get(name, np.inf)]
            assert np.isnan(got[1]).all()


def test_counts_beyond_float64():
    """Means near e^300: the counts are no longer whole numbers of float64, the quantiles are those of the mean's own law."""
    for family in (Poisson(), NegativeBinomial(0.5)):
        got = quantiles(family, np.array([[299.0]]), 0.5)[0]
        assert np.isfinite(got).all()
        assert (np.diff(got) > 0).all()
    far = quantiles(NegativeBinomial(0.5), np.array([[-1.0]]), 30.0)[0]  # of counts that end beyond 2^53
    limit = quantiles(Gamma(2.0), np.array([[-1.0]]), 30.0)[0]
    assert limit[-1] > 1e80
    np.testing.assert_allclose(far[limit > 1e15], limit[limit > 1e15], rtol=1e-12)
    exact = np.exp(299 + 0.5 * stats.norm.ppf(LEVELS))
    np.testing.assert_allclose(quantiles(Poisson(), np.array([[299.0]]), 0.5)[0], exact, rtol=1e-10)


@pytest.mark.parametrize(
    ("sd1", "sd2", "rho"),
    [(0.0, 0.0, 0.0), (0.7, 0.0, 0.0), (0.0, 1.0, 0.0), (0.5, 1.0, -0.7), (2.0, 3.0, 0.5), (1.0, 0.1, 1.0)],
)
def test_mean_and_variance(sd1, sd2, rho):
    """F(y) = E Phi((y - m(v))/sd(v)), or 1 - F(y), by the trapezoidal rule with 100,001 nodes."""
    z = np.array([[0.3, -1.0]])
    C = np.array([[[sd1**2, rho * sd1 * sd2], [rho * sd1 * sd2, sd2**2]]])
    got = GaussianMeanVariance().predictive_quantiles(z, C, np.zeros((1, 0)), np.zeros((1, 0)), LEVELS)[0]
    variance = np.exp(-1.0 + sd2 * V) + sd1**2 * (1 - rho**2)
    for y, level in zip(got, LEVELS, strict=True):
        side, tail = (1, level) if level <= 0.5 else (-1, 1 - level)
        found = MASS @ stats.norm.cdf(side * (y - 0.3 - rho * sd1 * V) / np.sqrt(variance))
        assert abs(found - tail) < 1e-9 * tail
    if sd2:
        plain = 0.3 + stats.norm.ppf(LEVELS) * np.sqrt(sd1**2 + np.exp(-1.0))
        assert np.max(np.abs(plain - got)) > 1e-2  # control: the mean variance for the variance of each v


@pytest.mark.parametrize("q", [0.1, 0.5, 0.9])
def test_a_variance_of_each_output(q):
    z, C = np.array([[0.3, -2.0]]), np.array([[[0.4, 0.1], [0.1, 0.2]]])
    a, b = np.array([[2.0, 3.0]]), np.array([[1.0, 0.6]])
    got = Gaussian(variance="each").predictive_quantiles(z, C, a, b, np.array([q]))
    exact = stats.norm.ppf(q, z[0], np.sqrt([0.4 + 0.5, 0.2 + 0.2]))
    np.testing.assert_allclose(got[0, :, 0], exact, rtol=1e-12)


def by_mpmath(log_density, upper, tail):
    """P(t < s), or P(t > s) where upper, over `tail`, of t ~ N(2, 1/4) and a threshold s: 30 digits, 40 pieces."""
    with mpmath.workdps(30):
        side, points = -2 if upper else 2, mpmath.linspace(-25, 75, 41)
        return mpmath.quad(lambda s: mpmath.exp(log_density(s)) / tail * mpmath.ncdf(side * (s - 2)), points)


@pytest.mark.parametrize("level", [1e-100, 1e-30, 1e-12, 1 - 1e-12, 1 - 2.0**-53])
def test_mpmath_agrees(level):
    """To 1e-9 of the smaller tail: counts with s the log of a Gamma(k+1), y of a Gamma(0.4) with log(0.4 y) - s the log of one."""
    upper = level > 0.5
    tail = 1 - mpmath.mpf(level) if upper else mpmath.mpf(level)
    z, C, none = np.array([[2.0]]), np.array([[[0.25]]]), np.zeros((1, 0))

    def asked(family):
        return mpmath.mpf(family.predictive_quantiles(z, C, none, none, np.array([level]))[0, 0])

    def count(k):
        """Tail up to k, or beyond k, relative to the level's."""
        return by_mpmath(lambda s: (k + 1) * s - mpmath.exp(s) - mpmath.loggamma(k + 1), upper, tail)

    k, sign = asked(Poisson()), -1 if upper else 1
    assert sign * (count(k) - 1) >= -1e-9
    assert k == 0 or sign * (count(k - 1) - 1) < 1e-9
    shape = mpmath.mpf(0.4)
    border = mpmath.log(shape * asked(Gamma(0.4)))

    def log_density(s):
        return shape * (border - s) - mpmath.exp(border - s) - mpmath.loggamma(shape)

    assert abs(by_mpmath(log_density, upper, tail) - 1) < 1e-9
