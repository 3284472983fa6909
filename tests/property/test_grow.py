"""Models that grow: what was known stays bit for bit, what is new has its prior, and it is as if it had always been there."""

import pickle
import threading
import time
import tracemalloc

import numpy as np
import pytest
from tolerances import CONTROL, covariance_error, theta_error

import kfng
from kfng import _grow, errors

D, N, TOLERANCE = 3, 150, 1e-11
BELIEF = ("U", "D", "P", "V")


def rows(law="gaussian", d=D, seed=0):
    rng = np.random.default_rng(seed)
    U = rng.normal(size=(N, d))
    z = U @ np.linspace(0.8, -0.4, d) + 0.3
    y = {
        "gaussian": lambda: z + 0.5 * rng.normal(size=N),
        "bernoulli": lambda: (rng.random(N) < 1 / (1 + np.exp(-z))).astype(float),
        "classes": lambda: rng.integers(0, 3, N).astype(float),
    }[law]()
    return U, y


FILTERS = {
    "full": lambda impl: impl.Filter(impl.Linear(D), impl.Gaussian(0.3), belief=impl.Full(2.0)),
    "float32": lambda impl: impl.Filter(impl.Linear(D), impl.Gaussian(0.3), dtype="float32"),
    "diagonal": lambda impl: impl.Filter(impl.Linear(D), impl.Gaussian(0.3), belief=impl.Diagonal(2.0)),
    "learned": lambda impl: impl.Filter(impl.Linear(D), impl.Gaussian(None), belief=impl.Full([1.0, 2.0, 3.0, 4.0])),
    "dense prior": lambda impl: impl.Filter(impl.Linear(D), impl.Gaussian(0.3), belief=impl.Full(np.eye(4) + 0.2)),
    "no intercept": lambda impl: impl.Filter(impl.Linear(D, intercept=False), impl.Poisson(), theta=[0.1, 0.2, 0.3]),
    "two outputs": lambda impl: impl.Filter(impl.Linear(D, 2), impl.Gaussian(0.3)),
    "fading": lambda impl: impl.Filter(impl.Linear(D), impl.Bernoulli(), rule=impl.Fading(half_life=40)),
    "towards": lambda impl: impl.Filter(impl.Linear(D), impl.Gaussian(0.3), rule=impl.Fading(0.05, towards="prior")),
    "noise": lambda impl: impl.Filter(impl.Linear(D), impl.Gaussian(0.3), rule=impl.ProcessNoise(1e-3), evidence=True),
}  # fmt: skip


def learned(impl, name):
    flt = FILTERS[name](impl)
    U, y = rows("bernoulli" if name in ("no intercept", "fading") else "gaussian")
    flt.update_many(U, np.column_stack([y, -y]) if flt.settings.k == 2 else y)
    return flt


def block(flt, keep):
    """The old block of a state, the belief as P or as U and D."""
    found = {}
    for name, part in flt._state().items():
        if name == "U":
            p = len(flt._state()["D"])
            U = np.eye(p, dtype=part.dtype)
            U.T[np.tril_indices(p, -1)] = part
            found[name] = U[np.ix_(keep, keep)]
        elif name == "P":
            found[name] = part[np.ix_(keep, keep)]
        elif name in ("theta", "D", "V", "turns"):
            found[name] = part[keep]
        elif name != "turn":
            found[name] = part
    return found


def old_places(flt, n):
    k, d = flt.settings.k, D
    weights = [j * (d + n) + i for j in range(k) for i in range(d)]
    return np.array(weights + ([k * (d + n) + j for j in range(k)] if flt.settings.model.intercept else []))


