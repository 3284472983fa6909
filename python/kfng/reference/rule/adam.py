"""Adam: the gradient over the root of its running second moment.

    m <- beta1·m + (1-beta1)·g,  v <- beta2·v + (1-beta2)·g²
    theta <- theta + learning_rate·m^/(sqrt(v^) + eps),   m^ = m/(1-beta1^t), v^ = v/(1-beta2^t)

Source: Kingma and Ba 2015, arXiv 1412.6980.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..._validate import Array, number, positive
from .gradient import GradientRule


@dataclass(frozen=True, eq=False, repr=False)
class Adam(GradientRule):
    """Adam's step with g = w·dz'e, the score of a row. It brings the belief `Point()`: there is no posterior.

    Parameters
    ----------
    learning_rate : float > 0, InverseTime, Power or callable
        As for `SGD`.
    beta1, beta2 : float in [0, 1), default 0.9, 0.999
    eps : float > 0, default 1e-8

    Raises
    ------
    ParameterError
    """

    learning_rate: Any
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8

    moments: ClassVar[int] = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("beta1", "beta2"):
            self._set(name, number(name, getattr(self, name), "a number in [0, 1)", 0.0, 1.0, ends="[)"))
        self._set("eps", positive("eps", self.eps))

    def move(self, moments: Array, g: Array, t: int) -> tuple[Array, Array]:
        """moments (2, p): m and v."""
        m = self.beta1 * moments[0] + (1 - self.beta1) * g
        v = self.beta2 * moments[1] + (1 - self.beta2) * g**2
        direction = m / (1 - self.beta1**t) / (np.sqrt(v / (1 - self.beta2**t)) + self.eps)
        return np.array([m, v]), self._learning_rate(t) * direction
