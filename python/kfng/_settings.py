"""Everything about a filter that never changes: its components and constants, checked together once."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from . import _fit
from . import _validate as check
from ._component import Arrays, Component, Spec, component_from_spec
from ._fit import fit_dtype
from ._validate import Array
from .errors import BadHeaderError, DtypeError, ParameterError, ShapeError, shown
from .reference.belief import BELIEFS, Belief, Full
from .reference.family import FAMILIES, Family
from .reference.guards import Guards
from .reference.model import MODELS, Model
from .reference.robust import ROBUST, Robust
from .reference.rule import RULES, Kalman, Rule
from .reference.sensitivity import RTRL, SENSITIVITIES, Sensitivity

Number = float  # Settings has a field of that name
MAX_THREADS = 1024
THREADS_VARIABLE = "KFNG_NUM_THREADS"
AXES: dict[str, Mapping[str, type[Component]]] = {
    "model": MODELS,
    "family": FAMILIES,
    "belief": BELIEFS,
    "rule": RULES,
    "guards": {"Guards": Guards},
}
OPTIONAL = ("iterations", "robust", "sensitivity", "state", "state_prior", "categories", "class_names")
"""Keys that a spec has only where they say something."""


class Derived:
    """What follows from the family, the guards and the dtype of a filter's settings."""

    if TYPE_CHECKING:  # fields of the settings

        @property
        def family(self) -> Family: ...
        @property
        def guards(self) -> Guards: ...
        @property
        def dtype(self) -> str: ...
        @property
        def k(self) -> int: ...

    robust: Robust | None = None
    """What a filter has that takes no such argument."""

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


