"""Where implementers go wrong in the statistics: each is a test, and what went wrong elsewhere is its control.

A "learning rate" that is a temperature; a posterior fed back as a prior; a start far from the data's level.
(Var(y) for Cov T(y) cannot differ in these families, where T(y) = y; means of a batch for sums: T2.)
"""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from theory.literal import error, judge, natural_gradient
from theory.streams import LINEAR_GAUSSIAN, NAMES, run, stream

TOLERANCE = 1e-12
LAM, KAPPA = 0.1, 3.0


@cache
def with_learning_rate(rows, gamma):
    """theta at the end, eta = kappa gamma throughout."""
    rates = np.full(len(rows.U), gamma)
    return natural_gradient(rows, KAPPA * rates, gamma, gamma=rates)[0][-1]


@cache
def long_stream(name):
    rows = stream(name, n=400)
    return replace(rows, weight=np.ones(400), dt=np.ones(400), prior=rows.prior / 10)


# the control bites for all three: eta = kappa gamma is a learning rate, and does not cancel
@pytest.mark.parametrize("compared_to", ["weight 1", "learning rate kappa"])
@pytest.mark.parametrize("name", ["linear-gaussian", "linear-covariance_2", "linear-poisson"])
def test_a_temperature_is_no_learning_rate(impl, name, compared_to):
    """All weights kappa times as large: theta is the same as soon as the prior is forgotten."""
    rows = long_stream(name)
    hot = rows.filter(impl, rule=impl.Fading(LAM))
    cold = rows.filter(impl, rule=impl.Fading(LAM))
    hot.update_many(rows.U[:10], rows.Y[:10], weight=KAPPA, offset=rows.offset[:10])
    cold.update_many(rows.U[:10], rows.Y[:10], offset=rows.offset[:10])
    assert error(hot.theta, cold.theta) > 1000 * TOLERANCE  # the prior still counts
    hot.update_many(rows.U[10:], rows.Y[10:], weight=KAPPA, offset=rows.offset[10:])
    cold.update_many(rows.U[10:], rows.Y[10:], offset=rows.offset[10:])
    expected = cold.theta
    if compared_to == "learning rate kappa":
        expected = with_learning_rate(rows, LAM)  # where 1/eta_t = 1 + (1 - lam)/eta_{t-1} ends
    judge(error(hot.theta, expected), TOLERANCE, control=compared_to == "learning rate kappa")


# bites for all of NAMES: what is asked between two rows leaves no trace, the row given again (in no time) does
@pytest.mark.parametrize("between", ["nothing", "questions", "a missing y in no time", "the row again"])
@pytest.mark.parametrize("name", NAMES)
def test_a_posterior_is_not_fed_back(impl, guards, name, between):
    rows = stream(name)
    plain, asked = rows.filter(impl, guards), rows.filter(impl, guards)
    no_time = replace(rows, dt=0 * rows.dt)
    silent = replace(no_time, trials=np.full_like(rows.trials, np.nan))
    for t in range(12):
        rows.feed(plain, t)
        step = rows.feed(asked, t)
        if between == "questions":
            _ = step.prediction, step.std, step.nll_plugin, asked.cov(), asked.sample(2, 0), asked.precision()
            if not rows.external:
                asked.predict(rows.U[:3], return_std=True)
        elif between == "a missing y in no time":
            silent.feed(asked, t)
        elif between == "the row again":
            no_time.feed(asked, t)
    same = np.array_equal(plain.theta, asked.theta) and np.array_equal(plain.cov(), asked.cov())
    if between == "the row again":
        judge(error(asked.theta, plain.theta), TOLERANCE, control=True)
        judge(error(asked.cov(), plain.cov()), TOLERANCE, control=True)
    else:
        assert same


# bites for all of LINEAR_GAUSSIAN: a row given twice is a row of weight 2, not of weight 1
@pytest.mark.parametrize("times", [2, 1])
@pytest.mark.parametrize("name", LINEAR_GAUSSIAN)
def test_weight_two_is_the_row_twice(impl, guards, name, times):
    rows = stream(name)
    twice = rows.filter(impl, guards)
    for t in range(len(rows.U)):
        for _ in range(times):
            rows.feed(twice, t)
    theta, P = run(replace(rows, weight=2 * rows.weight), impl, guards, impl.Kalman())
    judge(error(twice.theta, theta[-1]), TOLERANCE, control=times == 1)
    judge(error(rows.covariance(twice), P[-1]), TOLERANCE, control=times == 1)


# the control bites for both families: theta_0 = 0 is many standard deviations from where the data are
@pytest.mark.parametrize("start", ["from_rows", "zero"])
@pytest.mark.parametrize("kind", ["Bernoulli", "Poisson"])
def test_start_at_the_level_of_the_data(impl, kind, start):
    """Events at a rate of 3e-3: how many posterior sd is the intercept from the maximum of the likelihood at the end?"""
    n, first, rate = 2000, 300, 3e-3
    rng = np.random.default_rng(4)
    y = (rng.random(n) < rate) * 1.0
    U, model, family = np.zeros((n, 0)), impl.Linear(0), getattr(impl, kind)()
    if start == "from_rows":
        flt = impl.Filter.from_rows(U[:first], y[:first], model, family)
        flt.update_many(U[first:], y[first:], trace=False)
    else:
        flt = impl.Filter(model, family, belief=impl.Full(10.0))
        flt.update_many(U, y, trace=False)
    mean = y.mean()
    level = np.log(mean / (1 - mean)) if kind == "Bernoulli" else np.log(mean)
    away = abs(flt.theta[0] - level) / flt.std()[0]
    assert away < 0.5 if start == "from_rows" else away > 4, away
