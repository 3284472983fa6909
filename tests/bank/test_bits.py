"""A bank is a dict of filters, bit for bit: every problem, however rows are cut, mixed and shared out among threads."""

from __future__ import annotations

import numpy as np
import pytest
from bank.banks import TRACE, Filters, bits, bits_of, like, same_rows
from problems import CROSSED, PROBLEMS, ROUGH

ALL = PROBLEMS | CROSSED | {name: problem for name, (problem, _) in ROUGH.items()}
ROWS = {name: problem for name, problem in ALL.items() if problem.forward is None}
KEYS = np.array([7, -3, 11, 2**40, 0])


def columns(problem, rows):
    return {name: getattr(problem.rows, name)[rows] for name in ("weight", "dt", "offset")}


def has_callables(problem, impl):
    return any(
        callable(value) and not hasattr(value, "spec") for value in vars(problem.filter(impl).settings.rule).values()
    )


def run(bank, problem, keys, rows, pieces):
    """The traces of rows in this order, in so many updates, joined."""
    traces = []
    for part in np.array_split(rows, pieces):
        traces.append(bank.update(keys[part], problem.rows.U[part], problem.rows.Y[part], **columns(problem, part)))
    return {name: np.concatenate([getattr(trace, name) for trace in traces]) for name in TRACE}


VARIANTS = {"kfng": ((1, 1), (2, 7), (7, 3), (3, 60)), "kfng.reference": ((2, 7),)}
"""Threads, and updates that the rows come in; the third by key, not as they are."""


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", ROWS)
def test_a_bank_is_a_dict_of_filters(impl, name, dtype):
    problem = ROWS[name]
    n = len(problem.rows) if impl.__name__ == "kfng" else 30  # the reference is a dict of filters by construction
    if has_callables(problem, impl):
        with pytest.raises(impl.UnsupportedError):
            like(impl, problem.filter(impl))
        return
    keys = KEYS[np.random.default_rng(1).integers(0, len(KEYS), n)]
    filters = Filters(lambda: problem.filter(impl, dtype=dtype))
    everything = np.arange(n)
    rows = filters.update(keys.tolist(), problem.rows.U, problem.rows.Y, **columns(problem, everything))
    expected = {name: np.concatenate([getattr(row, name) for row in rows]) for name in TRACE}
    sorted_by_key = np.argsort(keys, kind="stable")
    for threads, pieces in VARIANTS[impl.__name__]:
        order = sorted_by_key if threads == 7 else everything
        bank = like(impl, problem.filter(impl, dtype=dtype), num_threads=threads)
        found = run(bank, problem, keys, order, pieces)
        for part in TRACE:
            assert found[part].tobytes() == expected[part][order].tobytes(), (part, threads, pieces)
        for key, flt in filters.filters.items():
            assert bits_of(bank[key]) == bits_of(flt)
        assert len(bank) == len(filters.filters)
        read_alike(bank, filters.filters, problem)


def read_alike(bank, filters, problem):
    """Everything that is read of keys is what their filters say."""
    keys, U, family = np.array(list(filters)), problem.rows.U[: len(filters)], bank.settings.family
    assert bank.theta(keys).tobytes() == np.array([flt.theta for flt in filters.values()]).tobytes()
    assert bank.n_updates(keys).tolist() == [flt.n_updates for flt in filters.values()]
    each = [flt._outputs(u[None], 0.0) for u, flt in zip(U, filters.values(), strict=True)]
    z, C, a, b = (np.concatenate(parts) for parts in zip(*each, strict=True))
    shape = (len(z), *bank.settings.mean_shape)
    assert bank.predict(keys, U).tobytes() == family.mean(z).reshape(shape).astype(bank.settings.float).tobytes()
    if bank.settings.rule.has_posterior:
        assert bank.std(keys).tobytes() == np.array([flt.std() for flt in filters.values()]).tobytes()
        _, sd = bank.predict(keys, U, return_std=True)
        assert sd.tobytes() == family.predictive_std(z, C, a, b, True).reshape(shape).tobytes()


