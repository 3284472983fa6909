"""The textbook extended Kalman filter of (s, theta) together, in H, R, S, K algebra, and streams for it.

    x = (s, theta),  F = [[f_s, f_theta], [0, I]],   P <- F P F',   forgetting: P <- P/(1-lam)^dt
    H = (dy_hat/dz)·[h_s, h_theta],  S = H P H' + R,  K = P H'S^-1,   x <- x + K (y - y_hat),  P <- (I - K H) P

It shares no line with kfng: partials are complex-step derivatives of the cells in cells.py, moments textbook formulas.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from theory.cells import CELLS, D, derivative

R2 = np.array([[0.3, 0.1], [0.1, 0.2]])
ROWS = 30


def gaussian(z):
    return z, R2, np.eye(2)


def bernoulli(z):
    m = 1 / (1 + np.exp(-z))
    return m, np.diag(m * (1 - m)), np.diag(m * (1 - m))


def poisson(z):
    m = np.exp(z)
    return m, np.diag(m), np.diag(m)


def categorical(z):
    """Of the indicators of all classes but the last."""
    pi = np.exp(z) / np.exp(z).sum()
    cov = (np.diag(pi) - np.outer(pi, pi))[:-1]
    return pi[:-1], cov[:, :-1], cov


@dataclass(frozen=True)
class Law:
    """k outputs; `moments(z)` gives y_hat, R, dy_hat/dz; `draw(rng, z)` a y, `indicators(y)` what y_hat is the mean of."""

    k: int
    family: Any
    moments: Any
    draw: Any
    indicators: Any = staticmethod(np.atleast_1d)


LAWS = {
    "Gaussian": Law(2, lambda impl: impl.Gaussian(covariance=R2), gaussian,
                    lambda rng, z: z + np.linalg.cholesky(R2) @ rng.normal(size=2)),
    "Bernoulli": Law(1, lambda impl: impl.Bernoulli(), bernoulli, lambda rng, z: float(rng.random() < 1 / (1 + np.exp(-z[0])))),
    "Poisson": Law(1, lambda impl: impl.Poisson(), poisson, lambda rng, z: float(rng.poisson(np.exp(z[0])))),
    "Categorical": Law(3, lambda impl: impl.Categorical(3), categorical,
                       lambda rng, z: float(rng.choice(3, p=np.exp(z) / np.exp(z).sum())), lambda y: np.eye(3)[int(y)][:-1]),
}  # fmt: skip
SIZES = {"Gaussian": 0.03, "Bernoulli": 0.05, "Poisson": 0.01, "Categorical": 0.05}


@dataclass(frozen=True)
class Stream:
    """A cell, a law, theta_0, the prior (p, p), rows; Y holds y as kfng takes it, NaN where missing."""

    cell: Any
    law: Law
    theta_0: np.ndarray
    prior: np.ndarray
    U: np.ndarray
    Y: list
    dt: np.ndarray
    weight: np.ndarray

    @property
    def p(self):
        return len(self.theta_0)


def stream(cell, law, seed=4, rows=ROWS, gaps=True, times=True):
    """Drawn from the model at a theta drawn from the prior: a truth to be learned, with something to learn everywhere."""
    rng = np.random.default_rng(seed)
    cell, size, law = CELLS[cell], SIZES[law], LAWS[law]
    p = cell.p(law.k)
    root = np.tril(0.3 * rng.normal(size=(p, p)), -1) / np.sqrt(p) + np.diag(rng.uniform(0.7, 1.3, size=p))
    prior = size * root @ root.T
    theta_0 = 0.4 * rng.normal(size=p)
    truth, s = theta_0 + np.linalg.cholesky(prior) @ rng.normal(size=p), np.zeros(cell.n)
    U, Y = rng.normal(size=(rows, D)), []
    for u in U:
        s = cell.f(truth, s, u)
        y = np.atleast_1d(law.draw(rng, cell.h(truth, s, law.k)))
        if gaps and len(Y) % 7 == 3:
            y = np.full_like(y, np.nan)
        elif gaps and len(y) > 1 and rng.random() < 0.3:
            y = np.where(np.arange(len(y)) == rng.integers(len(y)), np.nan, y)
        Y.append(y if len(y) > 1 else float(y[0]))
    dt = rng.uniform(0.2, 1.8, size=rows) if times else np.ones(rows)
    return Stream(cell, law, theta_0, prior, U, Y, dt, rng.uniform(0.5, 1.5, size=rows))


@dataclass(frozen=True)
class Path:
    """After each row: s (T, n), theta (T, p), the joint covariance (T, n + p, n + p); what each row moved s by, (T, n).

    `first` (n,) and `first_P` (n + p, n + p) are the last s_0 and the last covariance of (s_0, theta).
    """

    s: np.ndarray
    theta: np.ndarray
    P: np.ndarray
    corrections: np.ndarray
    first: np.ndarray
    first_P: np.ndarray


def run(rows, lam=0.0, state_noise=0.0, stale=False, s_0=None, state_prior=None, noise=None):
    """The filter over a stream, of x = (s, s_0, theta) where s_0 does not move; noise: Q (n + p, n + p) of (s, theta) in a
    unit of time, or one for each row.

    Controls: noise of its own for the state, partials at the state before its correction.
    """
    cell, law, n, k = rows.cell, rows.law, rows.cell.n, rows.law.k
    s = np.zeros(n) if s_0 is None else s_0
    first, theta, uncorrected = s, rows.theta_0, s
    prior = np.zeros((n, n)) if state_prior is None else state_prior
    corner = np.zeros((2 * n, rows.p))
    P = np.block([[np.kron(np.ones((2, 2)), prior), corner], [corner.T, rows.prior]])
    inner, both = np.arange(len(P)) >= n, np.r_[np.arange(n), np.arange(2 * n, len(P))]
    path = []
    Q = np.broadcast_to(0.0 if noise is None else noise, (len(rows.U), n + rows.p, n + rows.p))
    for u, y, dt, w, Q_t in zip(rows.U, rows.Y, rows.dt, rows.weight, Q, strict=True):
        at = uncorrected if stale else s
        F = np.eye(len(P))
        F[:n, :n] = derivative(lambda x, u=u, theta=theta: cell.f(theta, x, u), at)
        F[:n, 2 * n :] = derivative(lambda x, u=u, at=at: cell.f(x, at, u), theta)
        s = cell.f(theta, s, u)
        P = F @ P @ F.T / (1 - lam) ** dt
        P[:n, :n] += state_noise * np.eye(n)
        P[np.ix_(both, both)] += dt * Q_t
        uncorrected, moved = s, np.zeros(n)
        if not np.isnan(y).all():
            h = np.zeros((k, len(P)))
            h[:, :n] = derivative(lambda x, theta=theta: cell.h(theta, x, k), s)
            h[:, 2 * n :] = derivative(lambda x, s=s: cell.h(x, s, k), theta)
            y_hat, R, slope = law.moments(cell.h(theta, s, k))
            seen = ~np.isnan(law.indicators(y))
            H, R = (slope @ h)[seen], R[np.ix_(seen, seen)] / w
            S = H @ P @ H.T + R
            K = np.linalg.solve(S, H @ P).T
            step = K @ (law.indicators(y) - y_hat)[seen]
            moved = step[:n]
            s, first, theta, P = s + moved, first + step[n : 2 * n], theta + step[2 * n :], P - K @ H @ P
        P = (P + P.T) / 2
        path.append((s, theta, P[np.ix_(both, both)], moved))
    return Path(*(np.array(part) for part in zip(*path, strict=True)), first, P[np.ix_(inner, inner)])


def feed(flt, rows):
    """kfng's filter over the same stream; the same four arrays but for the last."""
    s, theta, P = [], [], []
    for u, y, dt, w in zip(rows.U, rows.Y, rows.dt, rows.weight, strict=True):
        flt.update(u, y, dt=dt, weight=w)
        s.append(flt.state), theta.append(flt.theta), P.append(flt.joint_cov())
    return np.array(s), np.array(theta), np.array(P)


def apart(found, path):
    """Largest difference of s and theta in posterior standard deviations, and of P in units of the two."""
    s, theta, P = found
    worst = 0.0
    for t in range(len(s)):
        sd = np.sqrt(np.diagonal(path.P[t]))
        scale = np.where(sd > 0, sd, 1.0)
        mean = np.concatenate([s[t] - path.s[t], theta[t] - path.theta[t]]) / scale
        worst = max(worst, np.max(np.abs(mean)), np.max(np.abs(P[t] - path.P[t]) / np.outer(scale, scale)))
    return worst
