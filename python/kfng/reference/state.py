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
from . import coverage
from .belief.base import require
from .memory import Memory
from .noise import Noise


@dataclass(eq=False)
class State:
    """Arrays are never written in place: a step puts new ones into a copy."""

    theta: Array
    """(p,), or phi = (s_0, theta) (P,) where the initial state is unknown"""
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
    downweighted: int = 0
    """Rows that a robust filter did not take at full weight, as its policy counts them."""
    evidence: float = 0.0
    nis_sum: float = 0.0
    nis_count: float = 0.0
    rho_max: float = 0.0
    coverage: float = 0.0
    """n + s: how many of the last rows lay inside their 90 % interval, of a family that `covers`; see coverage.py."""
    moments: Array = field(default_factory=lambda: np.zeros((0, 0)))
    """(m, p), the running averages of a gradient rule."""
    memory: Memory | None = None
    """Of a recurrent model."""

    @classmethod
    def start(cls, settings: Settings) -> Self:
        noise = Noise.start(*settings.family.prior_noise(settings.k), settings.k)
        log_D = np.zeros(settings.size if settings.rule.towards_prior else 0)
        start = cls(settings.phi, settings.belief_of_phi.prior(settings.size), noise, log_D=log_D)
        start.moments = np.zeros((settings.rule.moments, settings.size))
        start.memory = None if settings.sensitivity is None else Memory.start(settings)
        return start.rounded(settings)

    def copy(self) -> Self:
        return replace(self)

    def rounded(self, settings: Settings) -> Self:
        """theta and P as the filter's dtype keeps them; the arithmetic is float64 throughout."""
        if settings.float == np.float64:
            return self

        def narrow(part: Array) -> Array:
            return part.astype(settings.float).astype(np.float64)

        with np.errstate(over="ignore"):
            memory = None if self.memory is None else self.memory.rounded(narrow)
            theta, P, moments = narrow(self.theta), narrow(self.P), narrow(self.moments)
        return replace(self, theta=theta, P=P, moments=moments, memory=memory)

    def possible(self, settings: Settings) -> bool:
        """False where something overflowed, or a variance turned negative."""
        noise = self.noise
        scalars = (self.elapsed, self.owed, self.accumulated, self.evidence, self.nis_sum, self.rho_max)
        parts = (self.theta, self.P, self.log_D, noise.a, noise.b, noise.W, noise.mean, noise.M2, np.array(scalars),
                 self.moments, *(() if self.memory is None else self.memory.arrays()))  # fmt: skip
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
    if settings.robust is not None:
        arrays["robust"] = np.array([state.downweighted], dtype=np.float64)
    if settings.family.covers:
        arrays["coverage"] = np.array([state.coverage], dtype=np.float64)
    if settings.rule.towards_prior:
        arrays |= {"turns": state.log_D.copy(), "turn": np.array([state.accumulated, state.position])}
    if state.memory is not None:
        arrays |= state.memory.wide()
    return arrays | {name: part.astype(settings.float) for name, part in _narrow(settings, state).items()}


MOMENTS = ("m", "v")


def _narrow(settings: Settings, state: State) -> dict[str, Array]:
    """What is kept in the filter's dtype."""
    parts = {"theta": state.theta[settings.free :]} | settings.belief.pack(state.P)
    if settings.free:
        parts["initial_state"] = state.theta[: settings.free]
    parts |= dict(zip(MOMENTS, state.moments, strict=False))
    return parts if state.memory is None else parts | state.memory.narrow(settings)