def test_another_row_is_another_bit(impl):
    """The control: one row of one key left out is seen in that key, and in no other."""
    problem = ROWS["gaussian"]
    keys = KEYS[np.random.default_rng(1).integers(0, len(KEYS), len(problem.rows))]
    banks = [like(impl, problem.filter(impl)) for _ in range(2)]
    for bank, rows in zip(banks, (np.arange(120), np.delete(np.arange(120), 60)), strict=True):
        run(bank, problem, keys, rows, 1)
    one, other = map(bits, banks)
    assert [key for key in one if one[key] != other[key]] == [keys[60]]


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_many_rows_of_many_keys(impl, threads):
    """Enough rows for several pieces and for threads to be worth waking."""
    n = 40_000 if impl.__name__ == "kfng" else 2_000
    rng = np.random.default_rng(3)
    keys, X = rng.integers(0, 300, n), rng.normal(size=(n, 8))
    y = X.sum(axis=1) + rng.normal(size=n)
    made = impl.Filter(impl.Linear(8), impl.Gaussian(variance=None), rule=impl.Fading(0.01))
    bank = like(impl, made, num_threads=threads)
    trace = bank.update(keys, X, y)
    for key in (0, 17, 299):
        flt, rows = made.copy(), np.flatnonzero(keys == key)
        own = flt.update_many(X[rows], y[rows])
        assert bits_of(bank[key]) == bits_of(flt)
        assert trace.prediction[rows].tobytes() == own.prediction.tobytes()
        assert trace.std[rows].tobytes() == own.std.tobytes()
    other = like(impl, made)
    assert other.update(keys, X, y, trace=False) is None
    assert (other.theta(range_of(other)) == bank.theta(range_of(other))).all()
    assert other.keys() == bank.keys() == list(dict.fromkeys(keys.tolist()))


def range_of(bank):
    return bank.keys()


def few_keys(impl):
    """Many rows of few keys, one of which has half of them; some out of the ordinary."""
    n, rng = 6_000 if impl.__name__ == "kfng" else 300, np.random.default_rng(4)
    keys = np.where(rng.random(n) < 0.5, 7, rng.integers(0, 40, n))
    X, y = rng.normal(size=(n, 5)), rng.normal(size=n)
    y[rng.random(n) < 0.03] = np.nan
    return keys, X, y, {"weight": rng.choice([0.0, 0.5, 1.0], n, p=[0.02, 0.08, 0.9]), "dt": rng.choice([1.0, 2.5], n)}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_many_rows_of_few_keys(impl, dtype):
    """Keys that come often are taken key by key inside; nothing shows it."""
    keys, X, y, columns = few_keys(impl)
    made = impl.Filter(impl.Linear(5), impl.Gaussian(variance=None), rule=impl.Fading(0.02), dtype=dtype)
    for threads in (1, 3):
        bank = like(impl, made, num_threads=threads)
        trace = bank.update(keys, X, y, **columns)
        for key in np.unique(keys):
            flt, rows = made.copy(), np.flatnonzero(keys == key)
            own = flt.update_many(X[rows], y[rows], **{name: column[rows] for name, column in columns.items()})
            assert bits_of(bank[key]) == bits_of(flt)
            for name in TRACE:
                assert getattr(trace, name)[rows].tobytes() == getattr(own, name).tobytes(), name
            flt.update(X[rows[0]], 1e-9)
            assert bits_of(bank[key]) != bits_of(flt)


@pytest.mark.parametrize("threads", [1, 3])
def test_a_row_that_fails_among_many_of_few_keys(impl, threads):
    """Those before it are applied, none behind it, though other keys' rows behind it were taken first."""
    keys, X, y, _ = few_keys(impl)
    at = len(y) // 2 + 1
    X[at], y[at] = 1e200, 1.0
    made = impl.Filter(impl.Linear(5), impl.Gaussian(1.0))
    bank, other = (like(impl, made, num_threads=threads) for _ in range(2))
    with pytest.raises(impl.KfngError) as found:
        bank.update(keys, X, y)
    assert found.value.row == at == len(found.value.trace)
    other.update(keys[: at - 1], X[: at - 1], y[: at - 1])
    assert bits(bank) != bits(other)
    other.update(keys[at - 1 : at], X[at - 1 : at], y[at - 1 : at])
    assert bits(bank) == bits(other)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("d", [1, 4, 13])
