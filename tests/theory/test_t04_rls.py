"""T4: recursive least squares with forgetting factor f is Gaussian(variance=1) with Fading(1 - f).

    k = P x / (f + x'P x),     theta <- theta + k (y - x'theta),     P <- (P - k x'P)/f

Source: any textbook on adaptive filters; the learning rate of it: arXiv 1703.00209.
"""

import numpy as np
import pytest
from theory.literal import Gaussian, Linear, error, judge
from theory.streams import make, run, with_units

TOLERANCE = 1e-12


def recursive_least_squares(rows, f, gain="f + x'P x"):
    theta, P, thetas, covariances = rows.theta_0, rows.prior, [], []
    for u, y, offset in zip(rows.U, rows.Y[:, 0], rows.offset[:, 0], strict=True):
        x = np.r_[u, 1.0]
        k = P @ x / ((f if gain == "f + x'P x" else 1.0) + x @ P @ x)
        theta = theta + k * (y - offset - x @ theta)
        P = (P - np.outer(k, x @ P)) / f
        thetas.append(theta)
        covariances.append(P)
    return np.array(thetas), np.array(covariances)


# bites for the Gaussian, the only family that the identity is about; at f = 1 the two gains are the same
@pytest.mark.parametrize("gain", ["f + x'P x", "1 + x'P x"])
@pytest.mark.parametrize("f", [0.9, 0.97, 0.99])
@pytest.mark.parametrize("d", [1, 4])
def test_recursive_least_squares(impl, guards, d, f, gain):
    rows = with_units(make(Linear(d, 1), Gaussian(1.0), ("Gaussian", {"variance": 1.0}), n=50, seed=d))
    theta, P = run(rows, impl, guards, impl.Fading(1 - f, towards=None))
    theta_rls, P_rls = recursive_least_squares(rows, f, gain)
    judge(error(theta, theta_rls), TOLERANCE, control=gain != "f + x'P x")
    judge(error(P, P_rls), TOLERANCE, control=gain != "f + x'P x")


# bites at f = 1 too: the textbook's R is 1, another variance is another filter
@pytest.mark.parametrize("variance", [1.0, 2.0])
def test_without_forgetting(impl, guards, variance):
    rows = with_units(make(Linear(3, 1), Gaussian(1.0), ("Gaussian", {"variance": variance}), n=50, seed=9))
    theta, P = run(rows, impl, guards, impl.Kalman())
    theta_rls, P_rls = recursive_least_squares(rows, 1.0)
    judge(error(theta, theta_rls), TOLERANCE, control=variance != 1.0)
    judge(error(P, P_rls), TOLERANCE, control=variance != 1.0)
