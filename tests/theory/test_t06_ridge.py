"""T6: in a linear Gaussian model the filter is the ridge posterior, row by row.

With d_s = (1 - lam)^dt_s (1 without forgetting), W_i = w_i·d_{i+1}···d_t, D = d_1···d_t, H_i and R_i of the observed outputs:

    P_t^-1 = D P_0^-1 + sum_i W_i H_i'R_i^-1 H_i,      P_t^-1 theta_t = D P_0^-1 theta_0 + sum_i W_i H_i'R_i^-1 (y_i - offset_i)

Source: any textbook; as a natural gradient: arXiv 1703.00209.
"""

from functools import cache

import numpy as np
import pytest
from theory.literal import error, judge
from theory.streams import LINEAR_GAUSSIAN, partly_missing, run, stream

TOLERANCE = 1e-12
LAM = 0.015


def information(rows, change):
    """W_i H_i'R_i^-1 H_i and W_i H_i'R_i^-1 (y_i - offset_i) of each row, not discounted yet."""
    matrices, vectors = [], []
    for u, y, weight in zip(rows.U, rows.Y - rows.offset, rows.weight, strict=True):
        seen = np.isfinite(y) | (change == "a missing y is its offset")
        H = rows.model.jacobian(rows.theta_0, u)[seen]
        HK = weight * (2 if change == "every row twice" else 1) * H.T @ np.linalg.inv(rows.law.R[np.ix_(seen, seen)])
        matrices.append(HK @ H)
        vectors.append(HK @ np.nan_to_num(y[seen]))
    return np.array(matrices), np.array(vectors)


@cache
def ridge(rows, lam, change=""):
    """theta_t and P_t of the batch solution, each t from scratch."""
    matrices, vectors = information(rows, change)
    K_0, kept = np.linalg.inv(rows.prior), (1 - lam) ** rows.dt
    mean_0 = rows.theta_0 * (change != "prior mean left out")
    thetas, covariances = [], []
    for t in range(1, len(rows.U) + 1):
        D, discount = np.prod(kept[:t]), np.array([np.prod(kept[i + 1 : t]) for i in range(t)])
        precision = D * K_0 + np.tensordot(discount, matrices[:t], 1)
        thetas.append(np.linalg.solve(precision, D * K_0 @ mean_0 + discount @ vectors[:t]))
        covariances.append(np.linalg.inv(precision))
    return np.array(thetas), np.array(covariances)


# each control bites for all of LINEAR_GAUSSIAN; the first on theta alone
@pytest.mark.parametrize("batch", ["", "prior mean left out", "every row twice", "a missing y is its offset"])
@pytest.mark.parametrize("lam", [0.0, LAM])
@pytest.mark.parametrize("name", LINEAR_GAUSSIAN)
def test_ridge_posterior(impl, guards, name, lam, batch):
    rows = partly_missing(stream(name))
    theta, P = run(rows, impl, guards, impl.Fading(lam) if lam else impl.Kalman())
    theta_batch, P_batch = ridge(rows, lam, batch)
    judge(error(theta, theta_batch), TOLERANCE, control=batch != "")
    if batch != "prior mean left out":
        judge(error(P, P_batch), TOLERANCE, control=batch != "")


# the same with the rows given at once; bites where a row is left out
@pytest.mark.parametrize("left_out", [0, 1])
@pytest.mark.parametrize("name", LINEAR_GAUSSIAN)
def test_ridge_posterior_of_update_many(impl, guards, name, left_out):
    rows = partly_missing(stream(name))
    theta_batch, P_batch = ridge(rows, LAM)
    flt = rows.filter(impl, guards, rule=impl.Fading(LAM))
    n = len(rows.U) - left_out
    flt.update_many(rows.U[:n], rows.Y[:n], weight=rows.weight[:n], dt=rows.dt[:n], offset=rows.offset[:n])
    judge(error(flt.theta, theta_batch[-1]), TOLERANCE, control=left_out == 1)
    judge(error(rows.covariance(flt), P_batch[-1]), TOLERANCE, control=left_out == 1)
