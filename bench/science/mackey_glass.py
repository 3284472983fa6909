"""A chaotic series in one pass: Mackey-Glass, forecast by a recurrent network with a Kalman filter, by Adam, and linearly.

`python bench/science/mackey_glass.py` integrates x' = 0.2 x(t-17)/(1 + x(t-17)^10) - 0.1 x, sampled once a unit of time, and
runs every method once over the series, row by row: fed the value before, asked for the next one, and now and then for the
ones further on, its forecasts fed back. There is no noise; what the filters call noise, R, is what the model is allowed to
miss, 4 % of the series' sd, and one line shows what comes of learning it from a start at the size of the series. Source of the series: M. Mackey and
L. Glass, "Oscillation and chaos in physiological control systems", Science 197 (1977) 287-289.
"""

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
from report import Report, implementation, name, parser

SEEDS, ROWS, FIRST = 5, 5000, 100
DELAY, FINE = 17, 10  # of the series; integration steps a unit of time
BURN_IN = 500  # rows left out
R = 1e-4  # sd 0.01; that of the series is 0.23
UNITS, LAGS = 16, (8, 34)
HORIZONS, EVERY = (6, 20), 50
SCORED_FROM = 2500
USUAL = 1e-3
STEPS = (1e-4, 3e-4, 1e-3, 3e-3)


def series(seed: int, rows: int) -> np.ndarray:
    """(rows,): Runge-Kutta with the delayed value interpolated, from a constant past of its own; the first rows left out."""
    rng, lag = np.random.default_rng(seed), DELAY * FINE
    x = np.empty((rows + BURN_IN) * FINE + lag + 1)
    x[: lag + 1] = 1.2 + 0.1 * rng.normal()
    dt = 1 / FINE

    def flow(x: float, past: float) -> float:
        return 0.2 * past / (1 + past**10) - 0.1 * x

    for i in range(lag, len(x) - 1):
        past, next_past = x[i - lag], x[i - lag + 1]
        middle = (past + next_past) / 2
        a = flow(x[i], past)
        b = flow(x[i] + dt / 2 * a, middle)
        c = flow(x[i] + dt / 2 * b, middle)
        x[i + 1] = x[i] + dt / 6 * (a + 2 * b + 2 * c + flow(x[i] + dt * c, next_past))
    return x[lag + BURN_IN * FINE :: FINE][:rows]


# -- the methods: every one makes its rows U (n, d) of the series and forecasts further on in its own way
Ahead = Callable[[Any, np.ndarray, int], np.ndarray]


def lagged(y: np.ndarray, lags: int) -> np.ndarray:
    """Row t has y_{t-1}, ..., y_{t-lags}; before the series starts, its first value."""
    padded = np.concatenate([np.full(lags, y[0]), y])
    return np.column_stack([padded[lags - j : len(padded) - j] for j in range(1, lags + 1)])


def recurrent(
    impl: ModuleType, cell: str, y: np.ndarray, variance: float | None = R, **options: Any
) -> tuple[Any, Any, Ahead]:
    """A cell fed the value before, at the scale of the first rows, which it learns from."""
    U, model, family = lagged(y, 1), getattr(impl, cell)(1, UNITS, 1), impl.Gaussian(variance)
    return impl.Filter.from_rows(U[:FIRST], y[:FIRST], model, family, **options), U, run_on


def run_on(flt: Any, past: np.ndarray, steps: int) -> np.ndarray:
    return flt.forecast(steps=steps)[0]


def linear(impl: ModuleType, lags: int, y: np.ndarray, rule: Any) -> tuple[Any, Any, Ahead]:
    """An autoregression, online."""
    U = lagged(y, lags)
    return impl.Filter.from_rows(U[:FIRST], y[:FIRST], impl.Linear(lags), impl.Gaussian(R), rule=rule), U, feed_back


def feed_back(flt: Any, past: np.ndarray, steps: int) -> np.ndarray:
    lags = flt.settings.model.n_features
    values = np.concatenate([past[-lags:], np.empty(steps)])
    for t in range(lags, len(values)):
        values[t] = flt.predict(values[None, t - lags : t][:, ::-1])[0]
    return values[lags:]


