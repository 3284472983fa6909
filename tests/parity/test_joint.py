"""kfng.StateFilter and kfng.JointEkf against the reference: the same rows, the same numbers, the same errors."""

import inspect
import pickle

import numpy as np
import pytest
from tolerances import PARITY, covariance_error, relative_error, theta_error

from kfng import reference

N = 4
ROWS = 60
R3 = np.array([[0.5, 0.2, 0.0], [0.2, 0.4, 0.1], [0.0, 0.1, 0.6]])
FAMILIES = {
    "Gaussian": (1, lambda impl: impl.Gaussian(0.5), lambda rng: rng.normal()),
    "Gaussian of several": (3, lambda impl: impl.Gaussian(covariance=R3), lambda rng: rng.normal(size=3)),
    "GaussianMeanVariance": (2, lambda impl: impl.GaussianMeanVariance(), lambda rng: rng.normal()),
    "Bernoulli": (1, lambda impl: impl.Bernoulli(), lambda rng: float(rng.integers(2))),
    "Binomial": (1, lambda impl: impl.Binomial(), lambda rng: np.array([rng.integers(4), 3.0])),
    "Categorical": (3, lambda impl: impl.Categorical(3), lambda rng: float(rng.integers(3))),
    "Poisson": (1, lambda impl: impl.Poisson(), lambda rng: float(rng.poisson(1.5))),
    "NegativeBinomial": (1, lambda impl: impl.NegativeBinomial(0.3), lambda rng: float(rng.poisson(1.5))),
    "Gamma": (1, lambda impl: impl.Gamma(2.0), lambda rng: rng.gamma(2.0)),
}
ROOT = np.random.default_rng(8).normal(size=(N, 2)) * 0.2
RULES = {
    "Kalman": lambda impl: impl.Kalman(),
    "Fading": lambda impl: impl.Fading(half_life=20),
    "number": lambda impl: impl.ProcessNoise(0.05),
    "vector": lambda impl: impl.ProcessNoise([0.1, 0.0, 0.02, 0.0]),
    "matrix": lambda impl: impl.ProcessNoise(ROOT @ ROOT.T),
}


def start(impl, family, rule="matrix", **options):
    k, law, _ = FAMILIES[family]
    prior = 0.3 * np.eye(N) + 0.1
    return impl.StateFilter(N, k, law(impl), state_prior=prior, rule=RULES[rule](impl), **options)


def drive(flt, family, rows=ROWS, seed=0):
    """Rows with gaps, weights, times and noise of their own; the model is linear at each of them, and changes."""
    k, _, draw = FAMILIES[family]
    rng, steps = np.random.default_rng(seed), []
    for i in range(rows):
        y = np.asarray(draw(rng), dtype=float)
        if rng.random() < 0.2:
            y = np.full_like(y, np.nan)
        elif family == "Gaussian of several" and rng.random() < 0.3:
            y[rng.integers(3)] = np.nan
        F = 0.9 * np.linalg.qr(rng.normal(size=(N, N)))[0]
        H = 0.5 * rng.normal(size=(k, N))
        noise = {3: 0.1, 7: ROOT @ ROOT.T, 9: np.arange(N) / 10}.get(i)
        weight, dt = (0.0 if i == 5 else rng.uniform(0.5, 1.5)), rng.uniform(0.0, 2.0)
        s = F @ np.asarray(flt.state, dtype=np.float64) + 0.05
        steps.append(flt.update(y, s, F, None if i == 11 else H @ s, H, weight=weight, dt=dt, noise=noise))
    return steps


def same(pair, tolerance):
    mine, other = pair
    P = other.cov()
    assert theta_error(mine.state, other.state, P) < tolerance
    assert covariance_error(mine.cov(), P) < tolerance
    health = mine.health(), other.health()
    assert relative_error(health[0].pop("mean_nis"), health[1].pop("mean_nis")) < tolerance
    assert health[0] == health[1]


@pytest.mark.parametrize("dtype", PARITY)
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("family", FAMILIES)
def test_state_filters_agree(both, family, rule, dtype):
    pair = [start(impl, family, rule, dtype=dtype) for impl in both]
    seen = [drive(flt, family) for flt in pair]
    same(pair, PARITY[dtype])
    for name in ("prediction", "std", "nll", "nll_plugin", "skipped", "clipped"):
        values = [np.array([getattr(step, name) for step in steps], dtype=np.float64) for steps in seen]
        assert relative_error(*values) < 10 * PARITY[dtype], name
    assert pair[0].state.dtype == dtype
    assert any(step.skipped for step in seen[0])


