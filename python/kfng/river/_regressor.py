"""Regression of numbers, counts and positive quantities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from river import base, proba

from .._estimator import family_of
from .._validate import number
from ..errors import ParameterError, UnsupportedError
from ..reference.family import Family
from ._stream import Name, Online, columns, steady, weights


class Regressor(Online, base.MiniBatchRegressor):
    """Linear regression that knows how sure it is: a Kalman filter on the weights, with the full covariance.

    Features need no scaling, may appear and vanish, and there is no step size. With the default family the model holds the
    posterior of Bayesian ridge regression, its noise learned; counts and positive y have a log link.

    Parameters
    ----------
    family
        'gaussian', 'poisson', 'negative_binomial' or 'gamma', or a family of kfng with one output.
    dispersion
        'gaussian': the noise variance, learned by default. 'negative_binomial': Var = m + dispersion·m², 'gamma':
        Var = dispersion·m²; 1 by default.
    prior_variance
        Multiplies the prior variances, which the data set.
    forgetting
        The share of its evidence that a row loses with each row after it.
    half_life
        Instead: the number of rows after which evidence counts half; with `t` the time, as "7d" where that is a date.
    belief
        'full', O(p²) a row, or 'diagonal', O(p).
    iterations
        Linearisations of a row.
    warmup
        So many first rows are held, and set level and scale; predictions are made from what is held.
    missing
        What to do about NaN and None: 'raise' refuses the row, 'skip' learns nothing from it (time passes), 'mean' puts the
        feature's mean so far in its place. Where a row is predicted it is the mean by 'skip', too. A feature that is not in
        x is 0 by all of them.
    standardize
        'running': features are standardised by the mean and the deviation of the rows so far, and the filter goes with them
        exactly (`Filter.change_units`); the prior stays. Not with belief='diagonal'. By default they are centred by the first
        rows.
    hashing
        So many columns that features go to by a hash of their names (`kfng.FeatureHasher`), so that their number is bounded;
        a text counts as "name=text". Every number must be there. By default each feature has a weight of its own.
    dtype
        'float64' or 'float32'.
    num_threads
        Threads of large models; no result depends on it.

    Examples
    --------
    >>> from kfng.river import Regressor
    >>> model = Regressor()
    >>> for i in range(100):
    ...     model.learn_one({"a": i % 7, "b": 10 * i}, 3 * (i % 7) - 0.1 * i)
    >>> round(model.predict_one({"a": 1, "b": 0}))
    3

    """

    def __init__(
        self,
        family: Any = "gaussian",
        dispersion: float | None = None,
        prior_variance: float = 1.0,
        forgetting: float | None = None,
        half_life: float | str | None = None,
        belief: str = "full",
        iterations: int = 1,
        warmup: int = 32,
        missing: str = "raise",
        standardize: str | None = None,
        hashing: int | None = None,
        dtype: str = "float64",
        num_threads: int | None = None,
    ) -> None:
        self.family = family
        self.dispersion = dispersion
        self.prior_variance = prior_variance
        self.forgetting = forgetting
        self.half_life = half_life
        self.belief = belief
        self.iterations = iterations
        self.warmup = warmup
        self.missing = missing
        self.standardize = standardize
        self.hashing = hashing
        self.dtype = dtype
        self.num_threads = num_threads
        self._law = family_of(family, dispersion)
        self._begin()

    def _family(self) -> tuple[Family, int]:
        return self._law, 1

    def _y(self, y: Any) -> float:
        value = number("y", y, self._law.range_text(), -np.inf, np.inf)
        if self._law.invalid(np.array([[value]]))[0]:
            raise ParameterError(argument="y", expected=self._law.range_text(), got=value)
        return value

    def learn_one(self, x: Mapping[Name, Any], y: Any, w: float = 1.0, t: Any = None) -> None:
        """Learn from features `x` and a number `y`; `w` multiplies its log-likelihood.

        Parameters
        ----------
        x : dict
            Names and values of the features that are there.
        y : float
        w : float, default 1.0
            Multiplier of the row's log-likelihood.
        t : number or date, optional
            When the row was, not before the one before it; in all rows or in none.
        """
        self._learn_at(t, x, y if self._learner is not None else self._y(y), w)  # the filter checks it, too

    def learn_many(self, X: Any, y: Any, w: Any = None) -> None:
        """Learn from the rows of a data frame, as from one after the other.

        Parameters
        ----------
        X : pandas.DataFrame
        y : pandas.Series
        w : (n,), optional
            Multipliers of each row's log-likelihood.
        """
        names, rows = columns(X)
        targets = np.array([self._y(value) for value in y])
        if len(targets) != len(rows):
            raise ParameterError(argument="y", expected=f"{len(rows)} numbers", got=len(targets))
        self._learn_rows(names, rows, targets, weights(w, len(rows)))

    def predict_one(self, x: Mapping[Name, Any], with_dist: bool = False) -> Any:
        """The mean of y, or with `with_dist` a Gaussian with the mean and the variance of y, noise included.

        Before the first row the mean is 0.

        Parameters
        ----------
        x : dict
            Names and values of the features that are there.
        with_dist : bool, default False
        """
        learner = self._learner
        if learner is not None and self._means is None and self._hasher is None and not with_dist:
            try:
                return learner.mean(x)
            except UnsupportedError:  # its filter was taken into a larger one meanwhile
                pass
        return self._predict_one(x, with_dist)

    @steady
    def _predict_one(self, x: Mapping[Name, Any], with_dist: bool) -> Any:
        learner = self._current()
        if not with_dist:
            return 0.0 if learner is None else learner.mean(self._whole(x))
        if learner is None:
            return proba.Gaussian()
        mean, std = learner.flt.predict(learner.row(self._whole(x))[None], return_std=True)
        return proba.Gaussian._from_state(1, float(mean[0]), float(std[0]) ** 2, ddof=0)

    @steady
    def predict_many(self, X: Any) -> Any:
        """A series of means, with the index of the data frame X.

        Parameters
        ----------
        X : pandas.DataFrame
        """
        import pandas as pd

        names, rows = columns(X)
        learner = self._current()
        means = np.zeros(len(rows)) if learner is None else learner.flt.predict(self._seen_rows(learner, names, rows))
        return pd.Series(means, index=X.index, dtype="float64")

    @steady
    def predict_interval_one(self, x: Mapping[Name, Any], level: float = 0.9) -> tuple[float, float]:
        """The ends of the central interval that holds y with probability `level`; NaN before the first row.

        Parameters
        ----------
        x : dict
            Names and values of the features that are there.
        level : float in (0, 1), default 0.9
        """
        level = number("level", level, "a number in (0, 1)", 0.0, 1.0, ends="()")
        learner = self._current()
        if learner is None:
            return np.nan, np.nan
        low, high = learner.flt.predict_quantiles(
            learner.row(self._whole(x))[None], [(1 - level) / 2, (1 + level) / 2]
        )[0]
        return float(low), float(high)
