"""A linear state-space model whose matrices are learned: s' = weight_hh s + weight_ih x + bias."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._validate import Array
from .recurrent import Cell, Transition, largest_modulus


@dataclass(frozen=True, eq=False, repr=False)
class LinearStateSpace(Cell):
    """s' = A s + B x + b, z = C s' + c, with x = (u - input_center)/input_scale.

    Parameters are `weight_ih` (h, d), `weight_hh` (h, h), `bias` (h,), `weight_out` (k, h), `bias_out` (k,), in this order.
    Nothing keeps A stable: `health()` shows its spectral radius.

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

    def advance(self, theta: Array, s: Array, u: Array) -> Transition:
        parts, x, eye = self.split(theta), self.scaled(u), np.eye(self.n_units)
        W = parts["weight_ih"], parts["weight_hh"]
        f_s, f_theta, f_u = self.partials(x, s, eye, eye, W)
        return Transition(W[0] @ x + W[1] @ s + parts["bias"], f_s, self.padded(f_theta), f_u)

    def spectral_radius(self, theta: Array) -> float | None:
        return largest_modulus(self.split(theta)["weight_hh"])
