"""T3: exponential forgetting is the learning rate of the natural gradient.

Fading(lam), i.e. Q_t = lam_t/(1 - lam_t) P, with P_0 = eta_0 J_0^-1 equals the natural gradient with

    1/eta_t = 1 + (1 - lam_t)/eta_{t-1},     gamma_t = eta_t,     1 - lam_t = (1 - lam)^dt_t,

theta_t equal and P_t = eta_t J_t^-1 for all t; inversely lam_t = 1 + eta_{t-1} - eta_{t-1}/eta_t. A schedule is a Kalman
filter if and only if 0 <= lam_t < 1 from eta_0 on. Source: arXiv 1703.00209.
"""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from theory.literal import error, judge, natural_gradient
from theory.streams import NAMES, run, stream

TOLERANCE = 1e-12
LAM = 0.015


def learning_rates(lam, eta_0, recursion="1 + (1 - lam_t)/eta_{t-1}"):
    """eta_1 ... eta_n from lam_1 ... lam_n."""
    etas = [eta_0]
    for x in lam:
        inverse = 1 + (1 - x) / etas[-1] if recursion.startswith("1 +") else (1 - x) * (1 + 1 / etas[-1])
        etas.append(1 / inverse)
    return np.array(etas[1:])


def forgetting(etas, eta_0):
    """lam_1 ... lam_n from eta_1 ... eta_n."""
    before = np.r_[eta_0, etas[:-1]]
    return 1 + before - before / etas


# each control bites for every family and model in NAMES
LITERAL = {
    "as it is": {},
    "step with J_{t-1}": {"metric": "old"},
    "observed g g' for the Fisher matrix": {"fisher": "observed"},
    "eta_t of no forgetting": {"lam": 0.0},
    "the new row fades too": {"recursion": "(1 - lam_t)(1 + 1/eta_{t-1})"},
}


@cache
def literal_run(rows, eta_0, lam=LAM, recursion="1 + (1 - lam_t)/eta_{t-1}", **change):
    return natural_gradient(rows, learning_rates(1 - (1 - lam) ** rows.dt, eta_0, recursion), eta_0, **change)


@pytest.mark.parametrize("literal", LITERAL)
@pytest.mark.parametrize("name", NAMES)
def test_fading_is_a_learning_rate(impl, guards, name, literal):
    rows, eta_0 = stream(name), 0.2 if name.startswith("external") else 1.0
    theta, P = run(rows, impl, guards, impl.Fading(LAM))
    theta_ng, P_ng = literal_run(rows, eta_0, **LITERAL[literal])
    judge(error(theta, theta_ng), TOLERANCE, control=literal != "as it is")
    if literal != "step with J_{t-1}":
        judge(error(P, P_ng), TOLERANCE, control=literal != "as it is")


# bites for all of NAMES: a half-life is 1 - lam = 2^(-1/h), not lam = 1/h
@pytest.mark.parametrize("lam", [1 - 2 ** (-1 / 40), 1 / 40], ids=["1 - 2^(-1/h)", "1/h"])
@pytest.mark.parametrize("name", NAMES)
def test_half_life(impl, guards, name, lam):
    rows = stream(name)
    theta, P = run(rows, impl, guards, impl.Fading(half_life=40))
    theta_ng, P_ng = literal_run(rows, 1.0, lam)
    judge(error(theta, theta_ng), TOLERANCE, control=lam == 1 / 40)
    judge(error(P, P_ng), TOLERANCE, control=lam == 1 / 40)


# schedules eta_t, t = 0, 1, ..., that are Kalman filters
SCHEDULES = {
    "1/(t + 1)": lambda t: 1 / (t + 1),
    "c/(t + c), c = 1.5": lambda t: 1.5 / (t + 1.5),
    "(t + 1)^-0.8": lambda t: (t + 1) ** -0.8,
    "constant from eta_0 = eta": lambda t: np.full(len(t), 0.05),
}


# bites for all four: the metric rate is another than the learning rate
@pytest.mark.parametrize("literal", ["gamma_t = eta_t", "gamma_t = 0.9 eta_t"])
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("name", ["linear-covariance_3", "linear-bernoulli", "external-gaussian", "external-poisson"])
def test_a_schedule_is_a_fading_filter(impl, name, schedule, literal):
    rows = stream(name)
    etas = SCHEDULES[schedule](np.arange(len(rows.U) + 1, dtype=float))
    lam_t = forgetting(etas[1:], etas[0])
    assert ((lam_t >= -1e-14) & (lam_t < 1)).all()
    dt = np.log1p(-np.maximum(lam_t, 0)) / np.log1p(-LAM)  # the time in which Fading(LAM) forgets lam_t
    theta, P = run(replace(rows, dt=dt), impl, "no_guards", impl.Fading(LAM))
    control = literal == "gamma_t = 0.9 eta_t"
    gamma = etas[1:] * (0.9 if control else 1.0)
    theta_ng, P_ng = natural_gradient(rows, etas[1:], etas[0], gamma=gamma)
    judge(error(theta, theta_ng), TOLERANCE, control=control)
    judge(error(P, P_ng), TOLERANCE, control=control)


def test_the_two_formulas_are_inverse_and_1_over_t_is_refused():
    t = np.arange(1.0, 60.0)
    lam = np.random.default_rng(0).uniform(0, 0.3, len(t))
    assert error(forgetting(learning_rates(lam, 0.4), 0.4), lam) <= TOLERANCE
    assert error(learning_rates(0 * t, 0.25), 1 / (t + 4)) <= TOLERANCE  # lam = 0: 1/eta_0 pseudo-observations in J_0
    assert forgetting(1 / t, 1.0)[0] == 1.0  # c/t from eta_0 = 1 forgets everything at the first row
    assert forgetting(0.5 / (t + 0.5), 1.0)[0] < 0  # c < 1 would have to unforget
