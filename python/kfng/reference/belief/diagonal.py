"""A diagonal covariance V (p,): what a row would correlate is dropped again at once.

    S = I + A'VA;   theta <- theta + V(g - A S^-1 A'V g), the exact gain of a diagonal prior, all outputs at once; then

    'precision':   1/V_i <- 1/V_i + sum_r A_ir²                  (the diagonal of the new precision)
    'covariance':  V_i <- V_i·max(1 - V_i (A S^-1 A')_ii, u)     (the diagonal of the new covariance; u unit roundoff)

V_new·g is not the step: it overshoots by about p/2 where all of p parameters explain one output. Of all diagonal beliefs
'precision' is the nearest in KL(diagonal || exact), never wider than 'covariance', which has the exact variances.
Source: the kernel of Ollivier 2018, arXiv 1703.00209, on a diagonal prior. O(p r) a row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..._validate import Array, choice
from ...errors import ShapeError, UnsupportedError
from .base import Belief, prior_field, require

PROJECTIONS = ("precision", "covariance")
UNIT_ROUNDOFF = float(np.finfo(np.float64).eps) / 2


@dataclass(frozen=True, eq=False, repr=False)
class Diagonal(Belief):
    """Variances alone: p numbers, O(p) a row, for many parameters.

    Parameters
    ----------
    prior_variance : float or (p,), default 1.0
        Variances of theta before the first row, relative to sigma² where the noise variance is learned.
    projection : 'precision' (default) or 'covariance'
        Whether a row's diagonal of the precision is kept, or that of the covariance, which shrinks more slowly.

    Raises
    ------
    ParameterError, ShapeError, NonFiniteError, UnknownNameError
    """

    prior_variance: Any = 1.0
    projection: str = "precision"

    max_parameters: ClassVar[int] = 2**26
    independent: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self._set("prior_variance", prior_field(self.prior_variance, (1,)))
        self._set("projection", choice("projection", self.projection, PROJECTIONS))

    def check(self, p: int) -> None:
        """Raise unless `prior_variance` fits p parameters."""
        shape = np.shape(self.prior_variance)
        if shape not in ((), (p,)):
            raise ShapeError(argument="prior_variance", expected=f"a number or ({p},)", got=shape)

    def check_diffusion(self, Q: Any) -> None:
        if np.ndim(Q) == 2:
            raise UnsupportedError(argument="Q", expected="a number or (p,) with a diagonal belief", got=np.shape(Q))

    def prior(self, p: int) -> Array:
        """V_0 (p,)."""
        return np.broadcast_to(np.asarray(self.prior_variance), (p,)).astype(np.float64)

    def prior_diagonal(self, p: int) -> Array:
        return self.prior(p)

    # -- the kernel
    def fade(self, P: Array, decay: float) -> Array:
        return P / decay

    def diffuse(self, P: Array, Q: float | Array) -> Array:
        return P + Q

    def spread(self, P: Array, dz: Array) -> Array:
        C = (dz * P) @ dz.T
        return (C + C.T) / 2

    def fuse(self, P: Array, A: Array, g: Array) -> tuple[Array, Array, Array]:
        G: NDArray[Any] = np.linalg.cholesky(np.eye(A.shape[1]) + self.spread(P, A.T))
        W: NDArray[Any] = np.linalg.solve(G, A.T)  # W'W = A S^-1 A'
        dtheta = P * (g - W.T @ (W @ (P * g)))
        if self.projection == "precision":
            return P / (1 + P * np.sum(A**2, axis=1)), G, dtheta
        return P * np.maximum(1 - P * np.sum(W**2, axis=0), UNIT_ROUNDOFF), G, dtheta

    def bound(self, P: Array, i: int, c: float) -> Array:
        """The other coordinates know nothing of this one."""
        pulled = P.copy()
        pulled[i] = c
        return pulled

    def renew(self, P: Array, prior: Array, n: int) -> Array:
        return np.concatenate([prior[:n], P[n:]])

    # -- reading
    def variances(self, P: Array) -> Array:
        return P

    def covariance(self, P: Array) -> Array:
        return np.diag(P)

    def factors(self, P: Array) -> tuple[Array, Array]:
        return np.eye(len(P)), P.copy()

    # -- saving
    def pack(self, P: Array) -> dict[str, Array]:
        return {"V": P}

    def shapes(self, p: int, names: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
        return {"V": (p,)}

    def unpack(self, arrays: Mapping[str, Array], p: int) -> Array:
        require("V", bool((arrays["V"] >= 0).all()), "variances >= 0")
        return arrays["V"]
