"""The guards that can be switched; what is never written (anything non-finite) is not among them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from .._component import Component
from .._validate import number, positive
from ..errors import UnknownNameError, shown

STEP_CLIP: dict[str, float | None] = {"identity": None, "logit": 4.0, "log": 1.0}
Z_CLAMP: dict[str, dict[str, float | None]] = {
    "identity": {"float64": None, "float32": None},
    "logit": {"float64": 30.0, "float32": 30.0},
    "log": {"float64": 300.0, "float32": 40.0},
}


@dataclass(frozen=True, eq=False, repr=False)
class Guards(Component):
    """Every activation is counted in `Filter.health()`.

    Parameters
    ----------
    step_clip : 'auto', None or float
        Largest change of an output z in one row; scales the step of theta, never P. auto: 1 on log outputs, 4 on logits.
    z_clamp : 'auto', None or float
        Largest ``|z|`` that goes into exp. auto: 30 for logits, 300 (float32: 40) for log outputs.
    windup : float or None, default 4.0
        Under forgetting no variance passes this multiple (> 2) of its prior; checked every 16 rows, and whenever the
        precision has halved since the last check.
    r_floor : float or None, default 1e-9
        A learned noise variance is not reported below this multiple of the running variance of y.
    influence : float or None, default 1e8
        Of a recurrent model: where the influence of the parameters on an entry of the state passes this bound, it starts
        again at 0 (an exploding sensitivity). Counted as `restarts`.

    Raises
    ------
    ParameterError, UnknownNameError
    """

    step_clip: float | str | None = "auto"
    z_clamp: float | str | None = "auto"
    windup: float | None = 4.0
    r_floor: float | None = 1e-9
    influence: float | None = 1e8

    axis: ClassVar[str] = "guards"

    def __post_init__(self) -> None:
        for name in ("step_clip", "z_clamp"):
            value = getattr(self, name)
            if isinstance(value, str):
                if value != "auto":
                    raise UnknownNameError(argument=name, expected="'auto', None or a number > 0", got=shown(value))
            elif value is not None:
                self._set(name, positive(name, value))
        if self.windup is not None:
            self._set("windup", number("windup", self.windup, "a finite number > 2", 2.0, np.inf, ends="()"))
        if self.r_floor is not None:
            self._set("r_floor", number("r_floor", self.r_floor, "a number in [0, 1)", 0.0, 1.0, ends="[)"))
        if self.influence is not None:
            self._set("influence", positive("influence", self.influence))

    @classmethod
    def none(cls) -> Self:
        """All of them off; validation of every row and y NaN = missing stay."""
        return cls(step_clip=None, z_clamp=None, windup=None, r_floor=None, influence=None)

    @classmethod
    def _from_spec(cls, spec: Mapping[str, Any], arrays: Mapping[str, Any]) -> Self:
        return super()._from_spec({"influence": cls.influence, **spec}, arrays)  # files from before it was there

    def step_clip_for(self, link: str) -> float | None:
        return STEP_CLIP[link] if isinstance(self.step_clip, str) else self.step_clip

    def z_clamp_for(self, link: str, dtype: str) -> float | None:
        if link == "identity":
            return None
        return Z_CLAMP[link][dtype] if isinstance(self.z_clamp, str) else self.z_clamp
