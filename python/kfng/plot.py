"""Pictures of a filter and of how it did: `pip install "kfng[plot]"`.

Each function draws, on `ax` or on a figure of its own, and returns a display as scikit-learn's: it keeps what was drawn, `plot`
draws it again elsewhere, and `ax_`, `figure_` are matplotlib's. Where a trace is taken a `kfng.diagnostics.Summary` is, too,
which a stream of any length needs no more than a few hundred kilobytes for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from . import _coefficients, _special, _validate
from ._summary import Summary, summary_of
from .errors import ParameterError, UnsupportedError

try:
    import matplotlib  # noqa: F401
except ImportError as error:
    raise ImportError('kfng.plot needs matplotlib: pip install "kfng[plot]"') from error

__all__ = [
    "CalibrationDisplay",
    "CoefficientsDisplay",
    "ForecastDisplay",
    "LearningCurveDisplay",
    "WeightsDisplay",
    "calibration",
    "coefficients",
    "forecast",
    "learning_curve",
    "weights",
]

Float = NDArray[np.float64]
BLUE, BAND, INK = "#1f5f9e", "#cfe0f3", "#333333"
LABELS = {
    "rmse": "root mean squared error",
    "mae": "mean absolute error",
    "nll": "−log predictive density [nats]",
    "nis": "squared error / predicted variance",
}


class _Display:
    """ax_ and figure_, once `plot` was called."""

    ax_: Any
    figure_: Any

    def _begin(self, ax: Any, **size: Any) -> Any:
        if ax is None:
            from matplotlib import pyplot

            _, ax = pyplot.subplots(layout="constrained", **size)
        self.ax_, self.figure_ = ax, ax.figure
        return ax


@dataclass
class LearningCurveDisplay(_Display):
    """Errors by stretches of rows: `rows` (s,) up to which each goes, `values` (s,) of `metric`; its `band` (low, high) (s,) or None."""

    rows: Float
    values: Float
    metric: str
    band: tuple[Float, Float] | None = None
    line_: Any = field(default=None, repr=False)

    @classmethod
    def from_trace(cls, trace: Any, y: Any = None, *, metric: str = "rmse", ax: Any = None) -> Self:
        """Draw as `learning_curve` does."""
        _validate.choice("metric", metric, LABELS)
        summary = summary_of(trace, y)
        curve = summary.curve
        half = summary.nis_band
        band = (np.maximum(1 - half, 0), 1 + half) if metric == "nis" else None
        return cls(curve["end"], curve[metric], metric, band).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw on `ax`, or on a figure of its own."""
        ax = self._begin(ax, figsize=(6, 3.5))
        if self.band is not None:
            ax.fill_between(self.rows, *self.band, color=BAND, label="95 % band")
            ax.axhline(1.0, color=INK, linestyle="--", linewidth=1)
        (self.line_,) = ax.plot(self.rows, self.values, color=BLUE, label=LABELS[self.metric])
        ax.set(xlabel="rows", ylabel=LABELS[self.metric])
        if self.metric != "nll" and len(self.values):
            ax.set_ylim(bottom=0)
        if self.band is not None:
            _legend(ax)
        return self


