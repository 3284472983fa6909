"""Everything about a filter that changes; a step reads one `State` and proposes the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from .._settings import Settings
from .._validate import Array
from ..errors import BadValueError
from .belief.base import require
from .noise import Noise


@dataclass(eq=False)
class State:
    """Arrays are never written in place: a step puts new ones into a copy."""

    theta: Array
    """(p,)"""
    P: Array
    """Covariance in the belief's form"""
    noise: Noise
    n_seen: int = 0
    n_updates: int = 0
    missing: int = 0
    skipped: int = 0
    clipped: int = 0
    clamped: int = 0
    windup: int = 0
    floored: int = 0
    elapsed: float = 0.0
    log_since: float = 0.0
    """log of the decay since the last wind-up check."""
    owed: float = 0.0
    """Time for which process noise has not been added yet."""
    log_D: Array = field(default_factory=lambda: np.zeros(0))
    """(p,), with `towards="prior"` alone: log of the decay of each column of the prior since its last turn."""
    accumulated: float = 0.0
    """-log of the decay for which no turn has been taken yet."""
    position: int = 0
    """The column whose turn is next."""
    evidence: float = 0.0
    nis_sum: float = 0.0
    nis_count: float = 0.0
    rho_max: float = 0.0

    @classmethod
    def start(cls, settings: Settings) -> Self:
        noise = Noise.start(*settings.family.prior_noise(settings.k), settings.k)
        log_D = np.zeros(settings.p if settings.rule.towards_prior else 0)
        return cls(settings.theta, settings.belief.prior(settings.p), noise, log_D=log_D).rounded(settings)

    def copy(self) -> Self:
        return replace(self)

    def rounded(self, settings: Settings) -> Self:
        """theta and P as the filter's dtype keeps them; the arithmetic is float64 throughout."""
        if settings.float == np.float64:
            return self
        with np.errstate(over="ignore"):
            theta, P = (part.astype(settings.float).astype(np.float64) for part in (self.theta, self.P))
        return replace(self, theta=theta, P=P)

    def possible(self, settings: Settings) -> bool:
        """False where something overflowed, or a variance turned negative."""
        noise = self.noise
        scalars = (self.elapsed, self.owed, self.accumulated, self.evidence, self.nis_sum, self.rho_max)
        parts = (self.theta, self.P, self.log_D, noise.a, noise.b, noise.W, noise.mean, noise.M2, np.array(scalars))
        return all(np.isfinite(part).all() for part in parts) and bool((settings.belief.variances(self.P) >= 0).all())


COUNTERS = ("n_seen", "n_updates", "missing", "skipped", "clipped", "clamped", "windup", "floored")
CLOCK = ("elapsed", "log_since", "owed")
GAUGES = ("nis_sum", "nis_count", "rho_max")


def to_arrays(settings: Settings, state: State) -> dict[str, NDArray[Any]]:
    """The state by name, as a checkpoint keeps it."""
    noise = state.noise
    arrays = {
        "counters": np.array([getattr(state, name) for name in COUNTERS], dtype=np.float64),
        "clock": np.array([state.elapsed, state.log_since, state.owed][: _clock(settings)]),
        "evidence": np.array([state.evidence]),
        "gauges": np.array([state.nis_sum, state.nis_count, state.rho_max]),
        "noise": np.array([noise.a, noise.b]),
        "y_stats": np.array([noise.W, noise.mean, noise.M2]),
    }
    if settings.rule.towards_prior:
        arrays |= {"turns": state.log_D.copy(), "turn": np.array([state.accumulated, state.position])}
    parts = {"theta": state.theta} | settings.belief.pack(state.P)
    return arrays | {name: part.astype(settings.float) for name, part in parts.items()}


def from_arrays(settings: Settings, arrays: Mapping[str, Any]) -> State:
    """The inverse of `to_arrays`, for files of unknown origin; a belief may also come in the form of kfng's filter."""
    p, k, m = settings.p, settings.k, settings.family.noise_scales(settings.k)
    own_dtype = {"theta": (p,)} | settings.belief.shapes(p, arrays)
    shapes = {"counters": (8,), "clock": (_clock(settings),), "evidence": (1,), "gauges": (3,), "noise": (2, m)}
    shapes |= {"y_stats": (3, k if m else 0)} | own_dtype
    if settings.rule.towards_prior:
        shapes |= {"turns": (p,), "turn": (2,)}
    if set(arrays) != set(shapes):
        raise BadValueError(argument="state", expected=sorted(shapes), got=sorted(arrays))
    dtypes = {name: settings.float if name in own_dtype else np.dtype(np.float64) for name in shapes}
    own = {name: _checked(name, arrays[name], shape, dtypes[name]) for name, shape in shapes.items()}
    require("counters", bool(((own["counters"] >= 0) & (own["counters"] % 1 == 0)).all()), "whole numbers >= 0")
    require("noise", bool((own["noise"][0] > 1).all() and (own["noise"][1] > 0).all()), "a > 1 and b > 0")
    require("y_stats", bool((own["y_stats"][[0, 2]] >= 0).all()), "weights and sums of squares >= 0")
    scalars = dict(zip(CLOCK, own["clock"].tolist(), strict=False)) | dict(
        zip(GAUGES, own["gauges"].tolist(), strict=True)
    )
    counters: dict[str, Any] = {name: int(count) for name, count in zip(COUNTERS, own["counters"], strict=True)}
    noise = Noise(*own["noise"], *own["y_stats"])
    start = State(
        own["theta"], settings.belief.unpack(own, p), noise, **counters, **scalars, evidence=float(own["evidence"][0])
    )
    return replace(start, **_turns(own, p)) if settings.rule.towards_prior else start


def _clock(settings: Settings) -> int:
    """Process noise alone owes time."""
    return 2 if settings.rule.diffusion is None else 3


def _turns(own: Mapping[str, Array], p: int) -> dict[str, Any]:
    accumulated, position = own["turn"].tolist()
    require("turns", bool((own["turns"] <= 0).all()), "logarithms of decays, <= 0")
    require("turn", accumulated >= 0 and position in range(p), f"an accumulated decay >= 0 and an index below {p}")
    return {"log_D": own["turns"], "accumulated": accumulated, "position": int(position)}


def _checked(name: str, value: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    array = np.asarray(value)
    require(name, array.dtype == dtype, f"dtype {dtype}", array.dtype)
    require(name, array.shape == shape, str(shape), array.shape)
    require(name, bool(np.isfinite(array).all()), "finite numbers")
    return array.astype(np.float64)
