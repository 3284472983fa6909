"""The time of a filter's rows: how long each had to wait since the last one that was taken."""

from __future__ import annotations

from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from ._stamps import NONE, Passed, Stamps
from .errors import BadHeaderError, KfngError, ParameterError, shown
from .reference.rule import Rule


class Moment(NamedTuple):
    """A time stamp: a number, or a date as nanoseconds since 1970."""

    kind: str
    value: Any

    @classmethod
    def read(cls, found: Any) -> Self:
        """From the header of a file."""
        kinds: dict[str, Any] = {"number": float, "date": int}
        if not (isinstance(found, list) and len(found) == 2 and type(found[1]) is kinds.get(str(found[0]))):
            raise BadHeaderError(argument="time", expected="a kind of time stamp and its value", got=shown(found))
        kind, value = found
        if kind == "date" and not -(2**63) < value < 2**63:
            raise BadHeaderError(argument="time", expected="nanoseconds in 64 bits", got=value)
        return cls(kind, value)


class Clock:
    """The `time` of one `update_many`, of n rows behind the moment `last`; it may be there as `Stamps`."""

    def __init__(self, rule: Rule, time: Any, dt: Any, n: int, last: Moment | None) -> None:
        if dt is not None:
            raise ParameterError(argument="time", expected="one of time and dt", got="both")
        self._rule, self._stamps = rule, time if isinstance(time, Stamps) else Stamps(time, n)
        kind = self._stamps.kind
        if last is not None and last.kind != kind:
            raise ParameterError(argument="time", expected=f"{last.kind}s, as before", got=f"{kind}s")
        self._last = NONE[kind] if last is None else last.value

    def passed(self, start: int, bad: NDArray[np.bool_]) -> NDArray[np.float64]:
        """dt (m,) of the rows from `start` on; `bad` then has those as well whose time is none, or lies before another's."""
        self.bad = bad | self._stamps.bad[start : start + len(bad)]
        good = np.flatnonzero(~self.bad)
        now = self._stamps.values[start + good]
        last = np.array([self._last], dtype=now.dtype)
        self._passed = Passed(self._stamps.kind, self._rule, np.zeros(len(good), dtype=np.int64), now, last)
        self._good, dt = good, np.zeros(len(bad))
        dt[good] = np.where(self._passed.refused, 0.0, self._passed.dt)
        self.bad[good] = self._passed.refused
        return dt

    def took(self, row: int) -> Moment:
        """The moment of the last row so far that was applied."""
        self._last = self._stamps.values[row]
        return Moment(self._stamps.kind, self._last.item())

    def fault(self, start: int, i: int) -> KfngError | None:
        """What is wrong with the time of row i of the piece that begins at `start`, if it is that."""
        if self._stamps.bad[start + i]:
            return self._stamps.fault(start + i)
        at = int(np.searchsorted(self._good, i))
        if at < len(self._good) and self._good[at] == i:
            return self._passed.fault(at, self._rule)
        return None


def waited(rule: Rule, time: Any, alone: bool, last: Moment | None) -> tuple[float, Moment]:
    """dt of one row at this time, a number or a date that came `alone`, without a dt; and the moment it was."""
    clock = Clock(rule, [time], None if alone else 0.0, 1, last)
    dt = clock.passed(0, np.zeros(1, dtype=bool))
    fault = clock.fault(0, 0) if clock.bad[0] else None
    if fault is not None:
        raise fault
    return float(dt[0]), clock.took(0)
