"""One update of a bank: rows in pieces; what is wrong with a row is found before anything of it, or behind it, is applied."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import _border, _keys
from ._keys import Column
from ._settings import Settings
from ._stamps import Passed, Stamps
from ._trace import Trace, TraceBuilder
from ._validate import real_array
from .errors import KfngError, NonFiniteError, ShapeError

if TYPE_CHECKING:
    from ._bank_parts import BankParts

Slots = NDArray[np.int64]
PIECE_BYTES = 1 << 23
"""Rows of a piece: enough that threads are worth waking, few enough that signals are served some times a second."""


class Taken(NamedTuple):
    """What became of the leading rows of a run: how many are applied, and what is wrong with the one behind them."""

    done: int
    error: KfngError | None


class Sweep:
    """The arguments of one update, checked as a whole; `go` applies them."""

    def __init__(
        self, bank: BankParts, keys: Any, X: Any, y: Any, weight: Any, dt: Any, offset: Any, time: Any, skip: bool, trace: bool
    ) -> None:  # fmt: skip
        self.bank, self.skip, settings = bank, skip, bank.settings
        self.rows = _border.Rows(settings, X, y, weight, dt, offset, names=("X", "y"))
        n = len(self.rows)
        self.keys: Column = _keys.column(keys, n)
        self.stamps = None if time is None else Stamps(time, n)
        if self.stamps is not None:
            bank._last_times(self.stamps.kind)
        self.builder = TraceBuilder(settings, bank._likelihood, self.rows.Y) if trace else None
        self.size = self.rows.rows_in(PIECE_BYTES)

    def go(self, run: Callable[..., Any]) -> Trace | None:
        """Every piece in turn. An error carries its row and the rows before it."""
        self.run, n = run, len(self.rows)
        for start in range(0, n, self.size):
            taken = self._piece(start, min(start + self.size, n))
            if taken.error is not None:
                error = renamed(taken.error)
                error.row = start + taken.done
                error.trace = self.builder.trace(error.row) if self.builder else None
                raise error
        return self.builder.trace(n) if self.builder else None

    def _piece(self, start: int, stop: int) -> Taken:
        """Rows start..stop; the count of `Taken` is relative to start."""
        block, bad = self.rows.block(start, stop)
        if self.stamps is not None:
            bad = bad | self.stamps.bad[start:stop]
        keys = _keys.taken(self.keys, slice(start, stop))
        if self.skip:
            return self._skipping(keys, block, bad, start)
        m = int(np.argmax(bad)) if bad.any() else len(bad)
        taken = self._apply(keys, block, np.arange(m), start)
        if taken.error is not None or m == len(bad):
            return taken
        return Taken(m, self._fault(block, m, start))

    def _fault(self, block: _border.Block, i: int, start: int) -> KfngError:
        if self.stamps is not None and self.stamps.bad[start + i]:
            return self.stamps.fault(start + i)
        return _border.fault(self.bank.settings, block, i)

    def _skipping(self, keys: Column, block: _border.Block, bad: NDArray[np.bool_], start: int) -> Taken:
        """Bad rows left out, and counted where their key is known by then."""
        good, refused = np.flatnonzero(~bad), np.flatnonzero(bad).tolist()
        known, _ = self.bank._slots(keys, False)
        while len(good):
            taken = self._apply(keys, block, good, start)
            if taken.error is None:
                break
            if not _refusable(taken.error):
                return taken
            at = int(np.searchsorted(good, taken.done))
            refused.append(taken.done)
            good = good[at + 1 :]
        if refused:
            self._count(keys, np.sort(refused), known, np.delete(np.arange(len(bad)), refused))
        return Taken(len(bad), None)

    def _count(self, keys: Column, refused: Slots, known: Slots, good: Slots) -> None:
        """One more refused row for each of those whose key was there before the piece, or came before it in the piece."""
        slots, _ = self.bank._slots(keys, False)
        first: dict[int, int] = {}
        for row in good[known[good] < 0].tolist():
            first.setdefault(int(slots[row]), row)
        there = [
            row
            for row in refused.tolist()
            if slots[row] >= 0 and (known[row] >= 0 or first.get(int(slots[row]), row) < row)
        ]
        if there:
            self.bank._refuse(slots[np.array(there)])

    def _apply(self, keys: Column, block: _border.Block, rows: Slots, start: int) -> Taken:
        """These rows of a piece, all fine but for their time and what only the step finds out; in runs, where keys make room."""
        at, recency = 0, self.bank._recency
        while at < len(rows):
            run = rows[at:]
            plan = None if recency is None else recency.plan(_keys.taken(keys, run))
            if plan is not None:
                run = run[: plan.rows]
            taken = self._run_rows(keys, block, run, start, plan)
            if taken.error is not None:
                return taken
            at += len(run)
        return Taken(int(rows[-1]) + 1 if len(rows) else 0, None)

    def _run_rows(self, keys: Column, block: _border.Block, rows: Slots, start: int, plan: Any) -> Taken:
        bank = self.bank
        own = keys if len(rows) == len(block.U) else _keys.taken(keys, rows)
        slots, new = bank._create(own) if plan is None else bank._recency.make(plan, own)  # type: ignore[union-attr]
        part = block if len(rows) == len(block.U) else _rows_of(block, rows)
        stop, late, now = len(rows), None, None
        if self.stamps is not None:
            now = self.stamps.values[start + rows]
            passed = Passed(self.stamps.kind, bank.settings.rule, slots, now, bank._last_times(self.stamps.kind))
            if passed.refused.any():
                stop = int(np.argmax(passed.refused))
                late = passed.fault(stop, bank.settings.rule)
            part = part._replace(dt=passed.dt)
        parts = part if stop == len(rows) else _rows_of(part, slice(0, stop))
        done, error, *out = self.run(slots[:stop], *parts)
        if self.builder:
            self._put(start, rows[:done], out)
        if now is None:
            bank._forget_times(slots[:done])
        else:
            bank._last_times(self.stamps.kind)[slots[:done]] = now[:done]  # type: ignore[union-attr]
        error = late if error is None else error
        if error is not None:
            made = new[new >= done]
            if len(made):
                bank._remove(np.unique(slots[made]))
        if plan is not None:
            bank._recency.settle(plan, slots[:done])  # type: ignore[union-attr]
        return Taken(int(rows[done]) if error is not None else len(block.U), error)

    def _put(self, start: int, rows: Slots, out: list[Any]) -> None:
        """The trace of these rows, which lie anywhere in a piece."""
        assert self.builder is not None
        if len(rows) and rows[-1] - rows[0] == len(rows) - 1:
            self.builder.put(start + int(rows[0]), *out)
        else:
            self.builder.put_at(start + rows, *out)


def _rows_of(block: _border.Block, rows: Any) -> _border.Block:
    parts: tuple[Any, ...] = tuple(np.ascontiguousarray(part[rows]) for part in block)
    return _border.Block(*parts)


def _refusable(error: KfngError) -> bool:
    """A row, and no schedule out of its range."""
    return isinstance(error, NonFiniteError) or error.argument == "time"


def renamed(error: KfngError) -> Any:
    """The inputs of a bank's rows are called X."""
    if error.argument != "u":
        return error
    other = type(error)(argument="X", expected=error.expected, got=error.got)
    other.row, other.trace = error.row, error.trace
    return other


