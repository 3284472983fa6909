"""RTRL of units that do not mix: f_s between different units counts as 0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..._validate import Array, flag
from ..model import Recurrent
from .base import Sensitivity


@dataclass(frozen=True, eq=False, repr=False)
class DiagonalRTRL(Sensitivity):
    """ds <- f_s ds + f_theta with f_s kept within each unit: exact for `LRU`, an approximation for other cells.

    Parameters
    ----------
    state_correction : bool, default True
        As for `RTRL`.

    Raises
    ------
    ParameterError
    """

    state_correction: bool = True

    needs_patterns: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self._set("state_correction", flag("state_correction", self.state_correction))

    def constants(self, model: Recurrent, free: int) -> Any:
        """Which pairs of state entries (n, n) belong to one unit."""
        units = model.units()
        return units[:, None] == units

    def advance(self, trace: Array, f_s: Array, f_phi: Array, constants: Any, t: int) -> Array:
        return np.where(constants, f_s, 0.0) @ trace + f_phi
