"""Sums and moments of the first rows, for `Filter.from_rows`: Y (n, k), NaN where missing; w (n,) the rows' weights, None for 1."""

from __future__ import annotations

import numpy as np

from ..._validate import Array

Weight = Array | None


def count(Y: Array, w: Weight) -> Array:
    """Sum of the weights of the rows where y is there, (k,)."""
    seen = ~np.isnan(Y)
    return np.sum(seen if w is None else seen * w[:, None], axis=0)


def total(Y: Array, w: Weight) -> Array:
    """Weighted sum, (k,)."""
    return np.nansum(Y if w is None else Y * w[:, None], axis=0)


def mean(Y: Array, w: Weight) -> Array:
    """Weighted mean, (k,)."""
    return np.nanmean(Y, axis=0) if w is None else total(Y, w) / count(Y, w)


def variance(Y: Array, w: Weight) -> Array:
    """Weighted variance, (k,)."""
    return np.nanvar(Y, axis=0) if w is None else mean((Y - mean(Y, w)) ** 2, w)
