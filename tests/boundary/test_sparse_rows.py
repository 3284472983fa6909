"""Sparse rows: what dense rows give, in O(entries that are not 0) for variances alone."""

import copy
import pickle
import types

import numpy as np
import pytest

import kfng
from kfng import reference

FAMILIES = {
    "gaussian": (kfng.Gaussian(variance=None), lambda z, rng: z + 0.3 * rng.normal(size=len(z))),
    "known noise": (kfng.Gaussian(variance=0.5), lambda z, rng: z + 0.3 * rng.normal(size=len(z))),
    "bernoulli": (kfng.Bernoulli(), lambda z, rng: (rng.random(len(z)) < 1 / (1 + np.exp(-z))).astype(float)),
    "binomial": (kfng.Binomial(5), lambda z, rng: rng.binomial(5, 1 / (1 + np.exp(-z))).astype(float)),
    "poisson": (kfng.Poisson(), lambda z, rng: rng.poisson(np.exp(z / 2)).astype(float)),
    "negative binomial": (kfng.NegativeBinomial(0.5), lambda z, rng: rng.poisson(np.exp(z / 2)).astype(float)),
    "gamma": (kfng.Gamma(2.0), lambda z, rng: np.exp(z / 2) * rng.gamma(2.0, 0.5, size=len(z))),
}
RULES = {
    "kalman": kfng.Kalman(),
    "fading": kfng.Fading(half_life=37.0),
    "fast": kfng.Fading(forgetting=0.2),
}


def csr(U, order=None):
    """What scipy makes of it, as far as kfng looks; with `order` entries of a row in another order, some of them in two halves."""
    U = np.asarray(U)
    starts, indices, data = [0], [], []
    for row in U:
        places = np.flatnonzero(row)
        entries = [(j, row[j]) for j in places]
        if order is not None:
            entries = [half for j, x in entries for half in ([(j, x / 2)] * 2 if j % 3 == 0 else [(j, x)])]
            entries = [entries[i] for i in order.permutation(len(entries))]
        indices += [j for j, _ in entries]
        data += [x for _, x in entries]
        starts.append(len(indices))
    parts = {
        "indptr": np.array(starts, np.int32),
        "indices": np.array(indices, np.int32),
        "data": np.array(data, U.dtype),
    }
    return types.SimpleNamespace(shape=U.shape, **parts)


def rows(n, d, family="gaussian", seed=0, share=0.1):
    rng = np.random.default_rng(seed)
    U = np.where(rng.random((n, d)) < share, rng.normal(size=(n, d)), 0.0)
    y = FAMILIES[family][1](U @ rng.normal(size=d), rng)
    y[7::31] = np.nan
    more = {
        "weight": np.where(np.arange(n) % 13 == 5, 0.0, rng.choice([0.5, 1.0, 2.0], n)),
        "offset": 0.1 * rng.normal(size=n),
    }
    return U, y, more


def filter_of(d, family="gaussian", rule="kalman", package=kfng, projection="precision", **more):
    model, belief = kfng.Linear(d, 1), kfng.Diagonal(0.7, projection=projection)
    return package.Filter(model, FAMILIES[family][0], belief=belief, rule=RULES[rule], **more)


def state_of(flt):
    return {name: np.asarray(x) for name, x in flt._state().items()}


def distance(one, other):
    return max(
        float(np.max(np.abs(one[name] - other[name]) / (1 + np.abs(other[name])), initial=0.0)) for name in other
    )


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("projection", ["precision", "covariance"])
@pytest.mark.parametrize("family", FAMILIES)
def test_without_forgetting_the_bits_are_those_of_dense_rows(family, projection, dtype):
    for d in (17, 33, 300):
        U, y, more = rows(200, d, family)
        U = U.astype(dtype)
        dense, sparse = (filter_of(d, family, projection=projection, dtype=dtype, evidence=True) for _ in range(2))
        its, own = dense.update_many(U, y, **more), sparse.update_many(csr(U), y, **more)
        for name in ("prediction", "std", "nll"):
            assert np.array_equal(getattr(its, name), getattr(own, name), equal_nan=True)
        for name, x in state_of(dense).items():
            assert np.array_equal(x, state_of(sparse)[name]), name
        assert np.array_equal(dense.predict(U), sparse.predict(csr(U)))
        for a, b in zip(dense.predict(U, return_std=True), sparse.predict(csr(U), return_std=True), strict=True):
            assert np.array_equal(a, b)


