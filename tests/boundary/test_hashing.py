"""Names in columns by their hash: published vectors, rows of every kind, and what a filter learns from them."""

import copy
import pickle
from collections import OrderedDict

import numpy as np
import pytest

import kfng
from kfng import reference
from kfng.reference.hashing import murmur3

BOTH = pytest.mark.parametrize("package", [kfng, reference])
VECTORS = [
    (b"", 0, 0),
    (b"", 1, 0x514E28B7),
    (b"", 0xFFFFFFFF, 0x81F16F39),
    (b"\xff\xff\xff\xff", 0, 0x76293B50),
    (b"\x21\x43\x65\x87", 0, 0xF55B516B),
    (b"\x21\x43\x65\x87", 0x5082EDEE, 0x2362F9DE),
    (b"\x21\x43\x65", 0, 0x7E4A8634),
    (b"\x21\x43", 0, 0xA0F7B07A),
    (b"\x21", 0, 0x72661CF4),
    (b"\0\0\0\0", 0, 0x2362F9DE),
    (b"\0\0\0", 0, 0x85F0B427),
    (b"\0\0", 0, 0x30F4C306),
    (b"\0", 0, 0x514E28B7),
    (b"Hello, world!", 0x9747B28C, 0x24884CBA),
]


@pytest.mark.parametrize(("data", "seed", "expected"), VECTORS)
def test_published_vectors(data, seed, expected):
    assert murmur3(data, seed) == expected


@BOTH
def test_a_vector_is_a_column_and_a_sign(package):
    """Of seed 0 the hash itself shows: |h| is the column, and a negative h turns the sign."""
    d = 2**31 - 1
    for data, seed, expected in VECTORS:
        if seed == 0:
            h = expected - (expected >> 31 << 32)
            for signed in (True, False):
                row = package.FeatureHasher(d, alternate_sign=signed).transform([[data]])
                assert row.indices.tolist() == [abs(h) % d]
                assert row.data.tolist() == [-1.0 if signed and h < 0 else 1.0]


def names(n, seed=0):
    rng = np.random.default_rng(seed)
    letters = list("abcdefgh =äßñ中文🌵\0")
    return ["", *("".join(rng.choice(letters, size=length)) for length in rng.integers(1, 20, size=n - 1))]


