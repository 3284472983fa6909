"""The rules: how time and learning enter the kernel of theory section 1.

    J <- decay·J + metric_rate·A A',   theta <- theta + learning_rate·J^-1 g

Source: Ollivier 2018, arXiv 1703.00209.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from .._component import Component
from .._validate import number, positive
from ..errors import ParameterError, UnknownNameError


class Rule(Component):
    axis: ClassVar[str] = "rule"
    forgets: ClassVar[bool] = False
    """True where an unexcited direction grows without bound unless a guard acts."""

    def log_decay(self, dt: float) -> float:
        """log of the factor by which the precision decays in a time dt."""
        return 0.0

    def decay(self, dt: float) -> float:
        """That factor itself."""
        return 1.0


@dataclass(frozen=True, eq=False, repr=False)
class Kalman(Rule):
    """No forgetting: the static extended Kalman filter, whose learning rate is 1/(t+1)."""


@dataclass(frozen=True, eq=False, repr=False)
class Fading(Rule):
    """Exponential forgetting: the precision decays by (1-lam)^dt, the same as process noise lam/(1-lam)·P.

    Parameters
    ----------
    forgetting : float in [0, 1)
        lam, per unit of `dt`.
    half_life : float > 0
        Instead of `forgetting`: the time in which old evidence loses half its weight, lam = 1 - 2^(-1/half_life).
    towards : None
        Plain forgetting: the prior is forgotten too, and the wind-up guard bounds what no row excites.

    Raises
    ------
    ParameterError
        `forgetting` outside [0, 1), `half_life` <= 0, both or neither of them. UnknownNameError for `towards`.
    """

    forgetting: float | None = None
    half_life: float | None = None
    towards: str | None = None

    forgets: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if (self.forgetting is None) == (self.half_life is None):
            got = "neither" if self.forgetting is None else "both"
            raise ParameterError(argument="forgetting", expected="one of forgetting and half_life", got=got)
        if self.forgetting is not None:
            self._set("forgetting", number("forgetting", self.forgetting, "a number in [0, 1)", 0.0, 1.0, ends="[)"))
        if self.half_life is not None:
            self._set("half_life", positive("half_life", self.half_life))
        if self.towards is not None:
            raise UnknownNameError(argument="towards", expected="None", got=repr(self.towards))

    def log_decay(self, dt: float) -> float:
        if self.half_life is not None:
            return -math.log(2.0) / self.half_life * dt
        assert self.forgetting is not None
        return math.log1p(-self.forgetting) * dt

    def decay(self, dt: float) -> float:
        if self.forgetting is not None and dt == 1:
            return 1 - self.forgetting  # to the last bit
        return math.exp(self.log_decay(dt))


RULES: dict[str, type[Rule]] = {cls.__name__: cls for cls in (Kalman, Fading)}

__all__ = ["RULES", "Fading", "Kalman", "Rule"]
