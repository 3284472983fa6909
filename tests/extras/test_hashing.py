"""`kfng.FeatureHasher` beside scikit-learn's: the same columns, the same signs, the same values."""

import numpy as np
import pytest

import kfng
from kfng import reference

try:
    import scipy.sparse
    from sklearn.feature_extraction import FeatureHasher
except ImportError as error:
    pytest.fail(f"the extra sklearn is not installed: {error}", pytrace=False)

LETTERS = list("abcdefghijklmnop_=0123456789 äßñ中文жא🌵\0\n")
BOTH = pytest.mark.parametrize("package", [kfng, reference])


def names(n, seed=0):
    rng = np.random.default_rng(seed)
    return ["", *("".join(rng.choice(LETTERS, size=length)) for length in rng.integers(1, 40, size=n - 1))]


def same(own, its, exact=True):
    its.sort_indices()
    assert own.shape == its.shape
    assert np.array_equal(own.indptr, its.indptr)
    assert np.array_equal(own.indices, its.indices)
    if exact:
        assert np.array_equal(own.data, its.data)
    else:  # several values of one column, which scipy adds in no order of their own
        assert np.allclose(own.data, its.data, rtol=1e-13, atol=1e-13)


@BOTH
@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("d", [1, 2, 10, 1000, 2**18, 2**20, 2**31 - 1])
def test_each_name_alone(package, d, signed):
    rows = [[name] for name in names(600)]
    own = package.FeatureHasher(d, alternate_sign=signed).transform(rows)
    same(own, FeatureHasher(d, input_type="string", alternate_sign=signed).transform(rows))
    if signed and d > 2:
        assert 0.4 < np.mean(own.data < 0) < 0.6
        control = FeatureHasher(d, input_type="string", alternate_sign=False).transform(rows)
        assert not np.array_equal(own.data, control.data)


@BOTH
@pytest.mark.parametrize("d", [3, 2**20])
def test_rows_of_names_numbers_and_texts(package, d):
    rng, pool = np.random.default_rng(1), np.array(names(300))

    def value():
        kinds = (rng.normal(), int(rng.integers(-5, 6)), 0, 0.0, True, np.float32(rng.normal()), str(rng.choice(pool)))
        return kinds[rng.integers(len(kinds))]

    rows = [{str(name): value() for name in rng.choice(pool, 12)} for _ in range(200)]
    rows += [{b"bytes": 2.0, "": "", "t": "", b"name": "text", 7: "seven"}, {}]
    own = package.FeatureHasher(d).transform(rows)
    same(own, FeatureHasher(d).transform(rows), exact=d > 100)
    pairs = [list(row.items()) for row in rows]
    same(package.FeatureHasher(d).transform(pairs), FeatureHasher(d, input_type="pair").transform(pairs), exact=d > 100)


def test_it_becomes_one_of_scipy():
    rows = kfng.FeatureHasher(50).transform([{"a": 1, "b": 2}, {}, ["c"]])
    made = scipy.sparse.csr_matrix((rows.data, rows.indices, rows.indptr), rows.shape)
    assert np.array_equal(made.toarray(), rows.toarray())


def test_a_filter_takes_either():
    rng = np.random.default_rng(2)
    words = [rng.choice(names(100), 6).tolist() for _ in range(200)]
    y = (rng.random(200) < 0.5).astype(float)
    one, other = (kfng.Filter(kfng.Linear(2**12, 1), kfng.Bernoulli(), belief=kfng.Diagonal()) for _ in range(2))
    one.update_many(kfng.FeatureHasher(2**12).transform(words), y)
    other.update_many(FeatureHasher(2**12, input_type="string").transform(words), y)
    assert np.array_equal(one.theta, other.theta)