@pytest.mark.parametrize("rule", ["fading", "fast"])
@pytest.mark.parametrize("projection", ["precision", "covariance"])
@pytest.mark.parametrize("family", ["gaussian", "bernoulli"])
def test_time_passes_for_what_no_row_touches(family, projection, rule):
    d = 100
    U, y, more = rows(900, d, family, share=0.02)
    more["dt"] = np.random.default_rng(3).choice([0.0, 0.5, 1.0, 7.0], len(y))
    dense, sparse, untimed = (filter_of(d, family, rule, projection=projection) for _ in range(3))
    its, own = dense.update_many(U, y, **more), sparse.update_many(csr(U), y, **more)
    for a, b in ((its.prediction, own.prediction), (its.std, own.std)):
        assert np.nanmax(np.abs(a - b)) < 1e-11
    assert dense.health()["windup"] == sparse.health()["windup"] > 50
    assert distance(state_of(sparse), state_of(dense)) < 1e-11
    more["dt"] = np.roll(more["dt"], 1)  # the control
    untimed.update_many(csr(U), y, **more)
    assert distance(state_of(untimed), state_of(dense)) > 1e-8


@pytest.mark.parametrize("rule", RULES)
def test_the_reference_learns_the_same(rule):
    d = 40
    U, y, more = rows(150, d, "bernoulli")
    own, its = filter_of(d, "bernoulli", rule), filter_of(d, "bernoulli", rule, package=reference)
    trace, same = own.update_many(csr(U), y, **more), its.update_many(csr(U), y, **more)
    assert np.nanmax(np.abs(trace.prediction - same.prediction)) < 1e-10
    assert np.max(np.abs(own.theta - its.theta)) < 1e-10
    assert np.max(np.abs(own.predict(csr(U)) - its.predict(csr(U)))) < 1e-10


@pytest.mark.parametrize("rule", RULES)
def test_pieces_and_copies_make_no_difference(rule):
    d = 100
    U, y, more = rows(400, d, "bernoulli")
    part = lambda i, j: ((csr(U[i:j]), y[i:j]), {name: x[i:j] for name, x in more.items()})  # noqa: E731
    whole, pieces, kept = (filter_of(d, "bernoulli", rule) for _ in range(3))
    whole.update_many(csr(U), y, **more)
    for i, j in ((0, 1), (1, 130), (130, 131), (131, 400)):
        arrays, options = part(i, j)
        pieces.update_many(*arrays, **options)
        pieces.predict(csr(U[:3]), return_std=True)
        arrays, options = part(i, j)
        kept.update_many(*arrays, **options)
        kept = pickle.loads(pickle.dumps(copy.deepcopy(kept)))
    for name, x in state_of(whole).items():
        assert np.array_equal(x, state_of(pieces)[name]), name
    assert distance(state_of(kept), state_of(whole)) < (1e-13 if rule != "kalman" else 1e-300)


def test_dense_and_sparse_rows_may_come_in_turns():
    d = 50
    U, y, more = rows(300, d)
    dense, mixed = filter_of(d, rule="fading"), filter_of(d, rule="fading")
    dense.update_many(U, y, **more)
    for i in range(0, 300, 50):
        one = {name: x[i : i + 50] for name, x in more.items()}
        mixed.update_many(csr(U[i : i + 50]) if i % 100 else U[i : i + 50], y[i : i + 50], **one)
        mixed.std()
    assert distance(state_of(mixed), state_of(dense)) < 1e-11


@pytest.mark.parametrize("package", [kfng, reference])
def test_other_filters_have_sparse_rows_dense(package):
    U, y, _ = rows(60, 6)
    for belief in (kfng.Full(), kfng.Diagonal()):
        for model in (kfng.Linear(6, 1), kfng.MLP([6, 3, 1])):
            dense, sparse = (package.Filter(model, kfng.Gaussian(), belief=belief) for _ in range(2))
            dense.update_many(U, y)
            sparse.update_many(csr(U), y)
            assert np.array_equal(dense.theta, sparse.theta)
            assert np.array_equal(dense.predict(U), sparse.predict(csr(U)))
            assert np.array_equal(dense.predict_quantiles(U, [0.1]), sparse.predict_quantiles(csr(U), [0.1]))


@pytest.mark.parametrize("package", [kfng, reference])
def test_banks_have_them_dense_too(package):
    U, y, _ = rows(60, 6)
    keys = np.arange(60) % 3
    dense, sparse = (package.Bank(kfng.Linear(6, 1), kfng.Gaussian()) for _ in range(2))
    dense.update(keys, U, y)
    sparse.update(keys, csr(U), y)
    assert np.array_equal(dense.predict(keys, U), sparse.predict(keys, csr(U)))


def test_entries_in_any_order_and_in_two_parts_are_added():
    U, y, more = rows(80, 40)
    one, other = filter_of(40), filter_of(40)
    one.update_many(csr(U), y, **more)
    other.update_many(csr(U, np.random.default_rng(0)), y, **more)
    assert np.array_equal(one.theta, other.theta)


