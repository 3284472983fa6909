"""Where to start: the level of the output intercepts and a scale-free prior, read off the first rows.

With theta_0 = 0 a rare event or a count far from 1 leaves the intercept many posterior standard deviations off; with
unit priors a feature in small units hardly moves. Both follow from the first rows: the intercept starts at the link of
their mean, a weight's prior variance is Var(y in link units)/Var(feature). A recurrent model has its inputs centred and
scaled instead, and its readout in the units of y.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from . import _border
from ._fit import fit_dtype
from ._settings import Settings
from ._validate import Array, real_array
from .errors import ParameterError
from .reference.family import first_rows
from .reference.model import Cell
from .reference.model.base import Features


def start(settings: Settings, U: Any, Y: Any, weight: Any = None) -> Settings:
    """The settings with theta_0, prior and (for a learned variance) prior_scale set from the rows U (n, d), Y."""
    with np.errstate(all="ignore"):  # what overflows is refused by the components and by fit_dtype
        return _start(settings, U, Y, weight)


def _start(settings: Settings, U: Any, Y: Any, weight: Any) -> Settings:
    good, Y_used, w = _usable(settings, U, Y, weight)
    level, V = settings.family.level(Y_used, w), settings.family.link_variance(Y_used, w)
    V = np.where(V > 0, V, np.where(level != 0, level**2, 1.0))  # constant y: its own size is the only scale there is
    family, unit = settings.family.at_level(Y_used, V)
    if isinstance(settings.model, Cell):
        settings = replace(settings, model=settings.model.with_inputs(_seen(settings, U)))
    features = _features(U, good, w)
    variance = settings.model.scale_free_variance(features.variance, V) / unit
    belief: Any = settings.belief
    if not settings.rule.gradient:
        belief = replace(cast(Any, belief), prior_variance=_times(variance, belief.prior_variance))
    theta = settings.theta
    if not settings.theta_given:
        theta = settings.model.at_level(theta, level, V, features)
    theta.setflags(write=False)
    fit_dtype(theta, belief, settings.dtype)
    return replace(settings, family=family, belief=belief, theta=theta, theta_given=True)


def _usable(settings: Settings, U: Any, Y: Any, weight: Any) -> tuple[NDArray[np.bool_], Array, first_rows.Weight]:
    """Which rows can teach something, their Y and their weights (None where all are 1), as float64."""
    rows = _border.Rows(settings, U, Y, weight, None, None, names=("U0", "Y0"))
    if _border.is_sparse(U):
        good = ~rows.U.part(0, len(rows), np.float64).bad_rows()  # type: ignore[attr-defined]
    else:
        good = np.isfinite(real_array("U0", U)).all(axis=1)
    good &= ~np.isinf(rows.Y).any(axis=1)
    good &= ~settings.family.missing(rows.Y) & ~settings.family.invalid(rows.Y)
    good &= np.isfinite(rows.weight) & (rows.weight > 0)
    if not good.any():
        raise ParameterError(argument="U0", expected="at least one complete row", got="none")
    w = rows.weight[good]
    return good, rows.Y[good], None if (w == 1).all() else w


def _features(U: Any, good: NDArray[np.bool_], w: first_rows.Weight) -> Features:
    """Mean and variance of each feature (d,) in the good rows; of sparse rows 0 and the mean square of the entries."""
    if _border.is_sparse(U):
        from . import _sparse

        variance = _sparse.scale(_sparse.Csr("U0", U), good, w)
        return Features(np.zeros(len(variance)), variance)
    U_used = real_array("U0", U)[good]
    mean = np.mean(U_used, axis=0) if w is None else first_rows.mean(U_used, w)
    return Features(mean, _feature_variance(U_used, w))


def _seen(settings: Settings, U: Any) -> Features:
    """Mean and variance of the inputs of a recurrent model, which all rows have a part in; a constant column: variance 1."""
    U = real_array("U0", U)
    columns = [column[np.isfinite(column)] for column in U.T]
    mean = np.array([np.mean(column) if len(column) else 0.0 for column in columns])
    variance = np.array([np.var(column) if len(column) and np.ptp(column) > 0 else 1.0 for column in columns])
    return Features(mean, np.where(variance > 0, variance, 1.0))


def _feature_variance(U: Array, w: first_rows.Weight) -> Array:
    """Variance of each feature (d,); a constant column takes the median of the others."""
    variance = np.var(U, axis=0) if w is None else first_rows.variance(U, w)
    constant = (np.ptp(U, axis=0) == 0) | ~(variance > 0)
    others = variance[~constant]
    return np.where(constant, np.median(others) if len(others) else 1.0, variance)


def _times(variance: Array, prior: float | Array) -> Array:
    """The scale-free variances (p,) times a prior_variance that is a number, (p,) or (p, p)."""
    if np.ndim(prior) < 2:
        return variance * prior
    scale = np.sqrt(variance)
    return scale[:, None] * np.asarray(prior) * scale
