"""kfng.reference.Mixture: filters in NumPy, weighed."""

from __future__ import annotations

from typing import ClassVar

from .._filter_base import FilterBase
from .._mixture_base import MixtureBase
from .filter import Filter


class Mixture(MixtureBase):
    __doc__ = MixtureBase.__doc__
    _filter_type: ClassVar[type[FilterBase]] = Filter
