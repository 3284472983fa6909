"""One pass over the 336,776 flights that left New York City in 2013: arrival delay from what is known at departure.

The rows come in time order, as they would in service. Each prediction is made before its row is used, so all scores are
honest forecasts. Nothing is scaled, and the main job has nothing to tune; the half-life of the second line, about a month,
was picked on these same flights. Run by `make demo`.
"""

import time
from pathlib import Path

import numpy as np
from data import features, read
from picture import draw
from scores import HEADERS, Forecast, kurtosis, ridge_in_hindsight, rmse, row, running_mean
from tabulate import tabulate

import kfng

FIRST = 1_000  # flights that set the scale of the prior; they are learned from, and not scored
MONTH = 28_000  # flights in a month, about


def one_pass(name: str, X: np.ndarray, y: np.ndarray, names: list[str], rule) -> tuple[kfng.Filter, Forecast]:
    """Fit a filter to the stream and return it with what it forecast for each row after the first ones."""
    model = kfng.Linear(X.shape[1])
    family = kfng.Gaussian(variance=None)  # the noise is learned
    flt = kfng.Filter.from_rows(X[:FIRST], y[:FIRST], model, family, rule=rule, feature_names=names)
    print(f"\n{name}: {flt.theta.size} parameters")
    start = time.perf_counter()
    trace = flt.update_many(X[FIRST:], y[FIRST:], progress=True)
    seconds = time.perf_counter() - start
    speed = (len(y) - FIRST) / seconds
    return flt, Forecast(name, np.asarray(trace.prediction), np.asarray(trace.std), -np.asarray(trace.nll), speed)


def shown(path: Path) -> Path:
    """The path as one would type it from here."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def verdict(y: np.ndarray, static: Forecast, best: Forecast) -> None:
    """Say in words what the table says, as found."""
    gap = 100 * (rmse(y, static) / rmse(y, best) - 1)
    print(f"""
The first line is the main job: rule Kalman(), nothing is forgotten. Its RMSE is {gap:+.2f} % from that of ridge
fitted to the whole year at once ({"within" if gap <= 2 else "NOT within"} 2 %). The second line forgets, for delays that drift.
Heavy tails: the standardised errors have kurtosis {kurtosis(y, static):.0f}, a normal has 3. One Gaussian noise is then too wide in
the middle and too narrow far out; the coverage above is printed as found.""")


def main() -> None:
    """Read, filter, score, draw, save."""
    start = time.perf_counter()
    X, y, names, baseline = features(read())
    missing = np.isnan(y).sum()
    print(f"{len(y):,} flights in time order, {missing:,} of them without an arrival (missing, not dropped),")
    print(f"{len(names)} features, read and one-hot encoded in {time.perf_counter() - start:.1f} s")

    flt, static = one_pass("kfng", X, y, names, kfng.Kalman())
    _, fading = one_pass("kfng, half-life of a month", X, y, names, kfng.Fading(half_life=MONTH))
    _, single = one_pass("dep_delay alone", X[:, :1], y, names[:1], kfng.Kalman())

    scored = np.flatnonzero(np.isfinite(y[FIRST:]))
    truth = y[FIRST:][scored]
    mean = running_mean(y[:FIRST][np.isfinite(y[:FIRST])], truth)
    best = ridge_in_hindsight(X, y, FIRST + scored)
    online = [static.take(scored), fading.take(scored), single.take(scored), mean]

    print(f"\n{len(truth):,} arrivals, each predicted before it was used; errors in minutes\n")
    print(tabulate([row(truth, forecast) for forecast in [*online, best]], headers=HEADERS, disable_numparse=True))
    verdict(truth, static.take(scored), best)

    output = Path(__file__).resolve().parent / "output"
    output.mkdir(exist_ok=True)
    theta = flt.parameters["weight"].ravel()
    draw(output / "flights.png", truth, [*online, best], names, theta, flt.std()[: theta.size], baseline)
    flt.save(output / "model.kfng")
    noise = float(np.sqrt(flt.noise_variance[0]))
    print(f"\nlearned noise: sd {noise:.2f} minutes")
    print(f"picture: {shown(output / 'flights.png')}")
    print(f"model:   {shown(output / 'model.kfng')}; open it with\n")
    print(f"    .venv-demo/bin/kfng inspect {shown(output / 'model.kfng')} --top 20")


if __name__ == "__main__":
    main()
