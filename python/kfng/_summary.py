"""What diagnostics and pictures need of a stream of any length, in bounded memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _special
from ._mixture_trace import MixtureTrace
from ._residuals import Seen
from ._settings import Settings
from .errors import ShapeError

Float = NDArray[np.float64]
STRETCHES = 64
"""Of rows that a curve is kept of; twice as many are joined in pairs."""
PLACES = {True: 32768, False: 4096}
"""Rows whose place in their law is kept, where that is a formula and where it is an integral."""
LAGS = 20
PROBABILITIES = 20
"""Bins of equal width of a reliability curve."""


class Summary:
    """Adds up traces: learning curve, calibration, residuals, of a filter or of a mixture; a few hundred kilobytes for any number of rows.

    `kfng.plot` and `kfng.report` take one in the place of a trace, so that a long stream needs none: `add` the trace of each
    batch and let it go.

    Attributes
    ----------
    n_rows : int
        Rows so far, missing and skipped ones as well.
    n_known : int
        Numbers of y among them.
    settings : Settings or None
        Of the filter, or of the mixture's first one; None before the first trace.
    names : tuple of str
        Of the filters of a mixture, else empty.
    """

    def __init__(self) -> None:
        self.n_rows, self.n_known = 0, 0
        self.settings: Settings | None = None
        self.names: tuple[str, ...] = ()
        self._width = 16
        self._sums: Float = np.zeros((0, 6))
        self._weights: Float = np.zeros((0, 0))
        self._stride, self._at, self._places = 1, np.zeros(0, dtype=np.int64), np.zeros(0)
        self._rng = np.random.default_rng(0)
        self._squares: Float = np.zeros(3)
        self._lagged, self._last, self._size = np.zeros(LAGS), np.zeros(0), 0.0
        self._reliability: Float = np.zeros((PROBABILITIES, 4))

    def add(self, trace: Any, y: Any = None) -> Summary:
        """The rows of a trace, after all so far; `y` where it came later than the trace.

        Parameters
        ----------
        trace : Trace or MixtureTrace
        y : (n,) or (n, k), optional
            By default that of the trace.

        Raises
        ------
        ShapeError
            The trace is of another filter.
        ParameterError, DtypeError
        """
        seen = Seen.of(trace, y)
        names = trace.names if isinstance(trace, MixtureTrace) else ()
        if self.settings is None:
            self.settings, self.names = seen.settings, names
        mine, its = self.settings, seen.settings
        if (mine.mean_shape, mine.y_width, self.names) != (its.mean_shape, its.y_width, names):
            raise ShapeError(argument="trace", expected=f"of {mine.family!r}", got=repr(its.family))
        with np.errstate(all="ignore"):
            self._add_curves(seen)
            self._add_places(seen)
            self._add_residuals(seen)
            self._add_probabilities(seen)
        self.n_rows += len(seen.Y)
        return self

    # -- adding
    def _add_curves(self, seen: Seen) -> None:
        n = len(seen.Y)
        at = np.arange(self.n_rows, self.n_rows + n) // self._width
        known, errors = ~np.isnan(seen.residuals), seen.errors
        inside = np.where(known, np.abs(seen.residuals), 0.0)
        nll = np.asarray(seen.trace.nll)
        used = np.isfinite(nll)
        columns = [known.sum(axis=1), np.where(known, np.abs(errors), 0.0).sum(axis=1), np.where(known, errors**2, 0.0).sum(axis=1),
                   np.where(used, nll, 0.0), used, (inside**2).sum(axis=1)]  # fmt: skip
        self._sums = _grown(self._sums, at, np.stack(columns, axis=1).astype(np.float64))
        if self.names:
            rows = np.column_stack([np.ones(n), seen.weights.T])
            rows[np.isnan(rows).any(axis=1)] = 0.0
            start = self._weights if self._weights.size else np.zeros((0, rows.shape[1]))
            self._weights = _grown(start, at, rows)
        while len(self._sums) > 2 * STRETCHES:
            self._sums, self._width = _paired(self._sums), 2 * self._width
            self._weights = _paired(self._weights) if self.names else self._weights
        self.n_known += int(known.sum())

    def _add_places(self, seen: Seen) -> None:
        if not all(part.settings.family.has_quantiles and part.settings.rule.has_posterior for part in seen.parts):
            return
        at = np.arange(self.n_rows, self.n_rows + len(seen.Y))
        limit = PLACES[all(type(part.settings.family).__name__ == "Gaussian" for part in seen.parts)]
        while len(self._at) + np.count_nonzero(at % self._stride == 0) * seen.wide.shape[1] > 2 * limit:
            self._stride *= 2
            kept = self._at % self._stride == 0
            self._at, self._places = self._at[kept], self._places[kept]
        rows = np.flatnonzero(at % self._stride == 0)
        places = seen.pit(self._rng, rows)
        row, column = np.nonzero(~np.isnan(places))
        self._at = np.concatenate([self._at, at[rows[row]]])
        self._places = np.concatenate([self._places, places[row, column]])

    def _add_residuals(self, seen: Seen) -> None:
        from .diagnostics import _squares

        values, dof = _squares(seen)
        used = dof > 0
        self._squares = self._squares + [values[used].sum(), dof.sum(), np.sum((values - dof)[used] ** 2)]
        r = seen.residuals
        one = np.where(np.isnan(r), 0.0, r).sum(axis=1) / np.sqrt(np.maximum((~np.isnan(r)).sum(axis=1), 1))
        whole = np.concatenate([self._last, one])
        for lag in range(1, LAGS + 1):
            first = max(len(self._last), lag)
            if first < len(whole):
                self._lagged[lag - 1] += np.sum(whole[first:] * whole[first - lag : len(whole) - lag])
        self._size += float(np.sum(one**2))
        self._last = whole[-LAGS:]

    def _add_probabilities(self, seen: Seen) -> None:
        if type(seen.settings.family).__name__ not in ("Bernoulli", "Categorical"):
            return
        p, hit = seen.table(seen.trace.prediction).ravel(), seen.wide.ravel()
        known = ~np.isnan(p + hit)
        p, hit = p[known], hit[known]
        at = np.minimum((p * PROBABILITIES).astype(np.int64), PROBABILITIES - 1)
        np.add.at(self._reliability, at, np.column_stack([np.ones(len(p)), p, hit, p * (1 - p)]))

    # -- reading
    @property
    def curve(self) -> dict[str, Float]:
        """By stretches of rows: end (the rows up to it), mae, rmse, nll (mean -log density) and nis (mean squared residual)."""
        used = self._sums[:, 0] > 0
        count, absolute, square, nll, rows, nis = self._sums[used].T
        end = np.minimum((np.arange(1, len(self._sums) + 1) * self._width), self.n_rows)[used].astype(np.float64)
        with np.errstate(all="ignore"):
            return {"end": end, "count": count, "mae": absolute / count, "rmse": np.sqrt(square / count),
                    "nll": nll / rows, "nis": nis / count}  # fmt: skip

    @property
    def means(self) -> dict[str, float]:
        """Of all rows: mae, rmse and nll (mean -log predictive density)."""
        count, absolute, square, nll, rows, _ = self._sums.sum(axis=0) if len(self._sums) else np.full(6, np.nan)
        with np.errstate(all="ignore"):
            return {"mae": float(absolute / count), "rmse": float(np.sqrt(square / count)), "nll": float(nll / rows)}

    @property
    def weights(self) -> tuple[Float, Float]:
        """(rows (s,), mean weights (s, m)) of a mixture's filters by stretches of rows."""
        used = self._weights[:, 0] > 0 if self._weights.size else np.zeros(0, dtype=bool)
        end = np.minimum((np.arange(1, len(used) + 1) * self._width), self.n_rows)[used].astype(np.float64)
        return end, self._weights[used, 1:] / self._weights[used, :1]

    @property
    def places(self) -> Float:
        """Where y lay in its law, P(Y <= y), of every row or of rows at equal distances; empty where there is no order."""
        return self._places.copy()

    @property
    def nis(self) -> tuple[float, float, float]:
        """(mean, low, high): the mean normalised innovation squared, and its 95 % band, as `nis` has them."""
        total, dof, spread = self._squares.tolist()
        if not dof:
            return (float("nan"),) * 3
        if self.settings is not None and type(self.settings.family).__name__ == "Gaussian":
            low, high = (2 * float(_special.gammaincinv(dof / 2, q)) / dof for q in (0.025, 0.975))
        else:
            low, high = (1 + sign * 1.96 * np.sqrt(spread) / dof for sign in (-1, 1))
        return total / dof, float(low), float(high)

    @property
    def nis_band(self) -> Float:
        """Half width of the 95 % band of each stretch's mean squared residual, about 1."""
        total, dof, spread = self._squares.tolist()
        gaussian = self.settings is not None and type(self.settings.family).__name__ == "Gaussian"
        with np.errstate(all="ignore"):
            return 1.96 * np.sqrt((2.0 if gaussian else spread / max(dof, 1.0)) / self.curve["count"])

    @property
    def autocorrelation(self) -> tuple[Float, float]:
        """(values of lags 1 to 20, half width of the 95 % band) of standardised residuals."""
        with np.errstate(all="ignore"):
            return self._lagged / self._size, float(1.96 / np.sqrt(max(self.n_known, 1)))

    @property
    def reliability(self) -> dict[str, Float]:
        """predicted, observed, low, high, count of binary y (of classes, all together) by bins of equal width."""
        count, p, hit, spread = self._reliability[self._reliability[:, 0] > 0].T
        half = 1.96 * np.sqrt(spread) / count
        return {"predicted": p / count, "observed": hit / count, "low": np.maximum(p / count - half, 0),
                "high": np.minimum(p / count + half, 1), "count": count}  # fmt: skip

    def __repr__(self) -> str:
        return f"<Summary of {self.n_rows} rows>"


def summary_of(trace: Any, y: Any = None) -> Summary:
    """A Summary as it is, or that of a trace."""
    return trace if isinstance(trace, Summary) and y is None else Summary().add(trace, y)


def _grown(sums: Float, at: NDArray[np.int64], rows: Float) -> Float:
    """sums (s, c) plus rows (n, c) at their stretches."""
    stretches = max(len(sums), int(at[-1]) + 1 if len(at) else 0)
    grown = np.zeros((stretches, rows.shape[1]))
    grown[: len(sums)] = sums
    np.add.at(grown, at, rows)
    return grown


def _paired(sums: Float) -> Float:
    """Neighbours joined."""
    even = np.concatenate([sums, np.zeros((len(sums) % 2, sums.shape[1]))])
    return even[0::2] + even[1::2]
