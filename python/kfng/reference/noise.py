"""Learned noise variances: sigma² ~ InvGamma(a, b), beside theta.

    time:  a <- max(decay·a, a_0), b scaled with it        row:  a += w·k/2,  b += w·e'S^-1 e/2
           (e = y - z raw, S = I + w·C relative to sigma²: the conjugate normal-inverse-gamma)

and the running variance of y, a weighted sum with the same decay, that floors the reported variance relative to the
data's own scale. m = 1 where one variance is learned for all k outputs, k where each output has its own (the family
says what e'S^-1 e is then), else 0 and everything here is empty.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .._validate import Array
from .family.base import Mask


@dataclass(frozen=True, eq=False)
class Noise:
    """a, b (m,): inverse-gamma state; W, mean, M2 (k,), or (0,) where nothing is learned: running moments of y."""

    a: Array
    b: Array
    W: Array
    mean: Array
    M2: Array

    @classmethod
    def start(cls, a_0: Array, b_0: Array, k: int) -> Noise:
        empty = np.zeros(k if len(a_0) else 0)
        return cls(a_0, b_0, empty, empty, empty)

    @property
    def learned(self) -> bool:
        return len(self.a) > 0


def fade(noise: Noise, decay: float, a_0: Array) -> Noise:
    """Forget past rows; a never decays below the prior's a_0."""
    a = np.maximum(decay * noise.a, a_0)
    return replace(noise, a=a, b=noise.b * (a / noise.a), W=decay * noise.W, M2=decay * noise.M2)


def fade_towards(noise: Noise, decay: float, a_0: Array, b_0: Array) -> Noise:
    """Forget past rows in favour of the prior: (a, b) <- decay·(a, b) + (1 - decay)·(a_0, b_0)."""
    a, b = decay * noise.a + (1 - decay) * a_0, decay * noise.b + (1 - decay) * b_0
    return replace(noise, a=a, b=b, W=decay * noise.W, M2=decay * noise.M2)


def pull(noise: Noise, distance: float) -> Noise:
    """After a pull of theta to the prior: its e²/S counts, relative to sigma², but it is no observation of sigma²."""
    return replace(noise, b=noise.b + distance / 2)


def reported(noise: Noise, r_floor: float | None) -> tuple[Array, bool]:
    """b (m,) as predictions use it, b/a at least r_floor times the running variance of y, and whether the floor acted."""
    if r_floor is None or not noise.learned:
        return noise.b, False
    variance = np.where(noise.W > 0, noise.M2 / np.where(noise.W > 0, noise.W, 1.0), 0.0)
    scale = variance if len(noise.a) == len(variance) else np.mean(variance)
    b = np.maximum(noise.b, noise.a * r_floor * scale)
    return b, bool((b > noise.b).any())


def learn(noise: Noise, innovations: Array, y: Array, seen: Mask, weight: float) -> Noise:
    """After a row: `innovations` (m,) is e'S^-1 e of the observed outputs of each scale; y (k,), seen (k,)."""
    if not noise.learned:
        return noise
    W = noise.W + weight * seen
    delta = np.where(seen, y - noise.mean, 0.0)
    mean = noise.mean + np.where(seen, weight / np.where(seen, W, 1.0), 0.0) * delta
    gain = weight * delta * np.where(seen, y - mean, 0.0)
    M2 = noise.M2 + np.where(gain < 0, 0.0, gain)  # of a row with all the weight rounding gives either sign
    entries = seen if len(noise.a) == len(seen) else seen.sum()
    a = noise.a + weight * entries / 2
    return replace(noise, a=a, b=noise.b + weight / 2 * innovations, W=W, mean=mean, M2=M2)
