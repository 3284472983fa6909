"""kfng.StateFilter and kfng.JointEkf on the compiled kernel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from . import _core
from ._joint_ekf_base import JointEkfBase
from ._joint_saved import as_factors
from ._joint_settings import JointSettings, Kernel, Moved, Seen, roots
from ._state_filter_base import StateFilterBase
from ._validate import real_array


class Factored:
    """`_core.Joint`, which keeps P = U D U' and takes covariances of noise as roots S with S S' = Q."""

    def __init__(self, settings: JointSettings) -> None:
        self._core = _core.Joint(settings)
        self._dtype = settings.float
        self.likelihood = self._core._likelihood

    def step(self, row: Moved, commit: bool = True) -> Seen:
        noise = None if row.noise is None else roots("noise", row.noise)
        scalars = (row.weight, row.decay, row.dt, row.owed)
        given = (row.state, row.transition, row.output, row.jacobian, row.y)
        s, F, z, H, y = (real_array("row", part) for part in given)
        return Seen(*self._core.step(s, F, z, H, y, scalars, noise, row.blank, row.learns, commit))

    def mean(self) -> NDArray[Any]:
        return self._core.mean()

    def covariance(self) -> NDArray[Any]:
        return self._core.covariance()

    def arrays(self) -> dict[str, NDArray[Any]]:
        return self._core.arrays()

    def set_arrays(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        own = as_factors(dict(arrays))
        self._core.set_arrays({name: real_array(name, array, self._dtype) for name, array in own.items()})


class StateFilter(StateFilterBase):
    __doc__ = StateFilterBase.__doc__

    def _kernel_of(self, settings: JointSettings) -> Kernel:
        return Factored(settings)


class JointEkf(JointEkfBase):
    __doc__ = JointEkfBase.__doc__

    def _kernel_of(self, settings: JointSettings) -> Kernel:
        return Factored(settings)
