"""The online natural gradient, with its two rates."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from ..._component import Arrays, Spec, component_from_spec
from ..._validate import Array, number
from ...errors import ParameterError, UnsupportedError, shown
from .base import Rates, Rule, TimeStep
from .schedule import SCHEDULES, Schedule

Rate = float | Schedule | Callable[[int], Any]


@dataclass(frozen=True, eq=False, repr=False)
class NaturalGradient(Rule):
    """J <- (1-gamma_t)·J + gamma_t·w·A A',  theta <- theta + eta_t·J^-1 w·g, with the new J.

    With gamma = eta it is a Kalman filter with forgetting (`learning_rate_to_forgetting`) and eta_t·J_t^-1 is the
    posterior covariance; before the first row gamma_0·J_0^-1, where gamma_0 is the schedule at t = 0 (a callable:
    gamma_1/(1-gamma_1), nothing forgotten at the first row). With gamma != eta the metric is the same and the gain
    eta/gamma times as large, which is no other noise variance: there is no posterior covariance, and whatever needs
    one raises. Only rows that learn count and change anything; `dt` must be 0 or 1.
    Source: Ollivier 2018, arXiv 1703.00209.

    Parameters
    ----------
    learning_rate : float > 0, InverseTime, Power or callable
        eta_t; a callable is given t = 1, 2, ..., and a filter that holds one cannot be saved.
    metric_rate : the same in [0, 1), or None
        gamma_t; None means gamma_t = eta_t. The belief's prior_variance is J_0^-1.

    Raises
    ------
    ParameterError
        A rate outside its range: here where it can be seen, else at the row that meets it, the state as before.
    """

    learning_rate: Any
    metric_rate: Any = None

    needs_known_noise: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self._set("learning_rate", _rate("learning_rate", self.learning_rate))
        if self.metric_rate is not None:
            self._set("metric_rate", _rate("metric_rate", self.metric_rate))
        if isinstance(self._gamma, (float, Schedule)):
            self._metric_rate(1)
            self.scale(0)
        if isinstance(self.learning_rate, (float, Schedule)):
            self._learning_rate(1)

    @property
    def forgets(self) -> bool:
        return True

    @property
    def has_posterior(self) -> bool:
        """Whether gamma is eta."""
        return self.metric_rate is None or bool(self.metric_rate == self.learning_rate)

    @property
    def _gamma(self) -> Rate:
        rate: Rate = self.learning_rate if self.metric_rate is None else self.metric_rate
        return rate

    def _learning_rate(self, t: int) -> float:
        return _checked("learning_rate", self.learning_rate, t, "a finite number > 0", math.inf, "()")

    def _metric_rate(self, t: int) -> float:
        if self.metric_rate is None:
            return _checked(
                "learning_rate", self.learning_rate, t, "a number in (0, 1), as metric_rate is not given", 1.0, "()"
            )
        return _checked("metric_rate", self.metric_rate, t, "a number in [0, 1)", 1.0, "[)")

    def accepts(self, dt: Array) -> NDArray[np.bool_]:
        result: NDArray[np.bool_] = (dt == 0) | (dt == 1)
        return result

    def times_text(self) -> str:
        return "0 or 1 (a natural gradient counts rows, not time)"

    def time_step(self, dt: float, t: int, learns: bool) -> TimeStep | None:
        """J <- (1-gamma_t)·J before a row that learns; the posterior precision changes by (1-gamma_t)·gamma_{t-1}/gamma_t."""
        if not learns:
            return None
        gamma, before = self._metric_rate(t), self.scale(t - 1)
        if gamma == 0:  # the metric stands still
            return TimeStep(1.0, 0.0)
        kept = max((1 - gamma) * before / gamma, sys.float_info.min)
        return TimeStep(1 - gamma, min(0.0, math.log(kept)))

    def rates(self, t: int) -> Rates:
        return Rates(self._metric_rate(t), self._learning_rate(t))

    def scale(self, t: int) -> float:
        if t > 0:
            return self._metric_rate(t)
        if isinstance(self._gamma, float):
            return self._gamma
        if isinstance(self._gamma, Schedule):
            gamma_0 = self._gamma(0)
            if not math.isfinite(gamma_0):
                raise ParameterError(argument="offset", expected="an offset > 0: gamma_0 is scale/offset", got=0.0)
            return gamma_0
        return self.predictive_scale(1)

    def predictive_scale(self, t: int) -> float:
        gamma = self._metric_rate(t)
        return gamma / (1 - gamma)

    def core_spec(self) -> Spec:
        """Functions of the user's are called for the core, by `offered`."""

        def form(rate: Any) -> Any:
            if isinstance(rate, Schedule):
                return rate.spec()
            return {"kind": "Called"} if callable(rate) else rate

        metric_rate = None if self.has_posterior else form(self.metric_rate)
        return {"kind": type(self).__name__, "learning_rate": form(self.learning_rate), "metric_rate": metric_rate}

    def core_arrays(self) -> Arrays:
        return {}

    def offered(self, t: int) -> tuple[float, float, float]:
        """eta_t, gamma_t and the scale after t - 1 rows."""
        gamma = self._metric_rate(t)
        return self._learning_rate(t), gamma, self.scale(t - 1)

    def _split(self) -> tuple[Spec, Arrays]:
        for name, rate in self._fields().items():
            if callable(rate) and not isinstance(rate, Schedule):
                expected = "a number, InverseTime or Power (a callable cannot be written to a file)"
                raise UnsupportedError(argument=name, expected=expected, got=shown(rate))
        return super()._split()

    @classmethod
    def _from_spec(cls, spec: Mapping[str, Any], arrays: Mapping[str, Any]) -> Self:
        schedules = {name: value for name, value in spec.items() if isinstance(value, dict)}
        made = {name: component_from_spec(name, SCHEDULES, value, {}) for name, value in schedules.items()}
        return super()._from_spec({**spec, **made}, arrays)


def _rate(argument: str, value: Any) -> Rate:
    """A number, schedule or callable in canonical form."""
    if callable(value) and not isinstance(value, type):
        return value
    expected = "a number, InverseTime, Power or a callable of t"
    return number(argument, value, expected, -math.inf, math.inf, ends="()")


def _checked(argument: str, rate: Rate, t: int, expected: str, high: float, ends: str) -> float:
    """The rate of row t, between 0 and `high`; the error names the setting, and the row where it is not constant."""
    if isinstance(rate, float):
        return number(argument, rate, expected, 0.0, high, ends=ends)
    return number(argument, rate(t), f"{expected} at t = {t}", 0.0, high, ends=ends)
