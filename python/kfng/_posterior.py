"""What is known of theta, read off a filter: from the factors P = U diag(D) U' of a full belief, or from variances alone."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .errors import ParameterError

Float = NDArray[np.float64]
MAX_DENSE = 32768
"""Parameters up to which a (p, p) array is made."""


class Belief(Protocol):
    """The part of a filter that is read here."""

    def _factors(self) -> tuple[Float, Float]: ...
    def _covariance(self) -> Float: ...
    def _state(self) -> dict[str, NDArray[Any]]: ...


class Factored:
    """A full belief; O(p²) memory. The first `free` coordinates are left out: an unknown initial state is not theta."""

    def __init__(self, flt: Belief, free: int = 0) -> None:
        self._flt, self._free = flt, free

    def covariance(self) -> Float:
        """P (p, p)."""
        return self._flt._covariance()[self._free :, self._free :]

    def variances(self) -> Float:
        """Its diagonal (p,)."""
        return np.diagonal(self.covariance())

    def precision(self) -> Float:
        """P^-1 (p, p); infinite where a variance is 0."""
        U, D = self._factors()
        inverse = np.linalg.solve(U, np.eye(len(D)))
        with np.errstate(divide="ignore"):
            return (inverse.T / D) @ inverse

    def coloured(self, normals: Float, scale: float) -> Float:
        """Independent standard normals (n, p) as draws with covariance scale·P."""
        U, D = self._factors()
        return (normals * np.sqrt(D * scale)) @ U.T

    def pivot_ratio(self) -> float:
        """Smallest D_j/P_jj."""
        U, D = self._factors()
        return _smallest_ratio(D, (U * U) @ D)

    def _factors(self) -> tuple[Float, Float]:
        """Those of a trailing block of P are the trailing blocks of its own, for U is upper triangular."""
        U, D = self._flt._factors()
        return U[self._free :, self._free :], D[self._free :]


class Independent:
    """A diagonal belief; O(p) but for the two matrices."""

    def __init__(self, flt: Belief, free: int = 0) -> None:
        self._V: Float = flt._state()["V"].astype(np.float64)[free:]

    def covariance(self) -> Float:
        """(p, p), refused where p is large."""
        return np.diag(self._dense("cov"))

    def variances(self) -> Float:
        return self._V

    def precision(self) -> Float:
        """(p, p), refused where p is large."""
        with np.errstate(divide="ignore"):
            return np.diag(1 / self._dense("precision"))

    def coloured(self, normals: Float, scale: float) -> Float:
        return normals * np.sqrt(self._V * scale)

    def pivot_ratio(self) -> float:
        return _smallest_ratio(self._V, self._V)

    def _dense(self, name: str) -> Float:
        if len(self._V) > MAX_DENSE:
            expected = f"at most {MAX_DENSE} parameters for a (p, p) array"
            raise ParameterError(argument=name, expected=expected, got=f"{len(self._V)} parameters")
        return self._V


def _smallest_ratio(part: Float, whole: Float) -> float:
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(np.min(np.where(whole > 0, part / whole, 0.0)))
