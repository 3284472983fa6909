"""What may stand together in a mixture, and what its filters are called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _validate
from ._filter_base import FilterBase
from ._settings import Settings
from ._validate import listed
from .errors import KfngError, ParameterError, ShapeError, UnsupportedError, shown

Float = NDArray[np.float64]


def parsed(kind: type[FilterBase], filters: Any) -> tuple[list[FilterBase], tuple[str, ...] | None]:
    """The filters, and their names where they have any."""
    names: tuple[str, ...] | None = None
    if isinstance(filters, Mapping):
        if not all(isinstance(name, str) and name for name in filters):
            raise ParameterError(argument="filters", expected="names that are strings", got=shown(listed(filters)))
        names, filters = tuple(filters), list(filters.values())
    if isinstance(filters, (str, bytes, FilterBase)) or not isinstance(filters, Sequence):
        raise ParameterError(argument="filters", expected="a list or dict of filters", got=type(filters).__name__)
    filters = listed(filters)
    if not filters:
        raise ParameterError(argument="filters", expected="at least one filter", got="none")
    return [_filter(kind, i, value) for i, value in enumerate(filters)], names


def _filter(kind: type[FilterBase], i: int, value: Any) -> FilterBase:
    if isinstance(value, kind):
        return value
    expected = f"a {kind.__module__.replace('._filter', '').replace('.filter', '')}.Filter, or the spec() of one"
    if not isinstance(value, Mapping):
        raise ParameterError(argument=f"filters[{i}]", expected=expected, got=type(value).__name__)
    try:
        return kind._from_settings(Settings.from_spec(dict(value), {}))
    except (KfngError, TypeError) as error:
        raise ParameterError(argument=f"filters[{i}]", expected=expected, got=str(error)) from error


def prior_weights(prior: Any, m: int) -> Float:
    if prior is None:
        return np.ones(m)
    weights = _validate.finite_array("prior", prior, (m,))
    if not (weights > 0).all():
        raise ParameterError(argument="prior", expected="numbers > 0", got=float(weights.min()))
    return weights


def require_fit(settings: Sequence[Settings]) -> None:
    """One y and one u for all of them, and densities of one kind."""
    first = settings[0]
    for i, one in enumerate(settings):
        if one.model.inputs is None:
            got = repr(one.model)[:80]
            raise UnsupportedError(argument=f"filters[{i}]", expected="a model of rows: update(u, y)", got=got)
        if one.model.inputs != first.model.inputs:
            expected = f"{first.model.inputs} inputs, as filters[0]"
            raise ShapeError(argument=f"filters[{i}]", expected=expected, got=one.model.inputs)
        if (one.y_width, one.mean_shape) != (first.y_width, first.mean_shape):
            expected = f"y as of filters[0], {first.family!r}"
            raise ShapeError(argument=f"filters[{i}]", expected=expected, got=shown(one.family))
        if one.family.discrete != first.family.discrete:
            expected = "all of them laws of counts or classes, or none: their densities are of another kind"
            raise UnsupportedError(argument=f"filters[{i}]", expected=expected, got=shown(one.family))


def default_names(settings: Sequence[Settings]) -> tuple[str, ...]:
    """The settings in which each differs from others, and its number where they do not tell."""
    tables = [_shown(one) for one in settings]
    every = dict.fromkeys(name for table in tables for name in table)
    different = [name for name in every if len({table.get(name) for table in tables}) > 1]
    found = [
        ", ".join(
            table[name] if name in ("model", "family") else f"{name}={table[name]}"
            for name in different
            if name in table
        )
        for table in tables
    ]
    return tuple(
        name if name and found.count(name) == 1 else f"{i}: {name}" if name else str(i) for i, name in enumerate(found)
    )


def _shown(settings: Settings) -> dict[str, str]:
    arguments = {name: _short(value) for name, value in settings.arguments().items()}
    return {"model": repr(settings.model), "family": repr(settings.family)} | arguments


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
