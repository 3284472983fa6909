"""Process noise: theta moves as a random walk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._validate import finite_array, integer
from ...errors import NotPositiveDefiniteError, ParameterError, ShapeError
from .base import Rule


@dataclass(frozen=True, eq=False, repr=False)
class ProcessNoise(Rule):
    """theta is a random walk of covariance Q a unit of time: P <- P + Q·dt before the row is predicted.

    In the metric J of the natural gradient (eta_t J_t^-1 = P_t) this is the transport J <- (J^-1 + Q/eta_{t-1})^-1; only
    Q proportional to P is a learning rate (`Fading`). P relative to sigma² where the noise variance is learned, and Q
    with it. Variances of what no row excites grow without bound, by design. Source: Ollivier 2018, arXiv 1703.00209.

    Cost: with a full belief each column of Q's root is a rank-one update, O(p²); a number, a (p,) or a (p, p) of full rank
    are p of them, O(p³) a time. `every=p` makes it O(p²) a row again.

    Parameters
    ----------
    Q : number, (p,) or (p, p)
        Variance per unit of `dt`, >= 0: the same for all, each parameter's own, or a positive semidefinite matrix.
    every : int >= 1
        Add what is owed, Q times the time since the last addition, at the first row and at every so many rows.

    Raises
    ------
    ParameterError, ShapeError, NonFiniteError, NotPositiveDefiniteError
    """

    Q: Any
    every: int = 1

    def __post_init__(self) -> None:
        Q = finite_array("Q", self.Q)
        if Q.ndim > 2 or (Q.ndim == 2 and Q.shape[0] != Q.shape[1]):
            raise ShapeError(argument="Q", expected="a number or (p,) or (p, p)", got=Q.shape)
        diagonal = np.diagonal(Q) if Q.ndim == 2 else Q
        if not (diagonal >= 0).all():
            raise ParameterError(argument="Q", expected="variances >= 0", got=float(np.min(diagonal)))
        if Q.ndim == 2:
            _semidefinite(Q)
        self._set("Q", float(Q) if Q.ndim == 0 else Q)
        self._set("every", integer("every", self.every, low=1))

    def check(self, p: int) -> None:
        if np.ndim(self.Q) and len(self.Q) != p:
            raise ShapeError(argument="Q", expected=f"a number, ({p},) or ({p}, {p})", got=self.Q.shape)

    @property
    def diffusion(self) -> Any:
        return self.Q

    def diffuses(self, n_seen: int) -> bool:
        return n_seen % self.every == 0


def _semidefinite(Q: np.ndarray) -> None:
    """Raise unless Q (p, p) is symmetric and no eigenvalue is negative beyond rounding, in the units of its diagonal."""
    if not np.allclose(Q, Q.T, rtol=1e-12, atol=0):
        raise NotPositiveDefiniteError(argument="Q", expected="a symmetric matrix", got="an asymmetric one")
    scale = np.sqrt(np.diagonal(Q))
    moves = scale > 0
    if Q[~moves].any():
        raise NotPositiveDefiniteError(argument="Q", expected="no covariance where there is no variance", got="one")
    with np.errstate(over="ignore", invalid="ignore"):
        correlation = Q[np.ix_(moves, moves)] / scale[moves] / scale[moves][:, None]
    if not np.isfinite(correlation).all():
        raise NotPositiveDefiniteError(
            argument="Q", expected="a positive semidefinite matrix", got="a correlation beyond every number"
        )
    smallest = float(np.min(np.linalg.eigvalsh((correlation + correlation.T) / 2), initial=0.0))
    if smallest < -8 * len(Q) * np.finfo(np.float64).eps:
        raise NotPositiveDefiniteError(
            argument="Q",
            expected="a positive semidefinite matrix",
            got=f"a correlation matrix with eigenvalue {smallest:.3g}",
        )
