"""A filter's components checked against one another, and what an unknown initial state does to the belief."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np

from . import _validate as check
from ._validate import Array
from .errors import (
    NonFiniteError,
    NotPositiveDefiniteError,
    ParameterError,
    ShapeError,
    UnsupportedError,
)
from .reference.belief import Belief, Full, Point
from .reference.belief.base import prior_field
from .reference.family import Family, Gaussian
from .reference.model import Model, Recurrent
from .reference.robust import Robust, named
from .reference.rule import NaturalGradient, Rule
from .reference.sensitivity import RTRL, Sensitivity

MAX_PARAMETERS = 2**26
MAX_OUTPUTS = 2**13
MAX_STATE = 2**13


def fit_family(model: Model, family: Family) -> None:
    needed = family.outputs_needed()
    if needed is not None and model.outputs != needed:
        raise ShapeError(
            argument="family",
            expected=f"a model with {needed} output(s) for {type(family).__name__}",
            got=model.outputs,
        )


def fit_rule(rule: Rule, family: Family, k: int, evidence: bool) -> None:
    if rule.needs_known_noise and family.noise_scales(k):
        raise UnsupportedError(argument="rule", expected="a known noise variance with this rule", got=repr(rule)[:80])
    if evidence and not rule.has_posterior:
        raise UnsupportedError(argument="evidence", expected="a rule with a posterior covariance", got=repr(rule)[:80])


def fit_iterations(value: Any, model: Model, rule: Rule) -> int | str:
    if isinstance(value, str):
        check.choice("iterations", value, ("implicit",))
        if not model.linear or model.outputs != 1:
            raise UnsupportedError(argument="iterations", expected="a linear model of one output", got=repr(model)[:80])
    elif check.integer("iterations", value, low=1) == 1:
        return 1
    elif model.inputs is None or model.recurrent:
        raise UnsupportedError(
            argument="iterations", expected="a model that can be linearised again", got=repr(model)[:80]
        )
    if not rule.has_posterior:
        raise UnsupportedError(
            argument="iterations", expected="a rule with a posterior covariance", got=repr(rule)[:80]
        )
    return value if isinstance(value, str) else int(value)


def fit_robust(value: Any, family: Family, rule: Rule, iterations: int | str) -> Robust | None:
    """Of other families no weight is known that keeps the promises made of a Gaussian's: the paper leaves it open."""
    robust = named(value)
    if robust is None:
        return None
    if not isinstance(family, Gaussian):
        raise UnsupportedError(argument="robust", expected="None with a family that is no Gaussian", got=repr(robust))
    if rule.gradient:
        raise UnsupportedError(argument="robust", expected="None with a gradient rule", got=repr(robust))
    if iterations != 1:
        raise UnsupportedError(argument="robust", expected="None with iterations", got=repr(robust))
    return robust


def parameter_count(model: Model, belief: Belief) -> int:
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


def fit_dtype(
    theta: Array, belief: Belief | Any, dtype: str, names: tuple[str, str] = ("theta", "prior_variance")
) -> None:
    """theta_0 and the prior must survive the filter's dtype: 1e300 is infinite and 1e-300 zero in float32."""
    variance = belief.prior_variance if isinstance(belief, Belief) else belief
    with np.errstate(over="ignore", under="ignore"):
        start, prior = theta.astype(dtype), np.asarray(variance).astype(dtype)
    for name, array in zip(names, (start, prior), strict=True):
        if not np.isfinite(array).all():
            raise NonFiniteError(argument=name, expected=f"finite numbers in {dtype}", got="overflow")
    if not ((np.diagonal(prior) if prior.ndim == 2 else prior) > 0).all():
        raise ParameterError(argument=names[1], expected=f"variances > 0 in {dtype}", got="underflow to 0")


# -- gradient rules and recurrent models


def fit_belief(belief: Belief, rule: Rule) -> Belief:
    """Gradient rules bring the belief that there is none; nobody else can do with it."""
    if not rule.gradient:
        if isinstance(belief, Point):
            raise UnsupportedError(argument="belief", expected="a gradient rule with Point()", got=repr(rule)[:80])
        return belief
    if belief not in (Full(), Point()):
        raise UnsupportedError(
            argument="belief", expected="none (a gradient rule brings Point())", got=repr(belief)[:80]
        )
    return Point()


