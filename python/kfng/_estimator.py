"""What the adapters (`kfng.sklearn`, `kfng.river`) share: names for components, and a filter that starts from the first rows.

Features are centred at their mean in the first rows, so that the prior of the intercept speaks of a typical row; their
scale is left to the prior, which `Filter.from_rows` sets. Both follow from the rows alone: raw data need no scaler.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ._border import is_sparse
from ._clock import Moment
from ._filter import Filter
from ._scaler import RUNNING, Scaler
from ._stamps import DATE, Stamps
from ._validate import Array, choice, integer, positive
from .errors import ParameterError, UnsupportedError, shown
from .reference.belief import Belief, Diagonal, Full
from .reference.family import Family, Gamma, Gaussian, NegativeBinomial, Poisson
from .reference.model import MLP, Linear, Model
from .reference.rule import Fading, Kalman, Rule

FAMILIES = ("gaussian", "poisson", "negative_binomial", "gamma")
MISSING = ("raise", "skip", "mean")


def family_of(name: Any, dispersion: Any) -> Family:
    """The law of y: a name and its dispersion, or a component of kfng with one output."""
    if isinstance(name, Family):
        if dispersion is not None:
            raise ParameterError(argument="dispersion", expected="None where family is a component", got=dispersion)
        if name.outputs_needed() not in (None, 1) or name.y_width(1) != 1:
            raise UnsupportedError(argument="family", expected="a family of one output", got=shown(name))
        return name
    choice("family", name, FAMILIES)
    if name == "poisson":
        if dispersion is not None:
            raise ParameterError(argument="dispersion", expected="None for Poisson counts", got=shown(dispersion))
        return Poisson()
    if name == "gaussian":
        return Gaussian(variance=dispersion)
    phi = 1.0 if dispersion is None else positive("dispersion", dispersion)
    return NegativeBinomial(phi) if name == "negative_binomial" else Gamma(1 / phi)


def rule_of(forgetting: Any, half_life: Any) -> Rule:
    if forgetting is None and half_life is None:
        return Kalman()
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
    missing: str = "raise"
    standardize: str | None = None

    def __post_init__(self) -> None:
        if self.standardize is not None:
            choice("standardize", self.standardize, (RUNNING,))
            if self.options["belief"].independent:
                expected = "None with belief='diagonal', which has no place for the correlations of a shift"
                raise UnsupportedError(argument="standardize", expected=expected, got=shown(self.standardize))
        choice("model", self.model, ("linear", "mlp"))
        choice("missing", self.missing, MISSING)
        integer("warmup", self.warmup)

    def network(self, d: int) -> Model:
        if self.model == "linear":
            return Linear(d, self.outputs, self.intercept)
        return MLP([d, *self.hidden, self.outputs], self.activation)

    def fresh(self, d: int) -> tuple[Filter, Array]:
        """A filter that has seen nothing, whose prior is taken as it is, and where its features are centred (at 0)."""
        return Filter(self.network(d), self.family, **self.options), np.zeros(d)

    @property
    def shifts(self) -> bool:
        """Whether something takes up a shift of the features."""
        return self.intercept or self.model == "mlp"

    def running(self, U: Array, Y: Array, weight: Array, dt: Array) -> tuple[Filter, Scaler]:
        """As `start`, the rows standardised by their own mean and deviation."""
        if is_sparse(U):
            raise dense_rows()
        scaler = Scaler.start(U, weight, self.shifts)
        model = self.network(U.shape[1])
        return Filter.from_rows(scaler.seen(U), Y, model, self.family, weight=weight, dt=dt, **self.options), scaler

    def start(self, U: Any, Y: Array, weight: Array, dt: Array | None = None) -> tuple[Filter, Array]:
        """A filter that has learned the rows U (n, d), which set its scale and level, and where its features are centred.

        Nothing is missing in U. Sparse features stay where they are: centred they were not sparse any more.
        """
        center = np.zeros(U.shape[1])
        if self.shifts and (weight > 0).any() and not is_sparse(U):
            center = np.average(U, axis=0, weights=weight)
        model = self.network(U.shape[1])
        rows = _centred(U, center)
        return Filter.from_rows(rows, Y, model, self.family, weight=weight, dt=dt, **self.options), center


def dense_rows() -> UnsupportedError:
    expected = "dense rows with standardize='running': centred they are no longer sparse"
    return UnsupportedError(argument="X", expected=expected, got="sparse ones")


def waited(argument: str, time: Any, n: int, last: Moment | None) -> tuple[Array, Moment | None]:
    """dt (n,) of rows at these times, numbers or dates (then in seconds), the first since the moment `last`; and the new last."""
    stamps = Stamps(time, n)
    if last is not None and last.kind != stamps.kind:
        raise ParameterError(argument=argument, expected=f"{last.kind}s, as before", got=f"{stamps.kind}s")
    if stamps.bad.any():
        raise stamps.fault(int(np.argmax(stamps.bad)))
    if not n:
        return np.zeros(0), last
    values = stamps.values
    steps = values - np.concatenate([values[:1] if last is None else [last.value], values[:-1]])
    if (steps < 0).any():
        back = int(np.argmax(steps < 0))
        raise ParameterError(argument=argument, expected="times that do not go back", got=f"row {back} before the last")
    return steps / 1e9 if stamps.kind == DATE else steps, Moment(stamps.kind, values[-1].item())


class Means:
    """Running means of features (d,), weighted, over the rows that have a value: what stands for one that is missing.

    They are sums row by row, so that it makes no difference how rows are cut.
    """

    def __init__(self, d: int) -> None:
        self.sums = np.zeros((2, d))
        """Of the weights, and of weight times value."""

    def all_of(self, U: Array, weight: Array) -> tuple[Array, Means]:
        """U with the mean of all of its rows where it has NaN, and the means after them."""
        _, after = self.in_turn(U, weight)
        return np.where(np.isnan(U), after.now(), U), after

    def in_turn(self, U: Array, weight: Array) -> tuple[Array, Means]:
        """U with the mean of the rows before where a row has NaN, and the means after them."""
        filled, after = U.copy(), Means(U.shape[1])
        after.sums = self.sums
        size = 1 + 2**18 // (1 + U.shape[1])
        for start in range(0, len(U), size):
            part = slice(start, start + size)
            gone = np.isnan(U[part])
            terms = weight[part, None] * np.stack([~gone, np.where(gone, 0.0, U[part])])
            running = np.cumsum(np.concatenate([after.sums[:, None], terms], axis=1), axis=1)
            filled[part][gone] = _ratio(*running[:, :-1])[gone]
            after.sums = running[:, -1].copy()
        return filled, after

    def now(self) -> Array:
        """(d,); 0 where no row had a value."""
        return _ratio(*self.sums)


def _ratio(weight: Array, total: Array) -> Array:
    return np.divide(total, weight, out=np.zeros_like(total), where=weight > 0)


class Made(NamedTuple):
    """A filter that has started, where its features are centred (d,), and their means, where these stand for what is missing."""

    flt: Filter
    center: Array
    means: Means
    scaler: Scaler | None = None
    """Where features are standardised as they come; `center` is then its own."""


Rows = tuple[Any, Array, Array, Array]
"""U (n, d), Y, weight and dt (n,)."""


class Stream:
    """Rows of a fixed width: the first `warmup` of them (weight 0 not counted) are held, then a filter learns all in order.

    What it has learned depends on the rows alone, not on how they were cut into calls. NaN in a row that comes by
    `missing="skip"` lets time pass and teaches nothing, by "mean" it is the mean of the rows before it (in the rows held: of
    all of these); in a row to predict it is the mean by either.
    """

    def __init__(self, recipe: Recipe, d: int) -> None:
        self.recipe, self.d = recipe, d
        self._made: Made | None = None
        if not recipe.warmup:
            scaler = None if recipe.standardize is None else Scaler.fresh(d, recipe.shifts)
            self._made = Made(*recipe.fresh(d), Means(d), scaler)
        self._held: list[Rows] = []
        self._early: Made | None = None
        self._last: Moment | None = None
        self._timed: bool | None = None

    def learn(self, U: Any, Y: Array, weight: Array, time: Any = None) -> None:
        dt, last = self._waited(time, len(weight))
        self._learn(U, Y, weight, dt)
        self._last, self._timed = last, time is not None

    def _waited(self, time: Any, n: int) -> tuple[Array, Moment | None]:
        """dt (n,), 1 for rows without times, and the moment of the last row."""
        if time is None and self.recipe.options["rule"].seconds:
            expected = "when each row was, for a half-life with a unit"
            raise ParameterError(argument="time", expected=expected, got="none")
        if self._timed not in (None, time is not None):
            raise ParameterError(argument="time", expected="times in all calls or in none", got="some")
        return (np.ones(n), None) if time is None else waited("time", time, n, self._last)

    def _learn(self, U: Any, Y: Array, weight: Array, dt: Array) -> None:
        U, weight = self._complete(U, weight)
        if self._made is None:
            taught = sum(int((rows[2] > 0).sum()) for rows in self._held) + np.cumsum(weight > 0)
            stop = int(np.searchsorted(taught, self.recipe.warmup)) + 1
            held = [*self._held, (U[:stop].copy(), Y[:stop].copy(), weight[:stop].copy(), dt[:stop])]
            if stop > len(weight):
                self._held, self._early = held, None
                return
            self._made = self._start(held)
            self._held, self._early = [], None
            U, Y, weight, dt = U[stop:], Y[stop:], weight[stop:], dt[stop:]
        flt, center, means, scaler = self._made
        if len(weight):
            if scaler is not None and is_sparse(U):
                raise dense_rows()
            if self.recipe.missing != "raise" and not is_sparse(U):
                U, means = means.in_turn(U, weight)
            if scaler is not None:
                self._made = self._running(self._made, U, Y, weight, dt)._replace(means=means)
                return
            for part in _parts(U, center):
                flt.update_many(_centred(U[part], center), Y[part], weight=weight[part], dt=dt[part], trace=False)
            self._made = Made(flt, center, means)

    def _running(self, made: Made, U: Array, Y: Array, weight: Array, dt: Array) -> Made:
        """The rows learned, standardised by those so far: up to each move in the coordinates before it."""
        done = 0
        while done < len(weight):
            flt, scaler = made.flt, made.scaler
            assert scaler is not None
            rest = slice(done, done + 2**12)
            Z = scaler.seen(U[rest])
            n, after, move = scaler.after(Z, weight[rest])
            taken = slice(done, done + n)
            flt.update_many(Z[:n], Y[taken], weight=weight[taken], dt=dt[taken], trace=False)
            if move is not None:
                flt = flt.change_units(center=move.center, scale=move.scale)
            made = made._replace(flt=flt, scaler=after, center=after.center)
            self._made, done = made, done + n
        return made

    def learn_batch(self, U: Any, Y: Array, weight: Array, time: Any = None) -> None:
        """All rows there are: level and scale come from all of them, so that their order plays no part in it."""
        dt, self._last = self._waited(time, len(weight))
        self._timed = time is not None
        U, weight = self._complete(U, weight)
        if not (weight > 0).any():
            raise ParameterError(argument="sample_weight", expected="at least one weight > 0", got="all zero")
        if self._made is None:
            self._made = self._start([(U, Y, weight, dt)])
        else:
            self._learn(U, Y, weight, dt)

    def current(self) -> tuple[Filter, Array]:
        """The filter and its centre; before it has started, one made of the rows held so far."""
        return self._now()[:2]

    @property
    def scale(self) -> Array:
        """By what the features are divided (d,)."""
        scaler = self._now().scaler
        return np.ones(self.d) if scaler is None else scaler.scale

    def inputs(self, U: Any) -> tuple[Filter, Any]:
        """The filter, and rows U (n, d) to predict as it sees them."""
        flt, center, means, scaler = self._now()
        if is_sparse(U) and (center.any() or scaler is not None):
            U = U.toarray()
        if is_sparse(U):
            return flt, self._complete(U, np.ones(U.shape[0]))[0]
        if self.recipe.missing != "raise":
            U = np.where(np.isnan(U), means.now(), U)
        return flt, U - center if scaler is None else scaler.seen(U)

    def _complete(self, U: Any, weight: Array) -> tuple[Any, Array]:
        """With the weight 0 for rows in which something is missing, where they are to be skipped; sparse ones without NaN."""
        if self.recipe.missing == "raise":
            return U, weight
        if is_sparse(U):
            gone = np.isnan(U.data)
            if gone.any():
                if self.recipe.missing == "mean":
                    expected = "no NaN in sparse rows (missing='skip', or a dense X)"
                    raise UnsupportedError(argument="X", expected=expected, got="nan")
                rows = np.searchsorted(U.indptr, np.flatnonzero(gone), side="right") - 1
                U, weight = U.copy(), weight.copy()
                U.data[gone], weight[rows] = 0.0, 0.0
        elif self.recipe.missing == "skip":
            weight = np.where(np.isnan(U).any(axis=1), 0.0, weight)
        return U, weight

    def _now(self) -> Made:
        if self._made is not None:
            return self._made
        if self._early is None:
            self._early = self._start(self._held)
        return self._early

    def _start(self, held: list[Rows]) -> Made:
        Y, weight, dt = (np.concatenate([rows[part] for rows in held]) for part in (1, 2, 3))
        U, means = _stacked([rows[0] for rows in held]), Means(self.d)
        if self.recipe.missing != "raise" and not is_sparse(U):
            U, means = means.all_of(U, weight)
        if self.recipe.standardize is None:
            return Made(*self.recipe.start(U, Y, weight, dt), means)
        flt, scaler = self.recipe.running(U, Y, weight, dt)
        return Made(flt, scaler.center, means, scaler)


def _centred(U: Any, center: Array) -> Any:
    """Sparse rows with a centre are dense."""
    if not is_sparse(U):
        return U - center
    return U.toarray() - center if center.any() else U


def _parts(U: Any, center: Array) -> list[slice]:
    """All rows at once, but for sparse ones that have to be dense: about a megabyte of them."""
    n, d = U.shape
    size = max(1, 2**17 // max(1, d)) if is_sparse(U) and center.any() else max(1, n)
    return [slice(start, start + size) for start in range(0, n, size)]


def _stacked(rows: list[Any]) -> Any:
    """Rows one behind the other: sparse where all are."""
    if len(rows) == 1:
        return rows[0]
    if all(is_sparse(U) for U in rows):
        from scipy.sparse import vstack  # type: ignore[import-untyped]

        return vstack(rows, format="csr")
    return np.concatenate([U.toarray() if is_sparse(U) else U for U in rows])
