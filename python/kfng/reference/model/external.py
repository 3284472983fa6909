"""A model that lives elsewhere: the user gives its output and Jacobian row by row."""

from __future__ import annotations

from dataclasses import dataclass

from ..._validate import integer
from .base import Model


@dataclass(frozen=True, eq=False, repr=False)
class External(Model):
    """`Filter.condition(y, output, jacobian)` takes z (k,) and dz/dtheta (k, p), both at `flt.theta`.

    Parameters
    ----------
    n_params, n_outputs : int
        p and k.

    Raises
    ------
    ParameterError
        Sizes that are no positive integers.
    """

    n_params: int
    n_outputs: int

    def __post_init__(self) -> None:
        self._set("n_params", integer("n_params", self.n_params, low=1))
        self._set("n_outputs", integer("n_outputs", self.n_outputs, low=1))

    @property
    def inputs(self) -> int | None:
        return None

    @property
    def outputs(self) -> int:
        return self.n_outputs

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {"theta": (self.n_params,)}
