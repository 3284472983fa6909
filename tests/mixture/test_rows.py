"""One row at a time, batched, cut anywhere, as sequences: the same bits; and a row that is refused was never there."""

import numpy as np
import pytest
from mixture.mixtures import KINDS, NAN, bits, make, same_trace, stream

N = 90
"""More than the first piece of update_many."""


@pytest.mark.parametrize("forgetting", [0.0, 0.03])
@pytest.mark.parametrize("kind", KINDS)
def test_one_by_one_and_batched(impl, kind, forgetting):
    one, many, cut = (make(impl, kind, forgetting=forgetting) for _ in range(3))
    U, Y, weight, dt = stream(kind)
    trace = many.update_many(U, Y, weight=weight, dt=dt)
    for i in range(len(U)):
        step = one.update(U[i], Y[i], weight=weight[i], dt=dt[i])
        for name in ("prediction", "std", "nll", "weights", "skipped", "clipped"):
            np.testing.assert_array_equal(getattr(step, name), getattr(trace, name)[i], err_msg=name)
    assert bits(one) == bits(many)
    pieces = [cut.update_many(*(part[a:b] for part in (U, Y)), weight=weight[a:b], dt=dt[a:b])
              for a, b in ((0, 0), (0, 1), (1, 30), (30, 60))]  # fmt: skip
    assert bits(cut) == bits(many)
    for name in ("prediction", "std", "nll", "weights"):
        np.testing.assert_array_equal(np.concatenate([getattr(p, name) for p in pieces]), getattr(trace, name))
    same_trace(trace[10:20], pieces[2][9:19])


def test_more_rows_than_a_piece(impl):
    n = 3000 if impl.__name__ == "kfng" else 300
    rng = np.random.default_rng(3)
    U, Y = rng.normal(size=(n, 3)), rng.normal(size=n)
    one, many = make(impl, "half-lives", forgetting=0.01), make(impl, "half-lives", forgetting=0.01)
    done = []
    trace = many.update_many(U, Y, progress=lambda i, total: done.append((i, total)))
    weights = [one.update(u, y).weights for u, y in zip(U, Y, strict=True)]
    np.testing.assert_array_equal(trace.weights, weights)
    assert bits(one) == bits(many)
    assert done[-1] == (n, n)
    assert len(done) > 1
    assert make(impl, "half-lives").update_many(U[:50], Y[:50], trace=False) is None


def test_arguments_of_a_row(impl):
    """Lists, numbers, rows by name, offsets; NaN in u of a row without y."""
    filters = [
        impl.Filter(impl.Linear(2), impl.Gaussian(), feature_names=["a", "b"], belief=impl.Full(v)) for v in (1, 9)
    ]
    mixture, other = impl.Mixture(filters), impl.Mixture(filters)
    mixture.update({"b": 2.0, "a": 1.0}, 3, offset=0.5)
    other.update_many([[1, 2]], [3], offset=[0.5])
    assert bits(mixture) == bits(other)
    step = mixture.update([NAN, 1.0], NAN)
    assert step.skipped
    assert np.isnan(step.prediction)
    assert np.isnan(step.std)
    assert np.isnan(step.nll)
    trace = other.update_many([[NAN, 1.0]], [NAN])
    assert np.isnan(trace.prediction[0])
    assert np.isnan(trace.std[0])
    assert bits(mixture) == bits(other)
    assert "Mixture of 2 filters" in repr(mixture)
    assert "1 rows and 2 filters, 1 skipped" in repr(trace)


REFUSED = {
    "the last filter's range": ("positive", {"Y": -1.0}, "ParameterError", "y"),
    "the last filter's precision": ("precisions", {"U": 1e40}, "NonFiniteError", "u"),
    "u": ("half-lives", {"U": NAN}, "NonFiniteError", "u"),
    "weight": ("half-lives", {"weight": -1.0}, "ParameterError", "weight"),
    "overflow": ("priors", {"U": 1e200}, "NonFiniteError", "u"),
    "dt": ("gradients", {"dt": 0.5}, "ParameterError", "dt"),
    "a memory": ("memories", {"U": -np.inf}, "NonFiniteError", "u"),
}


def spoiled(kind, change, at):
    rows = dict(zip(("U", "Y", "weight", "dt"), stream(kind, n=N), strict=True))
    for name, value in change.items():
        rows[name][at] = value
    return rows["U"], rows["Y"], rows["weight"], rows["dt"]


