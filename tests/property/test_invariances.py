"""Changes of a stream that must not matter: order, units, rows that teach nothing, a row given twice."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from property.streams import bits, cases
from tolerances import covariance_error, theta_error

GAUSSIAN = ("gaussian", "covariance")


@given(case=cases(laws=GAUSSIAN, forgetting=False), data=st.data())
def test_row_order_of_a_linear_gaussian(impl, case, data):
    """Without forgetting the posterior is that of the set of rows."""
    U, Y, columns = case.rows()
    order = np.array(data.draw(st.permutations(range(case.n))))
    flt, twin = case.filter(impl), case.filter(impl)
    flt.update_many(U, Y, weight=columns["weight"])
    twin.update_many(U[order], Y[order], weight=columns["weight"][order])
    P = flt.cov()
    assert theta_error(twin.theta, flt.theta, P) < 1e-12
    assert covariance_error(twin.cov(), P) < 1e-12


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@given(case=cases(), powers=st.lists(st.integers(-20, 20), min_size=5, max_size=5))
def test_a_feature_in_other_units(both, case, powers, dtype):
    """Feature times 2^a with its prior times 2^-2a: the same predictions bit for bit, theta times 2^-a."""
    U, Y, columns = case.rows()
    scale = 2.0 ** np.array(powers[: case.d])
    per_parameter = np.concatenate([np.tile(scale, case.k), np.ones(case.k)])
    for impl in both if dtype == "float64" else both[:1]:
        flt = case.filter(impl, dtype=dtype, belief=impl.Full(np.ones_like(per_parameter)))
        twin = case.filter(impl, dtype=dtype, belief=impl.Full(per_parameter**-2.0))
        trace, other = flt.update_many(U, Y, **columns), twin.update_many(U * scale, Y, **columns)
        if impl is both[0]:
            for name in ("prediction", "std", "nll_plugin", "skipped", "clipped"):
                np.testing.assert_array_equal(getattr(other, name), getattr(trace, name))
            np.testing.assert_array_equal(twin.theta * per_parameter.astype(dtype), flt.theta)
            np.testing.assert_array_equal(twin.std() * per_parameter, flt.std())
            assert bits(flt, "theta", "U", "D") == bits(twin, "theta", "U", "D")
        else:  # dense algebra of BLAS promises no order of sums
            np.testing.assert_allclose(other.prediction, trace.prediction, rtol=1e-9, atol=1e-9)
            np.testing.assert_allclose(other.std, trace.std, rtol=1e-9)


@given(case=cases(rows=30), bad=st.sampled_from([0.0, np.nan, np.inf, -np.inf, 1e308]))
def test_rows_that_teach_nothing(impl, case, bad):
    """With no time in between, rows of weight 0 and missing rows may be anywhere: theta, P and noise keep every bit.

    (Without the wind-up guard, whose checks count rows.)
    """
    U, Y, columns = case.rows()
    flt, twin = (case.filter(impl, guards=impl.Guards(windup=None)) for _ in range(2))
    nothing = np.full(case.d, bad) if not np.isfinite(bad) else np.zeros(case.d)
    for i in range(case.n):
        row = {name: float(column[i]) for name, column in columns.items()}
        twin.update(nothing, Y[i], weight=0.0, dt=0.0)
        twin.update(nothing, np.full(case.k, np.nan), dt=0.0)
        flt.update(U[i], Y[i], **row)
        twin.update(U[i], Y[i], **row)
    assert bits(flt, "counters") == bits(twin, "counters")
    assert twin.n_updates == flt.n_updates
    assert twin.health()["missing"] >= flt.health()["missing"] + case.n


@given(case=cases(laws=GAUSSIAN, forgetting=False), weight=st.sampled_from([2.0, 3.0]))
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


@given(case=cases(laws=("gaussian", "bernoulli", "poisson")), shift=st.floats(-2, 2))
def test_an_offset_is_an_intercept_that_is_known(impl, case, shift):
    """theta_0 shifted by it: the same predictions."""
    U, Y, columns = case.rows()
    theta = np.zeros(case.k * (case.d + 1))
    theta[-case.k :] = shift
    flt, twin = case.filter(impl), case.filter(impl, theta=theta)
    trace = flt.update_many(U, Y, offset=shift, **columns)
    other = twin.update_many(U, Y, **columns)
    np.testing.assert_allclose(trace.prediction, other.prediction, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(flt.cov(), twin.cov(), rtol=1e-9, atol=1e-11)


@given(case=cases(forgetting=False), a=st.floats(0.1, 3), b=st.floats(0.1, 3))
def test_without_forgetting_time_does_not_matter(impl, case, a, b):
    U, Y, columns = case.rows()
    flt, twin = case.filter(impl), case.filter(impl)
    flt.update_many(U, Y, weight=columns["weight"], dt=a)
    twin.update_many(U, Y, weight=columns["weight"], dt=b)
    assert bits(flt, "clock") == bits(twin, "clock")
