"""A filter in other coordinates of its features: u' = (u - center)/scale in the place of u.

    z = w'u + c = (scale·w)'u' + (c + center'w):    theta <- A theta,    P <- A P A'

for each unit of the first layer. Exact: the mean function, what is known of it, the prior and the process noise are the
same. A has a diagonal, and in the row of each bias c the `center` at the place of its weights, so that a shift makes
correlations, also of a diagonal prior.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from . import _grow
from ._settings import Settings
from ._validate import Array, finite_array
from .errors import NonFiniteError, NotPositiveDefiniteError, ParameterError, ShapeError, UnsupportedError, shown
from .reference.model import MLP, Linear, Model
from .reference.rule import ProcessNoise

if TYPE_CHECKING:
    from ._filter_base import FilterBase

    AnyFilter = TypeVar("AnyFilter", bound=FilterBase)

State = dict[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Units:
    """The map A of parameters that stand unit by unit as weights (units, d), their biases behind them."""

    scale: Array
    """(d,)"""
    center: Array
    """(d,)"""
    units: int

    @classmethod
    def of(cls, model: Model, scale: Any, center: Any) -> Self:
        """Checked: numbers or (d,)."""
        if not isinstance(model, (Linear, MLP)):
            expected = "Linear or MLP (a recurrent model has input_center and input_scale)"
            raise UnsupportedError(argument="model", expected=expected, got=shown(model))
        d = cast(int, model.inputs)
        factors, shift = _wide("scale", scale, d), _wide("center", center, d)
        if not (factors > 0).all():
            raise ParameterError(argument="scale", expected="numbers > 0", got=float(np.min(factors)))
        made = cls(factors, shift, model.layers[1] if isinstance(model, MLP) else model.n_outputs)
        if isinstance(model, Linear) and not model.intercept and made.shifts:
            raise UnsupportedError(argument="center", expected="0 without an intercept", got=shown(center))
        return made

    @property
    def shifts(self) -> bool:
        return bool(self.center.any())

    def left(self, M: Array) -> Array:
        """A M (p, ...)."""
        n = self.units * len(self.scale)
        weights = M[:n].reshape(self.units, len(self.scale), *M.shape[1:])
        moved: Array = M.astype(np.float64)
        moved[:n] = (weights.swapaxes(1, -1) * self.scale).swapaxes(1, -1).reshape(M[:n].shape)
        if self.shifts:
            moved[n : n + self.units] += np.tensordot(weights, self.center, axes=(1, 0))
        return moved

    def both(self, P: Array) -> Array:
        """A P A' (p, p), symmetric to the last bit."""
        moved = self.left(self.left(P).T)
        return (moved + moved.T) / 2

    def variances(self, V: Any, p: int) -> Any:
        """Of a covariance that is a number, (p,) or (p, p), in the shortest of these forms."""
        if np.ndim(V) == 2:
            return self.both(V)
        if self.shifts:
            return self.both(np.diag(np.broadcast_to(V, (p,)).astype(np.float64)))
        return V if (self.scale == 1).all() else self.left(self.left(np.broadcast_to(V, (p,))))


def _wide(argument: str, value: Any, d: int) -> Array:
    """A number for all, or (d,)."""
    given = finite_array(argument, value)
    if given.shape not in ((), (d,)):
        raise ShapeError(argument=argument, expected=f"a number or ({d},)", got=given.shape)
    return np.ascontiguousarray(np.broadcast_to(given, (d,)))


def change_units(flt: AnyFilter, center: Any, scale: Any) -> AnyFilter:
    """See `Filter.change_units`."""
    settings = flt.settings
    if settings.rule.gradient:
        expected = "a rule that is the same in all coordinates"
        raise UnsupportedError(argument="change_units", expected=expected, got=shown(settings.rule))
    units = Units.of(settings.model, scale, center)
    if units.shifts and settings.belief.independent:
        expected = "0 with a diagonal belief, which has no place for the correlations of a shift"
        raise UnsupportedError(argument="center", expected=expected, got=shown(center))
    if units.shifts and settings.rule.towards_prior:
        expected = "0 with towards='prior', whose columns of the prior are of these coordinates"
        raise UnsupportedError(argument="center", expected=expected, got=shown(center))
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        made = moved_settings(settings, units)
        state = _moved(flt, units)
    twin = type(flt)._from_settings(made)
    twin._set_state(state)
    twin._when = flt._when
    return twin


def moved_settings(settings: Settings, units: Units) -> Settings:
    """The same prior, start and process noise in the new coordinates."""
    rule, prior = settings.rule, units.variances(settings.belief.prior_variance, settings.p)
    theta = units.left(settings.theta)
    if isinstance(rule, ProcessNoise):
        Q = units.variances(rule.Q, settings.p)
        _finite(Q)
        rule = replace(rule, Q=Q)
    _finite(prior, theta)
    if not (np.diagonal(prior) if np.ndim(prior) == 2 else np.asarray(prior)).all():
        raise _overflow()
    given = theta if settings.theta_given or theta.any() else None
    moved = replace(settings, rule=rule)
    try:
        return _grow._settings(moved, cast(Any, settings.model), settings.family, given, prior, settings.feature_names)
    except NotPositiveDefiniteError:
        expected = "features not so far off that nothing is left of their own in rounding"
        raise NotPositiveDefiniteError(argument="center", expected=expected, got="a singular prior") from None


def _moved(flt: FilterBase, units: Units) -> State:
    state = dict(flt._state())
    moved = flt._in_units({name: part for name, part in state.items() if name in ("U", "D", "P", "V")}, units)
    moved["theta"] = units.left(state["theta"].astype(np.float64))
    _finite(*moved.values())
    if "D" in state and ((moved["D"] == 0) & (state["D"] != 0)).any():
        raise _overflow()
    for name, part in moved.items():
        state[name] = np.ascontiguousarray(part, dtype=state[name].dtype)
    _finite(*(state[name] for name in moved))
    return state


def _finite(*arrays: Any) -> None:
    if not all(np.isfinite(part).all() for part in arrays):
        raise _overflow()


def _overflow() -> NonFiniteError:
    return NonFiniteError(argument="scale", expected="units in which no number overflows", got="overflow")
