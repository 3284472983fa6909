"""`time=` of a mixture: each filter waits as it would alone, the evidence since the mixture's own last row."""

import datetime
import pickle

import numpy as np
import pytest
from mixture.mixtures import NAN, bits, same_trace

from kfng import errors

N = 90
"""More than the first piece of update_many."""


def mixed(impl, half_lives=(4.0, 40.0), seen=(), **options):
    """Of filters some of which have learned a row at a time of their own before."""
    filters = [impl.Filter(impl.Linear(2), impl.Gaussian(0.5), rule=impl.Fading(half_life=h)) for h in half_lives]
    for flt, time in zip(filters, seen, strict=False):
        if time is not None:
            flt.update([1.0, -1.0], 0.5, time=time)
    return impl.Mixture(filters, **{"forgetting": 0.02} | options)


def rows(dates=False, n=N):
    rng = np.random.default_rng(1)
    times = np.cumsum(rng.choice([0.0, 0.5, 1.0, 30.0], n))
    if dates:
        times = np.datetime64("2024-01-01", "ns") + (times * 3.6e12).astype("m8[ns]")
    return rng.normal(size=(n, 2)), rng.normal(size=n), times


HALF_LIVES = {False: (4.0, 40.0), True: ("1h", "2d")}


@pytest.mark.parametrize("dates", [False, True])
def test_a_loop_batches_and_what_the_filters_do_alone(impl, dates):
    """Control: without times."""
    U, y, times = rows(dates)
    many, one, cut = (mixed(impl, HALF_LIVES[dates]) for _ in range(3))
    alone = many.filters
    trace = many.update_many(U, y, time=times)
    steps = [one.update(u, v, time=t if i % 2 else t.item()) if not dates else one.update(u, v, time=t)
             for i, (u, v, t) in enumerate(zip(U, y, times, strict=True))]  # fmt: skip
    assert bits(one) == bits(many)
    for name in ("prediction", "std", "nll", "weights"):
        np.testing.assert_array_equal([getattr(step, name) for step in steps], getattr(trace, name))
    for a, b in ((0, 1), (1, 60), (60, 60), (60, 61), (61, N)):
        cut.update_many(U[a:b], y[a:b], time=times[a:b])
        cut = pickle.loads(pickle.dumps(cut)) if b == 60 else cut.copy()
    assert bits(cut) == bits(many)
    for flt, mine, own in zip(alone, many.filters, trace.traces, strict=True):
        wanted = flt.update_many(U, y, time=times)
        assert flt._to_bytes() == mine._to_bytes()
        np.testing.assert_array_equal(own.nll, wanted.nll)
    other = mixed(impl)
    other.update_many(U, y)
    assert np.abs(other.weights - many.weights).max() > 1e-3


def test_it_is_dt_between_the_rows(impl):
    U, y, times = rows()
    timed, waited = mixed(impl), mixed(impl)
    trace = timed.update_many(U, y, time=times)
    same_trace(trace, waited.update_many(U, y, dt=np.diff(times, prepend=times[0])))
    np.testing.assert_array_equal(timed.weights, waited.weights)


def test_filters_that_have_a_past(impl):
    """Each goes on from its own last row; a mixture of none has no past of its own."""
    U, y, times = rows()
    mixture = mixed(impl, seen=(-3.0, None))
    alone = mixture.filters
    assert [flt._when is None for flt in alone] == [False, True]
    mixture.update(U[0], y[0], time=times[0])
    mixture.update_many(U[1:], y[1:], time=times[1:])
    for flt, mine in zip(alone, mixture.filters, strict=True):
        flt.update_many(U, y, time=times)
        assert flt._to_bytes() == mine._to_bytes()


