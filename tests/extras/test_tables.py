"""Tables of pandas, polars and pyarrow are what their arrays are, bit for bit; columns are found by name."""

import datetime

import narwhals
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from kfng import load as load_compiled
from kfng.errors import DtypeError, NonFiniteError, ParameterError, ShapeError, UnknownNameError

KINDS = ("pandas", "polars", "pyarrow")
N = 600


def table(kind, columns):
    if kind == "pandas":
        return pd.DataFrame(
            {name: pd.array(values) if isinstance(values, list) else values for name, values in columns.items()}
        )
    return pl.DataFrame(columns) if kind == "polars" else pa.table(columns)


def part(frame, start, stop):
    return narwhals.from_native(frame)[start:stop].to_native()


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def stream():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, 3)) * [1.0, 30.0, 0.1]
    return X, X @ [1.0, -0.1, 5.0] + rng.normal(size=N)


def columns(X, y, **more):
    return {"b": X[:, 1], "y": y, "a": X[:, 0], "id": np.arange(len(y)), "c": X[:, 2], **more}


def make(impl, **options):
    return impl.Filter(impl.Linear(3), impl.Gaussian(variance=None), feature_names=["a", "b", "c"], **options)


def same(one, other):
    first, second = one._state(), other._state()
    return one.settings.spec() == other.settings.spec() and all((first[k] == second[k]).all() for k in first | second)


# -- numbers


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_bits_of_an_array(impl, kind, dtype, stream):
    X, y = stream
    flt, twin = make(impl, dtype=dtype), make(impl, dtype=dtype)
    frame = table(kind, columns(X, y))
    trace, expected = flt.update_many(frame, target="y"), twin.update_many(X, y)
    assert same(flt, twin)
    for name in ("prediction", "std", "nll"):
        assert (getattr(trace, name) == getattr(expected, name)).all()
    for one, other in zip(flt.predict(frame, return_std=True), twin.predict(X, return_std=True), strict=True):
        assert one.dtype == other.dtype
        assert (one == other).all()
    head = part(frame, 0, 20)
    assert (flt.predict_quantiles(head, [0.1, 0.9]) == twin.predict_quantiles(X[:20], [0.1, 0.9])).all()
    assert flt.update_many(part(frame, 0, 0), target="y").prediction.shape == (0,)
    assert flt.update_many(frame, target="y", trace=False) is None


def test_the_order_of_columns_counts(impl, kind, stream):
    """The control: the same table by position is another model."""
    X, y = stream
    flt, other = make(impl), make(impl)
    flt.update_many(table(kind, columns(X, y)), target="y")
    other.update_many(X[:, [1, 0, 2]], y)
    assert np.abs(flt.theta - other.theta).max() > 0.1


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_narrow_columns_are_not_widened(impl, kind, dtype, stream):
    X, y = stream
    narrow = X.astype(np.float32)
    flt, twin = make(impl, dtype=dtype), make(impl, dtype=dtype)
    flt.update_many(table(kind, columns(narrow, y)), target="y")
    twin.update_many(narrow, y)
    assert same(flt, twin)


def test_whole_numbers_booleans_and_nulls(impl, kind):
    """A null y is missing, a null x is NaN: it raises, or its row is left out."""
    a, b = [1, 2, None, 4, 5, 6], [True, False, True, None, True, False]
    y = [1.0, 2.0, 3.0, None, 5.0, 1.5]
    frame = table(kind, {"a": a, "b": b, "y": y, "c": [0.5, 1.5, 2.5, None, 1.0, 0.0]})
    U = np.array(
        [
            [np.nan if v is None else float(v) for v in row]
            for row in zip(a, b, [0.5, 1.5, 2.5, None, 1.0, 0.0], strict=True)
        ]
    )
    Y = np.array([np.nan if v is None else v for v in y])
    flt, twin = make(impl), make(impl)
    trace, expected = (
        f.update_many(*rows, on_bad_row="skip", **more)
        for f, rows, more in ((flt, (frame,), {"target": "y"}), (twin, (U, Y), {}))
    )
    assert same(flt, twin)
    assert trace.skipped.tolist() == expected.skipped.tolist() == [False, False, True, True, False, False]
    assert flt.health()["missing"] == 1
    assert flt.health()["skipped"] == 1
    flt = make(impl)
    with pytest.raises(NonFiniteError, match="column 0 \\(a\\)") as caught:
        flt.update_many(frame, target="y")
    assert caught.value.row == 2
    assert len(caught.value.trace) == 2
    assert flt.n_updates == 2


