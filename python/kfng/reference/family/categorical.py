"""Categorical observations on K logits: P(y=j) = pi_j = exp(z_j)/sum_i exp(z_i).

Score e = onehot(y) - pi. Fisher factor L, lower triangular with L L' = diag(pi) - pi pi': with s_j = pi_j + ... + pi_K,
L_jj = sqrt(pi_j s_{j+1}/s_j) and L_ij = -pi_i/s_{j+1}·L_jj for i > j. Column j is that of class j against the classes
after it, and the last is zero. L is singular on purpose: adding a constant to all logits changes nothing, so nothing is learned about it, and every quantity here is
invariant under it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..._validate import Array, integer
from .base import Family, Mask
from .first_rows import Weight
from .quadrature import log_sum_exp


def softmax(z: Array) -> Array:
    """pi (..., K)."""
    terms = np.exp(z - np.max(z, axis=-1, keepdims=True))
    return terms / np.sum(terms, axis=-1, keepdims=True)


@dataclass(frozen=True, eq=False, repr=False)
class Categorical(Family):
    """y in 0..K-1 with probabilities softmax(z), from a model with K outputs.

    The clamp bounds how far a logit lies below the largest, the step clip how far one row moves any logit against any
    other: with K = 2 both are Bernoulli's.

    Parameters
    ----------
    n_classes : int >= 2
        K.

    Raises
    ------
    ParameterError
    """

    n_classes: int

    link: ClassVar[str] = "logit"
    discrete: ClassVar[bool] = True
    has_quantiles: ClassVar[bool] = False

    def __post_init__(self) -> None:
        self._set("n_classes", integer("n_classes", self.n_classes, low=2))

    def outputs_needed(self) -> int | None:
        return self.n_classes

    def y_width(self, k: int) -> int:
        return 1

    def mean_shape(self, k: int) -> tuple[int, ...]:
        return (k,)

    def invalid(self, y: Array) -> Mask:
        return np.any((y < 0) | (y > self.n_classes - 1) | (np.floor(y) < y), axis=1)

    def range_text(self) -> str:
        return f"a class, an integer in [0, {self.n_classes - 1}]"

    def clamp(self, z: Array, c: float) -> Array:
        return np.maximum(z, np.max(z, axis=-1, keepdims=True) - c)

    def moves(self, change: Array) -> Array:
        return np.array([np.max(change) - np.min(change)])

    def score(self, z: Array, y: Array, observed: Mask) -> Array:
        return np.eye(len(z))[int(y[0])] - softmax(z)

    def factor(self, z: Array, observed: Mask) -> Array:
        pi = softmax(z)
        L = np.zeros((len(z), len(z)))
        for j in range(len(z) - 1):
            after = np.sum(pi[j + 1 :])
            if after > 0:
                L[j, j] = np.sqrt(pi[j] * after / (pi[j] + after))
                L[j + 1 :, j] = -pi[j + 1 :] / after * L[j, j]
        return L

    def whitened(self, z: Array, e: Array, L: Array) -> Array:
        """r with L r = e, by forward substitution; its last entry, which L maps to 0, is 0."""
        if not softmax(z).all():
            return np.full(len(e), np.nan)
        r = np.zeros(len(e))
        for j in range(len(e) - 1):
            r[j] = (e[j] - L[j, :j] @ r[:j]) / L[j, j]
        return r

    def degrees(self, observed: Mask) -> int:
        return self.n_classes - 1

    def mean(self, z: Array) -> Array:
        return softmax(z)

    def mean_slope(self, z: Array) -> Array:
        return self.noise_covariance(z, z, z)

    def noise_covariance(self, z: Array, a: Array, b: Array) -> Array:
        pi, eye = softmax(z), np.eye(self.n_classes)
        rest = pi @ (1 - eye)  # 1 - pi, without the cancellation where pi is near 1
        return pi[:, :, None] * (eye * rest[:, None, :] - (1 - eye) * pi[:, None, :])

    def plugin_nll(self, z: Array, y: Array, a: Array, b: Array) -> Array:
        return _of_class(log_sum_exp(z)[:, None] - z, y)

    def predictive_nll(self, z: Array, C: Array, y: Array, a: Array, b: Array) -> Array:
        """-log p_y (n,) with p_j ∝ 1/sum_i exp(-(z_j-z_i)/sqrt(1 + pi/8·Var(z_j-z_i))).

        The probit approximation of each pair of classes, which knows only differences; good to about 0.1 nats where
        these have a standard deviation of 1. Source: MacKay 1992, Neural Computation 4, for K = 2.
        """
        variance = np.diagonal(C, axis1=1, axis2=2)
        spread = np.maximum(variance[:, :, None] + variance[:, None, :] - C - C.swapaxes(1, 2), 0.0)
        ahead = (z[:, :, None] - z[:, None, :]) / np.sqrt(1 + np.pi / 8 * spread)
        log_odds = log_sum_exp(-ahead)
        return _of_class(log_odds + log_sum_exp(-log_odds)[:, None], y)

    def level(self, Y: Array, w: Weight = None) -> Array:
        """log of the class shares, counts + 1/2, less their mean."""
        seen = ~np.isnan(Y[:, 0])
        weights = None if w is None else w[seen]
        counts = np.bincount(Y[seen, 0].astype(np.intp), weights, minlength=self.n_classes)
        level = np.log((counts + 0.5) / (counts.sum() + self.n_classes / 2))
        return level - level.mean()

    def link_variance(self, Y: Array, w: Weight = None) -> Array:
        return np.full(self.n_classes, np.pi**2 / 3)


def _of_class(values: Array, y: Array) -> Array:
    """values (n, K) at the classes y (n, 1), (n,); NaN where y is, and of a row that was refused for what it is."""
    seen = (y[:, 0] >= 0) & (y[:, 0] < values.shape[1])
    found = values[np.arange(len(y)), np.where(seen, y[:, 0], 0).astype(np.intp)]
    return np.where(seen, found, np.nan)
