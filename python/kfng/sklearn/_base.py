"""What both estimators have: rows checked as scikit-learn does, the filter, its coefficients in the units of the data."""

from __future__ import annotations

from inspect import signature
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from .._border import is_sparse
from .._draw import draws
from .._estimator import Recipe, Stream, options_of
from .._filter import Filter
from .._validate import Array
from ..errors import ParameterError, UnsupportedError
from ..reference.family import Family

ALL_ZERO = (
    {"allow_all_zero_weights": True} if "allow_all_zero_weights" in signature(_check_sample_weight).parameters else {}
)
"""Rows that count for nothing may come alone, in a stream."""


class Online(BaseEstimator):
    """The part of an estimator that does not depend on what y is."""

    _stream: Stream | None
    _one_output: ClassVar[bool] = False
    """Coefficients without an axis of outputs."""

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_stream")

    # -- rows
    def _rows(self, X: Any, y: Any, sample_weight: Any, *, reset: bool, **checks: Any) -> tuple[Array, Any, Array]:
        """X (n, d), an array or CSR, y (n,) and weights (n,), checked; sets `n_features_in_` and `feature_names_in_` with `reset`."""
        X, y = validate_data(self, X, y, reset=reset, **self._accepted(), **checks)
        weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True, **ALL_ZERO)
        return self._of_floats(X), y, weight

    def _new_rows(self, X: Any) -> tuple[Filter, Array]:
        """The filter, and rows X (n, d) as it sees them."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, **self._accepted())
        return self._fitted().inputs(self._of_floats(X))

    @staticmethod
    def _of_floats(X: Any) -> Any:
        """Rows of float64: an array, or CSR with ascending columns."""
        if not is_sparse(X):
            return np.ascontiguousarray(X, dtype=np.float64)
        if not X.has_canonical_format:
            X = X.copy()
            X.sum_duplicates()
        return X.astype(np.float64, copy=False)

    def _accepted(self) -> dict[str, Any]:
        """What X may be, for `validate_data`."""
        return {
            "dtype": [np.float64, np.float32],
            "accept_sparse": "csr",
            "ensure_all_finite": True if self.missing == "raise" else "allow-nan",
        }

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = self.missing != "raise"
        return tags

    # -- the filter
    def _stream_of(self, family: Family, outputs: int) -> Stream:
        if isinstance(self.hidden, (int, np.integer)):
            raise ParameterError(argument="hidden", expected="a tuple of sizes, as (32,)", got=self.hidden)
        options = options_of(self)
        if self.model == "mlp":
            options["seed"] = int(check_random_state(self.random_state).randint(2**31 - 1))
        recipe = Recipe(
            family,
            options,
            outputs,
            self.model,
            tuple(self.hidden),
            self.activation,
            self.fit_intercept,
            self.warmup,
            self.missing,
            self.standardize,
        )
        return Stream(recipe, self.n_features_in_)

    def _fitted(self) -> Stream:
        check_is_fitted(self)
        if self._stream is None:
            raise UnsupportedError(argument="y", expected="two classes at least", got="one")
        return self._stream

    @property
    def filter_(self) -> Filter:
        """The `kfng.Filter`: posterior, evidence, health. Its features are (x - `center_`)/`scale_`."""
        return self._fitted().current()[0]

    @property
    def center_(self) -> Array:
        """What is subtracted from the features (d,): their mean in the rows that the filter started from."""
        return self._fitted().current()[1]

    @property
    def scale_(self) -> Array:
        """By what they are then divided (d,): with standardize='running' their deviation about when it last moved, else 1."""
        return self._fitted().scale

    @property
    def coef_(self) -> Any:
        """Weights of the linear model in the units of the data: (d,), or of a classifier (1, d) or (K, d)."""
        return self._shaped(self._linear()["weight"] / self._units())

    @property
    def coef_std_(self) -> Any:
        """Their posterior standard deviations, of the same shape."""
        weight = self._linear()["weight"]
        return self._shaped(self.filter_.std()[: weight.size].reshape(weight.shape) / self._units())

    @property
    def intercept_(self) -> Any:
        """z at x = 0: a number, or of a classifier (1,) or (K,)."""
        parts = self._linear()
        level = parts["intercept"] if self.fit_intercept else 0.0
        weight = np.asarray(parts["weight"], dtype=np.float64) / self.scale_
        return self._shaped(level - weight @ self.center_)

    def _units(self) -> Any:
        """What a weight is divided by to be in the units of the data; without standardize 1, which leaves its dtype."""
        return 1 if self.standardize is None else self.scale_

    def _shaped(self, part: Any) -> Any:
        return part[0] if self._one_output else part

    def _linear(self) -> dict[str, Any]:
        """weight (k, d) and intercept (k,)."""
        if self.model != "linear" or not self.__sklearn_is_fitted__() or self._stream is None:
            raise AttributeError("a linear model that is fitted has coef_, coef_std_ and intercept_")
        return self.filter_.parameters

    # -- draws
    def _sampled(self, X: Any, n_samples: int, random_state: Any) -> Array:
        flt, U = self._new_rows(X)
        seed = check_random_state(random_state).randint(2**31 - 1)
        return draws(flt, U, n_samples, np.random.default_rng(seed))