@dataclass
class CoefficientsDisplay(_Display):
    """The largest coefficients: `names`, `estimate` and `sd` (m,), from the top down; bars of `width` standard deviations."""

    names: list[str]
    estimate: Float
    sd: Float
    width: float = 2.0
    container_: Any = field(default=None, repr=False)

    @classmethod
    def from_filter(cls, flt: Any, *, top: int = 20, standardised: bool = False, ax: Any = None) -> Self:
        """Draw as `coefficients` does."""
        _validate.integer("top", top, low=1)
        found = _coefficients.coefficients(flt).largest(top)
        estimate, sd = found.estimate, found.sd
        if _validate.flag("standardised", standardised):
            with np.errstate(all="ignore"):
                estimate, sd = estimate / sd, np.where(sd > 0, 1.0, np.nan)
        return cls(found.names, estimate, sd).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw on `ax`, or on a figure of its own."""
        m = len(self.names)
        ax = self._begin(ax, figsize=(6, 1.2 + 0.28 * m))
        spread = self.width * np.where(np.isfinite(self.sd), self.sd, 0.0)
        at = np.arange(m)[::-1]
        ax.axvline(0.0, color=INK, linestyle="--", linewidth=1)
        self.container_ = ax.errorbar(self.estimate, at, xerr=spread, fmt="o", color=BLUE, markersize=4, capsize=2)
        ax.set_yticks(at, [name if len(name) <= 40 else f"{name[:39]}…" for name in self.names])
        ax.set(xlabel=f"estimate ± {self.width:g} sd", ylim=(-0.6, max(m - 0.4, 0.6)))
        return self


@dataclass
class CalibrationDisplay(_Display):
    """How predicted laws fit what came; of `kind` 'pit', 'coverage' or 'reliability' the points x, y and the 95 % band low, high at x."""

    kind: str
    x: Float
    y: Float
    low: Float
    high: Float
    artist_: Any = field(default=None, repr=False)

    @classmethod
    def from_trace(cls, trace: Any, y: Any = None, *, kind: str | None = None, bins: int = 20, ax: Any = None) -> Self:
        """Draw as `calibration` does."""
        _validate.integer("bins", bins, low=2)
        summary = summary_of(trace, y)
        binary = len(summary.reliability["count"]) > 0
        kind = _validate.choice(
            "kind", kind or ("reliability" if binary else "pit"), ("pit", "coverage", "reliability")
        )
        if kind == "reliability":
            if not binary:
                raise UnsupportedError(argument="kind", expected="of Bernoulli or Categorical", got=_family(summary))
            found = summary.reliability
            return cls(kind, found["predicted"], found["observed"], found["low"], found["high"]).plot(ax)
        places = summary.places
        if not len(places):
            raise UnsupportedError(argument="kind", expected="a family of ordered y, and rows", got=_family(summary))
        if kind == "pit":
            shares = np.histogram(places, bins, (0.0, 1.0))[0] * bins / len(places)
            half = np.full(bins, 1.96 * np.sqrt((bins - 1) / len(places)))
            return cls(kind, (np.arange(bins) + 0.5) / bins, shares, np.maximum(1 - half, 0), 1 + half).plot(ax)
        levels = np.concatenate([np.arange(1, 20) / 20, [0.99]])
        share = np.array([np.mean(np.abs(places - 0.5) <= level / 2) for level in levels])
        half = 1.96 * np.sqrt(levels * (1 - levels) / len(places))
        return cls(kind, levels, share, levels - half, levels + half).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw on `ax`, or on a figure of its own."""
        ax = self._begin(ax, figsize=(4.2, 4.0))
        if self.kind == "pit":
            wide = np.linspace(0, 1, 2)
            ax.fill_between(wide, self.low[:1].repeat(2), self.high[:1].repeat(2), color=BAND, label="95 % band")
            self.artist_ = ax.bar(self.x, self.y, width=0.95 / len(self.x), color=BLUE, alpha=0.75)
            ax.axhline(1.0, color=INK, linestyle="--", linewidth=1)
            ax.set(xlabel="place of y in its predicted law", ylabel="density", xlim=(0, 1))
        else:
            ax.fill_between(self.x, self.low, self.high, color=BAND, label="95 % band")
            ax.plot([0, 1], [0, 1], color=INK, linestyle="--", linewidth=1)
            (self.artist_,) = ax.plot(
                self.x, self.y, "o-" if self.kind == "coverage" else "o", color=BLUE, markersize=4
            )
            labels = {"coverage": ("level of the interval", "share of y inside"),
                      "reliability": ("predicted probability", "share that came")}[self.kind]  # fmt: skip
            ax.set(xlabel=labels[0], ylabel=labels[1], xlim=(0, 1), ylim=(0, 1), aspect="equal")
        _legend(ax)
        return self


