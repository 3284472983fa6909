"""Rows from a pipe, CSV or JSON lines: a prediction for each is printed as soon as the row is there, before it is learned.

The first rows are held until there are enough to start from; types are those that these rows have.
"""

from __future__ import annotations

import csv
import itertools
import json
import math
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from .learner import Learner
from .marks import PLAIN, Style
from .roles import Roles, roles_for, roles_of
from .scores import Scores
from .source import MISSING
from .trouble import Trouble, polars

Row = dict[str, Any]


def fit(options: Any) -> None:
    """Predictions to stdout, the closing table to stderr."""
    from .fit import FIRST_ROWS, begin, closing, enough, keep, predictions, put
    from .sink import sink

    text, rows = opened(sys.stdin)
    held, taught, style = [], 0, Style.of(options)
    for row in rows:
        held.append(row)
        taught += not _missing(row.get(options.target))
        if taught >= FIRST_ROWS:
            break
    if not held:
        raise Trouble("there are no rows")
    sample = table_of(held, style)
    roles = roles_of(sample, options)
    while not enough(roles, sample) and (more := list(itertools.islice(rows, 1))):
        held += more
        sample = table_of(held, style)
        roles = roles_of(sample, options)
    schema = roles.schema(sample)
    roles.tell()
    learner, scores, out = (
        begin(options, roles, roles.coded(_typed(sample, schema))),
        Scores(options.report is not None),
        sink(options.predictions),
    )
    show = Lines(text)

    def one(table: Any, unscored: bool) -> None:
        traces = learner.learn(table)
        at = 0
        for trace in traces:
            show.table(
                predictions(roles, trace, table[at : at + len(trace)], unscored=unscored, start=scores.rows + at)
            )
            at += len(trace)
        put(out, scores, roles, traces, table, unscored=unscored)

    whole = False
    try:
        one(roles.coded(_typed(sample, schema)), True)
        for number, row in enumerate(rows, len(held) + 1):
            one(roles.coded(_row(row, schema, number)), False)
        whole = True
    except KeyboardInterrupt:
        whole = True
        raise
    finally:
        out.close(whole)
        if whole:
            keep(learner, scores, options)
    for line in closing(learner, scores, options):
        print(line, file=sys.stderr)


def predict(model: Any, options: Any) -> None:
    from .predict import made
    from .sink import sink

    text, rows = opened(sys.stdin)
    first = next(rows, None)
    if first is None:
        return
    names = (*(model.settings.feature_names or ()), *(model.settings.categories or ()))
    sample = table_of(
        [first | dict.fromkeys(name for name in names if "=" not in name and name not in first and text == "json")]
    )
    roles = roles_for(model.settings, sample, options)
    learner, schema = Learner(model, roles), _declared(roles, sample, model)
    show, out, whole = Lines(text), sink(options.out), False
    try:
        for number, row in enumerate(itertools.chain([first], rows), 1):
            table = _row(row, schema, number, roles.style)
            found = made(roles, *learner.predict(table), table, number - 1)
            out.put(found)
            if options.out is None:
                show.table(found)
        whole = True
    finally:
        out.close(whole)


def _declared(roles: Roles, sample: Any, model: Any) -> dict[str, Any]:
    """The types of the columns of a model that is there: one row says too little of them."""
    pl = polars()
    found = {name: pl.String if name in roles.categories else pl.Float64 for name in roles.features}
    if roles.offset is not None:
        found[roles.offset] = pl.Float64
    if roles.key is not None:
        whole = any(isinstance(key, int) for key in model)
        found[roles.key] = pl.Int64 if whole and sample.schema[roles.key] != pl.String else pl.String
    return found


# -- rows


def opened(stream: Iterable[str]) -> tuple[str, Iterator[Row]]:
    """'json' or 'csv', and the rows by name."""
    lines = (line for line in stream if line.strip())
    first = next(lines, None)
    if first is None:
        return "csv", iter(())
    first = first.removeprefix("\ufeff")
    if first.lstrip().startswith("{"):
        return "json", _json_rows(itertools.chain([first], lines))
    separator = max(",;\t", key=first.count)
    return "csv", _csv_rows(csv.reader(itertools.chain([first], lines), delimiter=separator))


