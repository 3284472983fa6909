"""The file form of a joint or state filter: the arguments it was made with, and where it is.

header: object, arguments (components as their specs, arrays as {"shape": ...}, numbers as they are)
arrays: argument.<name>, argument.<component>.<name>; state.x, state.P or state.U and state.D; counts (5,), gauges (3,)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._component import Component, component_from_spec
from ._load import under
from ._settings import AXES
from .errors import BadHeaderError, CheckpointError, KfngError
from .reference.belief.base import require
from .reference.belief.full import Full, factors

Arrays = dict[str, NDArray[Any]]


def pack_arguments(arguments: Mapping[str, Any]) -> tuple[dict[str, Any], Arrays]:
    """Keyword arguments as JSON values and the arrays that they name."""
    values: dict[str, Any] = {}
    arrays: Arrays = {}
    for name, value in arguments.items():
        if isinstance(value, Component):
            values[name] = value.spec()
            arrays |= {f"argument.{name}.{part}": array for part, array in value.core_arrays().items()}
        elif isinstance(value, np.ndarray):
            values[name] = {"shape": list(value.shape)}
            arrays[f"argument.{name}"] = value
        else:
            values[name] = value
    return values, arrays


def unpack_arguments(values: Any, arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """The inverse; what the arguments are worth is for the constructor to say."""
    if not isinstance(values, dict):
        raise BadHeaderError(argument="arguments", expected="an object", got=type(values).__name__)
    found: dict[str, Any] = {}
    for name, value in values.items():
        if name in AXES and value is not None:
            found[name] = component_from_spec(name, AXES[name], value, under(arrays, f"{name}."))
        elif isinstance(value, dict):
            if name not in arrays:
                raise BadHeaderError(argument=name, expected="an array in the payload", got="none")
            found[name] = arrays[name]
        else:
            found[name] = value
    return found


def rebuilt(cls: type[Any], header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> tuple[Any, Arrays]:
    """The filter as it was made, and the arrays of its state. Everything in the file is checked again."""
    given = under(arrays, "argument.")
    rest = {name: array for name, array in arrays.items() if not name.startswith("argument.")}
    try:
        return cls(**unpack_arguments(header.get("arguments"), given)), rest
    except CheckpointError:
        raise
    except (KfngError, TypeError) as error:
        raise BadHeaderError(argument="arguments", expected="those of a filter", got=str(error)) from error


def checked_state(arrays: Mapping[str, NDArray[Any]], size: int, dtype: np.dtype[Any], counts: int) -> Arrays:
    """x, and P or the factors U and D, with counts and gauges, of the right shapes, dtypes and signs."""
    own = under(arrays, "state.")
    shapes = {"x": (size,)} | Full().shapes(size, own)
    require("state", set(own) == set(shapes), str(sorted(shapes)), sorted(own))
    require(
        "layout", set(arrays) == {f"state.{name}" for name in own} | {"counts", "gauges"}, "counts, gauges and a state"
    )
    for name, shape in shapes.items():
        require(name, own[name].shape == shape, str(shape), own[name].shape)
        require(name, own[name].dtype == dtype, f"dtype {dtype}", own[name].dtype)
    tallies = arrays["counts"], arrays["gauges"]
    require("counts", tallies[0].shape == (counts,) and bool((tallies[0] >= 0).all()), f"{counts} numbers >= 0")
    require("counts", bool((tallies[0] % 1 == 0).all()), "whole numbers")
    require("gauges", tallies[1].shape == (3,) and bool((tallies[1] >= 0).all()), "3 numbers >= 0")
    Full().unpack({name: array.astype(np.float64) for name, array in own.items() if name != "x"}, size)
    return own


def as_dense(own: Arrays, size: int) -> Arrays:
    """x and P (size, size), float64."""
    wide = {name: array.astype(np.float64) for name, array in own.items()}
    return {"x": wide.pop("x"), "P": Full().unpack(wide, size)}


def as_factors(own: Arrays) -> Arrays:
    """x, U (packed, strictly upper, column-major) and D, in the dtype that they came in."""
    if "P" not in own:
        return own
    U, D = factors(own["P"].astype(np.float64))
    packed = U.T[np.tril_indices(len(D), -1)]
    return {"x": own["x"]} | {name: part.astype(own["P"].dtype) for name, part in {"U": packed, "D": D}.items()}
