"""T1: for an exponential family with mean y_hat and sufficient statistics T(y), R = Cov T(y),

    d log p(y)/d y_hat = R^-1 (T(y) - y_hat),     Fisher matrix in y_hat = R^-1,     in theta = H'R^-1 H,  H = dy_hat/dtheta.

The right-hand sides are what the filter learns from one row: P_1^-1 - P_0^-1 and P_1^-1 (theta_1 - theta_0). The left
ones are complex-step derivatives of the log density and exact sums over y.
Source: Ollivier, "Online natural gradient as a Kalman filter", arXiv 1703.00209.
"""

import numpy as np
import pytest
from theory.literal import Bernoulli, Gaussian, H, Poisson, error, judge, learned_from
from theory.streams import NAMES, R2, R3, run, stream

TOLERANCE = 1e-12


class OfMean:
    """A law whose parameter is its mean y_hat."""

    def __init__(self, law, link):
        self.law, self.link = law, link

    def log_density(self, y, y_hat):
        return self.law.log_density(y, self.link(y_hat))

    def moments(self, y_hat):
        y, probability = self.law.support(self.link(y_hat))
        mean = probability @ y
        return mean, (y - mean).T * probability @ (y - mean)

    def score(self, y, y_hat):
        steps = np.eye(len(y_hat)) * 1j * H
        return np.stack([self.log_density(y, y_hat + step).imag / H for step in steps], axis=1)


def logit(m):
    return np.log(m) - np.log1p(-m)


MEANS = {
    "gaussian": (OfMean(Gaussian(0.5), lambda m: m), [0.7]),
    "covariance_2": (OfMean(Gaussian(R2), lambda m: m), [0.7, -1.2]),
    "covariance_3": (OfMean(Gaussian(R3), lambda m: m), [0.7, -1.2, 0.1]),
    "bernoulli": (OfMean(Bernoulli(), logit), [0.23]),
    "poisson": (OfMean(Poisson(), np.log), [2.6]),
}


# bites for all of MEANS: the gradient in y_hat carries R^-1, it is not T(y) - y_hat
@pytest.mark.parametrize("gradient", ["R^-1 (T(y) - y_hat)", "T(y) - y_hat"])
@pytest.mark.parametrize("name", MEANS)
def test_gradient_and_fisher_in_the_mean(name, gradient):
    law, y_hat = MEANS[name][0], np.array(MEANS[name][1])
    y, probability = law.law.support(law.link(y_hat))
    mean, R = law.moments(y_hat)
    scores = law.score(y, y_hat)
    control = gradient == "T(y) - y_hat"
    assert error(mean, y_hat) <= TOLERANCE
    claimed = y - y_hat if control else np.linalg.solve(R, (y - y_hat).T).T
    judge(error(claimed, scores), TOLERANCE, control=control)
    fisher = (scores.T * probability) @ scores
    judge(error(np.linalg.inv(R) if not control else np.eye(len(R)), fisher), TOLERANCE, control=control)


# each control bites for all of NAMES: g g' of the one y that was drawn is not the Fisher matrix; it is added to the
# precision, not subtracted; P_0 g is not P_1 g
@pytest.mark.parametrize("literal", ["as it is", "observed g g', old P", "Fisher matrix subtracted"])
@pytest.mark.parametrize("name", NAMES)
def test_what_a_row_teaches(impl, guards, name, literal):
    rows = stream(name)
    theta, P = run(rows, impl, guards, impl.Kalman())
    theta, P = np.concatenate([rows.theta_0[None], theta]), np.concatenate([rows.prior[None], P])
    for t in range(12):
        g, F = learned_from(rows, t, theta[t])
        K_0, K_1 = np.linalg.inv(P[t]), np.linalg.inv(P[t + 1])
        claimed = {"as it is": F, "Fisher matrix subtracted": -F}.get(literal, np.outer(g, g))
        size = np.max(np.abs(K_1 - K_0 - claimed)) / np.max(K_1)  # the two precisions are what was rounded
        judge(size, TOLERANCE, control=literal != "as it is")
        if literal != "Fisher matrix subtracted":
            step = (P[t + 1] if literal == "as it is" else P[t]) @ g
            judge(error(theta[t + 1] - theta[t], step), TOLERANCE, control=literal != "as it is")
