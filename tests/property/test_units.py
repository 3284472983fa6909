"""from_rows needs no units: features and outcomes in millionths or millions give the same predictions in units."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfng import errors

UNITS = st.sampled_from([1e-6, 1e-3, 0.37, 1.0, 12.5, 1e3, 1e6])
N, D = 80, 3
TOLERANCE = 1e-9


def rows(law, seed):
    rng = np.random.default_rng(seed)
    U = rng.normal(size=(N, D)) + [0.0, 1.0, -2.0]
    z = U @ [0.5, -0.3, 0.2] + 0.4
    m, share, trials = np.exp(z), 1 / (1 + np.exp(-z)), rng.integers(1, 8, N)
    y = {
        "bernoulli": lambda: rng.random(N) < share,
        "binomial": lambda: rng.binomial(5, share),
        "trials": lambda: np.stack([rng.binomial(trials, share), trials], axis=1),
        "poisson": lambda: rng.poisson(m),
        "negative binomial": lambda: rng.poisson(m * rng.gamma(2.0, 0.5, N)),
        "gamma": lambda: m * rng.gamma(2.0, 0.5, N),
        "categorical": lambda: (rng.random(N) < share).astype(int) + (rng.random(N) < 0.3),
    }.get(law, lambda: z + 0.5 * rng.normal(size=N))
    return U, y().astype(np.float64)


def run(impl, family, U, y, start=40, k=1, **more):
    flt = impl.Filter.from_rows(U[:start], y[:start], impl.Linear(D, k), family, **more)
    return flt, flt.update_many(U[start:], y[start:])


@pytest.mark.parametrize("forgetting", [0.0, 0.02])
@settings(max_examples=12)
@given(units=st.lists(UNITS, min_size=D, max_size=D), unit=UNITS, seed=st.integers(0, 1000))
def test_learned_variance(impl, units, unit, seed, forgetting):
    """Both sides in any units: predictions and standard deviations scale with y, the density by its Jacobian."""
    U, y = rows("learned", seed)
    rule = impl.Fading(forgetting)
    flt, trace = run(impl, impl.Gaussian(None), U, y, rule=rule)
    twin, other = run(impl, impl.Gaussian(None), U * units, y * unit, rule=rule)
    size = np.abs(trace.prediction).max()
    np.testing.assert_allclose(other.prediction / unit, trace.prediction, rtol=TOLERANCE, atol=TOLERANCE * size)
    np.testing.assert_allclose(other.std / unit, trace.std, rtol=TOLERANCE)
    np.testing.assert_allclose(other.nll - np.log(unit), trace.nll, rtol=TOLERANCE, atol=1e-8)
    np.testing.assert_allclose(twin.noise_variance[0] / unit**2, flt.noise_variance[0], rtol=TOLERANCE)
    np.testing.assert_allclose(twin.theta[:D] * units / unit, flt.theta[:D], rtol=1e-6, atol=1e-8)
    mine, others = {**flt.health()}, {**twin.health()}
    assert mine["mean_nis"] == pytest.approx(others["mean_nis"], rel=1e-8)


@pytest.mark.parametrize("units", [(1.0, 1.0), (1e-6, 1e6), (1e6, 1e-6), (3e-4, 1e6)], ids=str)
def test_a_variance_of_each_output(impl, units):
    """Two outputs, each in units of its own, learn as they would in one; the scale of one for both (the control) does not."""
    U, first = rows("learned", 1)
    Y = np.column_stack([first, 2.0 + U @ [0.1, 0.4, -0.2] + 0.1 * rows("learned", 2)[1]])
    model, family = impl.Linear(D, 2), impl.Gaussian("each")

    def learned(units):
        flt = impl.Filter.from_rows(U[:40], Y[:40] * units, model, family)
        return flt, flt.update_many(U[40:], Y[40:] * units)

    (flt, trace), (twin, other) = learned([1.0, 1.0]), learned(units)
    np.testing.assert_allclose(flt.settings.family.prior_scale, Y[:40].std(axis=0), rtol=1e-12)
    np.testing.assert_allclose(other.prediction / units, trace.prediction, rtol=TOLERANCE, atol=TOLERANCE)
    np.testing.assert_allclose(other.std / units, trace.std, rtol=TOLERANCE)
    np.testing.assert_allclose(twin.noise_variance[0] / np.square(units), flt.noise_variance[0], rtol=TOLERANCE)
    shared = [
        impl.Filter(model, impl.Gaussian("each", prior_scale=1.0)).update_many(U, Y * u).std[-1] / u
        for u in ([1.0, 1.0], units)
    ]
    assert units == (1.0, 1.0) or np.abs(shared[0] / shared[1] - 1).max() > 1e3 * TOLERANCE


FAMILIES = {
    "bernoulli": (1, lambda impl: impl.Bernoulli()),
    "binomial": (1, lambda impl: impl.Binomial(5)),
    "trials": (1, lambda impl: impl.Binomial()),
    "poisson": (1, lambda impl: impl.Poisson()),
    "negative binomial": (1, lambda impl: impl.NegativeBinomial(0.5)),
    "gamma": (1, lambda impl: impl.Gamma(2.0)),
    "categorical": (3, lambda impl: impl.Categorical(3)),
    "mean and variance": (2, lambda impl: impl.GaussianMeanVariance()),
    "each": (1, lambda impl: impl.Gaussian("each")),
}


@pytest.mark.parametrize("law", FAMILIES)
@settings(max_examples=5)
@given(units=st.lists(UNITS, min_size=D, max_size=D), seed=st.integers(0, 1000))
def test_the_features_of_every_other_family(impl, law, units, seed):
    k, family = FAMILIES[law]
    U, y = rows(law, seed)
    _, trace = run(impl, family(impl), U, y, k=k)
    _, other = run(impl, family(impl), U * units, y, k=k)
    np.testing.assert_allclose(other.prediction, trace.prediction, rtol=1e-8, atol=TOLERANCE)
    np.testing.assert_allclose(other.std, trace.std, rtol=1e-8)


@settings(max_examples=12)
@given(units=st.lists(UNITS, min_size=D, max_size=D), seed=st.integers(0, 1000))
def test_the_control_a_unit_prior_does_need_units(impl, units, seed):
    if max(units) / min(units) < 1e3:
        return
    U, y = rows("learned", seed)
    plain, other = (impl.Filter(impl.Linear(D), impl.Gaussian(None)) for _ in range(2))
    first, second = plain.update_many(U, y), other.update_many(U * units, y)
    assert np.abs(first.prediction - second.prediction).max() > 1e-3


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
def test_constant_columns_and_rare_events(impl, unit):
    """A column without variance takes the median of the others; a rare event starts at its own level."""
    rng = np.random.default_rng(0)
    U, y = rng.normal(size=(100, 4)) * [1.0, 1.0, 2.0, 9.0] * unit, np.zeros(100)
    U[:, 1], y[3] = 7.0 * unit, 1.0
    flt = impl.Filter.from_rows(U, y, impl.Linear(4), impl.Bernoulli())
    prior = np.asarray(flt.settings.belief.prior_variance)
    assert prior[1] == pytest.approx((np.pi**2 / 3) / np.var(U[:, 2]), rel=1e-9)
    assert flt.settings.theta[-1] == pytest.approx(np.log(1.5 / 101 / (1 - 1.5 / 101)), rel=1e-9)
    assert flt.predict(U).mean() == pytest.approx(0.01, abs=0.02)
    alone = impl.Filter.from_rows(np.full((5, 1), unit), np.arange(5.0), impl.Linear(1), impl.Poisson())
    assert np.isfinite(alone.theta).all()
    assert np.isfinite(alone.std()).all()


def test_what_the_docstring_promises(impl):
    """Level and prior of counts and of a learned variance, from the rows by hand."""
    U, y = rows("poisson", 1)
    flt = impl.Filter.from_rows(U, y, impl.Linear(D), impl.Poisson(), belief=impl.Full(2.0))
    V = max(1.0, np.log1p(y.var() / y.mean() ** 2))
    np.testing.assert_allclose(flt.settings.belief.prior_variance, 2.0 * V / np.append(U.var(axis=0), 1.0), rtol=1e-12)
    np.testing.assert_allclose(flt.settings.theta, [0, 0, 0, np.log((y.sum() + 0.5) / N)], rtol=1e-12)
    U, y = rows("learned", 1)
    flt = impl.Filter.from_rows(U, y, impl.Linear(D), impl.Gaussian(None))
    family, V = flt.settings.family, y.var()
    assert family.prior_scale == pytest.approx(np.sqrt(V), rel=1e-12)
    a = family.prior_dof / 2
    expected = V / np.append(U.var(axis=0), 1.0) / (a * V / (a - 1))
    np.testing.assert_allclose(flt.settings.belief.prior_variance, expected, rtol=1e-12)
    assert flt.n_updates == N


WEIGHTED = FAMILIES | {"learned": (1, lambda impl: impl.Gaussian(None))}
WEIGHTED.pop("each")


@pytest.mark.parametrize("law", WEIGHTED)
def test_a_weight_of_three_sets_scale_and_level_as_three_rows_do(impl, law):
    """Weight 0 as none. Control: without weights the start is another."""
    U, y = rows(law, 4)
    k, family = WEIGHTED[law][0], WEIGHTED[law][1](impl)
    weight = np.random.default_rng(5).integers(0, 4, N)
    U[weight == 0] *= 100.0
    start = impl.Filter.from_rows(U, y, impl.Linear(D, k), family, weight=weight)
    three = impl.Filter.from_rows(np.repeat(U, weight, axis=0), np.repeat(y, weight, axis=0), impl.Linear(D, k), family)
    plain = impl.Filter.from_rows(U, y, impl.Linear(D, k), family)
    given, repeated, control = (
        np.concatenate([flt.settings.theta, flt.settings.belief.prior_variance]) for flt in (start, three, plain)
    )
    np.testing.assert_allclose(given, repeated, rtol=1e-12, atol=1e-12)
    assert np.abs(control[repeated != 0] / repeated[repeated != 0] - 1).max() > 0.1
    if law == "learned":  # there the rows too teach the same, in any order
        np.testing.assert_allclose(start.theta, three.theta, rtol=1e-9)
        np.testing.assert_allclose(start.cov(), three.cov(), rtol=1e-8, atol=1e-12)


def test_weights_of_the_first_rows_are_checked(impl):
    U, y = rows("learned", 0)
    for weight, error in (([1.0], "ShapeError"), (np.zeros(N), "ParameterError"), (-np.ones(N), "ParameterError")):
        with pytest.raises(getattr(errors, error)):
            impl.Filter.from_rows(U, y, impl.Linear(D), impl.Gaussian(None), weight=weight)
