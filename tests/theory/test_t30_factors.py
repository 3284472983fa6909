"""T30: the belief kept as P = U D U', U unit upper triangular, D >= 0, is the dense covariance of the textbook filter.

    time:  P <- P/(1 - lam)^dt      row:  S = H P H' + R,  K = P H'S^-1,  theta <- theta + K (y - y_hat),  P <- (I - K H) P

in mean-parameter form (kfng/reference/ekf.py). Source: Bierman, Factorization Methods for Discrete Sequential Estimation.
"""

from functools import cache

import numpy as np
import pytest
from theory.literal import error, judge
from theory.streams import NAMES, assert_quiet, partly_missing, stream

from kfng.reference import ekf

TOLERANCE = 1e-12
LAM = 0.015


def moments(rows, z):
    if rows.family[0] == "Gaussian":
        return ekf.gaussian(z, rows.law.R)
    return {"Bernoulli": ekf.bernoulli, "Poisson": ekf.poisson}[rows.family[0]](z)


@cache
def textbook(rows, lam):
    oracle, thetas, covariances = ekf.EKF(rows.theta_0, rows.prior), [], []
    for t, u in enumerate(rows.U):
        oracle.fade(1 - (1 - lam) ** rows.dt[t])
        z, dz = rows.model.output(oracle.theta, u) + rows.offset[t], rows.model.jacobian(oracle.theta, u)
        oracle.update(rows.Y[t], moments(rows, z), dz, rows.weight[t])
        thetas.append(oracle.theta)
        covariances.append(oracle.P)
    return np.array(thetas), np.array(covariances)


@cache
def factored(rows, impl, guards, lam):
    flt = rows.filter(impl, guards, rule=impl.Fading(lam) if lam else impl.Kalman())
    thetas, factors = [], []
    for t in range(len(rows.U)):
        rows.feed(flt, t)
        thetas.append(flt.theta)
        factors.append(flt._factors())
    assert_quiet(flt)
    return np.array(thetas), factors


# both controls bite for every family and model in NAMES
@pytest.mark.parametrize("product", ["U D U'", "U'D U", "U U'"])
@pytest.mark.parametrize("lam", [0.0, LAM])
@pytest.mark.parametrize("name", NAMES)
def test_factors_are_the_dense_covariance(impl, guards, name, lam, product):
    rows = partly_missing(stream(name))
    theta, factors = factored(rows, impl, guards, lam)
    for U, D in factors:
        assert np.array_equal(U, np.triu(U))
        assert np.array_equal(np.diagonal(U), np.ones(rows.model.p))
        assert (D > 0).all()
    P = np.array([{"U D U'": (U * D) @ U.T, "U'D U": (U.T * D) @ U, "U U'": U @ U.T}[product] for U, D in factors])
    theta_ekf, P_ekf = textbook(rows, lam)
    judge(error(theta, theta_ekf), TOLERANCE, control=False)
    judge(error(P, P_ekf), TOLERANCE, control=product != "U D U'")


# bites for all: without its forgetting the textbook filter is another
@pytest.mark.parametrize("lam_of_the_textbook", [LAM, 0.0])
@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("linear")])
def test_rows_given_at_once(impl, guards, name, lam_of_the_textbook):
    rows = partly_missing(stream(name))
    flt = rows.filter(impl, guards, rule=impl.Fading(LAM))
    flt.update_many(rows.U, rows.Y, weight=rows.weight, dt=rows.dt, offset=rows.offset)
    U, D = flt._factors()
    theta_ekf, P_ekf = textbook(rows, lam_of_the_textbook)
    assert_quiet(flt)
    judge(error(flt.theta, theta_ekf[-1]), TOLERANCE, control=lam_of_the_textbook == 0.0)
    judge(error((U * D) @ U.T, P_ekf[-1]), TOLERANCE, control=lam_of_the_textbook == 0.0)
