"""kfng.Filter: the compiled step, with what every filter offers."""

from __future__ import annotations

from typing import Any, Self

from . import _border, _core
from ._filter_base import FilterBase
from ._settings import PENDING, Settings
from .errors import UnsupportedError


class Filter(FilterBase, _core.Filter):  # type: ignore[misc]
    __doc__ = FilterBase.__doc__

    @classmethod
    def _from_settings(cls, settings: Settings) -> Self:
        _refuse_pending(settings)
        return _core.Filter.__new__(cls, settings)

    def condition(
        self,
        y: Any,
        output: Any,
        jacobian: Any,
        *,
        weight: Any = 1.0,
        dt: Any = 1.0,
        state: Any = None,
        transition: Any = None,
    ) -> Any:
        """One row of a model that lives elsewhere: output z (k,) and dz/dtheta (k, p), both at `theta`."""
        if state is not None or transition is not None:
            _border.given(self.settings, y, output, jacobian, weight, dt, state, transition)
        return super().condition(y, output, jacobian, weight=weight, dt=dt)


def _refuse_pending(settings: Settings) -> None:
    """What the compiled step does not know yet; `kfng.reference` does."""
    for axis, names in PENDING.items():
        part = getattr(settings, axis)
        if type(part).__name__ in names:
            raise UnsupportedError(argument=axis, expected="an entry of kfng's compiled step", got=repr(part)[:80])
