"""Weights of models by what they said of the rows seen: prior times predictive density, old rows fading.

    w_i ∝ prior_i·exp(s_i),   s_i <- (1-a)^dt·s_i  as time passes,   s_i <- s_i - weight·nll_i  with each y

a = 0 is Bayesian model averaging; a > 0 is dynamic model averaging, where the better model may change (Raftery, Kárný and
Ettler 2010, Technometrics 52, eq. 16: weights to the power 1-a; here the evidence fades, so that the prior stays). Only
differences of s_i count: that of the row's best model is left as it is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
FAR = 1e290
"""What a row whose density underflows in float64 counts for: sums of it stay finite."""


class Weighed(NamedTuple):
    """Of n rows: weights (m, n) and -log density of the mixture (n,) before each y, and the evidence after them all."""

    weights: Float
    nll: Float
    after: Evidence


@dataclass(frozen=True)
class Evidence:
    """log prior (m,), s (m,) and the sums (m + 1,) of log densities of each model and, last, of the mixture."""

    log_prior: Float
    forgetting: float
    scores: Float
    sums: Float

    @classmethod
    def start(cls, prior: Float, forgetting: float) -> Evidence:
        m = len(prior)
        return cls(np.log(prior / prior.sum()), forgetting, np.zeros(m), np.zeros(m + 1))

    @property
    def weights(self) -> Float:
        """(m,), after the rows so far."""
        return _softmax((self.log_prior + self.scores)[:, None])[0][:, 0]

    def weigh(self, nll: Float, weight: Float, dt: Float) -> Weighed:
        """Rows in order: nll (m, n), NaN where y is missing, weight and dt (n,). The same bits however rows are cut."""
        with np.errstate(all="ignore"):
            known = ~np.isnan(nll).any(axis=0)
            teaches = known & (weight != 0)
            best = nll.min(axis=0)
            behind = np.where(np.isinf(best), 0.0, np.minimum(weight * (nll - best), FAR))
            before, scores = self._pass(np.where(teaches, -behind, 0.0), dt)
            weights, log_weights = _softmax(self.log_prior[:, None] + before)
            terms = log_weights - nll
            top = terms.max(axis=0)
            mixed = np.where(np.isneginf(top), np.inf, -(top + np.log(_sum(np.exp(terms - top)))))
            gained = np.clip(-weight * np.concatenate([nll, mixed[None]]), -FAR, FAR)
        sums = _running(self.sums, np.where(teaches, gained, 0.0))[:, -1]
        return Weighed(weights, np.where(known, mixed, np.nan), replace(self, scores=scores, sums=sums))

    def weigh_one(self, nll: list[float], weight: float, dt: float) -> Weighed:
        """The same of one row, to the same bits, in a tenth of the time: numbers, with NumPy's exp and log alone."""
        scores: list[float] = self.scores.tolist()
        if self.forgetting:
            decay = float(np.power(1 - self.forgetting, np.float64(dt)))
            scores = [s * decay for s in scores]
        levels = [prior + s for prior, s in zip(self.log_prior.tolist(), scores, strict=True)]
        top = max(levels)
        shifted = [level - top for level in levels]
        terms = np.exp(shifted).tolist()
        total = sum(terms[1:], terms[0])
        weights = np.array([[term / total] for term in terms])
        if any(x != x for x in nll):
            after = Evidence(self.log_prior, self.forgetting, np.array(scores), self.sums)
            return Weighed(weights, np.array([math.nan]), after)
        log_total = float(np.log(total))
        parts = [s - log_total - x for s, x in zip(shifted, nll, strict=True)]
        top = max(parts)
        mixed = math.inf
        if top > -math.inf:
            each = np.exp([part - top for part in parts]).tolist()
            mixed = -(top + float(np.log(sum(each[1:], each[0]))))
        sums = self.sums
        if weight != 0:
            best = min(nll)
            if best < math.inf:
                scores = [s - min(weight * (x - best), FAR) for s, x in zip(scores, nll, strict=True)]
            gained = [min(max(-weight * x, -FAR), FAR) for x in (*nll, mixed)]
            sums = np.array([s + gain for s, gain in zip(sums.tolist(), gained, strict=True)])
        return Weighed(weights, np.array([mixed]), Evidence(self.log_prior, self.forgetting, np.array(scores), sums))

    def _pass(self, gains: Float, dt: Float) -> tuple[Float, Float]:
        """s (m, n) after each row's time and before its y, and s (m,) after the last."""
        if self.forgetting == 0:
            passed = _running(self.scores, gains)
            return passed[:, :-1], np.array(passed[:, -1])
        decay = (1 - self.forgetting) ** dt
        steps = decay.tolist()
        rows = [
            list(accumulate(zip(steps, gain, strict=True), lambda s, step: s * step[0] + step[1], initial=start))
            for start, gain in zip(self.scores.tolist(), gains.tolist(), strict=True)
        ]
        passed = np.array(rows, dtype=np.float64)
        return passed[:, :-1] * decay, np.array(passed[:, -1])


def _running(start: Float, gains: Float) -> Float:
    """Sums (m, n + 1) of start (m,) and gains (m, n) in order."""
    return np.add.accumulate(np.concatenate([start[:, None], gains], axis=1), axis=1)


def _softmax(scores: Float) -> tuple[Float, Float]:
    """exp(scores) (m, n) over its sum over m, and the logarithm of that."""
    shifted = scores - scores.max(axis=0)
    terms = np.exp(shifted)
    total = _sum(terms)
    return terms / total, shifted - np.log(total)


def _sum(terms: Float) -> Float:
    """Over the first axis in one order, however many rows there are."""
    total = np.array(terms[0])
    for term in terms[1:]:
        total += term
    return total
