"""A filter over many rows: in pieces, between which signals and progress are served."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import _border, _progress, _validate
from ._filter_parts import FilterParts
from ._trace import Trace, TraceBuilder
from .errors import KfngError, NonFiniteError, UnsupportedError

if TYPE_CHECKING:
    from ._clock import Moment


class Learning(FilterParts):
    """`update_many`."""

    def update_many(
        self,
        U: Any,
        Y: Any = None,
        *,
        target: Any = None,
        weight: Any = None,
        dt: Any = None,
        offset: Any = None,
        time: Any = None,
        progress: _progress.Given = None,
        on_bad_row: str = "raise",
        deterministic: bool = True,
        trace: bool = True,
        lengths: Any = None,
    ) -> Trace | None:
        """One pass over rows in order: each is predicted, then learned from; the same bits as a loop of `update`.

        Parameters
        ----------
        U : (n, d)
            An array, or what NumPy makes one of; rows as dicts are for `update`. Or a table of pandas, polars or pyarrow,
            whose columns are found by the names in `feature_names`, whatever their order; other columns play no part.
            Or sparse rows, as those of scipy.sparse: a linear model of one output with `Diagonal` under `Kalman`, or `Fading`
            to nothing, learns from one in O(entries that are not 0); others have them dense, block by block.
        Y : (n,) or (n, k)
            NaN is missing: time passes, nothing is learned.
        target : name or list of names, instead of Y
            The columns of the table that are Y. `weight`, `dt`, `offset` and `time` may be names of columns, too.
        weight, dt : number or (n,), default 1
            Multiplier of each row's log-likelihood (0: only time passes); time since the row before it.
        offset : number, (n,) or (n, k), default 0
            Added to z.
        time : (n,) numbers or dates, instead of dt
            When each row was, not before the row before it. dt is then the time since the last row that had one, 0 where
            there is none: in seconds for dates, to the nanosecond, else in the unit of the numbers.
        progress : None, True or callable(done, total)
            True draws a tqdm bar. Called after each piece of rows; where it raises, its error is raised and the `done` rows
            before it stay applied.
        on_bad_row : 'raise' or 'skip'
            'skip' leaves bad rows out as if they were not in the stream, and counts them.
        deterministic : bool, default True
            False allows reordered sums where they are faster: equal to rounding, no longer the same bits.
        trace : bool, default True
            False returns None.
        lengths : (m,) of integers >= 0, optional
            Of recurrent models: the rows are so many sequences, one behind the other, and before each of them
            `reset_state()` is called. None goes on from the present state.

        Returns
        -------
        Trace or None

        Raises
        ------
        ShapeError, DtypeError, UnknownNameError
            Before any row is used: also where a table lacks a column, or has a level of a category that is not known.
        NonFiniteError, ParameterError
            At a bad row; `error.row` is its index, `error.trace` the rows applied before it, which stay applied.
        """
        _validate.choice("on_bad_row", on_bad_row, ("raise", "skip"))
        _validate.flag("deterministic", deterministic)
        _validate.flag("trace", trace)
        if _border.is_table(U):
            from . import _tables

            U, Y, weight, dt, offset, time = _tables.given(self.settings, U, Y, target, weight, dt, offset, time)
        else:
            _border.no_target(target)
        if time is None:
            _border.need_time(self.settings, dt)
        if lengths is not None and self.settings.sensitivity is None:
            raise UnsupportedError(
                argument="lengths", expected="None (the model has no state)", got=type(lengths).__name__
            )
        rows = _border.Rows(self.settings, U, Y, weight, dt, offset)
        rows.sparse = self._takes_sparse_rows and _border.is_sparse(U)
        if time is not None:
            from ._clock import Clock

            rows.clock = Clock(self.settings.rule, time, dt, len(rows), self._when)
        sequences = None if lengths is None else _border.lengths(lengths, len(rows))
        builder = TraceBuilder(self.settings, self._likelihood, rows.Y) if trace else None
        skip = on_bad_row == "skip"
        with _progress.Progress(progress, len(rows)) as report:
            if sequences is None:
                self._sweep(rows, (0, len(rows)), builder, skip, not deterministic, report)
            start = 0
            for length in sequences or ():
                self._reset_state(None)
                self._sweep(rows, (start, start + length), builder, skip, not deterministic, report)
                start += length
        return builder.trace(len(rows)) if builder else None

    def _waited(self, time: Any, alone: bool) -> tuple[float, Moment]:
        """dt of one row at this time, a number or a date that came `alone`, without a dt; and the moment it was."""
        from ._clock import waited

        return waited(self.settings.rule, time, alone, self._when)

    def _sweep(
        self,
        rows: _border.Rows,
        between: tuple[int, int],
        builder: TraceBuilder | None,
        skip: bool,
        reordered: bool,
        report: Callable[[int], None],
    ) -> None:
        """Rows in pieces of about 50 ms and at most a megabyte, so that signals and progress are served between them."""
        (start, end), size, bare = between, 64, self._takes_bare_rows and rows.clock is None
        while start < end:
            begun = time.perf_counter()
            stop = min(start + min(size, rows.largest_block(bare)), end)
            block, bad = rows.block(start, stop, bare)
            done, error = self._apply(rows, block, bad, start, builder, skip, reordered)
            if error is None and start + done < stop and rows.clock is not None:
                stop = start + done  # the rows behind one that was left out wait since the one before it
            elif error is None and start + done < stop:  # a row that nobody has looked at and that is not finite
                start, stop = start + done, start + done + 1
                block, bad = rows.block(start, stop)
                done, error = self._apply(rows, block, bad, start, builder, skip, reordered)
            if error is not None:
                error.row = start + done
                error.trace = builder.trace(start + done) if builder else None
                raise error
            report(stop)
            size = _progress.next_size(stop - start, time.perf_counter() - begun)
            start = stop

    def _apply(
        self,
        rows: _border.Rows,
        block: _border.Block,
        bad: NDArray[np.bool_],
        start: int,
        builder: TraceBuilder | None,
        skip: bool,
        reordered: bool,
    ) -> tuple[int, KfngError | None]:
        """One piece: runs of good rows go to the implementation, bad rows are refused. Returns rows done, and the error."""
        stops = [*np.flatnonzero(bad).tolist(), len(bad)]
        i = 0
        for stop in stops:
            while i < stop:
                parts: list[Any] = [part[i:stop] for part in block]
                if rows.sparse:
                    done, error, *out = self._run_sparse(*parts[0].arrays, *parts[1:])
                else:
                    done, error, *out = self._run(*parts, reordered=reordered)
                if builder:
                    builder.put(start + i, *out)
                i += done
                if rows.clock is not None and done:
                    self._when = rows.clock.took(start + i - 1)
                if error is None and i < stop:
                    return i, None
                if error is not None:
                    if not (skip and isinstance(error, NonFiniteError)):  # a rule's schedule out of its range stays so
                        return i, error
                    self._refuse(1)
                    i += 1
                    if rows.clock is not None:
                        return i, None
            if stop < len(bad):
                if not skip:
                    return i, rows.fault(block, start, stop)
                self._refuse(1)
                i = stop + 1
        return len(bad), None