def test_times_that_cannot_be(impl):
    mixture = mixed(impl, seen=(5.0, 2.0))
    mixture.update([1.0, 2.0], 1.0, time=7.0)
    before = bits(mixture)
    wrong = [
        {"time": 6.0},
        {"time": NAN},
        {"time": "noon"},
        {"time": datetime.date(2024, 1, 1)},
        {"time": [8.0]},
        {"time": 8.0, "dt": 1.0},
        {"time": 8.0, "weight": -1.0},
    ]
    for options in wrong:
        with pytest.raises(errors.KfngError) as caught:
            mixture.update([1.0, 2.0], 1.0, **options)
        assert caught.value.argument == ("weight" if "weight" in options else "time")
        assert bits(mixture) == before
    with pytest.raises(errors.NonFiniteError):
        mixture.update([1.0, NAN], 1.0, time=9.0)
    for options in ({"time": [8.0]}, {"time": [8.0, 9.0], "dt": 1.0}, {"time": np.array(["a", "b"])}):
        with pytest.raises(errors.KfngError) as caught:
            mixture.update_many(np.ones((2, 2)), np.ones(2), **options)
        assert caught.value.argument == "time"
    assert bits(mixture) == before
    mixture.update([1.0, 2.0], 1.0, time=7.0)
    late = mixed(impl, seen=(5.0, None))
    with pytest.raises(errors.ParameterError):  # after the second's, before the first's
        late.update([1.0, 2.0], 1.0, time=4.0)


BACK, NONE, VALUE, BOTH = "back", "none", "value", "both"


@pytest.mark.parametrize("wrong", [BACK, NONE, VALUE, BOTH])
@pytest.mark.parametrize("at", [0, 63, 64, N - 1])
@pytest.mark.parametrize("skip", [False, True])
def test_a_row_that_is_refused_was_never_there(impl, skip, at, wrong):
    U, y, times = rows()
    U, times = U.copy(), times.copy()
    if wrong in (BACK, BOTH):
        times[at] = -50.0
    if wrong == NONE:
        times[at] = NAN
    if wrong in (VALUE, BOTH):
        U[at, 0] = NAN
    mixture, twin = mixed(impl, seen=(-10.0, None)), mixed(impl, seen=(-10.0, None))
    alone, keep = mixture.filters[0], np.delete(np.arange(N), at)
    if skip:
        trace = mixture.update_many(U, y, time=times, on_bad_row="skip")
        alone.update_many(U, y, time=times, on_bad_row="skip")
        assert trace.skipped[at]
        expected = twin.update_many(U[keep], y[keep], time=times[keep])
        for name in ("prediction", "nll", "weights"):
            np.testing.assert_array_equal(getattr(trace, name)[keep], getattr(expected, name))
        np.testing.assert_array_equal(mixture.weights, twin.weights)
    else:
        with pytest.raises(errors.KfngError) as caught:
            mixture.update_many(U, y, time=times)
        with pytest.raises(errors.KfngError) as own:
            alone.update_many(U, y, time=times)
        assert (type(caught.value), str(caught.value)) == (type(own.value), str(own.value))
        assert (caught.value.row, len(caught.value.trace)) == (at, at)
        twin.update_many(U[:at], y[:at], time=times[:at])
        assert bits(mixture) == bits(twin)
    assert alone._to_bytes() == mixture.filters[0]._to_bytes()


def test_sequences_with_times(impl):
    filters = [impl.Filter(impl.RNN(2, 2, 1), impl.Gaussian(), rule=impl.Fading(half_life=9)) for _ in range(2)]
    U, y, times = rows(n=40)
    times[25] = -1.0
    mixture, alone = impl.Mixture(filters), filters[0].copy()
    for learner in (mixture, alone):
        learner.update_many(U, y, time=times, lengths=[10, 15, 15], on_bad_row="skip")
    assert alone._to_bytes() == mixture.filters[0]._to_bytes()


def test_files_of_mixtures_without_times_are_as_they_were(impl):
    from kfng import checkpoint

    plain, timed = mixed(impl), mixed(impl)
    U, y, times = rows(n=5)
    plain.update_many(U, y)
    assert "times" not in checkpoint.decode(plain._to_bytes())[0]
    timed.update_many(U, y, time=times)
    header, arrays = checkpoint.decode(timed._to_bytes())
    assert header["times"] == [["number", times[-1]]] * 3
    for wrong in ([], [None] * 2, "now", [["number", 1]] * 3, [["day", 1.0]] * 3):
        with pytest.raises(errors.BadHeaderError):
            impl.Mixture._from_bytes(checkpoint.encode(header | {"times": wrong}, arrays))
