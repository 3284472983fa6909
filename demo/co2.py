"""The second scene: weekly CO2 on Mauna Loa, 1958 to 2001, 59 weeks of it missing; one pass, every forecast made beforehand.

The model is a linear state space that is fed the value of the week before. It starts as what anyone would write down, a
level and two yearly waves that follow the data a little, and learns all its 41 parameters from there, together with its
state. Beside it are persistence and two linear autoregressions, online and with kfng as well. What is set by hand is in
`state_space` and in the constants. Tried on this series: prior variances from 1e-6 to 1e-3, with RMSEs from 0.39 to 0.40, the
one that is run not the best of them; and the same model with a random start at the scale of the first rows, 0.46. Run by `make demo`.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from co2_picture import draw
from scores import HEADERS, Forecast, normal_log_density, rmse, row
from tabulate import tabulate

import kfng

YEAR = 52.1775  # weeks
FIRST = 104  # two years whose mean is the zero of what all methods see; they are learned from, and not scored
EVERY = 13  # weeks between two looks ahead
HORIZONS = (13, 52)
DRAWN_FROM, DRAWN_STEPS = 1990.0, 156  # the three years ahead that are drawn
NEAR = tuple(range(1, 9))
LAST_YEAR = (51, 52, 53)

Ahead = Callable[[kfng.Filter, np.ndarray, int], tuple[np.ndarray, np.ndarray]]


def read() -> tuple[np.ndarray, np.ndarray]:
    """Dates in years (n,) and ppm above the mean of the first two years (n,), NaN where a week is missing."""
    try:
        from statsmodels.datasets import co2
    except ImportError:
        raise SystemExit('the demo needs its data: pip install "kfng[demo]"') from None
    y = co2.load_pandas().data["co2"]
    return (y.index.year + (y.index.day_of_year - 1) / 365.25).to_numpy(), (y - y[:FIRST].mean()).to_numpy(dtype=float)


def state_space() -> kfng.Filter:
    """A level and waves of a year and half a year, s' = A s + K (y - C s): a LinearStateSpace that is fed y."""
    A = np.eye(5)
    for i, w in ((1, 2 * np.pi / YEAR), (3, 4 * np.pi / YEAR)):
        A[i : i + 2, i : i + 2] = [[np.cos(w), np.sin(w)], [-np.sin(w), np.cos(w)]]
    C = np.array([[1.0, 1.0, 0.0, 1.0, 0.0]])
    K = np.array([[0.5], [0.05], [0.0], [0.02], [0.0]])
    theta = np.concatenate([K.ravel(), (A - K @ C).ravel(), np.zeros(5), C.ravel(), [0.0]])
    model = kfng.LinearStateSpace(n_inputs=1, n_units=5, n_outputs=1)
    family = kfng.Gaussian(variance=None, prior_scale=0.5)
    return kfng.Filter(model, family, belief=kfng.Full(1e-4), theta=theta)


def autoregression(lags: tuple[int, ...]) -> kfng.Filter:
    """Linear in the values so many weeks ago, with a prior that says nothing."""
    return kfng.Filter(kfng.Linear(len(lags)), kfng.Gaussian(variance=None), belief=kfng.Full(1e4))


