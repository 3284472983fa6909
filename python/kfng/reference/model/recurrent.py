"""What a recurrent model is: s' = f(s, theta, u), z = h(s', theta), with the exact partials of both.

`advance` and `readout` give them dense, f_theta (n, p) and all: the reference is to be read, not to be fast. All cells but
the external one scale their inputs, x = (u - input_center)/input_scale, and read out from the units' values linearly,
z = weight_out s + bias_out. The chain ds <- f_s ds + f_theta is the sensitivity's (reference/sensitivity).
Source: Ollivier 2018, arXiv 1703.00209, section on recurrent models.
"""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..._validate import Array, finite_array, integer
from ...errors import ParameterError
from .base import Features, Model

Pattern = NDArray[np.bool_]


class Transition(NamedTuple):
    """s' (n,) and its partials f_s (n, n), f_theta (n, p), f_u (n, d)."""

    s: Array
    f_s: Array
    f_theta: Array
    f_u: Array


class Readout(NamedTuple):
    """z (k,) and its partials h_s (k, n), h_theta (k, p)."""

    z: Array
    h_s: Array
    h_theta: Array


class Recurrent(Model):
    """Every model with a hidden state; f and h of the external one are the user's."""

    recurrent: ClassVar[bool] = True

    def advance(self, theta: Array, s: Array, u: Array) -> Transition:
        """s' and its partials at s (n,), theta (p,), u (d,)."""
        raise NotImplementedError

    def readout(self, theta: Array, s: Array) -> Readout:
        """z and its partials at s (n,), theta (p,)."""
        raise NotImplementedError

    def state_pattern(self) -> Pattern:
        """Which entries of f_s (n, n) can differ from 0."""
        raise NotImplementedError

    def parameter_pattern(self) -> Pattern:
        """Which entries of f_theta (n, p) can differ from 0."""
        raise NotImplementedError

    def units(self) -> NDArray[np.intp]:
        """The unit that each entry of the state belongs to, (n,)."""
        raise NotImplementedError

    def spectral_radius(self, theta: Array) -> float | None:
        """Of what the state is multiplied with from row to row, as far as weights say it; None where nobody knows."""
        return None


