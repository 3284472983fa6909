"""A bank learns."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _bank_rows, _border, _keys, _validate
from ._bank_parts import BankParts, Slots
from ._keys import Column, Key
from ._trace import Trace
from .errors import NonFiniteError, ParameterError


class BankUpdate(BankParts):
    """Rows of keys in order, one way or the other."""

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
            'skip' leaves bad rows out as if they were not in the stream; those of keys in memory are counted.
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
            plain = weight is None and dt is None and (keys is None or _rising(keys))
            if plain and self._time_kind is None and self._recency is None:
                try:
                    done = self._quick_panel(keys, X, y)
                except (NonFiniteError, ParameterError) as error:
                    raise _bank_rows.renamed(error) from None
                if done is not None:
                    return done
            known = _keys.column(self._keys_at(self._live()) if keys is None else keys)
            distinct(known)
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

    def _quick_panel(self, keys: Any, X: Any, y: Any) -> Trace | None:
        """The whole of a plain panel of different keys, all where they are None, done at once; None where anything is unusual."""
        return None


def _rising(keys: Any) -> bool:
    """Whether they are whole numbers of which each is larger than the one before, and so all different."""
    plain = type(keys) is np.ndarray and keys.dtype == np.int64 and keys.ndim == 1
    return plain and bool((keys[1:] > keys[:-1]).all())


def distinct(keys: Column) -> None:
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
