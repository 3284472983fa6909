"""Gradient rules: theta moves along the score, no metric, no posterior.

    g = w·dz'e,      theta <- theta + step(g)

Rows that learn are counted t = 1, 2, ...; time changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from ..._component import Arrays, Spec, component_from_spec
from ...errors import UnsupportedError, shown
from .base import Rates, Rule
from .natural_gradient import Rate, _checked, _rate
from .schedule import SCHEDULES, Schedule


class GradientRule(Rule):
    """Has a `learning_rate`: a number, a schedule or a callable of t."""

    learning_rate: Any
    needs_known_noise: ClassVar[bool] = True
    gradient: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self._set("learning_rate", _rate("learning_rate", self.learning_rate))
        if isinstance(self.learning_rate, (float, Schedule)):
            self._learning_rate(1)

    @property
    def has_posterior(self) -> bool:
        return False

    def _learning_rate(self, t: int) -> float:
        return _checked("learning_rate", self.learning_rate, t, "a finite number > 0", math.inf, "()")

    def rates(self, t: int) -> Rates:
        """The score itself; `move` makes the step of it."""
        return Rates(0.0, 1.0)

    def core_spec(self) -> Spec:
        """Functions of the user's are called for the core, by `offered`."""
        rate: Rate = self.learning_rate
        form = rate.spec() if isinstance(rate, Schedule) else {"kind": "Called"} if callable(rate) else rate
        rest = {name: value for name, value in self._fields().items() if name != "learning_rate"}
        return {"kind": type(self).__name__, "learning_rate": form} | rest

    def core_arrays(self) -> Arrays:
        return {}

    def offered(self, t: int) -> tuple[float, float, float]:
        """The learning rate of row t; there is no metric."""
        return self._learning_rate(t), 0.0, 1.0

    def _split(self) -> tuple[Spec, Arrays]:
        rate = self.learning_rate
        if callable(rate) and not isinstance(rate, Schedule):
            expected = "a number, InverseTime or Power (a callable cannot be written to a file)"
            raise UnsupportedError(argument="learning_rate", expected=expected, got=shown(rate))
        return super()._split()

    @classmethod
    def _from_spec(cls, spec: Mapping[str, Any], arrays: Mapping[str, Any]) -> Self:
        rate = spec.get("learning_rate")
        if isinstance(rate, dict):
            spec = {**spec, "learning_rate": component_from_spec("learning_rate", SCHEDULES, rate, {})}
        return super()._from_spec(spec, arrays)