def test_decimals_objects_and_empty_columns(impl):
    from decimal import Decimal

    flt, twin = make(impl), make(impl)
    frame = pd.DataFrame(
        {
            "a": pd.Series([1.5, 2, np.float32(3)], dtype=object),
            "b": [1, 2, 3],
            "c": [0.0, 1.0, 2.0],
            "y": [1.0, 2.0, 3.0],
        }
    )
    flt.update_many(frame, target="y")
    twin.update_many(np.array([[1.5, 1, 0], [2, 2, 1], [3, 3, 2]]), [1.0, 2.0, 3.0])
    assert same(flt, twin)
    flt.update_many(pl.DataFrame({"a": [Decimal("1.25")], "b": [1], "c": [2.0], "y": [1]}), target="y")
    twin.update_many([[1.25, 1, 2]], [1.0])
    assert same(flt, twin)
    nothing = pl.DataFrame({"a": [1.0], "b": [1], "c": [2.0], "y": [None]})
    assert flt.update_many(nothing, target="y").skipped.tolist() == [True]
    assert flt.update_many(nothing.to_arrow(), target="y").skipped.tolist() == [True]


def test_what_else_is_said_of_rows(impl, kind, stream):
    X, y = stream
    w, o = np.random.default_rng(1).uniform(0, 2, N), np.linspace(-1, 1, N)
    frame = table(kind, columns(X, y, w=w, off=o, wait=w))
    flt, twin = (make(impl, rule=impl.Fading(half_life=100)) for _ in range(2))
    flt.update_many(frame, target="y", weight="w", offset="off", dt="wait")
    twin.update_many(X, y, weight=w, offset=o, dt=w)
    assert same(flt, twin)
    assert (flt.predict(frame, offset="off") == twin.predict(X, offset=o)).all()
    flt.update_many(frame, y, weight=w)  # arrays beside a table
    twin.update_many(X, y, weight=w)
    assert same(flt, twin)
    with pytest.raises(UnknownNameError, match="no 'weights'"):
        flt.update_many(frame, target="y", weight="weights")


def test_several_targets(impl, kind, stream):
    X, y = stream
    flt, twin = (impl.Filter(impl.Linear(3, 2), impl.Gaussian(1.0), feature_names=["a", "b", "c"]) for _ in range(2))
    flt.update_many(table(kind, columns(X, y, z=-y)), target=["y", "z"])
    twin.update_many(X, np.column_stack([y, -y]))
    assert same(flt, twin)


# -- what is refused


def test_refused_before_any_row(impl, kind, stream):
    X, y = stream
    frame, flt = table(kind, columns(X, y)), make(impl)
    before = flt._to_bytes()
    few = table(kind, {"y": y, "b": X[:, 1]})
    for call in (lambda: flt.update_many(few, target="y"), lambda: flt.predict(few)):
        with pytest.raises(UnknownNameError, match="no 'a', 'c'") as caught:
            call()
        assert caught.value.argument == "U"
    with pytest.raises(UnknownNameError, match="no 'Y'") as caught:
        flt.update_many(frame, target="Y")
    assert caught.value.argument == "target"
    for both in ({}, {"Y": y, "target": "y"}):
        with pytest.raises(ParameterError, match="target"):
            flt.update_many(frame, **both)
    with pytest.raises(ParameterError, match="target"):
        flt.update_many(frame, target=3)
    with pytest.raises(ShapeError, match="Y"):
        flt.update_many(frame, y[:-1])
    words = table(kind, columns(X, y) | {"c": ["x"] * N})
    with pytest.raises(DtypeError, match="column 'c'"):
        flt.update_many(words, target="y")
    with pytest.raises(DtypeError, match="column 'y'"):
        flt.update_many(table(kind, columns(X, y) | {"y": ["x"] * N}), target="y")
    dates = np.arange(N).astype("M8[us]")
    with pytest.raises(DtypeError, match="column 'c'"):
        flt.update_many(table(kind, columns(X, y) | {"c": dates}), target="y")
    assert flt._to_bytes() == before


