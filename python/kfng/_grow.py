"""More features, or more outputs, for a model that has already learned: its posterior in a larger space.

    theta <- (theta, theta_new),    P <- [P, 0; 0, P_new]        in the order of the larger model

Exact: of a coefficient whose feature was 0 in every row so far, the rows say nothing, and it is what its prior says: of a linear
model, and of the first weights of a network. The old numbers are moved, not computed again: U of P = U D U' gets rows and
columns of the identity, O(p²); or where nobody needs the smaller filter any more O(p), see `taken`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from ._fit import parameter_count
from ._settings import Settings
from ._validate import Array, finite_array, integer, real_array
from .errors import ParameterError, ShapeError, UnsupportedError, shown
from .reference.belief import Full
from .reference.family import Bernoulli, Categorical, Family, Gaussian
from .reference.model import MLP, Cell, Linear, Model
from .reference.rule import Fading, Kalman, ProcessNoise
from .reference.sensitivity import RTRL

if TYPE_CHECKING:
    from ._filter import Filter
    from ._filter_base import FilterBase

    AnyFilter = TypeVar("AnyFilter", bound=FilterBase)

INPUTS = {"weight", "weight0", "weight_ih"}
"""The parameters (units, d) that meet the features."""
Indices = NDArray[np.intp]
State = dict[str, NDArray[Any]]


def add_features(flt: AnyFilter, n: int, prior_variance: Any, names: Any) -> AnyFilter:
    """See `Filter.add_features`."""
    made, keep = with_features(flt.settings, n, prior_variance, names)
    return flt.copy()._resized(made) if _resizable(flt, prior_variance) else _grown(flt, made, keep)


def taken(flt: Filter, n: int, prior_variance: Any, names: Any = None) -> tuple[Filter, Callable[[], Filter]]:
    """`add_features` for an owner who needs `flt` no longer, and what gives it back, bit for bit, as long as nothing was learned.

    A linear model of one output with a full belief grows in its own memory, O(p) for each feature, and `flt` refuses everything
    from then on. Others, and where the rule forgets towards the prior, are made anew.
    """
    settings = flt.settings
    made, keep = with_features(settings, n, prior_variance, names)
    if not _resizable(flt, prior_variance):
        return _grown(flt, made, keep), lambda: flt
    grown = flt._resized(made)
    return grown, lambda: grown._resized(settings)


def _resizable(flt: FilterBase, prior_variance: Any) -> bool:
    """Whether its core can grow: a linear model of one output, a full belief, nothing else that depends on the prior."""
    settings = flt.settings
    alone = isinstance(settings.model, Linear) and settings.k == 1 and isinstance(settings.belief, Full)
    return flt._resizes and alone and not settings.rule.towards_prior and np.ndim(prior_variance) < 2


def with_features(settings: Settings, n: int, prior_variance: Any, names: Any) -> tuple[Settings, Indices]:
    """The settings with n features more, and where the old parameters are in the new theta, ascending."""
    model, n = settings.model, integer("n", n, low=1)
    if not isinstance(model, (Linear, MLP, Cell)) or INPUTS.isdisjoint(model.shapes()):
        expected = "a model of kfng's own, with inputs"
        raise UnsupportedError(argument="add_features", expected=expected, got=shown(model))
    if settings.free or settings.sensitivity not in (None, RTRL(), RTRL(state_correction=False)):
        expected = "the sensitivity RTRL and a known initial state"
        raise UnsupportedError(argument="add_features", expected=expected, got=shown(settings.sensitivity))
    _growing(settings, "add_features")
    d, larger = cast(int, model.inputs), _wider(model, n)
    parameter_count(larger, settings.belief)  # before anything of its size is made
    labels = _longer("feature_names", settings.feature_names, n, names)
    parts = larger.split(np.arange(larger.n_parameters, dtype=np.float64))
    found = [part[:, :d] if name in INPUTS else part for name, part in parts.items()]
    keep = np.concatenate([part.ravel() for part in found]).astype(np.intp)
    return _settings_of(
        settings, larger, settings.family, keep, prior_variance, np.zeros(larger.n_parameters), labels
    ), keep


def _wider(model: Model, n: int) -> Model:
    """The model of n features more."""
    if isinstance(model, Linear):
        return replace(model, n_features=model.n_features + n)
    if isinstance(model, MLP):
        return replace(model, layers=(model.layers[0] + n, *model.layers[1:]))
    cell: Any = model
    center, scale = (
        None if own is None else np.append(own, np.full(n, new))
        for own, new in ((cell.input_center, 0.0), (cell.input_scale, 1.0))
    )
    wider: Model = replace(cell, n_inputs=cell.n_inputs + n, input_center=center, input_scale=scale)
    return wider


def add_outputs(flt: AnyFilter, n: int, prior_variance: Any, level: Any, names: Any = None) -> AnyFilter:
    """See `Filter.add_outputs`."""
    settings, n = _linear(flt.settings, "add_outputs"), integer("n", n, low=1)
    family, model = settings.family, cast(Linear, settings.model)
    labels = _longer("class_names", settings.class_names, n, names)
    if isinstance(family, Categorical):
        family = replace(family, n_classes=family.n_classes + n)
    elif not (isinstance(family, Gaussian) and isinstance(family.variance, float) and family.covariance is None):
        expected = "Categorical, or Gaussian with a variance that is known"
        raise UnsupportedError(argument="family", expected=expected, got=shown(family))
    larger = replace(model, n_outputs=model.n_outputs + n)
    parameter_count(larger, settings.belief)
    start = np.zeros(larger.n_parameters)
    if level is not None:
        if not model.intercept:
            raise UnsupportedError(argument="level", expected="None without an intercept", got=type(level).__name__)
        larger.split(start)["intercept"][-n:] = finite_array("level", level, (n,))
    keep = _places(larger, slice(0, model.n_outputs), slice(None))
    named = replace(settings, class_names=labels)
    return _grown(flt, _settings_of(named, larger, family, keep, prior_variance, start, settings.feature_names), keep)


def as_categorical(flt: AnyFilter) -> AnyFilter:
    """A linear Bernoulli filter as one of two classes, each with half of its logit: the same predictions, now and (but for the wind-up guard) later.

    The prior of each class has half the variance. Of the sum of the two, which no row speaks of, the prior is kept; a
    diagonal belief cannot, and gives each class half of the variance.
    """
    settings = _linear(flt.settings, "as_categorical")
    if not isinstance(settings.family, Bernoulli):
        raise UnsupportedError(argument="family", expected="Bernoulli", got=shown(settings.family))
    if not (settings.rule.forgets or isinstance(settings.rule, Kalman)):
        raise UnsupportedError(argument="rule", expected="Kalman() or plain Fading", got=shown(settings.rule))
    model = replace(cast(Linear, settings.model), n_outputs=2)
    first, second = (_places(model, slice(j, j + 1), slice(None)) for j in range(2))

    def split(theta: Array) -> Array:
        both = np.empty(model.n_parameters)
        both[first], both[second] = -theta / 2, theta / 2
        return both

    def joined(same: Array, other: Array | None = None) -> Array:
        """Each class has `same` of its own, (p,) or (p, p), and (p, p) `other` in common with the other one."""
        whole = np.zeros((model.n_parameters,) * same.ndim)
        for a, b in ((first, second), (second, first)):
            whole[a if same.ndim == 1 else np.ix_(a, a)] = same
            if other is not None:
                whole[np.ix_(a, b)] = other
        return whole

    prior = np.asarray(settings.belief.prior_variance)
    half = joined(prior / 2) if prior.ndim else float(prior) / 2
    made = _settings(settings, model, Categorical(2), split(settings.theta), half, settings.feature_names)
    state = {name: part for name, part in flt._state().items() if name not in ("U", "D")}
    state["theta"] = split(state["theta"].astype(np.float64)).astype(settings.float)
    if settings.belief.independent:
        state["V"] = joined(state["V"] / 2).astype(settings.float)
    else:
        P, P_0 = flt._covariance(), cast(Any, settings.belief).prior(settings.p)
        state["P"] = joined((P_0 + P) / 4, (P_0 - P) / 4).astype(settings.float)
    twin = type(flt)._from_settings(made)
    twin._set_state(state)
    twin._when = flt._when
    return twin


# -- what may grow


def _linear(settings: Settings, call: str) -> Settings:
    if not isinstance(settings.model, Linear):
        raise UnsupportedError(argument=call, expected="a linear model", got=shown(settings.model))
    return _growing(settings, call)


def _growing(settings: Settings, call: str) -> Settings:
    rule = settings.rule
    if not (isinstance(rule, (Kalman, Fading)) or (isinstance(rule, ProcessNoise) and np.ndim(rule.Q) == 0)):
        expected = "Kalman(), Fading or ProcessNoise(number)"
        raise UnsupportedError(argument=call, expected=expected, got=shown(rule))
    return settings


def _longer(what: str, old: Sequence[str] | None, n: int, names: Any) -> tuple[str, ...] | None:
    """The names that there were, and the n new ones."""
    if old is None:
        if names is not None:
            raise ParameterError(argument="names", expected=f"None for a filter without {what}", got=shown(names))
        return None
    if isinstance(names, str) or not isinstance(names, Sequence) or len(names) != n:
        raise ShapeError(argument="names", expected=f"{n} names, as the filter has {what}", got=shown(names))
    return (*old, *names)


def input_weights(model: Model, values: Array) -> Array:
    """Of values (p,) those of the weights of inputs, (units, d)."""
    found: Array = next(part for name, part in model.split(values).items() if name in INPUTS)
    return found


def _places(larger: Linear, outputs: slice, features: slice) -> Indices:
    """Where the parameters of these outputs and features are in theta of the larger model, ascending."""
    parts = larger.split(np.arange(larger.n_parameters, dtype=np.float64))
    found = [parts["weight"][outputs, features].ravel()]
    if larger.intercept:
        found.append(parts["intercept"][outputs])
    return np.concatenate(found).astype(np.intp)


# -- the larger filter


def _grown(flt: AnyFilter, made: Settings, keep: Indices) -> AnyFilter:
    """The filter with these settings, its parameters at `keep`; the others are what their prior says."""
    twin = type(flt)._from_settings(made)
    twin._set_state(larger(flt._state(), twin._state(), keep))
    twin._when = flt._when
    return twin


def larger(old: State, fresh: State, keep: Indices) -> State:
    """The old numbers at `keep`, all others as in a fresh state; of many states at once (K, ...), too."""
    state, p = {}, len(fresh["theta"])
    for name, part in old.items():
        new = fresh[name]
        lead = part.shape[: part.ndim - new.ndim]
        if name in ("theta", "D", "V", "turns", "influence"):
            state[name] = np.array(np.broadcast_to(new, (*lead, *new.shape)))
            state[name][..., keep] = part
        elif name == "U":
            apart = np.zeros_like(new)  # nothing ties the new ones to the old
            fresh_ones = _packed(np.setdiff1d(np.arange(p), keep))
            apart[fresh_ones] = new[fresh_ones]
            state[name] = np.array(np.broadcast_to(apart, (*lead, *new.shape)))
            state[name][..., _packed(keep)] = part
        elif name == "P":
            state[name] = np.array(np.broadcast_to(new, (*lead, *new.shape)))
            state[name][..., keep[:, None], keep] = part
        elif name == "turn":
            state[name] = part.copy()
            state[name][..., 1] = keep[part[..., 1].astype(np.intp)]
        else:
            state[name] = part
    return state


def _packed(places: Indices) -> Indices:
    """Where the entries of U between these parameters, ascending, are in a state: strictly upper, column by column."""
    columns, rows = (places[index] for index in np.tril_indices(len(places), -1))
    return columns * (columns - 1) // 2 + rows


def _settings_of(
    settings: Settings, model: Model, family: Family, keep: Indices, prior_variance: Any, start: Array, names: Any
) -> Settings:
    """Of the larger filter, whose new parameters begin at `start` (p,) with their prior."""
    new = np.ones(len(start), dtype=bool)
    new[keep] = False
    prior = _prior(settings, keep, new, prior_variance)
    theta = start.copy()
    theta[keep] = settings.theta
    given = theta if settings.theta_given or theta.any() else None
    # Variances that are positive (which is looked at) beside a matrix that was looked at: no O(p³) for each that comes.
    blocks = np.ndim(prior) == 2 and np.ndim(prior_variance) < 2
    return _settings(settings, model, family, given, prior, names, blocks)


def _prior(settings: Settings, keep: Indices, new: NDArray[np.bool_], value: Any) -> Any:
    """prior_variance of the larger filter; `value` is that of the new parameters, or their covariance."""
    old = settings.belief.prior_variance
    p, count = len(new), int(new.sum())
    diagonal = settings.belief.prior_diagonal(settings.p)
    if value is None:
        weights = input_weights(settings.model, diagonal)
        value = old if np.ndim(old) == 0 else float(np.median(weights if len(weights) else diagonal))
    elif not isinstance(value, (int, float)):
        value = real_array("prior_variance", value)
    if np.ndim(value) == 0:
        value = float(finite_array("prior_variance", value, ()))
        if np.ndim(old) == 0 and value == old:
            return old
    square = np.ndim(value) == 2
    variance = finite_array("prior_variance", value, (count, count) if square else np.shape(value) and (count,))
    if not square and np.ndim(old) < 2:
        prior: Array = np.empty(p)
        prior[keep], prior[new] = diagonal, variance
        return prior
    prior = np.zeros((p, p))
    prior[np.ix_(keep, keep)] = old if np.ndim(old) == 2 else np.diag(diagonal)
    prior[np.ix_(new, new)] = variance if square else np.diag(np.broadcast_to(variance, (count,)))
    return prior


def _settings(
    settings: Settings,
    model: Model,
    family: Family,
    theta: Array | None,
    prior: Any,
    names: Any,
    definite: bool = False,
) -> Settings:
    """Everything is checked again: a larger model may be too large."""
    belief = replace(cast(Any, settings.belief), prior_variance=prior)
    if definite:
        object.__setattr__(belief, "_definite", True)
    return Settings.build(
        model,
        family,
        belief=belief,
        rule=settings.rule,
        guards=settings.guards,
        theta=theta,
        sensitivity=settings.sensitivity,
        state=settings.state if settings.state_given else None,
        iterations=settings.iterations,
        robust=settings.robust,
        evidence=settings.evidence,
        dtype=settings.dtype,
        num_threads=settings.num_threads,
        feature_names=names,
        categories=settings.categories,
        class_names=settings.class_names,
        seed=settings.seed,
    )
