"""What the columns of a table are: target, features, categories, key, weight, offset, time; and the types they are read as."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .marks import PLAIN, Style, looks_like, marks_of, says_nothing
from .source import is_text
from .trouble import Trouble, polars

FEW_LEVELS = 50
"""With as many at most a category may be different in every row of the first piece of a file."""


@dataclass(frozen=True)
class Roles:
    """Names of columns."""

    target: str | None
    features: tuple[str, ...]
    """In their order, categories among them."""
    categories: tuple[str, ...]
    key: str | None = None
    weight: str | None = None
    offset: str | None = None
    time: str | None = None
    left_out: tuple[tuple[str, str], ...] = ()
    """Columns that are no features, and why."""
    marks: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Columns of numbers that say something else where there is none, and what."""
    labels: tuple[str, ...] | None = None
    """What the target says for each class, where that is text."""
    style: Style = PLAIN
    """How numbers are written in text."""

    def schema(self, sample: Any) -> dict[str, Any]:
        """The type to read each needed column as: numbers as floats, since a later row may have a fraction."""
        pl, found = polars(), {}
        for name in (self.target, *self.features, self.weight, self.offset):
            if name is not None:
                text = (
                    name in self.categories
                    or name in dict(self.marks)
                    or (name == self.target and self.labels is not None)
                )
                found[name] = pl.String if text else _number(pl, name, sample.schema[name])
        if self.key is not None:
            found[self.key] = pl.Int64 if sample.schema[self.key].is_integer() else pl.String
        if self.time is not None:
            kind = sample.schema[self.time]
            found[self.time] = kind if kind.is_temporal() else _number(pl, self.time, kind)
        return found

    def complete(self, table: Any) -> Any:
        """(n,): the rows with a target and all features."""
        there = np.ones(len(table), dtype=bool)
        for name in (self.target, *self.features):
            there &= table[name].is_not_null().to_numpy()
        return there

    def tell(self) -> None:
        """On stderr: what a user might miss."""
        for why in dict.fromkeys(why for _, why in self.left_out):
            names = ", ".join(name for name, reason in self.left_out if reason == why)
            print(f"kfng: no features, since {why}: {names}", file=sys.stderr)
        for name, texts in (mark for mark in self.marks if mark[1]):
            shown = ", ".join(map(repr, texts[:3])) + (", ..." if len(texts) > 3 else "")
            print(f"kfng: column {name!r} has numbers; {shown} there is read as missing", file=sys.stderr)

    def numbered(self, table: Any) -> Any:
        """With numbers in the columns that say something else where there is none."""
        pl = polars()
        for name, texts in self.marks:
            said = table[name]
            if said.dtype != pl.String:
                continue
            numbers = self.style.numbers(said)
            wrong = said.filter(numbers.is_null() & ~says_nothing(said) & ~said.is_in(texts))
            if len(wrong):
                raise Trouble(f"column {name!r}: expected numbers, got {wrong[0]!r}")
            table = table.with_columns(numbers.fill_nan(None).alias(name))
        return table

    def coded(self, table: Any) -> Any:
        """With numbers for what is text in columns of numbers, and for labels of classes."""
        table = self.numbered(table)
        if self.labels is None:
            return table
        pl = polars()
        said = table[self.target]
        wrong = said.filter(~said.is_in(self.labels)).drop_nulls()
        if len(wrong):
            raise Trouble(f"column {self.target!r}: {wrong[0]!r} is none of the classes {', '.join(self.labels)}")
        numbers = {label: float(i) for i, label in enumerate(self.labels)}
        return table.with_columns(said.replace_strict(numbers, default=None, return_dtype=pl.Float64))

    def label(self, numbers: Any) -> Any:
        """The labels of numbers of classes (n,), null where a number is."""
        assert self.labels is not None
        return [self.labels[int(x)] if x == x else None for x in numbers]


def _number(pl: Any, name: str, kind: Any) -> Any:
    if kind in (pl.Boolean, pl.Float32):
        return kind
    if kind.is_numeric() or kind == pl.Null or kind == pl.String:  # a column of nothing so far is one of strings
        return pl.Float64
    raise Trouble(f"column {name!r}: expected numbers, got {kind}")