def test_a_filter_without_names_takes_arrays(impl, kind, stream):
    X, y = stream
    flt = impl.Filter(impl.Linear(3), impl.Gaussian(1.0))
    for call in (lambda f: flt.update_many(f, target="y"), flt.predict):
        with pytest.raises(DtypeError, match="feature_names"):
            call(table(kind, columns(X, y)))
    with pytest.raises(ParameterError, match="target"):
        flt.update_many(X, y, target="y")
    with pytest.raises(DtypeError, match="Y"):
        flt.update_many(X)


def test_a_lazy_frame_is_told_to_collect(impl, stream):
    with pytest.raises(DtypeError, match="collect"):
        make(impl).update_many(pl.DataFrame(columns(*stream)).lazy(), target="y")


def test_other_tables(impl, stream):
    """A record batch of Arrow; a subclass of a pandas frame; a table of narwhals."""

    class Own(pd.DataFrame):
        pass

    X, y = stream
    twin = make(impl)
    twin.update_many(X, y)
    for frame in (
        pa.RecordBatch.from_pydict(columns(X, y)),
        Own(columns(X, y)),
        narwhals.from_native(pl.DataFrame(columns(X, y))),
    ):
        flt = make(impl)
        flt.update_many(frame, target="y")
        assert same(flt, twin)


# -- from_rows


def test_from_rows_names_the_features(impl, kind, stream):
    X, y = stream
    frame = table(kind, {"b": X[:, 1], "y": y, "a": X[:, 0], "w": np.ones(N), "c": X[:, 2]})
    flt = impl.Filter.from_rows(
        part(frame, 0, 100), target="y", weight="w", model=impl.Linear, family=impl.Gaussian(variance=None)
    )
    twin = impl.Filter.from_rows(
        X[:100, [1, 0, 2]], y[:100], impl.Linear(3), impl.Gaussian(variance=None), feature_names=["b", "a", "c"]
    )
    assert flt.settings.feature_names == ("b", "a", "c")
    assert same(flt, twin)
    flt.update_many(part(frame, 100, N), target="y")
    twin.update_many(X[100:, [1, 0, 2]], y[100:])
    assert same(flt, twin)
    chosen = impl.Filter.from_rows(
        part(frame, 0, 100),
        target="y",
        model=lambda d: impl.Linear(d),
        family=impl.Gaussian(variance=None),
        feature_names=["c", "a"],
    )
    assert chosen.settings.feature_names == ("c", "a")
    with pytest.raises(UnknownNameError, match="no 'nope'"):
        impl.Filter.from_rows(
            frame, target="y", model=impl.Linear, family=impl.Gaussian(1.0), feature_names=["c", "nope"]
        )


def test_a_function_of_the_number_of_features_makes_the_model(impl, stream):
    X, y = stream
    one = impl.Filter.from_rows(X, y, impl.Linear, impl.Gaussian(variance=None))
    other = impl.Filter.from_rows(X, y, impl.Linear(3), impl.Gaussian(variance=None))
    assert same(one, other)


# -- categories


def as_category(kind, values, levels):
    if kind == "pandas":
        return pd.Categorical(values, categories=levels, ordered=False)
    return pl.Series(values, dtype=pl.Enum(levels)) if kind == "polars" else pa.array(values).dictionary_encode()


@pytest.fixture
def flights():
    rng = np.random.default_rng(2)
    carrier = rng.choice(["UA", "AA", "B6"], 400).tolist()
    x = rng.normal(size=400)
    y = 2 * x + np.array([{"UA": 1.0, "AA": -1.0, "B6": 4.0}[c] for c in carrier]) + 0.1 * rng.normal(size=400)
    return x, carrier, y


