"""Priors of a bank: what keys share before their first row, and how it is learned from those that have had some."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from ._filter_base import COUNTERS
from ._fit import fit_dtype
from ._settings import Settings
from ._validate import finite_array
from .errors import ParameterError

if TYPE_CHECKING:
    from ._bank_parts import BankParts

Float = NDArray[np.float64]
SMALLEST_SHARE = 1e-3
"""Of a key's precision that has to come from its rows, for it to say something of the others."""
FLOOR = 0.1
"""Of the spread of the keys with nothing taken off: the least that is left."""


class Prior(NamedTuple):
    """What a new key of a bank starts from."""

    theta: NDArray[Any]
    """(p,), in the bank's dtype"""
    variance: Float
    """(p,); relative to the noise variance where one is learned for all outputs"""
    noise_scale: Float
    """(m,), the `prior_scale` of learned noise variances"""


def shared(bank: BankParts) -> Settings:
    """The settings with the prior that the keys of a bank have in common; see `BankParts.share_prior`."""
    slots = bank._live()
    slots = slots[bank._sections(slots, ("counters",))["counters"][:, COUNTERS.index("n_updates")] > 0]
    if len(slots) < 2:
        raise ParameterError(argument="keys", expected="at least two keys that have learned something", got=len(slots))
    settings, p = bank.settings, bank.settings.p
    a, b = bank._noise(slots)
    noise = settings.family.posterior_scale(a, b)
    m, s2 = bank._theta(slots).astype(np.float64), bank._variances(slots) * bank._scales(slots)[:, None]
    start = settings.rule.scale(0)
    theta_0 = np.array([prior.theta for prior in bank._priors])
    v = np.array([start * prior.belief.prior_diagonal(p) for prior in bank._priors])
    which = bank._prior_of(slots)
    mean, variance = moments(m, s2 / noise[:, None], theta_0[which], v[which], noise)
    newest = bank._priors[-1]
    known = np.isfinite(mean) & np.isfinite(variance) & (variance > 0)
    mean = np.where(known, mean, newest.theta)
    variance = np.where(known, variance / start, newest.belief.prior_diagonal(p))
    return with_prior(settings, mean, variance, _pooled_noise(bank, slots, which))


def moments(m: Float, s2: Float, theta_0: Float, v: Float, noise: Float) -> tuple[Float, Float]:
    """Mean and variance (p,) of theta over keys, NaN where fewer than two know of it.

    m, s2, theta_0, v (K, p): posterior mean and variance, prior mean and variance of each key; variances over noise (K,).
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        w = np.clip(1 - s2 / v, 0.0, 1.0)
        w = np.where(w >= SMALLEST_SHARE, w, 0.0)
        e = np.where(w > 0, theta_0 + (m - theta_0) / w, 0.0)
        sampling = np.where(w > 0, v * (1 - w) / w, 0.0)
        u = w / noise[:, None]
        total = u.sum(axis=0)
        mean = (u * e).sum(axis=0) / total
        scatter = (u * (e - mean) ** 2).sum(axis=0)
        alone = 1 - u / total
        degrees = (w * alone).sum(axis=0)
        spread = (scatter - (w * sampling * alone).sum(axis=0)) / degrees
        spread = np.maximum(spread, FLOOR * scatter / degrees)
        of_mean = (u**2 * noise[:, None] * (spread + sampling)).sum(axis=0) / total**2
        few = (w > 0).sum(axis=0) < 2
    return np.where(few, np.nan, mean), np.where(few, np.nan, spread + of_mean / np.mean(noise))


def _pooled_noise(bank: BankParts, slots: NDArray[np.int64], which: NDArray[np.int64]) -> Float:
    """The noise deviations (m,) that the rows of these keys show, with what is left of their priors taken off."""
    settings = bank.settings
    state = bank._sections(slots, ("noise", "clock"))
    elapsed = [0.0] * len(slots) if settings.rule.towards_prior else state["clock"][:, 0].tolist()
    left = np.exp([settings.rule.log_decay(time) for time in elapsed])[:, None]
    start = np.array([prior.family.prior_noise(settings.k) for prior in bank._priors])[which]
    a, b = (np.sum(state["noise"][:, i] - left * start[:, i], axis=0) for i in (0, 1))
    newest = noise_scale(bank._priors[-1])
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where((a > 0) & (b > 0), np.sqrt(b / a), newest)


def noise_scale(settings: Settings) -> Float:
    """Where learned noise deviations start, (m,)."""
    m, family = settings.family.noise_scales(settings.k), settings.family
    return np.array(np.broadcast_to(getattr(family, "prior_scale", 1.0), (m,)), dtype=np.float64) if m else np.zeros(0)


def with_prior(settings: Settings, theta: Any, variance: Any, scale: Any) -> Settings:
    """The settings with another theta_0 (p,), other prior variances (p,) and noise deviations (m,), checked."""
    m = settings.family.noise_scales(settings.k)
    scale = finite_array("prior_scale", scale, (m,))
    family: Any = settings.family
    if m:
        family = replace(family, prior_scale=float(scale[0]) if family.relative else scale)
    theta, variance = (
        finite_array("theta", theta, (settings.p,)),
        finite_array("prior_variance", variance, (settings.p,)),
    )
    belief = replace(cast(Any, settings.belief), prior_variance=variance)
    fit_dtype(theta, belief, settings.dtype)
    return replace(settings, family=family, belief=belief, theta=theta, theta_given=True)


def same_prior(one: Settings, other: Settings) -> bool:
    return one.theta.tobytes() == other.theta.tobytes() and (one.belief, one.family) == (other.belief, other.family)
