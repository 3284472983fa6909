"""Stochastic gradient descent on -log p(y | theta), one row at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..._validate import Array
from .gradient import GradientRule


@dataclass(frozen=True, eq=False, repr=False)
class SGD(GradientRule):
    """theta <- theta + learning_rate·w·dz'e. It brings the belief `Point()`: there is no posterior.

    Parameters
    ----------
    learning_rate : float > 0, InverseTime, Power or callable
        Of t = 1, 2, ..., the rows that learned; a filter that holds a callable cannot be saved.

    Raises
    ------
    ParameterError
        A rate outside its range: here where it can be seen, else at the row that meets it, the state as before.
    """

    learning_rate: Any

    def move(self, moments: Array, g: Array, t: int) -> tuple[Array, Array]:
        return moments, self._learning_rate(t) * g
