"""What a bank offers besides its step, written once for kfng and for its reference."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self

import numpy as np

from . import _bank_copy, _bank_prior, _keys
from ._bank_parts import Sections, Slots
from ._bank_prior import Prior
from ._bank_read import BankRead
from ._bank_save import BankSave
from ._bank_update import BankUpdate, distinct
from ._keys import Key
from ._settings import Settings
from .errors import DtypeError, ParameterError
from .reference.belief import Belief, Full
from .reference.family import Family
from .reference.guards import Guards
from .reference.model import Model
from .reference.robust import Robust
from .reference.rule import Kalman, Rule

__all__ = ["BankBase", "Sections", "Slots"]


class BankBase(BankUpdate, BankRead, BankSave):
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
            distinct(column)
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

    def add_features(self, n: int, *, prior_variance: Any = None, names: Any = None) -> Self:
        """A bank whose filters have n features more, as `Filter.add_features` of each; this one stays as it is.

        Parameters
        ----------
        n : int
        prior_variance, names
            As for `Filter.add_features`.

        Raises
        ------
        UnsupportedError
            As there; also of a bank with `max_keys`.
        ParameterError, ShapeError, NonFiniteError, DtypeError
        """
        from . import _bank_grow

        with self._lock:
            made: Self = _bank_grow.add_features(self, n, prior_variance, names)
            return made

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

    @property
    def nbytes(self) -> int:
        """Bytes that the bank takes, all in."""
        with self._lock:
            rest = 0 if self._recency is None else self._recency.used.nbytes
            return self._core_nbytes() + self._last.nbytes + rest

    def __repr__(self) -> str:
        s = self.settings
        shown = [repr(s.model), repr(s.family), *(f"{name}={value!r}" for name, value in s.arguments().items())]
        for name in ("max_keys", "evict_to"):
            shown += [] if getattr(self, name) is None else [f"{name}={getattr(self, name)!r}"]
        return f"Bank({', '.join(shown)})"
