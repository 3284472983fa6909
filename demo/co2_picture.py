"""The picture of the second scene: three years ahead, a gap, and the errors of the years."""

from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import matplotlib.ticker
import numpy as np

COLORS = ("#0072b2", "#d55e00", "#009e73", "#aaaaaa")


def three_years(ax: plt.Axes, dates: np.ndarray, y: np.ndarray, passes: list[Any], draw_at: int) -> None:
    """What each method said after one week about the weeks to come, and what came."""
    mean, std = passes[0].drawn[draw_at]
    weeks = slice(draw_at + 1, draw_at + 1 + len(mean))
    before = slice(draw_at - 104, weeks.stop)
    ax.plot(dates[before], y[before], "k.", ms=2.5, label="CO2")
    for level, alpha in ((1.645, 0.15), (0.674, 0.25)):
        ax.fill_between(dates[weeks], mean - level * std, mean + level * std, color=COLORS[0], alpha=alpha, lw=0)
    for color, said in zip(COLORS, passes, strict=True):
        ax.plot(dates[weeks], said.drawn[draw_at][0], color=color, lw=1.2, label=said.name)
    ax.axvline(dates[draw_at], color="black", lw=0.8, ls=":")
    ax.set(ylabel="ppm above the first two years", title="Three years ahead; its 50 % and 90 % bands")
    ax.legend(frameon=False, loc="upper left", fontsize=8)


def gap(ax: plt.Axes, dates: np.ndarray, y: np.ndarray, said: Any, ends: tuple[int, int]) -> None:
    """One-week-ahead forecasts around a gap, in which each is fed the one before, and what was said of it as it began."""
    before, after = ends
    weeks, unseen = slice(before - 26, after + 40), slice(before + 1, after + 1)
    mean, std = said.mean[weeks], said.std[weeks]
    ahead, wide = (part[: after - before] for part in said.drawn[before])
    ax.fill_between(dates[unseen], ahead - 1.645 * wide, ahead + 1.645 * wide, color=COLORS[1], alpha=0.2, lw=0)
    ax.plot(dates[unseen], ahead, color=COLORS[1], lw=1.2, ls="--", label="forecast of the gap")
    ax.fill_between(dates[weeks], mean - 1.645 * std, mean + 1.645 * std, color=COLORS[0], alpha=0.2, lw=0)
    ax.plot(dates[weeks], mean, color=COLORS[0], lw=1.2, label=f"{said.name}, a week ahead")
    ax.plot(dates[weeks], y[weeks], "k.", ms=4, label="CO2")
    ax.xaxis.set_major_locator(mpl.ticker.MaxNLocator(5))
    ax.set(ylabel="ppm above the first two years", title=f"The longest gap: {after - before - 1} weeks; 90 % bands")
    ax.legend(frameon=False, fontsize=8)


def by_year(ax: plt.Axes, dates: np.ndarray, y: np.ndarray, passes: list[Any]) -> None:
    """Root mean squared error of each year."""
    years = np.arange(int(dates[104]) + 1, int(dates[-1]) + 1)
    for color, said in zip(COLORS, passes, strict=True):
        squares = [(y - said.mean)[(dates >= year) & (dates < year + 1)] ** 2 for year in years]
        error = [np.sqrt(np.nanmean(part)) for part in squares]
        ax.plot(years, error, color=color, lw=1.2, label=said.name)
    ax.set(ylabel="RMSE of the year, ppm", ylim=(0, None), title="A week ahead")
    ax.legend(frameon=False, fontsize=8)


def draw(path: Path, dates: np.ndarray, y: np.ndarray, passes: list[Any], draw_at: int, ends: tuple[int, int]) -> None:
    """Write the three panels to a PNG; the first of the passes is the one that is looked at closely."""
    figure, axes = plt.subplots(1, 3, figsize=(17, 5.2), layout="constrained")
    three_years(axes[0], dates, y, passes, draw_at)
    gap(axes[1], dates, y, passes[0], ends)
    by_year(axes[2], dates, y, passes)
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)
    plt.close(figure)
