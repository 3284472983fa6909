"""What a row teaches: one linearisation of it, several (the iterated filter), or the implicit step of a linear model.

The prior theta_0, P stays; only the point of linearisation theta_i moves. With e the score and L the Fisher factor there,

    e <- e + L L' dz (theta_i - theta_0),    A = sqrt(w)·dz'L,    theta_{i+1} = theta_0 + (P^-1 + A A')^-1 dz'(w·e)

is Gauss-Newton on w·nll(theta) + (theta - theta_0)'P^-1 (theta - theta_0)/2, whose first step is the ordinary update. It
may cycle: the way from theta_i is halved while that loss rises; whether it does over a small step, which the loss itself
cannot resolve, is told by its slopes phi' along the way: phi(s) - phi(0) = s·(phi'(0) + phi'(s))/2 to third order. Feeding the posterior back as the prior would count y
several times. For one output of a linear model, z* = z + w·q·e(z*) with q = dz P dz' is its exact fixed point.
Source: the iterated extended Kalman filter, textbooks; its first step: Ollivier 2018, arXiv 1703.00209.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .. import _border
from .._settings import Settings
from .._validate import Array
from .family import Family
from .family.base import Mask
from .rule import Rates

Outputs = Callable[[Array], tuple[Array, Array]]
"""theta (p,) to z (k,), clamped, and dz (k, p), of one row."""
HALVINGS = 30
SMALL = 1e-4
"""A step of so many posterior standard deviations is small."""


class Row(NamedTuple):
    """What of a row stays the same wherever it is looked at from."""

    settings: Settings
    family: Family
    y: Array
    observed: Mask
    weight: float
    rates: Rates


class Taught(NamedTuple):
    """The belief after the row and the step; r = L^-1 e, G G' = S at the last point of linearisation, for the gauges."""

    P: Array
    G: Array
    dtheta: Array
    r: Array
    A: Array
    g: Array


def once(row: Row, P: Array, z: Array, dz: Array, moved: Array) -> Taught:
    """The row linearised where z (k,) and dz (k, p) are those of theta_0 + something that moved z by `moved` (k,)."""
    seen, family = row.observed, row.family
    e, L = family.score(z, row.y, seen), family.factor(z, seen)
    e = e + L @ (L.T @ moved[seen])
    A = np.sqrt(row.rates.metric_rate * row.weight) * dz[seen].T @ L
    g = dz[seen].T @ (row.rates.learning_rate * row.weight * e)
    P, G, dtheta = row.settings.belief.fuse(P, A, g)
    return Taught(P, G, dtheta, family.whitened(z, e, L), A, g)


def iterated(row: Row, P: Array, theta: Array, z: Array, dz: Array, at: Outputs) -> Taught:
    """`settings.iterations` linearisations, each but the first where the one before arrived; d = theta_i - theta_0 = P v."""
    share, seen = row.rates.metric_rate * row.weight, row.observed
    d, v = np.zeros_like(theta), np.zeros_like(theta)

    def loss(z: Array, d: Array, v: Array) -> float:
        return share * row.family.misfit(z, row.y, seen) + float(d @ v) / 2

    def slope(z: Array, dz: Array, v: Array, way: Array) -> float:
        return float(v @ way - share * row.family.score(z, row.y, seen) @ dz[seen] @ way)

    taught = once(row, P, z, dz, np.zeros_like(z))
    for i in range(int(row.settings.iterations)):
        if i > 0:
            taught = once(row, P, z, dz, dz @ d)
        way, way_v = taught.dtheta - d, taught.g - taught.A @ (taught.A.T @ taught.dtheta) - v
        small = way @ way_v + np.sum((taught.A.T @ way) ** 2) < SMALL**2
        for halving in range(HALVINGS + 1):
            d_new, v_new = d + way / 2**halving, v + way_v / 2**halving
            z_new, dz_new = at(theta + d_new)
            if small:
                rise = slope(z, dz, v, way) + slope(z_new, dz_new, v_new, way)
            else:
                rise = loss(z_new, d_new, v_new) - loss(z, d, v)
            if rise <= 0:
                d, v, z, dz = d_new, v_new, z_new, dz_new
                break
        else:
            break  # nowhere to go
    return taught._replace(dtheta=d)


def implicit(row: Row, P: Array, z: Array, dz: Array) -> Taught:
    """One output, a linear model: linearised at z* itself. The root lies between z and z + w·q·e(z), for e falls in z."""
    q = row.rates.metric_rate * row.weight * float(row.settings.belief.spread(P, dz)[0, 0])

    def reached(t: float) -> float:
        return float(z[0] + q * row.family.score(np.array([t]), row.y, row.observed)[0])

    low, high = sorted((float(z[0]), reached(float(z[0]))))
    if not np.isfinite(high - low):
        raise _border.overflow()
    while low < (middle := low + (high - low) / 2) < high:
        low, high = (middle, high) if middle < reached(middle) else (low, middle)
    root = np.array([middle])
    return once(row, P, root, dz, root - z)
