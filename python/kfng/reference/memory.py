"""What a recurrent filter remembers besides its belief: the state s, its sensitivity, and the last row's y and residual."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from .._settings import Settings
from .._validate import Array
from .belief.base import require


@dataclass(frozen=True, eq=False)
class Memory:
    """Nothing is written in place."""

    s: Array
    """(n,)"""
    trace: Array
    """ds (n, P) in the sensitivity's form"""
    feedback: Array
    """(2, k): the last row's y per output, 0 where it was missing, and 1 where it was there; see `forecast`"""
    echo: Array
    """(3, k): the last residual r_t = y - mean, the sums of r_t r_{t-1} and of r_t²; 0 where y is no number per output"""
    restarts: int = 0
    """Rows of ds that started again because they passed the guard's bound."""

    @classmethod
    def start(cls, settings: Settings) -> Self:
        assert settings.sensitivity is not None
        trace = settings.sensitivity.start(settings.n, settings.size, settings.free)
        return cls(settings.state, trace, np.zeros((2, settings.k)), np.zeros((3, settings.k)))

    def again(self, settings: Settings, s: Array) -> Self:
        """A new sequence from s (n,): the gauges stay, no residual is next to another across the cut."""
        assert settings.sensitivity is not None
        trace = settings.sensitivity.start(settings.n, settings.size, settings.free)
        echo = self.echo.copy()
        echo[0] = 0.0
        return replace(self, s=s, trace=trace, feedback=np.zeros_like(self.feedback), echo=echo)

    def seen(self, settings: Settings, y: Array, mean: Array) -> Self:
        """After a row: y (y_width,), NaN where missing, and its predicted mean (m_y,), NaN where there was none."""
        if settings.y_width != settings.k:
            return self
        there, r = ~np.isnan(y), np.where(np.isnan(y - mean), 0.0, y - mean)
        echo = np.array([r, self.echo[1] + r * self.echo[0], self.echo[2] + r**2])
        return replace(self, feedback=np.array([np.where(there, y, 0.0), there.astype(np.float64)]), echo=echo)

    def rounded(self, narrow: Callable[[Array], Array]) -> Self:
        return replace(self, s=narrow(self.s), trace=narrow(self.trace))

    def arrays(self) -> tuple[Array, ...]:
        return self.s, self.trace, self.feedback, self.echo

    # -- saving
    def narrow(self, settings: Settings) -> dict[str, Array]:
        """What is kept in the filter's dtype."""
        assert settings.sensitivity is not None
        return {"state": self.s} | settings.sensitivity.pack(self.trace, settings.n)

    def wide(self) -> dict[str, Array]:
        """What is kept in float64."""
        return {
            "feedback": self.feedback.copy(),
            "echo": self.echo.copy(),
            "restarts": np.array([float(self.restarts)]),
        }

    @staticmethod
    def narrow_shapes(settings: Settings) -> dict[str, tuple[int, ...]]:
        assert settings.sensitivity is not None
        return {"state": (settings.n,)} | settings.sensitivity.shapes(settings.n, settings.size)

    @staticmethod
    def wide_shapes(settings: Settings) -> dict[str, tuple[int, ...]]:
        return {"feedback": (2, settings.k), "echo": (3, settings.k), "restarts": (1,)}

    @classmethod
    def unpack(cls, settings: Settings, own: Mapping[str, Any]) -> Self:
        """From arrays of the right shapes and unknown origin."""
        assert settings.sensitivity is not None
        feedback, echo, restarts = own["feedback"], own["echo"], float(own["restarts"][0])
        flags = (feedback[1] == 0) | (feedback[1] == 1)
        require("feedback", bool(flags.all() and not feedback[0][feedback[1] == 0].any()), "values of flags 0 or 1")
        require("echo", bool((echo[2] >= 0).all()), "sums of squares, >= 0")
        require("restarts", restarts >= 0 and restarts % 1 == 0, "a whole number >= 0")
        return cls(own["state"], settings.sensitivity.unpack(own), feedback, echo, int(restarts))
