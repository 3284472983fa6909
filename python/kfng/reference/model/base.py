"""What a model is: the output z = h(u, theta) in link coordinates and its exact Jacobian dz = dz/dtheta."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import numpy as np

from ..._component import Component
from ..._validate import Array
from ...errors import UnsupportedError


class Features(NamedTuple):
    """Mean (d,) and variance (d,) > 0 of the features in the first rows."""

    mean: Array
    variance: Array


class Model(Component):
    axis: ClassVar[str] = "model"
    linear: ClassVar[bool] = False
    """True where dz does not depend on theta."""
    recurrent: ClassVar[bool] = False
    """True where rows share a hidden state (recurrent.py)."""

    @property
    def state_size(self) -> int:
        """n, the length of the hidden state; 0 for none."""
        return 0

    @property
    def inputs(self) -> int | None:
        """d, or None where rows come as outputs and Jacobians (`condition`)."""
        raise NotImplementedError

    @property
    def outputs(self) -> int:
        """k."""
        raise NotImplementedError

    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Named parameters in the order in which they are flattened (C-order) into theta."""
        raise NotImplementedError

    @property
    def n_parameters(self) -> int:
        return sum(_size(shape) for shape in self.shapes().values())

    def split(self, theta: Array) -> dict[str, Array]:
        """theta (p,) as named arrays (views)."""
        parts, start = {}, 0
        for name, shape in self.shapes().items():
            parts[name] = theta[start : start + _size(shape)].reshape(shape)
            start += _size(shape)
        return parts

    def initial_theta(self, seed: int) -> Array:
        """theta_0 where the user gives none."""
        return np.zeros(self.n_parameters)

    def forward(self, theta: Array, u: Array) -> tuple[Array, Array]:
        """z (k,) and dz (k, p) of one row u (d,)."""
        raise NotImplementedError

    def scale_free_variance(self, feature_variance: Array, V: Array) -> Array:
        """Prior variances (p,) that do not depend on units, from those of the features (d,) and of y in link units (k,)."""
        raise UnsupportedError(argument="model", expected="a model of rows", got=repr(self))

    def at_level(self, theta: Array, level: Array, V: Array, features: Features) -> Array:
        """theta_0 (p,) for outputs around `level` (k,) with variance V (k,), from the one of `initial_theta`."""
        raise UnsupportedError(argument="model", expected="a model of rows", got=repr(self))


def _size(shape: tuple[int, ...]) -> int:
    size = 1  # Python integers: a hostile shape must not wrap around
    for length in shape:
        size *= length
    return size
