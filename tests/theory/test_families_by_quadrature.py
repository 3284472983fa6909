"""Every family against its own density: scores by complex steps, Fisher matrices by sums or quadrature over y, predictive
densities by adaptive quadrature over z.

The densities below are written from their definitions in mpmath and share no line with kfng's. z is (k,), y a number or a pair.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest
from mpmath import fp, mp
from tolerances import CONTROL

from kfng.reference.family import (
    Bernoulli,
    Binomial,
    Categorical,
    Gamma,
    Gaussian,
    GaussianMeanVariance,
    NegativeBinomial,
    Poisson,
)

H = 1e-30  # complex step
SCORE = 1e-12
FISHER = 1e-11


def judge(size, tolerance, *, control):
    """It holds to the tolerance; the control fails by more than a thousand times that."""
    if control:
        assert size > CONTROL * tolerance, f"the control does not bite: {size:.1e}"
    else:
        assert size <= tolerance, f"{size:.1e} > {tolerance:.0e}"


@dataclass(frozen=True)
class Case:
    """A family, its log density in mpmath (mp, or fp for speed) for z a tuple, the z and y it is tested at, and all y for sums over them."""

    family: Any
    log_density: Any
    zs: tuple
    ys: tuple
    support: Any

    def __repr__(self):
        return repr(self.family)


def log1pexp(ctx, z):
    return ctx.log(1 + ctx.exp(z))


def bernoulli(ctx, z, y):
    return y * z[0] - log1pexp(ctx, z[0])


def binomial(trials):
    return lambda ctx, z, y: y * z[0] - trials * log1pexp(ctx, z[0]) + ctx.log(ctx.binomial(trials, y))


def poisson(ctx, z, y):
    return y * z[0] - ctx.exp(z[0]) - ctx.loggamma(y + 1)


def negative_binomial(dispersion):
    """r = 1/dispersion failures, P(y) = C(y+r-1, y) (1-p)^r p^y with p = m/(m + r)."""

    def log_density(ctx, z, y):
        r, m = ctx.mpf(1) / dispersion, ctx.exp(z[0])
        norm = ctx.loggamma(y + r) - ctx.loggamma(r) - ctx.loggamma(y + 1)
        return norm + r * ctx.log(r / (m + r)) + y * ctx.log(m / (m + r))

    return log_density


def gamma(shape):
    def log_density(ctx, z, y):
        scale = ctx.exp(z[0]) / shape
        return (shape - 1) * ctx.log(y) - y / scale - ctx.loggamma(shape) - shape * ctx.log(scale)

    return log_density


def mean_variance(ctx, z, y):
    return -(ctx.log(2 * ctx.pi) + z[1] + (y - z[0]) ** 2 / ctx.exp(z[1])) / 2


def categorical(ctx, z, y):
    return z[int(y)] - ctx.log(sum(ctx.exp(logit) for logit in z))


def counts(z):
    return range(int(np.exp(z[0]) * 12 + 60))


COUNTS = (0, 1, 3, 17)
CASES = {
    "bernoulli": Case(Bernoulli(), bernoulli, ((-25.0,), (-2.3,), (0.9,)), (0, 1), lambda z: (0, 1)),
    "binomial": Case(Binomial(9), binomial(9), ((-25.0,), (-2.3,), (0.4,)), (0, 2, 9), lambda z: range(10)),
    "poisson": Case(Poisson(), poisson, ((-8.0,), (0.3,), (2.1,)), COUNTS, counts),
    "negative_binomial": Case(
        NegativeBinomial(0.4), negative_binomial(0.4), ((-8.0,), (0.3,), (2.1,)), COUNTS, lambda z: range(250)
    ),
    "gamma": Case(Gamma(1.7), gamma(1.7), ((-8.0,), (0.3,), (2.1,)), (1e-3, 0.5, 2.0, 40.0), None),
    "mean_variance": Case(
        GaussianMeanVariance(), mean_variance, ((0.5, -3.0), (0.0, 0.0), (-2.0, 2.5)), (-7.0, 0.4, 3.0), None
    ),
    "categorical": Case(
        Categorical(3),
        categorical,
        ((0.0, 0.0, 0.0), (3.0, -1.0, 0.5), (-0.3, 0.8, 2.0)),
        (0, 1, 2),
        lambda z: range(3),
    ),
}


def exact_score(case, z, y):
    """d log p(y|z)/dz (k,) by complex steps in 40 digits."""
    with mp.workdps(60):
        steps = [[mp.mpc(x, H if i == j else 0) for j, x in enumerate(z)] for i in range(len(z))]
        return np.array([float(mp.im(case.log_density(mp, step, mp.mpf(y))) / H) for step in steps])


def expectation(case, z, f):
    """E f(y) (...,) under the density: a sum, or quadrature over log y or over the normal's own scale."""
    if case.support is not None:
        terms = [(float(fp.exp(case.log_density(fp, z, fp.mpf(y)))), f(y)) for y in case.support(z)]
        return sum(p * value for p, value in terms)
    if isinstance(case.family, GaussianMeanVariance):
        node, weight = np.polynomial.hermite_e.hermegauss(8)  # exact: polynomials of degree 4
        return sum(w * f(z[0] + np.exp(z[1] / 2) * x) for x, w in zip(node, weight / weight.sum(), strict=True))
    x = np.linspace(-40.0, 5.0, 401)  # log y - z: the trapezoidal rule converges geometrically
    values = [float(fp.exp(case.log_density(fp, z, fp.exp(z[0] + s)) + z[0] + s)) * f(np.exp(z[0] + s)) for s in x]
    return (x[1] - x[0]) * sum(values)


