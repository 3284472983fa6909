"""Features standardised as they come: running mean and deviation, and coordinates that follow them.

The filter's coordinates are z = (x - center)/scale. They move behind a row after which the running mean of a feature is more
than a quarter of its deviation off, or the deviation by half; `Filter.change_units` then takes the filter along, exactly,
so that when they move makes no difference to what is learned. A stream that stays as it began moves them hardly ever.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

import numpy as np

from ._validate import Array

RUNNING = "running"
FAR, WIDE = 0.25, 1.5
ROUNDING = 1e-10
"""A deviation below this part of the mean is none."""


class Move(NamedTuple):
    """To z' = (z - center)/scale, (d,) each."""

    center: Array
    scale: Array


@dataclass(frozen=True, eq=False)
class Scaler:
    """Sums over all rows so far of w, w z and w z², row by row: how rows are cut makes no difference."""

    center: Array
    """(d,)"""
    scale: Array
    """(d,)"""
    weight: float
    sums: Array
    """(2, d)"""
    shifts: bool = True
    """Without an intercept nothing takes up a shift, and the deviation is that from 0."""

    @classmethod
    def fresh(cls, d: int, shifts: bool = True) -> Self:
        return cls(np.zeros(d), np.ones(d), 0.0, np.zeros((2, d)), shifts)

    @classmethod
    def start(cls, U: Array, w: Array, shifts: bool = True) -> Self:
        """Standardised by these rows (n, d)."""
        scaler = cls.fresh(U.shape[1], shifts)
        good = w > 0
        if not good.any():
            return scaler
        U, w = U[good], w[good]
        if shifts:
            scaler = replace(scaler, center=np.average(U, axis=0, weights=w))
        scaler = scaler._added(scaler.seen(U), w)
        return scaler._moved(scaler._deviation())[0]

    def seen(self, U: Array) -> Array:
        """Rows (n, d) in the filter's coordinates."""
        return (U - self.center) / self.scale

    def after(self, Z: Array, w: Array) -> tuple[int, Self, Move | None]:
        """How many of the rows Z (n, d), as seen, these coordinates are for; the scaler behind these, and how it moved there."""
        n = len(w)
        size = 1 + 2**16 // (1 + Z.shape[1])
        scaler = self
        for start in range(0, n, size):
            part = slice(start, min(start + size, n))
            weight, sums = scaler._running(Z[part], w[part])
            off = scaler._off(weight, sums)
            if off.any():
                i = int(np.argmax(off))
                scaler = replace(scaler, weight=float(weight[i]), sums=sums[:, i].copy())
                return start + i + 1, *scaler._moved(scaler._deviation())
            scaler = replace(scaler, weight=float(weight[-1]), sums=sums[:, -1].copy())
        return n, scaler, None

    def with_features(self, n: int) -> Self:
        """n features more, which were 0 in all rows so far."""
        return replace(
            self,
            center=np.append(self.center, np.zeros(n)),
            scale=np.append(self.scale, np.ones(n)),
            sums=np.column_stack([self.sums, np.zeros((2, n))]),
        )

    def _added(self, Z: Array, w: Array) -> Self:
        weight, sums = self._running(Z, w)
        return replace(self, weight=float(weight[-1]), sums=sums[:, -1].copy())

    def _running(self, Z: Array, w: Array) -> tuple[Array, Array]:
        """The sums after each of the rows: (n,) and (2, n, d). Rows of weight 0 may hold anything."""
        Z = np.where(w[:, None] > 0, Z, 0.0)
        with np.errstate(over="ignore", invalid="ignore"):
            terms = w[:, None] * np.stack([Z, Z**2])
            weight = np.cumsum(np.concatenate([[self.weight], w]))[1:]
            sums = np.cumsum(np.concatenate([self.sums[:, None], terms], axis=1), axis=1)[:, 1:]
        return weight, sums

    def _moments(self, weight: Any, sums: Array) -> tuple[Array, Array, Any]:
        """Mean and deviation of each feature in these coordinates, and whether the deviation is more than rounding."""
        mean = sums[0] / weight if self.shifts else np.zeros_like(sums[0])
        deviation = np.sqrt(sums[1] / weight - mean**2)
        return mean, deviation, deviation * self.scale > ROUNDING * np.abs(self.center + mean * self.scale)

    def _off(self, weight: Array, sums: Array) -> Any:
        """(n,): whether the coordinates are far from mean and deviation."""
        with np.errstate(all="ignore"):
            mean, deviation, known = self._moments(weight[:, None], sums)
            deviation = np.where(known, deviation, 1.0)
            off = (np.abs(mean) > FAR * deviation) | (deviation > WIDE) | (deviation * WIDE < 1)
            return (off & np.isfinite(mean) & np.isfinite(deviation)).any(axis=1)

    def _deviation(self) -> Move:
        """Of all rows so far, in these coordinates: 0 and 1 where it cannot be told."""
        with np.errstate(all="ignore"):
            mean, deviation, known = self._moments(self.weight, self.sums)
        fine = np.isfinite(mean) & (np.isfinite(deviation) | ~known)
        return Move(np.where(fine, mean, 0.0), np.where(fine & known, deviation, 1.0))

    def _moved(self, move: Move) -> tuple[Self, Move]:
        """The same rows in other coordinates."""
        first, second = self.sums
        sums = np.stack(
            [first - self.weight * move.center, second - move.center * (2 * first - self.weight * move.center)]
        )
        sums /= np.stack([move.scale, move.scale**2])
        sums[1] = np.maximum(sums[1], 0.0)
        there = replace(self, center=self.center + self.scale * move.center, scale=self.scale * move.scale, sums=sums)
        return there, move
