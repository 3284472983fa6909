"""The rows of one `update_many` of a mixture, given to each filter in the same pieces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import _border
from ._evidence import Weighed
from ._filter_base import FilterBase
from ._mixture_trace import MixtureTrace
from ._settings import Settings
from ._trace import Trace, TraceBuilder
from .errors import KfngError, UnsupportedError

if TYPE_CHECKING:
    from ._mixture_clock import Clocks

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Run:
    """Rows start..stop without a gap. A sequence that would begin with row `stop` has begun where `closing`."""

    start: int
    stop: int
    starts: NDArray[np.int64] = field(repr=False)
    closing: bool = False

    @property
    def rows(self) -> slice:
        return slice(self.start, self.stop)

    @property
    def lengths(self) -> list[int] | None:
        """Of the sequences in it; None where it goes on with one."""
        first = np.searchsorted(self.starts, self.start)
        last = np.searchsorted(self.starts, self.stop, "right" if self.closing else "left")
        return np.diff([*self.starts[first:last], self.stop]).tolist() if last > first else None

    def up_to(self, stop: int) -> Run:
        return Run(self.start, stop, self.starts, closing=True)


class Rows:
    """The arguments of `update_many`, checked for all filters before any of them sees a row."""

    def __init__(
        self,
        settings: Sequence[Settings],
        U: Any,
        Y: Any,
        target: Any,
        weight: Any,
        dt: Any,
        offset: Any,
        lengths: Any,
        time: Any = None,
    ) -> None:
        for one in settings if time is None else ():
            _border.need_time(one, dt)
        if lengths is not None and all(one.sensitivity is None for one in settings):
            expected = "None (no model has a state)"
            raise UnsupportedError(argument="lengths", expected=expected, got=type(lengths).__name__)
        if _border.is_table(U):  # each filter finds its columns by its own names
            from . import _tables

            found = [_tables.given(one, U, Y, target, weight, dt, offset, time) for one in settings]
            each, time = [one[:5] for one in found], found[0].time
        else:
            _border.no_target(target)
            each = [(_border.matrix(settings[0], "U", U), Y, weight, dt, offset)] * len(settings)
        self._each = [_border.Rows(one, *given) for one, given in zip(settings, each, strict=True)]
        self.time = time
        """As a filter takes it: of a table no longer the name of a column."""
        self._timed, self._shifted = dt is not None or time is not None, offset is not None
        sizes = [] if lengths is None else _border.lengths(lengths, len(self))
        self.starts = np.cumsum([0, *sizes])[: len(sizes)]
        """The row that each sequence begins with."""
        self._bad = np.zeros(0, dtype=bool)
        self.clocks: Clocks | None = None
        self._dts: tuple[int, list[Float]] = (0, [])
        """With clocks dt of the rows from this one on, for each filter and for the evidence."""
        self._late: int | None = None
        """The row after a run that a clock did not take."""

    def __len__(self) -> int:
        return len(self._each[0])

    @property
    def each(self) -> list[_border.Rows]:
        """As each filter has them."""
        return self._each

    @property
    def weight(self) -> Float:
        return self._each[0].weight

    def dt(self, run: Run, i: int = -1) -> Float:
        """Of the rows of a run, for filter i or for the evidence."""
        if self.clocks is None:
            return self._each[0].dt[run.rows]
        start, dts = self._dts
        return dts[i][run.start - start : run.stop - start]

    def run(self, start: int, size: int, skip: bool) -> Run:
        """At most so many rows from `start` on: whole sequences, or the rest of one; with `skip` up to a bad row."""
        stop = min(start + size, len(self))
        following = self.starts[np.searchsorted(self.starts, start) :]
        if len(following) and following[0] != start:
            stop = min(stop, int(following[0]))
        if skip:
            bad = np.flatnonzero(self._vetted(stop)[start:stop])
            stop = start + int(bad[0]) if len(bad) else stop
        if self.clocks is not None:
            end, dts = self.clocks.passed(start, stop)
            self._dts, self._late, stop = (start, dts), end if end < stop else None, end
        closing = stop == len(self) or stop == self._late or self.bad(stop, skip)
        return Run(start, stop, self.starts, closing=closing)

    def fault(self, i: int) -> KfngError | None:
        """What is wrong with row i, the one after a run, if a clock did not take it."""
        return None if self.clocks is None or i != self._late else self.clocks.fault(i, self._each)

    def bad(self, i: int, skip: bool) -> bool:
        """Whether row i, the one after a run, is to be left out."""
        return skip and i < len(self) and (i == self._late or bool(self._vetted(i + 1)[i]))

    def _vetted(self, stop: int) -> NDArray[np.bool_]:
        """Rows that some filter would refuse, as far as `stop` at least."""
        start = len(self._bad)
        if start < stop:
            stop = min(max(stop, start + 1024), len(self))
            found = np.logical_or.reduce([rows.block(start, stop)[1] for rows in self._each])
            self._bad = np.concatenate([self._bad, found])
        return self._bad

    def learn(self, flt: FilterBase, i: int, run: Run) -> Trace:
        """A run by filter i."""
        trace = flt.update_many(*self._arrays(i, run), **self._options(flt, i, run))
        assert trace is not None
        return trace

    def again(self, run: Run) -> Callable[[FilterBase, int], Any]:
        """What gives the rows of a run to a filter once more, from copies."""
        kept = [
            (tuple(map(np.array, self._arrays(i, run))), self._options(None, i, run)) for i in range(len(self._each))
        ]
        lengths = run.lengths

        def replay(flt: FilterBase, i: int) -> None:
            arrays, options = kept[i]
            options |= {"trace": False, "lengths": None if flt.settings.sensitivity is None else lengths}
            flt.update_many(*arrays, **options)

        return replay

    def _arrays(self, i: int, run: Run) -> tuple[Any, Any]:
        rows = self._each[i]
        return rows.U[run.rows], rows.Y[run.rows]

    def _options(self, flt: FilterBase | None, i: int, run: Run) -> dict[str, Any]:
        """Keyword arguments; copies where `flt` is None."""
        rows = self._each[i]
        options: dict[str, Any] = {"weight": rows.weight[run.rows]}
        options |= {"dt": self.dt(run, i)} if self._timed else {}
        options |= {"offset": rows.offset[run.rows]} if self._shifted else {}
        if flt is None:
            return {name: np.array(part) for name, part in options.items()}
        return options | {"lengths": None if flt.settings.sensitivity is None else run.lengths}


class TraceBuilders:
    """A trace of the mixture out of those of its filters' pieces."""

    def __init__(self, filters: Sequence[FilterBase], names: tuple[str, ...], rows: Rows) -> None:
        n, m = len(rows), len(filters)
        self._each = [
            TraceBuilder(flt.settings, flt._likelihood, own.Y) for flt, own in zip(filters, rows.each, strict=True)
        ]
        self._names = names
        self._weights, self._nlls, self._nll = np.full((n, m), np.nan), np.full((m, n), np.nan), np.full(n, np.nan)

    def put(self, start: int, traces: list[Trace], weighed: Weighed) -> None:
        rows = slice(start, start + len(weighed.nll))
        self._weights[rows], self._nll[rows] = weighed.weights.T, weighed.nll
        for builder, nlls, trace in zip(self._each, self._nlls, traces, strict=True):
            trust = () if trace.trust is None else (trace.trust,)
            builder.put(start, trace.z, trace.C, trace.a, trace.b, trace.flags, *trust)
            nlls[rows] = trace.nll

    def trace(self, stop: int) -> MixtureTrace:
        traces = tuple(builder.trace(stop) for builder in self._each)
        for trace, nlls in zip(traces, self._nlls, strict=True):
            trace.__dict__["nll"] = nlls[:stop].copy()  # was needed for the weights
        return MixtureTrace(traces, self._names, self._weights[:stop], self._nll[:stop])
