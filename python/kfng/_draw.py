"""Draws of y for many rows at once: theta from the posterior, one for all rows of a draw, then y given theta."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._filter_base import FilterBase
from ._special import expit
from ._validate import Array
from .errors import UnsupportedError, shown
from .reference.family import Bernoulli, Categorical, Family, Gamma, Gaussian, NegativeBinomial, Poisson
from .reference.model import MLP, Linear, Model
from .reference.model.mlp import ACTIVATIONS

LARGEST = 43.0
"""exp of it is still a count in 64 bits."""


def draws(flt: FilterBase, U: Array, size: int, rng: np.random.Generator) -> Array:
    """(n, size) draws of y for rows U (n, d); of a categorical the numbers of the classes."""
    flt._need_posterior("sample_y")
    family, (thetas, variances) = flt.settings.family, flt._draws(size, rng)
    if variances is None and isinstance(family, Gaussian):
        variances = np.full(size, float(np.ravel(flt.noise_variance[0])[0]))
    result = np.empty((len(U), size))
    for j, theta in enumerate(thetas):
        z = outputs(flt.settings.model, theta, U)
        result[:, j] = given(family, z, 0.0 if variances is None else variances[j], rng)
    return result


def outputs(model: Model, theta: Array, U: Array) -> Array:
    """z (n, k) of rows U (n, d)."""
    parts = model.split(theta)
    if isinstance(model, Linear):
        z: Array = U @ parts["weight"].T
        return z + parts["intercept"] if model.intercept else z
    if not isinstance(model, MLP):
        raise UnsupportedError(argument="model", expected="Linear or MLP", got=shown(model))
    a, last = U, len(model.layers) - 2
    for i in range(last):
        a = ACTIVATIONS[model.activation][0](a @ parts[f"weight{i}"].T + parts[f"bias{i}"])
    result: Array = a @ parts[f"weight{last}"].T + parts[f"bias{last}"]
    return result


def given(family: Family, z: Array, variance: float, rng: np.random.Generator) -> Any:
    """One y (n,) for each z (n, k)."""
    if isinstance(family, Categorical):
        return np.argmax(z + rng.gumbel(size=z.shape), axis=1)
    z = z[:, 0]
    if isinstance(family, Gaussian):
        return z + np.sqrt(variance) * rng.standard_normal(len(z))
    if isinstance(family, Bernoulli):
        return rng.random(len(z)) < expit(z)
    m = np.exp(np.clip(z, -LARGEST, LARGEST))
    if isinstance(family, Poisson):
        return rng.poisson(m)
    if isinstance(family, NegativeBinomial):
        return rng.poisson(rng.gamma(1 / family.dispersion, family.dispersion * m))
    if isinstance(family, Gamma):
        return rng.gamma(family.shape, m / family.shape)
    raise UnsupportedError(argument="family", expected="a family that can be drawn from", got=shown(family))
