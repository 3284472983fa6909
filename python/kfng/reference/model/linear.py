"""z = W u + c."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..._validate import Array, flag, integer
from ...errors import ParameterError
from .base import Features, Model


@dataclass(frozen=True, eq=False, repr=False)
class Linear(Model):
    """z = W u + c with `weight` (k, d) and, unless `intercept=False`, `intercept` (k,).

    Parameters
    ----------
    n_features : int
        d; 0 leaves the intercept alone (a level).
    n_outputs : int, default 1
        k.
    intercept : bool, default True

    Raises
    ------
    ParameterError
        Sizes that are no positive integers, or a model without parameters.
    """

    n_features: int
    n_outputs: int = 1
    intercept: bool = True

    linear: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self._set("n_features", integer("n_features", self.n_features))
        self._set("n_outputs", integer("n_outputs", self.n_outputs, low=1))
        self._set("intercept", flag("intercept", self.intercept))
        if self.n_features == 0 and not self.intercept:
            raise ParameterError(argument="n_features", expected="at least 1 without an intercept", got=0)

    @property
    def inputs(self) -> int | None:
        return self.n_features

    @property
    def outputs(self) -> int:
        return self.n_outputs

    def shapes(self) -> dict[str, tuple[int, ...]]:
        shapes: dict[str, tuple[int, ...]] = {"weight": (self.n_outputs, self.n_features)}
        return shapes | {"intercept": (self.n_outputs,)} if self.intercept else shapes

    def forward(self, theta: Array, u: Array) -> tuple[Array, Array]:
        k, eye = self.n_outputs, np.eye(self.n_outputs)
        dz = (eye[:, :, None] * u).reshape(k, k * self.n_features)  # row j: u at the place of weight j
        if self.intercept:
            dz = np.hstack([dz, eye])
        return dz @ theta, dz

    def scale_free_variance(self, feature_variance: Array, V: Array) -> Array:
        weight = (V[:, None] / feature_variance).ravel()
        return np.concatenate([weight, V]) if self.intercept else weight

    def at_level(self, theta: Array, level: Array, V: Array, features: Features) -> Array:
        return np.concatenate([theta[: -len(level)], level]) if self.intercept else theta
