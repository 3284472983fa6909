"""What people write by hand for the same work; each gives theta, so that a fast wrong peer is found out."""

import numpy as np


class ThreeLiner:
    """Recursive least squares in three lines of NumPy: theta and P alone, no prediction, no guard, unit noise."""

    def __init__(self, p: int, prior_variance: float) -> None:
        self.th, self.P = np.zeros(p), np.eye(p) * prior_variance

    def update(self, x: np.ndarray, y: float) -> None:
        th, P = self.th, self.P
        Px = P @ x
        k = Px / (1 + x @ Px)
        th += k * (y - x @ th)
        P -= np.outer(k, Px)

    def update_many(self, X: np.ndarray, Y: np.ndarray) -> None:
        for x, y in zip(X, Y, strict=True):
            self.update(x, y)