def _narrow_shapes(settings: Settings, arrays: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    shapes = {"theta": (settings.p,)} | settings.belief.shapes(settings.size, arrays)
    if settings.free:
        shapes["initial_state"] = (settings.n,)
    shapes |= dict.fromkeys(MOMENTS[: settings.rule.moments], (settings.size,))
    return shapes if settings.sensitivity is None else shapes | Memory.narrow_shapes(settings)


def memory_arrays(settings: Settings, state: State) -> dict[str, NDArray[Any]]:
    """The part of `to_arrays` that a recurrent model has, without the belief."""
    assert state.memory is not None
    parts = state.memory.narrow(settings)
    if settings.free:
        parts["initial_state"] = state.theta[: settings.free]
    return state.memory.wide() | {name: part.astype(settings.float) for name, part in parts.items()}


def restarted(settings: Settings, state: State, s: Array | None) -> State:
    """The state at the start of another sequence: an unknown s_0 is again what its prior says, and tells nothing of theta."""
    assert state.memory is not None
    new, n = state.copy(), settings.free
    s = settings.state if s is None else s
    new.memory = state.memory.again(settings, s)
    if n:
        new.theta = np.concatenate([s, state.theta[n:]])
        new.P = settings.belief.renew(state.P, settings.belief_of_phi.prior(settings.size), n)
        if settings.rule.towards_prior:
            new.log_D = np.where(np.arange(settings.size) < n, 0.0, state.log_D)
    return new.rounded(settings)


def from_arrays(settings: Settings, arrays: Mapping[str, Any]) -> State:
    """The inverse of `to_arrays`, for files of unknown origin; a belief may also come in the form of kfng's filter."""
    P, k, m = settings.size, settings.k, settings.family.noise_scales(settings.k)
    own_dtype = _narrow_shapes(settings, arrays)
    shapes = {"counters": (8,), "clock": (_clock(settings),), "evidence": (1,), "gauges": (3,), "noise": (2, m)}
    shapes |= {"y_stats": (3, k if m else 0)} | own_dtype
    if settings.robust is not None:
        shapes["robust"] = (1,)
    if settings.family.covers and "coverage" in arrays:  # files of before it was kept have none: it begins now
        shapes["coverage"] = (1,)
    if settings.rule.towards_prior:
        shapes |= {"turns": (P,), "turn": (2,)}
    if settings.sensitivity is not None:
        shapes |= Memory.wide_shapes(settings)
    if set(arrays) != set(shapes):
        raise BadValueError(argument="state", expected=sorted(shapes), got=sorted(arrays))
    dtypes = {name: settings.float if name in own_dtype else np.dtype(np.float64) for name in shapes}
    own = {name: _checked(name, arrays[name], shape, dtypes[name]) for name, shape in shapes.items()}
    require("counters", bool(((own["counters"] >= 0) & (own["counters"] % 1 == 0)).all()), "whole numbers >= 0")
    if settings.robust is not None:
        require("robust", bool(own["robust"][0] >= 0 and own["robust"][0] % 1 == 0), "a whole number >= 0")
    require("noise", bool((own["noise"][0] > 1).all() and (own["noise"][1] > 0).all()), "a > 1 and b > 0")
    require("y_stats", bool((own["y_stats"][[0, 2]] >= 0).all()), "weights and sums of squares >= 0")
    scalars = dict(zip(CLOCK, own["clock"].tolist(), strict=False)) | dict(
        zip(GAUGES, own["gauges"].tolist(), strict=True)
    )
    counters: dict[str, Any] = {name: int(count) for name, count in zip(COUNTERS, own["counters"], strict=True)}
    noise = Noise(*own["noise"], *own["y_stats"])
    phi = np.concatenate([own["initial_state"], own["theta"]]) if settings.free else own["theta"]
    start = State(phi, settings.belief.unpack(own, P), noise, **counters, **scalars, evidence=float(own["evidence"][0]))
    if "coverage" in own:
        start.coverage, most = float(own["coverage"][0]), min(start.n_updates, coverage.MOST_ROWS)
        require("coverage", 0 <= start.coverage < most + 1, f"at least 0 and below {most + 1}", start.coverage)
    start.downweighted = int(own["robust"][0]) if settings.robust is not None else 0
    start.moments = np.array([own[name] for name in MOMENTS[: settings.rule.moments]]).reshape(-1, P)
    require("v", bool((start.moments[1:] >= 0).all()), "averages of squares, >= 0")
    start.memory = None if settings.sensitivity is None else Memory.unpack(settings, own)
    return replace(start, **_turns(own, P)) if settings.rule.towards_prior else start


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