def _json_rows(lines: Iterator[str]) -> Iterator[Row]:
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
        except ValueError as error:
            raise Trouble(f"row {number}: no JSON: {error}") from None
        if not isinstance(row, dict):
            raise Trouble(f"row {number}: expected an object in braces, got {type(row).__name__}")
        yield row


def _csv_rows(reader: Iterator[list[str]]) -> Iterator[Row]:
    names = [name.strip() for name in next(reader)]
    if len(set(names)) != len(names):
        raise Trouble("a column comes twice")
    for number, values in enumerate(reader, 1):
        if len(values) != len(names):
            raise Trouble(f"row {number}: expected {len(names)} values, got {len(values)}")
        yield {
            name: None if value == "" or value in MISSING else value for name, value in zip(names, values, strict=True)
        }


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


# -- tables of few rows


def table_of(rows: list[Row], style: Style = PLAIN) -> Any:
    """With the types that these rows have: text that is numbers throughout is numbers, if these are written as everywhere."""
    pl = polars()
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {}
    for name in names:
        values = [row.get(name) for row in rows]
        text = style != PLAIN and any(isinstance(value, str) for value in values)
        for kind, make in () if text else ((pl.Int64, _whole), (pl.Float64, _number), (pl.Boolean, _flag)):
            try:
                columns[name] = pl.Series([None if v is None else make(v) for v in values], dtype=kind)
                break
            except (ValueError, TypeError, OverflowError):
                continue
        else:
            columns[name] = _dates(pl, [None if v is None else str(v) for v in values])
    return pl.DataFrame(columns)


def _dates(pl: Any, values: list[str | None]) -> Any:
    """Text, or dates where all of it is dates."""
    texts = pl.Series(values, dtype=pl.String)
    found = _as_dates(pl, texts)
    return texts if found.null_count() > texts.null_count() else found


def _as_dates(pl: Any, texts: Any) -> Any:
    import datetime

    def date(text: str) -> Any:
        try:
            when = datetime.datetime.fromisoformat(text)
        except ValueError:
            return None
        return when if when.tzinfo is None else when.astimezone(datetime.UTC).replace(tzinfo=None)

    return pl.Series([None if text is None else date(text) for text in texts], dtype=pl.Datetime("us"))


def _whole(value: Any) -> int:
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise ValueError
    return int(value)


def _number(value: Any) -> float:
    if isinstance(value, bool):
        raise ValueError
    return float(value)


def _flag(value: Any) -> bool:
    known = {True: True, False: False, "true": True, "false": False, "True": True, "False": False}
    if not isinstance(value, (bool, str)) or value not in known:
        raise ValueError
    return known[value]


def _typed(table: Any, schema: dict[str, Any]) -> Any:
    return table.select(table[name].cast(kind) for name, kind in schema.items())


def _row(row: Row, schema: dict[str, Any], number: int, style: Style = PLAIN) -> Any:
    """One row as a table."""
    pl = polars()
    columns = {}
    for name, kind in schema.items():
        value, make = row.get(name), _maker(pl, kind, style)
        try:
            if kind.is_temporal():
                columns[name] = _as_dates(pl, [None if value is None else str(value)])
            else:
                columns[name] = pl.Series([None if value is None else make(value)], dtype=kind)
        except (ValueError, TypeError, OverflowError):
            raise Trouble(f"row {number}: column {name!r}: expected numbers, got {value!r:.80}") from None
    return pl.DataFrame(columns)


def _maker(pl: Any, kind: Any, style: Style) -> Callable[[Any], Any]:
    if kind == pl.String:
        return str
    if kind == pl.Boolean:
        return _flag
    if kind == pl.Int64:
        return _whole

    def real(value: Any) -> float | None:
        if isinstance(value, bool):
            return float(_flag(value))
        if not isinstance(value, str):
            return float(value)
        try:
            return float(value) if style == PLAIN else style.number(value)
        except ValueError:
            return style.number(value)

    return real


class Lines:
    """Predictions on stdout, a line for each row, in the format of the rows; each line is out at once."""

    def __init__(self, text: str) -> None:
        self._json, self._first = text == "json", True

    def table(self, table: Any) -> None:
        if self._json:
            for row in table.to_dicts():
                sys.stdout.write(json.dumps(row, default=str) + "\n")
        else:
            sys.stdout.write(table.write_csv(include_header=self._first))
        self._first = False
        sys.stdout.flush()
