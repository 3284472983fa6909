"""What comes in from outside: keys of every kind, bad rows, wrong shapes; refusals that leave the bank as it was."""

from __future__ import annotations

import importlib
import importlib.util

import numpy as np
import pytest
from bank.banks import bits, fed, make, refused, stream

NAN, INF = np.nan, np.inf


class Series:
    """A column of another library: all that is known of it is its `__array__`."""

    def __init__(self, values, dtype=None):
        self._array = np.array(values, dtype=dtype)

    def __array__(self, dtype=None, copy=None):
        return self._array if dtype is None else self._array.astype(dtype)


COLUMNS = {
    "list of ints": [3, 1, 3, -2],
    "tuple": (3, 1, 3, -2),
    "int64": np.array([3, 1, 3, -2]),
    "int8": np.array([3, 1, 3, -2], dtype=np.int8),
    "big endian": np.array([3, 1, 3, -2], dtype=">i4"),
    "strided": np.array([3, 0, 1, 0, 3, 0, -2, 0])[::2],
    "unaligned": np.frombuffer(b"?" + np.array([3, 1, 3, -2]).tobytes(), np.int64, offset=1),
    "objects": np.array([3, 1, 3, -2], dtype=object),
    "numpy ints in a list": [np.int32(3), 1, np.int64(3), np.int16(-2)],
    "a column": Series([3, 1, 3, -2]),
    "an object column": Series([3, 1, 3, -2], dtype=object),
}
TEXTS = {
    "list of strings": ["b", "é", "b", ""],
    "U": np.array(["b", "é", "b", ""]),
    "unaligned U": np.frombuffer(b"?" + np.array(["b", "é", "b", ""]).tobytes(), "<U1", offset=1),
    "strided U": np.array(["b", "?", "é", "?", "b", "?", "", "?"])[::2],
    "objects": np.array(["b", "é", "b", ""], dtype=object),
    "numpy strings": [np.str_("b"), "é", np.str_("b"), ""],
    "a column": Series(["b", "é", "b", ""]),
    "an object column": Series(["b", "é", "b", ""], dtype=object),
}


@pytest.mark.parametrize("kind", COLUMNS)
def test_columns_of_whole_numbers(impl, kind):
    bank, twin = make(impl), make(impl)
    _, X, y = stream(4)
    bank.update(COLUMNS[kind], X, y)
    twin.update([3, 1, 3, -2], X, y)
    assert bank.keys() == [3, 1, -2]
    assert all(type(key) is int for key in bank)
    assert bits(bank) == bits(twin)
    assert (bank.theta(COLUMNS[kind]) == twin.theta([3, 1, 3, -2])).all()


@pytest.mark.parametrize("kind", TEXTS)
def test_columns_of_strings(impl, kind):
    bank, twin = make(impl), make(impl)
    _, X, y = stream(4)
    bank.update(TEXTS[kind], X, y)
    twin.update(["b", "é", "b", ""], X, y)
    assert bank.keys() == ["b", "é", ""]
    assert all(type(key) is str for key in bank)
    assert bits(bank) == bits(twin)
    assert bank.n_updates(TEXTS[kind]).tolist() == [2, 1, 2, 1]


def test_columns_of_the_libraries_themselves(impl):
    """Of those that are installed; the stand-in above is what holds everywhere."""
    found = [name for name in ("pandas", "polars", "pyarrow") if importlib.util.find_spec(name)]
    _, X, y = stream(3)
    for name in ("numpy", *found):
        module = importlib.import_module(name)
        column = module.Series if hasattr(module, "Series") else module.array
        for keys in ([5, 6, 5], ["a", "b", "a"]):
            bank = make(impl)
            bank.update(column(keys), X, y)
            assert bank.keys() == keys[:2]
            assert bank.n_updates(column(keys)).tolist() == [2, 1, 2]


def test_1_and_its_text_are_two_keys(impl):
    bank = make(impl)
    bank.update([1, "1", 1], *stream(3)[1:])
    assert bank.keys() == [1, "1"]
    assert bank.n_updates([1, "1"]).tolist() == [2, 1]
    assert (1 in bank, "1" in bank, 2 in bank, "2" in bank) == (True, True, False, False)
    assert bank[1].n_updates == 2
    assert list(bank) == [1, "1"]
    texts = np.array(["1", "01"])
    assert np.array_equal(bank.predict(texts, np.ones((2, 3)))[:1], bank["1"].predict(np.ones((1, 3))))


