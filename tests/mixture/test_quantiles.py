"""Quantiles of the mixture's law, and the tails they are made of."""

import numpy as np
import pytest
from mixture.mixtures import make, stream
from scipy import stats

from kfng._law import law, mixed_tails
from kfng.reference.family import (
    Bernoulli,
    Binomial,
    Gamma,
    Gaussian,
    GaussianMeanVariance,
    NegativeBinomial,
    Poisson,
)

LEVELS = [0.0, 1e-9, 0.05, 0.5, 0.9, 1 - 1e-9, 1.0]
ORDERED = ("half-lives", "priors", "positive", "counts", "two outputs", "a variance", "precisions")
FAMILIES = {
    "a variance given": Gaussian(0.7),
    "a variance learned": Gaussian(None),
    "mean and variance": GaussianMeanVariance(),
    "bernoulli": Bernoulli(),
    "binomial": Binomial(30),
    "poisson": Poisson(),
    "negative binomial": NegativeBinomial(0.6),
    "far from poisson": NegativeBinomial(50.0),
    "gamma": Gamma(0.4),
    "narrow gamma": Gamma(1e4),
}


def rows(family, sd, n=20):
    """z, C, a, b of n rows whose outputs have standard deviations of about sd."""
    rng = np.random.default_rng(4)
    k = family.outputs_needed() or 1
    z, A = 2 * rng.normal(size=(n, k)), sd * rng.normal(size=(n, k, k))
    m = family.noise_scales(k)
    return z, A @ A.swapaxes(1, 2), np.full((n, m), 3.0), np.full((n, m), 2.0)


@pytest.mark.parametrize("sd", [0.0, 1e-3, 0.4, 3.0])
@pytest.mark.parametrize("name", FAMILIES)
def test_tails_at_quantiles_are_the_levels(name, sd):
    family, given = FAMILIES[name], rows(FAMILIES[name], sd)
    for level in (1e-12, 0.01, 0.3, 0.77, 1 - 1e-6, 1 - 1e-12):
        y = family.predictive_quantiles(*given, np.array([level]))
        lower, upper = family.predictive_tails(*given, y)
        assert np.abs(lower + upper - 1).max() < 1e-15
        tail, target = (lower, level) if level <= 0.5 else (upper, 1 - level)
        if not family.discrete:
            assert np.abs(tail / target - 1).max() < 1e-7
            continue
        told_apart = (y < 2.0**53)[:, 0]
        before = family.predictive_tails(*given, y - 1)[int(level > 0.5)]
        reached = tail <= target * (1 + 1e-9) if level > 0.5 else tail >= target * (1 - 1e-9)
        missed = before > target * (1 - 1e-9) if level > 0.5 else before < target * (1 + 1e-9)
        assert reached[told_apart].all()
        assert missed[told_apart].all()


SCIPY = {
    "bernoulli": lambda t: stats.binom(1, 1 / (1 + np.exp(-t))),
    "binomial": lambda t: stats.binom(30, 1 / (1 + np.exp(-t))),
    "poisson": lambda t: stats.poisson(np.exp(t)),
    "negative binomial": lambda t: stats.nbinom(1 / 0.6, 1 / (1 + 0.6 * np.exp(t))),
    "gamma": lambda t: stats.gamma(0.4, scale=np.exp(t) / 0.4),
}


@pytest.mark.parametrize("name", SCIPY)
def test_tails_are_integrals_of_scipys(name):
    """With z ~ N(z, 0.8²), at whole numbers and between them, below 0 and at infinity."""
    family, z, sd = FAMILIES[name], 0.6, 0.8
    none, v = np.zeros((1, 0)), np.linspace(-12, 12, 2001)
    mass = stats.norm.pdf(v) * (v[1] - v[0])
    for y in (-1.0, 0.0, 0.4, 1.0, 2.5, 7.0, np.inf):
        lower, upper = family.predictive_tails(np.array([[z]]), np.array([[[sd**2]]]), none, none, np.array([[y]]))
        for tail, which in ((lower, "cdf"), (upper, "sf")):
            expected = mass @ getattr(SCIPY[name](z + sd * v), which)(y)
            assert abs(tail[0, 0] - expected) < 1e-9


