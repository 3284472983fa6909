"""How the predictions of a pass fared, summed up as it goes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from .._trace import Trace


class Scores:
    """Sums over the rows that were predicted before they were learned and had a y."""

    def __init__(self, report: bool = False) -> None:
        self.summary: Any = None
        if report:
            from ..diagnostics import Summary

            self.summary = Summary()
        self.rows = self.scored = self.missing = self.left_out = 0
        self._sums = np.zeros(5)
        """Squared error, absolute error, -log density, y, y²."""
        self._right = 0
        self._classes = False

    def put(self, trace: Trace, y: Any, prediction: Any) -> None:
        """`y` and `prediction` are numbers (n,), of classes the likeliest; without a prediction a row does not count."""
        if self.summary is not None and np.isfinite(prediction).any():
            self.summary.add(trace)
        self.rows += len(y)
        self.missing += int(np.isnan(y).sum())
        fine = np.isfinite(y) & np.isfinite(prediction)
        self.left_out += int((~np.isnan(y) & trace.skipped & ~np.isfinite(prediction)).sum())
        error, own = prediction[fine] - y[fine], y[fine]
        self.scored += int(fine.sum())
        self._classes = trace.prediction.ndim == 2
        self._right += int((error == 0).sum())
        self._sums += [(error**2).sum(), np.abs(error).sum(), trace.nll[fine].sum(), own.sum(), (own**2).sum()]

    def lines(self) -> Iterator[tuple[str, str]]:
        yield "rows", f"{self.rows:,}"
        if self.missing:
            yield "without a target", f"{self.missing:,}"
        if self.left_out:
            yield "left out, for a value is missing", f"{self.left_out:,}"
        if not self.scored:
            return
        squares, absolute, nll, y, y2 = self._sums / self.scored
        yield "predicted before they were used", f"{self.scored:,}"
        if self._classes:
            yield "right", f"{100 * self._right / self.scored:.2f} %"
        else:
            yield "RMSE", f"{math.sqrt(squares):.6g}"
            yield "MAE", f"{absolute:.6g}"
            yield "sd of the target", f"{math.sqrt(max(0.0, y2 - y * y)):.6g}"
        yield "mean log density", f"{-nll:.6g}"
