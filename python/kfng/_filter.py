"""kfng.Filter: the compiled step, with what every filter offers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from . import _core
from ._filter_base import FilterBase
from ._settings import Settings

if TYPE_CHECKING:
    from ._units import Units


class Filter(FilterBase, _core.Filter):  # type: ignore[misc]
    __doc__ = FilterBase.__doc__

    _resizes = True

    @classmethod
    def _from_settings(cls, settings: Settings) -> Self:
        return _core.Filter.__new__(cls, settings)

    def _resized(self, settings: Settings) -> Self:
        """A filter with these settings that takes over the state of this one, which refuses everything from then on; see `_grow.taken`."""
        twin = _core.Filter.__new__(type(self), settings, self)
        twin._when = self._when
        return twin

    def _in_units(self, belief: dict[str, NDArray[Any]], units: Units) -> dict[str, NDArray[Any]]:
        """In float64, whatever the filter's dtype."""
        if "V" in belief:
            return {"V": units.left(units.left(belief["V"]))}
        U, D = (np.ascontiguousarray(belief[name], dtype=np.float64) for name in "UD")
        U, D = _core._change_units(U, D, units.scale, units.center, units.units)
        return {"U": U, "D": D}
