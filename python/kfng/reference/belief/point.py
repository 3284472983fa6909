"""No belief: theta is a point, and a gradient rule moves it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..._validate import Array
from .base import Belief


@dataclass(frozen=True, eq=False, repr=False)
class Point(Belief):
    """Nothing is kept of what is uncertain about theta: the belief of the gradient rules `SGD` and `Adam`."""

    max_parameters: ClassVar[int] = 2**26
    independent: ClassVar[bool] = True

    @property
    def prior_variance(self) -> float:
        """Of no consequence."""
        return 1.0

    def check(self, p: int) -> None:
        pass

    def prior(self, p: int) -> Array:
        return np.zeros(0)

    def prior_diagonal(self, p: int) -> Array:
        return np.zeros(p)

    # -- the kernel
    def fade(self, P: Array, decay: float) -> Array:
        return P

    def spread(self, P: Array, dz: Array) -> Array:
        return np.zeros((len(dz), len(dz)))

    def fuse(self, P: Array, A: Array, g: Array) -> tuple[Array, Array, Array]:
        """The step is the score itself."""
        return P, np.eye(A.shape[1]), g

    # -- reading
    def variances(self, P: Array) -> Array:
        return P

    def covariance(self, P: Array) -> Array:
        return np.zeros((0, 0))

    def factors(self, P: Array) -> tuple[Array, Array]:
        return np.zeros((0, 0)), np.zeros(0)

    # -- saving
    def pack(self, P: Array) -> dict[str, Array]:
        return {}

    def shapes(self, p: int, names: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
        return {}

    def unpack(self, arrays: Mapping[str, Array], p: int) -> Array:
        return np.zeros(0)
