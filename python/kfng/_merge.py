"""Filters that learned apart, as one: information adds, what they had in common is counted once.

    J = sum_i J_i - (m-1)·J_0,      J (theta - theta_0) = sum_i J_i (theta_i - theta_0)

with theta_0, J_0 what all m filters started from. Exact for linear Gaussian models; elsewhere each filter's Gaussian
belief is taken as it is, linearised along its own path. A learned noise variance adds too (conjugate algebra):

    a = sum_i a_i - (m-1)·a_0,
    b = sum_i b_i - (m-1)·b_0 + 1/2·[sum_i r_i'J_i r_i - r'J r],   r_i = theta_i - theta_0, r = theta - theta_0
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ._filter_base import FilterBase
from ._settings import Settings
from ._validate import listed
from .errors import NotPositiveDefiniteError, ParameterError, UnsupportedError
from .reference.belief import Full
from .reference.rule import Kalman

AnyFilter = TypeVar("AnyFilter", bound=FilterBase)
Float = NDArray[np.float64]
State = dict[str, NDArray[Any]]


def merge(models: Iterable[AnyFilter], prior: AnyFilter | None = None) -> AnyFilter:
    """One filter that knows what m filters learned, each from rows of its own.

    Parameters
    ----------
    models : filters
        Of equal settings, with rule `Kalman()` and a full belief. They are not changed.
    prior : filter, optional
        What all of them started from, if that is not the state of a new filter: the filter they were copied from.

    Returns
    -------
    A filter of the first one's kind. Counters and gauges add; O(m·p³).

    Raises
    ------
    ParameterError
        No models, or something that is no filter.
    UnsupportedError
        Settings that differ (it names which), forget, or sum an evidence (that of one pass is no sum); noise variances
        of each output, which are approximate to begin with and have no algebra that adds them.
    NotPositiveDefiniteError
        The models know less together than `prior`: they did not start from it.
    """
    filters = _filters("models", models)
    if prior is not None:
        _filters("prior", [prior])
    settings = filters[0].settings
    start: FilterBase = type(filters[0])._from_settings(settings) if prior is None else prior
    _refuse(settings, [flt.settings for flt in (*filters, start)])
    states, before = [flt._state() for flt in filters], start._state()
    merged = filters[0].copy()
    merged._set_state(_added(settings, states, before, [_precision(flt) for flt in filters], _precision(start)))
    return merged


def _filters(argument: str, models: Any) -> list[Any]:
    found = listed(models) if isinstance(models, Iterable) else [models]
    wrong = [type(flt).__name__ for flt in found if not isinstance(flt, FilterBase)]
    if wrong or not found:
        raise ParameterError(argument=argument, expected="filters", got=wrong[0] if wrong else "none")
    return found


def _refuse(settings: Settings, others: list[Settings]) -> None:
    if not isinstance(settings.rule, Kalman):
        raise UnsupportedError(
            argument="rule", expected="Kalman(): what is forgotten does not add", got=repr(settings.rule)
        )
    if settings.sensitivity is not None:
        raise UnsupportedError(argument="model", expected="a model without a state", got=repr(settings.model)[:80])
    if not isinstance(settings.belief, Full):
        raise UnsupportedError(argument="belief", expected="Full", got=type(settings.belief).__name__)
    if settings.family.noise_scales(settings.k) and not settings.family.relative:
        expected = "a known noise variance, or one for all outputs: those of each output do not add"
        raise UnsupportedError(argument="family", expected=expected, got=repr(settings.family)[:80])
    if any(other.evidence for other in others):
        raise UnsupportedError(argument="evidence", expected="filters made with evidence=False", got=True)
    for other in others:
        for name in (
            "model",
            "family",
            "belief",
            "rule",
            "robust",
            "dtype",
            "feature_names",
            "categories",
            "class_names",
        ):
            mine, its = getattr(settings, name), getattr(other, name)
            if mine != its:
                raise UnsupportedError(argument=name, expected=f"the same in all: {mine!r}", got=repr(its)[:80])
        if not np.array_equal(settings.theta, other.theta):
            expected = "the same theta_0 in all (copies of one filter from `from_rows`)"
            raise UnsupportedError(argument="theta", expected=expected, got="another")


def _precision(flt: FilterBase) -> Float:
    """J (p, p), relative to sigma² where that is learned."""
    U, D = flt._factors()
    if not (D > 0).all():
        raise NotPositiveDefiniteError(argument="models", expected="covariances of full rank", got="one that is not")
    inverse = np.linalg.solve(U, np.eye(len(D)))
    J: Float = (inverse.T / D) @ inverse
    return J


def _added(settings: Settings, states: list[State], before: State, Js: list[Float], J_0: Float) -> State:
    """The state that holds what all states hold, and what was before them once."""
    extra = len(states) - 1
    theta_0 = before["theta"].astype(np.float64)
    away = [state["theta"].astype(np.float64) - theta_0 for state in states]
    J = sum(Js) - extra * J_0
    try:
        root = np.linalg.cholesky(J)
    except np.linalg.LinAlgError:
        expected = "models that all learned from the same start"
        raise NotPositiveDefiniteError(
            argument="prior", expected=expected, got="a precision that is not positive"
        ) from None
    half = np.linalg.solve(root, np.eye(len(J)))
    P = half.T @ half
    r = P @ sum(J_i @ r_i for J_i, r_i in zip(Js, away, strict=True))
    result = {
        name: sum(state[name] for state in states) - extra * before[name] for name in ("counters", "clock", "noise")
    }
    if result["noise"].size:
        squares = sum(float(r_i @ J_i @ r_i) for J_i, r_i in zip(Js, away, strict=True)) - float(r @ J @ r)
        result["noise"] = result["noise"] + np.array([[0.0], [squares / 2]])
    gauges = sum(state["gauges"] for state in states) - extra * before["gauges"]
    gauges[2] = max(state["gauges"][2] for state in states)
    if settings.robust is not None:
        result["robust"] = sum(state["robust"] for state in states) - extra * before["robust"]
    if settings.family.covers:  # the last rows of all are nobody's last rows: it begins again
        result["coverage"] = np.zeros(1)
    result |= {"gauges": gauges, "y_stats": _moments(states, before), "evidence": np.zeros(1)}
    result |= {"theta": (theta_0 + r).astype(settings.float), "P": ((P + P.T) / 2).astype(settings.float)}
    return result


def _moments(states: list[State], before: State) -> Float:
    """W, mean, M2 of y (3, k or 0) in all rows: sums about one point add."""
    centre = before["y_stats"][1]
    weights = [1.0] * len(states) + [1.0 - len(states)]
    total = np.zeros_like(before["y_stats"])
    for sign, (W, mean, M2) in zip(weights, [*(state["y_stats"] for state in states), before["y_stats"]], strict=True):
        total += sign * np.array([W, W * (mean - centre), M2 + W * (mean - centre) ** 2])
    W, first, second = total
    shift = np.divide(first, W, out=np.zeros_like(W), where=W > 0)
    return np.array([W, np.where(W > 0, centre + shift, 0.0), np.maximum(second - W * shift**2, 0.0)])


__all__ = ["merge"]
