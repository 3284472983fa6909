"""kfng.Bank against the reference's, a dict of dense NumPy filters."""

from __future__ import annotations

import numpy as np
import pytest
from bank.banks import like
from problems import CROSSED, PROBLEMS
from tolerances import relative_error, theta_error

TOLERANCE = 1e-10
SAMPLE = [name for name in PROBLEMS if PROBLEMS[name].forward is None] + list(CROSSED)[::9]


def run(impl, problem):
    rows = problem.rows
    keys = np.random.default_rng(4).integers(0, 4, len(rows))
    bank = like(impl, problem.filter(impl))
    return bank, bank.update(keys, rows.U, rows.Y, weight=rows.weight, dt=rows.dt, offset=rows.offset)


@pytest.mark.parametrize("name", [name for name in SAMPLE if "called" not in name])
def test_rows_and_posteriors(both, name):
    problem = (PROBLEMS | CROSSED)[name]
    if any(callable(x) and not hasattr(x, "spec") for x in vars(problem.filter(both[1]).settings.rule).values()):
        return
    (bank, trace), (other, target) = (run(impl, problem) for impl in both)
    for part in ("z", "C", "a", "b", "flags", "prediction", "std", "nll"):
        assert relative_error(getattr(trace, part), getattr(target, part)) < TOLERANCE, part
    assert bank.keys() == other.keys()
    for key in other:
        if other.settings.rule.has_posterior:
            assert theta_error(bank[key].theta, other[key].theta, other[key]._covariance()) < TOLERANCE
    assert relative_error(bank.theta(other.keys()), other.theta(other.keys())) < TOLERANCE
    if other.settings.rule.has_posterior:
        assert relative_error(bank.std(other.keys()), other.std(other.keys())) < TOLERANCE
    mine, theirs = bank.health(), other.health()
    assert {name: mine[name] for name in mine if type(mine[name]) is int} == {
        name: theirs[name] for name in theirs if type(theirs[name]) is int
    }


def test_a_shared_prior(both):
    problem = PROBLEMS["learned"]
    (bank, _), (other, _) = (run(impl, problem) for impl in both)
    for one in (bank, other):
        one.share_prior()
    mine, theirs = bank._priors[-1], other._priors[-1]
    assert relative_error(mine.theta, theirs.theta) < 1e-9
    assert relative_error(mine.belief.prior_variance, theirs.belief.prior_variance) < 1e-9
