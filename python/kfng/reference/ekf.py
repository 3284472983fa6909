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