def errors(flt: Any, U: np.ndarray, y: np.ndarray, ahead: Ahead) -> np.ndarray:
    """Root mean squared error one row ahead and at the horizons, over the sd of the series: (1 + horizons,)."""
    n = len(y)
    guess = np.full((1 + len(HORIZONS), n), np.nan)
    for first in range(FIRST, n, EVERY):
        part = slice(first, min(first + EVERY, n))
        guess[0, part] = flt.update_many(U[part], y[part]).prediction
        if first + EVERY < n:
            path = ahead(flt, y[: part.stop], max(HORIZONS))
            for i, h in enumerate(HORIZONS, start=1):
                if part.stop + h <= n:
                    guess[i, part.stop + h - 1] = path[h - 1]
    squares = (guess - y)[:, SCORED_FROM:] ** 2
    return np.sqrt(np.nanmean(squares, axis=1)) / np.std(y)


def persistence(y: np.ndarray) -> np.ndarray:
    misses = [y[SCORED_FROM - h : len(y) - h] - y[SCORED_FROM:] for h in (1, *HORIZONS)]
    return np.sqrt(np.mean(np.square(misses), axis=1)) / np.std(y)


def methods(impl: ModuleType, y: np.ndarray, seed: int) -> dict[str, tuple[Any, Any, Ahead]]:
    """Name -> filter, rows, how it looks ahead."""
    filtering = {"rule": impl.Fading(half_life=5000), "seed": seed}
    plain = impl.RTRL(state_correction=False)
    made = {
        "RNN, RTRL + Kalman": recurrent(impl, "RNN", y, **filtering),
        "the same, no state correction": recurrent(impl, "RNN", y, sensitivity=plain, **filtering),
        "the same, R learned": recurrent(impl, "RNN", y, None, **filtering),
        "GRU, RTRL + Kalman": recurrent(impl, "GRU", y, **filtering),
    }
    for title, sensitivity in (("RTRL", plain), ("UORO", impl.UORO(seed=seed))):
        for step in STEPS:
            options = {"rule": impl.Adam(step), "sensitivity": sensitivity, "seed": seed}
            made[f"RNN, {title} + Adam, {step:g}"] = recurrent(impl, "RNN", y, **options)
    return made | {f"linear in {lags} rows, Kalman": linear(impl, lags, y, filtering["rule"]) for lags in LAGS}


def run(impl: ModuleType, seeds: int = SEEDS, rows: int = ROWS) -> dict[str, np.ndarray]:
    """Name of the method -> errors (seeds, 1 + horizons)."""
    found: dict[str, list[np.ndarray]] = {}
    for seed in range(seeds):
        y = series(seed, rows)
        for title, (flt, U, ahead) in methods(impl, y, seed).items():
            found.setdefault(title, []).append(errors(flt, U, y, ahead))
        found.setdefault("persistence", []).append(persistence(y))
    return {title: np.array(values) for title, values in found.items()}


def shown(found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Of Adam's steps the usual one and the one that was best one row ahead on these series, which no user has."""
    kept = {}
    for title, values in found.items():
        group, _, step = title.rpartition(", ")
        if not group.endswith("Adam"):
            kept[title] = values
        elif float(step) == USUAL:
            kept[f"{group}, {step}"] = values
            best = min(STEPS, key=lambda s: np.mean(found[f"{group}, {s:g}"][:, 0]))
            kept[f"{group}, best in hindsight: {best:g}"] = found[f"{group}, {best:g}"]
    return kept


def cell(values: np.ndarray) -> str:
    return f"{np.mean(values):.3f} ± {np.std(values, ddof=1) / np.sqrt(len(values)):.3f}"


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--seeds", type=int, default=SEEDS)
    options.add_argument("--rows", type=int, default=ROWS)
    given = options.parse_args()
    impl, report = implementation(given.reference), Report("mackey_glass")
    found = shown(run(impl, given.seeds, given.rows))
    report.table(
        ["method", *(f"{h} row{'s' * (h > 1)} ahead" for h in (1, *HORIZONS))],
        [[title, *(cell(values[:, i]) for i in range(values.shape[1]))] for title, values in found.items()],
        f"Root mean squared error over the series' sd, mean ± standard error of {given.seeds} series (NumPy seeds "
        f"from 0) of {given.rows:,} rows, one pass, scored from row {SCORED_FROM:,} on; {UNITS} units; all start "
        f"from their first {FIRST} rows (`from_rows`); R = {R:g}, half-life of the filters 5,000 rows; further ahead from every "
        f"{EVERY}th row; {name(impl)}.",
    )
    report.save()


if __name__ == "__main__":
    sys.exit(main())