@pytest.mark.parametrize("n", [1, 4])
@pytest.mark.parametrize("name", FILTERS)
def test_the_old_block_is_the_same_bit_for_bit_and_the_new_one_its_prior(impl, name, n):
    flt = learned(impl, name)
    before = flt._to_bytes()
    larger = flt.add_features(n, prior_variance=7.0)
    assert flt._to_bytes() == before
    keep = old_places(flt, n)
    mine, its = block(flt, np.arange(flt.settings.p)), block(larger, keep)
    assert mine.keys() == its.keys()
    assert all(mine[part].tobytes() == its[part].tobytes() for part in mine)
    new = np.setdiff1d(np.arange(larger.settings.p), keep)
    assert len(new) == n * flt.settings.k
    assert not larger.theta[new].any()
    P = larger.cov() / larger._scale()
    assert not P[np.ix_(new, keep)].any()
    assert np.allclose(P[np.ix_(new, new)], 7.0 * np.eye(len(new)), rtol=1e-6, atol=0)
    prior = larger.settings.belief.prior_diagonal(larger.settings.p)
    assert (prior[new] == 7.0).all()
    assert np.array_equal(prior[keep], flt.settings.belief.prior_diagonal(flt.settings.p))
    U = rows()[0]
    wide = np.column_stack([U, np.zeros((N, n))])
    for a, b in zip(flt.predict(U, return_std=True), larger.predict(wide, return_std=True), strict=True):
        assert np.allclose(a, b, rtol=1e-6 if name == "float32" else 1e-13)
    assert type(larger)._from_bytes(larger._to_bytes())._to_bytes() == larger._to_bytes()
    larger.update_many(np.column_stack([wide[:20, :D], np.ones((20, n))]), np.full((20, flt.settings.k), 1.0))
    assert larger.theta[new].any()