def rows(n=40, seed=1):
    rng, pool = np.random.default_rng(seed), names(200)
    plain = [dict(zip(rng.choice(pool, 6).tolist(), rng.normal(size=6).tolist(), strict=True)) for _ in range(n)]
    return [*plain, {"city": "Rome", "n": 3, "off": 0, "yes": True, "no": False, "": -1.0, b"bytes": 2.5}, {}]


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("d", [1, 7, 64, 2**20, 2**31 - 1])
def test_both_are_the_same(d, signed):
    own, its = (package.FeatureHasher(d, alternate_sign=signed) for package in (kfng, reference))
    one, other = own.transform(rows()), its.transform(rows())
    assert np.array_equal(one.indptr, other.indptr)
    assert np.array_equal(one.indices, other.indices)
    assert np.array_equal(one.data, other.data)
    assert own == its
    assert hash(own) == hash(its)
    assert own != kfng.FeatureHasher(d, alternate_sign=not signed)
    assert own == pickle.loads(pickle.dumps(own)) == copy.deepcopy(its)
    if d > 1:
        control = kfng.FeatureHasher(d // 2, alternate_sign=signed).transform(rows())
        assert not np.array_equal(control.indices, one.indices)


@BOTH
def test_rows_of_every_kind(package):
    """Names alone, pairs, dicts of all sorts, numbers of NumPy: one row each way."""
    hasher = package.FeatureHasher(1000)
    expected = hasher.transform([{"a": 1, "b=x": 1.0, "c": 2.5}])
    assert len(expected.data) == 3
    ways = [
        [["a", "b=x", ("c", 2.5)]],
        (("a", ("b", "x"), ("c", 2.5)),),
        iter([{"a": True, "b": "x", "c": np.float32(2.5), "d": 0, "e": np.bool_(False)}]),
        [OrderedDict(a=np.int64(1), b=np.str_("x"), c=2.5)],
        [{b"a": 1, np.str_("b"): "x", "c": np.array(2.5)}],
        [{"a", "b=x"} | {("c", 2.5)}],
        [[["a", 1], ["c", 2.5], ("b", "x")]],
    ]
    for way in ways:
        found = hasher.transform(way)
        assert np.array_equal(found.indices, expected.indices)
        assert np.array_equal(found.data, expected.data)
    empty = hasher.transform([])
    assert empty.shape == (0, 1000)
    assert empty.toarray().shape == (0, 1000)


@BOTH
def test_what_shares_a_column_is_added(package):
    one = package.FeatureHasher(1, alternate_sign=False).transform([{"a": 1.5, "b": 2.0, "c": 0.25}, ["a"]])
    assert one.toarray().tolist() == [[3.75], [1.0]]
    assert one.indptr.tolist() == [0, 1, 2]


@BOTH
@pytest.mark.parametrize(
    ("wrong", "names"),
    [
        ([{"a": 1.0}, {"a": None}], "rows[1]['a']"),
        ([{"a": b"x"}], "rows[0]['a']"),
        ([{"a": 1j}], "rows[0]['a']"),
        ([{"a": np.complex64(1)}], "rows[0]['a']"),
        ([{"a": [1.0, 2.0]}], "rows[0]['a']"),
        ([{"a": 10**400}], "rows[0]['a']"),
        ([{5: 1.0}], "rows[0]"),
        ([{"\ud800": 1.0}], "rows[0]"),
        (["text"], "rows[0]"),
        ([5], "rows[0]"),
        ([["a", ("b", 1.0, 2.0)]], "rows[0]"),
        ([["a", 5]], "rows[0]"),
        ({"a": 1.0}, "rows"),
        ("text", "rows"),
    ],
    ids=str,
)
def test_rows_that_are_none(package, wrong, names):
    with pytest.raises(kfng.DtypeError) as caught:
        package.FeatureHasher(8).transform(wrong)
    assert caught.value.argument == names


@BOTH
@pytest.mark.parametrize(
    "options", [{"n_features": 0}, {"n_features": 2**31}, {"n_features": 8.0}, {"alternate_sign": 1}]
)
def test_settings_that_make_no_sense(package, options):
    with pytest.raises(kfng.ParameterError) as caught:
        package.FeatureHasher(**options)
    assert caught.value.argument in options


def problem(n=120, d=64, seed=2):
    rng = np.random.default_rng(seed)
    X = [dict(zip(rng.choice(names(50), 4).tolist(), rng.normal(size=4).tolist(), strict=True)) for _ in range(n)]
    return kfng.FeatureHasher(d).transform(X), (rng.random(n) < 0.5).astype(float)


KALMAN = kfng.Kalman()


def filter_of(package, belief, d=64, rule=KALMAN, **more):
    return package.Filter(kfng.Linear(d, 1), kfng.Bernoulli(), belief=belief, rule=rule, **more)


@BOTH
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("rule", [kfng.Kalman(), kfng.Fading(half_life=30.0)])
@pytest.mark.parametrize("belief", [kfng.Diagonal(), kfng.Full()])
def test_row_by_row_is_all_at_once(package, belief, rule, dtype):
    """Also as scipy has them, with indices of 32 bits, and dense."""
    U, y = problem()
    many, single, narrow, dense = (filter_of(package, belief, rule=rule, dtype=dtype) for _ in range(4))
    trace = many.update_many(U, y)
    for i in range(len(U)):
        step = single.update(U[i : i + 1], y[i])
        assert step.prediction == trace.prediction[i]
        other = U[i : i + 1]
        other.indices = other.indices.astype(np.int32)
        narrow.update(other, y[i])
    assert np.array_equal(single.theta, many.theta)
    assert np.array_equal(single.std(), many.std())
    assert np.array_equal(narrow.theta, many.theta)
    dense.update_many(U.toarray().astype(dtype), y)
    assert np.allclose(dense.theta, many.theta, rtol=0, atol=1e-5 if dtype == "float32" else 1e-12)


@BOTH
@pytest.mark.parametrize("belief", [kfng.Diagonal(), kfng.Full()])
def test_one_row_that_is_wrong(package, belief):
    """Refused by name, and the filter is as it was; without a y, or with a weight of 0, only time passes."""
    U, y = problem()
    flt = filter_of(package, belief, rule=kfng.Fading(half_life=30.0))
    flt.update_many(U, y)
    before = flt.theta.copy(), flt.std().copy()
    bad = U[0:1]
    bad.data = np.full(len(bad.data), np.nan)
    beyond, twice = U[0:1], U[1:2]
    beyond.indices = beyond.indices + 64
    for wrong, error in (
        (bad, kfng.NonFiniteError),
        (beyond, kfng.ShapeError),
        (U[0:2], kfng.ShapeError),
        (U[0:0], kfng.ShapeError),
        (kfng.FeatureHasher(65).transform([["a"]]), kfng.ShapeError),
    ):
        with pytest.raises(error) as caught:
            flt.update(wrong, 1.0)
        assert caught.value.argument == "u"
    for options, argument in (
        ({"y": 2.0}, "y"),
        ({"weight": -1.0}, "weight"),
        ({"dt": np.inf}, "dt"),
        ({"offset": np.nan}, "offset"),
    ):
        with pytest.raises(kfng.KfngError) as caught:
            flt.update(twice, **({"y": 1.0} | options))
        assert caught.value.argument == argument
    for array, kept in zip((flt.theta, flt.std()), before, strict=True):
        assert np.array_equal(array, kept)
    assert np.isnan(flt.update(bad, 1.0, weight=0.0).prediction)
    flt.update(twice, np.nan)
    assert np.array_equal(flt.theta, before[0])
    assert flt.n_updates == len(U)


def test_one_row_of_a_million_columns():
    """Names that were never listed; what no row has touched is as the prior has it."""
    hasher = kfng.FeatureHasher()
    flt = filter_of(kfng, kfng.Diagonal(), d=hasher.n_features)
    spam, tea = hasher.transform([["spam", "now"]]), hasher.transform([["tea", "now"]])
    for _ in range(20):
        flt.update(spam, 1.0)
        flt.update(tea, 0.0)
    both = hasher.transform([["spam", "free"], ["tea", "for", "two"]])
    assert flt.predict(both)[0] > 0.8 > 0.2 > flt.predict(both)[1]
    assert np.count_nonzero(flt.theta) == 4


@BOTH
def test_a_mixture_takes_rows_back(package):
    """A row that one filter refuses is undone by giving the others the rows before it again, from copies."""
    U, y = problem(n=12)
    both = [package.Filter(kfng.Linear(64, 1), kfng.Bernoulli(), belief=kfng.Diagonal(v)) for v in (0.5, 2.0)]
    both.append(filter_of(package, kfng.Diagonal(), dtype="float32"))
    mixture, good = package.Mixture(both), package.Mixture(both)
    for i in range(len(U)):
        row = U[i : i + 1]
        mixture.update(row, y[i])
        good.update(row, y[i])
        row.data[:] = np.nan  # the caller's own, who may do with it as he likes
    bad = kfng.FeatureHasher(64).transform([{"a": 1e100}])  # beyond float32 alone
    both[0].copy().update(bad, 1.0)
    with pytest.raises(kfng.NonFiniteError):
        mixture.update(bad, 1.0)
    for one, other in zip(mixture.filters, good.filters, strict=True):
        assert np.array_equal(one.theta, other.theta)
        assert np.isfinite(one.theta).all()