def roles_of(sample: Any, options: Any) -> Roles:
    """From the options of a command and the first rows."""
    target = getattr(options, "target", None)
    others = (options.key, options.weight, options.offset, options.time)
    asked, forced, dropped = (_names(getattr(options, name, None)) for name in ("features", "categorical", "drop"))
    _there(sample, [name for name in (target, *others, *asked, *forced, *dropped) if name is not None])
    labels = options.classes if isinstance(options.classes, tuple) else None
    style = Style.of(options)
    others_of_text = (*forced, *dropped, options.key, options.time)
    marks = marks_of(
        sample, [name for name in sample.columns if name not in others_of_text], style, is_text(options.data)
    )
    if labels is not None:
        marks.pop(str(target), None)
    elif target not in marks:
        _no_labels(sample, str(target))
    _numbers(sample, *(name for name in (options.weight, options.offset) if name not in marks))
    beside = {target, *others, *dropped}
    names = asked or [name for name in sample.columns if name not in beside]
    names += [name for name in forced if name not in names]
    left_out = (
        {}
        if asked
        else {name: why for name in names if name not in forced and (why := _no_feature(sample, name, marks))}
    )
    _no_numbers(sample, [name for name in names if name not in (*forced, *marks)])
    names = [name for name in names if name not in left_out]
    clash = [name for name in names if name in beside]
    if clash:
        raise Trouble(f"column {clash[0]!r} cannot be a feature and something else")
    if not names:
        raise Trouble("no column is left to be a feature")
    categories = tuple(name for name in names if name in forced or (name not in marks and _is_category(sample, name)))
    used = tuple(item for item in marks.items() if item[0] in {target, *names, options.weight, options.offset})
    return Roles(target, tuple(names), categories, *others, tuple(left_out.items()), used, labels, style)


def roles_for(settings: Any, sample: Any, options: Any) -> Roles:
    """From what a saved filter knows; of the columns that it does not know none plays a part."""
    if settings.feature_names is None:
        raise Trouble("the model has no names of features")
    from .._tables import levels_of

    levels = levels_of(settings)
    known = {f"{name}={level}" for name, own in levels.items() for level in own}
    names = [name for name in settings.feature_names if name not in known]
    others = (options.key, options.weight, options.offset, options.time)
    _there(sample, [*names, *levels, *(name for name in others if name is not None)])
    style = Style.of(options)
    numeric = [*names, *(name for name in (options.weight, options.offset) if name is not None)]
    marks = marks_of(sample, numeric, style, is_text(options.data))
    _no_numbers(sample, [name for name in numeric if name not in marks], others=False)
    _numbers(sample, *(name for name in (options.weight, options.offset) if name not in marks))
    return Roles(
        None,
        (*names, *levels),
        tuple(levels),
        *others,
        marks=tuple(marks.items()),
        labels=_labels_for(settings, options.classes) or settings.class_names,
        style=style,
    )


def _no_feature(sample: Any, name: str, marks: dict[str, tuple[str, ...]]) -> str | None:
    """Why a column is left out that nobody asked for."""
    column = sample[name]
    if column.dtype.is_temporal():
        return "they are dates"
    if column.null_count() == len(column):
        return "they are empty"
    if name not in marks and _is_category(sample, name):
        levels, rows = column.n_unique() - bool(column.null_count()), len(column) - column.null_count()
        if levels > max(FEW_LEVELS, rows / 2):
            return "most rows say something of their own there (--categorical takes them nevertheless)"
    return None


def _names(text: str | None) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()] if text else []


def _there(sample: Any, names: Iterable[str]) -> None:
    for name in names:
        if name not in sample.columns:
            columns = ", ".join(sample.columns[:12]) + (", ..." if sample.width > 12 else "")
            raise Trouble(f"there is no column {name!r}; there are {columns}")


def _numbers(sample: Any, *names: str | None) -> None:
    pl = polars()
    for name in names:
        if name is not None and sample.schema[name] == pl.String and sample[name].null_count() < len(sample):
            _no_numbers(sample, [name], others=False)
            raise Trouble(f"column {name!r}: expected numbers, got text such as {sample[name].drop_nulls()[0]!r}")


def _no_numbers(sample: Any, names: Iterable[str], others: bool = True) -> None:
    """Text that people read as numbers is no category, unless it is asked for as one."""
    for name in names:
        if sample.schema[name] == polars().String and (found := looks_like(sample[name])):
            text, remedy = found
            raise Trouble(
                f"column {name!r}: text such as {text!r} reads like a number: {remedy} takes it for one"
                + (f", --categorical {name} for a level, --drop {name} leaves it out" if others else "")
            )


def _no_labels(sample: Any, target: str) -> None:
    """Text is no number; where it may be a class the command that says so is shown."""
    try:
        _numbers(sample, target)
    except Trouble as trouble:
        found = sorted(sample[target].drop_nulls().unique().to_list())
        if not 1 < len(found) <= 20:
            raise
        family = "bernoulli" if len(found) == 2 else "categorical"
        raise Trouble(f"{trouble}; if it is a class: --family {family} --classes {','.join(found)}") from None


def _labels_for(settings: Any, classes: Any) -> tuple[str, ...] | None:
    if classes is None:
        return None
    k = {"Bernoulli": 2, "Categorical": settings.k}.get(type(settings.family).__name__)
    if k is None or not isinstance(classes, tuple) or len(classes) != k:
        expected = "a model of classes" if k is None else f"{k} labels, as A,B"
        raise Trouble(f"--classes: expected {expected}")
    return classes


def _is_category(sample: Any, name: str) -> bool:
    pl = polars()
    kind = sample.schema[name]
    return kind in (pl.Categorical, pl.Enum) or (kind == pl.String and sample[name].null_count() < len(sample))
