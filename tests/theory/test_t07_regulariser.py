"""T7: in the natural gradient that a Kalman filter is, the regulariser of the metric decays as 1/(t + 1):

    J_t = J_0/(t + 1) + mean over the rows of F,      theta <- theta + J_t^-1 g/(t + 1),      P_t = J_t^-1/(t + 1)

so that J_0 counts as one pseudo-observation. "J + eps·I at each step" is another thing: a prior that grows with t.
Source: arXiv 1703.00209.
"""

from functools import cache

import numpy as np
import pytest
from theory.literal import error, judge, learned_from
from theory.streams import NAMES, run, stream

TOLERANCE = 1e-12
EPS = 1e-6

REGULARISERS = {
    "J_0/(t + 1)": lambda J_0, t: J_0 / (t + 1),
    "J_0 at each step": lambda J_0, t: J_0,
    "J_0/(t + 1) + eps I at each step": lambda J_0, t: J_0 / (t + 1) + EPS * np.eye(len(J_0)),
}


@cache
def regularised(rows, regulariser):
    """The natural gradient whose metric is the plain mean of F and a regulariser beside it."""
    theta, total, J_0 = rows.theta_0, 0.0, np.linalg.inv(rows.prior)
    thetas, covariances = [], []
    for t in range(1, len(rows.U) + 1):
        g, F = learned_from(rows, t - 1, theta)
        total = total + F
        J = total / (t + 1) + REGULARISERS[regulariser](J_0, t)
        theta = theta + np.linalg.solve(J, g) / (t + 1)
        thetas.append(theta)
        covariances.append(np.linalg.inv(J) / (t + 1))
    return np.array(thetas), np.array(covariances)


# both controls bite for every family and model in NAMES
@pytest.mark.parametrize("regulariser", REGULARISERS)
@pytest.mark.parametrize("name", NAMES)
def test_the_regulariser_decays(impl, guards, name, regulariser):
    rows = stream(name)
    theta, P = run(rows, impl, guards, impl.Kalman())
    theta_ng, P_ng = regularised(rows, regulariser)
    control = regulariser != "J_0/(t + 1)"
    judge(error(theta, theta_ng), TOLERANCE, control=control)
    judge(error(P, P_ng), TOLERANCE, control=control)


def test_eps_at_each_step_is_a_growing_prior():
    """What it adds to the posterior precision (t + 1) J_t after t rows is (t + 1) eps I."""
    rows = stream("linear-gaussian")
    P, P_eps = regularised(rows, "J_0/(t + 1)")[1], regularised(rows, "J_0/(t + 1) + eps I at each step")[1]
    added = np.linalg.inv(P_eps) - np.linalg.inv(P)
    for t in (1, 10, 32):
        np.testing.assert_allclose(added[t - 1], (t + 1) * EPS * np.eye(rows.model.p), atol=1e-3 * EPS)