def fit_sensitivity(sensitivity: Any, model: Model, rule: Rule) -> Sensitivity | None:
    """The sensitivity of a recurrent model; None for every other."""
    if not isinstance(model, Recurrent):
        if sensitivity is not None:
            raise UnsupportedError(
                argument="sensitivity", expected="None (the model has no state)", got=repr(sensitivity)[:80]
            )
        return None
    if model.state_size > MAX_STATE:  # n x n matrices are made for every row
        raise ParameterError(argument="model", expected=f"a state of at most {MAX_STATE}", got=model.state_size)
    sensitivity = RTRL() if sensitivity is None else sensitivity
    if sensitivity.random and not rule.gradient:
        expected = (
            "with a random ds a gradient rule, SGD or Adam (E[ds'ds] is inflated: a Fisher matrix made of it is wrong)"
        )
        raise UnsupportedError(argument="sensitivity", expected=expected, got=repr(rule)[:80])
    if sensitivity.needs_patterns and model.inputs is None:
        raise UnsupportedError(
            argument="sensitivity", expected="a model whose structure is known", got=repr(model)[:80]
        )
    return sensitivity


def fit_state(state: Any, model: Model) -> Array:
    """s_0, or its prior mean: (n,), 0 unless given."""
    if not model.recurrent and state is not None:
        raise UnsupportedError(argument="state", expected="None (the model has no state)", got=type(state).__name__)
    return check.finite_array("state", np.zeros(model.state_size) if state is None else state, (model.state_size,))


def fit_state_prior(state_prior: Any, model: Model, belief: Belief, rule: Rule) -> float | Array | None:
    """The covariance of an unknown s_0: a number, (n,) or (n, n); None where s_0 is known."""
    if state_prior is None:
        return None
    n = model.state_size
    if not model.recurrent:
        raise UnsupportedError(
            argument="state_prior", expected="None (the model has no state)", got=type(state_prior).__name__
        )
    if rule.gradient or isinstance(rule, NaturalGradient):
        raise UnsupportedError(
            argument="state_prior",
            expected="None with this rule: it has no fixed scale for a prior",
            got=repr(rule)[:80],
        )
    value = prior_field(state_prior, (1, 2), "state_prior")
    if np.ndim(value) and len(cast(Array, value)) != n:
        raise ShapeError(argument="state_prior", expected=f"a number, ({n},) or ({n}, {n})", got=np.shape(value))
    if np.ndim(value) == 2:
        if belief.independent:
            raise UnsupportedError(
                argument="state_prior", expected="a number or (n,) with a diagonal belief", got=np.shape(value)
            )
        try:
            np.linalg.cholesky(value)
        except np.linalg.LinAlgError:
            raise NotPositiveDefiniteError(
                argument="state_prior", expected="a positive definite matrix", got="one that is not"
            ) from None
    return value


def joined(first: Any, n: int, second: Any, p: int) -> Array:
    """The covariance of (s_0, theta), independent of one another: (n + p,), or (n + p, n + p) where one has two dimensions."""
    if max(np.ndim(first), np.ndim(second)) < 2:
        return np.concatenate([np.broadcast_to(first, (n,)), np.broadcast_to(second, (p,))]).astype(np.float64)
    whole = np.zeros((n + p, n + p))
    for block, size, start in ((first, n, 0), (second, p, n)):
        part = block if np.ndim(block) == 2 else np.diag(np.broadcast_to(block, (size,)))
        whole[start : start + size, start : start + size] = part
    return whole


def belief_of_phi(belief: Belief, state_prior: float | Array | None, n: int, p: int) -> Belief:
    """The belief about phi = (s_0, theta), with its prior in whole."""
    if state_prior is None:
        return belief
    made: Belief = replace(cast(Any, belief), prior_variance=joined(state_prior, n, belief.prior_variance, p))
    return made
