"""What a bank offers besides its step, written once for kfng and for its reference."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from . import _bank_changes, _bank_copy, _bank_file, _bank_prior, _bank_rows, _border, _keys, _validate
from ._bank_changes import Base
from ._bank_cold import Recency
from ._bank_prior import Prior
from ._filter_base import COUNTERS, FilterBase, downweighted
from ._health import band
from ._keys import Column, Key
from ._settings import Settings
from ._stamps import KIND, NONE
from ._trace import Likelihood, Trace
from .errors import DtypeError, NonFiniteError, ParameterError, UnknownKeyError, UnsupportedError
from .reference.belief import Belief, Full
from .reference.family import Family
from .reference.guards import Guards
from .reference.model import Model
from .reference.robust import Robust
from .reference.rule import Kalman, Rule

Float = NDArray[np.float64]
Slots = NDArray[np.int64]
Sections = dict[str, NDArray[Any]]
BLOCK = 4096
"""Keys whose factors are looked at together."""


class BankBase:
    """One model per key: the same components for every key, each with its own posterior, clock and counters.

    A key's part of a bank is what a `Filter` of the same settings is after that key's rows, bit for bit, however the rows
    of all keys are mixed and cut into batches, and whatever the number of threads. Keys are whole numbers (64 bits) or
    strings, and 1 and "1" are two keys. A new key starts from the prior when its first row comes.

    Parameters
    ----------
    model : Model
        `Linear` or `MLP`; models with a state and models that live elsewhere are for `Filter`.
    family, belief, rule, guards, theta, iterations, robust, dtype
        As for `Filter`. A rule `Fading(half_life="7d")` needs `time=` at every update.
    num_threads : int, optional
        Threads that `update` may share the keys out among. Default: the variable KFNG_NUM_THREADS, else one.
    feature_names, seed
        As for `Filter`.
    max_keys : int, optional
        At most so many keys are kept in memory: when another comes, the one whose last row is longest ago makes room.
    evict_to : path, optional
        With `max_keys`: an SQLite file that takes the keys which made room. A key in it comes back by itself, bit for bit
        as it was, at its next row, and is read from the file by `bank[key]`, `theta`, `std`, `n_updates`, `predict`,
        `export` and `in`; `keys`, `len` and the rest are about the keys in memory. Without a file such keys are dropped.

    Raises
    ------
    ParameterError, ShapeError, DtypeError, NonFiniteError, NotPositiveDefiniteError, UnknownNameError, UnsupportedError
    """

    # What does not depend on how the step is computed is written here; an implementation supplies what is declared next.

    settings: Settings
    _likelihood: Likelihood

    if TYPE_CHECKING:  # supplied by kfng.Bank and kfng.reference.Bank

        def _slots(self, keys: Column, create: bool) -> tuple[Slots, Slots]: ...
        def _run(self, slots: Slots, U: Any, Y: Any, weight: Any, dt: Any, offset: Any, blank: Any) -> Any: ...
        def _refuse(self, slots: Slots) -> None: ...
        def _predict(self, slots: Slots, U: Any, offset: Any) -> tuple[Float, Float, Float, Float]: ...
        def _theta(self, slots: Slots) -> NDArray[Any]: ...
        def _variances(self, slots: Slots) -> Float: ...
        def _noise(self, slots: Slots) -> tuple[Float, Float]: ...
        def _live(self) -> Slots: ...
        def _keys_at(self, slots: Slots) -> list[Key]: ...
        def _key_arrays(self, slots: Slots) -> Sections: ...
        def _reserve(self, ints: int) -> None: ...
        def _capacity(self) -> int: ...
        def _count(self) -> int: ...
        def _sections(self, slots: Slots, names: tuple[str, ...] | None = None) -> Sections: ...
        def _append(self, keys: Column, sections: Sections, prior: Slots) -> Slots: ...
        def _prior_of(self, slots: Slots) -> Slots: ...
        def _add_prior(self, settings: Settings) -> None: ...
        def _replace(self, slots: Slots, sections: Sections) -> None: ...
        def _remove(self, slots: Slots) -> None: ...
        def _mark(self) -> None: ...
        def _changed(self) -> Slots: ...
        def _gone(self) -> list[Key]: ...
        def _core_nbytes(self) -> int: ...
        def _filter_type(self) -> type[FilterBase]: ...

    # -- construction
    def __new__(
        cls,
        model: Model,
        family: Family,
        *,
        belief: Belief = Full(1.0),
        rule: Rule = Kalman(),
        guards: Guards = Guards(),
        theta: Any = None,
        iterations: int | str = 1,
        robust: Robust | str | None = None,
        dtype: Any = "float64",
        num_threads: int | None = None,
        feature_names: Any = None,
        seed: int = 0,
        max_keys: int | None = None,
        evict_to: Any = None,
    ) -> Self:
        settings = Settings.build(
            model,
            family,
            belief=belief,
            rule=rule,
            guards=guards,
            theta=theta,
            iterations=iterations,
            robust=robust,
            dtype=dtype,
            num_threads=num_threads,
            feature_names=feature_names,
            seed=seed,
        )
        return cls._made(settings, max_keys, evict_to)

    def __init__(self, *args: Any, **options: Any) -> None:
        """Everything is set up in `__new__`, so that subclasses may have an `__init__` of their own."""

    @classmethod
    def _from_settings(cls, settings: Settings) -> Self:
        raise NotImplementedError

    @classmethod
    def _made(cls, settings: Settings, max_keys: Any = None, evict_to: Any = None) -> Self:
        """An empty bank."""
        if settings.sensitivity is not None or settings.model.inputs is None:
            expected = "a model without a state whose outputs follow from a row: Linear or MLP"
            raise UnsupportedError(argument="model", expected=expected, got=repr(settings.model)[:80])
        settings.rule.spec()  # a callable cannot be written to a file
        self = cls._from_settings(settings)
        self._begin(max_keys, evict_to)
        return self

    def _begin(self, max_keys: Any, evict_to: Any) -> None:
        self._lock = threading.RLock()
        self._priors = [self.settings]
        self._time_kind: str | None = None
        self._last: NDArray[Any] = np.zeros(0)
        self._recency = Recency.of(self, max_keys, evict_to)
        self._base: Base | None = None

    # -- learning
    def update(
        self,
        keys: Any,
        X: Any,
        y: Any,
        *,
        weight: Any = None,
        dt: Any = None,
        offset: Any = None,
        time: Any = None,
        on_bad_row: str = "raise",
        trace: bool = True,
    ) -> Trace | None:
        """Rows of any keys in order: each is predicted by its key's model, which then learns from it.

        Parameters
        ----------
        keys : (n,)
            Whole numbers or strings: a list, an array, a column of pandas, polars or Arrow.
        X : (n, d)
        y : (n,) or (n, k)
            NaN is missing: time passes, nothing is learned.
        weight : number or (n,), default 1
            Multiplier of each row's log-likelihood.
        dt : number or (n,), default 1
            Time since the row of the same key before it.
        offset : number, (n,) or (n, k), default 0
            Added to z.
        time : (n,) numbers or datetime64, instead of dt
            When each row was. dt is then the time since the key's last one: 0 for a key without one, else seconds (dates,
            to the nanosecond) or the unit of the numbers. For each key it must not go backwards. An update without `time`
            forgets the last times of its keys.
        on_bad_row : 'raise' or 'skip'
            'skip' leaves bad rows out as if they were not in the stream; those of known keys are counted.
        trace : bool, default True
            False returns None.

        Returns
        -------
        Trace or None

        Raises
        ------
        ShapeError, DtypeError, and ParameterError for what is no key
            Before any row is used.
        NonFiniteError, ParameterError
            At a bad row; `error.row` is its index, `error.trace` the rows before it, all of which are applied, and none
            after it.
        """
        _validate.choice("on_bad_row", on_bad_row, ("raise", "skip"))
        _validate.flag("trace", trace)
        if time is not None and dt is not None:
            raise ParameterError(argument="time", expected="one of time and dt", got="both")
        if time is None and dt is None and self.settings.rule.seconds:
            raise ParameterError(argument="time", expected="time stamps, for a half-life with a unit", got="none")
        with self._lock:
            plain = time is None and on_bad_row == "raise" and self._time_kind is None
            if plain and self._recency is None:
                try:
                    done = self._quick(keys, X, y, weight, dt, offset, trace)
                except (NonFiniteError, ParameterError) as error:
                    raise _bank_rows.renamed(error) from None
                if done is not None:
                    return done if trace else None
            sweep = _bank_rows.Sweep(self, keys, X, y, weight, dt, offset, time, on_bad_row == "skip", trace)
            return sweep.go(self._run)

    def update_panel(self, X: Any, y: Any, *, keys: Any = None, weight: Any = None, dt: Any = None) -> Trace:
        """One row of every key: the same bits as `update(keys, X, y)`.

        Parameters
        ----------
        X : (K, d)
        y : (K,) or (K, k)
        keys : (K,), all different, default `keys()`
        weight, dt : number or (K,), default 1

        Raises
        ------
        As `update`; ParameterError where a key comes twice.
        """
        _border.need_time(self.settings, dt)
        with self._lock:
            plain = keys is None and weight is None and dt is None
            if plain and self._time_kind is None and self._recency is None:
                try:
                    done = self._quick_panel(X, y)
                except (NonFiniteError, ParameterError) as error:
                    raise _bank_rows.renamed(error) from None
                if done is not None:
                    return done
            known = _keys.column(self.keys() if keys is None else keys)
            _distinct(known)
            sweep = _bank_rows.Sweep(self, known, X, y, weight, dt, None, None, False, True)
            trace = sweep.go(self._run_panel)
        assert trace is not None
        return trace

    def _run_panel(self, slots: Slots, U: Any, Y: Any, weight: Any, dt: Any, offset: Any, blank: Any) -> Any:
        """As `_run`, where all slots differ."""
        return self._run(slots, U, Y, weight, dt, offset, blank)

    def _quick(self, keys: Any, X: Any, y: Any, weight: Any, dt: Any, offset: Any, trace: bool) -> Any:
        """The whole of a plain update, done at once: a Trace, or True without one; None where anything is unusual."""
        return None

    def _quick_panel(self, X: Any, y: Any) -> Trace | None:
        """The whole of a plain panel of all keys, done at once; None where anything is unusual."""
        return None

    # -- prediction at the present time
    def predict(
        self, keys: Any, X: Any, *, return_std: bool = False, include_noise: bool = True, offset: Any = 0.0
    ) -> Any:
        """Mean of y for rows X (n, d) of keys (n,) at the present time; nothing changes.

        A key that has had no row is predicted from the prior that it would start with.

        Parameters
        ----------
        keys : (n,)
            As in `update`.
        X : (n, d)
        return_std : bool, default False
            Give the standard deviations as well.
        include_noise : bool, default True
            With the noise of y, or of its mean alone.
        offset : number, (n,) or (n, k), default 0
            Added to z.

        Returns
        -------
        mean : (n,) or (n, k), in the bank's dtype
        std : the same shape, float64, with `return_std`; with the noise of y unless `include_noise=False`

        Raises
        ------
        ShapeError, DtypeError, NonFiniteError, ParameterError; UnsupportedError (a std, of a rule without a posterior)
        """
        _validate.flag("return_std", return_std)
        _validate.flag("include_noise", include_noise)
        if return_std:
            self._need_posterior("return_std")
        settings, family = self.settings, self.settings.family
        column = self._column(keys)
        U, offsets = _bank_rows.inputs(settings, X, offset, len(column))
        with self._lock, self._reading(column) as slots:
            z, C, a, b = self._predict(slots, U, offsets)
        shape = (len(z), *settings.mean_shape)
        with np.errstate(over="ignore", invalid="ignore"):  # a row far outside everything has an infinite std
            mean = family.mean(z).reshape(shape).astype(settings.float, copy=False)
            if return_std:
                return mean, family.predictive_std(z, C, a, b, include_noise).reshape(shape)
        return mean

    # -- the posteriors
    def theta(self, keys: Any) -> NDArray[Any]:
        """Posterior means (n, p) of keys (n,), in the bank's dtype.

        Parameters
        ----------
        keys : (n,)
            As in `update`.

        Raises
        ------
        UnknownKeyError
            As `std` and `n_updates`, for a key that has had no row; it is a KeyError. Also what `keys` may raise there.
        """
        with self._lock, self._reading(self._column(keys), known=True) as slots:
            return self._theta(slots)

    def std(self, keys: Any) -> Float:
        """Posterior standard deviations (n, p) of keys (n,).

        Parameters
        ----------
        keys : (n,)
            As in `update`.
        """
        self._need_posterior("std")
        with self._lock, self._reading(self._column(keys), known=True) as slots:
            return np.sqrt(self._variances(slots) * self._scales(slots)[:, None])

    def n_updates(self, keys: Any) -> NDArray[np.int64]:
        """Rows that taught each of keys (n,) something: (n,) integers.

        Parameters
        ----------
        keys : (n,)
            As in `update`.
        """
        with self._lock, self._reading(self._column(keys), known=True) as slots:
            return self._counters(slots)[:, COUNTERS.index("n_updates")]

    def _counters(self, slots: Slots) -> NDArray[np.int64]:
        return self._sections(slots, ("counters",))["counters"].astype(np.int64)

    def _scales(self, slots: Slots) -> Float:
        """The posterior covariance as a multiple of what the belief keeps (n,): noise variance, times the rule's factor."""
        a, b = self._noise(slots)
        updates = self._counters(slots)[:, COUNTERS.index("n_updates")]
        counts, where = np.unique(updates, return_inverse=True)
        factors = np.array([self.settings.rule.scale(count) for count in counts.tolist()])
        return self.settings.family.posterior_scale(a, b) * (factors[where] if len(counts) else np.ones(0))

    def _need_posterior(self, argument: str) -> None:
        rule = self.settings.rule
        if not rule.has_posterior:
            expected = "a rule with a posterior covariance"
            raise UnsupportedError(argument=argument, expected=expected, got=repr(rule)[:80])

    def health(self) -> dict[str, Any]:
        """As `Filter.health`, over all keys in memory, with their number `keys`.

        Counters are sums, rho_max and min_pivot_ratio the most extreme of any key, mean_nis is over the rows of all keys.
        """
        with self._lock:
            slots = self._live()
            state = self._sections(slots, ("counters", "gauges", "robust"))
            counts, gauges = state["counters"].sum(axis=0), state["gauges"]
            result: dict[str, Any] = {name: int(x) for name, x in zip(COUNTERS, counts, strict=True)}
            nis_sum, nis_count = gauges[:, :2].sum(axis=0).tolist()
            result |= downweighted(self.settings, state)
            result["rho_max"] = float(np.max(gauges[:, 2], initial=0.0))
            result["mean_nis"] = nis_sum / nis_count if nis_count else float("nan")
            result |= band(self.settings, nis_count)
            parts = [_smallest_pivot(self, slots[i : i + BLOCK]) for i in range(0, len(slots), BLOCK)]
            result["min_pivot_ratio"] = min(parts, default=float("nan"))
            return {"keys": len(slots)} | result

    # -- keys
    def keys(self) -> list[Key]:
        """The keys in memory, in order of their first appearance."""
        with self._lock:
            return self._keys_at(self._live())

    def __len__(self) -> int:
        return self._count()

    def __iter__(self) -> Iterator[Key]:
        return iter(self.keys())

    def __contains__(self, key: Any) -> bool:
        try:
            column = _keys.single(key)
        except (DtypeError, ParameterError):
            return False
        with self._lock, self._reading(column) as slots:
            return bool(slots[0] >= 0)

    def __getitem__(self, key: Any) -> Any:
        """An independent `Filter` in the state of this key.

        Raises
        ------
        UnknownKeyError
            Also a KeyError.
        """
        with self._lock, self._reading(_keys.single(key), known=True) as slots:
            flt = self._filter_type()._from_settings(self._priors[int(self._prior_of(slots)[0])])
            flt._set_state({name: part[0] for name, part in self._sections(slots).items()})
        return flt

    def drop(self, keys: Any) -> None:
        """Forget these keys; one that comes again starts from the prior.

        Parameters
        ----------
        keys : (n,)
            As in `update`.

        Raises
        ------
        UnknownKeyError
            One of them is not there; nothing is dropped.
        """
        with self._lock:
            column = self._column(keys)
            with self._reading(column, known=True):
                pass
            slots, _ = self._slots(column, False)
            self._remove(np.unique(slots[slots >= 0]))
            if self._recency is not None:
                self._recency.forget(column)

    def export(self, keys: Any) -> Self:
        """A bank of its own with copies of these keys, in this order; it has no `max_keys`.

        Parameters
        ----------
        keys : (n,), all different
            As in `update`.

        Raises
        ------
        UnknownKeyError; ParameterError where a key comes twice.
        """
        with self._lock:
            column = self._column(keys)
            _distinct(column)
            other = self._made(self.settings)
            with self._reading(column, known=True) as slots:
                _bank_copy.transfer(self, slots, other, column)
            return other

    def absorb(self, other: Self) -> None:
        """Take over copies of all keys of another bank, behind the own ones; `other` stays as it is.

        Parameters
        ----------
        other : Bank
            One of the same settings.

        Raises
        ------
        ParameterError
            `other` is no bank, or has a key that is here; nothing is absorbed.
        UnsupportedError
            Its settings differ; the error names which.
        """
        _bank_copy.absorb(self, other)

    # -- a prior from the others
    def share_prior(self) -> None:
        """Empirical Bayes: keys created from now on start at mean and spread of what the keys so far have learned.

        Of each parameter alone. A key i has posterior mean m and variance s² and started from the prior theta_0, v (variances
        relative to its noise variance sigma² where that is learned; else sigma² = 1). w = 1 - s²/v is the share of its
        precision that came from rows, and e = theta_0 + (m - theta_0)/w what these rows alone say, with variance
        sigma²·v·(1-w)/w beside the spread tau²·sigma² of the keys. With weights u = w/sigma² the method of moments gives

            mean = sum(u e)/sum(u)
            tau² = [sum(u (e - mean)²) - sum(v (1-w) (1 - u/sum(u)))] / sum(w (1 - u/sum(u)))

        and the new prior is that mean with variance tau² + V, where V = sum(u²·sigma²·(tau² + v (1-w)/w))/sum(u)², over the mean
        of sigma², is what is not known of the mean. tau² is at least a tenth of what it would be with nothing taken off. Keys with
        w < 1/1000 say nothing and are left out; a parameter that fewer than two keys know of keeps its prior. A noise
        variance that is learned starts at sum(b - b_0)/sum(a - a_0) of all keys (a, b of its inverse gamma, a_0, b_0 what
        is left of their priors): what their rows alone show. Its degrees of freedom stay those of the family. Keys that exist are not changed.

        Sources: R. DerSimonian and N. Laird, "Meta-analysis in clinical trials", Controlled Clinical Trials 7 (1986) for the
        moments; C. N. Morris, "Parametric empirical Bayes inference", JASA 78 (1983).

        Raises
        ------
        ParameterError
            Fewer than two keys have learned anything.
        UnsupportedError
            The rule has no posterior.
        """
        self._need_posterior("share_prior")
        with self._lock:
            self._set_prior(_bank_prior.shared(self))

    @property
    def prior(self) -> Prior:
        """What a new key starts from: theta (p,), the variances (p,) and the scale (m,) of noise that is learned."""
        newest = self._priors[-1]
        variance = np.array(newest.belief.prior_diagonal(newest.p), dtype=np.float64)
        return Prior(newest.theta.astype(newest.float), variance, _bank_prior.noise_scale(newest))

    def _set_prior(self, settings: Settings) -> None:
        self._add_prior(settings)
        self._priors.append(settings)

    # -- memory
    @property
    def nbytes(self) -> int:
        """Bytes that the bank takes, all in."""
        with self._lock:
            rest = 0 if self._recency is None else self._recency.used.nbytes
            return self._core_nbytes() + self._last.nbytes + rest

    @property
    def max_keys(self) -> int | None:
        """Keys kept in memory at most."""
        return None if self._recency is None else self._recency.max_keys

    @property
    def evict_to(self) -> str | None:
        """The file of keys that made room."""
        return None if self._recency is None else self._recency.path

    def _last_times(self, kind: str) -> NDArray[Any]:
        """Each slot's last time stamp, of this kind, grown to the slots there are."""
        if self._time_kind is None:
            self._time_kind, self._last = kind, np.zeros(0, dtype=KIND[kind])
        elif self._time_kind != kind:
            expected = f"{self._time_kind}s, as before"
            raise ParameterError(argument="time", expected=expected, got=f"{kind}s")
        self._last = grown(self._last, self._capacity(), NONE[kind])
        return self._last

    def _forget_times(self, slots: Slots) -> None:
        if self._time_kind is not None:
            self._last_times(self._time_kind)[slots] = NONE[self._time_kind]

    # -- looking keys up
    def _create(self, keys: Column) -> tuple[Slots, Slots]:
        """As `_slots`, new ones made: they have no last time."""
        slots, new = self._slots(keys, True)
        self._forget_times(slots[new])
        return slots, new

    def _column(self, keys: Any) -> Column:
        return _keys.column(keys)

    def _reading(self, column: Column, known: bool = False) -> _bank_rows.Reading:
        """The slots of keys while they are read, -1 where there is none: those in the file are in memory for so long."""
        return _bank_rows.Reading(self, column, known)

    # -- saving and copying
    def spec(self) -> dict[str, Any]:
        """The settings as plain JSON values (arrays by shape)."""
        return self.settings.spec()

    def save(self, path: Any, *, incremental: bool = False) -> None:
        """Write the keys in memory to a file: atomically, with a digest, the file before it kept as `<path>.prev`.

        `kfng.load` reads it. Keys in the file `evict_to` stay there, and the loaded bank goes on with that file. Threads that
        would update the bank wait meanwhile, so that the file is the bank of one moment.

        Parameters
        ----------
        path : str or os.PathLike
        incremental : bool, default False
            Write only keys that have changed since a base, a whole save in a file of its own, `<path>.base-` and 16 hex digits.
            `path` then names the base, and is of no use without it. A base is written by the first such save to `path`, and
            again when more than half of the keys have changed or the file is no longer as it was. A bank that was loaded from
            `path` goes on with its base. Bases that neither `path` nor `<path>.prev` needs are deleted.

        Raises
        ------
        OSError
            The file cannot be written; what was there is as before.
        """
        _validate.flag("incremental", incremental)
        if incremental:
            _bank_changes.save(self, path)
        else:
            from . import checkpoint

            checkpoint.write(path, _bank_file.encoded(self))

    @classmethod
    def _from_file(cls, header: dict[str, Any], arrays: _bank_file.Arrays) -> Self:
        return _bank_file.decoded(cls, header, arrays)

    @classmethod
    def _from_bytes(cls, data: bytes) -> Self:
        from . import checkpoint
        from ._load import require_kind

        header, arrays = checkpoint.decode(data)
        require_kind(header, "Bank")
        return cls._from_file(header, arrays)

    def copy(self) -> Self:
        """An independent bank in the same state.

        Raises
        ------
        UnsupportedError
            The bank has a file `evict_to`, which two cannot share; `export` copies keys.
        """
        self._alone("copy")
        with self._lock:
            twin = self._made(self.settings, self.max_keys)
            slots = self._live()
            _bank_copy.transfer(self, slots, twin, self._column(self._keys_at(slots)))
        return twin

    def _alone(self, what: str) -> None:
        if self.evict_to is not None:
            expected = f"none, to {what} a bank (two cannot share the file; export() copies keys)"
            raise UnsupportedError(argument="evict_to", expected=expected, got=repr(self.evict_to)[:80])

    def __copy__(self) -> Self:
        return self.copy()

    def __deepcopy__(self, memo: Any) -> Self:
        return self.copy()

    def __reduce__(self) -> tuple[Any, ...]:
        self._alone("pickle")
        return type(self)._from_bytes, (b"".join(_bank_file.encoded(self)),)

    def __repr__(self) -> str:
        s = self.settings
        shown = [repr(s.model), repr(s.family), *(f"{name}={value!r}" for name, value in s.arguments().items())]
        for name in ("max_keys", "evict_to"):
            shown += [] if getattr(self, name) is None else [f"{name}={getattr(self, name)!r}"]
        return f"Bank({', '.join(shown)})"


