"""One picture: how fast the filter learns, whether its intervals can be believed, and what it found."""

from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from scores import Forecast, coverage, rmse

COLORS = ("#0072b2", "#d55e00", "#009e73", "#aaaaaa", "#000000")


def learning(ax: plt.Axes, y: np.ndarray, forecasts: list[Forecast]) -> None:
    """Error over all rows so far, against their number."""
    seen = np.arange(1, len(y) + 1)
    at = np.unique(np.geomspace(100, len(y), 600).astype(int)) - 1
    for color, forecast in zip(COLORS, forecasts, strict=True):
        error = np.sqrt(np.cumsum((y - forecast.prediction) ** 2)[at] / seen[at])
        ax.plot(seen[at], error, color=color, ls="-" if forecast.rows_per_second else "--", label=forecast.name)
    # one method may be far off; the others are what the panel is for
    worst = sorted(rmse(y, forecast) for forecast in forecasts)[-2]
    ax.set(xscale="log", ylim=(0.75 * worst, 1.3 * worst), xlabel="flights predicted", ylabel="RMSE so far, minutes")
    ax.set_title("Learning curve (running mean: off the scale)")
    ax.legend(frameon=False, loc="upper left")


def calibration(ax: plt.Axes, y: np.ndarray, forecasts: list[Forecast]) -> None:
    """Observed against nominal coverage of central intervals."""
    levels = np.concatenate([np.linspace(0.02, 0.98, 49), [0.99, 0.995]])
    ax.plot([0, 100], [0, 100], color="black", lw=0.8, ls=":", label="calibrated")
    for color, forecast in zip(COLORS, forecasts, strict=True):
        observed = [100 * coverage(y, forecast, level) for level in levels]
        ax.plot(100 * levels, observed, color=color, ls="-" if forecast.rows_per_second else "--", label=forecast.name)
    ax.set(xlabel="nominal coverage of the interval, %", ylabel="observed, %", title="Calibration", aspect="equal")
    ax.legend(frameon=False, loc="lower right")


def coefficients(
    ax: plt.Axes, names: list[str], theta: np.ndarray, std: np.ndarray, baseline: str, top: int = 24
) -> None:
    """The largest of the effects that stand at least two standard deviations clear of zero."""
    group = np.array(["=" in name for name in names])  # minutes; the slopes have units of their own
    clear = np.flatnonzero(group & (np.abs(theta) > 2 * std))
    chosen = clear[np.argsort(-np.abs(theta[clear]))][:top]
    chosen = chosen[np.argsort(theta[chosen])]
    at = np.arange(len(chosen))
    ax.errorbar(theta[chosen], at, xerr=2 * std[chosen], fmt="o", ms=4, lw=1.2, color=COLORS[0])
    ax.axvline(0, color="black", lw=0.8, ls="--")
    ax.set_yticks(at, [names[j].replace("=", " ") for j in chosen], fontsize=8)
    ax.set(xlabel=f"minutes, against {baseline}", title="Largest coefficients clear of zero, ±2 sd")
    ax.grid(axis="x", lw=0.3)


def draw(
    path: Path,
    y: np.ndarray,
    forecasts: list[Forecast],
    names: list[str],
    theta: np.ndarray,
    std: np.ndarray,
    baseline: str,
) -> None:
    """Write the three panels to a PNG; the first of the forecasts is the one that is looked at closely."""
    figure, axes = plt.subplots(1, 3, figsize=(17, 5.6), layout="constrained")
    learning(axes[0], y, forecasts)
    calibration(axes[1], y, forecasts)
    coefficients(axes[2], names, theta, std, baseline)
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)
    plt.close(figure)
