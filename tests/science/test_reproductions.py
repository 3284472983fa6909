"""The reproductions of bench/science: one of them whole, another at a small size. They need nothing that tests do not."""

import importlib
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
    assert np.abs(plain - regret.literal(U, Y, 1.0, regret.BETA)).max() > 1e-3
    U[0, 0] = 0.0  # only t = 1 is truncated with beta = 50, and this row says nothing
    np.testing.assert_array_equal(regret.literal(U, Y, 1.0, 50.0), regret.literal(U, Y, 1.0, None))


def test_best_batch_fit_is_the_best(reproduction):
    regret = reproduction("regret")
    U, Y = regret.stream(1, 500, 1.5)
    best = regret.batch_loss(U, Y)
    rng = np.random.default_rng(0)
    for theta in rng.normal(size=(200, regret.DIMENSION)):
        assert best < np.sum(regret.loss(U @ theta, Y))