# bites for every family: a score with the opposite sign; "g g'" of one y is not the Fisher matrix
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("control", [False, True])
def test_score(name, control):
    case = CASES[name]
    for z in case.zs:
        for y in case.ys:
            seen = np.ones(len(z), dtype=bool)
            e = case.family.score(np.array(z), np.array([float(y)]), seen)
            exact = exact_score(case, z, y)
            judge(np.max(np.abs((-e if control else e) - exact)) / np.max(np.abs(exact)), SCORE, control=control)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("control", [False, True])
def test_fisher_and_moments(name, control):
    case, family, none = CASES[name], CASES[name].family, np.zeros((1, 0))
    for z in case.zs[1:]:
        outer = expectation(case, z, lambda y, z=z: np.multiply.outer(*[exact_score(case, z, y)] * 2))
        L = family.factor(np.array(z), np.ones(len(z), dtype=bool))
        fisher = L @ L.T if not control else np.multiply.outer(*[exact_score(case, z, case.ys[-1])] * 2)
        judge(np.max(np.abs(fisher - outer)) / np.max(np.abs(outer)), FISHER, control=control)
        Z = np.array([z])
        hot = (lambda y: np.eye(3)[int(y)]) if name == "categorical" else (lambda y: np.array([float(y)]))
        mean = expectation(case, z, hot)
        covariance = expectation(case, z, lambda y, hot=hot, mean=mean: np.outer(hot(y) - mean, hot(y) - mean))
        scale = np.sqrt(np.trace(covariance))
        shift = 0.01 if control else 0.0
        size = scale + np.max(np.abs(mean))
        judge(np.max(np.abs(family.mean(Z)[0] - mean - shift * scale)) / size, FISHER, control=control)
        judge(
            np.max(np.abs(family.noise_covariance(Z, none, none)[0] - covariance)) / scale**2,
            FISHER + shift,
            control=False,
        )
        slope = np.array([(family.mean(Z + d)[0] - family.mean(Z - d)[0]) / 2e-5 for d in 1e-5 * np.eye(len(z))]).T
        assert np.max(np.abs(family.mean_slope(Z)[0] - slope)) <= 1e-8 * max(1.0, np.max(np.abs(slope)))


