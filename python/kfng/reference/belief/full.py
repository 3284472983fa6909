"""The full covariance P (p, p) in dense algebra: the kernel of theory section 1, covariance form.

    P <- P/decay;   S = I + A'PA;   P <- P - P A S^-1 A'P

The subtraction loses about 3·u·rho (u the unit roundoff, rho = h'Ph/R), which kfng's own UD form does not: the two are
compared at moderate rho. P stands for J^-1, relative to sigma² where the noise variance is learned. Source: Ollivier 2018, arXiv 1703.00209.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..._validate import Array
from ...errors import NotPositiveDefiniteError, ShapeError
from .base import Belief, prior_field, require


@dataclass(frozen=True, eq=False, repr=False)
class Full(Belief):
    """The exact belief: all covariances, p(p+1)/2 numbers, O(p²) a row.

    Parameters
    ----------
    prior_variance : float, (p,) or (p, p), default 1.0
        Covariance of theta before the first row, relative to sigma² where the noise variance is learned.

    Raises
    ------
    ParameterError, ShapeError, NonFiniteError, NotPositiveDefiniteError
    """

    prior_variance: Any = 1.0

    max_parameters: ClassVar[int] = 32768
    _definite: ClassVar[bool] = False
    """Whether a matrix is known to be positive definite: of one itself, made of such blocks."""

    def __post_init__(self) -> None:
        self._set("prior_variance", prior_field(self.prior_variance, (1, 2)))

    def check(self, p: int) -> None:
        """Raise unless `prior_variance` fits p parameters and is positive definite."""
        value = np.asarray(self.prior_variance)
        if value.ndim and len(value) != p:
            raise ShapeError(argument="prior_variance", expected=f"a number, ({p},) or ({p}, {p})", got=value.shape)
        if value.ndim == 2 and not self._definite:
            try:
                np.linalg.cholesky(value)
            except np.linalg.LinAlgError:
                raise NotPositiveDefiniteError(
                    argument="prior_variance", expected="a positive definite matrix", got="one that is not"
                ) from None

    def prior(self, p: int) -> Array:
        """P_0 (p, p)."""
        value = np.asarray(self.prior_variance)
        if value.ndim == 2:
            return (value + value.T) / 2  # symmetric to the last bit
        return np.diag(np.broadcast_to(value, (p,)).astype(np.float64))

    def prior_diagonal(self, p: int) -> Array:
        """Prior variances (p,)."""
        value = np.asarray(self.prior_variance)
        diagonal = np.diagonal(value) if value.ndim == 2 else np.broadcast_to(value, (p,))
        return diagonal.astype(np.float64)

    def prior_columns(self, p: int, positions: Sequence[int]) -> Iterator[Array]:
        """Of the lower triangular C; a prior with covariances is inverted."""
        if np.ndim(self.prior_variance) < 2:
            return super().prior_columns(p, positions)
        if not positions:
            return iter(())
        C: Array = np.linalg.cholesky(np.linalg.inv(self.prior(p)))
        return (C[:, i] for i in positions)

    # -- the kernel, written below
    def fade(self, P: Array, decay: float) -> Array:
        return fade(P, decay)

    def diffuse(self, P: Array, Q: float | Array) -> Array:
        return diffuse(P, Q)

    def spread(self, P: Array, dz: Array) -> Array:
        return spread(P, dz)

    def fuse(self, P: Array, A: Array, g: Array) -> tuple[Array, Array, Array]:
        """The step is P_new g: the natural gradient. O(p² r)."""
        P, G = fuse(P, A)
        return P, G, P @ g

    def bound(self, P: Array, i: int, c: float) -> Array:
        return bound(P, i, c)

    def renew(self, P: Array, prior: Array, n: int) -> Array:
        renewed = prior.copy()
        renewed[n:, n:] = P[n:, n:]
        renewed[:n, n:] = renewed[n:, :n] = 0.0
        return renewed

    # -- reading
    def variances(self, P: Array) -> Array:
        return np.diagonal(P)

    def covariance(self, P: Array) -> Array:
        return P.copy()

    def factors(self, P: Array) -> tuple[Array, Array]:
        return factors(P)

    # -- saving
    def pack(self, P: Array) -> dict[str, Array]:
        return {"P": P}

    def shapes(self, p: int, names: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
        """P itself, or the factors U (packed, strictly upper, column-major) and D of kfng's filter."""
        return {"U": (p * (p - 1) // 2,), "D": (p,)} if "U" in names else {"P": (p, p)}

    def unpack(self, arrays: Mapping[str, Array], p: int) -> Array:
        if "P" in arrays:
            P = arrays["P"]
            require("P", bool((np.diagonal(P) >= 0).all() and (P == P.T).all()), "a symmetric matrix, variances >= 0")
            return P
        require("D", bool((arrays["D"] >= 0).all()), "numbers >= 0")
        U = np.eye(p)
        U.T[np.tril_indices(p, -1)] = arrays["U"]  # rows of U' are columns of U
        with np.errstate(over="ignore", invalid="ignore"):
            P = product(U, arrays["D"])
        require("U", bool(np.isfinite(P).all()), "factors of a finite matrix")
        return P


def fade(P: Array, decay: float) -> Array:
    """J <- decay·J, that is P <- P/decay (p, p)."""
    return P / decay


def diffuse(P: Array, Q: float | Array) -> Array:
    """P <- P + Q (p, p); Q is a number, (p,) or (p, p)."""
    return P + (Q if np.ndim(Q) == 2 else np.diag(np.broadcast_to(Q, len(P))))


def spread(P: Array, dz: Array) -> Array:
    """C = dz P dz' (k, k), the covariance of z = dz·theta; dz (k, p)."""
    C = dz @ P @ dz.T
    return (C + C.T) / 2


def fuse(P: Array, A: Array) -> tuple[Array, Array]:
    """J <- J + A A', that is P <- P - P A S^-1 A'P with S = I + A'PA; A (p, r). O(p² r).

    Returns the new P (p, p) and G (r, r), lower triangular with S = G G': G_jj² is the variance of column j's
    innovation given the columns before it, relative to its noise.
    """
    G: NDArray[Any] = np.linalg.cholesky(np.eye(A.shape[1]) + spread(P, A.T))
    W: NDArray[Any] = np.linalg.solve(G, A.T @ P)
    return P - W.T @ W, G


def bound(P: Array, i: int, c: float) -> Array:
    """P after a zero-innovation pseudo-observation of coordinate i that takes P_ii down to c. O(p²).

    Its noise variance is R = P_ii·c/(P_ii - c). Written as what is known of the others given coordinate i, plus the new
    variance of that one, so that nothing is lost where c is a tiny part of P_ii.
    """
    gain = P[i] / P[i, i]
    others = P - P[i, i] * np.outer(gain, gain)
    others[i] = others[:, i] = 0.0
    return others + c * np.outer(gain, gain)


def factors(P: Array) -> tuple[Array, Array]:
    """P = U diag(D) U': U (p, p) unit upper triangular, D (p,) >= 0. Source: Bierman 1977."""
    rest, p = np.array(P), len(P)
    U, D = np.eye(p), np.zeros(p)
    for j in reversed(range(p)):
        D[j] = max(rest[j, j], 0.0)  # a semidefinite P: rounding may leave a pivot just below zero
        if D[j] > 0:
            U[:j, j] = rest[:j, j] / D[j]
            rest[:j, :j] -= D[j] * np.outer(U[:j, j], U[:j, j])
    return U, D


def product(U: Array, D: Array) -> Array:
    """P = U diag(D) U' (p, p), symmetric to the last bit."""
    root = U * np.sqrt(D)
    return root @ root.T
