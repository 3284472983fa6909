"""When a gauge of `health()` is out of its band, and why a row would be refused, skipped or down-weighted."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ._settings import Settings
from .errors import KfngError, UnsupportedError
from .reference.coverage import read
from .reference.family import Gaussian
from .reference.family.base import LEVEL

if TYPE_CHECKING:
    from ._filter_base import FilterBase

NORMAL = 1.959963984540054  # of 95 %
TOLERATED = (0.8, 1.25)
"""A mean NIS in here is no warning, however many rows say that it is not 1: every model is a little wrong."""
COVERED = (0.85, 0.95)
"""The same of the coverage."""
FEWEST = 30
"""Rows before a share or a mean says anything."""
SHARES = {"winsorised": 0.1, "downweighted": 0.1, "clipped": 0.1, "floored": 0.01}
"""Largest share of the rows that learned."""
MOST_SKIPPED = 0.01
LARGEST_RHO = {"float64": 1e16, "float32": 1e12}
"""Up to which a full belief keeps its promises."""
SMALLEST_PIVOT = {"float64": 1e-12, "float32": 1e-6}


def band(settings: Settings, count: float) -> dict[str, float]:
    """Where the mean NIS of `count` outputs lies 95 times of 100 with the right model: that of chi² over its degrees of freedom.

    By Wilson and Hilferty 1931, to a few parts in a thousand. NaN with other families, whose innovations are no normals.
    """
    if not isinstance(settings.family, Gaussian) or not count > 0:
        return {"mean_nis_low": math.nan, "mean_nis_high": math.nan}
    share = 2 / (9 * count)
    low, high = ((1 - share + sign * NORMAL * math.sqrt(share)) for sign in (-1, 1))
    return {"mean_nis_low": max(low, 0.0) ** 3, "mean_nis_high": high**3}


def coverage(settings: Settings, state: Mapping[str, NDArray[Any]]) -> dict[str, float]:
    """Share of y in the 90 % interval over about the last 1000 rows, of one filter's state or of many keys', and where it lies 95 times of 100.

    The share of independent rows with weights w has variance 0.09 sum(w²)/sum(w)². NaN of families that keep none, and below 30 rows.
    """
    value = low = high = math.nan
    if settings.family.covers:
        rows, inside, weight, squares = read(np.asarray(state["coverage"]))
        if rows >= FEWEST:
            half = NORMAL * math.sqrt(LEVEL * (1 - LEVEL) * squares) / weight
            value, low, high = min(inside / weight, 1.0), max(LEVEL - half, 0.0), min(LEVEL + half, 1.0)
    return {"coverage": value, "coverage_low": low, "coverage_high": high}


def warnings(settings: Settings, health: dict[str, Any]) -> Iterator[str]:
    """A line for each gauge that is out of its band; `health` may leave gauges out."""
    nis, low, high = (health.get(name, math.nan) for name in ("mean_nis", "mean_nis_low", "mean_nis_high"))
    rows, seen = health["n_updates"], health["n_seen"] + health["skipped"]
    if rows >= FEWEST and not min(low, TOLERATED[0]) <= nis <= max(high, TOLERATED[1]) and not math.isnan(nis + low):
        yield f"mean_nis {nis:.3g}, expected {low:.3g} to {high:.3g}"
    inside, low, high = (health.get(name, math.nan) for name in ("coverage", "coverage_low", "coverage_high"))
    if not math.isnan(inside) and not min(low, COVERED[0]) <= inside <= max(high, COVERED[1]):
        yield f"coverage {inside:.3g}, expected {low:.3g} to {high:.3g}"
    if health["rho_max"] > LARGEST_RHO[settings.dtype]:
        yield f"rho_max {health['rho_max']:.3g}, expected at most {LARGEST_RHO[settings.dtype]:.3g}"
    if health.get("min_pivot_ratio", math.nan) < SMALLEST_PIVOT[settings.dtype]:
        yield f"min_pivot_ratio {health['min_pivot_ratio']:.3g}, expected at least {SMALLEST_PIVOT[settings.dtype]:.3g}"
    if seen >= FEWEST and health["skipped"] > MOST_SKIPPED * seen:
        yield f"skipped {health['skipped']} of {seen} rows"
    for name, most in SHARES.items():
        if rows >= FEWEST and health[name] > most * rows:
            yield f"{name} {health[name]} of {rows} rows"


@dataclass(frozen=True)
class Explanation:
    """What would become of a row, and why.

    fate : 'refused', 'skipped', 'winsorised', 'downweighted', 'clipped' or 'used'
    reason : a sentence
    distance : how far y is from its prediction, in standard deviations of what the filter expects, root mean square over
        the outputs; NaN where nothing would be learned
    step : what `update` would return, None where it would raise
    error : what `update` would raise, or None
    """

    fate: str
    reason: str
    distance: float
    step: Any
    error: KfngError | None

    def __str__(self) -> str:
        return f"{self.fate}: {self.reason}"


def explain(flt: FilterBase, u: Any, y: Any, **row: Any) -> Explanation:
    """See `Filter.explain`."""
    twin = flt.copy()
    old = twin._state()
    try:
        step = twin.update(u, y, **row)  # type: ignore[attr-defined]
    except UnsupportedError:
        raise
    except KfngError as error:
        return Explanation("refused", f"{type(error).__name__}: {error}", math.nan, None, error)
    new = twin._state()
    acted = _acted(new["counters"] - old["counters"])
    if step.skipped:
        reason = "its weight is 0" if row.get("weight", 1.0) == 0 else "y is missing"
        return Explanation("skipped", f"{reason}: time passes, nothing is learned{acted}", math.nan, step, None)
    squares, outputs = (float(x) for x in (new["gauges"] - old["gauges"])[:2])
    distance = math.sqrt(max(squares, 0.0) / outputs) if outputs else math.nan
    away = f"y is {distance:.3g} standard deviations from its prediction"
    robust, weight = flt.settings.robust, step.robust_weight
    if robust is not None and robust.counts(weight):
        fate = "winsorised" if robust.cuts else "downweighted"
        how = "its innovation is multiplied by" if robust.cuts else "it counts for"
        return Explanation(fate, f"{away}, and with {robust!r} {how} {weight:.3g}{acted}", distance, step, None)
    if step.clipped:
        reason = f"{away}, and its step would move z by more than the step clip {flt.settings.step_clip}"
        return Explanation("clipped", f"{reason}{acted}", distance, step, None)
    return Explanation("used", f"{away}{acted}", distance, step, None)


def _acted(counted: NDArray[Any]) -> str:
    """What the guards did that no fate says, from what a row adds to the counters (8,)."""
    clamped, windup = int(counted[5]), int(counted[6])
    parts = [f"the wind-up guard took back {_count(windup, 'variance')} before it"] if windup else []
    if clamped:
        parts.append(f"{_count(clamped, 'output')} would be beyond the clamp, and z_clamp was taken")
    return "".join(f"; {part}" for part in parts)


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"