class Cell(Recurrent):
    """h units whose pre-activations are weight_ih x + bias and weight_hh s; the subclass is a dataclass of these fields."""

    n_inputs: int
    n_units: int
    n_outputs: int
    input_center: Any
    input_scale: Any
    gates: ClassVar[int] = 1
    """Pre-activations a unit has: rows of weight_ih, weight_hh and bias, one block of h rows for each gate."""

    def __post_init__(self) -> None:
        for name in ("n_inputs", "n_units", "n_outputs"):
            self._set(name, integer(name, getattr(self, name), low=1))
        for name in ("input_center", "input_scale"):
            if getattr(self, name) is not None:
                self._set(name, finite_array(name, getattr(self, name), (self.n_inputs,)))
        if self.input_scale is not None and not (self.input_scale > 0).all():
            raise ParameterError(argument="input_scale", expected="numbers > 0", got=float(np.min(self.input_scale)))

    @property
    def inputs(self) -> int | None:
        return self.n_inputs

    @property
    def outputs(self) -> int:
        return self.n_outputs

    @property
    def state_size(self) -> int:
        return self.n_units

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return self._cell_shapes() | {"weight_out": (self.n_outputs, self.n_units), "bias_out": (self.n_outputs,)}

    def _cell_shapes(self) -> dict[str, tuple[int, ...]]:
        rows, h = self.gates * self.n_units, self.n_units
        return {"weight_ih": (rows, self.n_inputs), "weight_hh": (rows, h), "bias": (rows,)}

    def initial_theta(self, seed: int) -> Array:
        """Weights N(0, 1/fan_in), drawn array by array; biases 0."""
        rng, theta = np.random.default_rng(seed), np.zeros(self.n_parameters)
        for part in self.split(theta).values():
            if part.ndim == 2:
                part[:] = rng.standard_normal(part.shape) / np.sqrt(part.shape[1])
        return theta

    def scaled(self, u: Array) -> Array:
        """x = (u - input_center)/input_scale, (d,)."""
        x = u if self.input_center is None else u - self.input_center
        return x if self.input_scale is None else x / self.input_scale

    def readout(self, theta: Array, s: Array) -> Readout:
        parts, k, h = self.split(theta), self.n_outputs, self.n_units
        C, eye = parts["weight_out"], np.eye(k)
        h_s, h_theta = np.zeros((k, self.state_size)), np.zeros((k, self.n_parameters))
        h_s[:, :h] = C
        h_theta[:, -k - k * h :] = np.hstack([np.kron(eye, s[:h]), eye])
        return Readout(C @ s[:h] + parts["bias_out"], h_s, h_theta)

    def partials(self, x: Array, s: Array, by_input: Array, by_hidden: Array, W: tuple[Array, Array]) -> list[Array]:
        """f_s, f_theta's columns of weight_ih, weight_hh and bias, f_u, from ds' by the two kinds of pre-activations.

        by_input (n, G) goes with weight_ih x + bias, by_hidden (n, G) with weight_hh s; W = (weight_ih, weight_hh).
        """
        n, h = len(by_input), self.n_units
        f_s = np.zeros((n, self.state_size))
        f_s[:, :h] = by_hidden @ W[1]
        f_u = by_input @ W[0]
        if self.input_scale is not None:
            f_u = f_u / self.input_scale
        columns = [(by_input[:, :, None] * x).reshape(n, -1), (by_hidden[:, :, None] * s[:h]).reshape(n, -1), by_input]
        return [f_s, np.hstack(columns), f_u]

    def padded(self, f_theta: Array) -> Array:
        """The columns of the readout's parameters, on which s' does not depend."""
        return np.hstack([f_theta, np.zeros((len(f_theta), self.n_parameters - f_theta.shape[1]))])

    # -- structure
    def state_pattern(self) -> Pattern:
        return np.ones((self.state_size, self.state_size), dtype=bool)

    def parameter_pattern(self) -> Pattern:
        """Each unit depends on its own rows of the cell's parameters."""
        unit, pattern = self.units(), []
        for name, shape in self.shapes().items():
            if name in self._cell_shapes():
                rows = np.arange(shape[0]) % self.n_units
                own = np.repeat(rows, shape[1] if len(shape) == 2 else 1)
                pattern.append(unit[:, None] == own)
            else:
                pattern.append(np.zeros((len(unit), int(np.prod(shape))), dtype=bool))
        return np.hstack(pattern)

    def units(self) -> NDArray[np.intp]:
        return np.arange(self.state_size) % self.n_units

    # -- the data's scale, for Filter.from_rows
    def with_inputs(self, features: Features) -> Cell:
        """The model with centred and scaled inputs, where the user did not say how."""
        from dataclasses import replace

        center = features.mean if self.input_center is None else self.input_center
        scale = np.sqrt(features.variance) if self.input_scale is None else self.input_scale
        made: Cell = replace(self, input_center=center, input_scale=scale)  # type: ignore[type-var]
        return made

    def scale_free_variance(self, feature_variance: Array, V: Array) -> Array:
        """1/fan_in for weights, 1 for biases, in the units of y (V) for the readout: inputs are scaled already."""
        variance = np.ones(self.n_parameters)
        parts = self.split(variance)
        parts["weight_out"][:], parts["bias_out"][:] = V[:, None], V
        for part in parts.values():
            if part.ndim == 2:
                part /= part.shape[1]
        return variance

    def at_level(self, theta: Array, level: Array, V: Array, features: Features) -> Array:
        """The readout is in the units of y and starts at its level."""
        theta = theta.copy()
        parts = self.split(theta)
        parts["weight_out"] *= np.sqrt(V)[:, None]
        parts["bias_out"] += level
        return theta


def largest_modulus(W: Array) -> float:
    """Spectral radius of W (h, h)."""
    return float(np.max(np.abs(np.linalg.eigvals(W))))
