"""kfng.Mixture: compiled filters, weighed."""

from __future__ import annotations

from typing import ClassVar

from ._filter import Filter
from ._filter_base import FilterBase
from ._mixture_base import MixtureBase


class Mixture(MixtureBase):
    __doc__ = MixtureBase.__doc__
    _filter_type: ClassVar[type[FilterBase]] = Filter
