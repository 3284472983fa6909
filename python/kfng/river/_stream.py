"""Rows as dicts, and a filter that grows with their features: what both models for river do with x.

A feature is there from the first row in which it is not 0 and enters with a prior of its own: the weight's variance is that
of the intercept (of y in link units) over the square of this first value, as if the value were the feature's standard
deviation. Units play no part in it. In a row without it a feature is 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import wraps
from operator import itemgetter, mul, sub
from time import sleep
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np
from river import base

from .. import _grow
from .._clock import Moment
from .._estimator import MISSING, Recipe, options_of, waited
from .._filter import Filter
from .._hasher import FeatureHasher
from .._scaler import Scaler
from .._validate import Array, choice, integer, number
from ..errors import DtypeError, NonFiniteError, ParameterError, UnsupportedError, shown
from ..reference.family import Bernoulli, Family, Gaussian
from ._means import Means, gaps

Name = Hashable
Row = tuple[dict[Name, float], float, float, float]
"""x, y, w and dt."""
QUICK = 40
"""So many features are summed in Python before an array is faster."""


class Learner(NamedTuple):
    """A filter, and what its features are called and centred at. It is replaced as a whole where it grows."""

    flt: Filter
    names: tuple[Name, ...]
    place: dict[Name, int]
    center: Array
    values: Callable[[Mapping[Name, Any]], Any]
    """The values of x in their order; KeyError where one is not there."""
    many: int
    """k, the number of outputs, or 0 for one."""
    clamp: float | None
    family: Family
    level: list[float]
    """The centre, as numbers of Python."""
    unit: Array
    """(k,): prior variance of the intercepts when it started, of which that of new weights is made."""
    origin: Array
    """Where features were centred when it started, of later ones 0: the row that the prior of the intercepts speaks of."""
    scaler: Scaler | None = None
    """Where features are standardised as they come; `center` is then its own."""

    def row(self, x: Mapping[Name, Any]) -> Array:
        """u (d,); features that are not known are left out."""
        u = self.same(x)
        if u is not None:
            return u
        u = np.zeros(len(self.names))
        for name, value in x.items():
            place = self.place.get(name)
            if place is not None:
                u[place] = _number(name, value)
        u -= self.center
        return u if self.scaler is None else u / self.scaler.scale

    def same(self, x: Mapping[Name, Any]) -> Array | None:
        """u (d,) where x has the features that are known and no other, as most rows do; else None."""
        if len(x) != len(self.names) or len(x) < 2:
            return None
        try:
            u = np.array(self.values(x), dtype=np.float64)
        except KeyError:
            return None
        except (TypeError, ValueError):
            _ = [_number(name, value) for name, value in x.items()]  # which says what is wrong
            raise
        u -= self.center
        if self.scaler is not None:
            u /= self.scaler.scale
        return u

    def quick(self, x: Mapping[Name, Any], theta: list[float]) -> float | None:
        """z of a row of the features that are known and no other, few and plain: without arrays, which cost more than the sum."""
        if self.scaler is not None or not 2 <= len(x) == len(self.names) <= QUICK:
            return None
        try:  # (theta ends with the intercept, for which there is no value)
            z = theta[-1] + sum(map(mul, map(sub, self.values(x), self.level), theta))
        except (KeyError, TypeError, ValueError, OverflowError):
            return None
        return z if type(z) is float and math.isfinite(z) else None

    def rows(self, names: Sequence[Name], X: Array) -> Array:
        """U (n, d) from columns of these names."""
        U = np.zeros((len(X), len(self.names)))
        for name, column in zip(names, X.T, strict=True):
            place = self.place.get(name)
            if place is not None:
                U[:, place] = column
        return U - self.center if self.scaler is None else self.scaler.seen(U)

    def after(self, u: Array, w: float) -> Learner:
        """Behind a row u (d,) that was learned: where features are standardised as they come, in coordinates for the next."""
        if self.scaler is None:
            return self
        _, scaler, move = self.scaler.after(u[None], np.array([w], dtype=np.float64))
        flt = self.flt if move is None else self.flt.change_units(center=move.center, scale=move.scale)
        return self._replace(flt=flt, scaler=scaler, center=scaler.center)

    def mean(self, x: Mapping[Name, Any]) -> Any:
        """The mean of y, a number or (K,), as `Filter.predict` has it, without what that does for many rows."""
        theta, family = self.flt.theta, self.family
        if not self.many:
            z = self.quick(x, theta.tolist())
            if z is None:
                z = float(theta[:-1].dot(self.row(x))) + float(theta[-1])
            if self.clamp is not None:
                z = min(max(z, -self.clamp), self.clamp)
            if type(family) is Gaussian:
                return z
            return expit(z) if type(family) is Bernoulli else float(family.mean(np.array([[z]]))[0, 0])
        weights = theta[: -self.many].astype(np.float64, copy=False).reshape(self.many, -1)
        zs = (weights.dot(self.row(x)) + theta[-self.many :])[None]
        return family.mean(zs if self.clamp is None else family.clamp(zs, self.clamp))[0]

    def with_features(self, new: Mapping[Name, float]) -> tuple[Learner, Callable[[], Learner]]:
        """The same with these features more, and their first values; and what gives this one back as long as nothing was learned.

        This one's filter may be used up.
        """
        names, n = sorted(new, key=order), len(new)
        variance = self.unit[:, None] / np.array([new[name] for name in names]) ** 2
        flt, back = _grow.taken(self.flt, n, variance.ravel())
        scaler = None if self.scaler is None else self.scaler.with_features(n)
        center, origin = (np.append(where, np.zeros(n)) for where in (self.center, self.origin))
        grown = made(flt, (*self.names, *names), center)._replace(unit=self.unit, origin=origin, scaler=scaler)
        return grown, lambda: self._replace(flt=back())

    def with_outputs(self, flt: Filter) -> Learner:
        """The same with a filter of more classes, all of whose priors are that of the first one."""
        grown, k = made(flt, self.names, self.center), flt.settings.k
        share = 2 if self.many == 0 else 1  # (two classes have half of a logit's variance each)
        return grown._replace(unit=np.full(k, self.unit[0] / share), origin=self.origin, scaler=self.scaler)


def made(flt: Filter, names: tuple[Name, ...], center: Array) -> Learner:
    values = itemgetter(*names) if names else itemgetter(())  # (that of one name gives no tuple: `same` goes without)
    place = {name: i for i, name in enumerate(names)}
    k = flt.settings.k
    settings = flt.settings
    unit = settings.belief.prior_diagonal(settings.p)[-k:]  # variance of y in link units
    many = k if k > 1 else 0
    return Learner(
        flt, names, place, center, values, many, settings.z_clamp, settings.family, center.tolist(), unit, center
    )


def expit(z: float) -> float:
    return 1 / (1 + math.exp(-z)) if z >= 0 else 1 - 1 / (1 + math.exp(z))


def order(name: Name) -> tuple[str, str]:
    """So that it does not matter in which order a dict has its features."""
    return type(name).__name__, str(name)


F = TypeVar("F", bound=Callable[..., Any])


def steady(predict: F) -> F:
    """A prediction, made again where a row of another thread has taken its filter into a larger one meanwhile."""

    @wraps(predict)
    def again(*arguments: Any, **more: Any) -> Any:
        for _ in range(1000):
            try:
                return predict(*arguments, **more)
            except UnsupportedError as error:
                if error.argument != "self":
                    raise
                sleep(1e-3)
        return predict(*arguments, **more)

    return cast(F, again)


class Online(base.Estimator):
    """What both models have: the rows held until `warmup` of them are there, then the learner."""

    warmup: Any
    missing: Any
    standardize: Any = None
    hashing: Any = None
    _learner: Learner | None

    def _begin(self) -> None:
        """Checks every setting, which the constructor has stored under its own name."""
        self._options = options_of(self)
        self._warmup = integer("warmup", self.warmup, low=1)
        self._means = None if choice("missing", self.missing, MISSING) == "raise" else Means()
        if self.standardize is not None:
            Recipe(Gaussian(), self._options, standardize=self.standardize)  # which checks it
        self._hasher = None if self.hashing is None else FeatureHasher(integer("hashing", self.hashing, low=1))
        if self._hasher is not None and self._means is not None:
            raise ParameterError(argument="hashing", expected="None where missing is not 'raise'", got=self.hashing)
        self._learner = None
        self._held: list[Row] = []
        self._taught = 0
        self._shown = False  # whether the filter was handed out
        self._early: tuple[Learner, Means | None] | None = None
        self._dt: float | None = None  # of the row at hand, where it says when it was
        self._last: Moment | None = None
        self._timed: bool | None = None

    def _family(self) -> tuple[Family, int]:
        """The law of y and how many outputs it needs, as far as y is known."""
        raise NotImplementedError

    def _hashed(self, x: Mapping[Name, Any]) -> Mapping[Name, Any]:
        """x by column, where features have columns by their hash; features that are not 0 alone."""
        if self._hasher is None:
            return x
        row = self._hasher.transform([{name if isinstance(name, str) else str(name): x[name] for name in x}])
        return dict(zip(row.indices.tolist(), row.data.tolist(), strict=True))

    # -- learning
    def _learn_at(self, t: Any, x: Mapping[Name, Any], y: float, w: float) -> None:
        """A row that may say when it was."""
        x = self._hashed(x)
        if t is None and self._timed is False:
            self._learn(x, y, w)
            return
        if (t is None and self._options["rule"].seconds) or self._timed not in (None, t is not None):
            expected = "when the row was, in all rows or in none; for a half-life with a unit in all"
            raise ParameterError(argument="t", expected=expected, got=shown(t))
        last = self._last
        if t is not None:
            dt, last = waited("t", [t], 1, last)
            self._dt = float(dt[0])
        try:
            self._learn(x, y, w)
        finally:
            self._dt = None
        self._last, self._timed = last, t is not None

    def _learn(self, x: Mapping[Name, Any], y: float, w: float) -> None:
        if self._means is not None:
            self._learn_rest(self._means, x, y, number("w", w, "a finite number >= 0", 0.0, np.inf, ends="[)"))
        else:
            self._learn_whole(x, y, w)

    def _learn_rest(self, means: Means, x: Mapping[Name, Any], y: float, w: float) -> None:
        """A row in which numbers may be missing."""
        gone = gaps(x)
        if gone and self.missing == "skip":
            w = 0.0
        if self._learner is None:  # what is missing is known when all rows are there that are held
            self._learn_whole(x, y, w)
        else:
            self._learn_whole(means.fill(x, gone), y, w)
            means.add(x, w)

    def _learn_whole(self, x: Mapping[Name, Any], y: float, w: float) -> None:
        if self._learner is not None:
            learner = self._ready(self._learner)
            u = learner.same(x)
            if u is not None:
                self._update(learner, u, y, w)
                self._learner = learner.after(u, w)
                return
            new = {name: value for name, value in x.items() if name not in self._learner.place and value}
            if new:
                self._grow(learner, {name: _number(name, v) for name, v in new.items()}, x, y, w)
                return
            u = learner.row(x)
            self._update(learner, u, y, w)
            self._learner = learner.after(u, w)
            return
        w = number("w", w, "a finite number >= 0", 0.0, np.inf, ends="[)")
        gone = () if self._means is None else gaps(x)
        row = {name: math.nan if name in gone else _number(name, value) for name, value in x.items()}
        held = [*self._held, (row, y, w, 1.0 if self._dt is None else self._dt)]
        taught = self._taught + (w > 0)
        if taught >= self._warmup:
            learner, means = self._start(held)
            self._learner, self._means, held = learner, means, []
        self._held, self._taught, self._early = held, taught, None

    def _grow(self, learner: Learner, new: dict[Name, float], x: Mapping[Name, Any], y: float, w: float) -> None:
        """A row with new features: if it is refused the learner is as it was before them."""
        before = self._learner
        own = learner is before
        if own and self._shown:  # somebody may still look at its filter
            learner = learner._replace(flt=learner.flt.copy())
            own = False
        grown, back = learner.with_features(new)
        if own:
            self._learner = grown  # at once: other threads may want to predict
        try:
            u = grown.row(x)
            self._update(grown, u, y, w)
        except BaseException:
            self._learner = back() if own else before
            raise
        self._learner, self._shown = grown.after(u, w), False

    def _update(self, learner: Learner, u: Array, y: float, w: float) -> None:
        if self._dt is None:
            learner.flt.update(u, y, weight=w)
        else:
            learner.flt.update(u, y, weight=w, dt=self._dt)

    def _ready(self, learner: Learner) -> Learner:
        """The learner for all classes that are known."""
        return learner

    def _learn_rows(self, names: list[Name], X: Array, y: Array, w: Array, new_y: Sequence[int] = ()) -> None:
        """Rows X (n, len(names)) in order, as one by one: in blocks between those that bring something new."""
        i = 0
        if (
            self._means is not None or self.standardize is not None or self._hasher is not None
        ):  # row by row, as means move
            for x, target, w_i in zip(X.tolist(), y.tolist(), w.tolist(), strict=True):
                self._learn(self._hashed(dict(zip(names, x, strict=True))), target, w_i)
            return
        while i < len(X):
            stop = i if self._learner is None else self._next_new(names, X, i, new_y)
            if stop > i and self._learner is not None:
                flt = self._learner.flt
                flt.update_many(self._learner.rows(names, X[i:stop]), y[i:stop], weight=w[i:stop], trace=False)
            if stop < len(X):
                self._learn(dict(zip(names, X[stop].tolist(), strict=True)), float(y[stop]), float(w[stop]))
            i = stop + 1

    def _next_new(self, names: list[Name], X: Array, i: int, new_y: Sequence[int]) -> int:
        """The first row from i on with a new class, or a new feature that is not 0."""
        assert self._learner is not None
        unknown = [j for j, name in enumerate(names) if name not in self._learner.place]
        rows = i + np.flatnonzero((X[i:, unknown] != 0).any(axis=1))
        return min([len(X), *rows[:1].tolist(), *(row for row in new_y if row >= i)])

    # -- starting
    def _current(self) -> Learner | None:
        """The learner, one made of the rows held so far, or None where there are none."""
        if self._learner is not None:
            return self._learner
        if self._early is None and self._taught:
            self._early = self._start(self._held)
        return None if self._early is None else self._early[0]

    def _whole(self, x: Mapping[Name, Any]) -> Mapping[Name, Any]:
        """x to predict, with means in the place of what is missing."""
        x = self._hashed(x)
        if self._means is None or not (gone := gaps(x)):
            return x
        means = self._means if self._learner is not None or self._early is None else self._early[1]
        assert means is not None
        return means.fill(x, gone)

    def _seen_rows(self, learner: Learner, names: Sequence[Name], X: Array) -> Array:
        """U (n, d) of rows to predict, as the filter sees them."""
        if self._hasher is None and (self._means is None or not np.isnan(X).any()):
            return learner.rows(names, X)
        found = [learner.row(self._whole(dict(zip(names, x, strict=True)))) for x in X.tolist()]
        return np.array(found).reshape(len(X), len(learner.names))

    def _start(self, held: list[Row]) -> tuple[Learner, Means | None]:
        means = None
        if self._means is not None:
            means = Means()
            for x, _, weight, _ in held:
                means.add(x, weight)
            held = [(dict(means.fill(x, gaps(x))), of_y, weight, time) for x, of_y, weight, time in held]
        names = tuple(sorted({name for x, *_ in held for name, value in x.items() if value}, key=order))
        U = np.array([[x.get(name, 0.0) for name in names] for x, *_ in held]).reshape(len(held), len(names))
        y, w, dt = (np.array([row[part] for row in held], dtype=np.float64) for part in (1, 2, 3))
        family, outputs = self._family()
        if self.standardize is not None:
            flt, scaler = Recipe(family, self._options, outputs, standardize=self.standardize).running(U, y, w, dt)
            return made(flt, names, scaler.center)._replace(scaler=scaler), means
        flt, center = Recipe(family, self._options, outputs).start(U, y, w, dt)
        return made(flt, names, center), means

    @property
    def filter(self) -> Filter | None:
        """The `kfng.Filter`, whose features are `features`, centred; None before the first row. With a new feature it is another."""
        learner = self._current()
        self._shown = learner is not None
        return None if learner is None else learner.flt

    @property
    def features(self) -> tuple[Name, ...]:
        """Names of the features in the filter's order."""
        learner = self._current()
        return () if learner is None else learner.names


def columns(X: Any) -> tuple[list[Name], Array]:
    """Names and values (n, d) of a data frame."""
    try:
        return list(X.columns), np.ascontiguousarray(X.to_numpy(), dtype=np.float64)
    except (AttributeError, ValueError, TypeError):
        raise DtypeError(argument="X", expected="a data frame of numbers", got=type(X).__name__) from None


def weights(w: Any, n: int) -> Array:
    """(n,); as for single rows a number counts for all."""
    found = np.asarray(1.0 if w is None else w, dtype=np.float64)
    if found.shape not in ((), (n,)):
        raise ParameterError(argument="w", expected=f"a number or ({n},)", got=found.shape)
    return np.broadcast_to(found, (n,))


def _number(name: Name, value: Any) -> float:
    try:
        result = float(value)
    except (TypeError, ValueError):
        raise DtypeError(argument=f"x[{name!r}]", expected="a number", got=type(value).__name__) from None
    if not np.isfinite(result):
        raise NonFiniteError(argument=f"x[{name!r}]", expected="a finite number", got=result)
    return result
