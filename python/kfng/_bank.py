"""kfng.Bank: very many compiled filters, with what every bank offers."""

from __future__ import annotations

from typing import Self

from . import _core
from ._bank_base import BankBase
from ._filter import Filter
from ._filter_base import FilterBase
from ._settings import Settings


class Bank(BankBase, _core.BankCore):  # type: ignore[misc]
    __doc__ = BankBase.__doc__

    @classmethod
    def _from_settings(cls, settings: Settings) -> Self:
        return _core.BankCore.__new__(cls, settings)

    def _filter_type(self) -> type[FilterBase]:
        return Filter