@pytest.mark.parametrize("learned_noise", [False, True])
@pytest.mark.parametrize("prior", [2.0, 2.1])
def test_it_is_as_if_the_feature_had_always_been_there(impl, learned_noise, prior):
    """Control: another prior of the new one."""
    U, y = rows(d=D + 2)
    U[: N // 2, D:] = 0.0
    family = impl.Gaussian(None) if learned_noise else impl.Gaussian(0.3)
    always = impl.Filter(impl.Linear(D + 2), family, belief=impl.Full(2.0))
    always.update_many(U, y)
    grown = impl.Filter(impl.Linear(D), family, belief=impl.Full(2.0))
    grown.update_many(U[: N // 2, :D], y[: N // 2])
    grown = grown.add_features(2, prior_variance=prior)
    grown.update_many(U[N // 2 :], y[N // 2 :])
    error = max(theta_error(grown.theta, always.theta, always.cov()), covariance_error(grown.cov(), always.cov()))
    assert error < TOLERANCE if prior == 2.0 else error > CONTROL * TOLERANCE


def test_defaults_of_the_new_prior(impl):
    number = learned(impl, "full").add_features(2)
    assert number.settings.belief == impl.Full(2.0)
    median = learned(impl, "learned").add_features(1)
    assert median.settings.belief.prior_variance.tolist() == [1.0, 2.0, 3.0, 2.0, 4.0]


def test_names_grow_too(impl):
    flt = impl.Filter(impl.Linear(2), impl.Gaussian(), feature_names=["a", "b"])
    larger = flt.add_features(1, names=["c"])
    assert larger.settings.feature_names == ("a", "b", "c")
    larger.update({"c": 1.0, "a": 2.0, "b": 0.0}, 1.0)
    for names in (None, ["c", "d"], "c", ["a"]):
        with pytest.raises(errors.KfngError):
            flt.add_features(1, names=names)
    with pytest.raises(errors.ParameterError):
        learned(impl, "full").add_features(1, names=["c"])


@pytest.mark.parametrize("belief", ["Full", "Diagonal"])
def test_a_new_class(impl, belief):
    U, y = rows("classes")
    flt = impl.Filter(impl.Linear(D, 3), impl.Categorical(3), belief=getattr(impl, belief)(2.0))
    flt.update_many(U, y)
    larger = flt.add_outputs(1, prior_variance=5.0, level=[-4.0])
    keep = np.concatenate([np.arange(3 * D), 4 * D + np.arange(3)])
    mine, its = block(flt, np.arange(flt.settings.p)), block(larger, keep)
    assert all(mine[part].tobytes() == its[part].tobytes() for part in mine)
    assert larger.parameters["intercept"][3] == -4.0
    assert np.diagonal(larger.cov())[[3 * D, 4 * D + 3]].tolist() == [5.0, 5.0]
    p, q = flt.predict(U), larger.predict(U)
    assert q.shape == (N, 4)
    assert (q[:, 3] < 0.1).all()
    assert np.allclose(q[:, :3] / q[:, :3].sum(axis=1, keepdims=True), p, rtol=1e-12)
    larger.update_many(U[:40], np.full(40, 3.0))
    assert (larger.predict(U)[:, 3] > q[:, 3]).all()


@pytest.mark.parametrize("dense", [False, True])
def test_a_new_class_whose_prior_is_correlated(impl, dense):
    """It is what a filter of these classes from the start would be. Control: the variances alone."""
    rng = np.random.default_rng(3)
    block = np.cov(rng.normal(size=(D + 1, 9)))
    old = np.kron(np.eye(3), block) if dense else 2.0
    make = lambda k, prior: impl.Filter(impl.Linear(D, k), impl.Gaussian(0.3), belief=impl.Full(prior))  # noqa: E731
    keep = np.concatenate([np.arange(3 * D), 4 * D + np.arange(3)])
    order = np.concatenate([np.arange(k * D, (k + 1) * D).tolist() + [3 * D + k] for k in range(3)])
    prior = np.zeros((12, 12))
    prior[np.ix_(order, order)] = old if dense else 2 * np.eye(12)
    U, y = rows()
    Y = np.column_stack([y, -y, y**2])
    flt = make(3, prior if dense else old)
    flt.update_many(U[:60], Y[:60])
    new = np.setdiff1d(np.arange(16), keep)
    whole = np.zeros((16, 16))
    whole[np.ix_(keep, keep)], whole[np.ix_(new, new)] = prior, block
    start = make(4, whole)
    start.update_many(U[:60], np.column_stack([Y[:60], np.full(60, np.nan)]))
    Y = np.column_stack([Y, y - 1])
    start.update_many(U[60:], Y[60:])

    def error(value):
        larger = flt.add_outputs(1, prior_variance=value)
        larger.update_many(U[60:], Y[60:])
        return theta_error(larger.theta, start.theta, start.cov()), covariance_error(larger.cov(), start.cov())

    assert max(error(block)) < TOLERANCE
    assert max(error(np.diag(block))) > CONTROL * TOLERANCE
    for wrong in (block[:2], np.zeros((4, 4)), -block):
        with pytest.raises(errors.KfngError):
            flt.add_outputs(1, prior_variance=wrong)
    with pytest.raises(errors.KfngError):
        impl.Filter(impl.Linear(D, 3), impl.Gaussian(0.3), belief=impl.Diagonal()).add_outputs(1, prior_variance=block)


@pytest.mark.parametrize("rule", [None, 30])
@pytest.mark.parametrize("prior", [2.0, [1.0, 2.0, 3.0, 4.0], np.eye(4) * 2 + 0.5], ids=["number", "vector", "matrix"])
def test_a_bernoulli_filter_as_two_classes(impl, rule, prior):
    """The same as two classes from the start, each with half of the prior variance.

    With forgetting the sum of the two logits, which no row excites, is what the wind-up guard would act on.
    """
    U, y = rows("bernoulli")
    half = N // 2
    same = {} if rule is None else {"rule": impl.Fading(half_life=rule), "guards": impl.Guards(windup=None)}
    one = impl.Filter(impl.Linear(D), impl.Bernoulli(), belief=impl.Full(prior), **same)
    one.update_many(U[:half], y[:half])
    two = _grow.as_categorical(one)
    assert np.allclose(two.predict(U)[:, 1], one.predict(U), rtol=1e-12)
    one.update_many(U[half:], y[half:])
    two.update_many(U[half:], y[half:])
    assert np.allclose(two.predict(U)[:, 1], one.predict(U), rtol=1e-9)
    assert two.n_updates == one.n_updates
    if np.ndim(prior) == 0 and rule is None:
        start = impl.Filter(impl.Linear(D, 2), impl.Categorical(2), belief=impl.Full(prior / 2))
        start.update_many(U, y)
        assert theta_error(two.theta, start.theta, start.cov()) < TOLERANCE
        assert covariance_error(two.cov(), start.cov()) < TOLERANCE


def test_a_diagonal_bernoulli_filter_as_two_classes(impl):
    U, y = rows("bernoulli")
    one = impl.Filter(impl.Linear(D), impl.Bernoulli(), belief=impl.Diagonal(2.0))
    one.update_many(U, y)
    two = _grow.as_categorical(one)
    for a, b in zip(two.predict(U, return_std=True), one.predict(U, return_std=True), strict=True):
        assert np.allclose(a[:, 1], b, rtol=1e-12)


REFUSED = {
    "external": lambda impl: impl.Filter(impl.External(D, 1), impl.Gaussian()),
    "sparse sensitivity": lambda impl: impl.Filter(impl.RNN(D, 2, 1), impl.Gaussian(), sensitivity=impl.SnAp(1)),
    "unknown start": lambda impl: impl.Filter(impl.RNN(D, 2, 1), impl.Gaussian(), state_prior=1.0),
    "natural gradient": lambda impl: impl.Filter(impl.Linear(D), impl.Gaussian(), rule=impl.NaturalGradient(0.1)),
    "matrix of noise": lambda impl: impl.Filter(impl.Linear(D), impl.Gaussian(), rule=impl.ProcessNoise(np.ones(4))),
}


NETWORKS = {
    "mlp": lambda impl, d: impl.MLP([d, 4, 1]),
    "deep": lambda impl, d: impl.MLP([d, 4, 3, 1], "relu"),
    "rnn": lambda impl, d: impl.RNN(d, 3, 1, input_center=np.append([1.0, 0, 2], np.zeros(d - D)), input_scale=np.full(d, 1.0)),
    "gru": lambda impl, d: impl.GRU(d, 2, 1),
    "lstm": lambda impl, d: impl.LSTM(d, 2, 1),
    "lru": lambda impl, d: impl.LRU(d, 2, 1),
    "state space": lambda impl, d: impl.LinearStateSpace(d, 2, 1),
}  # fmt: skip


@pytest.mark.parametrize("belief", ["Full", "Diagonal"])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_is_one_that_had_the_features_from_the_start(impl, name, belief):
    """Whose weights begin at 0. Control: another prior of theirs."""
    n, U, y = 60, np.hstack([rows()[0], np.zeros((N, 2))]), rows()[1]
    U[n // 2 :, D:] = np.random.default_rng(5).normal(size=(N - n // 2, 2))
    small = NETWORKS[name](impl, D)
    flt = impl.Filter(small, impl.Gaussian(0.3), belief=getattr(impl, belief)(0.5), feature_names=list("abc"))
    large = NETWORKS[name](impl, D + 2)
    theta, own = np.zeros(large.n_parameters), small.split(flt.theta.copy())
    for part, numbers in large.split(theta).items():
        numbers[(..., *(slice(0, size) for size in own[part].shape[-1:]))] = own[part]
    start = impl.Filter(large, impl.Gaussian(0.3), belief=getattr(impl, belief)(0.5), theta=theta)
    flt.update_many(U[: n // 2, :D], y[: n // 2])
    start.update_many(U[:n], y[:n])

    def error(**prior):
        grown = flt.add_features(2, names=["d", "e"], **prior)
        grown.update_many(U[n // 2 : n], y[n // 2 : n])
        return np.abs(grown.theta - start.theta).max() + np.abs(grown.cov() - start.cov()).max()

    assert error() < TOLERANCE
    assert error(prior_variance=2.0) > CONTROL * TOLERANCE
    assert flt.add_features(1, names=["d"]).settings.feature_names == ("a", "b", "c", "d")


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("name", ["full", "diagonal", "learned", "towards", "fading", "mlp"])
def test_a_bank_grows_as_its_filters_do(impl, name, shared):
    one = FILTERS[name](impl) if name in FILTERS else impl.Filter(impl.MLP([D, 3, 1]), impl.Gaussian(0.3))
    bank = impl.Bank._made(one.settings)
    U, y = rows("bernoulli" if name == "fading" else "gaussian")
    keys = [f"k{i % 5}" for i in range(N)]
    times = np.arange(N, dtype=float)
    bank.update(keys[:70], U[:70], y[:70], time=times[:70])
    if shared:
        bank.share_prior()
        bank.update(["new"], U[:1], y[:1], time=[70.0])
    prior = {} if name == "mlp" else {"prior_variance": [0.5, 3.0]}
    grown = bank.add_features(2, **prior)
    assert grown.keys() == bank.keys()
    filters = {key: bank[key].add_features(2, **prior) for key in bank}
    more = np.hstack([U, np.random.default_rng(7).normal(size=(N, 2))])
    for key, flt in filters.items():
        assert grown[key]._to_bytes() == flt._to_bytes()
    grown.update(keys[70:], more[70:], y[70:], time=times[70:] + 1)
    late = ["late"] * 3
    grown.update(late, more[:3], y[:3], time=times[-3:] + 5)
    for key, flt in filters.items():
        own = [i for i in range(70, N) if keys[i] == key]
        last = max((i for i in range(70) if keys[i] == key), default=0)
        flt.update_many(more[own], y[own], dt=np.diff([times[last], *(times[own] + 1)]))
        assert grown[key]._to_bytes() == flt._to_bytes()
    assert grown["late"].settings.p == filters["k0"].settings.p
    assert pickle.loads(pickle.dumps(grown)).theta(["k0"]).tolist() == grown.theta(["k0"]).tolist()
    assert len(bank["k0"].theta) < len(grown["k0"].theta)
    assert impl.Bank._made(one.settings).add_features(1).keys() == []
    with pytest.raises(errors.UnsupportedError):
        impl.Bank._made(one.settings, max_keys=3).add_features(1)


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_grow(impl, name):
    flt = REFUSED[name](impl)
    for grow in (flt.add_features, flt.add_outputs):
        with pytest.raises(errors.UnsupportedError):
            grow(1)


def test_bad_arguments(impl):
    flt = learned(impl, "full")
    for n in (0, -1, 1.5, True, 10**9):
        with pytest.raises(errors.ParameterError):
            flt.add_features(n)
    for prior in (0.0, -1.0, np.nan, [1.0, 2.0], "x"):
        with pytest.raises(errors.KfngError):
            flt.add_features(1, prior_variance=prior)
    with pytest.raises(errors.UnsupportedError):
        impl.Filter(impl.Linear(D), impl.Bernoulli()).add_outputs(1)
    with pytest.raises(errors.UnsupportedError):
        _grow.as_categorical(flt)
    with pytest.raises(errors.ShapeError):
        impl.Filter(impl.Linear(D, 3), impl.Categorical(3)).add_outputs(1, level=[1.0, 2.0])


# -- in the memory of the smaller filter


def grown_anew(flt, n, prior):
    """Growth as equations have it: the state of the smaller filter placed in that of a fresh larger one."""
    return _grow._grown(flt, *_grow.with_features(flt.settings, n, prior, None))


def same_bits(a, b):
    mine, other = a._state(), b._state()
    return mine.keys() == other.keys() and all(np.array_equal(mine[name], other[name]) for name in mine)


@pytest.mark.parametrize("d", [2, 14, 15, 40])
@pytest.mark.parametrize("case", ["plain", "float32", "no intercept", "dense prior", "fading", "noise"])
def test_a_filter_that_grows_in_its_own_memory_has_the_same_bits(d, case):
    rng = np.random.default_rng(d)
    A = rng.normal(size=(d + 1, d + 1))
    flt = kfng.Filter(
        kfng.Linear(d, intercept=case != "no intercept"),
        kfng.Gaussian(),
        belief=kfng.Full(A @ A.T / d + np.eye(d + 1) if case == "dense prior" else 2.0),
        rule={"fading": kfng.Fading(half_life=30), "noise": kfng.ProcessNoise(1e-3)}.get(case),
        dtype="float32" if case == "float32" else "float64",
    )
    flt.update_many(rng.normal(size=(50, d)), rng.normal(size=50))
    for step, n in enumerate((1, 2, 16, 1)):
        prior = 0.5 + np.arange(n) + step
        before, anew, copy = flt.copy(), grown_anew(flt, n, prior), flt.add_features(n, prior_variance=prior)
        grown, back = _grow.taken(flt, n, prior)
        assert same_bits(grown, anew)
        assert same_bits(copy, anew)
        assert not same_bits(anew, before)
        with pytest.raises(errors.UnsupportedError, match="took over"):
            _ = flt.theta
        flt = back()
        assert same_bits(flt, before)
        flt, _ = _grow.taken(flt, n, prior)
        U, y = rng.normal(size=(30, flt.settings.model.n_features)), rng.normal(size=30)
        for u, target in zip(U[:5], y[:5], strict=True):
            assert flt.update(u, target).nll == anew.update(u, target).nll
        flt.update_many(U[5:], y[5:])
        anew.update_many(U[5:], y[5:])
        assert same_bits(flt, anew)
        assert same_bits(pickle.loads(pickle.dumps(flt)), anew)


@pytest.mark.parametrize("case", ["two outputs", "diagonal", "towards"])
def test_others_are_made_anew_and_stay(case):
    flt = learned(kfng, case)
    grown, back = _grow.taken(flt, 1, 2.0)
    assert same_bits(grown, grown_anew(flt, 1, 2.0))
    assert back() is flt
    assert flt.n_updates == grown.n_updates


def test_a_refused_growth_changes_nothing():
    flt = learned(kfng, "full")
    before = flt.copy()
    for prior in (-1.0, [1.0, 2.0], np.nan):
        with pytest.raises(errors.KfngError):
            _grow.taken(flt, 1, prior)
    with pytest.raises(errors.UnsupportedError):  # which the core sees: another law has another state
        flt._resized(FILTERS["learned"](kfng).settings)
    assert same_bits(flt, before)


def test_threads_that_hold_the_smaller_filter_are_told():
    flt = kfng.Filter(kfng.Linear(400), kfng.Gaussian(0.3))
    U, y = np.random.default_rng(0).normal(size=(3000, 400)), np.zeros(3000)
    refused = []

    def feed():
        try:
            flt.update_many(U, y, trace=False)
        except errors.UnsupportedError as error:
            refused.append(error)

    thread = threading.Thread(target=feed)
    thread.start()
    while not flt.n_updates:
        time.sleep(0.001)
    grown, _ = _grow.taken(flt, 1, None)
    thread.join()
    n = grown.n_updates
    assert (len(refused) == 1) == (n < 3000)
    twin = kfng.Filter(kfng.Linear(400), kfng.Gaussian(0.3))
    twin.update_many(U[:n], y[:n])
    assert same_bits(grown, grown_anew(twin, 1, None))


def test_growing_asks_for_no_memory_of_the_size_of_p():
    flt = kfng.Filter(kfng.Linear(1000), kfng.Gaussian(0.3))

    def peak(grow):
        tracemalloc.start()
        grow()
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    anew = peak(lambda: grown_anew(flt, 1, 1.0))
    least = 8 * 1000 * 1000 // 2
    assert anew > least  # the control
    assert peak(lambda: _grow.taken(flt, 1, 1.0)) < least / 8


def test_a_prior_with_covariances_is_factored_once(monkeypatch):
    """Of what is added to it variances are looked at alone; the control adds a matrix."""
    flt, factored, cholesky = learned(kfng, "dense prior"), [], np.linalg.cholesky
    monkeypatch.setattr(np.linalg, "cholesky", lambda A: factored.append(len(A)) or cholesky(A))
    grown, _ = _grow.taken(flt, 1, 2.0)
    grown, _ = _grow.taken(grown, 2, [3.0, 4.0])
    assert not factored
    assert np.array_equal(grown.settings.belief.prior_variance[-4:-1, -4:-1], np.diag([2.0, 3.0, 4.0]))
    for wrong in (-1.0, 0.0, [1.0, -1.0]):
        with pytest.raises(errors.ParameterError):
            _grow.taken(grown, np.size(wrong), wrong)
    grown.add_features(2, prior_variance=np.eye(2) + 0.5)
    assert factored == [9]
    with pytest.raises(errors.NotPositiveDefiniteError):
        grown.add_features(2, prior_variance=np.eye(2) + 5.0 * (1 - np.eye(2)))
