"""What the adapters (`kfng.sklearn`, `kfng.river`) share: names for components, and a filter that starts from the first rows.

Features are centred at their mean in the first rows, so that the prior of the intercept speaks of a typical row; their
scale is left to the prior, which `Filter.from_rows` sets. Both follow from the rows alone: raw data need no scaler.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ._filter import Filter
from ._validate import Array, choice, integer, positive
from .errors import ParameterError, UnsupportedError
from .reference.belief import Belief, Diagonal, Full
from .reference.family import Family, Gamma, Gaussian, NegativeBinomial, Poisson
from .reference.model import MLP, Linear, Model
from .reference.rule import Fading, Kalman, Rule

FAMILIES = ("gaussian", "poisson", "negative_binomial", "gamma")


def family_of(name: Any, dispersion: Any) -> Family:
    """The law of y: a name and its dispersion, or a component of kfng with one output."""
    if isinstance(name, Family):
        if dispersion is not None:
            raise ParameterError(argument="dispersion", expected="None where family is a component", got=dispersion)
        if name.outputs_needed() not in (None, 1) or name.y_width(1) != 1:
            raise UnsupportedError(argument="family", expected="a family of one output", got=repr(name)[:80])
        return name
    choice("family", name, FAMILIES)
    if name == "poisson":
        if dispersion is not None:
            raise ParameterError(argument="dispersion", expected="None for Poisson counts", got=repr(dispersion)[:80])
        return Poisson()
    if name == "gaussian":
        return Gaussian(variance=dispersion)
    phi = 1.0 if dispersion is None else positive("dispersion", dispersion)
    return NegativeBinomial(phi) if name == "negative_binomial" else Gamma(1 / phi)


def rule_of(forgetting: Any, half_life: Any) -> Rule:
    if forgetting is None and half_life is None:
        return Kalman()
    if isinstance(half_life, str):
        raise ParameterError(argument="half_life", expected="a number of rows", got=repr(half_life)[:80])
    return Fading(forgetting=forgetting, half_life=half_life)


def belief_of(name: Any, prior_variance: Any) -> Belief:
    return {"full": Full, "diagonal": Diagonal}[choice("belief", name, ("full", "diagonal"))](prior_variance)


def options_of(estimator: Any) -> dict[str, Any]:
    """Keyword arguments of `Filter` from the parameters that all estimators have."""
    return {
        "belief": belief_of(estimator.belief, estimator.prior_variance),
        "rule": rule_of(estimator.forgetting, estimator.half_life),
        "iterations": estimator.iterations,
        "dtype": estimator.dtype,
        "num_threads": estimator.num_threads,
    }


@dataclass(frozen=True)
class Recipe:
    """What a filter is made of but for the number of its features, which the rows tell."""

    family: Family
    options: dict[str, Any]
    """Keyword arguments of `Filter`."""
    outputs: int = 1
    model: str = "linear"
    hidden: tuple[int, ...] = ()
    activation: str = "tanh"
    intercept: bool = True
    warmup: int = 32

    def __post_init__(self) -> None:
        choice("model", self.model, ("linear", "mlp"))
        integer("warmup", self.warmup)

    def network(self, d: int) -> Model:
        if self.model == "linear":
            return Linear(d, self.outputs, self.intercept)
        return MLP([d, *self.hidden, self.outputs], self.activation)

    def fresh(self, d: int) -> tuple[Filter, Array]:
        """A filter that has seen nothing, whose prior is taken as it is, and where its features are centred (at 0)."""
        return Filter(self.network(d), self.family, **self.options), np.zeros(d)

    def start(self, U: Array, Y: Array, weight: Array) -> tuple[Filter, Array]:
        """A filter that has learned the rows U (n, d), which set its scale and level, and where its features are centred."""
        center = np.zeros(U.shape[1])
        if (self.intercept or self.model == "mlp") and (weight > 0).any():
            center = np.average(U, axis=0, weights=weight)
        model = self.network(U.shape[1])
        return Filter.from_rows(U - center, Y, model, self.family, weight=weight, **self.options), center


class Stream:
    """Rows of a fixed width: the first `warmup` of them (weight 0 not counted) are held, then a filter learns all in order.

    What it has learned depends on the rows alone, not on how they were cut into calls.
    """

    def __init__(self, recipe: Recipe, d: int) -> None:
        self.recipe, self.d = recipe, d
        self._made: tuple[Filter, Array] | None = None if recipe.warmup else recipe.fresh(d)
        self._held: list[tuple[Array, Array, Array]] = []
        self._early: tuple[Filter, Array] | None = None

    def learn(self, U: Array, Y: Array, weight: Array) -> None:
        if self._made is None:
            taught = sum(int((w > 0).sum()) for _, _, w in self._held) + np.cumsum(weight > 0)
            stop = int(np.searchsorted(taught, self.recipe.warmup)) + 1
            held = [*self._held, (U[:stop].copy(), Y[:stop].copy(), weight[:stop].copy())]
            if stop > len(U):
                self._held, self._early = held, None
                return
            self._made = self._start(held)
            self._held, self._early = [], None
            U, Y, weight = U[stop:], Y[stop:], weight[stop:]
        flt, center = self._made
        if len(U):
            flt.update_many(U - center, Y, weight=weight, trace=False)

    def learn_batch(self, U: Array, Y: Array, weight: Array) -> None:
        """All rows there are: level and scale come from all of them, so that their order plays no part in it."""
        if not (weight > 0).any():
            raise ParameterError(argument="sample_weight", expected="at least one weight > 0", got="all zero")
        if self._made is None:
            self._made = self.recipe.start(U, Y, weight)
        else:
            self.learn(U, Y, weight)

    def current(self) -> tuple[Filter, Array]:
        """The filter and its centre; before it has started, one made of the rows held so far."""
        if self._made is not None:
            return self._made
        if self._early is None:
            self._early = self._start(self._held)
        return self._early

    def _start(self, held: list[tuple[Array, Array, Array]]) -> tuple[Filter, Array]:
        return self.recipe.start(*(np.concatenate(parts) for parts in zip(*held, strict=True)))
