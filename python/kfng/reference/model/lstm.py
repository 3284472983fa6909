"""The long short-term memory, with the equations and the gate order of torch.nn.LSTMCell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..._validate import Array
from .gru import sigmoid
from .recurrent import Cell, Pattern, Transition, largest_modulus


@dataclass(frozen=True, eq=False, repr=False)
class LSTM(Cell):
    """i, f, g, o of W x + b + U h, sigmoids but g = tanh; c' = f·c + i·g, h' = o·tanh(c'); state (h, c), output C h' + c_out.

    Parameters are `weight_ih` (4h, d), `weight_hh` (4h, h), `bias` (4h,) with the gates i, f, g, o one below the other,
    `weight_out` (k, h), `bias_out` (k,), in this order. `bias` is the sum of the two of torch.nn.LSTMCell.

    Parameters
    ----------
    n_inputs, n_units, n_outputs : int
        d, h and k; the state has 2h numbers.
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

    gates: ClassVar[int] = 4

    @property
    def state_size(self) -> int:
        return 2 * self.n_units

    def advance(self, theta: Array, s: Array, u: Array) -> Transition:
        parts, x, h = self.split(theta), self.scaled(u), self.n_units
        W = parts["weight_ih"], parts["weight_hh"]
        a, c = W[0] @ x + W[1] @ s[:h] + parts["bias"], s[h:]
        i, f, o = (sigmoid(a[start : start + h]) for start in (0, h, 3 * h))
        g = np.tanh(a[2 * h : 3 * h])
        new = f * c + i * g
        t = np.tanh(new)
        by_c = o * (1 - t**2)  # dh'/dc'
        zero = np.zeros((h, h))
        c_by = np.hstack([np.diag(g * i * (1 - i)), np.diag(c * f * (1 - f)), np.diag(i * (1 - g**2)), zero])
        h_by = by_c[:, None] * c_by + np.hstack([zero, zero, zero, np.diag(t * o * (1 - o))])
        by = np.vstack([h_by, c_by])
        f_s, f_theta, f_u = self.partials(x, s, by, by, W)
        f_s[:, h:] = np.vstack([np.diag(by_c * f), np.diag(f)])
        return Transition(np.concatenate([o * t, new]), f_s, self.padded(f_theta), f_u)

    def state_pattern(self) -> Pattern:
        """c enters its own unit alone."""
        h = self.n_units
        return np.hstack([np.ones((2 * h, h), dtype=bool), np.tile(np.eye(h, dtype=bool), (2, 1))])

    def parameter_pattern(self) -> Pattern:
        """The output gate does not reach c."""
        pattern, h, start = super().parameter_pattern(), self.n_units, 0
        for name, shape in self._cell_shapes().items():
            width = shape[1] if name != "bias" else 1
            pattern[h:, start + 3 * h * width : start + 4 * h * width] = False
            start += 4 * h * width
        return pattern

    def spectral_radius(self, theta: Array) -> float | None:
        """Of the candidate's recurrent weights."""
        return largest_modulus(self.split(theta)["weight_hh"][2 * self.n_units : 3 * self.n_units])
