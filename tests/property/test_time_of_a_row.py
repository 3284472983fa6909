"""`update(time=)`: single rows say when they were, as rows of `update_many` do, to the same bits."""

import datetime

import numpy as np
import pytest

from kfng import errors

DATES = np.array(["2024-01-01", "2024-01-01T06:00", "2024-01-04", "2024-01-04", "2024-03-01"], dtype="M8[s]")
NUMBERS = np.array([3.0, 3.5, 10.0, 10.0, 11.25])


def made(impl, half_life=4.0, **more):
    return impl.Filter(impl.Linear(2), impl.Gaussian(0.5), rule=impl.Fading(half_life=half_life), **more)


@pytest.mark.parametrize(("times", "half_life"), [(NUMBERS, 4.0), (DATES, "7d")])
def test_a_loop_has_the_bits_of_one_call(impl, times, half_life):
    """Control: without times the rows are a unit apart."""
    rng = np.random.default_rng(0)
    U, y = rng.normal(size=(5, 2)), rng.normal(size=5)
    together, alone = made(impl, half_life), made(impl, half_life)
    trace = together.update_many(U, y, time=times)
    steps = [
        alone.update(u, v, time=t if i % 2 else t.item()) for i, (u, v, t) in enumerate(zip(U, y, times, strict=True))
    ]
    assert [step.prediction for step in steps] == trace.prediction.tolist()
    assert alone._to_bytes() == together._to_bytes()
    other = made(impl, 4.0)
    other.update_many(U, y)
    assert other.theta.tolist() != alone.theta.tolist()
    mixed = made(impl, half_life)
    mixed.update(U[0], y[0], time=times[0])
    mixed.update_many(U[1:4], y[1:4], time=times[1:4])
    mixed = type(mixed)._from_bytes(mixed._to_bytes())
    mixed.update(U[4], y[4], time=times[4])
    assert mixed._to_bytes() == together._to_bytes()


def test_a_time_that_cannot_be_leaves_all_as_it_was(impl):
    flt = made(impl)
    flt.update([1.0, 2.0], 1.0, time=5.0)
    before = flt._to_bytes()
    for wrong in (
        {"time": 4.0},
        {"time": np.nan},
        {"time": "noon"},
        {"time": datetime.date(2024, 1, 1)},
        {"time": [6.0]},
        {"time": 6.0, "dt": 1.0},
        {"time": 6.0, "dt": None},
        {"time": 6.0, "weight": -1.0},
    ):
        with pytest.raises(errors.KfngError) as caught:
            flt.update([1.0, 2.0], 1.0, **wrong)
        assert caught.value.argument == ("weight" if "weight" in wrong else "time")
    with pytest.raises(errors.KfngError):
        flt.update([1.0, np.nan], 1.0, time=7.0)
    assert flt._to_bytes() == before
    flt.update([1.0, 2.0], 1.0, time=5.0)
    flt.update([0, 1], 1, time=6)
    assert flt._when.value == 6.0


def test_rows_without_a_time_leave_the_moment(impl):
    flt = made(impl)
    flt.update([1.0, 2.0], 1.0, time=5.0)
    flt.update([1.0, 2.0], 1.0)
    flt.update([1.0, 2.0], 1.0, dt=3.0, time=None)
    assert flt._when.value == 5.0
