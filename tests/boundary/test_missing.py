"""y NaN is missing: it wins over a bad x, time passes, nothing is learned; a weight of 0 does the same."""

from __future__ import annotations

import numpy as np
import pytest
from boundary.filters import KINDS, bits, fed, make, refused, stream

from kfng.errors import NonFiniteError, ParameterError, UnknownNameError

NAN, INF = float("nan"), float("inf")
U3 = [0.1, 0.2, 0.3]


def gap(kind):
    return [NAN, NAN] if kind == "two_outputs" else NAN


def learned(flt):
    """What a row that teaches nothing must leave alone where no time passes."""
    state = flt._state()
    return {name: array.tobytes() for name, array in state.items() if name not in ("counters", "clock")}


@pytest.mark.parametrize("kind", KINDS)
def test_without_time_nothing_changes_but_the_counters(impl, kind):
    flt = fed(impl, kind)
    before, clock, counts = learned(flt), flt._state()["clock"], flt.health()
    step = flt.update(U3, gap(kind), dt=0.0)
    assert step.skipped
    assert np.isfinite(step.prediction).all()
    assert np.isfinite(step.std).all()
    assert np.isnan(step.nll_plugin)
    assert learned(flt) == before
    np.testing.assert_array_equal(flt._state()["clock"], clock)
    after = flt.health()
    assert (after["n_seen"], after["missing"]) == (counts["n_seen"] + 1, counts["missing"] + 1)
    assert {n: v for n, v in after.items() if n not in ("n_seen", "missing")} == {
        n: v for n, v in counts.items() if n not in ("n_seen", "missing")
    }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bad", [[NAN, NAN, NAN], [INF, 0.0, 0.0], [0.0, -INF, 1e308]], ids=["nan", "inf", "inf_large"])
def test_missing_wins_over_a_bad_x(impl, kind, bad):
    flt, twin, weightless = (fed(impl, kind) for _ in range(3))
    y = stream(kind)[1][0]
    step = flt.update(bad, gap(kind))
    assert step.skipped
    assert np.isnan(step.prediction).all()
    assert np.isnan(step.std).all()
    twin.update(U3, gap(kind))  # a bad x that does not matter is no different from a good one
    assert bits(flt) == bits(twin)
    step = weightless.update(bad, y, weight=0.0)
    assert step.skipped
    assert np.isnan(step.prediction).all()
    assert weightless.health()["missing"] == 0
    assert learned(weightless) == learned(twin)


@pytest.mark.parametrize("kind", KINDS)
def test_weight_0_only_lets_time_pass(impl, kind):
    flt, twin = fed(impl, kind), fed(impl, kind)
    y = stream(kind)[1][0]
    step = flt.update(U3, y, weight=0.0, dt=2.5)
    assert step.skipped
    assert np.isfinite(step.prediction).all()
    assert np.isfinite(step.nll_plugin)
    twin.update(U3, gap(kind), dt=2.5)
    assert learned(flt) == learned(twin)
    assert flt.n_updates == twin.n_updates == 40
    np.testing.assert_array_equal(flt._state()["clock"], twin._state()["clock"])


def test_time_passes_under_forgetting(impl):
    flt = fed(impl, "fading")
    theta, cov = flt.theta, flt.cov()
    flt.update(U3, NAN, dt=2.0)
    np.testing.assert_array_equal(flt.theta, theta)
    np.testing.assert_array_less(np.diagonal(cov), np.diagonal(flt.cov()))
    assert flt._state()["clock"][0] == 42.0


def test_missing_does_not_excuse_the_rest_of_the_row(impl):
    flt = fed(impl, "fading")
    cases = [("dt", -1.0, ParameterError), ("dt", NAN, NonFiniteError), ("weight", -1.0, ParameterError), ("weight", INF, NonFiniteError),
             ("offset", NAN, NonFiniteError)]  # fmt: skip
    for argument, value, error in cases:
        with refused(error, argument, flt):
            flt.update(U3, NAN, **{argument: value})
    with refused(ParameterError, "y"):
        fed(impl, "bernoulli").update(U3, 7.0, weight=0.0)
    with refused(NonFiniteError, "y", flt):
        flt.update(U3, INF, weight=0.0)


def test_a_partly_missing_y_teaches_its_finite_part(impl):
    """With independent noise a missing output is as if it had a Jacobian of its own: the others learn the same."""
    R = np.diag([1.0, 0.5])
    flt = impl.Filter(impl.Linear(3, 2), impl.Gaussian(covariance=R))
    one = impl.Filter(impl.Linear(3), impl.Gaussian(1.0))
    U, Y = stream("two_outputs")
    Y[:, 1] = NAN
    trace = flt.update_many(U, Y)
    single = one.update_many(U, Y[:, 0])
    np.testing.assert_allclose(flt.parameters["weight"][0], one.parameters["weight"][0], rtol=1e-12)
    np.testing.assert_array_equal(flt.parameters["weight"][1], np.zeros(3))
    np.testing.assert_allclose(trace.nll, single.nll, rtol=1e-12)
    assert not trace.skipped.any()
    assert flt.health()["missing"] == 0
    assert flt.n_updates == 40
    with refused(NonFiniteError, "u", flt):
        flt.update([NAN, 0.0, 0.0], [1.0, NAN])


