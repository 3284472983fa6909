"""Unbiased online recurrent optimisation: ds is one outer product s~ theta~', right on average over random signs.

    a = f_s s~,  c = nu'f_theta;   s~ <- rho_0 a + rho_1 nu,   theta~ <- theta~/rho_0 + c/rho_1

    rho_0 = sqrt(|theta~|/|a|), rho_1 = sqrt(|c|/|nu|) (1 where a norm is 0), nu_i = ±1

E[s~ theta~'] = ds, for E[nu nu'] = I; but E[ds~'ds~] is larger than ds'ds, so a Fisher matrix made from it is wrong: it
serves gradients alone. O(n + P) memory. Source: Tallec and Ollivier 2017, arXiv 1702.05043.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..._validate import Array, integer
from .base import Sensitivity

MASK64 = 2**64 - 1
GOLDEN = 0x9E3779B97F4A7C15


@dataclass(frozen=True, eq=False, repr=False)
class UORO(Sensitivity):
    """A random, unbiased rank-one ds, for gradient rules (`SGD`, `Adam`); no state correction.

    Parameters
    ----------
    seed : int, default 0
        Of the signs, which depend on it and on the number of rows seen alone.

    Raises
    ------
    ParameterError
    """

    seed: int = 0

    random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self._set("seed", integer("seed", self.seed, high=2**63 - 1))

    def start(self, n: int, size: int, free: int) -> Array:
        """s~ and theta~, one behind the other."""
        return np.zeros(n + size)

    def advance(self, trace: Array, f_s: Array, f_phi: Array, constants: Any, t: int) -> Array:
        n = len(f_s)
        return rank_one(trace[:n], trace[n:], f_s, f_phi, signs(self.seed, t, n))

    def bounded(self, trace: Array, n: int, limit: float | None) -> tuple[Array, int]:
        """All of it starts again where the largest entry of ds passes the limit."""
        if limit is None or float(np.max(np.abs(trace[:n])) * np.max(np.abs(trace[n:]))) <= limit:
            return trace, 0
        return np.zeros_like(trace), n

    def total(self, trace: Array, h_s: Array) -> Array:
        n = h_s.shape[1]
        return np.outer(h_s @ trace[:n], trace[n:])

    def influence(self, trace: Array, n: int) -> Array:
        return np.outer(trace[:n], trace[n:])

    # -- saving
    def shapes(self, n: int, size: int) -> dict[str, tuple[int, ...]]:
        return {"uoro_state": (n,), "uoro_theta": (size,)}

    def pack(self, trace: Array, n: int) -> dict[str, Array]:
        return {"uoro_state": trace[:n], "uoro_theta": trace[n:]}

    def unpack(self, arrays: Mapping[str, Array]) -> Array:
        return np.concatenate([arrays["uoro_state"], arrays["uoro_theta"]])


def rank_one(s: Array, theta: Array, f_s: Array, f_theta: Array, nu: Array) -> Array:
    """The next s~ (n,) and theta~ (P,), one behind the other, with the signs nu (n,)."""
    a, c = f_s @ s, nu @ f_theta
    rho_0, rho_1 = _ratio(theta, a), _ratio(c, nu)
    return np.concatenate([rho_0 * a + rho_1 * nu, theta / rho_0 + c / rho_1])


def _ratio(above: Array, below: Array) -> float:
    norms = float(np.sqrt(above @ above)), float(np.sqrt(below @ below))
    return float(np.sqrt(norms[0] / norms[1])) if norms[0] != 0 and norms[1] != 0 else 1.0


def signs(seed: int, t: int, n: int) -> Array:
    """nu (n,) of the row after t rows: the top bits of splitmix64 at positions t·n + 1, ... from the seed."""
    return np.array([1.0 if _mixed(seed + (t * n + i + 1) * GOLDEN) >> 63 == 0 else -1.0 for i in range(n)])


def _mixed(x: int) -> int:
    """The finalizer of splitmix64 (Steele, Lea and Flood 2014)."""
    x &= MASK64
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK64
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK64
    return x ^ (x >> 31)
