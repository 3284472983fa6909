"""What a belief is: where the filter keeps its uncertainty about theta."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ..._component import Component
from ..._validate import Array, finite_array
from ...errors import NotPositiveDefiniteError, ParameterError, ShapeError


class Belief(Component):
    axis: ClassVar[str] = "belief"
    max_parameters: ClassVar[int]

    prior_variance: Any

    def check(self, p: int) -> None:
        """Raise unless the prior fits p parameters."""
        raise NotImplementedError

    def prior(self, p: int) -> Array:
        """P_0 (p, p)."""
        raise NotImplementedError

    def prior_diagonal(self, p: int) -> Array:
        """Its diagonal, the prior variances (p,)."""
        raise NotImplementedError

    def prior_columns(self, p: int) -> Array:
        """C (p, p) with P_0^-1 = C C'."""
        raise NotImplementedError


def prior_field(value: Any, dimensions: tuple[int, ...]) -> float | Array:
    """`prior_variance` in canonical form: a float, or a read-only array with one of the given numbers of dimensions."""
    array = finite_array("prior_variance", value)
    if array.ndim not in (0, *dimensions) or (array.ndim == 2 and array.shape[0] != array.shape[1]):
        expected = ["a number"] + [{1: "(p,)", 2: "(p, p)"}[n] for n in dimensions]
        raise ShapeError(argument="prior_variance", expected=" or ".join(expected), got=array.shape)
    diagonal = np.diagonal(array) if array.ndim == 2 else array
    if not (diagonal > 0).all():
        raise ParameterError(argument="prior_variance", expected="variances > 0", got=float(np.min(diagonal)))
    if array.ndim == 2 and not np.allclose(array, array.T, rtol=1e-12, atol=0):
        raise NotPositiveDefiniteError(
            argument="prior_variance", expected="a symmetric matrix", got="an asymmetric one"
        )
    return float(array) if array.ndim == 0 else array
