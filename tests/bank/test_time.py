"""Time stamps: what time passes for each key, half-lives with a unit, and time that goes backwards."""

from __future__ import annotations

import datetime

import numpy as np
import pytest
from bank.banks import bits, bits_of, make, refused, stream

START = np.datetime64("2024-03-01T00:00", "ns")


def stamps(n, seed=0):
    """(n,) non-decreasing, some equal, with nanoseconds."""
    gaps = np.random.default_rng(seed).integers(0, 10**15, n)
    gaps[::5] = 0
    return START + np.cumsum(gaps).astype("m8[ns]")


def differences(keys, times):
    """dt of each row: since the key's row before it, 0 for its first."""
    last, dt = {}, []
    for key, time in zip(keys.tolist(), times.tolist(), strict=True):
        dt.append((time - last.get(key, time)) / (1e9 if isinstance(time, int) else 1))
        last[key] = time
    return np.array(dt)


@pytest.mark.parametrize("pieces", [1, 4, 80])
@pytest.mark.parametrize("kind", ["dates", "numbers"])
def test_time_is_the_time_since_the_key_was_seen_last(impl, kind, pieces):
    keys, X, y = stream(80)
    times = stamps(80) if kind == "dates" else np.cumsum(np.random.default_rng(1).exponential(size=80))
    rule = impl.Fading(half_life=7 * 86400.0 if kind == "dates" else 5.0)
    bank, twin = make(impl, rule=rule), make(impl, rule=rule)
    predictions = []
    for part in np.array_split(np.arange(80), pieces):
        predictions.append(bank.update(keys[part], X[part], y[part], time=times[part]).prediction)
    raw = times.astype(np.int64) if kind == "dates" else times
    trace = twin.update(keys, X, y, dt=differences(keys, raw))
    assert np.array_equal(np.concatenate(predictions), trace.prediction)
    assert bits(bank) == bits(twin)


def test_a_half_life_with_a_unit(impl):
    keys, X, y = stream(80)
    week, seconds = make(impl, rule=impl.Fading(half_life="7d")), make(impl, rule=impl.Fading(half_life=7 * 86400.0))
    for bank in (week, seconds):
        bank.update(keys, X, y, time=stamps(80))
    assert bits(week) == bits(seconds)
    with refused(impl.ParameterError, "time", week):
        week.update(keys, X, y)
    with refused(impl.ParameterError, "dt", week):
        week.update_panel(X[: len(week)], y[: len(week)])
    week.update(keys, X, y, dt=3600.0)
    assert week[int(keys[0])].settings.rule == impl.Fading(half_life="7d")


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("1.5min", 90), ("2h", 7200), ("7d", 604800), ("2w", 1209600), (" 1e3 s ", 1000)]
)
def test_units(impl, text, seconds):
    rule, plain = impl.Fading(half_life=text), impl.Fading(half_life=float(seconds))
    assert rule.log_decay(1000.0) == plain.log_decay(1000.0)
    assert eval(repr(rule), vars(impl)) == rule
    assert rule != plain
    assert impl.Fading(half_life=text.strip()) == rule


@pytest.mark.parametrize("text", ["7", "d", "0d", "-1d", "1y", "7 days", "nand", "infs", "", "1_0s", "1e400s", "7D"])
def test_what_is_no_half_life(impl, text):
    with refused(impl.ParameterError, "half_life"):
        impl.Fading(half_life=text)


