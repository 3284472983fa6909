"""A mixture in a file (checkpoint), for m filters:

header: object "Mixture", names or null, forgetting, filters: the spec of each; where rows came with a time, times: of the last
one for each filter and for the mixture, or null
log_prior (m,), scores (m,), sums (m + 1,) f8;  I.spec.NAME and I.state.NAME: the arrays of filter I
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ._clock import Moment
from ._evidence import Evidence
from ._filter_base import FilterBase
from ._load import under
from ._mixture_settings import require_fit
from .errors import BadHeaderError, BadValueError, CheckpointError, KfngError

if TYPE_CHECKING:
    from ._mixture_base import MixtureBase

Made = tuple[list[FilterBase], tuple[str, ...] | None, Evidence, Moment | None]


def encode(mixture: MixtureBase) -> bytes:
    from . import __version__, checkpoint

    evidence, names = mixture._evidence, mixture._given_names
    arrays = {"log_prior": evidence.log_prior, "scores": evidence.scores, "sums": evidence.sums}
    for i, flt in enumerate(mixture._filters):
        arrays |= {f"{i}.spec.{name}": array for name, array in flt.settings.arrays().items()}
        arrays |= {f"{i}.state.{name}": array for name, array in flt._state().items()}
    header: dict[str, Any] = {
        "library": __version__,
        "object": "Mixture",
        "names": None if names is None else list(names),
        "forgetting": evidence.forgetting,
        "filters": [flt.spec() for flt in mixture._filters],
    }
    times = [*(flt._when for flt in mixture._filters), mixture._when]
    if any(when is not None for when in times):
        header["times"] = [None if when is None else list(when) for when in times]
    return checkpoint.encode(header, arrays)


def decode(kind: type[FilterBase], header: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Made:
    specs, names, forgetting = (header.get(name) for name in ("filters", "names", "forgetting"))
    if not isinstance(specs, list) or not specs:
        raise BadHeaderError(argument="filters", expected="a list of settings", got=type(specs).__name__)
    if names is not None and not (
        isinstance(names, list) and len(names) == len(specs) and all(isinstance(name, str) for name in names)
    ):
        raise BadHeaderError(argument="names", expected=f"{len(specs)} strings, or null", got=repr(names)[:80])
    if isinstance(forgetting, bool) or not isinstance(forgetting, (int, float)) or not 0 <= forgetting < 1:
        raise BadHeaderError(argument="forgetting", expected="a number in [0, 1)", got=repr(forgetting)[:80])
    m = len(specs)
    shapes = {"log_prior": (m,), "scores": (m,), "sums": (m + 1,)}
    own = [under(arrays, f"{i}.") for i in range(m)]
    if not set(shapes) <= set(arrays) or sum(map(len, own)) + len(shapes) != len(arrays):
        raise BadHeaderError(argument="layout", expected="arrays of a mixture", got=f"{len(arrays)} arrays")
    for name, shape in shapes.items():
        if arrays[name].shape != shape or arrays[name].dtype != np.float64:
            raise BadValueError(argument=name, expected=f"float64 of shape {shape}", got=arrays[name].shape)
    filters = [kind._from_file({"spec": spec}, part) for spec, part in zip(specs, own, strict=True)]
    try:
        require_fit([flt.settings for flt in filters])
    except CheckpointError:
        raise
    except KfngError as error:
        raise BadHeaderError(argument="filters", expected="filters of one y", got=str(error)) from error
    evidence = Evidence(arrays["log_prior"], float(forgetting), arrays["scores"], arrays["sums"])
    *times, when = _times(header, m + 1)
    for flt, moment in zip(filters, times, strict=True):
        flt._when = moment
    return filters, None if names is None else tuple(names), evidence, when


def _times(header: dict[str, Any], count: int) -> list[Moment | None]:
    found = header.get("times", [None] * count)
    if not isinstance(found, list) or len(found) != count:
        raise BadHeaderError(argument="times", expected=f"{count} times of last rows", got=repr(found)[:80])
    return [None if when is None else Moment.read(when) for when in found]
