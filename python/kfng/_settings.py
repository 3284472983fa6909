"""Everything about a filter that never changes: its components and constants, checked together once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from . import _validate as check
from ._component import Arrays, Component, Spec, component_from_spec
from ._validate import Array
from .errors import (
    BadHeaderError,
    DtypeError,
    NonFiniteError,
    ParameterError,
    ShapeError,
    UnsupportedError,
)
from .reference.belief import BELIEFS, Belief, Full
from .reference.family import FAMILIES, Family
from .reference.guards import Guards
from .reference.model import MODELS, Model
from .reference.rule import RULES, Kalman, Rule

Number = float  # Settings has a field of that name
MAX_PARAMETERS = 2**26
MAX_OUTPUTS = 2**13
AXES: dict[str, Mapping[str, type[Component]]] = {
    "model": MODELS,
    "family": FAMILIES,
    "belief": BELIEFS,
    "rule": RULES,
    "guards": {"Guards": Guards},
}


@dataclass(frozen=True, eq=False)
class Settings:
    """A filter's specification; `spec()` and `arrays()` are its JSON form, the checkpoint header's and the core's input."""

    model: Model
    family: Family
    belief: Belief
    rule: Rule
    guards: Guards
    theta: Array
    """theta_0 (p,): where the filter starts and what forgetting may pull towards."""
    evidence: bool
    dtype: str
    num_threads: int | None
    feature_names: tuple[str, ...] | None
    seed: int
    theta_given: bool
    iterations: int | str = 1
    """Linearisations of a row, or 'implicit'."""

    @classmethod
    def build(
        cls,
        model: Any,
        family: Any,
        *,
        belief: Any = None,
        rule: Any = None,
        sensitivity: Any = None,
        guards: Any = None,
        theta: Any = None,
        state: Any = None,
        state_prior: Any = None,
        iterations: Any = 1,
        robust: Any = None,
        evidence: Any = False,
        dtype: Any = "float64",
        num_threads: Any = None,
        feature_names: Any = None,
        seed: Any = 0,
    ) -> Self:
        """Check the arguments of `Filter` one by one, then against one another."""
        _component("model", model, Model)
        _component("family", family, Family)
        belief = _component("belief", Full() if belief is None else belief, Belief)
        rule = _component("rule", Kalman() if rule is None else rule, Rule)
        guards = _component("guards", Guards() if guards is None else guards, Guards)
        for name, value in (("sensitivity", sensitivity), ("state", state), ("state_prior", state_prior)):
            if value is not None:
                raise UnsupportedError(
                    argument=name, expected="None (the model has no state)", got=type(value).__name__
                )
        iterations = _iterations(iterations, model, rule)
        if robust is not None:
            raise UnsupportedError(argument="robust", expected="None", got=repr(robust))
        _fit(model, family)
        evidence = check.flag("evidence", evidence)
        p = _parameter_count(model, belief)
        dtype = _dtype_name(dtype)
        seed = check.integer("seed", seed, high=2**63 - 1)
        belief.check(p)
        rule.check(p)
        belief.check_diffusion(rule.diffusion)
        _fit_rule(rule, family, model.outputs, bool(evidence))
        theta_0 = model.initial_theta(seed) if theta is None else check.finite_array("theta", theta, (p,))
        fit_dtype(theta_0, belief, dtype)
        return cls(
            model=model,
            family=family,
            belief=belief,
            rule=rule,
            guards=guards,
            theta=theta_0,
            evidence=bool(evidence),
            dtype=dtype,
            num_threads=None if num_threads is None else check.integer("num_threads", num_threads, low=1, high=1024),
            feature_names=_names(feature_names, model),
            seed=seed,
            theta_given=theta is not None,
            iterations=iterations,
        )

    # -- sizes used everywhere
    @property
    def p(self) -> int:
        return len(self.theta)

    @property
    def k(self) -> int:
        return self.model.outputs

    @property
    def float(self) -> np.dtype[Any]:
        return np.dtype(self.dtype)

    @property
    def y_width(self) -> int:
        return self.family.y_width(self.k)

    @property
    def mean_shape(self) -> tuple[int, ...]:
        return self.family.mean_shape(self.k)

    @property
    def z_clamp(self) -> Number | None:
        return self.guards.z_clamp_for(self.family.link, self.dtype)

    @property
    def step_clip(self) -> Number | None:
        return self.guards.step_clip_for(self.family.link)

    # -- JSON form
    def spec(self) -> Spec:
        """Plain JSON values; arrays stand as {"shape": [...]} and are found in `arrays()`."""
        return self._spec({axis: getattr(self, axis).spec() for axis in AXES})

    def _spec(self, parts: Spec) -> Spec:
        optional = {} if self.iterations == 1 else {"iterations": self.iterations}
        return parts | optional | {
            "theta": {"shape": [self.p]} if self.theta_given else None,
            "evidence": self.evidence,
            "dtype": self.dtype,
            "num_threads": self.num_threads,
            "feature_names": None if self.feature_names is None else list(self.feature_names),
            "seed": self.seed,
        }  # fmt: skip

    def arrays(self) -> Arrays:
        """Arrays of the spec by dotted name ('belief.prior_variance', 'theta'); float64, C-order."""
        found = {}
        for axis in AXES:
            for name, array in getattr(self, axis).core_arrays().items():
                found[f"{axis}.{name}"] = np.ascontiguousarray(array, dtype=np.float64)
        return found | ({"theta": self.theta} if self.theta_given else {})

    def core_json(self) -> str:
        """What the core parses: the spec, with theta_0 always given."""
        parts = {axis: getattr(self, axis).core_spec() for axis in AXES}
        return json.dumps(self._spec(parts) | {"theta": {"shape": [self.p]}}, allow_nan=False)

    def core_arrays(self) -> Arrays:
        return self.arrays() | {"theta": np.ascontiguousarray(self.theta, dtype=np.float64)}

    @classmethod
    def from_spec(cls, spec: Any, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The inverse of `spec()` and `arrays()`, for files of unknown origin: everything is checked again."""
        known = {*AXES, "theta", "evidence", "dtype", "num_threads", "feature_names", "seed"}
        if not isinstance(spec, dict) or set(spec) - {"iterations"} != known:
            got = sorted(spec) if isinstance(spec, dict) else type(spec).__name__
            raise BadHeaderError(argument="spec", expected=sorted(known), got=got)
        parts = {}
        for axis, names in AXES.items():
            own = {name.partition(".")[2]: array for name, array in arrays.items() if name.startswith(f"{axis}.")}
            parts[axis] = component_from_spec(axis, names, spec[axis], own)
        rest = {name: value for name, value in spec.items() if name not in AXES and name != "theta"}
        if (spec["theta"] is None) == ("theta" in arrays):
            raise BadHeaderError(argument="theta", expected="an array where the spec names one", got=spec["theta"])
        return cls.build(parts.pop("model"), parts.pop("family"), theta=arrays.get("theta"), **parts, **rest)

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments that differ from Filter's defaults, for the repr."""
        defaults: dict[str, Any] = {"belief": Full(), "rule": Kalman(), "guards": Guards(), "evidence": False}
        defaults |= {"iterations": 1, "dtype": "float64", "num_threads": None, "seed": 0}
        shown = {name: getattr(self, name) for name in defaults if getattr(self, name) != defaults[name]}
        if self.theta_given:
            shown["theta"] = self.theta.tolist()
        return shown if self.feature_names is None else shown | {"feature_names": list(self.feature_names)}


def _component(axis: str, value: Any, base: type[Any]) -> Any:
    if not isinstance(value, base):
        hint = " (an instance, not the class)" if isinstance(value, type) else ""
        raise ParameterError(argument=axis, expected=f"one of kfng's components: {axis}{hint}", got=repr(value)[:80])
    return value


def _fit(model: Model, family: Family) -> None:
    needed = family.outputs_needed()
    if needed is not None and model.outputs != needed:
        raise ShapeError(
            argument="family",
            expected=f"a model with {needed} output(s) for {type(family).__name__}",
            got=model.outputs,
        )


def _fit_rule(rule: Rule, family: Family, k: int, evidence: bool) -> None:
    if rule.needs_known_noise and family.noise_scales(k):
        raise UnsupportedError(argument="rule", expected="a known noise variance with this rule", got=repr(rule)[:80])
    if evidence and not rule.has_posterior:
        raise UnsupportedError(argument="evidence", expected="a rule with a posterior covariance", got=repr(rule)[:80])


def _iterations(value: Any, model: Model, rule: Rule) -> int | str:
    if isinstance(value, str):
        check.choice("iterations", value, ("implicit",))
        if not model.linear or model.outputs != 1:
            raise UnsupportedError(argument="iterations", expected="a linear model of one output", got=repr(model)[:80])
    elif check.integer("iterations", value, low=1) == 1:
        return 1
    elif model.inputs is None:
        raise UnsupportedError(
            argument="iterations", expected="a model that can be linearised again", got=repr(model)[:80]
        )
    if not rule.has_posterior:
        raise UnsupportedError(
            argument="iterations", expected="a rule with a posterior covariance", got=repr(rule)[:80]
        )
    return value if isinstance(value, str) else int(value)


def _parameter_count(model: Model, belief: Belief) -> int:
    p, limit = model.n_parameters, min(MAX_PARAMETERS, belief.max_parameters)
    if p > limit:
        raise ParameterError(
            argument="model", expected=f"at most {limit} parameters with {type(belief).__name__}", got=f"{p} parameters"
        )
    if model.outputs > MAX_OUTPUTS:  # k x k matrices are made for every row
        raise ParameterError(
            argument="model", expected=f"at most {MAX_OUTPUTS} outputs", got=f"{model.outputs} outputs"
        )
    return p


def fit_dtype(theta: Array, belief: Belief, dtype: str) -> None:
    """theta_0 and the prior must survive the filter's dtype: 1e300 is infinite and 1e-300 zero in float32."""
    with np.errstate(over="ignore", under="ignore"):
        start, prior = theta.astype(dtype), np.asarray(belief.prior_variance).astype(dtype)
    for name, array in (("theta", start), ("prior_variance", prior)):
        if not np.isfinite(array).all():
            raise NonFiniteError(argument=name, expected=f"finite numbers in {dtype}", got="overflow")
    if not ((np.diagonal(prior) if prior.ndim == 2 else prior) > 0).all():
        raise ParameterError(argument="prior_variance", expected=f"variances > 0 in {dtype}", got="underflow to 0")


def _dtype_name(dtype: Any) -> str:
    try:
        name = np.dtype(dtype).name
    except TypeError:
        name = repr(dtype)
    if dtype is None or name not in ("float64", "float32"):
        raise DtypeError(argument="dtype", expected="'float64' or 'float32'", got=repr(dtype))
    return name


def _names(names: Any, model: Model) -> tuple[str, ...] | None:
    if names is None:
        return None
    if isinstance(names, str) or not isinstance(names, (Sequence, np.ndarray)):
        raise ParameterError(argument="feature_names", expected="a list of strings", got=repr(names)[:80])
    result = tuple(str(name) if isinstance(name, str) else name for name in names)
    if not all(isinstance(name, str) for name in result):
        raise ParameterError(argument="feature_names", expected="a list of strings", got=repr(names)[:80])
    if len(set(result)) != len(result):
        raise ParameterError(argument="feature_names", expected="different names", got="a name twice")
    if len(result) != model.inputs:
        raise ShapeError(argument="feature_names", expected=f"({model.inputs},)", got=(len(result),))
    return result
