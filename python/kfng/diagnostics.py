"""Does what a filter said fit what came? Calibration, consistency and changes, from a trace and its y.

Every function takes the trace of an `update_many`, of a filter or of a mixture, and judges each row by the prediction that was
made before its y was used. `y` is needed only where the trace's own was missing and came later. Bands hold for rows
that are independent given what came before, as they are where the model is right.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import _special, _validate
from ._residuals import Seen
from ._summary import Summary
from .errors import ParameterError, UnsupportedError, shown

__all__ = [
    "Autocorrelation",
    "Coverage",
    "Cusum",
    "Nis",
    "Reliability",
    "Summary",
    "autocorrelation",
    "coverage",
    "cusum",
    "nis",
    "pit",
    "reliability",
]

Float = NDArray[np.float64]
Z95 = 1.959963984540054
"""Normal quantile of 0.975."""


class Coverage(NamedTuple):
    """share of y inside the central intervals of `level`; low, high: the 95 % band of it where the law is right; n rows."""

    level: Any
    share: Any
    low: Any
    high: Any
    n: int


class Reliability(NamedTuple):
    """For each bin of predictions: their mean, the share of y = 1, the 95 % band of that where they are right, the rows."""

    predicted: Float
    observed: Float
    low: Float
    high: Float
    n: NDArray[np.int64]


class Nis(NamedTuple):
    """values (n,): squared errors in units of their predicted covariance, dof (n,) numbers each; the mean of one number, its 95 % band."""

    values: Float
    dof: NDArray[np.int64]
    mean: float
    low: float
    high: float

    @property
    def inside(self) -> bool:
        """Whether the mean lies in its band."""
        return bool(self.low <= self.mean <= self.high)


class Autocorrelation(NamedTuple):
    """values (lags, m_y) of standardised residuals `lag` rows apart; each lies in ±band with 95 %; p_value of them all together."""

    lag: NDArray[np.int64]
    values: Float
    band: float
    p_value: float


class Cusum(NamedTuple):
    """up, down (n,): sums of residuals above and below; alarms: rows where one passed the threshold; since: where that rise began."""

    up: Float
    down: Float
    alarms: NDArray[np.int64]
    since: NDArray[np.int64]


def pit(trace: Any, y: Any = None, *, seed: Any = 0) -> Float:
    """Probability integral transform: where each y lies in its predictive law, P(Y <= y); uniform on (0, 1) where that is right.

    Of counts and binary y a uniform draw between P(Y < y) and P(Y <= y), which is uniform too (Czado, Gneiting and Held 2009,
    Biometrics 65).

    Parameters
    ----------
    trace : Trace or MixtureTrace
    y : (n,) or (n, k), optional
    seed : int or Generator
        Of the draws.

    Returns
    -------
    (n,) or (n, k); NaN where y is missing

    Raises
    ------
    UnsupportedError
        A family without order, or a rule without a posterior.
    ShapeError, DtypeError, ParameterError
    """
    from ._filter_known import _generator

    seen = Seen.of(trace, y)
    return seen.pit(_generator(seed)).reshape(len(seen.Y), *seen.settings.mean_shape)


def coverage(trace: Any, y: Any = None, *, level: Any = 0.9, seed: Any = 0) -> Coverage:
    """Share of y inside the central predictive intervals, of one level in (0, 1) or several.

    Of counts an interval ends within a count, and a draw decides for y there: a calibrated law then covers exactly `level`.

    Parameters
    ----------
    trace : Trace or MixtureTrace
    y : (n,) or (n, k), optional
        By default that of the trace.
    level : number or (m,) in (0, 1), default 0.9
    seed : int or Generator
        Of the draws.

    Raises
    ------
    As `pit`.
    """
    levels = _validate.finite_array("level", level)
    if levels.ndim > 1 or not ((levels > 0) & (levels < 1)).all():
        raise ParameterError(argument="level", expected="numbers in (0, 1)", got=levels.tolist())
    places = pit(trace, y, seed=seed)
    places = places[~np.isnan(places)]
    n = len(places)
    share = (
        (np.abs(places - 0.5)[None] <= np.atleast_1d(levels)[:, None] / 2).mean(axis=1)
        if n
        else np.full(levels.size, np.nan)
    )
    half = Z95 * np.sqrt(levels * (1 - levels) / max(n, 1))
    share = share.reshape(levels.shape)
    level, share, low, high = (
        part if levels.ndim else float(part) for part in (levels, share, levels - half, levels + half)
    )
    return Coverage(level, share, low, high, n)


def reliability(trace: Any, y: Any = None, *, bins: int = 10, of: int | None = None) -> Reliability:
    """Of binary y: how often it was 1 where that was predicted with about this probability. Bins of equally many rows.

    Parameters
    ----------
    trace : Trace or MixtureTrace
    y : (n,) or (n, k), optional
        By default that of the trace.
    bins : int >= 1
    of : int, optional
        With `Categorical`: the class that is to be predicted.

    Raises
    ------
    UnsupportedError
        The family is neither `Bernoulli` nor `Categorical`.
    ParameterError, ShapeError, DtypeError
    """
    bins = _validate.integer("bins", bins, low=1)
    seen = Seen.of(trace, y)
    kind, classes = type(seen.settings.family).__name__, seen.wide.shape[1]
    if kind not in ("Bernoulli", "Categorical"):
        raise UnsupportedError(
            argument="trace", expected="of Bernoulli or Categorical", got=shown(seen.settings.family)
        )
    column = 0 if kind == "Bernoulli" else _validate.integer("of", of)
    if column >= classes:
        raise ParameterError(argument="of", expected=f"a class, an integer in [0, {classes - 1}]", got=of)
    p, hit = seen.table(seen.trace.prediction)[:, column], seen.wide[:, column]
    known = ~np.isnan(p + hit)
    order = np.argsort(p[known], kind="stable")
    p, hit = p[known][order], hit[known][order]
    edges = np.linspace(0, len(p), min(bins, max(len(p), 1)) + 1).astype(np.int64)
    rows = [slice(start, stop) for start, stop in pairwise(edges) if stop > start]
    predicted, observed = (np.array([part[row].mean() for row in rows]) for part in (p, hit))
    count = np.array([row.stop - row.start for row in rows], dtype=np.int64)
    spread = Z95 * np.array([np.sqrt(np.sum(p[row] * (1 - p[row]))) for row in rows]) / np.maximum(count, 1)
    return Reliability(predicted, observed, np.maximum(predicted - spread, 0), np.minimum(predicted + spread, 1), count)


def nis(trace: Any, y: Any = None) -> Nis:
    """Normalised innovations squared, e'S⁻¹e with S = Cov(y): of mean 1 a number of y where the predicted uncertainty is right.

    Above 1: surer than it may be; below: not as sure as it might be. With Gaussian families the band of the mean is that of a
    chi-square (Bar-Shalom, Li and Kirubarajan 2001, section 5.4); elsewhere, where the spread of e'S⁻¹e is another, the
    normal band by the spread that was found.

    Parameters
    ----------
    trace : Trace or MixtureTrace
    y : (n,) or (n, k), optional
        By default that of the trace.

    Raises
    ------
    ShapeError, DtypeError, ParameterError
    """
    seen = Seen.of(trace, y)
    values, dof = _squares(seen)
    total = int(dof.sum())
    if not total:
        return Nis(values, dof, float("nan"), float("nan"), float("nan"))
    mean = float(np.nansum(values)) / total
    if type(seen.settings.family).__name__ == "Gaussian":
        low, high = (2 * float(_special.gammaincinv(total / 2, q)) / total for q in (0.025, 0.975))
    else:
        used = dof > 0
        half = Z95 * float(np.std(values[used] - mean * dof[used])) * np.sqrt(used.sum()) / total
        low, high = 1 - half, 1 + half
    return Nis(values, dof, mean, low, high)


def _squares(seen: Seen) -> tuple[Float, NDArray[np.int64]]:
    """e'S⁻¹e (n,) over the entries of y that are there, NaN where there are none, and how many (n,)."""
    errors, n = seen.errors, len(seen.Y)
    classes = type(seen.settings.family).__name__ == "Categorical"
    if errors.shape[1] == 1:
        squares = np.square(seen.residuals[:, 0])
        return squares, (~np.isnan(squares)).astype(np.int64)
    S = seen.covariance()
    if classes:  # the last is what the others leave
        errors, S = errors[:, :-1], S[:, :-1, :-1]
    values, dof = np.full(n, np.nan), np.zeros(n, dtype=np.int64)
    there = np.isfinite(errors)
    for pattern in np.unique(there, axis=0):
        rows = np.flatnonzero((there == pattern).all(axis=1) & np.isfinite(S).all(axis=(1, 2)))
        if pattern.any() and len(rows):
            e = errors[rows][:, pattern]
            solved = np.linalg.solve(S[rows][:, pattern][:, :, pattern], e[..., None])[..., 0]
            values[rows], dof[rows] = np.sum(e * solved, axis=1), int(pattern.sum())
    return values, dof