@pytest.mark.parametrize(
    ("keys", "row"),
    [
        ([1, None, 2], 1),
        (["a", NAN, "b"], 1),
        ([1, 2, True], 2),
        ([np.True_, 2, 3], 0),
        ([1, 2.0, 3], 1),
        ([1, b"a", "a"], 1),
        ([1, (2,), 3], 1),
        (np.array([1, None, 2], dtype=object), 1),
        (np.array([1.0, 2.0, NAN]), None),
        (np.array([True, False, True]), None),
        (np.array([b"a", b"b", b"c"]), None),
        (np.array(["2024-01-01"] * 3, dtype="M8[D]"), None),
        (np.array([1 + 2j] * 3), None),
        ("abc", None),
        (b"abc", None),
        (7, None),
        (None, None),
        ({1: 2}, None),
        pytest.param(iter([1, 2, 3]), None, id="iterator"),
    ],
    ids=repr,
)
def test_what_is_no_key(impl, keys, row):
    bank = fed(impl)
    with refused(impl.DtypeError, "keys", bank, row):
        bank.update(keys, *stream(3)[1:])
    with refused(impl.DtypeError, "keys", bank, row):
        bank.theta(keys)


@pytest.mark.parametrize(
    ("keys", "row"),
    [([1, 2**63, 3], 1), (np.array([1, 2**63], dtype=np.uint64), 1), ([-(2**63) - 1], 0), (["a", "\ud800"], 1),
     (np.array(["a", "\udfff"]), 1)],
)  # fmt: skip
def test_keys_out_of_range(impl, keys, row):
    bank = fed(impl)
    with refused(impl.ParameterError, "keys", bank, row):
        bank.update(keys, *stream(len(keys))[1:])


def test_the_ends_of_the_range(impl):
    bank, ends = make(impl), [2**63 - 1, -(2**63), 0, -1]
    bank.update(ends, *stream(4)[1:])
    assert bank.keys() == ends
    assert np.array_equal(bank.theta(np.array(ends[:2])), bank.theta(ends[:2]))


def test_shapes(impl):
    bank = fed(impl)
    keys, X, y = stream(6)
    for arguments, name in (
        ((keys[:5], X, y), "keys"),
        ((keys.reshape(2, 3), X, y), "keys"),
        ((keys, X[:, :2], y), "X"),
        ((keys, X[0], y), "X"),
        ((keys, X, y[:5]), "y"),
        ((keys, X, y[:, None] * [1.0, 2.0]), "y"),
    ):
        with refused(impl.ShapeError, name, bank):
            bank.update(*arguments)
    for name in ("weight", "dt", "offset", "time"):
        with refused(impl.ShapeError, name, bank):
            bank.update(keys, X, y, **{name: np.ones(5)})
    with refused(impl.DtypeError, "X", bank):
        bank.update(keys, X.astype(str), y)
    with refused(impl.DtypeError, "X", bank):
        bank.update(keys, [{"a": 1.0}] * 6, y)
    with refused(impl.ShapeError, "keys", bank):
        bank.predict(keys[:5], X)
    with refused(impl.UnknownNameError, "on_bad_row", bank):
        bank.update(keys, X, y, on_bad_row="ignore")
    with refused(impl.ParameterError, "trace", bank):
        bank.update(keys, X, y, trace=1)


def test_no_rows(impl):
    bank = fed(impl)
    before = bits(bank)
    for keys in ([], np.zeros(0, dtype=int), np.zeros(0, dtype="U3"), np.zeros(0)):
        trace = bank.update(keys, np.zeros((0, 3)), np.zeros(0))
        assert trace.prediction.shape == trace.std.shape == (0,)
        assert bank.predict(keys, np.zeros((0, 3))).shape == (0,)
        assert bank.theta(keys).shape == bank.std(keys).shape == (0, 4)
        assert bank.n_updates(keys).shape == (0,)
    assert bits(bank) == before
    empty = make(impl)
    assert len(empty) == len(empty.update_panel(np.zeros((0, 3)), np.zeros(0))) == 0
    assert empty.keys() == empty.export([]).keys() == []
    assert empty.health()["n_seen"] == 0
    assert empty.theta([]).shape == (0, 4)