def test_panels_between_everything_else(impl, d, dtype, tmp_path):
    """Keys that lie side by side from one panel to the next are what they were, whatever comes between two panels."""
    K, rng = 21, np.random.default_rng(d)
    made = impl.Filter(impl.Linear(d), impl.Gaussian(variance=None), rule=impl.Fading(0.02), dtype=dtype)
    filters, bank = Filters(made.copy), like(impl, made)

    def panel(bank, filters, K, **columns):
        X, y = rng.normal(size=(K, d)).astype(dtype), rng.normal(size=K)
        trace = bank.update_panel(X, y, **columns)
        assert same_rows(
            trace,
            filters.update(list(filters.filters)[:K], X, y, **{n: np.broadcast_to(x, K) for n, x in columns.items()}),
        )

    X, y = rng.normal(size=(K, d)).astype(dtype), rng.normal(size=K)
    assert same_rows(bank.update_panel(X, y, keys=np.arange(K)), filters.update(range(K), X, y))
    for _ in range(3):
        panel(bank, filters, K)
    assert bits(bank) == filters.bits()
    panel(bank, filters, K)
    panel(bank, filters, K, weight=rng.choice([0.0, 0.5, 1.0], K))
    panel(bank, filters, K)
    read = bank.theta(bank.keys()), bank.std(bank.keys()), bank.predict(bank.keys(), X)
    assert [part.tobytes() for part in read[:2]] == [
        np.array([getattr(flt, name) if name == "theta" else flt.std() for flt in filters.filters.values()]).tobytes()
        for name in ("theta", "std")
    ]
    panel(bank, filters, K)
    keys = [3, K + 5, 3, 20]  # one of them new
    assert same_rows(bank.update(keys, X[:4], y[:4]), filters.update(keys, X[:4], y[:4]))
    for _ in range(2):
        panel(bank, filters, K + 1)
    bank.save(tmp_path / "bank.kfng")
    bank = impl.load(tmp_path / "bank.kfng")
    panel(bank, filters, K + 1)
    bank.drop([7])
    del filters.filters[7]
    panel(bank, filters, K)
    assert bits(bank) == filters.bits()


def test_a_panel_that_fails_leaves_the_rows_before_it(impl):
    K, X, y = 50, np.ones((50, 3)), np.ones(50)
    made = impl.Filter(impl.Linear(3), impl.Gaussian(variance=0.5))
    for fatal in (0, 5, 8, 29, 49):
        bank, filters, bad = like(impl, made), Filters(made.copy), X.copy()
        bank.update_panel(X, y, keys=np.arange(K))
        bank.update_panel(X, y)
        bad[fatal] = 1e200
        with pytest.raises(impl.NonFiniteError) as caught:
            bank.update_panel(bad, y)
        assert caught.value.row == len(caught.value.trace) == fatal
        for rows in (X, X, X[:fatal]):
            filters.update(range(len(rows)), rows, y)
        assert bits(bank) == filters.bits()


@pytest.mark.parametrize("kind", ["linear", "mlp"])
def test_a_panel_is_an_update_of_every_key(impl, kind):
    model = impl.Linear(4) if kind == "linear" else impl.MLP([4, 3, 1])
    made = impl.Filter(model, impl.Gaussian(variance=0.5), rule=impl.Fading(0.02))
    K, rng = 37, np.random.default_rng(5)
    for threads in (1, 2):
        bank, twin = like(impl, made, num_threads=threads), like(impl, made)
        names = [f"k{i}" for i in range(K)]
        for _ in range(3):
            X, y, w = rng.normal(size=(K, 4)), rng.normal(size=K), rng.choice([0.0, 0.5, 1.0], K)
            y[::7] = np.nan
            trace = bank.update_panel(X, y, keys=names, weight=w, dt=0.5)
            other = twin.update(names, X, y, weight=w, dt=0.5)
            assert same_rows(trace, [other])
        X, y = rng.normal(size=(K, 4)), rng.normal(size=K)
        assert same_rows(bank.update_panel(X, y), [twin.update(twin.keys(), X, y)])
        assert bits(bank) == bits(twin)
