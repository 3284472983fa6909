"""The pictures of a report: each an SVG and what it shows, in a sentence."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ._coefficients import Coefficients
from ._summary import Summary
from ._svg import COLOURS, INK, Chart

Float = NDArray[np.float64]
Picture = tuple[str, str]
SHOWN = 16
"""Coefficients in the picture."""
BINS = 20


def of_rows(summary: Summary) -> Iterator[Picture]:
    curve = summary.curve
    yield _curve(curve, "rmse", "root mean squared error", "Error by stretches of rows.")
    yield _curve(
        curve,
        "nll",
        "−log density of a row, nats",
        "Mean −log predictive density by stretches of rows: lower is better.",
    )
    if summary.names:
        yield _weights(summary)
    if len(summary.places):
        yield _places(summary.places)
        yield _coverage(summary.places)
    if len(summary.reliability["count"]):
        yield _reliability(summary)
    yield _nis(summary)
    yield _autocorrelation(summary)


def _curve(curve: dict[str, Float], name: str, label: str, caption: str) -> Picture:
    x, y = curve["end"], curve[name]
    finite = y[np.isfinite(y)]
    top = float(np.quantile(finite, 0.98)) if len(finite) else 1.0
    low = (
        min(0.0, float(finite.min())) if name == "rmse" and len(finite) else float(finite.min()) if len(finite) else 0.0
    )
    chart = Chart(caption, "rows", label, (0.0, float(x[-1])), (low, top + 0.1 * (top - low)))
    chart.line(x, y)
    return chart.svg(), caption


def _weights(summary: Summary) -> Picture:
    x, weights = summary.weights
    caption = "Weight of each filter by what it said of the rows before."
    chart = Chart(caption, "rows", "weight", (0.0, float(x[-1]) if len(x) else 1.0), (0.0, 1.0))
    top = np.argsort(-weights.max(axis=0) if len(weights) else np.zeros(len(summary.names)), kind="stable")[
        : len(COLOURS)
    ]
    for colour, i in zip(COLOURS, sorted(top.tolist()), strict=False):
        chart.line(x, weights[:, i], colour, label=summary.names[i])
    return chart.svg() + chart.legend(), caption


def _places(places: Float) -> Picture:
    shares = np.histogram(places, BINS, (0.0, 1.0))[0] * BINS / len(places)
    half = 1.96 * np.sqrt((BINS - 1) / len(places))
    caption = "Where y lay in its predicted law (PIT): flat where that is right, 95 % of bars inside the band. A hill: not sure enough; a valley: too sure."
    chart = Chart(
        caption, "place of y in its law", "density", (0.0, 1.0), (0.0, max(1.0 + 2 * half, float(shares.max()) * 1.05))
    )
    edges = np.linspace(0, 1, BINS + 1)
    chart.band([0, 1], [max(1 - half, 0)] * 2, [1 + half] * 2)
    chart.bars(edges[:-1], edges[1:], shares)
    chart.line([0, 1], [1, 1], INK, dashed=True)
    return chart.svg(), caption


def _coverage(places: Float) -> Picture:
    levels = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99])
    share = np.array([np.mean(np.abs(places - 0.5) <= level / 2) for level in levels])
    half = 1.96 * np.sqrt(levels * (1 - levels) / len(places))
    at = {level: 100 * share[levels == level][0] for level in (0.5, 0.9, 0.99)}
    caption = f"Of y inside central intervals: {at[0.5]:.1f} % of 50 %, {at[0.9]:.1f} % of 90 %, {at[0.99]:.1f} % of 99 % intervals."
    chart = Chart(caption, "level of the interval", "share inside", (0.0, 1.0), (0.0, 1.0))
    chart.band(levels, levels - half, levels + half)
    chart.line([0, 1], [0, 1], INK, dashed=True)
    chart.line(levels, share)
    chart.points(levels, share)
    return chart.svg(), caption


def _reliability(summary: Summary) -> Picture:
    found = summary.reliability
    caption = "Of rows with about the same predicted probability, how many were 1; the band is where 95 % of the points lie if it is right."
    chart = Chart(caption, "predicted probability", "share of 1", (0.0, 1.0), (0.0, 1.0))
    chart.band(found["predicted"], found["low"], found["high"])
    chart.line([0, 1], [0, 1], INK, dashed=True)
    chart.points(found["predicted"], found["observed"])
    return chart.svg(), caption


def _nis(summary: Summary) -> Picture:
    curve, (mean, low, high) = summary.curve, summary.nis
    x, y, half = curve["end"], curve["nis"], summary.nis_band
    word = "inside" if low <= mean <= high else "above" if mean > high else "below"
    caption = (
        f"Squared errors over their predicted variance: 1 where the filter is as sure as it may be. Overall {mean:.3f}, {word} the "
        f"95 % band {low:.3f} to {high:.3f}; shaded, the band of each stretch."
    )
    top = max(2.0, float(np.nanquantile(y, 0.98)) * 1.1)
    chart = Chart(
        "Normalised innovations squared by stretches of rows.",
        "rows",
        "squared error / variance",
        (0.0, float(x[-1])),
        (0.0, top),
    )
    chart.band(x, np.maximum(1 - half, 0), 1 + half)
    chart.line([0, x[-1]], [1, 1], INK, dashed=True)
    chart.line(x, y)
    return chart.svg(), caption


def _autocorrelation(summary: Summary) -> Picture:
    values, band = summary.autocorrelation
    lags = np.arange(1, len(values) + 1)
    outside = int(np.sum(np.abs(values) > band))
    caption = (
        f"Autocorrelation of residuals: {outside} of {len(values)} outside the 95 % band (one is to be expected). "
        "Errors that hang together can be predicted, and count as more evidence than they are."
    )
    size = max(0.1, 1.2 * float(np.nanmax(np.abs(values), initial=0.0)), 1.5 * band)
    chart = Chart(
        "Autocorrelation of standardised residuals.",
        "rows apart",
        "autocorrelation",
        (0.0, lags[-1] + 1.0),
        (-size, size),
    )
    chart.band([0, lags[-1] + 1], [-band] * 2, [band] * 2)
    chart.bars(lags - 0.25, lags + 0.25, np.nan_to_num(values))
    chart.line([0, lags[-1] + 1], [0, 0], INK)
    return chart.svg(), caption


def coefficients(known: Coefficients) -> Picture:
    """The largest, each with two standard deviations to both sides, in units of its own."""
    shown = known.largest(SHOWN)
    count = len(shown.names)
    with np.errstate(all="ignore"):
        z = shown.estimate / shown.sd
    if not np.isfinite(z).any():
        z, label, spread = shown.estimate, "estimate", 0.0
    else:
        label, spread = "estimate, in its standard deviations", 2.0
    size = float(np.nanmax(np.abs(np.where(np.isfinite(z), z, np.nan)), initial=1.0)) + spread
    caption = f"The {count} coefficients farthest from 0, with two standard deviations to each side."
    chart = Chart(caption, label, "", (-size, size), (0.0, float(count)), height=60 + 18 * count, names=shown.names)
    chart.line([0, 0], [0, count], INK, dashed=True)
    for i, value in enumerate(z.tolist()):
        chart.line([value - spread, value + spread], [count - i - 0.5] * 2)
        chart.points([value], [count - i - 0.5])
    return chart.svg(), caption


__all__ = ["coefficients", "of_rows"]