def test_correlated_noise_with_a_gap_is_the_marginal_law(impl):
    R = np.array([[1.0, 0.6], [0.6, 0.5]])
    flt = impl.Filter(impl.Linear(2, 2, intercept=False), impl.Gaussian(covariance=R))
    u, P = np.array([1.0, -2.0]), np.eye(2)
    step = flt.update(u, [NAN, 1.5])
    q = u @ P @ u + R[1, 1]
    np.testing.assert_allclose(flt.parameters["weight"], [[0, 0], u * 1.5 / q], rtol=1e-13, atol=1e-15)
    assert step.nll == pytest.approx(0.5 * (np.log(2 * np.pi * q) + 1.5**2 / q), rel=1e-13)


def test_condition_without_time_and_y_predicts_for_an_external_model(impl):
    flt = impl.Filter(impl.External(3, 1), impl.Gaussian(0.5), rule=impl.Fading(0.1))
    flt.condition(1.0, 0.0, [[1.0, 2.0, 3.0]])
    before = learned(flt)
    dz = np.array([[1.0, 0.0, -1.0]])
    step = flt.condition(NAN, 0.3, dz, dt=0.0)
    assert step.prediction == 0.3
    assert step.std == pytest.approx(np.sqrt((dz @ flt.cov() @ dz.T)[0, 0] + 0.5), rel=1e-13)
    step = flt.condition(NAN, NAN, np.full((1, 3), INF), dt=0.0)
    assert np.isnan(step.prediction)
    step = flt.condition(1.0, INF, dz, dt=0.0, weight=0.0)
    assert np.isnan(step.prediction)
    assert learned(flt) == before


@pytest.mark.parametrize("kind", KINDS)
def test_in_update_many(impl, kind):
    U, Y = stream(kind)
    Y[3:30:4] = NAN
    U[7], U[11] = NAN, INF  # missing as well
    flt, twin = make(impl, kind), make(impl, kind)
    trace = flt.update_many(U, Y)
    steps = [twin.update(u, y) for u, y in zip(U, Y, strict=True)]
    assert bits(flt) == bits(twin)
    missing = np.isnan(Y) if Y.ndim == 1 else np.isnan(Y).all(axis=1)
    np.testing.assert_array_equal(trace.skipped, missing)
    np.testing.assert_array_equal(trace.prediction, [step.prediction for step in steps])
    np.testing.assert_array_equal(
        np.isnan(trace.prediction).reshape(40, -1).any(axis=1), np.isin(np.arange(40), [7, 11])
    )
    np.testing.assert_array_equal(np.isnan(trace.nll_plugin), missing)
    assert flt.health()["missing"] == missing.sum()


@pytest.mark.parametrize("writeable", [True, False])
def test_a_bad_x_that_does_not_matter_stays_as_the_caller_has_it(impl, writeable):
    u = np.array([NAN, 1.0, INF])
    u.setflags(write=writeable)
    flt = make(impl, "gaussian")
    flt.update(u, NAN)
    flt.update(u, 1.0, weight=0.0)
    flt.update_many(u[None], [NAN])
    np.testing.assert_array_equal(u, [NAN, 1.0, INF])


def test_first_rows_with_gaps(impl):
    """`from_rows(on_bad_row="skip")`: level and scale come from the complete rows, which are then learned; by default they are refused."""
    rng = np.random.default_rng(4)
    U, y = rng.normal(size=(60, 3)) * [1, 10, 1e3], rng.normal(size=60)
    gone = np.arange(60) % 4 == 1
    U[gone, 1] = np.nan
    flt = impl.Filter.from_rows(U, y, impl.Linear(3), impl.Gaussian(None), on_bad_row="skip")
    twin = impl.Filter.from_rows(U[~gone], y[~gone], impl.Linear(3), impl.Gaussian(None))
    assert flt.spec() == twin.spec()
    assert flt.theta.tobytes() == twin.theta.tobytes()
    assert flt.health()["skipped"] == gone.sum()
    with pytest.raises(NonFiniteError) as caught:
        impl.Filter.from_rows(U, y, impl.Linear(3), impl.Gaussian(None))
    assert caught.value.row == 1
    with pytest.raises(UnknownNameError) as caught:
        impl.Filter.from_rows(U, y, impl.Linear(3), impl.Gaussian(None), on_bad_row="drop")
    assert caught.value.argument == "on_bad_row"
    U[:, 2] = np.nan
    for names, shown in ((None, "column 2"), (["a", "b", "c"], "'c'")):
        with pytest.raises(ParameterError) as caught:
            impl.Filter.from_rows(U, y, impl.Linear(3), impl.Gaussian(None), feature_names=names, on_bad_row="skip")
        assert caught.value.argument == "U0"
        assert shown in caught.value.got
