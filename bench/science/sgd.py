"""Plain gradient steps on a network of one hidden layer of tanh units, all candidate step sizes at once."""

import numpy as np
from small_tables import Split

UNITS = 50
STEPS = [10 ** (exponent / 4) for exponent in range(-16, 3)]
DECAYS = (0.0, 0.5)  # the step at row t is step·t^-decay
DIVERGED = 10.0  # times the mean square of y: a squared one-step-ahead error that a user cannot overlook
TUNING_SHARE = 0.25  # of the training rows, the first: half to learn from, half to choose the step on
Score = tuple[float, float]
"""Test RMSE and test mean log density."""


class Networks:
    """One network for each candidate (step, decay), all from the same theta_0 (p,)."""

    def __init__(self, theta: np.ndarray, d: int) -> None:
        self.grid = np.array([(step, decay) for decay in DECAYS for step in STEPS])
        parts = np.split(theta, np.cumsum([UNITS * d, UNITS, UNITS]))
        parts[0] = parts[0].reshape(UNITS, d)
        self.W, self.b, self.v, self.c = (np.repeat(part[None], len(self.grid), axis=0) for part in parts)

    def predict(self, U: np.ndarray) -> np.ndarray:
        """(n, candidates)."""
        return np.array([np.sum(self.v * np.tanh(self.W @ u + self.b), axis=1) + self.c[:, 0] for u in U])

    def learn(self, t: int, u: np.ndarray, y: float) -> np.ndarray:
        """One gradient step on half the squared error; returns the errors before it."""
        a = np.tanh(self.W @ u + self.b)
        e = y - (np.sum(self.v * a, axis=1) + self.c[:, 0])
        step = (self.grid[:, 0] * (t + 1) ** -self.grid[:, 1] * e)[:, None]
        back = step * self.v * (1 - a**2)
        self.v += step * a
        self.c += step
        self.W += back[:, :, None] * u
        self.b += back
        return e


def by_sgd(theta: np.ndarray, rows: Split) -> tuple[Score, Score, tuple[float, float], int]:
    """SGD with the step chosen on held-out rows; the best one on the test rows; step and decay chosen; runs that diverged.

    To choose, every candidate learns from the first half of the first rows in one pass and predicts the second half; the
    one of least squared error then makes one pass over all rows. Where that diverges, which the stream itself shows, the
    next best is taken. The density is normal, its variance the mean squared one-step-ahead error over the second half of
    the training rows. The bound is the best of all for each figure by itself.
    """
    networks = Networks(theta, rows.U.shape[1])
    half, last = round(TUNING_SHARE * len(rows.Y) / 2), slice(len(rows.Y) // 2, None)
    errors = np.empty((len(rows.Y), len(networks.grid)))
    with np.errstate(over="ignore", invalid="ignore"):  # step sizes that are too large
        for t, (u, y) in enumerate(zip(rows.U, rows.Y, strict=True)):
            if t == half:
                ahead = slice(half, 2 * half)
                held_out = np.mean((rows.Y[ahead, None] - networks.predict(rows.U[ahead])) ** 2, axis=0)
            errors[t] = networks.learn(t, u, y)
        e = rows.Y_test[:, None] - networks.predict(rows.U_test)
        variance = np.mean(errors[last] ** 2, axis=0)
        rmse = np.sqrt(np.mean(e**2, axis=0))
        density = np.mean(-0.5 * np.log(2 * np.pi * variance) - e**2 / (2 * variance), axis=0)
    order = np.argsort(np.where(np.isfinite(held_out), held_out, np.inf))
    sane = variance[order] < DIVERGED * np.mean(rows.Y[last] ** 2)  # False where it is NaN
    diverged = int(np.argmax(sane))
    chosen = order[diverged]
    best = float(np.nanmin(rmse)), float(np.max(density[np.isfinite(density)]))
    return (float(rmse[chosen]), float(density[chosen])), best, tuple(networks.grid[chosen].tolist()), diverged
