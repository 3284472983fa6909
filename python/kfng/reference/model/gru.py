"""The gated recurrent unit, with the equations and the gate order of torch.nn.GRUCell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..._validate import Array
from .recurrent import Cell, Transition, largest_modulus


@dataclass(frozen=True, eq=False, repr=False)
class GRU(Cell):
    """r, z = sigma(W x + b + U s), n = tanh(W_n x + b_n + r·(U_n s + bias_hn)), s' = (1-z)·n + z·s; output C s' + c.

    Parameters are `weight_ih` (3h, d), `weight_hh` (3h, h), `bias` (3h,) with the gates r, z, n one below the other,
    `bias_hn` (h,), `weight_out` (k, h), `bias_out` (k,), in this order. torch.nn.GRUCell has two biases that only add for r
    and z: `bias` is their sum there, its b_in for n, and `bias_hn` its b_hn.

    Parameters
    ----------
    n_inputs, n_units, n_outputs : int
        d, h and k.
    input_center, input_scale : (d,), optional
        Constants, x = (u - input_center)/input_scale; `Filter.from_rows` sets them.

    Raises
    ------
    ParameterError, ShapeError, NonFiniteError
    """

    n_inputs: int
    n_units: int
    n_outputs: int
    input_center: Any = None
    input_scale: Any = None

    gates: ClassVar[int] = 3

    def _cell_shapes(self) -> dict[str, tuple[int, ...]]:
        return super()._cell_shapes() | {"bias_hn": (self.n_units,)}

    def advance(self, theta: Array, s: Array, u: Array) -> Transition:
        parts, x, h = self.split(theta), self.scaled(u), self.n_units
        W = parts["weight_ih"], parts["weight_hh"]
        from_input, from_state = W[0] @ x + parts["bias"], W[1] @ s
        hidden = from_state[2 * h :] + parts["bias_hn"]
        r, z = (sigmoid(from_input + from_state)[i * h : (i + 1) * h] for i in (0, 1))
        n = np.tanh(from_input[2 * h :] + r * hidden)
        by_n = (1 - z) * (1 - n**2)
        by_r, by_z = by_n * hidden * r * (1 - r), (s - n) * z * (1 - z)
        by_input = np.hstack([np.diag(by_r), np.diag(by_z), np.diag(by_n)])
        by_hidden = np.hstack([np.diag(by_r), np.diag(by_z), np.diag(by_n * r)])
        f_s, f_theta, f_u = self.partials(x, s, by_input, by_hidden, W)
        f_theta = self.padded(np.hstack([f_theta, np.diag(by_n * r)]))
        return Transition((1 - z) * n + z * s, f_s + np.diag(z), f_theta, f_u)

    def spectral_radius(self, theta: Array) -> float | None:
        """Of the candidate's recurrent weights."""
        return largest_modulus(self.split(theta)["weight_hh"][2 * self.n_units :])


def sigmoid(a: Array) -> Array:
    """1/(1 + exp(-a)), exact at both ends."""
    positive = 1 / (1 + np.exp(-np.abs(a)))
    return np.where(a < 0, 1 - positive, positive)