@pytest.mark.parametrize("kind", ORDERED)
def test_the_mixture_has_the_level_below_its_quantile(impl, kind):
    mixture = make(impl, kind, forgetting=0.2)
    U, Y, _, _ = stream(kind, n=24)
    trace = mixture.update_many(U, Y)
    assert trace.weights[-1].max() < 1 - 1e-6 or kind == "precisions"
    quantiles = trace.quantiles(LEVELS)
    each = np.array([own.quantiles(LEVELS) for own in trace.traces])
    assert quantiles.shape == each[0].shape
    assert (quantiles >= each.min(axis=0)).all()
    assert (quantiles <= each.max(axis=0)).all()
    laws, discrete = [law(own) for own in trace.traces], kind == "counts"
    for i, level in enumerate(LEVELS[1:-1], start=1):
        y = quantiles[..., i].reshape(len(U), -1)
        tail = mixed_tails(laws, trace.weights, y)[int(level > 0.5)]
        target = min(level, 1 - level)
        if not discrete:
            assert np.abs(tail / target - 1).max() < 1e-7
        elif level > 0.5:
            assert (tail <= target * (1 + 1e-9)).all()
            assert (mixed_tails(laws, trace.weights, y - 1)[1] > target * (1 - 1e-9)).all()
        else:
            assert (tail >= target * (1 - 1e-9)).all()
            assert (mixed_tails(laws, trace.weights, y - 1)[0] < target * (1 + 1e-9)).all()
    ahead = mixture.predict_quantiles(U[:5], [0.1, 0.9])
    means = mixture.predict(U[:5])
    assert (ahead[..., 0] < means).all() or discrete
    assert (ahead[..., 1] > means).all() or discrete


def test_it_is_no_average_of_quantiles(impl):
    """Two filters far apart: the median of the mixture lies between, its 5 % quantile in the lower one."""
    near = impl.Filter(impl.Linear(1), impl.Gaussian(1.0), theta=[0.0, 0.0], belief=impl.Full(1e-6))
    far = impl.Filter(impl.Linear(1), impl.Gaussian(1.0), theta=[0.0, 20.0], belief=impl.Full(1e-6))
    mixture = impl.Mixture([near, far])
    low, middle, high = mixture.predict_quantiles([[0.0]], [0.05, 0.5, 0.95])[0]
    assert abs(low - stats.norm.ppf(0.1)) < 1e-5
    assert abs(high - 20 - stats.norm.ppf(0.9)) < 1e-5
    assert 5 < middle < 15
    _, std = mixture.predict([[0.0]], return_std=True)
    assert abs(std[0] - np.sqrt(1 + 100)) < 1e-5


def test_none_where_there_is_no_order(impl):
    for kind in ("classes", "gradients"):
        mixture = make(impl, kind)
        trace = mixture.update_many(*stream(kind)[:2])
        for call in (lambda m=mixture: m.predict_quantiles([[1.0, 2.0, 3.0]], [0.5]), lambda t=trace: t.quantiles(0.5)):
            with pytest.raises(impl.UnsupportedError):
                call()


def test_parity_and_pieces(both):
    found = []
    for impl in both:
        mixture = make(impl, "half-lives")
        U, Y, _, _ = stream("half-lives", n=24)
        trace = mixture.update_many(U, Y)
        found.append(trace.quantiles([0.1, 0.9]))
        np.testing.assert_allclose(trace[3:9].quantiles([0.1, 0.9]), found[-1][3:9], rtol=1e-12)
    np.testing.assert_allclose(*found, rtol=1e-9)


@pytest.mark.parametrize("weight", [1e-30, 1e-17, 1e-9])
def test_a_filter_with_all_the_weight_has_the_quantiles(impl, weight):
    """Rounding of its own tail, and of the weights, may put its quantile on either side of the level."""
    U, q = np.random.default_rng(0).normal(size=(60, 2)), np.linspace(0.01, 0.99, 9)
    for variances in ((4.0, 0.3), (0.3, 4.0)):
        filters = [impl.Filter(impl.Linear(2), impl.Gaussian(v), belief=impl.Full(v)) for v in variances]
        mixture = impl.Mixture(filters, prior=[weight, 1.0])
        got, exact = mixture.predict_quantiles(U, q), filters[1].predict_quantiles(U, q)
        assert np.abs(got - exact).max() < 1e-12 + 1e3 * weight
