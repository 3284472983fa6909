"""Classification: a Bernoulli model as long as there are two classes, a categorical one from the third on."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
from river import base

from .._grow import as_categorical
from .._validate import Array
from ..errors import ParameterError
from ..reference.family import Bernoulli, Categorical, Family
from ._stream import Learner, Name, Online, columns, steady, weights

Label = Hashable


class Classifier(Online, base.MiniBatchClassifier):
    """Logistic or multinomial regression under a Kalman filter on the weights, with the full covariance.

    Features need no scaling, there is no step size, and features and classes may appear at any time: a new class starts as
    one that was not seen in all rows so far.

    Parameters
    ----------
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
    >>> from kfng.river import Classifier
    >>> model = Classifier()
    >>> for i in range(300):
    ...     model.learn_one({"a": i % 10}, "low" if i % 10 < 5 else "high")
    >>> model.predict_one({"a": 9}), model.predict_one({"a": 0})
    ('high', 'low')

    """

    def __init__(
        self,
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
        self._classes: dict[Label, int] = {}
        self._begin()

    @property
    def _multiclass(self) -> bool:
        return True

    @property
    def classes(self) -> tuple[Label, ...]:
        """Labels in the order in which they came first."""
        return tuple(self._classes)

    def _family(self) -> tuple[Family, int]:
        k = len(self._classes)
        return (Bernoulli(), 1) if k <= 2 else (Categorical(k), k)

    def _ready(self, learner: Learner) -> Learner:
        """With an output for each class that is known."""
        k = len(self._classes)
        settings = learner.flt.settings
        if k <= max(2, settings.k):
            return learner
        flt = as_categorical(learner.flt) if settings.k == 1 else learner.flt
        while flt.settings.k < k:
            flt = flt.add_outputs(1, prior_variance=_prior_of_one(flt), level=[_level(flt, learner)])
        return learner.with_outputs(flt)

    def learn_one(self, x: Mapping[Name, Any], y: Label, w: float = 1.0, t: Any = None) -> None:
        """Learn from features `x` and a label `y`; `w` multiplies its log-likelihood.

        Parameters
        ----------
        x : dict
            Names and values of the features that are there.
        y : label
            Anything that can be a key of a dict.
        w : float, default 1.0
            Multiplier of the row's log-likelihood.
        t : number or date, optional
            When the row was, not before the one before it; in all rows or in none.
        """
        known = y in self._classes
        index = self._classes.setdefault(y, len(self._classes))
        try:
            self._learn_at(t, x, float(index), w)
        except Exception:
            if not known:
                del self._classes[y]
            raise

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
        labels = list(y)
        if len(labels) != len(rows):
            raise ParameterError(argument="y", expected=f"{len(rows)} labels", got=len(labels))
        weight, start = weights(w, len(rows)), 0
        for stop in [*self._new_labels(labels), len(rows)]:
            part = slice(start, stop)
            index = np.array([self._classes[label] for label in labels[part]], dtype=np.float64)
            self._learn_rows(names, rows[part], index, weight[part])
            if stop < len(rows):
                row = dict(zip(names, rows[stop].tolist(), strict=True))
                self.learn_one(row, labels[stop], float(weight[stop]))
            start = stop + 1

    def _new_labels(self, labels: list[Label]) -> list[int]:
        """The rows at which a label comes for the first time."""
        first: dict[Label, int] = {}
        for i, label in enumerate(labels):
            first.setdefault(label, i)
        return [i for label, i in first.items() if label not in self._classes]

    @steady
    def predict_proba_one(self, x: Mapping[Name, Any], **kwargs: Any) -> dict[Any, float]:
        """The probability of each class seen so far; empty before the first row.

        Parameters
        ----------
        x : dict
            Names and values of the features that are there.
        **kwargs
            Taken, as river does, and not used.
        """
        learner = self._current()
        if learner is None:
            return {}
        mean = learner.mean(self._whole(x))
        if len(self._classes) == 2:
            return dict(zip(self._classes, (1 - mean, mean), strict=True))
        return dict(zip(self._classes, self._shares(np.atleast_1d(mean)[None])[0].tolist(), strict=True))

    @steady
    def predict_proba_many(self, X: Any) -> Any:
        """A data frame of probabilities, a column for each class, with the index of X.

        Parameters
        ----------
        X : pandas.DataFrame
        """
        import pandas as pd

        names, rows = columns(X)
        learner = self._current()
        if learner is None:
            return pd.DataFrame(index=X.index)
        mean = learner.flt.predict(self._seen_rows(learner, names, rows)).astype(np.float64)
        return pd.DataFrame(self._shares(mean.reshape(len(rows), -1)), index=X.index, columns=list(self._classes))

    def predict_many(self, X: Any) -> Any:
        """A series of the most probable classes, with the index of X.

        Parameters
        ----------
        X : pandas.DataFrame
        """
        import pandas as pd

        shares = self.predict_proba_many(X)
        if not len(shares.columns):
            return pd.Series([None] * len(X), index=X.index, dtype="object")
        best = np.argmax(shares.to_numpy(), axis=1)
        return pd.Series([self.classes[i] for i in best], index=X.index)

    def _shares(self, mean: Array) -> Array:
        """(n, K) of the classes that are known, from P(second class) (n, 1) or from probabilities (n, K)."""
        k = len(self._classes)
        if mean.shape[1] > 1:
            return mean
        return np.ones((len(mean), 1)) if k == 1 else np.hstack([1 - mean, mean])


def _prior_of_one(flt: Any) -> Array:
    """Prior variances of one class, (d + 1,) or their covariance: all classes have the same."""
    settings = flt.settings
    first = np.zeros(settings.p, dtype=bool)
    for part in settings.model.split(np.arange(settings.p, dtype=np.float64)).values():
        first[part[0].astype(np.intp)] = True
    prior = settings.belief.prior_variance
    found: Array = (
        prior[np.ix_(first, first)] if np.ndim(prior) == 2 else settings.belief.prior_diagonal(settings.p)[first]
    )
    return found


def _level(flt: Any, learner: Learner) -> float:
    """Where a class that did not come in n rows has the probability 1/(2n + 1), for a typical x of the first rows."""
    c = flt.parameters["intercept"].astype(np.float64)
    if learner.scaler is not None:
        weights = flt.parameters["weight"].astype(np.float64)
        c = c + weights @ ((learner.origin - learner.scaler.center) / learner.scaler.scale)
    top = c.max()
    return float(top + np.log(np.exp(c - top).sum()) - np.log(2 * flt.n_updates + 1))
