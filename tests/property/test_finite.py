"""No input, finite or not, makes the state non-finite; what is refused changes no bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from property.streams import bits

from kfng.errors import KfngError

EXTREME = [0.0, -0.0, 5e-324, -5e-324, 2.3e-308, 1e-300, 1e-154, 1.0, -1.0, 0.5, 1e8, 1e16, 1e100, 1.3e154, -1e155, 1e200,
           1e300, 1.7e308, -1.7e308, float("nan"), float("inf"), float("-inf")]  # fmt: skip
numbers = st.one_of(st.sampled_from(EXTREME), st.floats(allow_nan=True, allow_infinity=True), st.floats(-3, 3))
sizes = st.one_of(
    st.sampled_from([0.0, 5e-324, 1e-300, 1e-8, 1.0, 2.5, 1e8, 1e300, 1.7e308, float("nan"), -1.0]), st.floats(0, 10)
)
LAWS = {
    "gaussian": lambda impl: impl.Gaussian(),
    "tiny": lambda impl: impl.Gaussian(1e-300),
    "huge": lambda impl: impl.Gaussian(1e300),
    "learned": lambda impl: impl.Gaussian(None),
    "bernoulli": lambda impl: impl.Bernoulli(),
    "poisson": lambda impl: impl.Poisson(),
}
D = 2


def assert_sound(flt):
    for name, array in flt._state().items():
        assert np.isfinite(array).all(), name
    assert (np.diagonal(flt._covariance()) >= 0).all()
    with np.errstate(all="ignore"):  # the reference factors a dense P of any scale
        assert (flt._factors()[1] >= 0).all()


def update(flt, u, y, weight, dt, offset):
    return flt.update(u, y, weight=weight, dt=dt, offset=offset)


def attempt(call):
    """The answer of a call, or its typed refusal; anything else is raised."""
    try:
        return call(), None
    except KfngError as error:
        return None, error


def row():
    return st.tuples(st.lists(numbers, min_size=D, max_size=D), numbers, sizes, sizes, numbers)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("forgetting", [0.0, 0.3])
@settings(max_examples=25)
@given(
    rows=st.lists(row(), min_size=1, max_size=12),
    prior=st.sampled_from([1e-300, 1e-8, 1.0, 1e8, 1e16, 1e150, 1e300]),
    guarded=st.booleans(),
)
def test_one_by_one(impl, law, forgetting, rows, prior, guarded):
    guards = impl.Guards() if guarded else impl.Guards.none()
    flt = impl.Filter(
        impl.Linear(D), LAWS[law](impl), rule=impl.Fading(forgetting), belief=impl.Full(prior), guards=guards
    )
    for u, y, weight, dt, offset in rows:
        before = bits(flt)
        step, error = attempt(lambda row=(u, y, weight, dt, offset): update(flt, *row))
        if error is None:
            assert_sound(flt)
            assert step.skipped or np.isfinite(step.prediction)
        else:
            assert error.argument in ("u", "y", "weight", "dt", "offset")
            assert bits(flt) == before
    assert_sound(flt)


@pytest.mark.parametrize("law", LAWS)
@settings(max_examples=25)
@given(rows=st.lists(row(), min_size=1, max_size=40), dtype=st.sampled_from(["float64", "float32"]))
def test_many(impl, law, rows, dtype):
    """Rows that overflow inside a group that shares a pass: the others are as if it had not been there."""
    U, y, weight, dt, offset = (np.array(column, dtype=np.float64) for column in zip(*rows, strict=True))
    flt, twin = (impl.Filter(impl.Linear(D), LAWS[law](impl), dtype=dtype) for _ in range(2))
    flt.update_many(U, y, weight=weight, dt=dt, offset=offset, on_bad_row="skip")
    assert_sound(flt)
    errors = [attempt(lambda i=i: update(twin, U[i], y[i], weight[i], dt[i], offset[i]))[1] for i in range(len(rows))]
    refused = sum(error is not None for error in errors)
    assert flt.health()["skipped"] == refused
    assert bits(flt, "counters") == bits(twin, "counters")


@settings(max_examples=40)
@given(output=numbers, jacobian=st.lists(numbers, min_size=D, max_size=D), y=numbers, weight=sizes, dt=sizes)
def test_condition(impl, output, jacobian, y, weight, dt):
    flt = impl.Filter(impl.External(D, 1), impl.Gaussian(), rule=impl.Fading(0.1))
    flt.condition(1.0, 0.0, [1.0, 2.0])
    before = bits(flt)
    _, error = attempt(lambda: flt.condition(y, output, jacobian, weight=weight, dt=dt))
    if error is not None:
        assert error.argument in ("u", "y", "output", "jacobian", "weight", "dt")
        assert bits(flt) == before
    assert_sound(flt)


@settings(max_examples=40)
@given(U=st.lists(st.lists(numbers, min_size=D, max_size=D), min_size=1, max_size=8), data=st.data())
def test_from_rows(impl, U, data):
    """Whatever the first rows are: a typed error, or a sound filter."""
    y = data.draw(st.lists(numbers, min_size=len(U), max_size=len(U)))
    for law in ("gaussian", "learned", "poisson"):
        flt, error = attempt(lambda law=law: impl.Filter.from_rows(U, y, impl.Linear(D), LAWS[law](impl)))
        if error is None:
            assert_sound(flt)


@settings(max_examples=40)
@given(U=st.lists(st.lists(numbers, min_size=D, max_size=D), max_size=5), offset=numbers)
def test_reading(impl, U, offset):
    """predict answers or names its argument, and changes nothing."""
    flt = impl.Filter(impl.Linear(D), impl.Poisson())
    flt.update_many(np.eye(D), [1.0, 2.0])
    before = bits(flt)
    _, error = attempt(lambda: flt.predict(np.reshape(U, (len(U), D)), return_std=True, offset=offset))
    assert error is None or error.argument in ("U", "offset")
    assert bits(flt) == before
