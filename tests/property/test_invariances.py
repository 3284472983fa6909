"""Changes of a stream that must not matter: order, rows that teach nothing, a row given twice, time where nothing fades."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from property.streams import GAUSSIAN, LAWS, Case, bits, cases
from tolerances import CONTROL, covariance_error, relative_error, theta_error

FORGETLESS = {"rules": ("kalman",)}
PARTLY_MISSING = Case(
    "covariance", "linear", "kalman", d=2, k=3, n=40, forgetting=0.0, weighted=True, gaps=True, seed=1
)


def other_order(impl, case, order):
    """Largest error of theta, its covariance and a learned noise variance when the rows come in another order."""
    U, Y, columns = case.rows()
    flt, twin = case.filter(impl), case.filter(impl)
    flt.update_many(U, Y, weight=columns["weight"])
    twin.update_many(U[order], Y[order], weight=columns["weight"][order])
    P = flt.cov()
    noise = relative_error(twin.noise_variance, flt.noise_variance) if case.law == "learned" else 0.0
    return max(theta_error(twin.theta, flt.theta, P), covariance_error(twin.cov(), P), noise)


@given(case=cases(laws=(*GAUSSIAN, "learned"), models=("linear",), **FORGETLESS), data=st.data())
def test_row_order_of_a_linear_gaussian(impl, case, data):
    """Without forgetting the posterior is that of the set of rows, of theta and of a learned noise variance."""
    assert other_order(impl, case, np.array(data.draw(st.permutations(range(case.n))))) < 1e-12


# the control: a variance for each output is plugged in, and theta remembers what it was at each row
@pytest.mark.parametrize("law", [*GAUSSIAN, "learned", "each"])
def test_row_order_with_partly_missing_vectors(impl, law):
    case = PARTLY_MISSING._replace(law=law)
    assert {0, 1, 2} <= set(np.isnan(case.rows()[1]).sum(axis=1).tolist())
    error = other_order(impl, case, np.random.default_rng(0).permutation(case.n))
    assert error > CONTROL * 1e-12 if law == "each" else error < 1e-12


@settings(max_examples=4)
@pytest.mark.parametrize("law", LAWS)
@given(data=st.data(), bad=st.sampled_from([0.0, np.nan, np.inf, -np.inf, 1e308]))
def test_rows_that_teach_nothing(impl, law, data, bad):
    """With no time in between, rows of weight 0 and missing rows may be anywhere: theta, P and noise keep every bit.

    (Without the wind-up guard, whose checks count rows, and process noise added every so many of them.)
    """
    case = data.draw(cases(laws=(law,), rows=30))
    U, Y, columns = case.rows()
    flt, twin = (case.filter(impl, guards=impl.Guards(windup=None)) for _ in range(2))
    nothing = np.full(case.d, bad) if not np.isfinite(bad) else np.zeros(case.d)
    for i in range(case.n):
        row = {name: float(column[i]) for name, column in columns.items()}
        twin.update(nothing, Y[i], weight=0.0, dt=0.0)
        twin.update(nothing, np.full(case.width, np.nan), dt=0.0)
        flt.update(U[i], Y[i], **row)
        twin.update(U[i], Y[i], **row)
    assert bits(flt, "counters") == bits(twin, "counters")
    assert twin.n_updates == flt.n_updates
    assert twin.health()["missing"] >= flt.health()["missing"] + case.n


@given(case=cases(laws=GAUSSIAN, models=("linear",), **FORGETLESS), weight=st.sampled_from([2.0, 3.0]))
def test_a_row_given_twice_is_a_row_of_weight_two(impl, case, weight):
    U, Y, _ = case.rows()
    times = int(weight)
    flt, twin = case.filter(impl), case.filter(impl)
    flt.update_many(U, Y, weight=weight)
    twin.update_many(np.repeat(U, times, axis=0), np.repeat(Y, times, axis=0))
    P = flt.cov()
    assert theta_error(twin.theta, flt.theta, P) < 1e-12
    assert covariance_error(twin.cov(), P) < 1e-12
    once = case.filter(impl)
    once.update_many(U, Y)
    if not np.isnan(Y).all():
        assert theta_error(once.theta, flt.theta, P) > 1e-9  # the control: the weight matters


@settings(max_examples=4)
@pytest.mark.parametrize("law", LAWS)
@given(data=st.data(), shift=st.floats(-2, 2))
def test_an_offset_is_an_intercept_that_is_known(impl, law, data, shift):
    """theta_0 shifted by it: the same predictions."""
    case = data.draw(cases(laws=(law,), rows=30))
    U, Y, columns = case.rows()
    flt = case.filter(impl)
    theta = flt.theta
    theta[-case.k :] += shift
    twin = case.filter(impl, theta=theta)
    trace = flt.update_many(U, Y, offset=shift, **columns)
    other = twin.update_many(U, Y, **columns)
    np.testing.assert_allclose(trace.prediction, other.prediction, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(flt.cov(), twin.cov(), rtol=1e-9, atol=1e-11)


@given(case=cases(**FORGETLESS), a=st.floats(0.1, 3), b=st.floats(0.1, 3))
def test_without_forgetting_time_does_not_matter(impl, case, a, b):
    U, Y, columns = case.rows()
    flt, twin = case.filter(impl), case.filter(impl)
    flt.update_many(U, Y, weight=columns["weight"], dt=a)
    twin.update_many(U, Y, weight=columns["weight"], dt=b)
    assert bits(flt, "clock") == bits(twin, "clock")