def test_a_filter_with_such_a_half_life(impl):
    flt, plain = (
        impl.Filter(impl.Linear(2), impl.Gaussian(None), rule=impl.Fading(half_life=h)) for h in ("1min", 60.0)
    )
    for call in (
        lambda: flt.update([1.0, 2.0], 3.0),
        lambda: flt.update_many([[1.0, 2.0]], [3.0]),
        lambda: flt.condition(3.0, [0.0], np.ones((1, 3))),
    ):
        with refused(impl.ParameterError, "dt"):
            call()
    assert flt.n_updates == 0
    for one in (flt, plain):
        one.update([1.0, 2.0], 3.0, dt=1.0)
        one.update_many([[1.0, 2.0], [3.0, 1.0]], [3.0, 1.0], dt=[30.0, 1e4])
        one.condition(3.0, [0.0], np.ones((1, 3)), dt=1)
    assert bits_of(flt) == bits_of(plain)
    assert bits_of(type(flt)._from_bytes(flt._to_bytes())) == bits_of(flt)
    with refused(impl.UnsupportedError, "rule"):
        impl.StateFilter(2, 1, impl.Gaussian(1.0), rule=impl.Fading(half_life="1min"))


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_units_of_dates(impl, unit):
    keys, X, y = stream(40)
    times = stamps(40).astype("M8[s]")
    bank, twin = make(impl, rule=impl.Fading(half_life="1d")), make(impl, rule=impl.Fading(half_life="1d"))
    bank.update(keys, X, y, time=times.astype(f"M8[{unit}]"))
    twin.update(keys, X, y, time=[t.replace(tzinfo=None) for t in times.astype(datetime.datetime)])
    assert bits(bank) == bits(twin)


def test_nanoseconds_are_not_lost_between_updates(impl):
    """In float64 seconds since 1970 come in steps of 238 ns."""
    bank = make(impl, rule=impl.Fading(half_life=1e-7))
    times = START + np.array([0, 100], dtype="m8[ns]")
    for time in times:
        bank.update(["a"], np.ones((1, 3)), np.ones(1), time=[time])
    twin = make(impl, rule=impl.Fading(half_life=1e-7))
    twin.update(["a", "a"], np.ones((2, 3)), np.ones(2), dt=[0.0, 1e-7])
    assert bits(bank) == bits(twin)


@pytest.mark.parametrize("at", [0, 5, 79])
@pytest.mark.parametrize("kind", ["dates", "numbers"])
def test_time_does_not_go_backwards(impl, kind, at):
    keys, X, y = stream(80)
    times = stamps(80) if kind == "dates" else np.arange(80.0)
    bank, twin = make(impl), make(impl)
    for one in (bank, twin):
        one.update(keys, X, y, time=times)
    later = times + (times[-1] - times[0])
    later[at] = times[0]
    with pytest.raises(impl.ParameterError) as caught:
        bank.update(keys, X, y, time=later)
    error = caught.value
    assert (error.argument, error.row, len(error.trace)) == ("time", at, at)
    twin.update(keys[:at], X[:at], y[:at], time=later[:at])
    assert bits(bank) == bits(twin)
    trace = bank.update(keys[at:], X[at:], y[at:], time=later[at:], on_bad_row="skip")
    assert trace.skipped[0]
    twin.update(keys[at + 1 :], X[at + 1 :], y[at + 1 :], time=later[at + 1 :])
    for key in twin:
        assert bank[key]._state()["theta"].tobytes() == twin[key]._state()["theta"].tobytes()
    assert bank.health()["skipped"] == 1


def test_each_key_has_a_time_of_its_own(impl):
    bank = make(impl)
    bank.update(["a", "b", "a"], np.ones((3, 3)), np.ones(3), time=[10.0, 5.0, 10.0])
    bank.update(["b"], np.ones((1, 3)), np.ones(1), time=[6.0])
    with refused(impl.ParameterError, "time", bank, row=0) as caught:
        bank.update(["a"], np.ones((1, 3)), np.ones(1), time=[6.0])
    assert "10.0" in str(caught.value)


def test_rows_without_time_and_keys_that_come_again_have_no_last_time(impl):
    rule = impl.Fading(0.1)
    bank, twin = make(impl, rule=rule), make(impl, rule=rule)
    row = np.ones((1, 3)), np.ones(1)
    bank.update(["a"], *row, time=[100.0])
    bank.update(["a"], *row)
    bank.update(["a"], *row, time=[50.0])  # dt 0
    for dt in (0.0, 1.0, 0.0):
        twin.update(["a"], *row, dt=dt)
    assert bits(bank) == bits(twin)
    bank.drop(["a"])
    bank.update(["b", "a"], np.ones((2, 3)), np.ones(2), time=[1.0, 2.0])
    twin.drop(["a"])
    twin.update(["b", "a"], np.ones((2, 3)), np.ones(2), dt=0.0)
    assert bits(bank) == bits(twin)