def run_on(flt: kfng.Filter, past: np.ndarray, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """The state space feeds itself."""
    return flt.forecast(steps=steps)


def feed_back(lags: tuple[int, ...]) -> Ahead:
    """An autoregression has to be fed; it does not know how its errors add up."""

    def ahead(flt: kfng.Filter, past: np.ndarray, steps: int) -> tuple[np.ndarray, np.ndarray]:
        values = np.concatenate([past, np.empty(steps)])
        for t in range(len(past), len(values)):
            values[t] = flt.predict(values[None, t - np.array(lags)])[0]
        return values[len(past) :], np.full(steps, np.nan)

    return ahead


class Pass:
    """What one method said of each week: one week before, and at each of the horizons before."""

    def __init__(self, name: str, n: int) -> None:
        self.name = name
        self.mean, self.std, self.log_density = np.full((3, n), np.nan)
        self.ahead = {h: np.full((2, n), np.nan) for h in HORIZONS}
        self.drawn: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self.speed: float | None = None

    def look_ahead(self, t: int, mean: np.ndarray, std: np.ndarray) -> None:
        for h, kept in self.ahead.items():
            if t + h < kept.shape[1]:
                kept[:, t + h] = mean[h - 1], std[h - 1]

    def forecast(self, rows: np.ndarray) -> Forecast:
        return Forecast(self.name, self.mean, self.std, self.log_density, self.speed).take(rows)


def one_pass(
    name: str, flt: kfng.Filter, y: np.ndarray, lags: tuple[int, ...], ahead: Ahead, draw_at: list[int]
) -> Pass:
    """Week by week; a missing value is fed on as its own forecast, and teaches nothing."""
    said, filled, back, seconds = Pass(name, len(y)), y.copy(), np.array(lags), 0.0
    for t in range(1, len(y)):
        if t < max(lags):
            filled[t] = filled[t - 1] if np.isnan(y[t]) else y[t]
            continue
        begun = time.perf_counter()
        step = flt.update(filled[t - back], y[t])
        seconds += time.perf_counter() - begun
        said.mean[t], said.std[t], said.log_density[t] = step.prediction, step.std, -step.nll
        if np.isnan(y[t]):
            filled[t] = step.prediction
        if t >= FIRST and t % EVERY == 0:
            said.look_ahead(t, *ahead(flt, filled[: t + 1], max(HORIZONS)))
        if t in draw_at:
            said.drawn[t] = ahead(flt, filled[: t + 1], DRAWN_STEPS)
    said.speed = (len(y) - max(lags)) / seconds
    print(f"{name}: {flt.theta.size} parameters, mean NIS {flt.health()['mean_nis']:.2f}")
    return said


def persistence(y: np.ndarray, draw_at: list[int]) -> Pass:
    """The last value that was there; its sd is that of its errors so far."""
    said, last, squares, count = Pass("persistence", len(y)), y[0], 0.0, 0
    for t in range(1, len(y)):
        said.mean[t], said.std[t] = last, np.sqrt(squares / count) if count else np.nan
        if np.isfinite(y[t]):
            squares, count, last = squares + (y[t] - last) ** 2, count + 1, y[t]
        if t >= FIRST and t % EVERY == 0:
            said.look_ahead(t, *np.broadcast_to([[last], [np.nan]], (2, max(HORIZONS))))
        if t in draw_at:
            said.drawn[t] = np.full(DRAWN_STEPS, last), np.full(DRAWN_STEPS, np.nan)
    said.log_density = normal_log_density(y, said.mean, said.std)
    return said


def far(y: np.ndarray, said: Pass) -> list[str]:
    """One line of the second table."""
    cells = [said.name]
    for mean, std in said.ahead.values():
        there = np.isfinite(mean) & np.isfinite(y)
        error = y[there] - mean[there]
        inside = np.mean(np.abs(error) <= 1.645 * std[there]) if np.isfinite(std[there]).all() else None
        cells += [f"{np.sqrt(np.mean(error**2)):.2f}", "" if inside is None else f"{100 * inside:.0f} %"]
    return cells


def longest_gap(y: np.ndarray) -> tuple[int, int]:
    """The last week before it and the first behind it."""
    there = np.flatnonzero(np.isfinite(y))
    i = int(np.argmax(np.diff(there)))
    return int(there[i]), int(there[i + 1])


def main() -> None:
    """Read, filter, score, draw."""
    dates, y = read()
    draw_at = [int(np.searchsorted(dates, DRAWN_FROM)), longest_gap(y)[0]]
    print(f"\n{'-' * 100}\n\n{len(y):,} weeks of CO2 on Mauna Loa, {np.isnan(y).sum()} missing; a model with a state\n")
    near, both = NEAR, NEAR + LAST_YEAR
    passes = [
        one_pass("kfng, state space", state_space(), y, (1,), run_on, draw_at),
        one_pass("kfng, linear in 8 weeks", autoregression(near), y, near, feed_back(near), draw_at),
        one_pass("and in 3 of the year before", autoregression(both), y, both, feed_back(both), draw_at),
        persistence(y, draw_at),
    ]
    rows = FIRST + np.flatnonzero(np.isfinite(y[FIRST:]))
    online = [said.forecast(rows) for said in passes]
    print(f"\n{len(rows):,} weeks, each predicted before it was used; errors in ppm\n")
    print(tabulate([row(y[rows], forecast) for forecast in online], headers=HEADERS, disable_numparse=True))
    headers = ["", *(text for h in HORIZONS for text in (f"RMSE {h} weeks ahead", "90 % interval"))]
    print(f"\nFurther ahead, every {EVERY} weeks\n")
    print(tabulate([far(y, said) for said in passes], headers=headers, disable_numparse=True))
    best = min(online[1:], key=lambda forecast: rmse(y[rows], forecast))
    gain = 100 * (1 - rmse(y[rows], online[0]) / rmse(y[rows], best))
    print(f"\nOne week ahead the state space errs {gain:.1f} % less than the best of the others ({best.name}).")
    output = Path(__file__).resolve().parent / "output"
    output.mkdir(exist_ok=True)
    draw(output / "co2.png", dates, y, passes, draw_at[0], longest_gap(y))
    print(f"picture: {os.path.relpath(output / 'co2.png')}")


if __name__ == "__main__":
    main()
