"""Exponential forgetting, to nothing or to the prior."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..._component import Spec
from ..._validate import number, positive
from ...errors import ParameterError, UnknownNameError, shown
from .base import Rule

SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


@dataclass(frozen=True, eq=False, repr=False)
class Fading(Rule):
    """Exponential forgetting: the precision decays by (1-lam)^dt, the same as process noise lam/(1-lam)·P.

    It is the natural gradient with 1/eta_t = 1 + (1-lam)/eta_{t-1} (Ollivier 2018, arXiv 1703.00209).

    Parameters
    ----------
    forgetting : float in [0, 1)
        lam, per unit of `dt`.
    half_life : float > 0, or a number with a unit
        Instead of `forgetting`: the time in which old evidence loses half its weight, lam = 1 - 2^(-1/half_life).
        "90s", "30min", "1.5h", "7d", "2w": time is then in seconds, and every row must say when it was: `dt=` of a
        filter, `time=` of a `Bank`.
    towards : None or 'prior'
        None is plain forgetting: the prior is forgotten too, and the wind-up guard bounds what no row excites.
        'prior' gives what is forgotten back to the prior: J <- (1-lam)·J + lam·J_prior, theta pulled along, which is
        weight decay in the metric. Coordinates take turns (p·lam/ln 2 extra columns a row), so that
        J = discounted data + diag(D)·J_prior with D between 1/2 and 1: no variance passes twice its prior.

    Raises
    ------
    ParameterError
        `forgetting` outside [0, 1), `half_life` <= 0, both or neither of them. UnknownNameError for `towards`.
    """

    forgetting: float | None = None
    half_life: float | str | None = None
    towards: str | None = None

    def __post_init__(self) -> None:
        if (self.forgetting is None) == (self.half_life is None):
            got = "neither" if self.forgetting is None else "both"
            raise ParameterError(argument="forgetting", expected="one of forgetting and half_life", got=got)
        if self.forgetting is not None:
            self._set("forgetting", number("forgetting", self.forgetting, "a number in [0, 1)", 0.0, 1.0, ends="[)"))
        if self.half_life is not None:
            self._set("half_life", _half_life(self.half_life))
        if not (self.towards is None or (isinstance(self.towards, str) and self.towards == "prior")):
            raise UnknownNameError(argument="towards", expected="None or 'prior'", got=shown(self.towards))

    @property
    def seconds(self) -> bool:
        return isinstance(self.half_life, str)

    @property
    def forgets(self) -> bool:
        return self.towards is None

    @property
    def towards_prior(self) -> bool:
        return self.towards == "prior"

    def log_decay(self, dt: float) -> float:
        if self.half_life is not None:
            return -math.log(2.0) / _number(self.half_life) * dt
        assert self.forgetting is not None
        return math.log1p(-self.forgetting) * dt

    def decay(self, dt: float) -> float:
        if self.forgetting is not None and dt == 1:
            return 1 - self.forgetting  # to the last bit
        return math.exp(self.log_decay(dt))

    def core_spec(self) -> Spec:
        """The core knows no units."""
        return self.spec() | {"half_life": None if self.half_life is None else _number(self.half_life)}


def _half_life(value: float | str) -> float | str:
    """A number, or a number with its unit, in one way of writing it."""
    if not isinstance(value, str):
        return positive("half_life", value)
    text = value.strip()
    unit = next((unit for unit in sorted(SECONDS, key=len, reverse=True) if text.endswith(unit)), "")
    digits = text.removesuffix(unit).strip()
    expected = f"a number > 0, alone or with one of the units {', '.join(SECONDS)}"
    try:
        count = float(digits) if unit and "_" not in digits else math.nan
    except ValueError:
        count = math.nan
    if not (count > 0 and math.isfinite(count * SECONDS[unit])):
        raise ParameterError(argument="half_life", expected=expected, got=shown(value))
    return f"{count:g}{unit}" if float(f"{count:g}") == count else f"{count!r}{unit}"


def _number(half_life: float | str) -> float:
    """In the unit of dt: of a half-life with a unit that is a second."""
    if not isinstance(half_life, str):
        return half_life
    unit = half_life.lstrip("0123456789.+-e")
    return float(half_life.removesuffix(unit)) * SECONDS[unit]