def grown(array: NDArray[Any], size: int, fill: Any) -> NDArray[Any]:
    """The array with room for `size` slots; a quarter more, so that growing costs little."""
    if len(array) >= size:
        return array
    larger = np.full(max(64, size + size // 4), fill, dtype=array.dtype)
    larger[: len(array)] = array
    return larger


def unknown(keys: Column, slots: Slots) -> UnknownKeyError:
    """The error of the first key that has no slot."""
    row = int(np.argmax(slots < 0))
    error = UnknownKeyError(argument="keys", expected="keys of the bank", got=repr(_keys.values(keys)[row])[:80])
    error.row = row
    return error


def _distinct(keys: Column) -> None:
    if not isinstance(keys, list) and len(np.unique(keys)) == len(keys):
        return
    seen: set[Key] = set()
    known = _keys.values(keys)
    if len(set(known)) == len(known):
        return
    for row, key in enumerate(known):
        if key in seen:
            error = ParameterError(argument="keys", expected="different keys", got=f"{key!r:.80} twice")
            error.row = row
            raise error
        seen.add(key)


def _smallest_pivot(bank: BankBase, slots: Slots) -> float:
    """Smallest D_j/P_jj of any of these keys; NaN with a gradient rule."""
    settings = bank.settings
    if settings.rule.gradient:
        return float("nan")
    state = bank._sections(slots, None)
    if "V" in state:
        return float(np.min(np.where(state["V"] > 0, 1.0, 0.0), initial=1.0))
    p = settings.p
    if "U" in state:
        D, U = state["D"].astype(np.float64), np.zeros((len(slots), p, p))
        rows, columns = np.tril_indices(p, -1)
        U[:, columns, rows] = state["U"]
        P = D + np.einsum("kij,kj->ki", U**2, D)
    else:
        pairs = [settings.belief.factors(P) for P in state["P"].astype(np.float64)]
        D, P = np.array([pair[1] for pair in pairs]), np.array([(pair[0] ** 2) @ pair[1] for pair in pairs])
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(np.min(np.where(P > 0, D / P, 0.0)))
