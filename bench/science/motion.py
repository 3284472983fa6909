"""A motion of nine channels at 10 Hz, simulated: forecasts half a second and two seconds ahead, learned online.

`python bench/science/motion.py` simulates three points in space that breathe together: a phase that runs at a rate that
drifts, an amplitude that wanders, each coordinate a curve of that phase with a lag of its own, and noise on what is
measured. Every method goes over the series once and forecasts every second from where it stands. It stands in for recorded
motion, which cannot be shipped: what is better here need not be better there.
"""

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
from report import Report, implementation, name, parser

SEEDS, ROWS, FIRST = 3, 2000, 100
CHANNELS, RATE = 9, 10  # Hz
NOISE = 0.1  # sd of the measurement, mm; the channels move by some mm
UNITS, LAGS = 24, 10
HORIZONS, EVERY = (5, 20), 10
SCORED_FROM = 600
HALF_LIFE = 1000
STEPS = (1e-3, 3e-3, 1e-2)
USUAL = STEPS[0]


def series(seed: int, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Measured and true positions (rows, 9) in mm around their rest."""
    rng = np.random.default_rng(seed)
    rate = 0.25 * np.exp(0.2 * wander(rng, rows, 200))  # breaths a second
    phase = 2 * np.pi * np.cumsum(rate) / RATE
    size = np.exp(0.3 * wander(rng, rows, 100))
    reach, lag, skew = rng.uniform(0.5, 4, CHANNELS), rng.uniform(-0.6, 0.6, CHANNELS), rng.uniform(0, 0.5, CHANNELS)
    angle = phase[:, None] + lag
    truth = reach * (size[:, None] * (np.cos(angle) + skew * np.cos(2 * angle)))
    truth += 0.3 * np.column_stack([wander(rng, rows, 600) for _ in range(CHANNELS)])
    return truth + NOISE * rng.normal(size=truth.shape), truth


def wander(rng: np.random.Generator, rows: int, memory: float) -> np.ndarray:
    """A stationary random walk of sd 1 that forgets in so many rows."""
    keep, out = np.exp(-1 / memory), np.empty(rows)
    out[0] = rng.normal()
    for i, push in enumerate(np.sqrt(1 - keep**2) * rng.normal(size=rows - 1), start=1):
        out[i] = keep * out[i - 1] + push
    return out


Ahead = Callable[[Any, np.ndarray, int], np.ndarray]


def lagged(Y: np.ndarray, lags: int) -> np.ndarray:
    """Row t has y_{t-1}, ..., y_{t-lags} one behind the other; before the series starts, its first row."""
    padded = np.vstack([np.repeat(Y[:1], lags, axis=0), Y])
    return np.hstack([padded[lags - j : len(padded) - j] for j in range(1, lags + 1)])


def recurrent(impl: ModuleType, cell: str, Y: np.ndarray, family: Any, **options: Any) -> tuple[Any, np.ndarray, Ahead]:
    U, model = lagged(Y, 1), getattr(impl, cell)(CHANNELS, UNITS, CHANNELS)
    return impl.Filter.from_rows(U[:FIRST], Y[:FIRST], model, family, **options), U, run_on


def run_on(flt: Any, past: np.ndarray, steps: int) -> np.ndarray:
    return flt.forecast(steps=steps)[0]


def linear(impl: ModuleType, lags: int, Y: np.ndarray, family: Any, rule: Any) -> tuple[Any, np.ndarray, Ahead]:
    U = lagged(Y, lags)
    flt = impl.Filter.from_rows(U[:FIRST], Y[:FIRST], impl.Linear(CHANNELS * lags, CHANNELS), family, rule=rule)
    return flt, U, feed_back


def feed_back(flt: Any, past: np.ndarray, steps: int) -> np.ndarray:
    lags = flt.settings.model.n_features // CHANNELS
    rows = list(past[-lags:])
    for _ in range(steps):
        rows.append(flt.predict(np.concatenate(rows[: -lags - 1 : -1])[None])[0])
    return np.array(rows[lags:])


def errors(flt: Any, U: np.ndarray, Y: np.ndarray, truth: np.ndarray, ahead: Ahead) -> np.ndarray:
    """Root mean squared error over rows and channels in mm, at the horizons."""
    n, squares = len(Y), [[] for _ in HORIZONS]
    for first in range(FIRST, n, EVERY):
        stop = min(first + EVERY, n)
        flt.update_many(U[first:stop], Y[first:stop], trace=False)
        if stop >= SCORED_FROM and stop + max(HORIZONS) <= n:
            path = ahead(flt, Y[:stop], max(HORIZONS))
            for kept, h in zip(squares, HORIZONS, strict=True):
                kept.append((path[h - 1] - truth[stop + h - 1]) ** 2)
    return np.sqrt([np.mean(kept) for kept in squares])


def persistence(Y: np.ndarray, truth: np.ndarray) -> np.ndarray:
    stops = np.arange(FIRST + EVERY, len(Y), EVERY)
    stops = stops[(stops >= SCORED_FROM) & (stops + max(HORIZONS) <= len(Y))]
    return np.sqrt([np.mean((Y[stops - 1] - truth[stops + h - 1]) ** 2) for h in HORIZONS])


def methods(impl: ModuleType, Y: np.ndarray, seed: int) -> dict[str, tuple[Any, np.ndarray, Ahead]]:
    """Name -> filter, rows, how it looks ahead."""
    each, rule = impl.Gaussian(variance="each"), impl.Fading(half_life=HALF_LIFE)
    plain = impl.RTRL(state_correction=False)
    made = {
        "RNN, RTRL + Kalman": recurrent(impl, "RNN", Y, each, rule=rule, seed=seed),
        "the same, no state correction": recurrent(impl, "RNN", Y, each, rule=rule, sensitivity=plain, seed=seed),
        "linear state space, RTRL + Kalman": recurrent(impl, "LinearStateSpace", Y, each, rule=rule, seed=seed),
        "linear recurrent units, RTRL + Kalman": recurrent(impl, "LRU", Y, each, rule=rule, seed=seed),
    }
    for step in STEPS:
        options = {"rule": impl.Adam(step), "sensitivity": impl.UORO(seed=seed), "seed": seed}
        made[f"RNN, UORO + Adam, {step:g}"] = recurrent(impl, "RNN", Y, impl.Gaussian(NOISE**2), **options)
    for lags in (1, LAGS):
        made[f"linear in {lags} row{'s' * (lags > 1)}, Kalman"] = linear(impl, lags, Y, each, rule)
    return made


def run(impl: ModuleType, seeds: int = SEEDS, rows: int = ROWS) -> dict[str, np.ndarray]:
    """Name of the method -> errors (seeds, horizons)."""
    found: dict[str, list[np.ndarray]] = {}
    for seed in range(seeds):
        Y, truth = series(seed, rows)
        for title, (flt, U, ahead) in methods(impl, Y, seed).items():
            found.setdefault(title, []).append(errors(flt, U, Y, truth, ahead))
        found.setdefault("persistence", []).append(persistence(Y, truth))
    return {title: np.array(values) for title, values in found.items()}


def cell(values: np.ndarray) -> str:
    return f"{np.mean(values):.3f} ± {np.std(values, ddof=1) / np.sqrt(len(values)):.3f}"


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--seeds", type=int, default=SEEDS)
    options.add_argument("--rows", type=int, default=ROWS)
    given = options.parse_args()
    impl, report = implementation(given.reference), Report("motion")
    found = run(impl, given.seeds, given.rows)
    report.table(
        ["method", *(f"{h / RATE:g} s ahead, mm" for h in HORIZONS)],
        [[title, *(cell(values[:, i]) for i in range(len(HORIZONS)))] for title, values in found.items()],
        f"Root mean squared error over the {CHANNELS} channels in mm, mean ± standard error of {given.seeds} series (NumPy seeds "
        f"from 0) of {given.rows:,} rows at {RATE} Hz, one pass, a forecast every second from row {SCORED_FROM} on, fed back; "
        f"measured with noise of sd {NOISE}; {UNITS} units; noise learned for each channel, half-life {HALF_LIFE:,} rows; Adam's "
        f"steps all shown; {name(impl)}.",
    )
    report.save()


if __name__ == "__main__":
    sys.exit(main())
