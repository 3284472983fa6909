"""Numbers that are missing from a row (NaN or None), and the running means that stand for them."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Any


def gaps(x: Mapping[Hashable, Any]) -> tuple[Hashable, ...]:
    """The features that are there without a value."""
    return tuple(name for name, value in x.items() if is_gap(value))


def is_gap(value: Any) -> bool:
    """None, NaN or pandas' NA, none of which is equal to itself for sure."""
    try:
        return value is None or bool(value != value)
    except (TypeError, ValueError):
        return type(value).__name__ == "NAType"


class Means:
    """Weighted means of features over the rows since each of them came first, a row without it counting as 0."""

    def __init__(self) -> None:
        self._weight = 0.0
        """Of all rows."""
        self._of: dict[Hashable, tuple[float, float]] = {}
        """Of a feature: the weight of the rows that do not count for it, and its sum."""

    def add(self, x: Mapping[Hashable, Any], w: float) -> None:
        """After a row of this weight."""
        if w == 0:
            return
        for name, value in x.items():
            without, total = self._of.get(name, (self._weight, 0.0))
            self._of[name] = (without + w, total) if is_gap(value) else (without, total + w * float(value))
        self._weight += w

    def fill(self, x: Mapping[Hashable, Any], gone: Iterable[Hashable]) -> Mapping[Hashable, Any]:
        """x with means for what is missing; 0 where there is none yet."""
        return {**x, **{name: self._mean(name) for name in gone}} if gone else x

    def _mean(self, name: Hashable) -> float:
        without, total = self._of.get(name, (self._weight, 0.0))
        return total / (self._weight - without) if self._weight > without else 0.0
