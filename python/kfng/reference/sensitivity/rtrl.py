"""Real-time recurrent learning: the exact ds."""

from __future__ import annotations

from dataclasses import dataclass

from ..._validate import flag
from .base import Sensitivity


@dataclass(frozen=True, eq=False, repr=False)
class RTRL(Sensitivity):
    """ds <- f_s ds + f_theta, exact: with a Fisher rule, the extended Kalman filter of state and parameters together.

    Parameters
    ----------
    state_correction : bool, default True
        Whether the state moves with the parameters, s <- s + ds·dtheta, as the theorem has it. With targets that are
        several rows old and a noise variance below the size of their residuals, the network can come to lean on that
        correction and forecast worse; False leaves the theorem.

    Raises
    ------
    ParameterError
    """

    state_correction: bool = True

    def __post_init__(self) -> None:
        self._set("state_correction", flag("state_correction", self.state_correction))