@dataclass(frozen=True, eq=False)
class Settings(Derived):
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
    sensitivity: Sensitivity | None = None
    """None where the model has no state."""
    state: Array = field(default_factory=lambda: np.zeros(0))
    """s_0 (n,), or its mean where it is unknown."""
    state_given: bool = False
    state_prior: Number | Array | None = None
    """Covariance of an unknown s_0."""
    categories: tuple[str, ...] | None = None
    """Columns of tables that features `column=level` stand for."""
    robust: Robust | None = None
    """How rows that are far off are weighed."""
    class_names: tuple[str, ...] | None = None
    """What the classes of y are called, in their order."""

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
        categories: Any = None,
        class_names: Any = None,
        seed: Any = 0,
    ) -> Self:
        """Check the arguments of `Filter` one by one, then against one another."""
        _component("model", model, Model)
        _component("family", family, Family)
        belief = _component("belief", Full() if belief is None else belief, Belief)
        rule = _component("rule", Kalman() if rule is None else rule, Rule)
        guards = _component("guards", Guards() if guards is None else guards, Guards)
        if model.recurrent and sensitivity is not None:
            _component("sensitivity", sensitivity, Sensitivity)
        belief = _fit.fit_belief(belief, rule)
        sensitivity = _fit.fit_sensitivity(sensitivity, model, rule)
        iterations = _fit.fit_iterations(iterations, model, rule)
        robust = _fit.fit_robust(robust, family, rule, iterations)
        _fit.fit_family(model, family)
        evidence = check.flag("evidence", evidence)
        p = _fit.parameter_count(model, belief)
        dtype = _dtype_name(dtype)
        seed = check.integer("seed", seed, high=2**63 - 1)
        belief.check(p)
        rule.check(p)
        belief.check_diffusion(rule.diffusion)
        _fit.fit_rule(rule, family, model.outputs, bool(evidence))
        prior = _fit.fit_state_prior(state_prior, model, belief, rule)
        theta_0 = model.initial_theta(seed) if theta is None else check.finite_array("theta", theta, (p,))
        state_0 = _fit.fit_state(state, model)
        fit_dtype(theta_0, belief, dtype)
        fit_dtype(state_0, 1.0 if prior is None else prior, dtype, ("state", "state_prior"))
        return cls(
            model=model,
            family=family,
            belief=belief,
            rule=rule,
            guards=guards,
            theta=theta_0,
            evidence=bool(evidence),
            dtype=dtype,
            num_threads=None
            if num_threads is None
            else check.integer("num_threads", num_threads, low=1, high=MAX_THREADS),
            feature_names=_names(feature_names, model),
            categories=_categories(categories, feature_names),
            class_names=_class_names(class_names, family),
            seed=seed,
            theta_given=theta is not None,
            iterations=iterations,
            sensitivity=sensitivity,
            state=state_0,
            state_given=state is not None,
            state_prior=prior,
            robust=robust,
        )

    # -- sizes used everywhere
    @property
    def p(self) -> int:
        return len(self.theta)

    @property
    def n(self) -> int:
        """Length of the hidden state."""
        return len(self.state)

    @property
    def free(self) -> int:
        """How many entries of the initial state are unknown: n or 0."""
        return 0 if self.state_prior is None else self.n

    @property
    def size(self) -> int:
        """P, the length of phi = (the unknown s_0, theta), which the belief is about."""
        return self.free + self.p

    # -- what the belief is about
    @property
    def phi(self) -> Array:
        """Its mean before the first row, (P,)."""
        return np.concatenate([self.state, self.theta]) if self.free else self.theta

    @cached_property
    def belief_of_phi(self) -> Belief:
        """The belief with the prior of phi; `belief` has that of theta alone."""
        return _fit.belief_of_phi(self.belief, self.state_prior, self.n, self.p)

    @cached_property
    def diffusion(self) -> Any:
        """Q of phi: the initial state does not move."""
        Q = self.rule.diffusion
        return Q if Q is None or not self.free else _fit.joined(0.0, self.n, Q, self.p)

    @cached_property
    def structure(self) -> Any:
        """What the sensitivity needs to know of the model's structure."""
        return None if self.sensitivity is None else self.sensitivity.constants(self.model, self.free)  # type: ignore[arg-type]

    @property
    def k(self) -> int:
        return self.model.outputs

    @property
    def threads(self) -> int:
        """Threads that a call may use: `num_threads`, else KFNG_NUM_THREADS, else one."""
        if self.num_threads is not None:
            return self.num_threads
        text = os.environ.get(THREADS_VARIABLE, "").strip()
        if not text:
            return 1
        if not (text.isascii() and text.isdigit()):
            expected = f"an integer in [1, {MAX_THREADS}]"
            raise ParameterError(argument=THREADS_VARIABLE, expected=expected, got=shown(text))
        return check.integer(THREADS_VARIABLE, int(text[:9]), low=1, high=MAX_THREADS)

    # -- JSON form
    def spec(self) -> Spec:
        """Plain JSON values; arrays stand as {"shape": [...]} and are found in `arrays()`."""
        names = {name: list(own) for name in ("categories", "class_names") if (own := getattr(self, name)) is not None}
        return self._spec({axis: getattr(self, axis).spec() for axis in AXES}) | self._memory() | names

    def _spec(self, parts: Spec) -> Spec:
        optional: Spec = {} if self.iterations == 1 else {"iterations": self.iterations}
        if self.robust is not None:
            optional["robust"] = self.robust.spec()
        return parts | optional | {
            "theta": {"shape": [self.p]} if self.theta_given else None,
            "evidence": self.evidence,
            "dtype": self.dtype,
            "num_threads": self.num_threads,
            "feature_names": None if self.feature_names is None else list(self.feature_names),
            "seed": self.seed,
        }  # fmt: skip

    def _memory(self) -> Spec:
        """What only a recurrent model has."""
        if self.sensitivity is None:
            return {}
        prior = self.state_prior
        return {
            "sensitivity": self.sensitivity.spec(),
            "state": {"shape": [self.n]} if self.state_given else None,
            "state_prior": {"shape": list(prior.shape)} if isinstance(prior, np.ndarray) else prior,
        }

    def arrays(self) -> Arrays:
        """Arrays of the spec by dotted name ('belief.prior_variance', 'theta'); float64, C-order."""
        found = _component_arrays({axis: getattr(self, axis) for axis in AXES})
        if self.theta_given:
            found["theta"] = self.theta
        if self.state_given:
            found["state"] = self.state
        return found | ({"state_prior": self.state_prior} if isinstance(self.state_prior, np.ndarray) else {})

    # -- what the core is made from: theta_0, and for recurrent models s_0, always given, and the prior of all of phi
    def _core_parts(self) -> dict[str, Component]:
        parts: dict[str, Component] = {axis: getattr(self, axis) for axis in AXES} | {"belief": self.belief_of_phi}
        if self.free and self.diffusion is not None:
            parts["rule"] = replace(self.rule, Q=self.diffusion)  # type: ignore[type-var]
        return parts

    def core_json(self) -> str:
        """What the core parses."""
        parts = {axis: part.core_spec() for axis, part in self._core_parts().items()}
        spec = self._spec(parts) | {"theta": {"shape": [self.p]}}
        if self.sensitivity is not None:
            shape = None if self.state_prior is None else {"shape": list(self._state_prior().shape)}
            spec |= {"sensitivity": self.sensitivity.core_spec(), "state": {"shape": [self.n]}, "state_prior": shape}
        import json

        return json.dumps(spec, allow_nan=False)

    def core_arrays(self) -> Arrays:
        found = _component_arrays(self._core_parts()) | {"theta": np.ascontiguousarray(self.theta, dtype=np.float64)}
        if self.sensitivity is not None:
            found["state"] = np.ascontiguousarray(self.state, dtype=np.float64)
        return found | ({} if self.state_prior is None else {"state_prior": self._state_prior()})

    def _state_prior(self) -> Array:
        """(n,) or (n, n)."""
        prior = np.asarray(self.state_prior, dtype=np.float64)
        return np.full(self.n, float(prior)) if prior.ndim == 0 else np.ascontiguousarray(prior)

    @classmethod
    def from_spec(cls, spec: Any, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The inverse of `spec()` and `arrays()`, for files of unknown origin: everything is checked again."""
        known = {*AXES, "theta", "evidence", "dtype", "num_threads", "feature_names", "seed"}
        if not isinstance(spec, dict) or set(spec) - set(OPTIONAL) != known:
            got = sorted(spec) if isinstance(spec, dict) else type(spec).__name__
            raise BadHeaderError(argument="spec", expected=sorted(known), got=got)
        parts = {}
        more = {"sensitivity": SENSITIVITIES, "robust": ROBUST}
        for axis, known_kinds in (
            AXES | {name: kinds for name, kinds in more.items() if spec.get(name) is not None}
        ).items():
            own = {name.partition(".")[2]: array for name, array in arrays.items() if name.startswith(f"{axis}.")}
            parts[axis] = component_from_spec(axis, known_kinds, spec[axis], own)
        rest = {name: value for name, value in spec.items() if name not in parts}
        for name in ("theta", "state", "state_prior"):
            if (isinstance(rest.get(name), dict)) != (name in arrays):
                raise BadHeaderError(argument=name, expected="an array where the spec names one", got=rest.get(name))
            if name in arrays:
                rest[name] = arrays[name]
        if isinstance(rest["theta"], (int, float)):
            raise BadHeaderError(argument="theta", expected="an array, or null", got=rest["theta"])
        return cls.build(parts.pop("model"), parts.pop("family"), **parts, **rest)

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments that differ from Filter's defaults, for the repr."""
        defaults: dict[str, Any] = {"belief": Full(), "rule": Kalman(), "guards": Guards(), "evidence": False}
        defaults |= {"iterations": 1, "robust": None, "dtype": "float64", "num_threads": None, "seed": 0}
        if self.rule.gradient:
            del defaults["belief"]
        shown = {name: getattr(self, name) for name in defaults if getattr(self, name) != defaults[name]}
        if self.sensitivity not in (None, RTRL()):
            shown["sensitivity"] = self.sensitivity
        if self.theta_given:
            shown["theta"] = self.theta.tolist()
        if self.state_given:
            shown["state"] = self.state.tolist()
        if self.state_prior is not None:
            prior = self.state_prior
            shown["state_prior"] = prior.tolist() if isinstance(prior, np.ndarray) else prior
        for name in ("feature_names", "categories", "class_names"):
            if getattr(self, name) is not None:
                shown[name] = list(getattr(self, name))
        return shown


def _component_arrays(parts: Mapping[str, Component]) -> Arrays:
    found = {}
    for axis, part in parts.items():
        for name, array in part.core_arrays().items():
            found[f"{axis}.{name}"] = np.ascontiguousarray(array, dtype=np.float64)
    return found


def _component(axis: str, value: Any, base: type[Any]) -> Any:
    if not isinstance(value, base):
        hint = " (an instance, not the class)" if isinstance(value, type) else ""
        raise ParameterError(argument=axis, expected=f"one of kfng's components: {axis}{hint}", got=shown(value))
    return value


def _dtype_name(dtype: Any) -> str:
    try:
        name = np.dtype(dtype).name
    except Exception:  # whatever NumPy, or what it asks about itself, raises
        name = ""
    if dtype is None or name not in ("float64", "float32"):
        raise DtypeError(argument="dtype", expected="'float64' or 'float32'", got=shown(dtype, ascii))
    return name


def _names(names: Any, model: Model) -> tuple[str, ...] | None:
    if names is None:
        return None
    if isinstance(names, str) or not isinstance(names, (Sequence, np.ndarray)):
        raise ParameterError(argument="feature_names", expected="a list of strings", got=shown(names))
    # Interned as most keys of dicts are: a key that is the same object needs no comparison.
    result = tuple(sys.intern(str(name)) if isinstance(name, str) else name for name in names)
    if not all(isinstance(name, str) for name in result):
        raise ParameterError(argument="feature_names", expected="a list of strings", got=shown(names))
    if len(set(result)) != len(result):
        raise ParameterError(argument="feature_names", expected="different names", got="a name twice")
    if len(result) != model.inputs:
        raise ShapeError(argument="feature_names", expected=f"({model.inputs},)", got=(len(result),))
    return result


def _class_names(names: Any, family: Family) -> tuple[str, ...] | None:
    if names is None:
        return None
    n = {"Bernoulli": 2, "Categorical": getattr(family, "n_classes", None)}.get(type(family).__name__)
    if n is None:
        expected = "None but with Bernoulli and Categorical"
        raise ParameterError(argument="class_names", expected=expected, got=shown(family))
    if isinstance(names, (str, Mapping)) or not isinstance(names, (Sequence, np.ndarray)):
        raise ParameterError(argument="class_names", expected="a list of strings", got=shown(names))
    result = tuple(str(name) if isinstance(name, str) else name for name in names)
    if not all(isinstance(name, str) and name for name in result):
        raise ParameterError(argument="class_names", expected="a list of strings", got=shown(names))
    if len(set(result)) != len(result):
        raise ParameterError(argument="class_names", expected="different names", got="a name twice")
    if len(result) != n:
        raise ShapeError(argument="class_names", expected=f"({n},), a name for each class", got=(len(result),))
    return result


def _categories(names: Any, features: Any) -> tuple[str, ...] | None:
    """Columns whose levels are features: `column=level`."""
    if names is None:
        return None
    if isinstance(names, (str, Mapping)) or not isinstance(names, (Sequence, np.ndarray)):
        raise ParameterError(argument="categories", expected="a list of strings", got=shown(names))
    result = tuple(str(name) if isinstance(name, str) else name for name in names)
    if not all(isinstance(name, str) and name and "=" not in name for name in result):
        expected = "names of columns, without '='"
        raise ParameterError(argument="categories", expected=expected, got=shown(names))
    if len(set(result)) != len(result):
        raise ParameterError(argument="categories", expected="different names", got="a name twice")
    if features is None:
        raise ParameterError(argument="categories", expected="with feature_names", got="without")
    both = [name for name in result if name in features]
    if both:
        raise ParameterError(argument="categories", expected="names that are no features", got=shown(both[0]))
    return result or None
