"""The wind-up guard: under forgetting a direction that no row excites must not grow for ever.

Now and then each variance above half the allowed multiple of its prior is taken back to the prior by a zero-innovation
pseudo-observation of that coordinate alone; theta does not move. Between two checks the precision at most halves, so
no variance passes the multiple itself. When a check is due depends on the count of rows and the clock alone.
"""

from __future__ import annotations

import math

from .._settings import Settings
from .._validate import Array

EVERY = 16
LN2 = math.log(2.0)
SMALLEST_DECAY = 1e-12
"""A time step's decay is not below this one while the guard is on."""
LOG_SMALLEST_DECAY = math.log(SMALLEST_DECAY)


def active(settings: Settings) -> bool:
    return settings.rule.forgets and settings.guards.windup is not None


def due(settings: Settings, n_seen: int, log_since: float) -> bool:
    """Whether the time step of this row ends with a check: n_seen rows came before it, log_since counts its own decay."""
    return active(settings) and (n_seen % EVERY == 0 or log_since < -LN2)


def pull(settings: Settings, P: Array, scale: float, scale_0: float) -> tuple[Array, int]:
    """P after the check, coordinates in order, and how many of them were taken back.

    scale·P and scale_0·P_0 are compared, the posterior covariances (natural gradient: gamma_t, gamma_0; else 1).
    """
    assert settings.guards.windup is not None
    if scale_0 == 0:  # a metric that did not move at first: there is no posterior variance to compare with
        return P, 0
    belief, pulls = settings.belief_of_phi, 0
    prior = belief.prior_diagonal(settings.size) * scale_0 / scale
    for i in range(settings.size):
        if belief.variances(P)[i] > settings.guards.windup / 2 * prior[i]:
            P, pulls = belief.bound(P, i, prior[i]), pulls + 1
    return P, pulls
