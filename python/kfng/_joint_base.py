"""What a joint and a state filter have in common, written once for kfng and for its reference."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from . import _forks
from ._copied import Copied
from ._joint_settings import JointSettings, Kernel, Moved, Seen
from ._trace import SKIPPED, Step, Trace, TraceBuilder
from ._validate import Array
from .errors import KfngError

COUNTERS = ("n_seen", "n_updates", "missing", "clipped", "clamped")
GAUGES = ("nis_sum", "nis_count", "owed")


class JointBase(Copied):
    """A kernel behind a lock, with the counts of what it saw."""

    settings: Any
    """`JointSettings`, which the rules of the border take for `Settings`"""

    def _kernel_of(self, settings: JointSettings) -> Kernel:
        raise NotImplementedError

    def _arguments(self) -> dict[str, Any]:
        """Keyword arguments that make this filter as it was before its first row."""
        raise NotImplementedError

    def _start(self, settings: JointSettings) -> None:
        self.settings = settings
        self._kernel = self._kernel_of(settings)
        self._lock = _forks.lock(self)
        self._counts = dict.fromkeys(COUNTERS, 0)
        self._gauges = dict.fromkeys(GAUGES, 0.0)

    # -- one row
    def _take(self, row: Moved) -> Step:
        """Commit a row and count it."""
        return self._shown(row, self._advance(row))

    def _advance(self, row: Moved) -> Seen:
        seen = self._kernel.step(row)
        self._counts["n_seen"] += 1
        self._counts["n_updates"] += row.learns
        self._counts["missing"] += bool(self.settings.family.missing(row.y[None])[0])
        self._counts["clipped"] += bool(seen.flags & ~SKIPPED)
        self._counts["clamped"] += seen.clamped
        if not np.isnan(seen.nis):
            self._gauges["nis_sum"] += seen.nis
            self._gauges["nis_count"] += seen.degrees
        return seen

    def _shown(self, row: Moved, seen: Seen) -> Step:
        empty = np.zeros(0)
        return Step(self.settings, self._kernel.likelihood, seen.z, seen.C, row.y, empty, empty, seen.flags)

    def _learns(self, y: Array, weight: float) -> bool:
        return weight != 0 and not self.settings.family.missing(y[None])[0]

    # -- many rows
    def _sweep(self, Y: Array, take: Any) -> Trace:
        """take(i) gives the checked row i. An error carries the row and the trace of the rows before it, which stay applied."""
        builder, empty = TraceBuilder(self.settings, self._kernel.likelihood, Y), np.zeros((1, 0))
        for i in range(len(Y)):
            try:
                with self._lock:
                    seen = self._advance(take(i))
            except KfngError as error:
                error.row, error.trace = i, builder.trace(i)
                raise
            builder.put(i, seen.z[None], seen.C[None], empty, empty, np.array([seen.flags], dtype=np.uint8))
        return builder.trace(len(Y))

    # -- reading
    @property
    def state(self) -> NDArray[Any]:
        """Mean of s (n,), a copy in the filter's dtype."""
        with self._lock:
            return self._kernel.mean()[: self.settings.n].astype(self.settings.float)

    @property
    def n_updates(self) -> int:
        """Rows that taught something."""
        return self._counts["n_updates"]

    def health(self) -> dict[str, Any]:
        """Counters and a gauge of how the stream looks.

        n_seen, n_updates; missing, clipped, clamped; mean_nis (mean squared innovation over its variance, 1 in a
        well-specified filter, NaN before the first row).
        """
        with self._lock:
            total, count = self._gauges["nis_sum"], self._gauges["nis_count"]
            return {**self._counts, "mean_nis": total / count if count else float("nan")}

    def _covariance(self) -> Array:
        with self._lock:
            return np.asarray(self._kernel.covariance(), dtype=np.float64)

    # -- saving
    def spec(self) -> dict[str, Any]:
        """The arguments that it was made with as plain JSON values (arrays by shape)."""
        from ._joint_saved import pack_arguments

        return pack_arguments(self._arguments())[0]

    def save(self, path: Any) -> None:
        """Write the filter to a file: atomically, with a digest, the file before it kept as `<path>.prev`; `kfng.load` reads it.

        Parameters
        ----------
        path : str or os.PathLike

        Raises
        ------
        OSError
            The file cannot be written; what was there is as before.
        """
        from . import __version__, checkpoint
        from ._joint_saved import pack_arguments

        values, arrays = pack_arguments(self._arguments())
        with self._lock:
            counts, gauges = list(self._counts.values()), list(self._gauges.values())
            own = {name: array.astype(self.settings.float) for name, array in self._kernel.arrays().items()}
        arrays |= {f"state.{name}": array for name, array in own.items()}
        arrays |= {"counts": np.array(counts, dtype=np.float64), "gauges": np.array(gauges)}
        header = {"library": __version__, "object": type(self).__name__, "arguments": values}
        checkpoint.write(path, checkpoint.encode(header, arrays))

    @classmethod
    def _from_file(cls, header: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Self:
        from ._joint_saved import checked_state, rebuilt

        flt, rest = rebuilt(cls, header, arrays)
        settings = flt.settings
        state = checked_state(rest, settings.n + settings.n_parameters, np.dtype(settings.float), len(COUNTERS))
        flt._kernel.set_arrays(state)
        flt._counts = {name: int(count) for name, count in zip(COUNTERS, rest["counts"], strict=True)}
        flt._gauges = dict(zip(GAUGES, rest["gauges"].tolist(), strict=True))
        return flt

    # -- copies
    def __getstate__(self) -> dict[str, Any]:
        with self._lock:
            own = {name: value for name, value in self.__dict__.items() if name not in ("_kernel", "_lock")}
            own["_counts"], own["_gauges"] = dict(self._counts), dict(self._gauges)
            return own | {"_arrays": {name: array.copy() for name, array in self._kernel.arrays().items()}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        arrays = state.pop("_arrays")
        self.__dict__.update(state)
        self._counts, self._gauges = dict(self._counts), dict(self._gauges)
        self._lock = _forks.lock(self)
        self._kernel = self._kernel_of(self.settings)
        self._kernel.set_arrays(arrays)

    def copy(self) -> Self:
        """An independent filter in the same state."""
        twin = object.__new__(type(self))
        twin.__setstate__(self.__getstate__())
        return twin