def indicators(x, carrier, levels):
    return np.column_stack([x] + [[float(c == level) for c in carrier] for level in levels])


@pytest.mark.parametrize("how", ["strings", "categories"])
def test_a_category_has_a_coefficient_for_each_level(impl, kind, how, flights, tmp_path):
    x, carrier, y = flights
    declared = ["UA", "B6", "AA"]
    levels = ["AA", "B6", "UA"] if how == "strings" or kind == "pyarrow" else declared
    values = np.array(carrier) if how == "strings" and kind != "pyarrow" else carrier
    frame = table(
        kind, {"x": x, "carrier": values if how == "strings" else as_category(kind, carrier, declared), "y": y}
    )
    flt = impl.Filter.from_rows(frame, target="y", model=impl.Linear, family=impl.Gaussian(variance=None))
    U = indicators(x, carrier, levels)
    names = ["x", *(f"carrier={level}" for level in levels)]
    assert flt.settings.feature_names == tuple(names)
    twin = impl.Filter.from_rows(
        U, y, impl.Linear(4), impl.Gaussian(variance=None), feature_names=names, categories=["carrier"]
    )
    assert same(flt, twin)
    assert (flt.predict(frame) == twin.predict(U)).all()
    effect = dict(zip(names, flt.parameters["weight"][0], strict=True))
    assert effect["carrier=B6"] - effect["carrier=AA"] == pytest.approx(5.0, abs=0.1)
    # one row by name
    flt.update({"x": 1.0, "carrier": "B6"}, 6.0)
    twin.update({"x": 1.0, "carrier=B6": 1.0, "carrier=AA": 0.0, "carrier=UA": 0.0}, 6.0)
    assert same(flt, twin)
    # the levels are in the file, for both implementations
    flt.save(tmp_path / "model.kfng")
    for load in (impl.load, load_compiled):
        loaded = load(tmp_path / "model.kfng")
        assert loaded.settings.categories == ("carrier",)
        assert np.allclose(loaded.predict(frame), flt.predict(frame), rtol=1e-12)
    assert same(impl.load(tmp_path / "model.kfng"), flt)
    assert eval(repr(flt), vars(impl)).settings.categories == ("carrier",)


def test_a_level_that_nobody_knows(impl, kind, flights):
    x, carrier, y = flights
    frame = table(kind, {"x": x[:100], "carrier": carrier[:100], "y": y[:100]})
    flt = impl.Filter.from_rows(frame, target="y", model=impl.Linear, family=impl.Gaussian(variance=None))
    before = flt._to_bytes()
    new = table(kind, {"x": [1.0, 2.0, 3.0], "carrier": ["AA", "HA", "ZZ"], "y": [1.0, 2.0, 3.0]})
    for call in (lambda f: f.update_many(new, target="y"), lambda f: f.predict(new)):
        with pytest.raises(UnknownNameError, match="'HA'") as caught:
            call(flt)
        assert caught.value.row == 1
    with pytest.raises(UnknownNameError, match="'HA'"):
        flt.update({"x": 1.0, "carrier": "HA"}, 1.0)
    assert flt._to_bytes() == before
    grown = flt.add_features(2, names=["carrier=HA", "carrier=ZZ"])
    assert len(grown.update_many(new, target="y")) == 3
    assert grown.settings.categories == ("carrier",)
    assert grown.parameters["weight"].shape == (1, 6)


def test_a_null_level_is_a_null(impl, kind, flights):
    x, carrier, y = flights
    flt = impl.Filter.from_rows(
        table(kind, {"x": x, "carrier": carrier, "y": y}), target="y", model=impl.Linear, family=impl.Gaussian(1.0)
    )
    holes = table(kind, {"x": [1.0, 2.0, 3.0], "carrier": [None, "AA", None], "y": [None, 1.0, 2.0]})
    with pytest.raises(NonFiniteError, match="carrier=AA") as caught:
        flt.update_many(holes, target="y")
    assert caught.value.row == 2
    assert flt.health()["missing"] == 1
    trace = flt.update_many(holes, target="y", on_bad_row="skip")
    assert trace.skipped.tolist() == [True, False, True]
    assert flt.update({"x": 1.0, "carrier": None}, float("nan")).skipped


