"""A network of dense layers: z = W_n a_n + b_n, a_{l+1} = act(W_l a_l + b_l), a_0 = u."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._validate import Array, choice, integer
from ...errors import ParameterError, shown
from .base import Features, Model

Activation = tuple[Callable[[Array], Array], Callable[[Array], Array]]
ACTIVATIONS: dict[str, Activation] = {
    "tanh": (np.tanh, lambda a: 1 - a**2),
    "relu": (lambda s: np.maximum(s, 0.0), lambda a: (a > 0).astype(np.float64)),
}
"""For each name act(s), and act'(s) as a function of the unit's value a = act(s); relu'(0) = 0."""
MAX_LAYERS = 1024


@dataclass(frozen=True, eq=False, repr=False)
class MLP(Model):
    """A network with layers of d, h_1, ..., k units, the last one linear; layers=[d, k] is a linear model.

    Parameters are `weight0` (h_1, d), `bias0` (h_1,), `weight1`, `bias1`, ... in this order. The Jacobian is exact, one
    backward pass for each output: O(k p) a row.

    Parameters
    ----------
    layers : list of int
        [d, h_1, ..., k], kept as a tuple.
    activation : 'tanh' (default) or 'relu'

    Raises
    ------
    ParameterError
        Sizes that are no positive integers, or fewer than two of them. UnknownNameError for `activation`.
    """

    layers: Any
    activation: str = "tanh"

    def __post_init__(self) -> None:
        self._set("layers", _sizes(self.layers))
        self._set("activation", choice("activation", self.activation, ACTIVATIONS))

    @property
    def inputs(self) -> int | None:
        d: int = self.layers[0]
        return d

    @property
    def outputs(self) -> int:
        k: int = self.layers[-1]
        return k

    def shapes(self) -> dict[str, tuple[int, ...]]:
        shapes: dict[str, tuple[int, ...]] = {}
        for i, (fan_in, units) in enumerate(itertools.pairwise(self.layers)):
            shapes |= {f"weight{i}": (units, fan_in), f"bias{i}": (units,)}
        return shapes

    def initial_theta(self, seed: int) -> Array:
        """Weights N(0, 1/fan_in), drawn layer by layer; biases 0: otherwise units of a layer would stay equal for ever."""
        rng, theta = np.random.default_rng(seed), np.zeros(self.n_parameters)
        for W, _ in self._layers(self.split(theta)):
            W[:] = rng.standard_normal(W.shape) / np.sqrt(W.shape[1])
        return theta

    def forward(self, theta: Array, u: Array) -> tuple[Array, Array]:
        act, slope = ACTIVATIONS[self.activation]
        layers, a = self._layers(self.split(theta)), [u]
        for W, b in layers[:-1]:
            a.append(act(W @ a[-1] + b))
        W, b = layers[-1]
        z = W @ a[-1] + b
        dz: list[Array] = []
        delta = np.eye(self.outputs)  # (k, units): dz by what enters the units of the layer, from the last to the first
        for i in reversed(range(len(layers))):
            dz += [delta, (delta[:, :, None] * a[i]).reshape(self.outputs, -1)]
            if i > 0:
                delta = (delta @ layers[i][0]) * slope(a[i])
        return z, np.hstack(dz[::-1])

    def scale_free_variance(self, feature_variance: Array, V: Array) -> Array:
        """Weights V/fan_in and biases V, with V = 1 in hidden layers; the first weights divided by the feature's variance."""
        variance = np.ones(self.n_parameters)
        layers = self._layers(self.split(variance))
        layers[-1][0][:], layers[-1][1][:] = V[:, None], V
        layers[0][0][:] /= feature_variance
        for W, _ in layers:
            W /= W.shape[1]
        return variance

    def at_level(self, theta: Array, level: Array, V: Array, features: Features) -> Array:
        """First units see standardised features, the last layer is in the units of y and starts at its level."""
        theta = theta.copy()
        layers = self._layers(self.split(theta))
        (W0, b0), (W, b) = layers[0], layers[-1]
        W *= np.sqrt(V)[:, None]
        b += level
        W0 /= np.sqrt(features.variance)
        b0 -= W0 @ features.mean
        return theta

    def _layers(self, parts: Mapping[str, Array]) -> list[tuple[Array, Array]]:
        """(W_l, b_l) of every layer, as views."""
        return [(parts[f"weight{i}"], parts[f"bias{i}"]) for i in range(len(self.layers) - 1)]


def _sizes(value: Any) -> tuple[int, ...]:
    expected = f"a list [d, h_1, ..., k] of 2 to {MAX_LAYERS} sizes"
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
        raise ParameterError(argument="layers", expected=expected, got=shown(value))
    sizes = tuple(itertools.islice(value, MAX_LAYERS + 1))
    if not 2 <= len(sizes) <= MAX_LAYERS:
        raise ParameterError(argument="layers", expected=expected, got=len(sizes))
    return tuple(integer("layers", size, low=1) for size in sizes)