def inputs(settings: Settings, X: Any, offset: Any, n: int) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Rows (n, d) to predict, in the bank's dtype, and their offsets (n, k)."""
    given = _border.matrix(settings, "X", X)
    if len(given) != n:
        raise ShapeError(argument="keys", expected=(len(given),), got=(n,))
    offsets = np.ascontiguousarray(_border.offsets(settings, offset, n))
    U = real_array("X", given, settings.float)
    for name, numbers in (("X", U), ("offset", offsets)):
        if not np.isfinite(numbers).all():
            error = NonFiniteError(argument=name, expected="finite numbers", got="nan or inf")
            error.row = int(np.flatnonzero(~np.isfinite(numbers).all(axis=1))[0])
            raise error
    return U, offsets


class Reading:
    """Gives the slots of keys (n,), -1 where there is none, or UnknownKeyError; keys from the file are there till the end."""

    def __init__(self, bank: BankParts, keys: Column, known: bool) -> None:
        self._bank, self._keys, self._known = bank, keys, known
        self._guests: Slots = np.zeros(0, dtype=np.int64)

    def __enter__(self) -> Slots:
        from ._bank_parts import unknown

        bank = self._bank
        slots, _ = bank._slots(self._keys, False)
        if bank._recency is not None and (slots < 0).any():
            self._guests = bank._recency.guests(_keys.taken(self._keys, slots < 0))
            if len(self._guests):
                slots, _ = bank._slots(self._keys, False)
        if self._known and (slots < 0).any():
            self.__exit__()
            raise unknown(self._keys, slots)
        return slots

    def __exit__(self, *exception: Any) -> None:
        if len(self._guests):
            self._bank._remove(self._guests)
