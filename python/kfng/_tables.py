"""Rows that come as a table of pandas, polars, pyarrow or what else narwhals knows: columns are found by name.

A feature is a column of numbers or booleans, or one level of a category: the feature `carrier=AA` is 1 where the column
`carrier` says AA and 0 elsewhere, so that a category has one coefficient for each of its levels. A null is NaN, in a
category in all of its levels. Columns are converted as their rows are used: a table is never copied as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._border import Pieces
from ._settings import Settings
from .errors import DtypeError, ParameterError, UnknownNameError, UnsupportedError, shown

Column = Any
"""A narwhals Series."""


class Given(NamedTuple):
    """The arguments of `update_many`, as it takes them without a table."""

    U: Any
    Y: Any
    weight: Any
    dt: Any
    offset: Any
    time: Any


class Frame(Pieces):
    """The inputs (n, d) of a table: a slice of it is an array (m, d) in the filter's dtype."""

    def __init__(self, settings: Settings, frame: Any, argument: str) -> None:
        if settings.feature_names is None:
            expected = "a filter with feature_names, since columns are found by name (or an array: to_numpy())"
            raise DtypeError(argument=argument, expected=expected, got="a table")
        self.shape = (len(frame), len(settings.feature_names))
        self._dtype = settings.float
        levels = levels_of(settings)
        indicators = _indicators(levels)
        plain = [(j, name) for j, name in enumerate(settings.feature_names) if name not in indicators]
        _all_there(frame, [*levels, *(name for _, name in plain)], argument)
        self._numbers = [(j, _numbers(frame, name, argument)) for j, name in plain]
        place = {name: j for j, name in enumerate(settings.feature_names)}
        self._categories = [
            (*_known(frame, name, own, argument), np.array([place[f"{name}={level}"] for level in own], dtype=np.int64))
            for name, own in levels.items()
        ]

    def __getitem__(self, rows: slice) -> NDArray[Any]:
        start, stop, _ = rows.indices(len(self))
        out = np.zeros((max(0, stop - start), self.shape[1]), dtype=self._dtype)
        with np.errstate(over="ignore"):  # too large for float32 becomes inf and is refused as such
            for j, column in self._numbers:
                out[:, j] = column[start:stop] if isinstance(column, np.ndarray) else as_numbers(column[start:stop])
        for column, known, places in self._categories:
            values = column[start:stop].to_list()
            codes = np.fromiter(map(known.get, values, repeat(-1)), dtype=np.int64, count=len(values))
            said = np.flatnonzero(codes >= 0)
            out[said, places[codes[said]]] = 1
            out[np.ix_(codes < 0, places)] = np.nan
        return out


# -- what a call says with a table


def given(settings: Settings, table: Any, Y: Any, target: Any, weight: Any, dt: Any, offset: Any, time: Any) -> Given:
    """See `Filter.update_many`: names of columns are looked up, other things stay what they are."""
    frame = opened(table, "U")
    U = Frame(settings, frame, "U")
    return Given(U, _target(frame, Y, target), *_beside(frame, weight, dt, offset), when(frame, time))


def inputs(settings: Settings, table: Any, offset: Any) -> tuple[Frame, Any]:
    """See `Filter.predict`."""
    frame = opened(table, "U")
    return Frame(settings, frame, "U"), _column("offset", frame, offset)


def first_rows(
    U: Any, Y: Any, target: Any, weight: Any, dt: Any, time: Any, names: Any, categories: Any
) -> tuple[Given, list[str], list[str]]:
    """See `Filter.from_rows`: the inputs as an array, the names of all features, and the columns that are categories."""
    frame = opened(U, "U0")
    names = list(frame.columns) if names is None else list(names)
    if not all(isinstance(name, str) for name in names):
        raise ParameterError(argument="U0", expected="columns whose names are strings", got=shown(names))
    beside = {name for name in (weight, dt, time) if isinstance(name, str)}
    beside |= {target} if isinstance(target, str) else set(target or ())
    wanted = [] if categories is None else list(categories)
    _all_there(frame, wanted, "categories")
    names = [name for name in names if name not in beside]
    given_levels = [name for name in names if name.partition("=")[0] in wanted and name not in frame.columns]
    _all_there(frame, [name for name in names if name not in given_levels], "U0")
    found: list[str] = []
    chosen: list[str] = []
    for name in names:
        if name not in given_levels and (name in wanted or _is_category(frame[name])):
            chosen.append(name)
            found += [f"{name}={level}" for level in levels_in(frame[name])]
        else:
            found.append(name)
    chosen += [name for name in wanted if name not in chosen]
    rows = Frame(_Naming(tuple(found), tuple(chosen)), frame, "U0")  # type: ignore[arg-type]
    Y = _target(frame, Y, target)
    return Given(rows[:], Y, *_beside(frame, weight, dt, None), when(frame, time)), found, chosen


