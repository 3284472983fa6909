"""One model for each of the 4,000 aircraft among the flights: do they differ enough to pay for a model of their own?

The same three features for everybody: departure delay, distance, and an intercept. A model of its own that knows nothing
has little to learn from: half of the aircraft fly fewer than 55 times in the year. So the aircraft of January say how
much aircraft differ (`share_prior`), and with that as prior all start again. What is scored is from February on, each
prediction made before its row is used. Run by `make demo`.
"""

import time

import numpy as np
import pandas as pd
from data import read
from scores import HEADERS, Forecast, rmse, row
from tabulate import tabulate

import kfng

FIRST = 1_000  # flights that set the scale of the first prior
HALF_LIFE = "60d"
NAMES = ("per minute of departure delay", "per 1,000 miles", "intercept")


def rows(flights: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """keys (n,), X (n, 2), y (n,) in minutes, NaN where a flight never arrived, and when (n,)."""
    keys = flights["tailnum"].fillna("unknown").to_numpy(dtype=object)
    X = np.column_stack([flights["dep_delay"], flights["distance"] / 1000])
    when = pd.to_datetime(flights["time_hour"]).to_numpy(dtype="datetime64[ns]")
    return keys, X, flights["arr_delay"].to_numpy(dtype=float), when


def bank(start, **more) -> kfng.Bank:
    """Keys start from theta, its variances (relative to the noise variance) and this deviation of the noise."""
    theta, variance, noise = start
    family = kfng.Gaussian(variance=None, prior_scale=float(np.squeeze(noise)))
    return kfng.Bank(kfng.Linear(2), family, theta=theta, belief=kfng.Full(variance), **more)


def one_pass(name: str, made: kfng.Bank, keys: np.ndarray, X: np.ndarray, y: np.ndarray, **columns) -> Forecast:
    """All rows through a bank; what it said of each."""
    begun = time.perf_counter()
    trace = made.update(keys, X, y, **columns)
    mean, std, density = trace.prediction, trace.std, -trace.nll
    seconds = time.perf_counter() - begun
    print(f"{name}: {len(made):,} models of {made.settings.p} parameters")
    return Forecast(name, mean, std, density, len(y) / seconds)


def by_experience(keys: np.ndarray, y: np.ndarray, scored: np.ndarray, forecasts: list[Forecast]) -> None:
    """Errors where an aircraft has just begun, and where it is well known."""
    number = pd.Series(keys).groupby(keys).cumcount().to_numpy()[scored]
    groups = {"its first 10 flights": number < 10, "10 to 100": (number >= 10) & (number < 100), "then": number >= 100}
    table = []
    for forecast in forecasts:
        taken = forecast.take(scored)
        cells = [forecast.name]
        for inside in groups.values():
            cells += [f"{rmse(y[scored][inside], taken.take(inside)):.3f}", f"{np.mean(taken.log_density[inside]):.4f}"]
        table.append(cells)
    headers = ["", *(text for name in groups for text in (f"RMSE, {name}", "log density"))]
    print(
        f"\nBy how often an aircraft had flown before ({', '.join(f'{np.sum(g):,}' for g in groups.values())} flights)\n"
    )
    print(tabulate(table, headers=headers, disable_numparse=True))


def main() -> None:
    """Read, learn a prior, filter, score."""
    keys, X, y, when = rows(read())
    print(f"\n{'-' * 100}\n\n{len(set(keys)):,} aircraft, one model for each of them\n")
    first = kfng.Filter.from_rows(X[:FIRST], y[:FIRST], kfng.Linear(2), kfng.Gaussian(variance=None))
    scale_free = first.settings.theta, first.settings.belief.prior_variance
    january = np.flatnonzero(when < np.datetime64("2013-02-01"))
    first.update_many(X[FIRST : january[-1] + 1], y[FIRST : january[-1] + 1], trace=False)
    noise = float(np.sqrt(first.noise_variance[0]))
    flat = (*scale_free, noise)
    aircraft = bank(flat)
    aircraft.update(keys[january], X[january], y[january], trace=False)
    aircraft.share_prior()
    print(f"January: {len(aircraft):,} aircraft; mean and spread over them, in minutes")
    common = aircraft.prior
    for name, mean, variance in zip(NAMES, common.theta, common.variance, strict=True):
        print(f"    {name:<32}{mean:8.3f}  ±{common.noise_scale[0] * np.sqrt(variance):6.3f}")
    print(f"    {'noise':<32}{common.noise_scale[0]:8.3f}\n")

    fading = kfng.Fading(half_life=HALF_LIFE, towards="prior")
    whole = one_pass("one model for all", bank(flat), np.zeros(len(y), dtype=np.int64), X, y)
    alone = one_pass("one for each, on its own", bank(flat), keys, X, y)
    shared = one_pass("one for each, shared prior", bank(common), keys, X, y)
    faded = one_pass(f"and a half-life of {HALF_LIFE}", bank(common, rule=fading), keys, X, y, time=when)
    forecasts = [whole, alone, shared, faded]
    scored = np.flatnonzero(np.isfinite(y) & (np.arange(len(y)) > january[-1]))
    print(f"\n{len(scored):,} arrivals from February on, each predicted before it was used; errors in minutes\n")
    print(tabulate([row(y[scored], f.take(scored)) for f in forecasts], headers=HEADERS, disable_numparse=True))
    by_experience(keys, y, scored, forecasts)


if __name__ == "__main__":
    main()
