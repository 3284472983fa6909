"""The textbook extended Kalman filter of a constant theta, in mean-parameter form: the oracle of the oracle.

    time:  P <- P + Q
    row:   S = H P H' + R;   K = P H'S^-1;   theta <- theta + K (y - y_hat);   P <- (I - K H) P

y_hat = E(y | z), R = Cov(y | z), H = dy_hat/dtheta, all at the theta before the row. It shares no line with the filter
beside it, and is for tests alone: at a saturated logit R is 0 and K is 0/0. A weight w is an observation noise R/w.
Source: any textbook; for families other than the Gaussian, Ollivier 2018, arXiv 1703.00209, section 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .._validate import Array


class Moments(NamedTuple):
    """y_hat (k,), R (k, k) and dy_hat/dz (k, k) at an output z."""

    y_hat: Array
    R: Array
    slope: Array


def gaussian(z: Array, R: Array) -> Moments:
    return Moments(z, R, np.eye(len(z)))


def bernoulli(z: Array) -> Moments:
    m = 1 / (1 + np.exp(-z))
    return Moments(m, np.diag(m * (1 - m)), np.diag(m * (1 - m)))


def poisson(z: Array) -> Moments:
    m = np.exp(z)
    return Moments(m, np.diag(m), np.diag(m))


def binomial(z: Array, trials: float) -> Moments:
    m = 1 / (1 + np.exp(-z))
    R = np.diag(trials * m * (1 - m))
    return Moments(trials * m, R, R)


def negative_binomial(z: Array, dispersion: float) -> Moments:
    m = np.exp(z)
    return Moments(m, np.diag(m + dispersion * m**2), np.diag(m))


def gamma(z: Array, shape: float) -> Moments:
    m = np.exp(z)
    return Moments(m, np.diag(m**2 / shape), np.diag(m))


def categorical(z: Array) -> Moments:
    """Of the indicators of all classes but the last."""
    pi = np.exp(z) / np.exp(z).sum()
    slope = (np.diag(pi) - np.outer(pi, pi))[:-1]
    return Moments(pi[:-1], slope[:, :-1], slope)


def mean_variance(z: Array) -> Moments:
    """Of (y, y²) where y ~ N(z_1, exp(z_2))."""
    m, v = z[0], np.exp(z[1])
    R = np.array([[v, 2 * m * v], [2 * m * v, 4 * m**2 * v + 2 * v**2]])
    return Moments(np.array([m, m**2 + v]), R, np.array([[1.0, 0.0], [2 * m, v]]))


@dataclass
class EKF:
    """theta (p,) and P (p, p); `predict` then `update`, row by row."""

    theta: Array
    P: Array

    def predict(self, Q: Array | float = 0.0) -> None:
        """Process noise Q: (p, p), or q for q·I."""
        self.P = self.P + (np.asarray(Q) if np.ndim(Q) else np.asarray(Q) * np.eye(len(self.P)))

    def fade(self, lam: float) -> None:
        """Forgetting lam in [0, 1): the process noise lam/(1-lam)·P."""
        self.predict(lam / (1 - lam) * self.P)

    def update(self, y: Array, moments: Moments, dz: Array, weight: float = 1.0) -> None:
        """Learn from y (k,), NaN where an entry is missing; dz (k, p) is dz/dtheta."""
        seen = ~np.isnan(y)
        if weight == 0 or not seen.any():
            return
        H = (moments.slope @ dz)[seen]
        R = moments.R[np.ix_(seen, seen)] / weight
        S = H @ self.P @ H.T + R
        K = np.linalg.solve(S, H @ self.P).T
        self.theta = self.theta + K @ (y - moments.y_hat)[seen]
        self.P = self.P - K @ H @ self.P