def test_numbers_as_categories(impl, kind):
    """Codes are levels where it is asked for; 7 is the same level as 7.0, which a null makes of it in pandas."""
    code, y = [7, 8, 7, 9, 8, 7] * 10, np.arange(60.0)
    frame = table(kind, {"code": code, "flag": [True, False, True] * 20, "y": y})
    flt = impl.Filter.from_rows(
        frame, target="y", model=impl.Linear, family=impl.Gaussian(1.0), categories=["code", "flag"]
    )
    assert flt.settings.feature_names == ("code=7", "code=8", "code=9", "flag=False", "flag=True")
    floats = table(kind, {"code": np.array([7.0, 9.0]), "flag": [True, False]})
    ints = table(kind, {"code": [7, 9], "flag": [True, False]})
    assert (flt.predict(floats) == flt.predict(ints)).all()
    assert flt.predict(ints)[0] != flt.predict(ints)[1]


@pytest.mark.parametrize(
    ("names", "features"),
    [("a", ["a=1"]), (["a"], None), (["a", "a"], ["a=1"]), ([3], ["a=1"]), (["a=1"], ["a=1=2"]), (["a"], ["a"])],
)
def test_categories_that_are_none(impl, names, features):
    with pytest.raises(ParameterError) as caught:
        impl.Filter(impl.Linear(1), impl.Gaussian(1.0), feature_names=features, categories=names)
    assert caught.value.argument == "categories"


# -- time


def dates(kind, n):
    seconds = np.cumsum(np.random.default_rng(3).integers(0, 100_000, n))
    return np.datetime64("2024-03-01", "us") + seconds.astype("m8[s]"), seconds


@pytest.mark.parametrize("zone", [None, "Europe/Paris"])
def test_dates_are_differences_in_seconds(impl, kind, zone, stream):
    X, y = stream
    when, seconds = dates(kind, N)
    frame = table(kind, columns(X, y, t=when))
    if zone is not None:
        wide = narwhals.from_native(frame)
        frame = wide.with_columns(wide["t"].dt.replace_time_zone("UTC").dt.convert_time_zone(zone)).to_native()
    flt, twin = (make(impl, rule=impl.Fading(half_life="7d")) for _ in range(2))
    flt.update_many(frame, target="y", time="t")
    twin.update_many(X, y, dt=np.diff(seconds, prepend=seconds[0]).astype(float))
    assert same(flt, twin)


def test_times_are_cut_as_rows_are(impl, kind, stream, tmp_path):
    """The gap between two calls counts, also where a file is between them."""
    X, y = stream
    when, _ = dates(kind, N)
    frame = table(kind, columns(X, y, t=when, number=np.cumsum(np.random.default_rng(4).exponential(size=N))))
    for time, half_life in (("t", "7d"), ("number", 50.0)):
        whole, cut = (make(impl, rule=impl.Fading(half_life=half_life)) for _ in range(2))
        whole.update_many(frame, target="y", time=time)
        cut.update_many(part(frame, 0, 200), target="y", time=time)
        cut.save(tmp_path / "cut.kfng")
        cut = impl.load(tmp_path / "cut.kfng").copy()
        for start, stop in ((200, 201), (201, 400), (400, N)):
            cut.update_many(part(frame, start, stop), target="y", time=time)
        assert same(whole, cut)
        control = make(impl, rule=impl.Fading(half_life=half_life))
        for start, stop in ((0, 200), (200, N)):
            control._when = None
            control.update_many(part(frame, start, stop), target="y", time=time)
        assert not (control.theta == whole.theta).all()


