"""No forgetting."""

from __future__ import annotations

from dataclasses import dataclass

from .base import Rule


@dataclass(frozen=True, eq=False, repr=False)
class Kalman(Rule):
    """No forgetting: the static extended Kalman filter, whose learning rate is 1/(t+1)."""
