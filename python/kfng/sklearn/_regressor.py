"""Regression of numbers, counts and positive quantities."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import RegressorMixin

from .._estimator import family_of
from .._validate import Array, number
from ..reference.family import Family, Gamma, NegativeBinomial, Poisson
from ._base import Online


class OnlineRegressor(RegressorMixin, Online):
    """Regression that learns row by row and knows how sure it is: a Kalman filter on the parameters.

    Nothing has to be scaled and there is no step size: level and scale come from the first rows. A linear Gaussian model
    holds the posterior of Bayesian ridge regression after each row; other models are linearised row by row.

    Parameters
    ----------
    family : {'gaussian', 'poisson', 'negative_binomial', 'gamma'} or a family of kfng with one output
        The law of y. Counts and positive y have the log link.
    dispersion : float, optional
        'gaussian': the noise variance, learned by default. 'negative_binomial': Var = m + dispersion·m², 'gamma':
        Var = dispersion·m²; 1 by default.
    model : {'linear', 'mlp'}
    hidden : tuple of int
        Units of the hidden layers of an 'mlp'.
    activation : {'tanh', 'relu'}
        Of the hidden units.
    fit_intercept : bool
        Of the linear model.
    prior_variance : float or (p,) array
        Multiplies the prior variances that the first rows set; with warmup=0 these are the prior variances, relative to
        the noise variance where that is learned.
    forgetting : float in [0, 1), optional
        The share of its evidence that a row loses with each row after it.
    half_life : float or str, optional
        Instead: the number of rows after which evidence counts half; with `time=` the time, as "7d" where that are dates.
    belief : {'full', 'diagonal'}
        The full covariance, O(p²) a row, or variances alone, O(p).
    iterations : int or 'implicit'
        Linearisations of a row.
    warmup : int
        So many first rows of `partial_fit` (those of weight 0 not counted) are held, and set level and scale; 0: the
        prior is taken as it is. `fit` takes level and scale from all its rows.
    missing : {'raise', 'skip', 'mean'}
        What to do about NaN in X: refuse it; learn nothing from the row (time passes); or put the mean of the feature in
        the rows so far in its place, which is 0 after centring while the mean stays. Where a row is predicted it is the mean
        by 'skip', too.
    standardize : None or 'running'
        'running': features are standardised by the mean and the deviation of the rows so far, and the filter goes with them
        exactly (`Filter.change_units`), the prior of the first rows kept: the model is the same function, in coordinates
        that suit the rows of now. Not with belief='diagonal', nor sparse rows. Default: centred by the first rows.
    dtype : {'float64', 'float32'}
        Of the parameters and their covariance.
    num_threads : int, optional
        Threads of large models; no result depends on it.
    random_state : int, RandomState instance or None
        Of the initial weights of an 'mlp'.

    Attributes
    ----------
    filter_ : kfng.Filter
    coef_, coef_std_ : (d,)
        Of the linear model, with their posterior standard deviations.
    intercept_ : float
    center_ : (d,)
        What is subtracted from the features before the filter sees them; 0 where the first rows are sparse.
    scale_ : (d,)
        By what they are then divided: 1 without `standardize`.
    n_features_in_ : int
    feature_names_in_ : (d,)
        Where X has names.
    """

    _one_output: ClassVar[bool] = True

    def __init__(
        self,
        family: Any = "gaussian",
        *,
        dispersion: float | None = None,
        model: str = "linear",
        hidden: tuple[int, ...] = (32,),
        activation: str = "tanh",
        fit_intercept: bool = True,
        prior_variance: Any = 1.0,
        forgetting: float | None = None,
        half_life: float | None = None,
        belief: str = "full",
        iterations: int | str = 1,
        warmup: int = 32,
        missing: str = "raise",
        standardize: str | None = None,
        dtype: str = "float64",
        num_threads: int | None = None,
        random_state: Any = None,
    ) -> None:
        self.family = family
        self.dispersion = dispersion
        self.model = model
        self.hidden = hidden
        self.activation = activation
        self.fit_intercept = fit_intercept
        self.prior_variance = prior_variance
        self.forgetting = forgetting
        self.half_life = half_life
        self.belief = belief
        self.iterations = iterations
        self.warmup = warmup
        self.missing = missing
        self.standardize = standardize
        self.dtype = dtype
        self.num_threads = num_threads
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        counts = self.family in ("poisson", "negative_binomial", "gamma") if isinstance(self.family, str) else False
        tags.target_tags.positive_only = counts or isinstance(self.family, (Poisson, NegativeBinomial, Gamma))
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None, time: Any = None) -> Self:
        """Learn from a batch in one pass; what was learned before is forgotten.

        Parameters
        ----------
        X : (n, d), an array or sparse
        y : (n,)
        sample_weight : (n,), optional
            Multipliers of each row's log-likelihood.
        time : (n,) numbers or dates, optional
            When each row was: `half_life` is then in their unit, or has its own ("7d") where they are dates.
        """
        family = family_of(self.family, self.dispersion)
        X, y, weight = self._checked(family, X, y, sample_weight, reset=True)
        stream = self._stream_of(family, 1)
        stream.learn_batch(X, y, weight, time)
        self._stream = stream
        return self

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, time: Any = None) -> Self:
        """Learn from more rows. It makes no difference how rows are cut into calls.

        The first `warmup` rows are held until they are complete; predictions are made from what is held.

        Parameters
        ----------
        X : (n, d)
        y : (n,)
        sample_weight : (n,), optional
            Multipliers of each row's log-likelihood.
        time : (n,) numbers or dates, optional
            When each row was: `half_life` is then in their unit, or has its own ("7d") where they are dates.
        """
        first = not self.__sklearn_is_fitted__()
        family = family_of(self.family, self.dispersion)
        X, y, weight = self._checked(family, X, y, sample_weight, reset=first)
        stream = self._stream_of(family, 1) if first else self._fitted()
        stream.learn(X, y, weight, time)
        self._stream = stream
        return self

    def _checked(
        self, family: Family, X: Any, y: Any, sample_weight: Any, *, reset: bool
    ) -> tuple[Array, Array, Array]:
        X, y, weight = self._rows(X, y, sample_weight, reset=reset, y_numeric=True)
        y = y.astype(np.float64, copy=False)
        if family.invalid(y[:, None]).any():
            raise ValueError(f"y must be {family.range_text()} with family={self.family!r}.")
        return X, y, weight

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Mean of y for rows X (n, d), and with `return_std` its standard deviation, noise included: (n,) each.

        With a log link the mean is that at the posterior mean of the parameters.

        Parameters
        ----------
        X : (n, d)
        return_std : bool, default False
            Give the standard deviations as well.
        """
        flt, U = self._new_rows(X)
        return flt.predict(U, return_std=return_std)

    def predict_interval(self, X: Any, level: float = 0.9) -> Array:
        """(n, 2): the ends of the central interval that holds a new y with probability `level`.

        Parameters
        ----------
        X : (n, d)
        level : float in (0, 1), default 0.9
        """
        level = number("level", level, "a number in (0, 1)", 0.0, 1.0, ends="()")
        flt, U = self._new_rows(X)
        return flt.predict_quantiles(U, [(1 - level) / 2, (1 + level) / 2])

    def sample_y(self, X: Any, n_samples: int = 1, random_state: Any = 0) -> Array:
        """(n, n_samples): draws of y; the rows of one draw share their parameters, drawn from the posterior.

        Parameters
        ----------
        X : (n, d)
        n_samples : int, default 1
            Draws of each row.
        random_state : int, RandomState or None, default 0
        """
        return self._sampled(X, n_samples, random_state)
