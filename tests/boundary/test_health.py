"""Each counter of health() has a stream that raises it and one that does not."""

from __future__ import annotations

import numpy as np
import pytest
from boundary.filters import fed, make, stream

COUNTERS = (
    "n_seen", "n_updates", "missing", "skipped", "clipped", "clamped", "windup", "floored", "winsorised", "downweighted"
)  # fmt: skip
U3 = [0.1, 0.2, 0.3]


def quiet(impl):
    """A stream on which no guard acts."""
    return fed(impl, "gaussian")


def test_a_quiet_stream_raises_none(impl):
    health = quiet(impl).health()
    gauges = {"mean_nis", "mean_nis_low", "mean_nis_high", "coverage", "coverage_low", "coverage_high"}
    assert set(health) == {*COUNTERS, *gauges, "rho_max", "min_pivot_ratio"}
    assert {name: health[name] for name in COUNTERS} == dict.fromkeys(COUNTERS, 0) | {"n_seen": 40, "n_updates": 40}
    assert {type(health[name]) for name in COUNTERS} == {int}


def test_missing(impl):
    flt = quiet(impl)
    flt.update(U3, np.nan)
    flt.update(U3, 1.0, weight=0.0)
    health = flt.health()
    assert (health["n_seen"], health["n_updates"], health["missing"]) == (42, 40, 1)


def test_skipped(impl):
    flt, (U, Y) = quiet(impl), stream("gaussian")
    U[3:6] = np.nan
    flt.update_many(U, Y, on_bad_row="skip")
    assert flt.health()["skipped"] == 3
    assert flt.health()["n_seen"] == 77


@pytest.mark.parametrize(("kind", "clip"), [("poisson", 1.0), ("bernoulli", 4.0)])
def test_clipped(impl, kind, clip):
    y = {"poisson": 1e4, "bernoulli": 1.0}[kind]
    start = {"belief": impl.Full(100.0), "theta": [0.0, 0.0, 0.0, -10.0]}
    flt, free = make(impl, kind, **start), make(impl, kind, **start, guards=impl.Guards(step_clip=None))
    u = np.array([1.0, 2.0, 3.0])
    step, other = flt.update(u, y), free.update(u, y)
    assert step.clipped
    assert not other.clipped
    assert flt.health()["clipped"] == 1
    assert free.health()["clipped"] == 0
    dz = np.append(u, 1.0)
    assert dz @ flt.theta + 10 == pytest.approx(clip, rel=1e-12)
    assert dz @ free.theta + 10 > 1.01 * clip
    np.testing.assert_allclose(flt.cov(), free.cov(), rtol=1e-14)  # P is never scaled


@pytest.mark.parametrize(
    ("kind", "dtype", "clamp"),
    [("poisson", "float64", 300.0), ("poisson", "float32", 40.0), ("bernoulli", "float64", 30.0)],
)
def test_clamped(impl, kind, dtype, clamp):
    flt = fed(impl, kind, dtype=dtype)
    mean = {"poisson": np.exp, "bernoulli": lambda z: 1 / (1 + np.exp(-z))}[kind]
    before = flt.health()["clamped"]
    step = flt.update(np.zeros(3), np.nan, offset=clamp / 2)
    assert flt.health()["clamped"] == before == 0
    step = flt.update(np.zeros(3), np.nan, offset=-1e6)
    assert flt.health()["clamped"] == 1
    assert step.prediction == pytest.approx(mean(-clamp), rel=1e-6)
    assert flt.predict(np.zeros((1, 3)), offset=-1e6)[0] == pytest.approx(mean(-clamp), rel=1e-6)
    assert flt.health()["clamped"] == 1  # reading counts nothing
    off = fed(impl, kind, dtype=dtype, guards=impl.Guards(z_clamp=None))
    off.update(np.zeros(3), np.nan, offset=-clamp - 5)
    assert off.health()["clamped"] == 0


def test_windup(impl):
    U, Y = np.zeros((200, 3)), np.ones(200)
    for windup, acts in ((4.0, True), (None, False)):
        flt = make(impl, "fading", guards=impl.Guards(windup=windup))
        flt.update_many(U, Y)
        assert (flt.health()["windup"] > 0) is acts
    assert flt._covariance()[0, 0] > 1000.0  # without the guard
    still = make(impl, "gaussian")
    still.update_many(U, Y)
    assert still.health()["windup"] == 0


def test_floored(impl):
    """y is exactly linear in a large level: the learned variance falls below 1e-9 of the variance of y."""
    rng = np.random.default_rng(0)
    U = rng.normal(size=(4000, 1))
    for floor, acts in ((1e-9, True), (1e-3, True), (None, False), (0.0, False)):
        flt = impl.Filter(
            impl.Linear(1),
            impl.Gaussian(None, prior_scale=1e-6),
            belief=impl.Full(1e12),
            guards=impl.Guards(r_floor=floor),
        )
        trace = flt.update_many(U[:200], 3.0 * U[:200, 0])
        assert (flt.health()["floored"] > 0) is acts
        variance = flt.noise_variance[0]
        assert (variance > 1e-10) is acts
        assert np.isfinite(trace.nll[1:]).all()


def test_gauges(impl):
    flt = quiet(impl)
    health = flt.health()
    assert 0.5 < health["mean_nis"] < 3.0
    assert health["rho_max"] > 1.0
    assert 0.1 < health["min_pivot_ratio"] <= 1.0
    near = make(impl, "gaussian", d=2)
    for x in np.random.default_rng(0).normal(size=50):
        near.update([x, x * (1 + 1e-7)], x)  # two columns that are nearly one
    assert near.health()["min_pivot_ratio"] < 0.05
    assert np.isnan(make(impl, "gaussian").health()["mean_nis"])
