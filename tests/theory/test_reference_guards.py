"""Each guard of the reference: raised by the problem made for it, and doing what it says."""

from fractions import Fraction

import numpy as np
import pytest
from problems import PROBLEMS, ROUGH
from tolerances import CONTROL, THEOREM, covariance_error, relative_error

from kfng import reference
from kfng.reference.belief import full

WINDUP = [name for name, (_, counter) in ROUGH.items() if counter == "windup"]


@pytest.mark.parametrize("name", ROUGH)
def test_the_counter_rises(name):
    problem, counter = ROUGH[name]
    flt, steps = problem.run(reference)
    assert flt.health()[counter] > 0
    assert sum(step.clipped for step in steps) == flt.health()["clipped"]


@pytest.mark.parametrize("name", WINDUP)
def test_no_variance_passes_four_times_its_prior(name):
    """While the guard is on, after every row; with it off one does (else the test is vacuous)."""
    problem, _ = ROUGH[name]
    largest = {}
    for guards in (reference.Guards(), reference.Guards.none()):
        flt = problem.filter(reference, guards=guards)
        ratios = []
        for i in range(len(problem.rows)):
            problem.step(flt, i)
            ratios.append(np.max(np.diagonal(flt._covariance()) / flt.settings.belief.prior_diagonal(flt.settings.p)))
        largest[guards.windup] = max(ratios)
    assert largest[4.0] <= 4.0
    assert largest[None] > 4.0


def test_a_pull_is_a_pseudo_observation():
    """P after it is what fusing e_i with R gives, and its variance is the one asked for, to the last bits at any scale."""
    rng = np.random.default_rng(5)
    root = rng.normal(size=(4, 4))
    P, c = root @ root.T * 10, 0.7
    for i in range(4):
        R = P[i, i] * c / (P[i, i] - c)
        column = np.eye(4)[:, [i]] / np.sqrt(R)
        pulled = full.bound(P, i, c)
        assert covariance_error(pulled, full.fuse(P, column)[0]) < THEOREM * np.linalg.cond(P)
        assert pulled[i, i] == pytest.approx(c, rel=1e-12)


@pytest.mark.parametrize("scale", [1.0, 1e6, 1e12])
def test_pulls_lose_nothing_after_a_long_pause(scale):
    """All coordinates in order, against rational arithmetic; the control subtracts in P."""
    rng = np.random.default_rng(6)
    root = rng.normal(size=(4, 4))
    P, c = scale * (root @ root.T), 0.3
    exact, plain = [[Fraction(x) for x in row] for row in P.tolist()], P
    for i in range(4):
        gain = [x / exact[i][i] for x in exact[i]]
        drop = exact[i][i] - Fraction(c)
        exact = [[exact[k][j] - drop * gain[k] * gain[j] for j in range(4)] for k in range(4)]
        plain = plain - np.outer(plain[i], plain[i]) * (plain[i, i] - c) / plain[i, i] ** 2
        P = full.bound(P, i, c)
    target = np.array(exact, dtype=np.float64)
    assert covariance_error(P, target) < THEOREM
    if scale == 1e12:
        assert covariance_error(plain, target) > CONTROL * THEOREM


@pytest.mark.parametrize("name", ["rough-clip-log", "rough-clip-logit"])
def test_a_clipped_step_moves_z_by_the_clip_and_leaves_P_alone(name):
    problem, _ = ROUGH[name]
    flt, rows = problem.filter(reference), problem.rows
    clip, acted = flt.settings.step_clip, 0
    for i in range(len(rows)):
        before, free = flt.theta, flt.copy()
        free.settings = problem.filter(reference, guards=reference.Guards(step_clip=None)).settings
        done = problem.step(flt, i)
        problem.step(free, i)
        moved = np.append(rows.U[i], 1.0) @ (flt.theta - before)
        assert abs(moved) <= clip * (1 + 1e-12)
        assert np.array_equal(flt._covariance(), free._covariance())
        if done.clipped:
            acted += 1
            assert abs(moved) == pytest.approx(clip, rel=1e-9)
    assert acted > 0


def test_the_floor_is_for_reported_figures_alone():
    problem, _ = ROUGH["rough-floor"]
    flt, _ = problem.run(reference)
    free, _ = problem.run(reference, guards=reference.Guards(r_floor=None))
    state, other = flt._state(), free._state()
    reported = {"counters", "coverage"}  # intervals are reported figures
    assert all(np.array_equal(state[key], other[key]) for key in state.keys() - reported)
    a, b = flt._noise()
    variance = np.nanvar(problem.rows.Y, axis=0).mean()
    assert relative_error(b / a / variance, [1e-9]) < THEOREM
    assert free._noise()[1] < b


@pytest.mark.parametrize("name", ["gaussian-fading", "learned-3-gaps", "bernoulli", "poisson", "net-2-full-R"])
def test_a_row_that_overflows_changes_nothing(name):
    """Finite rows too large for the step, between ordinary ones: NonFiniteError, and the state bit for bit as it was."""
    problem = PROBLEMS[name]
    flt, rows, refused = problem.filter(reference), problem.rows, 0
    for i in range(20):
        problem.step(flt, i)
        before = flt._state()
        for size in (1e155, 1e200, 1e308):
            y, u, dz = np.nan_to_num(rows.Y[i]), np.full(rows.U.shape[1], size), np.full((2, flt.settings.p), size)
            call = (flt.update, (u, y)) if problem.forward is None else (flt.condition, (y, np.zeros(2), dz))
            with pytest.raises(reference.NonFiniteError, match="overflow") as caught:
                call[0](*call[1], dt=0.5)
            assert (caught.value.argument, caught.value.got) == ("u", "overflow")
            after = flt._state()
            assert all(np.array_equal(before[key], after[key]) for key in before)
            refused += 1
    assert refused == 60
