"""kfng.Filter: the compiled step, with what every filter offers."""

from __future__ import annotations

from typing import Self

from . import _core
from ._filter_base import FilterBase
from ._settings import Settings


class Filter(FilterBase, _core.Filter):  # type: ignore[misc]
    __doc__ = FilterBase.__doc__

    @classmethod
    def _from_settings(cls, settings: Settings) -> Self:
        return _core.Filter.__new__(cls, settings)
