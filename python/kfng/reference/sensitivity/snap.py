"""Sparse n-step approximation: only what reaches a unit within n steps is kept of ds.

    ds <- (f_s ds + f_theta) masked to the union over m < n of S^m M,

with S and M the patterns of f_s and f_theta. It is RTRL once n exceeds the longest finite distance between units by one;
in a dense cell n = 2 is already that. Source: Menick et al. 2020, arXiv 2006.07232.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..._validate import Array, flag, integer
from ..model import Recurrent
from .base import Sensitivity


@dataclass(frozen=True, eq=False, repr=False)
class SnAp(Sensitivity):
    """ds masked to the parameters that reach each unit within n steps.

    Parameters
    ----------
    n : int >= 1
        1 keeps what enters a unit itself.
    state_correction : bool, default True
        As for `RTRL`.

    Raises
    ------
    ParameterError
    """

    n: int
    state_correction: bool = True

    needs_patterns: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self._set("n", integer("n", self.n, low=1))
        self._set("state_correction", flag("state_correction", self.state_correction))

    def constants(self, model: Recurrent, free: int) -> Any:
        """The mask (n, P); an unknown s_0 is what its own entries are."""
        S, M = model.state_pattern().astype(np.float64), model.parameter_pattern().astype(np.float64)
        mask = np.hstack([np.eye(len(S), free), M])
        for _ in range(self.n - 1):
            wider = ((mask + S @ mask) > 0).astype(np.float64)
            if (wider == mask).all():
                break
            mask = wider
        return mask > 0

    def advance(self, trace: Array, f_s: Array, f_phi: Array, constants: Any, t: int) -> Array:
        return np.where(constants, f_s @ trace + f_phi, 0.0)