BAD = {
    "u nan": ({"X": NAN}, "X", "NonFiniteError"),
    "u inf": ({"X": INF}, "X", "NonFiniteError"),
    "y inf": ({"y": INF}, "y", "NonFiniteError"),
    "weight": ({"weight": -1.0}, "weight", "ParameterError"),
    "dt": ({"dt": -1.0}, "dt", "ParameterError"),
    "dt nan": ({"dt": NAN}, "dt", "NonFiniteError"),
    "offset": ({"offset": NAN}, "offset", "NonFiniteError"),
    "overflow": ({"X": 1e200}, "X", "NonFiniteError"),
}


def spoiled(what, at, n=60):
    """keys, X, y and the other columns with row `at` bad."""
    keys, X, y = stream(n)
    columns = {"X": X, "y": y, "weight": np.ones(n), "dt": np.ones(n), "offset": np.zeros(n)}
    for name, value in BAD[what][0].items():
        columns[name][at] = value
    return keys, columns.pop("X"), columns.pop("y"), columns


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("at", [0, 31, 59])
@pytest.mark.parametrize("what", BAD)
def test_a_bad_row_leaves_what_was_before_it(impl, what, at, threads):
    keys, X, y, columns = spoiled(what, at)
    bank, twin = make(impl, num_threads=threads), make(impl)
    with pytest.raises(impl.KfngError) as caught:
        bank.update(keys, X, y, **columns)
    error = caught.value
    assert (type(error).__name__, error.argument, error.row) == (BAD[what][2], BAD[what][1], at)
    expected = twin.update(keys[:at], X[:at], y[:at])
    for name in ("prediction", "std", "nll", "skipped"):
        np.testing.assert_array_equal(getattr(error.trace, name), getattr(expected, name))
    assert bits(bank) == bits(twin)
    assert bank.keys() == twin.keys(), "a key of a row that was not applied"
    with pytest.raises(impl.KfngError) as caught:
        bank.update(keys, X, y, trace=False, **columns)
    assert caught.value.trace is None


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("what", BAD)
def test_skip_is_the_stream_without_those_rows(impl, what, threads):
    keys, X, y, columns = spoiled(what, 31)
    keys = np.where(np.arange(60) == 31, 99, keys)  # of a key that has no other row
    for bad in ({31}, {31, 40}):
        if len(bad) > 1:
            X[40] = NAN  # of a known key
        bank, twin = make(impl, num_threads=threads), make(impl)
        trace = bank.update(keys, X, y, on_bad_row="skip", **columns)
        good = np.array([i not in bad for i in range(60)])
        other = twin.update(keys[good], X[good], y[good])
        assert bank.keys() == twin.keys()
        assert bank.health()["skipped"] == len(bad) - 1
        for key in twin:
            mine, theirs = bank[key]._state(), twin[key]._state()
            assert all(mine[name].tobytes() == theirs[name].tobytes() for name in mine if name != "counters")
        np.testing.assert_array_equal(trace.prediction[good], other.prediction)
        np.testing.assert_array_equal(trace.std[good], other.std)
        assert trace.skipped[~good].all()
        assert np.isnan(trace.prediction[~good]).all()


def test_skipped_rows_count_the_same_however_rows_are_cut(impl):
    keys, X, y = stream(60)
    X[::4] = NAN
    counts = []
    for pieces in (1, 2, 60):
        bank = make(impl)
        for part in np.array_split(np.arange(60), pieces):
            bank.update(keys[part], X[part], y[part], on_bad_row="skip")
        counts.append((bank.health()["skipped"], bits(bank)))
    assert counts[0][0] > 5
    assert counts[0] == counts[1] == counts[2]


def test_missing_y_and_bad_inputs_of_rows_that_teach_nothing(impl):
    bank = make(impl)
    X = np.ones((3, 3))
    X[1:] = NAN
    trace = bank.update(["a", "a", "b"], X, [1.0, NAN, NAN])
    assert trace.skipped.tolist() == [False, True, True]
    assert bank.keys() == ["a", "b"]
    assert bank.health()["missing"] == 2


def test_many_equal_keys_in_a_batch(impl):
    bank = make(impl)
    _, X, y = stream(200)
    bank.update(["only"] * 200, X, y)
    flt = impl.Filter(impl.Linear(3), impl.Gaussian(variance=None))
    flt.update_many(X, y)
    assert bank.n_updates(["only"]).tolist() == [200]
    assert (bank.theta(["only"])[0] == flt.theta).all()


