"""T15: a learned noise variance is the exact exponentially weighted normal-inverse-gamma posterior.

With P relative to sigma², sigma² ~ InvGamma(a, b), W_i = w_i·d_{i+1}···d_t and D = d_1···d_t (d the decay of a time step):

    theta_t, P_t  the ridge posterior (T6),      a_t = D a_0 + sum_i W_i k_i/2,
    b_t = D b_0 + 1/2 [ sum_i W_i |y_i - H_i theta_t|² + D (theta_t - theta_0)'P_0^-1 (theta_t - theta_0) ]

k_i observed outputs of row i; row by row this is a += w k/2, b += w e'S^-1 e/2 with e the raw innovation and S relative to
sigma². Forgetting discounts a and b alike, but a never below a_0 (b scaled with it). Conjugate algebra: any textbook.
"""

import numpy as np
import pytest
from theory.literal import Gaussian, Linear, error, judge
from theory.streams import LEARNED, assert_quiet, make, partly_missing

TOLERANCE = 1e-13
A_0 = LEARNED["prior_dof"] / 2
B_0 = A_0 * LEARNED["prior_scale"] ** 2
LAM = 0.015


def rows_of(k):
    """The first row has dt = 0, so that a starts by growing and its floor a_0 never acts."""
    noise, family = Gaussian(0.5 * np.eye(k)), ("Gaussian", LEARNED)
    complete = make(Linear(3, k), Gaussian(np.eye(k)), family, noise=noise, n=60, seed=k)
    rows = partly_missing(complete)
    rows.trials[0] = complete.trials[0]
    rows.dt[0] = 0.0
    return rows


def learn(impl, guards, rows, lam):
    flt = rows.filter(impl, guards, rule=impl.Fading(lam) if lam else impl.Kalman())
    mean, dof = [], []
    for t in range(len(rows.U)):
        rows.feed(flt, t)
        mean.append(flt.noise_variance[0])
        dof.append(flt.noise_variance[1])
    assert_quiet(flt)
    a = np.array(dof) / 2
    return flt, a, np.array(mean) * (a - 1)


class Batch:
    """The weighted posterior after each t rows, from scratch; rows of H (n, k, p) and y (n, k) are 0 where y is missing."""

    def __init__(self, rows, lam):
        self.rows, self.kept, self.seen = rows, (1 - lam) ** rows.dt, np.isfinite(rows.Y)
        self.y = np.where(self.seen, rows.Y - rows.offset, 0.0)
        jacobians = np.array([rows.model.jacobian(rows.theta_0, u) for u in rows.U])
        self.H = jacobians * self.seen[:, :, None]
        self.K_0 = np.linalg.inv(rows.prior)

    def weights(self, t, discounted=True):
        """D and W_1 ... W_t."""
        kept = self.kept if discounted else np.ones_like(self.kept)
        return np.prod(kept[:t]), self.rows.weight[:t] * np.array([np.prod(kept[i + 1 : t]) for i in range(t)])

    def theta(self, t):
        """theta_t and the precision P_t^-1."""
        D, W = self.weights(t)
        H, y = self.H[:t], self.y[:t]
        precision = D * self.K_0 + np.einsum("t,tkp,tkq->pq", W, H, H)
        vector = D * self.K_0 @ self.rows.theta_0 + np.einsum("t,tkp,tk->p", W, H, y)
        return np.linalg.solve(precision, vector), precision

    def a(self, t, discounted=True):
        D, W = self.weights(t, discounted)
        return D * A_0 + 0.5 * W @ self.seen[:t].sum(axis=1)

    def b(self, t):
        D, W = self.weights(t)
        theta, _ = self.theta(t)
        away = theta - self.rows.theta_0
        squares = W @ np.sum((self.y[:t] - self.H[:t] @ theta) ** 2, axis=1)
        return D * B_0 + 0.5 * (squares + D * away @ self.K_0 @ away)

    def innovations(self, t, relative_to_S):
        """sum_i W_i e_i'S_i^-1 e_i, or without the S_i: each e_i from the batch posterior of the rows before it."""
        _, W = self.weights(t)
        total = 0.0
        for i in range(t):
            theta, precision = self.theta(i)
            seen = self.seen[i]
            H, e = self.H[i][seen], (self.y[i] - self.H[i] @ theta)[seen]
            S = np.eye(seen.sum()) + self.rows.weight[i] * H @ np.linalg.inv(self.kept[i] * precision) @ H.T
            total += W[i] * (e @ np.linalg.solve(S, e) if relative_to_S else e @ e)
        return total


# bites for one output and for several, under forgetting: a that is not discounted
@pytest.mark.parametrize("a", ["discounted", "not discounted"])
@pytest.mark.parametrize("lam", [LAM, 0.0])
@pytest.mark.parametrize("k", [1, 3])
def test_weighted_normal_inverse_gamma(impl, guards, k, lam, a):
    rows = rows_of(k)
    flt, a_t, b_t = learn(impl, guards, rows, lam)
    batch = Batch(rows, lam)
    ts = range(1, len(rows.U) + 1)
    exact_a = np.array([batch.a(t, a == "discounted") for t in ts])
    judge(error(a_t, exact_a), TOLERANCE, control=a == "not discounted" and lam > 0)
    assert error(b_t, np.array([batch.b(t) for t in ts])) <= TOLERANCE
    theta, precision = batch.theta(len(rows.U))
    assert error(flt.theta, theta) <= TOLERANCE
    scale = exact_a[-1] if a == "discounted" or lam == 0 else batch.a(len(rows.U))
    assert error(flt.cov(), b_t[-1] / (scale - 1) * np.linalg.inv(precision)) <= TOLERANCE  # cov = b/(a - 1) P


# bites for one output and for several, with and without forgetting: the raw residual in the place of e'S^-1 e
@pytest.mark.parametrize("residual", ["e'S^-1 e", "e'e"])
@pytest.mark.parametrize("lam", [LAM, 0.0])
@pytest.mark.parametrize("k", [1, 3])
def test_b_counts_squared_innovations(impl, guards, k, lam, residual):
    rows = rows_of(k)
    _, _, b_t = learn(impl, guards, rows, lam)
    batch, t = Batch(rows, lam), len(rows.U)
    D, _ = batch.weights(t)
    exact = D * B_0 + 0.5 * batch.innovations(t, relative_to_S=residual == "e'S^-1 e")
    judge(error(b_t[-1], exact), TOLERANCE, control=residual == "e'e")


@pytest.mark.parametrize("kept", [0.9, 1e-6])
def test_a_never_decays_below_its_prior(impl, guards, kept):
    """Long silence: a is back at a_0, and b with it, so that the mean of 1/sigma², a/b, is kept."""
    rows = rows_of(1)
    flt, a_t, b_t = learn(impl, guards, rows, LAM)
    dt = np.log(kept) / np.log1p(-LAM)
    flt.update(rows.U[0], np.nan, dt=dt)
    mean, dof = flt.noise_variance
    expected = max(kept * a_t[-1], A_0)
    assert (expected == A_0) == (kept < 0.5)
    assert abs(dof / 2 - expected) <= TOLERANCE * expected
    assert abs(mean * (dof / 2 - 1) / (dof / 2) - b_t[-1] / a_t[-1]) <= TOLERANCE * b_t[-1] / a_t[-1]
