"""The reproductions of bench/science: one of them whole, another at a small size. They need nothing that tests do not."""

import importlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import kfng

SCIENCE = Path(__file__).parents[2] / "bench" / "science"


@pytest.fixture
def reproduction(monkeypatch):
    """The script of that name, as a module."""
    monkeypatch.syspath_prepend(str(SCIENCE))
    return importlib.import_module


def test_learning_rate_is_forgetting(reproduction):
    schedules = reproduction("schedules")
    results = schedules.compare(kfng)
    assert len({r.schedule.title for r in results}) == 4
    schedules.check(results)
    assert len(schedules.refused(kfng)) == 2


@pytest.mark.parametrize("impl", [kfng, kfng.reference], ids=["kfng", "reference"])
def test_regret_grows_like_log_t(reproduction, impl):
    regret = reproduction("regret")
    result = regret.run(impl, regret.MILD, seeds=3, rows=1000)
    for name, values in result.regret.items():
        assert np.isfinite(values).all()
        slope, _ = result.slope(name, 100)
        assert slope == pytest.approx(regret.DIMENSION / 2, rel=0.4), name


def test_truncation(reproduction):
    """It acts on the first rows; where p(1 - p) is above t^-beta the filter is the plain one, to the last bit."""
    regret = reproduction("regret")
    U, Y = (part[None] for part in regret.stream(0, 200, 1.5))
    plain = regret.literal(U, Y, 1.0, None)
    assert np.abs(plain - regret.literal(U, Y, 1.0, regret.BETAS[0])).max() > 1e-3
    U[0, 0] = 0.0  # only t = 1 is truncated with beta = 50, and this row says nothing
    np.testing.assert_array_equal(regret.literal(U, Y, 1.0, 50.0), regret.literal(U, Y, 1.0, None))


def test_best_batch_fit_is_the_best(reproduction):
    regret = reproduction("regret")
    U, Y = regret.stream(1, 500, 1.5)
    best = regret.batch_loss(U, Y)
    rng = np.random.default_rng(0)
    for theta in rng.normal(size=(200, regret.DIMENSION)):
        assert best < np.sum(regret.loss(U @ theta, Y))


@pytest.fixture
def small_table(reproduction):
    """A split of 80 rows of 2 features and the start of a network."""
    rng = np.random.default_rng(0)
    U = rng.normal(size=(90, 2))
    Y = np.tanh(U @ [1.0, -0.5]) + 0.1 * rng.normal(size=90)
    return kfng.MLP([2, reproduction("sgd").UNITS, 1]), reproduction("small_tables").split((U, Y), 0)


def test_sgd_follows_the_gradient(reproduction, small_table):
    """A step of the network is the step times the error times kfng's own Jacobian."""
    sgd, (model, rows) = reproduction("sgd"), small_table
    theta = model.initial_theta(3)
    networks = sgd.Networks(theta, 2)
    z, dz = model.forward(theta, rows.U[5])
    error = networks.learn(7, rows.U[5], rows.Y[5])
    np.testing.assert_allclose(error, np.full(len(networks.grid), rows.Y[5] - z[0]), rtol=1e-12)
    for i, (step, decay) in enumerate(networks.grid):
        moved = np.concatenate([networks.W[i].ravel(), networks.b[i], networks.v[i], networks.c[i]])
        np.testing.assert_allclose(moved - theta, step * 8.0**-decay * error[i] * dz[0], rtol=1e-9, atol=1e-14)


def test_sgd_chooses_on_rows_it_has_held_out(reproduction, small_table, monkeypatch):
    """What comes after the first rows and what is tested changes no choice; the bound is the best of every candidate."""
    sgd, (model, rows) = reproduction("sgd"), small_table
    theta = model.initial_theta(3)
    chosen, best, step, diverged = sgd.by_sgd(theta, rows)
    assert diverged == 0
    later = replace(rows, Y=np.where(np.arange(len(rows.Y)) < 20, rows.Y, -rows.Y), Y_test=-rows.Y_test)
    assert sgd.by_sgd(theta, later)[2] == step
    assert best[0] <= chosen[0]
    assert best[1] >= chosen[1]
    monkeypatch.setattr(sgd, "DECAYS", (0.0,))
    for candidate in sgd.STEPS[:12]:  # none of them diverges
        monkeypatch.setattr(sgd, "STEPS", [candidate])
        alone = sgd.by_sgd(theta, rows)
        assert alone[0] == alone[1]
        assert best[0] <= alone[0][0]
        assert best[1] >= alone[0][1]


def test_sgd_takes_the_next_best_where_a_run_diverges(reproduction, small_table, monkeypatch):
    """The step that is best on the first rows meets huge features later."""
    sgd, (model, rows) = reproduction("sgd"), small_table
    monkeypatch.setattr(sgd, "DECAYS", (0.0,))
    monkeypatch.setattr(sgd, "STEPS", [0.1, 1e-4])
    theta = model.initial_theta(3)
    assert sgd.by_sgd(theta, rows)[2:] == ((0.1, 0.0), 0)
    U = np.where(np.arange(len(rows.Y))[:, None] < 20, rows.U, 50 * rows.U)
    score, _, step, diverged = sgd.by_sgd(theta, replace(rows, U=U))
    assert (step, diverged) == ((1e-4, 0.0), 1)
    assert np.isfinite(score).all()


@pytest.mark.parametrize("impl", [kfng, kfng.reference], ids=["kfng", "reference"])
def test_robust(reproduction, impl, monkeypatch):
    """What docs/robust.md recommends holds on two streams, and is not what nothing does."""
    robust = reproduction("robust")
    monkeypatch.setattr(robust, "ROWS", 500)
    streams = {stream.title: stream for stream in robust.STREAMS}

    def error(title, policy, learned=False):
        return robust.run(impl, streams[title], policy, learned, seeds=2).error.mean()

    clean, dirty = "clean", "10 % outliers, one side"
    assert error(clean, "imq") < 1.05 * error(clean, None)
    assert error(dirty, "imq") < 0.3 * error(dirty, None)
    assert error(dirty, "student", learned=True) < 0.3 * error(dirty, None, learned=True)
    assert error("level shifts by 10", "imq") > error("level shifts by 10", None)