def test_an_unseen_key_is_predicted_from_the_prior(impl):
    bank = fed(impl, belief=impl.Full(4.0), theta=[1.0, 2.0, 3.0, 4.0])
    X = np.eye(3)
    mean, std = bank.predict(["new", 77, "newer"], X, return_std=True)
    flt = impl.Filter(impl.Linear(3), impl.Gaussian(variance=None), belief=impl.Full(4.0), theta=[1.0, 2.0, 3.0, 4.0])
    expected = flt.predict(X, return_std=True)
    assert np.array_equal(mean, expected[0])
    assert np.array_equal(std, expected[1])
    assert "new" not in bank
    assert bank.predict(["new"], X[:1], offset=2.0) == mean[:1] + 2.0
    with refused(impl.NonFiniteError, "X", bank, row=2):
        bank.predict([0, 1, 2], [[0, 0, 0], [1, 1, 1], [0, NAN, 0]])


def test_unknown_keys(impl):
    bank = fed(impl)
    for call in (bank.theta, bank.std, bank.n_updates, bank.drop, bank.export):
        with refused(impl.UnknownKeyError, "keys", bank, row=2) as caught:
            call([0, 1, "zz"])
        assert isinstance(caught.value, KeyError | impl.UnknownNameError)
    with pytest.raises(KeyError):
        bank["zz"]
    for key in (None, 1.0, True, b"a", [1], NAN):
        assert key not in bank
        with pytest.raises(impl.DtypeError):
            bank[key]
    for call in (bank.export, lambda keys: bank.update_panel(np.ones((3, 3)), np.ones(3), keys=keys)):
        with refused(impl.ParameterError, "keys", bank, row=2):
            call([0, 1, 0])


def test_dropping_keeps_the_order_of_the_others(impl):
    bank = make(impl)
    bank.update(list("abcdef"), *stream(6)[1:])
    bank.drop(["b", "e"])
    bank.update(["x", "b"], *stream(2)[1:])
    assert bank.keys() == ["a", "c", "d", "f", "x", "b"]
    assert bank.n_updates(["b"]).tolist() == [1]
    bank.drop(["a", "a"])
    assert len(bank) == 5


def test_a_filter_of_a_bank_is_independent(impl):
    bank = fed(impl)
    before = bits(bank)
    bank[1].update_many(*stream(20)[1:])
    assert bits(bank) == before
    assert type(bank[1]) is impl.Filter


@pytest.mark.parametrize(
    ("wrong", "argument"),
    [
        (lambda impl: impl.Bank(impl.RNN(2, 3, 1), impl.Gaussian(1.0)), "model"),
        (lambda impl: impl.Bank(impl.External(3, 1), impl.Gaussian(1.0)), "model"),
        (
            lambda impl: impl.Bank(impl.Linear(2), impl.Gaussian(1.0), rule=impl.NaturalGradient(lambda t: 0.1)),
            "learning_rate",
        ),
    ],
)
def test_what_a_bank_is_not_for(impl, wrong, argument):
    with refused(impl.UnsupportedError, argument):
        wrong(impl)


def test_settings_are_checked_as_those_of_a_filter(impl):
    for options, argument in (
        ({"dtype": "float16"}, "dtype"),
        ({"theta": [1.0]}, "theta"),
        ({"max_keys": 0}, "max_keys"),
        ({"max_keys": True}, "max_keys"),
        ({"evict_to": "keys.sqlite"}, "evict_to"),
        ({"max_keys": 3, "evict_to": 3}, "evict_to"),
        ({"num_threads": 0}, "num_threads"),
        ({"seed": -1}, "seed"),
    ):
        with pytest.raises(impl.KfngError) as caught:
            make(impl, **options)
        assert caught.value.argument == argument
    with pytest.raises(TypeError):
        make(impl, evidence=True)


def test_absorb_refuses_what_does_not_fit(impl):
    bank = fed(impl)
    others = {
        "family": impl.Bank(impl.Linear(3), impl.Gaussian(variance=1.0)),
        "rule": make(impl, rule=impl.Fading(0.1)),
        "belief": make(impl, belief=impl.Full(2.0)),
        "dtype": make(impl, dtype="float32"),
        "theta": make(impl, theta=[0.0, 0.0, 0.0, 1.0]),
    }
    for argument, other in others.items():
        with refused(impl.UnsupportedError, argument, bank):
            bank.absorb(other)
    for other in (3, None, bank["1" if "1" in bank else 1]):
        with refused(impl.ParameterError, "other", bank):
            bank.absorb(other)
    with refused(impl.ParameterError, "other", bank):
        bank.absorb(bank)