@pytest.mark.parametrize("at", [0, 1, 17, 89])
@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_row_in_a_batch(impl, name, at):
    kind, change, error, argument = REFUSED[name]
    U, Y, weight, dt = spoiled(kind, change, at)
    weight[at] = weight[at] or 1.0
    mixture, twin = make(impl, kind, forgetting=0.01), make(impl, kind, forgetting=0.01)
    with pytest.raises(getattr(impl, error)) as caught:
        mixture.update_many(U, Y, weight=weight, dt=dt)
    assert (caught.value.argument, caught.value.row) == (argument, at)
    trace = twin.update_many(U[:at], Y[:at], weight=weight[:at], dt=dt[:at])
    same_trace(caught.value.trace, trace)
    assert bits(mixture) == bits(twin)
    mixture.update_many(U[at + 1 :], Y[at + 1 :], weight=weight[at + 1 :], dt=dt[at + 1 :])
    twin.update_many(U[at + 1 :], Y[at + 1 :], weight=weight[at + 1 :], dt=dt[at + 1 :])
    assert bits(mixture) == bits(twin)


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_row_alone(impl, name, monkeypatch):
    """After some rows alone, more than a mark's worth of them, and after a batch."""
    monkeypatch.setattr("kfng._mixture_undo.ROWS", 16)
    kind, change, error, argument = REFUSED[name]
    U, Y, weight, dt = spoiled(kind, change, 0)
    good = [part[1:] for part in (U, Y, weight, dt)]
    mixture = make(impl, kind)

    def refuse():
        before = bits(mixture)
        with pytest.raises(getattr(impl, error)) as caught:
            mixture.update(U[0], Y[0], weight=weight[0] or 1.0, dt=dt[0])
        assert caught.value.argument == argument
        assert bits(mixture) == before

    refuse()
    for i in range(40):
        mixture.update(good[0][i], good[1][i], weight=good[2][i], dt=good[3][i])
        if i in (0, 14, 15, 16, 39):
            refuse()
    mixture.update_many(*good[:2], weight=good[2], dt=good[3], trace=False)
    refuse()
    twin = make(impl, kind)
    for i in range(40):
        twin.update(good[0][i], good[1][i], weight=good[2][i], dt=good[3][i])
    twin.update_many(*good[:2], weight=good[2], dt=good[3], trace=False)
    assert bits(mixture) == bits(twin)


@pytest.mark.parametrize(
    "name", ["the last filter's range", "the last filter's precision", "u", "overflow", "a memory"]
)
def test_skipped_rows_were_never_there(impl, name):
    kind, change, _, _ = REFUSED[name]
    at = [0, 3, 4, 70, 88, 89]
    U, Y, weight, dt = spoiled(kind, change, at)
    weight[at] = 1.0
    mixture, twin = make(impl, kind, forgetting=0.01), make(impl, kind, forgetting=0.01)
    trace = mixture.update_many(U, Y, weight=weight, dt=dt, on_bad_row="skip")
    rest = np.setdiff1d(np.arange(N), at)
    own = twin.update_many(U[rest], Y[rest], weight=weight[rest], dt=dt[rest])
    for field in ("prediction", "std", "nll", "weights"):
        np.testing.assert_array_equal(getattr(trace, field)[rest], getattr(own, field))
        assert np.isnan(getattr(trace, field)[at]).all()
    assert trace.skipped[at].all()
    np.testing.assert_array_equal(mixture.weights, twin.weights)
    for flt, other in zip(mixture.filters, twin.filters, strict=True):
        np.testing.assert_array_equal(flt.theta, other.theta)
        assert flt.health()["skipped"] == len(at)


@pytest.mark.parametrize("lengths", [[20, 0, 30, 10], [60], [0, 60, 0], [1] * 60])
def test_sequences(impl, lengths):
    U, Y, weight, dt = stream("memories")
    mixture, twin, alone = (make(impl, "memories") for _ in range(3))
    one = alone.filters[0]
    mixture.update_many(U, Y, lengths=lengths, trace=False)
    start = 0
    for length in lengths:
        twin.reset_state()
        for i in range(start, start + length):
            twin.update(U[i], Y[i])
        start += length
    assert bits(mixture) == bits(twin)
    one.update_many(U, Y, lengths=lengths)
    assert one._to_bytes() == mixture.filters[0]._to_bytes()


@pytest.mark.parametrize("at", [0, 19, 20, 21, 59])
@pytest.mark.parametrize("skip", [False, True])
def test_a_refused_row_in_sequences(impl, at, skip):
    U, Y, _, _ = stream("memories")
    Y[at] = 0.5
    U[at] = NAN
    mixture, lengths = make(impl, "memories"), [20, 0, 30, 10]
    one = mixture.filters[0]
    for learner in (mixture, one):
        if skip:
            learner.update_many(U, Y, lengths=lengths, on_bad_row="skip")
        else:
            with pytest.raises(impl.NonFiniteError):
                learner.update_many(U, Y, lengths=lengths)
    assert one._to_bytes() == mixture.filters[0]._to_bytes()


def test_an_interrupt_leaves_whole_pieces(impl, monkeypatch):
    """Ctrl-C between the filters of a piece: no filter is ahead of another."""
    n = 1000 if impl.__name__ == "kfng" else 150
    U, Y, _, _ = stream("half-lives", n=n)
    mixture, twin, done = make(impl, "half-lives"), make(impl, "half-lives"), []
    run = impl.Filter._run

    def interrupted(self, *arguments, **options):
        if self is mixture._filters[1] and done == [64]:
            done.append("interrupted")
            raise KeyboardInterrupt
        return run(self, *arguments, **options)

    monkeypatch.setattr(impl.Filter, "_run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        mixture.update_many(U, Y, progress=lambda i, n: done.append(i))
    assert done == [64, "interrupted"]
    twin.update_many(U[:64], Y[:64], trace=False)
    assert bits(mixture) == bits(twin)
    for each in (mixture, twin):
        each.update_many(U[64:], Y[64:], trace=False)
    assert bits(mixture) == bits(twin)
