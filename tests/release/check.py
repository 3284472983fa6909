"""What a check of the reliability promises is: a function of a size that gives figures, each with the bound it must keep."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

SIZES = ("small", "full")
"""`make test` runs every check small, `make release-check` full."""


@dataclasses.dataclass(frozen=True)
class Figure:
    """One measured number. `bound` is the largest allowed; None says how much was run."""

    what: str
    value: float
    bound: float | None = None

    @property
    def holds(self) -> bool:
        return self.bound is None or self.value <= self.bound  # False for NaN


@dataclasses.dataclass(frozen=True)
class Check:
    """`run(**sizes)` returns its figures."""

    name: str
    promise: str
    run: Callable[..., list[Figure]]
    small: dict[str, Any]
    full: dict[str, Any]

    def figures(self, size: str) -> list[Figure]:
        return self.run(**getattr(self, size))


CHECKS: dict[str, Check] = {}


def check(name: str, promise: str, *, small: dict[str, Any], full: dict[str, Any]) -> Callable[[Any], Any]:
    """Enters a function in the list of checks."""

    def enter(run: Callable[..., list[Figure]]) -> Callable[..., list[Figure]]:
        assert name not in CHECKS
        CHECKS[name] = Check(name, promise, run, small, full)
        return run

    return enter


def load_all() -> dict[str, Check]:
    """All checks, in the order of their names."""
    from release import checkpoints, concurrency, fuzzing, inputs, long_streams, numerics  # noqa: F401

    return dict(sorted(CHECKS.items(), key=lambda item: (item[0][0], int("".join(c for c in item[0] if c.isdigit())))))
