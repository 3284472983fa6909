"""kfng.Bank: very many compiled filters, with what every bank offers."""

from __future__ import annotations

from typing import Any, Self

from . import _core
from ._bank_base import BankBase
from ._filter import Filter
from ._filter_base import FilterBase
from ._settings import Settings
from ._trace import Trace


class Bank(BankBase, _core.BankCore):  # type: ignore[misc]
    __doc__ = BankBase.__doc__

    @classmethod
    def _from_settings(cls, settings: Settings) -> Self:
        return _core.BankCore.__new__(cls, settings)

    def _filter_type(self) -> type[FilterBase]:
        return Filter

    def _quick(self, keys: Any, X: Any, y: Any, weight: Any, dt: Any, offset: Any, trace: bool) -> Any:
        if keys is None or weight is not None or dt is not None or offset is not None:
            return None
        return self._at_once(keys, X, y, trace, False)

    def _quick_panel(self, keys: Any, X: Any, y: Any) -> Trace | None:
        made: Trace | None = self._at_once(keys, X, y, True, True)
        return made

    def _run_panel(self, slots: Any, U: Any, Y: Any, weight: Any, dt: Any, offset: Any, blank: Any) -> Any:
        return _core.BankCore._run(self, slots, U, Y, weight, dt, offset, blank, panel=True)

    def _at_once(self, keys: Any, X: Any, y: Any, trace: bool, panel: bool) -> Any:
        out = self._plain(keys, X, y, panel)
        if out is None:
            return None
        parts: list[Any]
        done, error, z, C, *parts, Y = out
        made = Trace(self.settings, self._likelihood, z, C, Y, *parts) if trace else None
        if error is not None:
            error.row, error.trace = done, made
            raise error
        return made if trace else True
