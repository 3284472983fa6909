"""Prequential scores (every prediction is made before its row is used) and the two baselines that need no filter."""

import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

LEVELS = (0.5, 0.9, 0.99)


class Forecast(NamedTuple):
    """What a method said about each row: mean, standard deviation and log density of what then happened."""

    name: str
    prediction: np.ndarray
    std: np.ndarray
    log_density: np.ndarray
    rows_per_second: float | None = None

    def take(self, rows: np.ndarray) -> "Forecast":
        """Keep these rows only."""
        return self._replace(prediction=self.prediction[rows], std=self.std[rows], log_density=self.log_density[rows])


def coverage(y: np.ndarray, forecast: Forecast, level: float) -> float:
    """Share of rows inside the central interval. Behind 1,000 rows a Student-t is a normal to three digits."""
    half = NormalDist().inv_cdf(0.5 + level / 2) * forecast.std
    return float(np.mean(np.abs(y - forecast.prediction) <= half))


def rmse(y: np.ndarray, forecast: Forecast) -> float:
    """Root of the mean squared error, in minutes."""
    return float(np.sqrt(np.mean((y - forecast.prediction) ** 2)))


def row(y: np.ndarray, forecast: Forecast) -> list:
    """One line of the table."""
    speed = forecast.rows_per_second
    return [
        forecast.name,
        f"{rmse(y, forecast):.3f}",
        f"{np.mean(np.abs(y - forecast.prediction)):.3f}",
        f"{np.mean(forecast.log_density):.4f}",
        *(f"{100 * coverage(y, forecast, level):.1f} %" for level in LEVELS),
        "" if speed is None else f"{speed:,.0f}",
    ]


HEADERS = ["", "RMSE", "MAE", "log density", *(f"{100 * level:.0f} % interval" for level in LEVELS), "rows/s"]


def kurtosis(y: np.ndarray, forecast: Forecast) -> float:
    """Fourth moment of the standardised errors; 3 for a normal distribution."""
    z = (y - forecast.prediction) / forecast.std
    return float(np.mean(z**4) / np.mean(z**2) ** 2)


def normal_log_density(y: np.ndarray, mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    """Log of the normal density."""
    return -0.5 * ((y - mean) / std) ** 2 - np.log(std) - 0.5 * math.log(2 * math.pi)


def running_mean(first: np.ndarray, y: np.ndarray) -> Forecast:
    """Mean and variance of all arrivals before each row; `first` are those before row 0. No NaN in either."""
    seen = np.concatenate([first, y[:-1]])
    count = np.arange(1, len(seen) + 1)
    mean = (np.cumsum(seen) / count)[len(first) - 1 :]
    variance = (np.cumsum(seen**2) / count)[len(first) - 1 :] - mean**2
    std = np.sqrt(variance * (1 + 1 / count[len(first) - 1 :]))
    return Forecast("running mean", mean, std, normal_log_density(y, mean, std))


def ridge_in_hindsight(X: np.ndarray, y: np.ndarray, rows: np.ndarray, penalty: float = 1.0) -> Forecast:
    """Fit ridge to all `rows` at once, then predict those same rows: the best of linear fits, knowing the year."""

    def blocks():
        for part in np.array_split(rows, max(1, len(rows) // 20_000)):
            yield np.hstack([X[part], np.ones((len(part), 1))]), y[part]

    p = X.shape[1] + 1
    gram = penalty * np.eye(p)
    gram[-1, -1] = 0.0  # the intercept is free
    moment = np.zeros(p)
    for A, b in blocks():
        gram += A.T @ A
        moment += A.T @ b
    theta = np.linalg.solve(gram, moment)
    prediction = np.concatenate([A @ theta for A, _ in blocks()])
    std = np.full(len(rows), np.sqrt(np.mean((y[rows] - prediction) ** 2)))
    return Forecast("batch ridge, in hindsight", prediction, std, normal_log_density(y[rows], prediction, std))
