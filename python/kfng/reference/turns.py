"""Forgetting towards the prior: what is forgotten of the data is given back to the prior, column after column.

The exact J <- d·J + (1-d)·J_prior, theta pulled along, is O(p³) a time step. With J_prior = C C' (columns c_i; diagonal
priors: c_i = e_i·sqrt(J_prior,ii)) each column keeps D_i, the decay since its last turn, and at its turn

    a pseudo-observation of c_i'theta at c_i'theta_0 with precision 1 - D_i,      then D_i <- 1,

is fused. A turn is due whenever ln 2/p of log-decay has accumulated. So J = discounted data + C diag(D) C' at all times,
theta is its solution, and no D_i is below 1/2 after a time step. A learned noise variance is exact too: each pull adds its
e²/(2S) to b.
"""

from __future__ import annotations

import math

import numpy as np

from .._settings import Settings
from .._validate import Array
from . import noise
from .rule import TimeStep
from .state import State

LN2 = math.log(2.0)
SMALLEST_DECAY = 1e-12
"""Below this decay in one time step nothing is left of the data: everything goes back to the prior."""


def take(settings: Settings, new: State, time: TimeStep) -> None:
    """The time step: decay, then as many turns as whole ln 2/p have accumulated, at most one for each column."""
    a_0, b_0 = settings.family.prior_noise(settings.k)
    if time.decay < SMALLEST_DECAY:
        new.theta, new.P = settings.phi, settings.belief_of_phi.prior(settings.size)
        new.noise = noise.fade_towards(new.noise, 0.0, a_0, b_0)
        new.log_D, new.accumulated = np.zeros(settings.size), 0.0
        return
    new.P = settings.belief.fade(new.P, time.decay)
    new.noise = noise.fade_towards(new.noise, time.decay, a_0, b_0)
    new.log_D = new.log_D + time.log_decay
    each = LN2 / settings.size
    due = math.floor((new.accumulated - time.log_decay) / each)
    new.accumulated = max(new.accumulated - time.log_decay - due * each, 0.0)
    p = settings.size
    positions = [(new.position + turn) % p for turn in range(min(due, p))]
    for position, c in zip(positions, settings.belief_of_phi.prior_columns(p, positions), strict=True):
        new.position = position
        pull(settings, new, c)
        new.position = (position + 1) % p


def pull(settings: Settings, new: State, c: Array) -> None:
    """Fuse c'theta = c'theta_0 + noise of variance 1/(1-D) for the column whose turn it is."""
    precision = -math.expm1(new.log_D[new.position])
    away = float(c @ (settings.phi - new.theta))
    new.P, G, dtheta = settings.belief.fuse(new.P, math.sqrt(precision) * c[:, None], c * (precision * away))
    new.theta = new.theta + dtheta
    if settings.family.relative:
        new.noise = noise.pull(new.noise, precision * away**2 / float(G[0, 0]) ** 2)
    new.log_D = new.log_D.copy()
    new.log_D[new.position] = 0.0