def test_a_skipped_row_is_no_time_either(impl):
    rule, ones = impl.Fading(0.1), np.ones((4, 3))
    bank, twin = make(impl, rule=rule), make(impl, rule=rule)
    X = ones.copy()
    X[1], X[2] = np.nan, 1e200  # refused by the border, and by the step
    bank.update(["a"] * 4, X, np.ones(4), time=[1.0, 5.0, 6.0, 8.0], on_bad_row="skip")
    twin.update(["a"] * 2, ones[:2], np.ones(2), dt=[0.0, 7.0])
    assert bank["a"]._state()["theta"].tobytes() == twin["a"]._state()["theta"].tobytes()
    assert bank.health()["skipped"] == 2


@pytest.mark.parametrize(
    ("time", "kind", "row"),
    [
        ([1.0, np.nan, 2.0], "NonFiniteError", 1),
        ([1.0, np.inf, 2.0], "NonFiniteError", 1),
        (np.array(["2024-01-01", "NaT", "2024-01-02"], dtype="M8[s]"), "NonFiniteError", 1),
        (np.array(["2024-01-01", "2500-01-01", "2024-01-02"], dtype="M8[s]"), "ParameterError", 1),
        (["2024-01-01"] * 3, "DtypeError", None),
        ([True, True, True], "DtypeError", None),
        ([...] * 3, "DtypeError", None),
        (np.ones((3, 1)), "ShapeError", None),
        (1.0, "ShapeError", None),
    ],
    ids=repr,
)
def test_what_is_no_time(impl, time, kind, row):
    bank = make(impl)
    with pytest.raises(impl.KfngError) as caught:
        bank.update(["a", "b", "c"], np.ones((3, 3)), np.ones(3), time=time)
    assert (type(caught.value).__name__, caught.value.argument, caught.value.row) == (kind, "time", row)
    assert len(bank) == (1 if kind == "NonFiniteError" else 0)


def test_times_of_two_kinds(impl):
    bank = make(impl)
    bank.update(["a"], np.ones((1, 3)), np.ones(1), time=[START])
    with refused(impl.ParameterError, "time", bank):
        bank.update(["a"], np.ones((1, 3)), np.ones(1), time=[1.0])
    with refused(impl.ParameterError, "time", bank):
        bank.update(["a"], np.ones((1, 3)), np.ones(1), time=[START], dt=1.0)


def test_a_century_between_two_rows(impl):
    bank = make(impl, rule=impl.Fading(half_life="1w"))
    times = np.array(["1680-01-01", "2260-01-01"], dtype="M8[s]")
    bank.update(["a", "a"], np.ones((2, 3)), np.ones(2), time=times)
    assert bank["a"]._state()["clock"][0] == pytest.approx((times[1] - times[0]).astype(float), rel=1e-15)


def test_a_rule_that_counts_rows_takes_times_one_apart(impl):
    bank = impl.Bank(impl.Linear(1), impl.Gaussian(1.0), rule=impl.NaturalGradient(0.1))
    bank.update(["a", "b", "a"], np.ones((3, 1)), np.ones(3), time=[1.0, 1.5, 2.0])
    with refused(impl.ParameterError, "time", bank, row=0):
        bank.update(["a"], np.ones((1, 1)), np.ones(1), time=[4.5])


def test_times_are_kept(impl, tmp_path):
    import pickle

    keys, X, y = stream(60)
    times = stamps(60)
    whole = make(impl, rule=impl.Fading(half_life="1d"))
    whole.update(keys, X, y, time=times)
    half = make(impl, rule=impl.Fading(half_life="1d"))
    half.update(keys[:30], X[:30], y[:30], time=times[:30])
    half.update(["no time"], X[:1], y[:1], dt=1.0)
    half.save(tmp_path / "bank.kfng")
    absorbed = make(impl, rule=impl.Fading(half_life="1d"))
    absorbed.absorb(half)
    for twin in (
        pickle.loads(pickle.dumps(half)),
        half.copy(),
        impl.load(tmp_path / "bank.kfng"),
        half.export(half.keys()),
        absorbed,
    ):
        twin.update(keys[30:], X[30:], y[30:], time=times[30:])
        twin.drop(["no time"])
        assert bits(twin) == bits(whole)
