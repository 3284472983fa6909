"""Checks of single settings: each returns the value in its canonical form or raises an error that names it."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import DtypeError, NonFiniteError, ParameterError, ShapeError, UnknownNameError, shown

Array = NDArray[np.float64]


def integer(argument: str, value: Any, low: int = 0, high: int = 2**31 - 1) -> int:
    """An integer in [low, high]; bool is refused."""
    expected = f"an integer in [{low}, {high}]"
    if isinstance(value, (bool, np.bool_)):
        raise ParameterError(argument=argument, expected=expected, got=shown(value))
    try:
        number = operator.index(value)
    except TypeError:
        raise ParameterError(argument=argument, expected=expected, got=shown(value)) from None
    if not low <= number <= high:
        raise ParameterError(argument=argument, expected=expected, got=number)
    return number


def number(argument: str, value: Any, expected: str, low: float, high: float, *, ends: str = "[]") -> float:
    """A finite real number between low and high; `ends` says which end belongs to the range ('(]' and so on)."""
    if isinstance(value, (bool, np.bool_, str, bytes, complex)) or value is None:
        raise ParameterError(argument=argument, expected=expected, got=shown(value))
    try:
        result = float(value)
    except (TypeError, ValueError, OverflowError):
        raise ParameterError(argument=argument, expected=expected, got=shown(value)) from None
    above = result >= low if ends[0] == "[" else result > low
    below = result <= high if ends[1] == "]" else result < high
    if not (math.isfinite(result) and above and below):
        raise ParameterError(argument=argument, expected=expected, got=result)
    return result


def positive(argument: str, value: Any) -> float:
    return number(argument, value, "a finite number > 0", 0.0, math.inf, ends="()")


def flag(argument: str, value: Any) -> bool:
    if not isinstance(value, (bool, np.bool_)):
        raise ParameterError(argument=argument, expected="True or False", got=shown(value))
    return bool(value)


def choice(argument: str, value: Any, names: Iterable[str]) -> str:
    known = sorted(names)
    if not isinstance(value, str) or value not in known:
        raise UnknownNameError(argument=argument, expected=f"one of {known}", got=shown(value))
    return value


def listed(values: Iterable[Any]) -> list[Any]:
    """What is in it, whatever its `__len__` says."""
    return list(values) if type(values) in (list, tuple) else [value for value in values]  # noqa: C416


def real_array(argument: str, value: Any, dtype: Any = np.float64) -> NDArray[Any]:
    """Any array-like of real numbers as a new or borrowed C-order array; objects, strings, complex numbers are refused."""
    try:
        array = np.asarray(value)
    except (ValueError, TypeError) as error:
        raise ShapeError(argument=argument, expected="a rectangular array of numbers", got=str(error)) from None
    if array.dtype.kind not in "biuf":
        raise DtypeError(argument=argument, expected="real numbers", got=f"dtype {array.dtype}")
    with np.errstate(over="ignore"):  # a value too large for float32 becomes inf and is refused as such
        if array.ndim == 0 or not array.flags.aligned or array.dtype is not np.dtype(dtype):
            return array.astype(
                dtype, order="C"
            )  # also from an equal dtype of another object: the core compares identity
        return np.ascontiguousarray(array)


def finite_array(argument: str, value: Any, shape: tuple[int, ...] | None = None, dtype: Any = np.float64) -> Array:
    """A finite real array, of the given shape if one is given; read-only and never shared with the caller."""
    array = np.array(real_array(argument, value, dtype), copy=True)
    if shape is not None and array.shape != shape:
        raise ShapeError(argument=argument, expected=shape, got=array.shape)
    if not np.isfinite(array).all():
        raise NonFiniteError(argument=argument, expected="finite numbers", got=repr(array[~np.isfinite(array)][0]))
    array.setflags(write=False)
    return array
