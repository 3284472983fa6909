"""Rows of many inputs with variances alone are read where they are and learned from in place: nothing of that shows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from property.streams import bits

from kfng.errors import NonFiniteError

LAWS = ["gaussian", "learned", "bernoulli", "poisson"]


def make(impl, d, law, projection, lam=0.02, dtype="float64"):
    family = {
        "gaussian": lambda: impl.Gaussian(0.7),
        "learned": impl.Gaussian,
        "bernoulli": impl.Bernoulli,
        "poisson": impl.Poisson,
    }[law]()
    belief, rule = impl.Diagonal(1 / d, projection), impl.Fading(lam) if lam else impl.Kalman()
    return impl.Filter(impl.Linear(d), family, belief=belief, rule=rule, dtype=dtype)


def rows(n, d, seed, dtype="float64"):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)).astype(dtype), (rng.random(n) < 0.5).astype(float)


@settings(max_examples=8)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("law", LAWS)
@given(
    d=st.integers(14, 150),
    projection=st.sampled_from(["precision", "covariance"]),
    lam=st.sampled_from([0.0, 0.02, 0.2]),
    seed=st.integers(0, 99),
    gaps=st.booleans(),
    cuts=st.lists(st.integers(0, 40), max_size=5),
)
def test_the_same_bits_however_rows_come(law, dtype, d, projection, lam, seed, gaps, cuts):
    import kfng

    U, Y = rows(40, d, seed, dtype)
    if gaps:
        Y[::7] = np.nan
    make_one = lambda: make(kfng, d, law, projection, lam, dtype)  # noqa: E731
    whole, pieces, single, other = (make_one() for _ in range(4))
    trace = whole.update_many(U, Y)
    for part in np.split(np.arange(40), sorted(cuts)):
        pieces.update_many(U[part], Y[part])
    steps = [single.update(u, y) for u, y in zip(U, Y, strict=True)]
    wide = other.update_many(np.asfortranarray(U.astype("float64")), Y)  # another layout is copied
    assert bits(whole) == bits(pieces) == bits(single) == bits(other)
    np.testing.assert_array_equal([step.prediction for step in steps], trace.prediction)
    np.testing.assert_array_equal(wide.C, trace.C)


@settings(max_examples=6)
@pytest.mark.parametrize("law", LAWS)
@given(d=st.integers(14, 150), projection=st.sampled_from(["precision", "covariance"]), seed=st.integers(0, 99))
def test_equal_to_the_reference(law, d, projection, seed):
    import kfng
    import kfng.reference

    U, Y = rows(40, d, seed)
    own, reference = (make(impl, d, law, projection) for impl in (kfng, kfng.reference))
    trace, exact = own.update_many(U, Y), reference.update_many(U, Y)
    for name in ("z", "std"):
        np.testing.assert_allclose(getattr(trace, name), getattr(exact, name), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(own.theta, reference.theta, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(own.std(), reference.std(), rtol=1e-10)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("at", [0, 5, 39])
@pytest.mark.parametrize("column", [0, 37, 99])
def test_a_bad_input_is_found_where_it_is(impl, bad, at, column):
    U, Y = rows(40, 100, 1)
    U[at, column] = bad
    one, other, skipping = (make(impl, 100, "gaussian", "precision") for _ in range(3))
    with pytest.raises(NonFiniteError) as caught:
        one.update_many(U, Y)
    assert caught.value.row == at
    assert caught.value.argument == "u"
    assert f"column {column}" in str(caught.value)
    other.update_many(U[:at], Y[:at])
    assert bits(one) == bits(other)
    with pytest.raises(NonFiniteError, match=f"column {column}"):
        one.update(U[at], Y[at])
    assert bits(one) == bits(other)
    trace = skipping.update_many(U, Y, on_bad_row="skip")
    assert skipping.health()["skipped"] == 1
    good = np.arange(40) != at
    other.update_many(U[at + 1 :], Y[at + 1 :])
    np.testing.assert_array_equal(skipping.theta, other.theta)
    assert np.isfinite(trace.z[good]).all()
    U_missing, Y_missing = U.copy(), Y.copy()
    Y_missing[at] = np.nan
    blank = make(impl, 100, "gaussian", "precision").update_many(U_missing, Y_missing)
    assert np.isnan(blank.z[at]).all()
    assert np.isfinite(blank.z[good]).all()


@pytest.mark.parametrize("projection", ["precision", "covariance"])
def test_values_near_the_largest_number(impl, projection):
    """What cannot be written is refused, and nothing has changed; what is merely large is learned."""
    flt = make(impl, 40, "gaussian", projection, lam=0.0)
    refused = 0
    for size, y in [(1e150, 1.0), (1.0, 1e300), (1e300, 1.0), (1e160, 1e308), (3.0, -1.7e308)]:
        twin, U, Y = flt.copy(), np.full((3, 40), size), np.array([0.0, y, 0.0])
        try:
            flt.update_many(U, Y)
        except NonFiniteError as error:
            twin.update_many(U[: error.row], Y[: error.row])
            assert bits(flt) == bits(twin)
            refused += 1
        assert np.isfinite(flt.theta).all()
        assert np.isfinite(flt.std()).all()
        assert (flt.std() >= 0).all()
    assert 0 < refused < 5
