"""Learning rate and forgetting are one thing: the conversions of `NaturalGradient(eta)` and `Fading(lam)`, both ways.

    1/eta_t = 1 + (1 - lam_t)/eta_{t-1},      lam_t = 1 + eta_{t-1} - eta_{t-1}/eta_t,      P_0 = eta_0·J_0^-1

A filter that forgets lam_t before its t-th row is the natural gradient with learning and metric rate eta_t, both from the
same theta_0. Without forgetting eta_t = 1/(t + 1/eta_0): J_0 stands for 1/eta_0 rows. A schedule is a Kalman filter if and
only if all its lam_t lie in [0, 1). Source: Ollivier 2018, arXiv 1703.00209.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _validate
from .errors import ParameterError, ShapeError

Float = NDArray[np.float64]
ROUNDING = 64 * float(np.finfo(np.float64).eps)
"""What lam_t = 1 - (1-lam_t), computed from rounded rates, may be off by; relative to 1, which is its scale."""


def forgetting_to_learning_rate(forgetting: Any, initial: Any) -> Float:
    """eta_1 ... eta_n of the natural gradient that forgets lam_1 ... lam_n.

    Parameters
    ----------
    forgetting : (n,)
        lam_t in [0, 1) of each row; for a `Fading` filter 1 - (1-lam)^dt_t.
    initial : float > 0
        eta_0, by which P_0 = eta_0·J_0^-1.

    Returns
    -------
    (n,)

    Raises
    ------
    ParameterError
        A lam_t outside [0, 1); it says which. ShapeError, NonFiniteError, DtypeError.

    Examples
    --------
    >>> forgetting_to_learning_rate([0.0, 0.0, 0.0], 1.0)  # no forgetting: 1/(t + 1)
    array([0.5       , 0.33333333, 0.25      ])
    """
    lam, before = _series("forgetting", forgetting), _validate.positive("initial", initial)
    wrong = np.flatnonzero((lam < 0) | (lam >= 1))
    if len(wrong):
        got = f"{lam[wrong[0]]:.6g} at t = {wrong[0] + 1}"
        raise ParameterError(argument="forgetting", expected="numbers in [0, 1)", got=got)
    eta = np.empty_like(lam)
    for t, kept in enumerate(1 - lam):
        before = eta[t] = 1 / (1 + kept / before)
    return eta


def learning_rate_to_forgetting(learning_rate: Any, initial: Any) -> Float:
    """lam_1 ... lam_n of the Kalman filter that the natural gradient with rates eta_1 ... eta_n is.

    Parameters
    ----------
    learning_rate : (n,)
        eta_t > 0 of each row that learns, the metric rate with it.
    initial : float > 0
        eta_0: the schedule at t = 0.

    Returns
    -------
    (n,), in [0, 1)

    Raises
    ------
    ParameterError
        The schedule is no Kalman filter: it says at which t, and why. c/t with eta_0 = 1 would forget everything at
        t = 1; c/(t+c) with c < 1, from eta_0 = 1, would have to unforget. ShapeError, NonFiniteError, DtypeError.

    Examples
    --------
    >>> learning_rate_to_forgetting([0.1, 0.1, 0.1], 0.1)  # a constant rate forgets at that rate
    array([0.1, 0.1, 0.1])
    """
    eta, initial = _series("learning_rate", learning_rate), _validate.positive("initial", initial)
    if (eta <= 0).any():
        t = int(np.flatnonzero(eta <= 0)[0])
        raise ParameterError(argument="learning_rate", expected="numbers > 0", got=f"{eta[t]:.6g} at t = {t + 1}")
    before = np.concatenate([[initial], eta[:-1]])
    with np.errstate(over="ignore"):
        lam = 1 - before * (1 - eta) / eta
    wrong = np.flatnonzero((eta >= 1) | (lam < -ROUNDING))
    if len(wrong):
        raise _no_kalman_filter(int(wrong[0]) + 1, float(eta[wrong[0]]), float(before[wrong[0]]), float(lam[wrong[0]]))
    return np.maximum(lam, 0.0)


def _no_kalman_filter(t: int, eta: float, before: float, lam: float) -> ParameterError:
    if eta >= 1:
        why = "from 1 on, the row forgets everything before it"
        expected = f"learning rates below 1: {why}"
    else:
        why = f"below 1/(1 + 1/eta_{t - 1}) = {before / (1 + before):.6g} the filter would have to unforget"
        expected = f"rates that fall no faster than without forgetting: {why}"
    got = f"eta_{t} = {eta:.6g} after eta_{t - 1} = {before:.6g}, forgetting {lam:.6g} at t = {t}: no Kalman filter"
    return ParameterError(argument="learning_rate", expected=expected, got=got)


def _series(argument: str, value: Any) -> Float:
    array = _validate.finite_array(argument, value)
    if array.ndim != 1:
        raise ShapeError(argument=argument, expected="(n,)", got=array.shape)
    return array


__all__ = ["forgetting_to_learning_rate", "learning_rate_to_forgetting"]
