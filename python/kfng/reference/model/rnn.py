"""The simple recurrent network (Elman): s' = act(weight_hh s + weight_ih x + bias)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._validate import Array, choice, finite_array
from ...errors import ParameterError
from .mlp import ACTIVATIONS
from .recurrent import Cell, Pattern, Transition, largest_modulus


@dataclass(frozen=True, eq=False, repr=False)
class RNN(Cell):
    """s' = act(W_hh s + W_ih x + b), z = C s' + c, with x = (u - input_center)/input_scale.

    Parameters are `weight_ih` (h, d), `weight_hh` (h, h), `bias` (h,), `weight_out` (k, h), `bias_out` (k,), in this order.

    Parameters
    ----------
    n_inputs, n_units, n_outputs : int
        d, h and k.
    activation : 'tanh' (default) or 'relu'
    mask : (h, h) of 0 and 1, optional
        Recurrent weights where it is 0 count as 0 (they stay in theta, unused).
    input_center, input_scale : (d,), optional
        Constants; recurrent networks need inputs near unit scale, which `Filter.from_rows` sees to.

    Raises
    ------
    ParameterError, ShapeError, NonFiniteError, UnknownNameError
    """

    n_inputs: int
    n_units: int
    n_outputs: int
    activation: str = "tanh"
    mask: Any = None
    input_center: Any = None
    input_scale: Any = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set("activation", choice("activation", self.activation, ACTIVATIONS))
        if self.mask is not None:
            mask = finite_array("mask", self.mask, (self.n_units, self.n_units))
            if not ((mask == 0) | (mask == 1)).all():
                raise ParameterError(argument="mask", expected="zeros and ones", got=float(mask[mask != 0].flat[0]))
            self._set("mask", mask)

    def initial_theta(self, seed: int) -> Array:
        theta = super().initial_theta(seed)
        if self.mask is not None:
            self.split(theta)["weight_hh"][self.mask == 0] = 0.0
        return theta

    def recurrent_weights(self, theta: Array) -> Array:
        """weight_hh (h, h), masked."""
        W = self.split(theta)["weight_hh"]
        return W if self.mask is None else W * self.mask

    def advance(self, theta: Array, s: Array, u: Array) -> Transition:
        act, slope = ACTIVATIONS[self.activation]
        parts, W, x = self.split(theta), self.recurrent_weights(theta), self.scaled(u)
        new = act(parts["weight_ih"] @ x + W @ s + parts["bias"])
        D = np.diag(slope(new))
        f_s, f_theta, f_u = self.partials(x, s, D, D, (parts["weight_ih"], W))
        return Transition(new, f_s, np.where(self.parameter_pattern(), self.padded(f_theta), 0.0), f_u)

    def state_pattern(self) -> Pattern:
        return super().state_pattern() if self.mask is None else self.mask != 0

    def parameter_pattern(self) -> Pattern:
        pattern = super().parameter_pattern()
        if self.mask is not None:
            start = self.n_units * self.n_inputs
            pattern[:, start : start + self.n_units**2] &= (self.mask != 0).ravel()
        return pattern

    def spectral_radius(self, theta: Array) -> float | None:
        return largest_modulus(self.recurrent_weights(theta))