class _Naming(NamedTuple):
    """What a `Frame` needs of settings that do not exist yet."""

    feature_names: tuple[str, ...]
    categories: tuple[str, ...]
    float: Any = np.dtype(np.float64)


# -- categories


def levels_of(settings: Settings) -> dict[str, list[str]]:
    """The known levels of each category, in the order of the features."""
    names: Sequence[str] = settings.feature_names or ()
    return {
        category: [name.removeprefix(f"{category}=") for name in names if name.startswith(f"{category}=")]
        for category in settings.categories or ()
    }


def _indicators(levels: Mapping[str, list[str]]) -> set[str]:
    return {f"{name}={level}" for name, own in levels.items() for level in own}


def level(value: Any) -> str | None:
    """A level as text, None where there is none; whole numbers are the same level however they are kept."""
    if isinstance(value, str):
        return str(value)
    if value is None or value != value or type(value).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value)


def texts(column: Column) -> list[str | None]:
    """The levels of some rows."""
    null = column.is_null().to_numpy()
    return [None if missing else level(value) for value, missing in zip(column.to_list(), null, strict=True)]


def levels_in(column: Column) -> list[str]:
    """The levels that a column declares, in its order, else those in it, sorted."""
    declared = getattr(column.dtype, "categories", None)
    native = column.to_native()
    of_pandas = getattr(getattr(getattr(native, "dtype", None), "categories", None), "tolist", None)
    if declared is None and of_pandas is not None:
        declared = of_pandas()
    if declared is not None:
        return list(dict.fromkeys(text for text in map(level, declared) if text is not None))
    return sorted({text for text in texts(column.unique()) if text is not None})


def unseen(settings: Settings, table: Any) -> list[tuple[int, str]]:
    """Rows of a table with a level that the settings do not know, and the feature that it would be: each level once."""
    frame, found = opened(table, "U"), []
    for name, known in levels_of(settings).items():
        new = {text for text in texts(frame[name].unique()) if text is not None} - set(known)
        if new:
            column = texts(frame[name])
            found += [(column.index(text), f"{name}={text}") for text in new]
    return sorted(found)


def _known(frame: Any, name: str, levels: list[str], argument: str) -> tuple[Column, dict[Any, int]]:
    """The column of a category, none of whose rows says anything but these levels, and which level its values are."""
    column = frame[name]
    distinct = column.unique()
    found = {value: text for value, text in zip(distinct.to_list(), texts(distinct), strict=True) if text is not None}
    new = set(found.values()) - set(levels)
    if new:
        row, text = min((texts(column).index(text), text) for text in new)
        one = f"{name}={text}"
        expected = f"levels of {name!r} that the filter knows (add_features(1, names=[{one!r}]) adds one)"
        error = UnknownNameError(argument=argument, expected=expected, got=shown(text))
        error.row = row
        raise error
    return column, {value: levels.index(text) for value, text in found.items()}


# -- columns


def opened(table: Any, argument: str) -> Any:
    """A narwhals DataFrame."""
    try:
        import narwhals as nw
    except ImportError:
        raise UnsupportedError(
            'tables need narwhals: pip install "kfng[tables]"', argument=argument, expected="narwhals", got="none"
        ) from None
    if type(table).__module__.startswith("pyarrow") and type(table).__name__ == "RecordBatch":
        import pyarrow

        table = pyarrow.Table.from_batches([table])
    try:
        frame = nw.from_native(table)
    except TypeError:
        expected = "a table of pandas, polars or pyarrow"
        raise DtypeError(argument=argument, expected=expected, got=type(table).__name__) from None
    except ValueError as error:  # a name that comes twice
        raise ParameterError(
            argument=argument, expected="columns with different names", got=" ".join(str(error).split())[:80]
        ) from None
    if isinstance(frame, nw.LazyFrame):
        expected = "a table that is there: collect() makes one of a lazy frame"
        raise DtypeError(argument=argument, expected=expected, got=type(table).__name__)
    return frame


def _all_there(frame: Any, names: Sequence[str], argument: str) -> None:
    missing = [name for name in names if name not in frame.columns]
    if missing:
        expected = f"columns {_list(names)}"
        raise UnknownNameError(argument=argument, expected=expected, got=f"no {_list(missing)}")