def test_level_and_scale_come_from_the_entries():
    U, y, _ = rows(200, 40, "gaussian")
    y = np.nan_to_num(y) * 5 + 100
    own = kfng.Filter.from_rows(csr(U), y, kfng.Linear(40, 1), kfng.Gaussian(), belief=kfng.Diagonal())
    prior = own.settings.belief.prior_diagonal(41)
    squares = np.array([np.mean(column[column != 0] ** 2) for column in U.T])
    assert np.allclose(prior[:-1] * squares, prior[-1], rtol=1e-12)
    its = kfng.Filter.from_rows(csr(U * 1000), y, kfng.Linear(40, 1), kfng.Gaussian(), belief=kfng.Diagonal())
    assert np.allclose(its.predict(csr(U * 1000)), own.predict(csr(U)), rtol=1e-9)
    assert np.corrcoef(own.predict(csr(U)), y)[0, 1] > 0.9


@pytest.mark.parametrize("package", [kfng, reference])
@pytest.mark.parametrize("rule", ["kalman", "fading"])
def test_a_bad_row_leaves_the_filter_as_it_was(package, rule):
    U, y, _ = rows(30, 40)
    y = np.nan_to_num(y)
    good = filter_of(40, rule=rule, package=package)
    good.update_many(csr(U[:20]), y[:20])
    for value in (np.nan, np.inf, 1e200):
        bad = U.copy()
        bad[20, 3] = value
        flt = filter_of(40, rule=rule, package=package)
        with pytest.raises(kfng.NonFiniteError) as caught:
            flt.update_many(csr(bad), y)
        assert caught.value.row == 20
        assert distance(state_of(flt), state_of(good)) < 1e-13
        assert np.array_equal(flt.theta, good.theta)
        skipping = filter_of(40, rule=rule, package=package)
        skipping.update_many(csr(bad), y, on_bad_row="skip")
        assert skipping.health()["skipped"] == 1
        if not np.isfinite(value):
            weightless = filter_of(40, rule=rule, package=package)
            trace = weightless.update_many(csr(bad), y, weight=np.where(np.arange(30) == 20, 0.0, 1.0))
            assert np.isnan(trace.prediction[20])
            assert weightless.n_updates == 29
            with pytest.raises(kfng.NonFiniteError) as caught:
                flt.predict(csr(bad))
            assert caught.value.row == 20


def faults():
    base = csr(np.eye(5, 40))
    change = lambda **parts: types.SimpleNamespace(**{**vars(base), **parts})  # noqa: E731
    yield kfng.ShapeError, change(shape=(5, 39))
    yield kfng.ShapeError, change(shape=(4, 40))
    yield kfng.ShapeError, change(shape=(200,))
    yield kfng.ShapeError, change(indices=np.array([0, 1, 2, 3, 40], np.int32))
    yield kfng.ShapeError, change(indices=np.array([0, 1, -2, 3, 4], np.int32))
    yield kfng.ShapeError, change(indptr=np.array([0, 2, 1, 3, 4, 5], np.int32))
    yield kfng.ShapeError, change(indptr=np.array([1, 1, 2, 3, 4, 5], np.int32))
    yield kfng.ShapeError, change(indptr=np.array([0, 1, 2, 3, 4, 6], np.int32))
    yield kfng.ShapeError, change(data=np.ones(4))
    yield kfng.ShapeError, change(data=np.ones((5, 1)))
    yield kfng.DtypeError, change(data=np.ones(5, complex))
    yield kfng.DtypeError, change(data=np.array(list("abcde"), object))
    yield kfng.DtypeError, change(indices=np.arange(5.0))


@pytest.mark.parametrize("package", [kfng, reference])
@pytest.mark.parametrize(("error", "wrong"), list(faults()))
def test_rows_that_are_none(package, error, wrong):
    flt = filter_of(40, package=package)
    for use in (lambda: flt.update_many(wrong, np.zeros(5)), lambda: flt.predict(wrong)):
        with pytest.raises(error) as caught:
            use()
        assert caught.value.argument == "U"
    assert flt.n_updates == 0


def test_a_row_costs_its_entries_and_not_the_parameters():
    """A million parameters: the belief of all but the touched ones is as it was, and only a row's entries are looked at."""
    d, n = 2**20, 500
    rng = np.random.default_rng(0)
    indices = np.sort(rng.integers(0, d, size=(n, 30)), axis=1)
    X = types.SimpleNamespace(
        shape=(n, d), indptr=np.arange(0, 30 * n + 1, 30), indices=indices.ravel(), data=np.ones(30 * n)
    )
    y = (rng.random(n) < 0.5).astype(float)
    flt = kfng.Filter(kfng.Linear(d, 1), kfng.Bernoulli(), belief=kfng.Diagonal(), rule=kfng.Fading(half_life=1000))
    flt.update_many(X, y, trace=False)
    touched = np.zeros(d + 1, dtype=bool)
    touched[np.append(indices.ravel(), d)] = True
    assert (flt.theta[~touched] == 0).all()
    assert np.allclose(flt.std()[~touched] ** 2, 2 ** (n / 1000), rtol=1e-12)
    assert (flt.std()[touched] < flt.std()[~touched][0]).all()
