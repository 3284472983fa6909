"""Exponential forgetting, to nothing or to the prior."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..._validate import number, positive
from ...errors import ParameterError, UnknownNameError
from .base import Rule


@dataclass(frozen=True, eq=False, repr=False)
class Fading(Rule):
    """Exponential forgetting: the precision decays by (1-lam)^dt, the same as process noise lam/(1-lam)·P.

    It is the natural gradient with 1/eta_t = 1 + (1-lam)/eta_{t-1} (Ollivier 2018, arXiv 1703.00209).

    Parameters
    ----------
    forgetting : float in [0, 1)
        lam, per unit of `dt`.
    half_life : float > 0
        Instead of `forgetting`: the time in which old evidence loses half its weight, lam = 1 - 2^(-1/half_life).
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
    half_life: float | None = None
    towards: str | None = None

    def __post_init__(self) -> None:
        if (self.forgetting is None) == (self.half_life is None):
            got = "neither" if self.forgetting is None else "both"
            raise ParameterError(argument="forgetting", expected="one of forgetting and half_life", got=got)
        if self.forgetting is not None:
            self._set("forgetting", number("forgetting", self.forgetting, "a number in [0, 1)", 0.0, 1.0, ends="[)"))
        if self.half_life is not None:
            self._set("half_life", positive("half_life", self.half_life))
        if not (self.towards is None or (isinstance(self.towards, str) and self.towards == "prior")):
            raise UnknownNameError(argument="towards", expected="None or 'prior'", got=repr(self.towards)[:80])

    @property
    def forgets(self) -> bool:
        return self.towards is None

    @property
    def towards_prior(self) -> bool:
        return self.towards == "prior"

    def log_decay(self, dt: float) -> float:
        if self.half_life is not None:
            return -math.log(2.0) / self.half_life * dt
        assert self.forgetting is not None
        return math.log1p(-self.forgetting) * dt

    def decay(self, dt: float) -> float:
        if self.forgetting is not None and dt == 1:
            return 1 - self.forgetting  # to the last bit
        return math.exp(self.log_decay(dt))