# bites for every family: the density of another y
@pytest.mark.parametrize("control", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_plugin_nll(name, control):
    case, none = CASES[name], np.zeros((1, 0))
    for z in case.zs:
        for y, other in zip(case.ys, case.ys[1:] + case.ys[:1], strict=True):
            exact = -float(case.log_density(mp, [mp.mpf(x) for x in z], mp.mpf(y)))
            if control and abs(exact + float(case.log_density(mp, [mp.mpf(x) for x in z], mp.mpf(other)))) < 1e-6:
                continue  # two y that are as likely as one another
            got = case.family.plugin_nll(np.array([z]), np.array([[float(other if control else y)]]), none, none)[0]
            judge(abs(got - exact) / max(1.0, abs(exact)), 1e-12, control=control)


# -- the density with z ~ N(z, q) integrated out, one output
SDS = (0.3, 1.0, 3.0)
PRECISE = {0.3: 1e-6, 1.0: 1e-6, 3.0: 2e-4}
OUTPUTS = {
    "bernoulli": ((-12.0, -3.0, 0.0, 2.0, 8.0), (0.0, 1.0)),
    "binomial": ((-12.0, -3.0, 0.0, 2.0, 8.0), (0.0, 1.0, 5.0, 9.0)),
    "poisson": ((-7.0, -2.0, 0.0, 2.0, 5.0), (0.0, 1.0, 4.0, 60.0)),
    "negative_binomial": ((-7.0, -2.0, 0.0, 2.0, 5.0), (0.0, 1.0, 4.0, 60.0)),
    "gamma": ((-7.0, -2.0, 0.0, 2.0, 5.0), (1e-3, 0.4, 3.0, 60.0)),
}


@cache
def exact_predictive(name, z, sd, y):
    """-log ∫ N(t; z, sd²) p(y|t) dt: adaptive quadrature about the largest value of the integrand, found on a grid."""
    case = CASES[name]

    def log_f(v):
        return case.log_density(fp, (z + sd * v,), y) - v * v / 2 - fp.log(2 * fp.pi) / 2

    return -log_integral(log_f, (-12, -4, -1, 0, 1, 4, 12))


def log_integral(log_f, about):
    """log ∫ exp(log_f(v)) dv by tanh-sinh quadrature, adaptive, between borders about the largest value on a grid."""
    top = max((i / 4 for i in range(-160, 161)), key=log_f)
    height = log_f(top)
    return height + fp.log(fp.quad(lambda v: fp.exp(log_f(v) - height), [top + x for x in about]))


def rows(name):
    zs, ys = OUTPUTS[name]
    return np.array([(z, y) for z in zs for y in ys]).T


# bites for every family: the density at the mean z
@pytest.mark.parametrize("control", ["plug-in", None])
@pytest.mark.parametrize("sd", SDS)
@pytest.mark.parametrize("name", OUTPUTS)
def test_predictive_nll_of_one_output(name, sd, control):
    z, y = rows(name)
    family, none = CASES[name].family, np.zeros((len(z), 0))
    if control:
        got = family.plugin_nll(z[:, None], y[:, None], none, none)
    else:
        got = family.predictive_nll(z[:, None], np.full((len(z), 1, 1), sd**2), y[:, None], none, none)
    exact = np.array([exact_predictive(name, *row) for row in zip(z.tolist(), [sd] * len(z), y.tolist(), strict=True)])
    judge(np.max(np.abs(got - exact)), PRECISE[sd], control=control)


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_certain_z_is_plugged_in(name):
    z, y = rows(name)
    family, none = CASES[name].family, np.zeros((len(z), 0))
    got = family.predictive_nll(z[:, None], np.zeros((len(z), 1, 1)), y[:, None], none, none)
    np.testing.assert_allclose(got, family.plugin_nll(z[:, None], y[:, None], none, none), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("name", OUTPUTS)
def test_missing_and_hidden_rows(name):
    family, none = CASES[name].family, np.zeros((3, 0))
    z, C, y = np.array([[0.5], [np.nan], [0.5]]), np.full((3, 1, 1), 0.2), np.array([[np.nan], [1.0], [1.0]])
    with np.errstate(all="raise"):
        got = family.predictive_nll(z, C, y, none, none)
    assert np.isnan(got[:2]).all()
    assert np.isfinite(got[2])


def test_extreme_rows_stay_finite():
    """The clamp's borders, counts nobody expected: Newton's method finds the mode, the nodes do not overflow to NaN."""
    for name, z, y in (("poisson", -300.0, 1e6), ("poisson", 300.0, 0.0), ("negative_binomial", -300.0, 1e9),
                       ("gamma", 300.0, 1e-300), ("gamma", -300.0, 1e300), ("bernoulli", 30.0, 0.0)):  # fmt: skip
        for sd in (1e-160, 1e-3, 1.0, 100.0):
            C, none = np.full((1, 1, 1), sd**2), np.zeros((1, 0))
            got = CASES[name].family.predictive_nll(np.array([[z]]), C, np.array([[y]]), none, none)
            with np.errstate(over="ignore"):
                plain = CASES[name].family.plugin_nll(np.array([[z]]), np.array([[y]]), none, none)
            assert np.isfinite(got).all() or np.isinf(plain).all()
            assert got[0] <= plain[0] + 10  # doubt does not make what is nearly impossible less likely


# -- mean and variance
@cache
def exact_mean_variance(y, z2, sd1, sd2, rho):
    """z_1 integrated out in closed form given z_2 (checked against two dimensions below), z_2 adaptively."""

    def log_f(v):
        mean, variance = rho * sd1 * v, sd1**2 * (1 - rho**2) + fp.exp(z2 + sd2 * v)
        return -(v * v + 2 * fp.log(2 * fp.pi) + fp.log(variance) + (y - mean) ** 2 / variance) / 2

    return -log_integral(log_f, range(-14, 15, 2))


MEAN_VARIANCE = [
    (y, z2, sd1, sd2, rho)
    for y in (0.0, 0.7, -3.0, 9.0)
    for z2 in (-3.0, 0.0, 2.0)
    for sd1, sd2 in ((0.2, 0.2), (1.0, 1.0), (0.3, 3.0), (3.0, 1.0))
    for rho in (0.0, 0.6, -0.9)
]


# bites: the two outputs taken as independent; the density at the mean z
@pytest.mark.parametrize("control", ["independent", "plug-in", None])
def test_predictive_nll_of_mean_and_variance(control):
    y, z2, sd1, sd2, rho = np.array(MEAN_VARIANCE).T
    z, none = np.stack([0 * z2, z2], axis=1), np.zeros((len(y), 0))
    cross = 0 * rho if control == "independent" else rho * sd1 * sd2
    C = np.stack([np.stack([sd1**2, cross], axis=1), np.stack([cross, sd2**2], axis=1)], axis=1)
    family = GaussianMeanVariance()
    if control == "plug-in":
        got = family.plugin_nll(z, y[:, None], none, none)
    else:
        got = family.predictive_nll(z, C, y[:, None], none, none)
    exact = np.array([exact_mean_variance(*row) for row in MEAN_VARIANCE])
    judge(np.max(np.abs(got - exact)), 1e-6, control=control is not None)


def test_mean_and_variance_in_two_dimensions():
    """The closed form over z_1 against Gauss-Hermite over both outputs, where these are nearly certain."""
    node, weight = np.polynomial.hermite_e.hermegauss(60)
    weight = weight / weight.sum()
    C = np.array([[0.3, 0.1], [0.1, 0.2]])
    root = np.linalg.cholesky(C)
    z = np.array([0.4, -0.2])
    points = z + np.stack(np.meshgrid(node, node, indexing="ij"), axis=-1) @ root.T
    for y in (0.0, 2.0):
        density = np.exp(-((y - points[..., 0]) ** 2) / 2 / np.exp(points[..., 1])) / np.sqrt(
            2 * np.pi * np.exp(points[..., 1])
        )
        exact = -np.log(weight @ density @ weight)
        got = GaussianMeanVariance().predictive_nll(
            z[None], C[None], np.array([[y]]), np.zeros((1, 0)), np.zeros((1, 0))
        )
        assert abs(got[0] - exact) < 1e-9


# -- per-row trials, a variance of each output, negative binomial towards Poisson
def test_trials_of_each_row():
    Y = np.array([[2.0, 5.0], [0.0, 9.0], [np.nan, np.nan], [np.nan, 4.0]])
    z, C, none = np.full((4, 1), 0.3), np.full((4, 1, 1), 0.5), np.zeros((4, 0))
    family = Binomial()
    twin = family.for_rows(Y)
    assert twin == family
    assert twin.spec() == family.spec()
    for i, trials in enumerate((5, 9, 1, 4)):
        row, fixed = slice(i, i + 1), Binomial(trials)
        arguments = z[row], C[row], none[row], none[row]
        assert twin.mean(z)[i] == fixed.mean(z[row])[0]
        assert twin.predictive_std(z, C, none, none)[i] == fixed.predictive_std(*arguments)[0]
        y = Y[row, :1]
        assert np.array_equal(
            family.predictive_nll(*arguments[:2], Y[row], *arguments[2:]),
            fixed.predictive_nll(*arguments[:2], y, *arguments[2:]), equal_nan=True,
        )  # fmt: skip
        assert np.array_equal(family.score(z[i], Y[i], None), fixed.score(z[i], y[0], None), equal_nan=True)
        assert np.array_equal(family.for_rows(Y[row]).factor(z[i], None), fixed.factor(z[i], None))
    assert family.missing(Y).tolist() == [False, False, True, True]
    bad = np.array([[6.0, 5.0], [-1.0, 5.0], [1.0, -1.0], [1.0, np.nan], [0.0, 0.0]])
    assert family.invalid(bad).tolist() == [True, True, True, True, False]
    assert not family.invalid(Y).any()


@pytest.mark.parametrize("y", [0.0, 1.0, 7.0, 300.0])
def test_negative_binomial_tends_to_poisson(y):
    z, none = np.array([[1.5]]), np.zeros((1, 0))
    limit = Poisson().plugin_nll(z, np.array([[y]]), none, none)[0]
    errors = [
        abs(NegativeBinomial(d).plugin_nll(z, np.array([[y]]), none, none)[0] - limit) for d in (1e-4, 1e-6, 1e-8)
    ]
    assert errors[2] < 2e-7 * max(1.0, y**2)
    assert errors[0] > 50 * errors[1]
    for d in (2e-3, 1e-3, 9.99e-4, 1e-5):  # both forms of the normaliser
        exact = -float(negative_binomial(mp.mpf(d))(mp, (mp.mpf(1.5),), mp.mpf(y)))
        assert abs(NegativeBinomial(d).plugin_nll(z, np.array([[y]]), none, none)[0] - exact) < 1e-10 * max(1.0, exact)


# bites: the one sigma² of all outputs
@pytest.mark.parametrize("control", [False, True])
def test_a_variance_of_each_output(control):
    """At known scales it is the Gaussian with R = diag(b/a); each b_j gains its own innovation."""
    rng = np.random.default_rng(0)
    family, k = Gaussian(variance="each", prior_dof=5, prior_scale=0.7), 3
    a, b = rng.uniform(2, 4, k), rng.uniform(0.1, 3, k)
    z, y, root = rng.normal(size=k), rng.normal(size=k), rng.normal(size=(k, k))
    y[1], C = np.nan, root @ root.T
    known = Gaussian(covariance=np.diag(b / a if not control else np.full(k, np.mean(b / a))))
    none = np.zeros((1, 0))
    one = lambda x: x[None]  # noqa: E731
    pairs = [
        (family.at_noise(a, b).score(z, y, ~np.isnan(y)), known.score(z, y, ~np.isnan(y))),
        (family.at_noise(a, b).factor(z, ~np.isnan(y)), known.factor(z, ~np.isnan(y))),
        (family.predictive_nll(*map(one, (z, C, y, a, b))), known.predictive_nll(*map(one, (z, C, y)), none, none)),
        (family.predictive_std(*map(one, (z, C, a, b))), known.predictive_std(*map(one, (z, C)), none, none)),
    ]
    for got, exact in pairs:
        judge(np.max(np.abs(got - exact)), 1e-12, control=control)
    w, R = 1.7, b / a
    exact = np.where(np.isnan(y), 0.0, (y - z) ** 2 / (1 + w * np.diagonal(C) / R))
    judge(np.nanmax(np.abs(family.noise_innovations(z, C, y, a, b, w) - np.nan_to_num(exact))), 1e-12, control=False)
    assert np.allclose(family.noise_summary(a, b), (b / (a - 1), 2 * a))