def test_moving_keys_between_banks(impl):
    """Re-sharding: what is moved goes on bit for bit as if it had stayed."""
    keys, X, y = stream(300, keys=20)
    whole, first, second = make(impl), make(impl), make(impl)
    whole.update(keys, X, y)
    first.update(keys[:150], X[:150], y[:150])
    moved = [key for key in first if key % 2]
    second.absorb(first.export(moved))
    first.drop(moved)
    odd = keys[150:] % 2 == 1
    second.update(keys[150:][odd], X[150:][odd], y[150:][odd])
    first.update(keys[150:][~odd], X[150:][~odd], y[150:][~odd])
    first.absorb(second)
    assert dict(sorted(bits(first).items())) == dict(sorted(bits(whole).items()))


def test_vectors_and_labels(impl):
    """Several outputs."""
    rng = np.random.default_rng(0)
    bank = impl.Bank(impl.Linear(2, 2), impl.Gaussian(covariance=[[1.0, 0.3], [0.3, 0.5]]))
    Y = rng.normal(size=(40, 2))
    Y[5, 1] = NAN
    trace = bank.update(rng.integers(0, 4, 40), rng.normal(size=(40, 2)), Y, offset=rng.normal(size=(40, 2)))
    assert trace.prediction.shape == (40, 2)
    mean, std = bank.predict([0, 9], np.ones((2, 2)), return_std=True)
    assert mean.shape == std.shape == (2, 2)
    assert bank.theta([0]).shape == (1, 6)


def test_rules_without_a_posterior(impl):
    bank = impl.Bank(impl.Linear(2), impl.Gaussian(variance=1.0), rule=impl.SGD(0.1))
    bank.update([1, 2, 1], np.ones((3, 2)), np.ones(3))
    with refused(impl.UnsupportedError, "std"):
        bank.std([1])
    with refused(impl.UnsupportedError, "return_std"):
        bank.predict([1], np.ones((1, 2)), return_std=True)
    with refused(impl.UnsupportedError, "share_prior"):
        bank.share_prior()
    assert np.isnan(bank.health()["min_pivot_ratio"])


def test_its_repr_can_be_pasted_back(impl):
    bank = make(impl, rule=impl.Fading(half_life="7d"), max_keys=7, dtype="float32")
    assert (
        repr(bank)
        == "Bank(Linear(n_features=3), Gaussian(variance=None), rule=Fading(half_life='7d'), dtype='float32', max_keys=7)"
    )
    twin = eval(repr(bank), vars(impl) | {"Bank": impl.Bank})
    assert repr(twin) == repr(bank)


def test_health_adds_up(impl):
    bank = fed(impl, rule=impl.Fading(0.3))
    each = [bank[key].health() for key in bank]
    found = bank.health()
    for name in ("n_seen", "n_updates", "missing", "skipped", "clipped", "clamped", "windup", "floored"):
        assert found[name] == sum(health[name] for health in each), name
    assert found["keys"] == len(each)
    assert found["rho_max"] == max(health["rho_max"] for health in each)
    assert found["min_pivot_ratio"] == pytest.approx(min(health["min_pivot_ratio"] for health in each), rel=1e-12)
    nis = np.average([health["mean_nis"] for health in each], weights=[health["n_updates"] for health in each])
    assert found["mean_nis"] == pytest.approx(nis, rel=1e-12)


def test_hostile_counts(impl):
    """Many keys of one row each; very many for one panel."""
    n = 20_000 if impl.__name__ == "kfng" else 1_000
    bank = make(impl)
    trace = bank.update(np.arange(n) * 7919, np.ones((n, 3)), np.ones(n))
    assert len(bank) == n
    assert len(set(trace.prediction.tolist())) == 1, "every key starts at the same prior"
    bank.update([f"key number {i} with a longer name" for i in range(n)], np.ones((n, 3)), np.ones(n))
    assert len(bank) == 2 * n
    bank.drop(bank.keys()[:n])
    assert bank.keys()[:2] == ["key number 0 with a longer name", "key number 1 with a longer name"]
    with refused(impl.ShapeError, "keys"):
        bank.update(np.broadcast_to(np.int64(1), 2**40), np.ones((1, 3)), np.ones(1))
