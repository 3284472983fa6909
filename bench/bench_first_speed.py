"""One call and one stream, linear Gaussian, float64, one thread: kfng with guards, predictions and predictive sd on."""

import numpy as np
import pytest
from peers import ThreeLiner
from timing import interleave

import kfng
from kfng import reference

ROUNDS = 31
CALLS = {10: 400, 100: 200, 1000: 20}
ROWS = {10: 20000, 100: 4000, 1000: 400}


def problem(p: int, n: int):
    rng = np.random.default_rng(p)
    X = rng.normal(size=(n, p))
    return X, X @ rng.normal(size=p) + rng.normal(size=n)


def filters(p: int):
    model = kfng.Linear(p, intercept=False)
    return (impl.Filter(model, kfng.Gaussian(1.0), belief=kfng.Full(10.0)) for impl in (kfng, reference))


@pytest.mark.parametrize("read", [False, True], ids=["", "prediction read"])
@pytest.mark.parametrize("p", CALLS)
def test_one_call(p, read, benchmark, comparisons):
    """`update(x, y)` from Python; its Step holds the prediction, which is then read or not."""
    n = CALLS[p]
    X, Y = problem(p, n)
    rows = [(x, float(y)) for x, y in zip(X, Y, strict=True)]
    flt, ref = filters(p)
    peer = ThreeLiner(p, 10.0)

    def loop(update, rows=rows):
        if read:
            for x, y in rows:
                _ = update(x, y).prediction
        else:
            for x, y in rows:
                update(x, y)

    def peer_loop():
        for x, y in rows:
            peer.update(x, y)

    few = rows[: max(2, n // 20)]
    contenders = {
        "kfng": (lambda: loop(flt.update), n),
        "NumPy three-liner": (peer_loop, n),
        "kfng.reference": (lambda: loop(ref.update, few), len(few)),
    }
    comparison = interleave(
        "one call, prediction read" if read else "one call", p, contenders, ROUNDS if benchmark.enabled else 2
    )
    benchmark.extra_info.update(comparison.row())
    benchmark.pedantic(contenders["kfng"][0], rounds=3)
    comparisons.append(comparison)
    check(p)


@pytest.mark.parametrize("p", ROWS)
def test_stream(p, benchmark, comparisons):
    """`update_many`, predictions and their standard deviations read."""
    n = ROWS[p]
    X, Y = problem(p, n)
    flt, ref = filters(p)
    peer = ThreeLiner(p, 10.0)

    def stream(impl, count):
        trace = impl.update_many(X[:count], Y[:count])
        return trace.prediction, trace.std

    few = max(2, n // 50)
    contenders = {
        "kfng": (lambda: stream(flt, n), n),
        "NumPy three-liner": (lambda: peer.update_many(X[: n // 4], Y[: n // 4]), n // 4),
        "kfng.reference": (lambda: stream(ref, few), few),
    }
    comparison = interleave("stream", p, contenders, ROUNDS if benchmark.enabled else 2)
    benchmark.extra_info.update(comparison.row())
    benchmark.pedantic(contenders["kfng"][0], rounds=3)
    comparisons.append(comparison)
    check(p)


def check(p: int) -> None:
    """All contenders compute the same theta."""
    X, Y = problem(p, 3 * p + 7)
    flt, _ = filters(p)
    peer = ThreeLiner(p, 10.0)
    flt.update_many(X, Y)
    peer.update_many(X, Y)
    np.testing.assert_allclose(flt.theta, peer.th, rtol=0, atol=1e-9)
