"""What never changes in a joint or a state filter, and what one of its rows is; the rules of `_border.py` hold here too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from . import _border
from ._component import Arrays
from ._settings import Derived, _component, _dtype_name
from ._trace import Likelihood
from ._validate import Array, finite_array, real_array
from .errors import NonFiniteError, NotPositiveDefiniteError, ParameterError, ShapeError, UnsupportedError, shown
from .reference.family import Family
from .reference.guards import Guards
from .reference.rule import Kalman, Rule


@dataclass(frozen=True, eq=False)
class JointSettings(Derived):
    """x = (s, theta): n entries of a state, then n_parameters of theta (none where the model is known)."""

    family: Family
    guards: Guards
    dtype: str
    k: int
    state: Array
    """s_0 (n,)"""
    state_prior: Array
    """Its covariance (n, n); 0 where it is known."""
    state_noise: Array
    """Covariance (n, n) that a unit of time adds to the state's."""
    theta: Array = field(default_factory=lambda: np.zeros(0))
    prior_variance: Any = 1.0
    """Covariance of theta: a number, (n_parameters,) or square."""
    parameter_noise: Any = 0.0
    """What a unit of time adds to it, in the same forms."""
    model: Any = None
    feature_names: None = None
    categories: None = None
    class_names: None = None
    rule: Rule = field(default_factory=Kalman)
    """Any dt >= 0 is one that a row can have."""

    @property
    def n(self) -> int:
        return len(self.state)

    @property
    def n_parameters(self) -> int:
        return len(self.theta)

    @property
    def p(self) -> int:
        """Columns of the Jacobian that a row of a known model brings, or of h_theta."""
        return self.n if self.model is None else self.n_parameters

    @property
    def sensitivity(self) -> Any:
        """None where rows bring no state and transition as `Filter.condition` takes them."""
        return self.model

    # -- for the core
    def core_json(self) -> str:
        """Components and sizes; the numbers are in `core_arrays`."""
        parts = {"family": self.family.core_spec(), "guards": self.guards.core_spec(), "dtype": self.dtype}
        import json

        return json.dumps(parts | {"n": self.n, "parameters": self.n_parameters, "k": self.k}, allow_nan=False)

    def core_arrays(self) -> Arrays:
        """State and theta, their priors and noises; a covariance of the state as a root (n, n), one of theta's noise as (r, p)."""
        size, noise = (self.n_parameters,), self.parameter_noise
        found = {f"family.{name}": array for name, array in self.family.core_arrays().items()} | {
            "state": self.state,
            "theta": self.theta,
            "state_prior": roots("state_prior", self.state_prior),
            "state_noise": roots("state_noise", self.state_noise),
            "prior_variance": self.prior_variance
            if np.ndim(self.prior_variance) == 2
            else np.broadcast_to(self.prior_variance, size),
            "parameter_noise": _columns(noise) if np.ndim(noise) == 2 else np.broadcast_to(noise, size),
        }
        return {name: np.ascontiguousarray(array, dtype=np.float64) for name, array in found.items()}


class Moved(NamedTuple):
    """One row, checked, with the model's values and partials at the x before it."""

    state: Array
    """s- (n,)"""
    transition: Array
    """[f_s, f_theta] (n, n + n_parameters)"""
    output: Array
    """z (k,) at s-, offset included"""
    jacobian: Array
    """[h_s, h_theta] (k, n + n_parameters) at s-"""
    y: Array
    weight: float
    decay: float
    """P <- P/decay"""
    dt: float
    """Time for which the state's noise is added,"""
    owed: float
    """and that of theta."""
    noise: Array | None
    """(n, n): instead of dt times the settings' state noise."""
    blank: bool
    """No output is known; y is missing."""
    learns: bool


class Seen(NamedTuple):
    """What a row shows after its time step and before y is used: z (k,), C (k, k); then how it fared."""

    z: Array
    C: Array
    flags: int
    clamped: bool = False
    nis: float = float("nan")
    degrees: int = 0


class Kernel(Protocol):
    """Mean and covariance of x, and one row's change of them: dense in the reference, factored in kfng."""

    @property
    def likelihood(self) -> Likelihood: ...

    def step(self, row: Moved, commit: bool = True) -> Seen: ...
    def mean(self) -> NDArray[Any]: ...
    def covariance(self) -> NDArray[Any]: ...
    def arrays(self) -> dict[str, NDArray[Any]]: ...
    def set_arrays(self, arrays: Mapping[str, NDArray[Any]]) -> None: ...


