"""Schedules of a learning rate: one number for each row that learns, t = 1, 2, ...; t = 0 is the filter as it starts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from ..._component import Component
from ..._validate import number, positive

NOT_NEGATIVE = "a finite number >= 0"


class Schedule(Component):
    """A decreasing function of t, called as one: `schedule(t)`."""

    axis: ClassVar[str] = "schedule"

    def __call__(self, t: int) -> float:
        raise NotImplementedError


@dataclass(frozen=True, eq=False, repr=False)
class InverseTime(Schedule):
    """scale/(t + offset). InverseTime(1, 1) is the static Kalman filter's learning rate 1/(t+1).

    scale = offset = c is a Kalman filter with P_0 = J_0^-1 if and only if c >= 1, see `learning_rate_to_forgetting`.

    Parameters
    ----------
    scale : float > 0
    offset : float >= 0

    Raises
    ------
    ParameterError
        `scale` <= 0 or `offset` < 0.
    """

    scale: float
    offset: float

    def __post_init__(self) -> None:
        self._set("scale", positive("scale", self.scale))
        self._set("offset", number("offset", self.offset, NOT_NEGATIVE, 0.0, math.inf, ends="[)"))

    def __call__(self, t: int) -> float:
        return self.scale / (t + self.offset) if t + self.offset > 0 else math.inf


@dataclass(frozen=True, eq=False, repr=False)
class Power(Schedule):
    """scale·(t + 1)^-exponent.

    Parameters
    ----------
    scale : float > 0
    exponent : float >= 0

    Raises
    ------
    ParameterError
        `scale` <= 0 or `exponent` < 0.
    """

    scale: float
    exponent: float

    def __post_init__(self) -> None:
        self._set("scale", positive("scale", self.scale))
        self._set("exponent", number("exponent", self.exponent, NOT_NEGATIVE, 0.0, math.inf, ends="[)"))

    def __call__(self, t: int) -> float:
        return self.scale * (t + 1.0) ** -self.exponent


SCHEDULES: dict[str, type[Schedule]] = {cls.__name__: cls for cls in (InverseTime, Power)}
