"""Filters as they were before a row that one of them refused: a mark now and then, and the rows since."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ._filter_base import FilterBase

Replay = Callable[[FilterBase, int], Any]
"""Rows given to a filter once more; the number is its place among the filters."""
ROWS = 256
"""Rows since a mark before the next: spreads what a mark costs, which is as much as some rows."""


class Undo:
    """All filters go back together: their states at the mark, then the rows that were complete."""

    def __init__(self, filters: Sequence[FilterBase]) -> None:
        self._filters = filters
        self._states: list[dict[str, Any]] | None = None
        self._since: list[Replay] = []
        self._rows = 0

    def before(self, rows: int) -> None:
        """So many rows are about to be learned."""
        if self._states is None or self._rows + rows > ROWS:
            self._states, self._since, self._rows = [flt._state() for flt in self._filters], [], 0

    def after(self, rows: int, replay: Callable[[], Replay]) -> None:
        """They have been learned by all filters; `replay` makes what does so again, from copies of the rows."""
        if self._rows + rows > ROWS:
            self.forget()
        else:
            self._since.append(replay())
            self._rows += rows

    def forget(self) -> None:
        """The filters have changed otherwise."""
        self._states, self._since, self._rows = None, [], 0

    def back(self) -> None:
        """The filters as they were at the last `after`."""
        assert self._states is not None
        for i, (flt, state) in enumerate(zip(self._filters, self._states, strict=True)):
            flt._set_state(state)
            for replay in self._since:
                replay(flt, i)