def common(family: Any, guards: Any, dtype: Any, k: int) -> dict[str, Any]:
    """The settings that both filters have."""
    _component("family", family, Family)
    guards = _component("guards", Guards() if guards is None else guards, Guards)
    needed = family.outputs_needed()
    if needed is not None and needed != k:
        expected = f"{needed} output(s) for {type(family).__name__}"
        raise ShapeError(argument="family", expected=expected, got=k)
    if family.noise_scales(k):
        raise UnsupportedError(argument="family", expected="a known noise variance beside a state", got=shown(family))
    return {"family": family, "guards": guards, "dtype": _dtype_name(dtype), "k": k}


def covariance(argument: str, value: Any, size: int, shape: str, *, low: str = ">=") -> Any:
    """A number, (size,) or (size, size): variances >= 0 (or > 0), and a positive semidefinite matrix; canonical, read-only."""
    array = finite_array(argument, value)
    if array.shape not in ((), (size,), (size, size)):
        raise ShapeError(argument=argument, expected=f"a number or {shape}", got=array.shape)
    diagonal = np.diagonal(array) if array.ndim == 2 else array
    if not ((diagonal > 0) if low == ">" else (diagonal >= 0)).all():
        raise ParameterError(argument=argument, expected=f"variances {low} 0", got=float(np.min(diagonal)))
    if array.ndim == 2:
        roots(argument, array)
        array = array / 2 + array.T / 2  # their sum may overflow
        array.setflags(write=False)
    return float(array) if array.ndim == 0 else array


def dense(value: Any, size: int) -> Array:
    """The same as a matrix (size, size)."""
    array = np.asarray(value, dtype=np.float64)
    return array if array.ndim == 2 else np.diag(np.broadcast_to(array, (size,)).astype(np.float64))


def roots(argument: str, Q: Array) -> Array:
    """S (n, n) with S S' = Q, semidefinite, from the eigenvectors of the correlations, so that no unit matters. O(n³)."""
    if not np.allclose(Q, Q.T, rtol=1e-12, atol=0):
        raise NotPositiveDefiniteError(argument=argument, expected="a symmetric matrix", got="an asymmetric one")
    scale = np.sqrt(np.diagonal(Q))
    moves = scale > 0
    if Q[~moves].any():
        raise NotPositiveDefiniteError(
            argument=argument, expected="no covariance where there is no variance", got="one"
        )
    unit = np.where(moves, scale, 1.0)
    with np.errstate(over="ignore", invalid="ignore"):
        correlation = (Q / 2 + Q.T / 2) / unit / unit[:, None]
    if not np.isfinite(correlation).all():
        raise NotPositiveDefiniteError(
            argument=argument, expected="a positive semidefinite matrix", got="a correlation beyond every number"
        )
    values, vectors = np.linalg.eigh(correlation)
    rounding = 8 * len(Q) * np.finfo(np.float64).eps
    if np.min(values, initial=0.0) < -rounding:
        raise NotPositiveDefiniteError(
            argument=argument,
            expected="a positive semidefinite matrix",
            got=f"a correlation matrix with eigenvalue {np.min(values):.3g}",
        )
    result: Array = scale[:, None] * vectors * np.sqrt(np.where(values > rounding, values, 0.0))
    return result


def _columns(Q: Array) -> Array:
    """The root's columns that are not 0, as rows (r, p)."""
    columns = roots("parameter_noise", Q).T
    return columns[columns.any(axis=1)]


def part(argument: str, value: Any, shape: tuple[int, ...]) -> Array:
    """One of a row's arrays: float64, of this shape, finite."""
    array = real_array(argument, value)
    if array.shape != shape:
        raise ShapeError(argument=argument, expected=shape, got=array.shape)
    if not np.isfinite(array).all():
        raise NonFiniteError(argument=argument, expected="finite numbers", got=repr(array[~np.isfinite(array)][0]))
    return array


def observations(settings: Any, Y: Any, weight: Any, dt: Any) -> tuple[Array, Array, Array]:
    """Y (m, y_width), weight and dt (m,) of many rows, of the right shapes; what is in them is looked at row by row."""
    array = real_array("Y", Y)
    if array.ndim == 0:
        raise ShapeError(argument="Y", expected="rows", got=array.shape)
    m = len(array)
    return (
        _border.many_y(settings, "Y", array, m),
        _border.per_row("weight", weight, m),
        _border.per_row("dt", dt, m),
    )
