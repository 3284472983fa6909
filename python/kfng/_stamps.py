"""Time stamps of a bank's rows: numbers, or datetime64 whose differences are whole nanoseconds; each key's last one is kept.

A row's dt is its time less the last time of its key, 0 where there is none. Time does not go backwards for a key.
"""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import DtypeError, KfngError, NonFiniteError, ParameterError, ShapeError
from .reference.rule import Rule

NUMBER, DATE = "number", "date"
NONE = {NUMBER: np.nan, DATE: np.iinfo(np.int64).min}
"""No last time."""
KIND = {NUMBER: np.dtype(np.float64), DATE: np.dtype(np.int64)}


class Stamps:
    """The `time` of n rows: values (n,) float64, or int64 nanoseconds, and which of them (n,) say no time."""

    def __init__(self, time: Any, n: int) -> None:
        array = _array(time)
        if array.shape != (n,):
            raise ShapeError(argument="time", expected=(n,), got=array.shape)
        if array.dtype.kind == "M":
            self.kind, self.bad = DATE, np.isnat(array)
            self.values: NDArray[Any] = _nanoseconds(array, self.bad)
        else:
            self.kind, self.values = NUMBER, array.astype(np.float64)
            self.bad = ~np.isfinite(self.values)

    def fault(self, i: int) -> KfngError:
        got = "NaT" if self.kind == DATE else float(self.values[i])
        return NonFiniteError(argument="time", expected="a finite time", got=got)


def backwards(kind: str, now: Any, last: Any) -> KfngError:
    """The error of a row before the last one of its key."""

    def shown(value: Any) -> str:
        return str(np.datetime64(int(value), "ns")) if kind == DATE else repr(float(value))

    return ParameterError(argument="time", expected=f"at least the key's last time, {shown(last)}", got=shown(now))


class Passed:
    """Rows of known slots (n,) at `now` (n,): how long each had to wait since the row of its key before it.

    dt (n,) and `refused` (n,), the rows that lie before the last one of their key, or whose dt the rule does not take. A
    refused row is as if it were not there: later rows wait since the last that was taken.
    """

    def __init__(self, kind: str, rule: Rule, slots: NDArray[np.int64], now: NDArray[Any], last: NDArray[Any]) -> None:
        order = np.argsort(slots, kind="stable")
        before = np.empty_like(now)
        before[order[1:]] = now[order[:-1]]
        first = np.ones(len(slots), dtype=bool)
        first[order[1:]] = slots[order[1:]] != slots[order[:-1]]
        self.kind, self.now = kind, now
        self.before = np.where(first, last[slots], before)
        self.dt = _difference(kind, now, self.before)
        self.refused = ~(self.dt >= 0) | ~rule.accepts(self.dt) | ~np.isfinite(self.dt)
        if self.refused.any():
            self._one_by_one(rule, slots, last)

    def _one_by_one(self, rule: Rule, slots: NDArray[np.int64], last: NDArray[Any]) -> None:
        """Again, with what was refused left out."""
        latest: dict[int, Any] = {}
        for i, slot in enumerate(slots.tolist()):
            self.before[i] = latest.get(slot, last[slot])
            self.dt[i : i + 1] = _difference(self.kind, self.now[i : i + 1], self.before[i : i + 1])
            dt = self.dt[i : i + 1]
            self.refused[i] = not (dt[0] >= 0 and np.isfinite(dt[0]) and rule.accepts(dt)[0])
            if not self.refused[i]:
                latest[slot] = self.now[i]

    def fault(self, i: int, rule: Rule) -> KfngError:
        dt = float(self.dt[i])
        if dt < 0:
            return backwards(self.kind, self.now[i], self.before[i])
        return ParameterError(argument="time", expected=f"times apart by {rule.times_text()}", got=dt)


def _difference(kind: str, now: NDArray[Any], before: NDArray[Any]) -> NDArray[np.float64]:
    """Seconds, or the unit of the numbers; dates are subtracted as whole numbers."""
    with np.errstate(over="ignore", invalid="ignore"):
        if kind == NUMBER:
            return np.where(np.isnan(before), 0.0, now - before)
        before = np.where(before == NONE[DATE], now, before)
        about = now.astype(np.float64) - before.astype(np.float64)
        return np.where(np.abs(about) > 9e18, about, now - before) / 1e9  # so far apart, whole numbers overflow


def _array(time: Any) -> NDArray[Any]:
    """Of numbers or of dates; dates of Python and of pandas with a time zone are objects, which NumPy reads as UTC."""
    try:
        array = np.asarray(time)
        if array.dtype.kind == "O" and all(
            isinstance(t, (datetime.date, np.datetime64)) or t is None for t in array.flat
        ):
            aware = hasattr(time, "to_numpy")
            array = time.to_numpy(dtype="datetime64[ns]") if aware else np.asarray(array.tolist(), dtype="M8[us]")
    except (ValueError, TypeError):
        raise DtypeError(argument="time", expected="numbers or dates (n,)", got=type(time).__name__) from None
    if array.dtype.kind not in "iufM":
        raise DtypeError(argument="time", expected="numbers or dates (n,)", got=f"dtype {array.dtype}")
    return array


def _nanoseconds(array: NDArray[Any], bad: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Since 1970; a year that nanoseconds do not reach is refused."""
    years = array.astype("datetime64[Y]").astype(np.int64)
    far = ~bad & ((years < -291) | (years > 291))  # 1678 to 2262, as everywhere with nanoseconds
    if far.any():
        i = int(np.argmax(far))
        error = ParameterError(argument="time", expected="dates from 1679 to 2261", got=str(array[i]))
        error.row = i
        raise error
    return np.ascontiguousarray(array.astype("datetime64[ns]").astype(np.int64))
