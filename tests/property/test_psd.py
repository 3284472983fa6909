"""P stays symmetric, its factors positive, its diagonal within the prior's, whatever the rows."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from property.streams import cases, smallest_eigenvalue

ROUNDING = {"float64": 1e-13, "float32": 1e-4}
"""Negative eigenvalue of the unit-diagonal P that roundoff of its entries alone can make."""


@given(case=cases(), dtype=st.sampled_from(["float64", "float32"]))
def test_after_every_row(impl, case, dtype):
    flt = case.filter(impl, dtype=dtype)
    U, Y, columns = case.rows()
    prior = np.diagonal(flt._covariance())
    for i in range(case.n):
        flt.update(U[i], Y[i], **{name: float(column[i]) for name, column in columns.items()})
        P = flt._covariance()
        np.testing.assert_array_equal(P, P.T)
        assert smallest_eigenvalue(P) > -ROUNDING[dtype]
        factor, D = flt._factors()
        assert (D >= 0).all()
        np.testing.assert_array_equal(np.tril(factor), np.eye(len(D)))
        if not case.forgetting:
            assert (np.diagonal(P) <= prior * (1 + ROUNDING[dtype])).all()
        assert (np.diagonal(P) <= 4 * prior).all()


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
