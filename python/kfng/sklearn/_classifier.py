"""Classification: a Bernoulli model of two classes, a categorical one of more."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from .._estimator import Stream
from .._validate import Array
from ..reference.family import Bernoulli, Categorical
from ._base import Online


class OnlineClassifier(ClassifierMixin, Online):
    """Classification that learns row by row: logistic or multinomial regression, or a network, under a Kalman filter.

    Nothing has to be scaled and there is no step size: level and scale come from the first rows.

    Parameters
    ----------
    model : {'linear', 'mlp'}
    hidden : tuple of int
        Units of the hidden layers of an 'mlp'.
    activation : {'tanh', 'relu'}
        Of the hidden units.
    fit_intercept : bool
        Of the linear model.
    prior_variance : float or (p,) array
        Multiplies the prior variances that the first rows set; with warmup=0 these are the prior variances (C of
        `LogisticRegression`).
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
    classes_ : (K,)
    filter_ : kfng.Filter
        None where there is one class alone.
    coef_, coef_std_ : (1, d) for two classes, (K, d) for more
        Of the linear model, with their posterior standard deviations.
    intercept_ : (1,) or (K,)
    center_ : (d,)
        What is subtracted from the features before the filter sees them; 0 where the first rows are sparse.
    scale_ : (d,)
        By what they are then divided: 1 without `standardize`.
    n_features_in_ : int
    feature_names_in_ : (d,)
        Where X has names.
    """

    def __init__(
        self,
        *,
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

    def fit(self, X: Any, y: Any, sample_weight: Any = None, time: Any = None) -> Self:
        """Learn from a batch in one pass; what was learned before is forgotten.

        Parameters
        ----------
        X : (n, d), an array or sparse
        y : (n,)
            Labels of any kind; `classes_` are those found.
        sample_weight : (n,), optional
            Multipliers of each row's log-likelihood.
        time : (n,) numbers or dates, optional
            When each row was: `half_life` is then in their unit, or has its own ("7d") where they are dates.
        """
        X, y, weight = self._rows(X, y, sample_weight, reset=True)
        check_classification_targets(y)
        self.classes_, index = np.unique(y, return_inverse=True)
        stream = self._stream_for(len(self.classes_))
        if stream is not None:
            stream.learn_batch(X, index.astype(np.float64), weight, time)
        self._stream = stream
        return self

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None, time: Any = None) -> Self:
        """Learn from more rows. It makes no difference how rows are cut into calls.

        Parameters
        ----------
        X : (n, d), an array or sparse
        y : (n,)
        classes : (K,)
            All labels that will ever come, in the first call; may be left out later.
        sample_weight : (n,), optional
        time : (n,) numbers or dates, optional
            When each row was: `half_life` is then in their unit, or has its own ("7d") where they are dates.
        """
        first = not self.__sklearn_is_fitted__()
        known = self._known(classes, first)
        X, y, weight = self._rows(X, y, sample_weight, reset=first)
        check_classification_targets(y)
        unknown = np.setdiff1d(y, known)
        if len(unknown):
            raise ValueError(f"y has labels that are not among classes={known}: {unknown}.")
        stream = self._stream_for(len(known)) if first else self._stream
        if stream is not None:
            stream.learn(X, np.searchsorted(known, y).astype(np.float64), weight, time)
        self.classes_, self._stream = known, stream
        return self

    def _known(self, classes: Any, first: bool) -> Any:
        if first:
            if classes is None:
                raise ValueError("classes must be passed on the first call to partial_fit.")
            return np.unique(classes)
        if classes is not None and not np.array_equal(np.unique(classes), self.classes_):
            raise ValueError(f"classes={classes} is not the same as on the first call: {self.classes_}.")
        return self.classes_

    def _stream_for(self, k: int) -> Stream | None:
        """None for one class, of which there is nothing to learn."""
        if k == 1:
            self._stream_of(Bernoulli(), 1)  # whose parameters are checked all the same
            return None
        return self._stream_of(Bernoulli(), 1) if k == 2 else self._stream_of(Categorical(k), k)

    def predict_proba(self, X: Any) -> Array:
        """(n, K): probabilities of the classes, at the posterior mean of the parameters.

        Parameters
        ----------
        X : (n, d)
        """
        check_is_fitted(self)
        if self._stream is None:
            X = validate_data(self, X, reset=False, **self._accepted())
            return np.ones((X.shape[0], 1))
        flt, U = self._new_rows(X)
        p = flt.predict(U).astype(np.float64, copy=False)
        return np.column_stack([1 - p, p]) if p.ndim == 1 else p

    def predict_log_proba(self, X: Any) -> Array:
        """(n, K): their logarithms.

        Parameters
        ----------
        X : (n, d)
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def predict(self, X: Any) -> Any:
        """(n,): the most probable class of each row.

        Parameters
        ----------
        X : (n, d)
        """
        best = np.argmax(self.predict_proba(X), axis=1)
        return self.classes_[best]

    def sample_y(self, X: Any, n_samples: int = 1, random_state: Any = 0) -> Any:
        """(n, n_samples): draws of the class; the rows of one draw share their parameters, drawn from the posterior.

        Parameters
        ----------
        X : (n, d)
        n_samples : int, default 1
            Draws of each row.
        random_state : int, RandomState or None, default 0
        """
        check_is_fitted(self)
        if self._stream is None:
            X = validate_data(self, X, reset=False, **self._accepted())
            return np.full((X.shape[0], n_samples), self.classes_[0])
        return self.classes_[self._sampled(X, n_samples, random_state).astype(np.intp)]
