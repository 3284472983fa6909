"""What a sensitivity is: ds = ds/dphi (n, P), carried along with the state, exactly or nearly.

    ds <- f_s ds + f_phi,        dz = h_s ds + h_phi,        s <- s + ds·dphi  (the state correction)

phi is theta, or (s_0, theta) where the initial state is unknown; f_phi is f_theta with zeros for s_0. What is carried
is an array in the sensitivity's own form, a `trace`, that the step hands on without looking inside: ds itself but for
UORO. Source: Ollivier 2018, arXiv 1703.00209; Williams and Zipser 1989 for ds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from ..._component import Component
from ..._validate import Array
from ..model import Recurrent


class Sensitivity(Component):
    axis: ClassVar[str] = "sensitivity"
    random: ClassVar[bool] = False
    """True where ds is right on average alone: enough for a gradient, not for a Fisher matrix."""
    needs_patterns: ClassVar[bool] = False
    """True where the model must say which partials can differ from 0."""

    state_correction: bool = False

    def constants(self, model: Recurrent, free: int) -> Any:
        """What of the model's structure `advance` needs, made once; `free` is the number of unknown entries of s_0."""
        return None

    def start(self, n: int, size: int, free: int) -> Array:
        """The trace at the initial state: ds = 0, or [I 0] where s_0 is unknown."""
        return np.eye(n, size) if free else np.zeros((n, size))

    def advance(self, trace: Array, f_s: Array, f_phi: Array, constants: Any, t: int) -> Array:
        """The trace after f; f_s (n, n), f_phi (n, P), t rows came before this one."""
        return f_s @ trace + f_phi

    def bounded(self, trace: Array, n: int, limit: float | None) -> tuple[Array, int]:
        """The trace with every row of ds that passes the limit, or is not finite, starting again at 0; and how many did."""
        if limit is None:
            return trace, 0
        over = ~(np.max(np.abs(trace), axis=1, initial=0.0) <= limit)
        return np.where(over[:, None], 0.0, trace), int(over.sum())

    def total(self, trace: Array, h_s: Array) -> Array:
        """h_s ds (k, P)."""
        return h_s @ trace

    def moves(self, trace: Array, dphi: Array) -> Array:
        """ds·dphi (n,), by which the state is corrected."""
        return trace @ dphi

    def influence(self, trace: Array, n: int) -> Array:
        """ds (n, P)."""
        return trace

    # -- saving
    def shapes(self, n: int, size: int) -> dict[str, tuple[int, ...]]:
        return {"influence": (n, size)}

    def pack(self, trace: Array, n: int) -> dict[str, Array]:
        return {"influence": trace}

    def unpack(self, arrays: Mapping[str, Array]) -> Array:
        return arrays["influence"]