def test_the_guards_act_alike(both):
    """A far off y moves the output by no more than the step clip; an output beyond the clamp is cut."""
    for family, y, c in (("Poisson", 1000.0, 1.0), ("Categorical", 2.0, 0.05), ("Bernoulli", 1.0, 0.02)):
        pair = [start(impl, family, guards=impl.Guards(step_clip=c, z_clamp=0.5)) for impl in both]
        k, H = FAMILIES[family][0], np.ones((FAMILIES[family][0], N)) * np.arange(1, FAMILIES[family][0] + 1)[:, None]
        for flt in pair:
            flt.update(y, np.zeros(N), np.eye(N), 0.7 * np.arange(1.0, k + 1), H)
        assert pair[0].health()["clipped"] == pair[0].health()["clamped"] == 1, family
        same(pair, PARITY["float64"])


def test_many_rows_are_a_loop(impl):
    Y = np.where(np.arange(40) % 7 == 3, np.nan, np.random.default_rng(0).normal(size=40))
    F, H = [[1.0, 1.0], [0.0, 0.9]], [[1.0, 0.0]]
    one, many = (
        impl.StateFilter(2, 1, impl.Gaussian(0.5), rule=impl.ProcessNoise(0.1), transition=F, jacobian=H)
        for _ in range(2)
    )
    dt = np.linspace(0.5, 1.5, 40)
    trace = many.update_many(Y, dt=dt)
    steps = [one.update(y, dt=t) for y, t in zip(Y, dt, strict=True)]
    assert (one.state == many.state).all()
    assert (one.cov() == many.cov()).all()
    assert (trace.prediction == [step.prediction for step in steps]).all()
    assert (trace.std == [step.std for step in steps]).all()
    assert np.array_equal(trace.nll, [step.nll for step in steps], equal_nan=True)
    assert (trace.skipped == np.isnan(Y)).all()
    assert one.health() == many.health()


@pytest.mark.parametrize("dtype", PARITY)
def test_copies_go_on_alike(impl, dtype):
    flt = start(impl, "Gaussian of several", dtype=dtype)
    drive(flt, "Gaussian of several", 10)
    twins = [flt.copy(), pickle.loads(pickle.dumps(flt))]
    drive(flt, "Gaussian of several", 10, seed=1)
    for twin in twins:
        assert (twin.state != flt.state).any()
        drive(twin, "Gaussian of several", 10, seed=1)
        assert (twin.state == flt.state).all()
        assert (twin.cov() == flt.cov()).all()
        assert twin.health() == flt.health()


@pytest.mark.parametrize("cls", ["StateFilter", "JointEkf"])
def test_the_same_surface(both, cls):
    mine, other = (getattr(impl, cls) for impl in both)
    names = {name for name in dir(mine) if not name.startswith("_")}
    assert names == {name for name in dir(other) if not name.startswith("_")}
    assert inspect.signature(mine) == inspect.signature(other)
    for name in names - {"settings"}:
        assert inspect.getdoc(getattr(mine, name)), name


@pytest.mark.parametrize("dtype", PARITY)
@pytest.mark.parametrize("cell", ["RNN", "LSTM", "LRU"])
def test_joint_filters_agree(both, cell, dtype):
    """A cell of more parameters than a register is long, with noise of every kind."""
    model = getattr(reference, cell)(3, 8, 2)
    rng, n, p = np.random.default_rng(4), model.state_size, model.n_parameters
    U, Y = rng.normal(size=(50, 3)), rng.normal(size=(50, 2))
    Y[rng.random(Y.shape) < 0.2] = np.nan
    noise = np.where(np.arange(p) % 9 == 0, 1e-3, 0.0)
    settings = {"state_prior": 0.1, "state_noise": 0.02, "parameter_noise": noise, "forgetting": 0.001, "every": 3}
    pair = [impl.JointEkf(model, impl.Gaussian(0.3), prior_variance=0.05, dtype=dtype, **settings) for impl in both]
    traces = [flt.update_many(U, Y, dt=np.linspace(0.5, 1.5, 50)) for flt in pair]
    P = pair[1].joint_cov()
    joint = [np.concatenate([flt.state, flt.theta]) for flt in pair]
    assert len(P) == n + p
    assert theta_error(*joint, P) < PARITY[dtype]
    assert covariance_error(pair[0].joint_cov(), P) < PARITY[dtype]
    for name in ("prediction", "std", "nll"):
        assert relative_error(*(getattr(trace, name) for trace in traces)) < 10 * PARITY[dtype], name
    means = [flt.predict(U, return_std=True) for flt in pair]
    for mine, other in zip(*means, strict=True):
        assert relative_error(mine, other) < 10 * PARITY[dtype]
