"""Forgetting without excitation: columns of a binary stream that say nothing for half of it."""

from __future__ import annotations

import numpy as np
import pytest

N, D = 1500, 6
RATES = (0.01, 0.03, 0.1)


@pytest.fixture(scope="module")
def stream():
    """Three columns are constant for the first half; y is binary with an even mean."""
    rng = np.random.default_rng(8)
    U = rng.normal(size=(N, D))
    U[: N // 2, 3:] = [0.0, 1.0, -2.0]
    z = U @ np.array([1.0, -0.5, 0.0, 1.0, -1.0, 0.5])
    return U, (rng.random(N) < 1 / (1 + np.exp(-z))).astype(np.float64)


@pytest.fixture(scope="module")
def runs(stream):
    """Every filter of this file, once: (impl, rate, dtype) -> filter, trace, largest variance over its prior."""
    return {}


def run(runs, impl, stream, lam, dtype="float64"):
    key = (impl.__name__, lam, dtype)
    if key not in runs:
        U, y = stream
        flt = impl.Filter(impl.Linear(D), impl.Bernoulli(), rule=impl.Fading(lam), belief=impl.Full(2.0), dtype=dtype)
        largest, traces = 0.0, []
        for rows in np.split(np.arange(N), range(7, N, 7)):
            traces.append(flt.update_many(U[rows], y[rows]))
            largest = max(largest, float(np.max(flt.std() ** 2)) / 2.0)
        runs[key] = flt, np.concatenate([trace.nll_plugin for trace in traces]), largest
    return runs[key]


@pytest.mark.parametrize("lam", RATES)
def test_finite_and_bounded(impl, runs, stream, lam):
    flt, nll, largest = run(runs, impl, stream, lam)
    assert np.isfinite(flt.theta).all()
    assert np.isfinite(nll).all()
    assert largest <= 4.0
    assert flt.health()["windup"] > 0


@pytest.mark.parametrize("lam", RATES)
def test_log_loss_stays_sane(impl, runs, stream, lam):
    """In each tenth of the stream no worse than a coin by more than its noise, and better at the end of each half."""
    nll = run(runs, impl, stream, lam)[1]
    tenths = nll.reshape(10, -1).mean(axis=1)
    assert tenths.max() < 1.5 * np.log(2)
    if lam < 0.1:
        assert tenths[4] < np.log(2)
        assert tenths[9] < np.log(2)
    assert nll.max() < 30.0


def test_the_control_without_the_guard_passes_every_bound(impl, stream):
    U, y = stream
    for windup, bounded in ((None, False), (4.0, True)):
        flt = impl.Filter(impl.Linear(D), impl.Bernoulli(), rule=impl.Fading(0.1), guards=impl.Guards(windup=windup))
        flt.update_many(U[:200], y[:200])
        largest = float(flt.std().max()) ** 2
        assert (largest < 4.0) is bounded
        assert (largest < 1e6) is bounded


@pytest.mark.parametrize("lam", RATES)
def test_in_single_precision(impl, runs, stream, lam):
    flt, nll, largest = run(runs, impl, stream, lam, "float32")
    assert np.isfinite(flt.theta).all()
    assert np.isfinite(nll).all()
    assert largest <= 4.0 * (1 + 1e-5)
    double = run(runs, impl, stream, lam)[1]
    assert abs(nll.mean() - double.mean()) < 1e-3


@pytest.mark.parametrize(("dt", "n"), [(1e-3, 2000), (0.5, 500), (17.0, 60), (1e6, 10)])
@pytest.mark.parametrize("learned", [True, False])
def test_missing_rows_and_long_pauses(impl, dt, n, learned):
    """Nothing but time: however it is cut, no variance passes 4 times the prior, then a row is taken as usual."""
    flt = impl.Filter(
        impl.Linear(2),
        impl.Gaussian(None if learned else 1.0),
        rule=impl.Fading(0.1),
        belief=impl.Full([1.0, 1e-6, 1e6]),
    )
    flt.update([1.0, 2.0], 1.0)
    prior = np.array([1.0, 1e-6, 1e6])
    for _ in range(n):
        flt.update([0.0, 0.0], np.nan, dt=dt)
        assert (np.diagonal(flt._covariance()) <= 4 * prior * (1 + 1e-9)).all()
    step = flt.update([1.0, 2.0], 1.0)
    assert np.isfinite([step.prediction, step.std, *flt.theta]).all()


def test_many_silent_columns(impl):
    """A burst: most of the columns are pulled in the same row, again and again."""
    d = 60
    rng = np.random.default_rng(0)
    U = np.zeros((150, d))
    U[:, :3] = rng.normal(size=(150, 3))
    flt = impl.Filter(impl.Linear(d), impl.Gaussian(), rule=impl.Fading(0.2))
    flt.update_many(U, U[:, 0] + rng.normal(size=150))
    assert flt.health()["windup"] > 10 * (d - 4)
    assert (flt.std() ** 2 <= 4.0).all()
    np.testing.assert_array_equal(flt.parameters["weight"][0, 3:], np.zeros(d - 3))