def _list(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:8])
    return shown if len(names) <= 8 else f"{shown} and {len(names) - 8} more"


def _is_category(column: Column) -> bool:
    import narwhals as nw

    if isinstance(column.dtype, (nw.Categorical, nw.Enum)):
        return True
    return isinstance(column.dtype, nw.String) and not column.is_null().all()


def _numbers(frame: Any, name: str, argument: str) -> Any:
    """A column of numbers; one of Python objects as an array, since only its values tell whether they are numbers."""
    import narwhals as nw

    column = frame[name]
    kind = column.dtype
    if kind.is_numeric() or isinstance(kind, nw.Boolean):
        return column
    if isinstance(kind, (nw.Object, nw.Unknown, nw.String)):
        values = column.to_list()
        null = column.is_null().to_numpy()
        if all(
            missing or isinstance(value, (bool, int, float, np.number, np.bool_))
            for value, missing in zip(values, null, strict=True)
        ):
            return np.array([np.nan if missing else float(value) for value, missing in zip(values, null, strict=True)])
    hint = ""
    if isinstance(kind, (nw.String, nw.Categorical, nw.Enum)):
        hint = " (classes are 0, 1, ...)" if argument == "target" else " (a category: categories=)"
    elif argument in ("U", "U0") and kind.is_temporal():
        hint = " (dates: time=, or feature_names= without it)"
    raise DtypeError(argument=argument, expected=f"numbers in column {name!r}{hint}", got=f"dtype {kind}")


def as_numbers(column: Column) -> NDArray[Any]:
    """Of numbers or booleans; null is NaN. The type stays where it can, so that nothing is widened."""
    import narwhals as nw

    if isinstance(column.dtype, (nw.Boolean, nw.Decimal)):
        return column.cast(nw.Float64).to_numpy()
    values = column.to_numpy()
    return values if values.dtype.kind in "iuf" else column.cast(nw.Float64).to_numpy()


def _column(argument: str, frame: Any, value: Any) -> Any:
    """What a call says of every row: the name of a column, or the values themselves (also as a column of their own)."""
    if not isinstance(value, str):
        return value
    _all_there(frame, [value], argument)
    column = _numbers(frame, value, argument)
    return column if isinstance(column, np.ndarray) else as_numbers(column)


def _beside(frame: Any, weight: Any, dt: Any, offset: Any) -> tuple[Any, Any, Any]:
    return _column("weight", frame, weight), _column("dt", frame, dt), _column("offset", frame, offset)


def _target(frame: Any, Y: Any, target: Any) -> Any:
    if (Y is None) == (target is None):
        got = "neither" if Y is None else "both"
        raise ParameterError(argument="target", expected="one of target (names of columns) and Y", got=got)
    if target is None:
        return Y
    if isinstance(target, str):
        return _column("target", frame, target)
    if not isinstance(target, Sequence) or not all(isinstance(name, str) for name in target):
        raise ParameterError(argument="target", expected="a name or a list of names", got=shown(target))
    return np.column_stack([_column("target", frame, name) for name in target]) if target else np.zeros((len(frame), 0))


def when(frame: Any, time: Any) -> Any:
    """Time stamps as `Stamps` takes them; a column of dates with a time zone is one of UTC."""
    if not isinstance(time, str):
        return time
    import narwhals as nw

    _all_there(frame, [time], "time")
    column = frame[time]
    if isinstance(column.dtype, nw.Date):
        return column.cast(nw.Datetime("us")).to_numpy()
    if isinstance(column.dtype, nw.Datetime):
        if column.dtype.time_zone is not None:
            column = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        return column.to_numpy()
    if isinstance(column.dtype, nw.Object):
        return np.asarray(column.to_list(), dtype=object)
    if not column.dtype.is_numeric():
        raise DtypeError(argument="time", expected=f"numbers or dates in column {time!r}", got=f"dtype {column.dtype}")
    return as_numbers(column)


def indicators(settings: Settings, u: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """A row by name with the levels of its categories as features; one that says neither stays as it is, and is refused."""
    row = dict(u)
    for name, levels in levels_of(settings).items():
        if name not in row:
            continue
        text = level(row.pop(name))
        if text is not None and text not in levels:
            expected = f"a level of {name!r} that the filter knows"
            raise UnknownNameError(argument="u", expected=expected, got=shown(text))
        row |= {f"{name}={known}": np.nan if text is None else float(known == text) for known in levels}
    return row
