"""Integrals over a normal output z: predictive densities. Everything is in v = (t - z)/sd, so that sd = 0 needs no care."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ... import _special
from ..._validate import Array

Function = Callable[[Array], Array]
NODES = 48
NEWTON = 100
"""Most iterations of a root; half of them halve the bracket where Newton's steps do not shrink."""
DEPTH = 32.0
"""An integrand below e^-32 of its largest value is dropped."""
COARSE, ROUNDS, FINE = 33, 5, 256
WIDE, ROUNDS_FROM_FAR = 1e4, 270
"""A round leaves a sixteenth at least: five do below this width, and from anything that float64 holds so many."""
LOG_2PI = float(np.log(2 * np.pi))


def rising_root(
    f: Callable[[Array], tuple[Array, Array]], low: Array, high: Array, start: Array, slack: Array | float = 0.0
) -> Array:
    """The root of an increasing function between low and high, to 1e-13 of itself or to `slack`; f gives value and slope.

    Newton from `start`; where a step leaves the bracket or is not half the step before, the bracket is halved, in asinh so
    that one of 1e130 is soon small. Source: Press et al., Numerical Recipes, rtsafe.
    """
    x, before, moving = start, high - low, np.ones(start.shape, dtype=bool)
    for _ in range(NEWTON):
        value, slope = f(x)
        low, high = np.where(value <= 0, x, low), np.where(value >= 0, x, high)
        newton = x - value / slope
        trusted = (newton >= low) & (newton <= high) & (np.abs(newton - x) <= before / 2)
        middle = np.clip(np.sinh((np.arcsinh(low) + np.arcsinh(high)) / 2), low, high)
        moved = np.where(trusted, newton, middle)
        before, x = np.abs(moved - x), np.where(moving, moved, x)  # a root that is found stays, whatever others need
        moving &= before > np.maximum(1e-13 * np.abs(x), slack)  # NaN has nothing to wait for
        if not moving.any():
            break
    return x


def log_sum_exp(x: Array) -> Array:
    """log of the sum of exp(x) over the last axis."""
    top = np.max(x, axis=-1, keepdims=True)
    top = np.where(np.isfinite(top), top, 0.0)
    return (top + np.log(np.sum(np.exp(x - top), axis=-1, keepdims=True)))[..., 0]


@np.errstate(all="ignore")
def laplace_hermite(nll: Function, score: Function, curvature: Function, z: Array, q: Array) -> Array:
    """-log ∫ N(t; z, q) exp(-nll(t)) dt (n,) for a convex nll with score = -nll' and curvature = nll''; z, q (n, 1).

    With t = z + sqrt(q)·v the integrand has its mode where v = sqrt(q)·score, and there the width 1/sqrt(1 + q·curvature);
    48 Gauss-Hermite nodes are centred and scaled by these. Source: Liu & Pierce 1994, Biometrika 81.
    """
    sd = np.sqrt(q)
    edge = np.clip(sd * score(z), -1e300, 1e300)

    def balance(v: Array) -> tuple[Array, Array]:
        t = z + sd * v
        return v - sd * score(t), 1 + q * curvature(t)

    mode = rising_root(balance, np.minimum(edge, 0.0), np.maximum(edge, 0.0), np.zeros_like(z))
    width = 1 / np.sqrt(balance(mode)[1])
    nodes, weights = _special.gauss_hermite(NODES)
    v = mode + width * nodes
    terms = np.log(weights) + (nodes**2 - v**2) / 2 - nll(z + sd * v)
    return -np.log(width[:, 0]) - log_sum_exp(terms)


def narrowed(height: Function, low: Array, high: Array) -> tuple[Array, Array]:
    """Where height, of (n, j), is within DEPTH of its largest value, out of low to high (n,): a grid of 33 nodes, narrowed five times.

    More often from far.
    """
    far = high - low >= WIDE
    for i in range(ROUNDS_FROM_FAR if far.any() else ROUNDS):
        if i == ROUNDS:
            found = low, high
        step = (high - low) / (COARSE - 1)
        heights = height(low[:, None] + step[:, None] * np.arange(COARSE))
        kept = heights >= np.max(heights, axis=1, keepdims=True) - DEPTH  # equal where DEPTH is lost to rounding
        first, last = np.argmax(kept, axis=1), COARSE - 1 - np.argmax(kept[:, ::-1], axis=1)
        low, high = low + step * np.maximum(first - 1, 0), low + step * np.minimum(last + 1, COARSE - 1)
    if far.any():
        return np.where(far, low, found[0]), np.where(far, high, found[1])
    return low, high


@np.errstate(all="ignore")
def log_normal_mean(log_f: Function, reach: Array) -> Array:
    """log ∫ N(v; 0, 1) exp(log_f(v)) dv (n,) for an f of any shape, whose product with N(v) is negligible beyond ±reach (n,).

    Where the integrand is within e^-32 of its largest value it is summed by the trapezoidal rule with 256 nodes, which
    converges geometrically for what is analytic and falls like a normal.
    """
    low, high = narrowed(lambda v: log_f(v) - v**2 / 2, -reach, reach)
    step = (high - low) / (FINE - 1)
    v = low[:, None] + step[:, None] * np.arange(FINE)
    return np.log(step) - LOG_2PI / 2 + log_sum_exp(log_f(v) - v**2 / 2)
