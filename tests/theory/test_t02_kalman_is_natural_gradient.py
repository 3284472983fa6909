"""T2: the extended Kalman filter of a static model is the online natural gradient.

With Q = 0, eta_t = gamma_t = 1/(t + 1), the same theta_0 and J_0 = P_0^-1, for every family and nonlinear models,

    theta_t equal and P_t = eta_t J_t^-1 for all t,       J the NEW metric in theta <- theta + eta J^-1 g.

Source: Ollivier, "Online natural gradient as a Kalman filter", arXiv 1703.00209.
"""

from functools import cache

import numpy as np
import pytest
from theory.literal import error, judge, natural_gradient
from theory.streams import NAMES, run, stream

TOLERANCE = 1e-12
ONE_OUTPUT = [name for name in NAMES if name.split("-")[1] in ("gaussian", "bernoulli", "poisson")]


@cache
def literal_run(rows, **change):
    return natural_gradient(rows, 1 / (np.arange(1, len(rows.U) + 1) + 1), **change)


# the controls bite for every family and model in NAMES; step with J_{t-1} on theta, g g' for the Fisher matrix on P too
@pytest.mark.parametrize("literal", ["as it is", "step with J_{t-1}", "observed g g' for the Fisher matrix"])
@pytest.mark.parametrize("name", NAMES)
def test_kalman_is_natural_gradient(impl, guards, name, literal):
    rows = stream(name)
    theta, P = run(rows, impl, guards, impl.Kalman())
    metric = "old" if "J_{t-1}" in literal else "new"
    fisher = "observed" if "observed" in literal else "expected"
    theta_ng, P_ng = literal_run(rows, metric=metric, fisher=fisher)
    judge(error(theta, theta_ng), TOLERANCE, control=literal != "as it is")
    if metric == "new":
        judge(error(P, P_ng), TOLERANCE, control=fisher == "observed")


# bites for all of ONE_OUTPUT: y is the mean of three trials with weight 3, and g and F are sums over the trials
@pytest.mark.parametrize("pooling", ["sum", "mean"])
@pytest.mark.parametrize("name", ONE_OUTPUT)
def test_trials_of_a_row_are_summed(impl, guards, name, pooling):
    rows = stream(name, trials=3)
    theta, P = run(rows, impl, guards, impl.Kalman())
    theta_ng, P_ng = literal_run(rows, pooling=pooling)
    judge(error(theta, theta_ng), TOLERANCE, control=pooling == "mean")
    judge(error(P, P_ng), TOLERANCE, control=pooling == "mean")
