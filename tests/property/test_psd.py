"""P stays symmetric, its factors positive, its diagonal within bounds: every family, model and rule, whatever the rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from property.streams import LAWS, cases, smallest_eigenvalue

ROUNDING = {"float64": 1e-13, "float32": 1e-4}
"""Negative eigenvalue of the unit-diagonal P that roundoff of its entries alone can make."""


LARGEST = {"kalman": 1.0, "fading": 4.0, "gradient": 4.0, "towards the prior": 2.0}
"""No variance passes this multiple of its prior: nothing is forgotten; the wind-up guard; what is forgotten is given back."""


@settings(max_examples=8)
@pytest.mark.parametrize("law", LAWS)
@given(data=st.data(), dtype=st.sampled_from(["float64", "float32"]))
def test_after_every_row(impl, law, data, dtype):
    case = data.draw(cases(laws=(law,), rows=40))
    flt = case.filter(impl, dtype=dtype)
    U, Y, columns = case.rows()
    bound = np.diagonal(flt._covariance()) * LARGEST.get(case.rule, 1.0)
    for i in range(case.n):
        flt.update(U[i], Y[i], **{name: float(column[i]) for name, column in columns.items()})
        P = flt._covariance()
        assert np.isfinite(P).all()
        np.testing.assert_array_equal(P, P.T)
        assert smallest_eigenvalue(P) > -ROUNDING[dtype]
        factor, D = flt._factors()
        assert (D >= 0).all()
        np.testing.assert_array_equal(np.tril(factor), np.eye(len(D)))
        walked = case.forgetting * columns["dt"][: i + 1].sum() if case.rule == "walk" else 0.0
        assert (np.diagonal(P) <= (bound + walked) * (1 + ROUNDING[dtype])).all()
    cov = flt.cov()
    np.testing.assert_array_equal(cov, cov.T)
    assert smallest_eigenvalue(cov) > -ROUNDING[dtype]


@settings(max_examples=4)
@pytest.mark.parametrize("projection", ["precision", "covariance"])
@pytest.mark.parametrize("law", LAWS)
@given(data=st.data(), dtype=st.sampled_from(["float64", "float32"]))
def test_a_diagonal_belief_after_every_row(impl, law, projection, data, dtype):
    case = data.draw(cases(laws=(law,), rows=40))
    flt = case.filter(impl, dtype=dtype, belief=impl.Diagonal(2.0, projection))
    U, Y, columns = case.rows()
    for i in range(case.n):
        flt.update(U[i], Y[i], **{name: float(column[i]) for name, column in columns.items()})
        variances, walked = np.diagonal(flt._covariance()), case.forgetting * columns["dt"][: i + 1].sum()
        assert (variances > 0).all()
        bound = 2.0 * LARGEST.get(case.rule, 1.0) + (walked if case.rule == "walk" else 0.0)
        assert (variances <= bound * (1 + ROUNDING[dtype])).all()


@given(
    scale=st.lists(st.integers(-40, 40), min_size=2, max_size=5),
    log_prior=st.integers(-30, 50),
    seed=st.integers(0, 2**32 - 1),
)
def test_scales_far_apart(impl, scale, log_prior, seed):
    """Features of sizes 2^-40 .. 2^40 and priors to 2^50: the factors stay positive where rho passes 1e16 by far.

    The reference's dense P holds to rho ~ 1e12, and refuses rows beyond what it can represent.
    """
    if impl.__name__ == "kfng.reference":
        log_prior = min(log_prior, 40 - 2 * max(scale))
    rng = np.random.default_rng(seed)
    d = len(scale)
    flt = impl.Filter(impl.Linear(d), impl.Gaussian(), belief=impl.Full(2.0**log_prior))
    U = rng.normal(size=(30, d)) * 2.0 ** np.array(scale)
    flt.update_many(U, rng.normal(size=30))
    P = flt._covariance()
    assert np.isfinite(P).all()
    assert (np.diagonal(P) >= 0).all()
    assert (flt._factors()[1] >= 0).all()
    assert np.isfinite(flt.theta).all()
    assert np.isfinite(flt.predict(U, return_std=True)[1]).all()


@given(case=cases())
def test_what_is_read_off_p_agrees_with_it(impl, case):
    flt = case.filter(impl)
    U, Y, columns = case.rows()
    flt.update_many(U, Y, **columns)
    cov = flt.cov()
    np.testing.assert_allclose(flt.std(), np.sqrt(np.diagonal(cov)), rtol=1e-14)
    np.testing.assert_allclose(flt.precision() @ cov, np.eye(len(cov)), atol=1e-9)
    factor, D = flt._factors()
    np.testing.assert_allclose((factor * D) @ factor.T, flt._covariance(), rtol=1e-12, atol=1e-14)
    mean, both = flt.predict(U, return_cov=True)
    std = flt.predict(U, return_std=True)[1]
    np.testing.assert_allclose(np.sqrt(np.diagonal(both, axis1=1, axis2=2)), std.reshape(case.n, -1), rtol=1e-12)
    np.testing.assert_array_equal(mean, flt.predict(U))
