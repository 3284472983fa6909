"""Units and coordinates that must not matter: a power of two changes no bit, an affine map of the features no prediction."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from property.streams import IDENTITY, LAWS, RULES, Case, bits, cases

SEEN = ("prediction", "std", "skipped", "clipped")


def assert_same_trace(trace, other, exact, unit=1.0):
    """`other` is `trace` with y in units of `unit`; the reference's dense algebra promises no order of sums."""
    for name in SEEN:
        mine, others = getattr(trace, name), getattr(other, name) / (unit if name in ("prediction", "std") else 1)
        if exact:
            np.testing.assert_array_equal(others, mine)
        else:
            np.testing.assert_allclose(others, mine, rtol=1e-9, atol=1e-9)


@settings(max_examples=6)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("law", LAWS)
@given(data=st.data(), powers=st.lists(st.integers(-20, 20), min_size=5, max_size=5))
def test_a_feature_in_other_units(both, law, data, powers, dtype):
    """Feature times 2^a with its prior times 2^-2a: the same predictions bit for bit, theta times 2^-a."""
    case = data.draw(cases(laws=(law,), rows=40))
    U, Y, columns = case.rows()
    scale = 2.0 ** np.array(powers[: case.d])
    per_parameter = np.ones(case.p)
    per_parameter[: case.units * case.d] = np.tile(scale, case.units)
    for impl in both if dtype == "float64" else both[:1]:
        theta, Q = case.filter(impl, dtype=dtype).theta, np.ones(case.p)
        flt = case.filter(impl, dtype=dtype, theta=theta, belief=impl.Full(np.ones(case.p)), noise=Q)
        belief = impl.Full(per_parameter**-2.0)
        twin = case.filter(impl, dtype=dtype, theta=theta / per_parameter, belief=belief, noise=Q * per_parameter**-2.0)
        trace, other = flt.update_many(U, Y, **columns), twin.update_many(U * scale, Y, **columns)
        exact = impl is both[0]
        assert_same_trace(trace, other, exact)
        if exact:
            np.testing.assert_array_equal(other.nll_plugin, trace.nll_plugin)
            np.testing.assert_array_equal(twin.theta * per_parameter.astype(dtype), flt.theta)
            np.testing.assert_array_equal(twin.std() * per_parameter, flt.std())
            assert bits(flt, "theta", "U", "D") == bits(twin, "theta", "U", "D")


@settings(max_examples=8)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("law", IDENTITY)
@given(data=st.data(), power=st.integers(-20, 20))
def test_a_normal_y_in_other_units(both, law, data, power, dtype):
    """y, noise and theta of the last layer times 2^a, their prior variances times 2^2a: everything scales, bit for bit."""
    case, unit = data.draw(cases(laws=(law,), rows=40)), 2.0**power
    U, Y, columns = case.rows()
    per_parameter = np.ones(case.p)
    per_parameter[-case.outer :] = unit
    relative = unit if law == "learned" else 1.0  # P and Q are then in units of the noise
    for impl in both if dtype == "float64" else both[:1]:
        theta, variances = case.filter(impl, dtype=dtype).theta, (per_parameter / relative) ** 2
        flt = case.filter(impl, dtype=dtype, theta=theta, belief=impl.Full(np.ones(case.p)), noise=np.ones(case.p))
        twin = case.filter(
            impl,
            family=case.family(impl, unit),
            dtype=dtype,
            theta=theta * per_parameter,
            belief=impl.Full(variances),
            noise=variances,
        )
        trace, other = flt.update_many(U, Y, **columns), twin.update_many(U, Y * unit, **columns)
        exact = impl is both[0]
        assert_same_trace(trace, other, exact, unit)
        observed = (~np.isnan(Y)).sum(axis=1)
        used = observed > 0
        shift = observed[used] * np.log(unit)
        np.testing.assert_allclose(other.nll[used] - shift, trace.nll[used], rtol=1e-9, atol=1e-9 if exact else 1e-7)
        if exact:
            np.testing.assert_array_equal(twin.theta, flt.theta * per_parameter.astype(dtype))
            np.testing.assert_array_equal(twin.std(), flt.std() * per_parameter)
            if law in ("learned", "each"):
                np.testing.assert_array_equal(twin.noise_variance[0], np.multiply(flt.noise_variance[0], unit**2))
            assert bits(flt, "theta", "U", "D", "noise", "y_stats") == bits(twin, "theta", "U", "D", "noise", "y_stats")