@dataclass
class ForecastDisplay(_Display):
    """Rows to come: mean (m,), the central interval low to high (m,) of `level`; `observed` (n,) before them."""

    mean: Float
    low: Float
    high: Float
    level: float
    observed: Float
    line_: Any = field(default=None, repr=False)

    @classmethod
    def from_filter(
        cls, flt: Any, U_future: Any = None, *, steps: Any = None, observed: Any = None, level: float = 0.9,
        output: int = 0, ax: Any = None,
    ) -> Self:  # fmt: skip
        """Draw as `forecast` does."""
        level = _validate.number("level", level, "a number in (0, 1)", 0.0, 1.0, ends="()")
        past = np.zeros(0) if observed is None else _validate.real_array("observed", observed)
        mean, low, high = _ahead(flt, U_future, steps, level)
        if not 0 <= _validate.integer("output", output) < mean.shape[1]:
            raise ParameterError(argument="output", expected=f"an integer in [0, {mean.shape[1] - 1}]", got=output)
        past = past.reshape(len(past), -1)[:, min(output, past[:1].size - 1)] if past.size else np.zeros(0)
        return cls(mean[:, output], low[:, output], high[:, output], level, past).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw on `ax`, or on a figure of its own; the first row to come is at 1."""
        ax = self._begin(ax, figsize=(7, 3.5))
        ahead = np.arange(1, len(self.mean) + 1)
        if len(self.observed):
            ax.plot(np.arange(1 - len(self.observed), 1), self.observed, ".", color=INK, markersize=3, label="observed")
            ax.axvline(0.5, color=INK, linestyle=":", linewidth=1)
        ax.fill_between(ahead, self.low, self.high, color=BAND, label=f"{100 * self.level:g} % interval")
        (self.line_,) = ax.plot(ahead, self.mean, color=BLUE, label="forecast")
        ax.set(xlabel="rows ahead", ylabel="y")
        _legend(ax)
        return self


@dataclass
class WeightsDisplay(_Display):
    """Weights of a mixture's filters: `rows` (s,), `values` (s, m), `names` (m)."""

    rows: Float
    values: Float
    names: tuple[str, ...]
    lines_: list[Any] = field(default_factory=list, repr=False)

    @classmethod
    def from_trace(cls, trace: Any, *, ax: Any = None) -> Self:
        """Draw as `weights` does."""
        summary = summary_of(trace)
        if not summary.names:
            raise ParameterError(argument="trace", expected="a MixtureTrace", got=type(trace).__name__)
        rows, values = summary.weights
        return cls(rows, values, summary.names).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw on `ax`, or on a figure of its own."""
        ax = self._begin(ax, figsize=(6, 3.5))
        self.lines_ = [
            ax.plot(self.rows, column, label=name)[0] for column, name in zip(self.values.T, self.names, strict=True)
        ]
        ax.set(xlabel="rows", ylabel="weight", ylim=(-0.02, 1.02))
        _legend(ax)
        return self


def _ahead(flt: Any, U: Any, steps: Any, level: float) -> tuple[Float, Float, Float]:
    """Mean, low, high (m, k): quantiles where the law is that of one row, mean and sd of a normal where a state runs on."""
    from ._filter_base import FilterBase
    from ._mixture_base import MixtureBase

    if not isinstance(flt, (FilterBase, MixtureBase)):
        raise ParameterError(argument="flt", expected="a Filter or a Mixture", got=type(flt).__name__)
    if isinstance(flt, FilterBase) and flt.settings.sensitivity is not None:
        mean, std = flt.forecast(U, steps=steps)
        mean, std = (np.asarray(part, dtype=np.float64).reshape(len(part), -1) for part in (mean, std))
        away = float(_special.ndtri((1 + level) / 2)) * std
        return mean, mean - away, mean + away
    if steps is not None or U is None:
        raise ParameterError(
            argument="U_future", expected="rows to come (steps= needs a filter with a state)", got=str(U)
        )
    mean = np.asarray(flt.predict(U), dtype=np.float64)
    ends = flt.predict_quantiles(U, [(1 - level) / 2, (1 + level) / 2])
    mean, ends = mean.reshape(len(mean), -1), ends.reshape(len(mean), -1, 2)
    return mean, ends[..., 0], ends[..., 1]


def _legend(ax: Any) -> None:
    """Above the axes, where it hides nothing."""
    entries = len(ax.get_legend_handles_labels()[1])
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=min(entries, 4), frameon=False, fontsize="small")


def _family(summary: Summary) -> str:
    return "no rows" if summary.settings is None else repr(summary.settings.family)


def learning_curve(trace: Any, y: Any = None, *, metric: str = "rmse", ax: Any = None) -> LearningCurveDisplay:
    """Errors by stretches of rows.

    Parameters
    ----------
    trace : Trace, MixtureTrace or kfng.diagnostics.Summary
    y : (n,) or (n, k), optional
        Where it came later than the trace.
    metric : 'rmse', 'mae', 'nll' or 'nis'
        The last, squared errors over their predicted variance, with its 95 % band.
    ax : matplotlib axes, optional

    Returns
    -------
    LearningCurveDisplay

    Raises
    ------
    UnknownNameError, ParameterError, ShapeError, DtypeError
    """
    return LearningCurveDisplay.from_trace(trace, y, metric=metric, ax=ax)


def coefficients(flt: Any, *, top: int = 20, standardised: bool = False, ax: Any = None) -> CoefficientsDisplay:
    """The coefficients farthest from 0 in standard deviations, with two of these to each side.

    Parameters
    ----------
    flt : Filter, StateFilter, JointEkf, Mixture (its best filter) or Bank (mean and spread over its keys)
    top : int >= 1
        So many.
    standardised : bool
        In units of their standard deviations.
    ax : matplotlib axes, optional

    Returns
    -------
    CoefficientsDisplay

    Raises
    ------
    ParameterError
    """
    return CoefficientsDisplay.from_filter(flt, top=top, standardised=standardised, ax=ax)


def calibration(
    trace: Any, y: Any = None, *, kind: str | None = None, bins: int = 20, ax: Any = None
) -> CalibrationDisplay:
    """How the predicted laws fit what came, with the 95 % band of a law that is right.

    Parameters
    ----------
    trace : Trace, MixtureTrace or kfng.diagnostics.Summary
    y : (n,) or (n, k), optional
        Where it came later than the trace.
    kind : 'pit', 'coverage' or 'reliability', optional
        The histogram of where y lay in its law, flat where that is right; the share of y inside central intervals of every
        level; of binary y and of classes, and the default there, how often what was predicted with some probability came.
    bins : int >= 2
        Of the histogram.
    ax : matplotlib axes, optional

    Returns
    -------
    CalibrationDisplay

    Raises
    ------
    UnsupportedError
        The kind has no meaning for the family.
    ParameterError, UnknownNameError, ShapeError, DtypeError
    """
    return CalibrationDisplay.from_trace(trace, y, kind=kind, bins=bins, ax=ax)


def forecast(
    flt: Any, U_future: Any = None, *, steps: Any = None, observed: Any = None, level: float = 0.9, output: int = 0,
    ax: Any = None,
) -> ForecastDisplay:  # fmt: skip
    """What a filter expects of the next rows, with its interval.

    Parameters
    ----------
    flt : Filter or Mixture
        A filter with a state runs on from where it is (`Filter.forecast`), others predict each row.
    U_future : (m, d), optional
        The inputs of the rows to come.
    steps : int, optional
        Instead of them, of a filter with a state: how many.
    observed : (n,) or (n, k), optional
        What y was before, drawn to the left.
    level : number in (0, 1)
        Of the interval.
    output : int
        Which of several outputs.
    ax : matplotlib axes, optional

    Returns
    -------
    ForecastDisplay

    Raises
    ------
    ParameterError, ShapeError, DtypeError, NonFiniteError, UnsupportedError
    """
    return ForecastDisplay.from_filter(flt, U_future, steps=steps, observed=observed, level=level, output=output, ax=ax)


def weights(trace: Any, *, ax: Any = None) -> WeightsDisplay:
    """The weights of a mixture's filters as rows came.

    Parameters
    ----------
    trace : MixtureTrace, or kfng.diagnostics.Summary of some
    ax : matplotlib axes, optional

    Returns
    -------
    WeightsDisplay

    Raises
    ------
    ParameterError
    """
    return WeightsDisplay.from_trace(trace, ax=ax)
