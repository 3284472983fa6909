"""When the rows of a mixture were: each filter waits since its own last row that came with a time, the evidence since the mixture's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _border
from ._clock import Clock, Moment, waited
from ._filter_base import FilterBase
from ._stamps import Stamps
from .errors import KfngError
from .reference.rule import Kalman

Float = NDArray[np.float64]
EVIDENCE = Kalman()
"""Takes any time that does not go back, as the evidence does."""


class Clocks:
    """The `time` of one `update_many`; `last` is when the mixture's last row was."""

    def __init__(self, filters: Sequence[FilterBase], last: Moment | None, time: Any, dt: Any, n: int) -> None:
        stamps = Stamps(time, n)
        self._each = [Clock(flt.settings.rule, stamps, dt, n, flt._when) for flt in filters]
        self._each.append(Clock(EVIDENCE, stamps, dt, n, last))
        self._stamps = stamps

    def passed(self, start: int, stop: int) -> tuple[int, list[Float]]:
        """Where the rows start..stop end that all clocks take, and dt of these for each filter and for the evidence."""
        self._start = start
        dts = [clock.passed(start, np.zeros(stop - start, dtype=bool)) for clock in self._each]
        bad = np.flatnonzero(np.logical_or.reduce([clock.bad for clock in self._each]))
        count = int(bad[0]) if len(bad) else stop - start
        return start + count, [dt[:count] for dt in dts]

    def took(self, row: int) -> list[Moment]:
        """The moment of the last row so far that was applied, for each filter and for the mixture."""
        return [clock.took(row) for clock in self._each]

    def fault(self, row: int, rows: Sequence[_border.Rows]) -> KfngError:
        """Of a row that some clock does not take; as for a filter, what else is wrong with it is said before that it is late."""
        if not self._stamps.bad[row]:
            for own in rows:
                block, bad = own.block(row, row + 1)
                if bad[0]:
                    return own.fault(block, row, 0)
        found = [clock.fault(self._start, row - self._start) for clock in self._each]
        return next(error for error in found if error is not None)


def waits(filters: Sequence[FilterBase], last: Moment | None, time: Any, alone: bool) -> list[tuple[float, Moment]]:
    """dt and moment of one row at this time, for each filter and for the evidence."""
    return [*(flt._waited(time, alone) for flt in filters), waited(EVIDENCE, time, alone, last)]