def test_a_row_that_is_left_out_is_not_in_the_stream(impl, stream):
    X, y = (part.copy() for part in stream)
    when = np.cumsum(np.random.default_rng(5).exponential(size=N))
    X[100], X[101, 1], X[550, 0] = np.nan, np.inf, 1e300  # the last one overflows, which only the step finds out
    when[300] = when[200]
    when[500] = np.nan
    good = np.delete(np.arange(N), [100, 101, 300, 500, 550])
    flt, twin = (make(impl, rule=impl.Fading(half_life=50.0)) for _ in range(2))
    trace = flt.update_many(X, y, time=when, on_bad_row="skip")
    twin.update_many(X[good], y[good], time=when[good])
    assert np.flatnonzero(trace.skipped).tolist() == [100, 101, 300, 500, 550]
    assert flt.health()["skipped"] == 5
    one, other = flt._state(), twin._state()
    assert (one["theta"] == other["theta"]).all()
    assert (one["clock"] == other["clock"]).all()


def test_times_that_are_refused(impl, kind, stream):
    X, y = stream
    flt = make(impl, rule=impl.Fading(half_life=50.0))
    when = np.arange(float(N))
    when[10] = 3.0
    with pytest.raises(ParameterError, match="last time, 9.0, got 3.0") as caught:
        flt.update_many(table(kind, columns(X, y, t=when)), target="y", time="t")
    assert (caught.value.argument, caught.value.row, len(caught.value.trace)) == ("time", 10, 10)
    assert flt.n_updates == 10
    with pytest.raises(ParameterError, match="9.0") as caught:
        flt.update_many(X[:1], y[:1], time=[8.0])
    with pytest.raises(ParameterError, match="numbers, as before"):
        flt.update_many(X[:1], y[:1], time=[datetime.datetime(2024, 1, 1)])
    with pytest.raises(ParameterError, match="one of time and dt"):
        flt.update_many(X[:1], y[:1], time=[9.0], dt=1.0)
    with pytest.raises(NonFiniteError, match="time"):
        flt.update_many(table(kind, columns(X[:2], y[:2], t=np.array([9.0, np.nan]))), target="y", time="t")
    with pytest.raises(DtypeError, match="'word'"):
        flt.update_many(table(kind, columns(X[:1], y[:1], word=["x"])), target="y", time="word")
    assert flt.n_updates == 11


def test_from_rows_takes_a_time(impl, kind, stream):
    X, y = stream
    when, seconds = dates(kind, N)
    frame = table(kind, columns(X, y, t=when))
    flt = impl.Filter.from_rows(
        frame, target="y", time="t", model=impl.Linear, family=impl.Gaussian(1.0), rule=impl.Fading(half_life="7d")
    )
    assert flt.settings.feature_names == ("b", "a", "id", "c")
    with pytest.raises(ParameterError, match="half-life"):
        impl.Filter.from_rows(X, y, impl.Linear, impl.Gaussian(1.0), rule=impl.Fading(half_life="7d"))


# -- tables as they come


def test_categoricals_of_polars_and_what_is_said_of_other_columns(impl):
    x = np.linspace(-1, 1, 90)
    frame = pl.DataFrame({"x": x, "kind": pl.Series(["b", "a", "c"] * 30, dtype=pl.Categorical), "y": 2 * x})
    start = {"target": "y", "model": impl.Linear, "family": impl.Gaussian(1.0)}
    flt = impl.Filter.from_rows(frame, **start)
    assert flt.settings.feature_names == ("x", "kind=a", "kind=b", "kind=c")
    other = impl.Filter.from_rows(frame.with_columns(pl.col("kind").cast(pl.String)), **start)
    assert flt._to_bytes() == other._to_bytes()
    assert (flt.predict(frame) == other.predict(frame)).all()
    dated = frame.with_columns(when=pl.lit(datetime.date(2024, 1, 1)))
    with pytest.raises(DtypeError, match="dates: time="):
        impl.Filter.from_rows(dated, **start)
    with pytest.raises(DtypeError, match=r"classes are 0, 1"):
        impl.Filter.from_rows(frame.with_columns(y=pl.lit("up")), **start)
    with pytest.raises(ParameterError, match="nothing in 'z'"):
        impl.Filter.from_rows(frame.with_columns(z=pl.lit(None, dtype=pl.Float64)), **start)
    twice = pd.DataFrame(np.ones((3, 3)), columns=["x", "x", "y"])
    with pytest.raises(ParameterError) as caught:
        impl.Filter.from_rows(twice, **start)
    assert "\n" not in str(caught.value)
