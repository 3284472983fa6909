"""The diagonal linear recurrent unit: each unit fades at a rate of its own and mixes with no other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._validate import Array
from .recurrent import Cell, Pattern, Transition


@dataclass(frozen=True, eq=False, repr=False)
class LRU(Cell):
    """s'_i = tanh(decay_i) s_i + (W_ih x)_i + b_i, z = C s' + c, with x = (u - input_center)/input_scale.

    Parameters are `weight_ih` (h, d), `decay` (h,), `bias` (h,), `weight_out` (k, h), `bias_out` (k,), in this order. The
    units start with tanh(decay) evenly spaced from 0.5 to 0.99. It is stable for every theta, and the exact influence
    has one non-zero row for each parameter (`DiagonalRTRL`).

    Parameters
    ----------
    n_inputs, n_units, n_outputs : int
        d, h and k.
    input_center, input_scale : (d,), optional
        Constants; `Filter.from_rows` sets them.

    Raises
    ------
    ParameterError, ShapeError, NonFiniteError
    """

    n_inputs: int
    n_units: int
    n_outputs: int
    input_center: Any = None
    input_scale: Any = None

    def _cell_shapes(self) -> dict[str, tuple[int, ...]]:
        h = self.n_units
        return {"weight_ih": (h, self.n_inputs), "decay": (h,), "bias": (h,)}

    def initial_theta(self, seed: int) -> Array:
        theta, h = super().initial_theta(seed), self.n_units
        self.split(theta)["decay"][:] = np.arctanh(np.linspace(0.5, 0.99, h) if h > 1 else 0.9)
        return theta

    def advance(self, theta: Array, s: Array, u: Array) -> Transition:
        parts, x, eye = self.split(theta), self.scaled(u), np.eye(self.n_units)
        W, rate = parts["weight_ih"], np.tanh(parts["decay"])
        by_weight = (eye[:, :, None] * x).reshape(self.n_units, -1)
        f_theta = np.hstack([by_weight, np.diag((1 - rate**2) * s), eye])
        f_u = W if self.input_scale is None else W / self.input_scale
        return Transition(rate * s + W @ x + parts["bias"], np.diag(rate), self.padded(f_theta), f_u)

    def state_pattern(self) -> Pattern:
        return np.eye(self.n_units, dtype=bool)

    def spectral_radius(self, theta: Array) -> float | None:
        return float(np.max(np.abs(np.tanh(self.split(theta)["decay"]))))