def autocorrelation(trace: Any, y: Any = None, *, lags: int = 20) -> Autocorrelation:
    """Of standardised residuals with those some rows before: 0 where the model left nothing to be predicted.

    Their mean is taken as 0, as it is where predictions are right. The p-value is that of Ljung and Box 1978, Biometrika 65.

    Parameters
    ----------
    trace : Trace or MixtureTrace
    y : (n,) or (n, k), optional
        By default that of the trace.
    lags : int >= 1, default 20
        So many, from 1 on.

    Raises
    ------
    ParameterError, ShapeError, DtypeError
    """
    lags = _validate.integer("lags", lags, low=1)
    r = Seen.of(trace, y).residuals
    known = ~np.isnan(r)
    filled = np.where(known, r, 0.0)
    n, size = known.sum(axis=0), np.sum(filled**2, axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = np.array([np.sum(filled[lag:] * filled[:-lag], axis=0) / size for lag in range(1, lags + 1)])
        left = n - np.arange(1, lags + 1)[:, None]
        box = np.where(left > 0, n * (n + 2) * values**2 / left, 0.0)
        band = float(Z95 / np.sqrt(n.mean()))
        tail = _special.gammaincc(lags * r.shape[1] / 2, np.nansum(box) / 2)
    return Autocorrelation(
        np.arange(1, lags + 1), values, band, float(tail) if size.all() and n.all() else float("nan")
    )


def cusum(trace: Any, y: Any = None, *, threshold: float = 8.0, drift: float = 0.5) -> Cusum:
    """Page's sums of standardised residuals, which flag a shift of level: up <- max(0, up + r - drift), down with -r.

    A sum that passes `threshold` is an alarm and starts again at 0. With the defaults a shift of one standard deviation
    is flagged after about 17 rows, and a row in about 10,000 is by chance (Siegmund 1985). Of several outputs r is their
    sum over the root of their number.

    Parameters
    ----------
    trace : Trace or MixtureTrace
    y : (n,) or (n, k), optional
        By default that of the trace.
    threshold, drift : float
        In standard deviations.

    Raises
    ------
    ParameterError, ShapeError, DtypeError
    """
    threshold = _validate.positive("threshold", threshold)
    drift = _validate.number("drift", drift, "a finite number >= 0", 0.0, np.inf)
    r = Seen.of(trace, y).residuals
    with np.errstate(invalid="ignore", divide="ignore"):
        one = np.nansum(r, axis=1) / np.sqrt((~np.isnan(r)).sum(axis=1))
    state = _Page(threshold, drift)
    return state.add(one)


class _Page:
    """The two sums as they go, and the row each was last 0 before."""

    def __init__(self, threshold: float, drift: float) -> None:
        self._threshold, self._drift = threshold, drift
        self._sums, self._begun, self._row = [0.0, 0.0], [0, 0], 0

    def add(self, residuals: Float) -> Cusum:
        paths: list[list[float]] = [[], []]
        alarms, since = [], []
        for r in residuals.tolist():
            for i, sign in enumerate((1.0, -1.0)):
                if r == r:  # NaN: no y, nothing moves
                    if self._sums[i] == 0:
                        self._begun[i] = self._row
                    self._sums[i] = max(0.0, self._sums[i] + sign * r - self._drift)
                paths[i].append(self._sums[i])
                if self._sums[i] > self._threshold:
                    alarms.append(self._row)
                    since.append(self._begun[i])
                    self._sums[i] = 0.0
            self._row += 1
        up, down = (np.array(path, dtype=np.float64) for path in paths)
        return Cusum(up, down, np.array(alarms, dtype=np.int64), np.array(since, dtype=np.int64))