@settings(max_examples=8)
@pytest.mark.parametrize("law", ["gamma", "mean and variance"])
@given(data=st.data(), power=st.integers(-3, 3))
def test_a_y_whose_scale_is_an_intercept(impl, law, data, power):
    """y times c is log c more in the log mean, 2 log c more in the log variance; the means' parameters times c."""
    case, unit = data.draw(cases(laws=(law,), models=("linear",), rows=30)), 2.0**power
    U, Y, columns = case.rows()
    shift, per_parameter = np.zeros(case.p), np.ones(case.p)
    shift[-1] = np.log(unit) * (1 if law == "gamma" else 2)
    if law == "mean and variance":
        per_parameter[: case.d] = per_parameter[-2] = unit
    flt = case.filter(impl, noise=np.ones(case.p))
    belief, noise = impl.Full(per_parameter**2), per_parameter**2
    twin = case.filter(impl, theta=flt.theta * per_parameter + shift, belief=belief, noise=noise)
    trace, other = flt.update_many(U, Y, **columns), twin.update_many(U, Y * unit, **columns)
    if flt.health()["clamped"] or twin.health()["clamped"]:
        return  # the clamp is on z itself
    assert_same_trace(trace, other, False, unit)
    used = ~np.isnan(Y[:, 0])
    np.testing.assert_allclose(other.nll[used] - np.log(unit), trace.nll[used], rtol=1e-8, atol=1e-8)


def carried(case, impl, A, a, carry=True):
    """Traces of the filter, and of that for features A u + a with theta_0, prior and process noise carried over."""
    U, Y, columns = case.rows()
    M, P = case.feature_map(A, a), np.eye(case.p) * 0.5
    new = M @ P @ M.T
    new = (new + new.T) / 2 if carry else P
    guards = impl.Guards(windup=None)  # whose checks are of single coordinates
    theta = case.filter(impl).theta
    flt = case.filter(impl, theta=theta, belief=impl.Full(P), guards=guards, noise=P)
    twin = case.filter(impl, theta=M @ theta, belief=impl.Full(new), guards=guards, noise=new)
    return flt.update_many(U, Y, **columns), twin.update_many(U @ A.T + a, Y, **columns)


def affine(rng, d):
    """A with singular values 0.5 .. 2 and a shift."""
    left, right = (np.linalg.qr(rng.normal(size=(d, d)))[0] for _ in range(2))
    return (left * np.geomspace(0.5, 2.0, d)) @ right, rng.normal(size=d)


@settings(max_examples=6)
@pytest.mark.parametrize("law", LAWS)
@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_features_in_other_coordinates(impl, law, data, seed):
    """T10 by the features: A u + a for u, priors carried over: the same predictions. (Turns towards the prior: only of some.)"""
    rules = tuple(rule for rule in RULES if rule != "towards the prior")
    case = data.draw(cases(laws=(law,), rules=rules, rows=30))
    if case.d == 0:
        return
    case = case._replace(forgetting=min(case.forgetting, 0.01))
    trace, other = carried(case, impl, *affine(np.random.default_rng(seed), case.d))
    assert_same_trace(trace, other, False)


@pytest.mark.parametrize("model", ["linear", "mlp"])
@pytest.mark.parametrize("law", LAWS)
def test_the_control_a_prior_left_behind(impl, law, model):
    k = {"mean and variance": 2, "categorical": 3}.get(law, 1)
    case = Case(law, model, "kalman", d=2, k=k, n=20, forgetting=0.0, weighted=False, gaps=False, seed=3)
    A, a = affine(np.random.default_rng(0), 2)
    same, other = (
        np.max(np.abs(np.subtract(*(trace.prediction for trace in carried(case, impl, A, a, carry)))))
        for carry in (True, False)
    )
    assert same < 1e-9
    assert other > 1e-6
