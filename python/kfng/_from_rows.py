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
from ._units import Units
from ._validate import Array, finite_array, real_array
from .errors import NotPositiveDefiniteError, ParameterError, UnknownNameError, UnsupportedError, shown
from .reference.family import first_rows
from .reference.model import MLP, Cell, Linear
from .reference.model.base import Features

MEAN = "mean"
FAR = 20.0
"""Means of so many deviations are worth a warning."""


def start(settings: Settings, U: Any, Y: Any, weight: Any = None, center: Any = None) -> Settings:
    """The settings with theta_0, prior and (for a learned variance) prior_scale set from the rows U (n, d), Y."""
    with np.errstate(all="ignore"):  # what overflows is refused by the components and by fit_dtype
        return _start(settings, U, Y, weight, center)


def _start(settings: Settings, U: Any, Y: Any, weight: Any, center: Any) -> Settings:
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
    if center is not None:
        belief = _about(settings, belief, _center(center, U, features))
    fit_dtype(theta, belief, settings.dtype)
    return replace(settings, family=family, belief=belief, theta=theta, theta_given=True)


def _center(center: Any, U: Any, features: Features) -> Array:
    """The row (d,) that the prior of the intercept speaks of."""
    if not isinstance(center, str):
        return finite_array("center", center, features.mean.shape)
    if center != MEAN:
        raise UnknownNameError(argument="center", expected="None, 'mean' or numbers (d,)", got=shown(center))
    if _border.is_sparse(U):
        raise UnsupportedError(argument="center", expected="None or numbers (d,) with sparse rows", got="'mean'")
    return features.mean


def _about(settings: Settings, belief: Any, center: Array) -> Any:
    """The same prior about the features less `center`: of c + center'w in the place of c. In the filter's own coordinates that is a
    covariance, so that nothing has to be subtracted from a row."""
    if settings.rule.gradient or belief.independent:
        expected = "None with a belief without covariances (subtract it from the rows instead)"
        raise UnsupportedError(argument="center", expected=expected, got=shown(belief))
    prior = Units.of(settings.model, 1.0, -center).variances(belief.prior_variance, settings.p)
    made = replace(belief, prior_variance=prior)
    try:
        made.check(settings.p)
    except NotPositiveDefiniteError:
        expected = "features not so far off that nothing is left of their own in rounding"
        raise NotPositiveDefiniteError(argument="center", expected=expected, got="a singular prior") from None
    return made


def far_off(settings: Settings, U: Any) -> str | None:
    """What to do about features whose mean in these rows (n, d) is many times their spread, which an intercept is for; else None."""
    model = settings.model
    if isinstance(model, MLP) or (isinstance(model, Linear) and model.intercept):
        if _border.is_sparse(U):
            return None
        rows = real_array("U0", U)
        rows = rows[np.isfinite(rows).all(axis=1)]
        with np.errstate(all="ignore"):
            size, spread = np.abs(np.mean(rows, axis=0)), np.std(rows, axis=0)
            ratio = np.where(spread > 1e-12 * size, size / spread, 0.0)
        if not (ratio > FAR).any():
            return None
        j = int(np.argmax(ratio))
        name = _name(settings, j)
        remedy = "subtract it from the rows" if settings.belief.independent else "from_rows(..., center='mean')"
        return (
            f"U0: the mean of {name} is {ratio[j]:.0f} times its spread, and the prior of the intercept, which speaks of u = 0, "
            f"holds back what is learned of it: {remedy} makes it speak of a row of mean features"
        )
    return None


def _name(settings: Settings, j: int) -> str:
    return f"column {j}" if settings.feature_names is None else repr(settings.feature_names[j])


def _usable(settings: Settings, U: Any, Y: Any, weight: Any) -> tuple[NDArray[np.bool_], Array, first_rows.Weight]:
    """Which rows can teach something, their Y and their weights (None where all are 1), as float64."""
    rows = _border.Rows(settings, U, Y, weight, None, None, names=("U0", "Y0"))
    if _border.is_sparse(U):
        good = ~rows.U.part(0, len(rows), np.float64).bad_rows()  # type: ignore[attr-defined]
    else:
        finite = np.isfinite(real_array("U0", U))
        good = finite.all(axis=1)
    good &= ~np.isinf(rows.Y).any(axis=1)
    good &= ~settings.family.missing(rows.Y) & ~settings.family.invalid(rows.Y)
    good &= np.isfinite(rows.weight) & (rows.weight > 0)
    if not good.any():
        got = "none"
        if len(rows) and not _border.is_sparse(U) and not finite.any(axis=0).all():
            got += f": nothing in {_name(settings, int(np.argmin(finite.any(axis=0))))}"
        raise ParameterError(argument="U0", expected="at least one complete row", got=got)
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
