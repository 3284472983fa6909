"""What rows leave behind in a mixture: `MixtureStep` for one, `MixtureTrace` for many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._law import law, mixed_quantiles
from ._trace import Trace

Float = NDArray[np.float64]


def mixed_mean(weights: Float, means: Sequence[Any]) -> Float:
    """sum_i w_i m_i; weights (m, n), means (n, ...) each."""
    return _weighted(weights, means)


def mixed_std(weights: Float, mean: Float, means: Sequence[Any], stds: Sequence[Any]) -> Float:
    """sqrt(sum_i w_i (sd_i² + (m_i - mean)²)): the law of total variance, with the mean (n, ...) of the mixture."""
    away = [np.asarray(part, dtype=np.float64) - mean for part in means]
    return np.sqrt(_weighted(weights, [sd**2 + d**2 for sd, d in zip(stds, away, strict=True)]))


def _weighted(weights: Float, parts: Sequence[Any]) -> Float:
    """One order of the sum, however many rows there are; what has weight 0 does not count, infinite or not."""
    total = np.zeros(np.shape(parts[0]))
    for weight, part in zip(weights, parts, strict=True):
        w = weight.reshape(-1, *(1,) * (np.ndim(part) - 1))
        total += np.where(w == 0, 0.0, w * part)
    return total


@dataclass(eq=False, repr=False)
class MixtureTrace:
    """The rows of one `update_many` of a mixture: for each the prediction made before its y was used, and how it fared.

    weights (n, m): of the filters, before y was used. nll (n,): -log sum_i w_i p_i(y); NaN where y is missing.
    traces: the m filters' own. names: of the filters.
    """

    traces: tuple[Trace, ...]
    names: tuple[str, ...]
    weights: Float
    nll: Float

    def __len__(self) -> int:
        return len(self.nll)

    @cached_property
    def prediction(self) -> NDArray[Any]:
        """E(y) of each row before y was used, (n,) or (n, k); NaN where u was bad."""
        dtype = np.result_type(*(trace.prediction.dtype for trace in self.traces))
        return self._mean.astype(dtype, copy=False)

    @cached_property
    def std(self) -> Float:
        """Predictive standard deviation of y, shaped as `prediction`: within the filters and between them."""
        with np.errstate(over="ignore", invalid="ignore"):
            means, stds = [trace.prediction for trace in self.traces], [trace.std for trace in self.traces]
            return mixed_std(self._columns, self._mean, means, stds)

    @cached_property
    def _mean(self) -> Float:
        with np.errstate(over="ignore", invalid="ignore"):
            return mixed_mean(self._columns, [trace.prediction for trace in self.traces])

    @property
    def _columns(self) -> Float:
        return np.ascontiguousarray(self.weights.T)

    @property
    def nlls(self) -> Float:
        """-log predictive density of each filter, (n, m)."""
        return np.stack([trace.nll for trace in self.traces], axis=1)

    def quantiles(self, q: Any) -> Float:
        """Predictive quantiles of each row's y before it was used, of the mixture's law: (n, len(q)), or (n, k, len(q)).

        Computed at each call. As `Trace.quantiles`, which has the errors too.

        Parameters
        ----------
        q : (m,) in [0, 1]
            The levels.
        """
        return mixed_quantiles([law(trace) for trace in self.traces], self.weights, q, "quantiles")

    @property
    def skipped(self) -> NDArray[np.bool_]:
        """Rows that taught no filter anything: y missing, weight 0, or refused by on_bad_row="skip"."""
        return np.logical_and.reduce([trace.skipped for trace in self.traces])

    @property
    def clipped(self) -> NDArray[np.bool_]:
        """Rows whose step of theta was shortened by the step clip in some filter."""
        return np.logical_or.reduce([trace.clipped for trace in self.traces])

    def __getitem__(self, rows: slice) -> MixtureTrace:
        """The rows of a slice as a trace of their own."""
        if not isinstance(rows, slice):
            raise TypeError("a MixtureTrace takes a slice; its arrays take indices")
        return MixtureTrace(tuple(t[rows] for t in self.traces), self.names, self.weights[rows], self.nll[rows])

    def __repr__(self) -> str:
        skipped = int(self.skipped.sum())
        return f"<MixtureTrace of {len(self)} rows and {len(self.traces)} filters, {skipped} skipped>"


class MixtureStep:
    """One row's prediction by a mixture, made before its y was used, and how the row fared."""

    __slots__ = ("_nll", "_steps", "_weights")

    def __init__(self, steps: Sequence[Any], weights: Float, nll: float) -> None:
        self._steps, self._weights, self._nll = tuple(steps), weights, nll

    @property
    def weights(self) -> Float:
        """Of the filters before y was used, (m,)."""
        return self._weights[:, 0].copy()

    @property
    def steps(self) -> tuple[Any, ...]:
        """The filters' own."""
        return self._steps

    @property
    def prediction(self) -> Any:
        """E(y), shaped as the families' mean: a number, (k,) or (K,)."""
        means = self._means()
        dtype = np.result_type(*(np.asarray(step.prediction).dtype for step in self._steps))
        return mixed_mean(self._weights, means).astype(dtype)[0]

    @property
    def std(self) -> Any:
        """Predictive standard deviation of y, shaped as `prediction`."""
        means = self._means()
        stds = [np.asarray(step.std, dtype=np.float64)[None] for step in self._steps]
        with np.errstate(over="ignore", invalid="ignore"):
            return mixed_std(self._weights, mixed_mean(self._weights, means), means, stds)[0]

    def _means(self) -> list[NDArray[Any]]:
        return [np.asarray(step.prediction)[None] for step in self._steps]

    @property
    def nll(self) -> float:
        """-log predictive density of y; NaN where y is missing."""
        return self._nll

    @property
    def skipped(self) -> bool:
        """True where no filter learned (y missing, or weight 0)."""
        return all(step.skipped for step in self._steps)

    @property
    def clipped(self) -> bool:
        """True where a filter's step of theta was shortened by the step clip."""
        return any(step.clipped for step in self._steps)

    def __repr__(self) -> str:
        return f"MixtureStep(prediction={self.prediction}, std={self.std}, skipped={self.skipped})"
