"""The reproductions of bench/science that are about recurrent models, at a small size."""

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


def test_tasks_ask_for_what_was_shown_so_long_ago(reproduction):
    memory = reproduction("memory")
    U, Y = memory.Task("copy", 3).stream(0, 100)
    np.testing.assert_array_equal(2 * Y[3:] - 1, U[:-3, 0])
    assert np.isnan(Y[:3]).all()
    U, Y = memory.Task("recall", 6).stream(0, 500)
    asked = np.flatnonzero(U[:, 1])
    np.testing.assert_array_equal(asked, np.flatnonzero(np.isfinite(Y)))
    np.testing.assert_array_equal(2 * Y[asked] - 1, U[asked - 6, 0])
    assert set(Y[asked]) == {0.0, 1.0}


def test_a_memory_is_learned_with_kalman_sooner_than_with_the_usual_adam(reproduction):
    """And not at all by a network that forgets at once."""
    memory = reproduction("memory")
    task = memory.TASKS[0]
    kalman = memory.run(kfng, task, "kalman", 3, 2000)
    assert (kalman < 600).all()
    assert (memory.run(kfng, task, "rtrl", 3, 2000, memory.USUAL) > kalman).all()
    blind = kfng.Filter(kfng.RNN(1, memory.UNITS, 1, mask=np.zeros((memory.UNITS, memory.UNITS))), kfng.Bernoulli())
    assert memory.solved(blind, task, 0, 2000) == np.inf


def test_mackey_glass_does_not_depend_on_the_step(reproduction, monkeypatch):
    """Before chaos has its way with what the integration gets wrong, which falls with its step."""
    mackey_glass = reproduction("mackey_glass")
    monkeypatch.setattr(mackey_glass, "BURN_IN", 0)
    paths = {}
    for fine in (5, 10, 20, 40):
        monkeypatch.setattr(mackey_glass, "FINE", fine)
        paths[fine] = mackey_glass.series(0, 100)
    error = [np.abs(paths[fine] - paths[40]).max() for fine in (5, 10, 20)]
    assert error[2] < error[1] < error[0] < 1e-2
    assert 0.1 < np.std(paths[40]) < 0.4


def test_the_network_beats_persistence_on_mackey_glass(reproduction):
    mackey_glass = reproduction("mackey_glass")
    y = mackey_glass.series(0, 3000)
    made = mackey_glass.recurrent(kfng, "RNN", y, rule=kfng.Fading(half_life=5000))
    found = mackey_glass.errors(*made[:2], y, made[2])
    assert (found < 0.7 * mackey_glass.persistence(y)).all()


def test_rows_before(reproduction):
    mackey_glass = reproduction("mackey_glass")
    y = np.arange(6.0)
    np.testing.assert_array_equal(mackey_glass.lagged(y, 2)[3:], [[2, 1], [3, 2], [4, 3]])


@pytest.mark.parametrize("fed_back", [False, True])
def test_bands_hold_where_the_model_is_right(reproduction, fed_back):
    """Mean over 60 series, within four standard errors of 90 %; bands of the noise alone are not."""
    calibration = reproduction("calibration")
    found = calibration.run(kfng, calibration.Case("", "RNN", fed_back), 60)
    for values in (found.one_ahead, found.ahead):
        error = np.std(values, ddof=1) / np.sqrt(len(values))
        assert abs(np.mean(values) - 0.9) < 4 * error
        assert error < 0.02
    assert np.mean(found.ahead - found.known) > 4 * np.std(found.ahead - found.known, ddof=1) / np.sqrt(60)
