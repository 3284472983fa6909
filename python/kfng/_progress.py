"""Progress of a long pass over rows: what `progress=` may be, and how large its pieces are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .errors import ParameterError, UnsupportedError, shown

Given = bool | Callable[[int, int], Any] | None
CHUNK_SECONDS = 0.05


def next_size(rows: int, elapsed: float) -> int:
    """Rows of the piece after one that took so long: about CHUNK_SECONDS of them."""
    return max(16, min(8 * rows, int(rows * CHUNK_SECONDS / max(elapsed, 1e-9))))


class Progress:
    """Turns `progress=` into a function of the rows done."""

    def __init__(self, progress: Given, total: int) -> None:
        if not (progress is None or isinstance(progress, bool) or callable(progress)):
            raise ParameterError(
                argument="progress", expected="None, True or callable(done, total)", got=shown(progress)
            )
        self._progress, self._total, self._bar = progress, total, None

    def __enter__(self) -> Callable[[int], None]:
        if self._progress is True:
            try:
                from tqdm.auto import tqdm
            except ImportError:
                raise UnsupportedError(
                    'progress=True needs tqdm: pip install "kfng[progress]"',
                    argument="progress",
                    expected="tqdm",
                    got="none",
                ) from None
            self._bar = tqdm(total=self._total, unit="row", unit_scale=True)
        return self._report

    def _report(self, done: int) -> None:
        if self._bar is not None:
            self._bar.update(done - self._bar.n)
        elif callable(self._progress):
            self._progress(done, self._total)

    def __exit__(self, *exception: Any) -> None:
        if self._bar is not None:
            self._bar.close()
