"""kfng.Filter: the compiled step, with what every filter offers."""

from __future__ import annotations

from typing import Self

from . import _core
from ._filter_base import FilterBase
from ._settings import Settings
from .errors import UnsupportedError


class Filter(FilterBase, _core.Filter):  # type: ignore[misc]
    __doc__ = FilterBase.__doc__

    @classmethod
    def _from_settings(cls, settings: Settings) -> Self:
        if settings.iterations != 1:
            raise UnsupportedError(argument="iterations", expected="1 (more: kfng.reference)", got=settings.iterations)
        return _core.Filter.__new__(cls, settings)
