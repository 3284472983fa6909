"""A peer prepared for one case: what a turn of it costs, what it has learned, and the memory it takes."""

import contextlib
import gc
import time
from pathlib import Path
from typing import Any

import numpy as np
from cases import KEYED, Case
from peers.base import Peer

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
FIRST = 4  # rows of the first, discarded turn; also the fewest a turn has


class Contender:
    """Every turn starts from the prior and learns from the same rows: as many as take about `seconds`."""

    def __init__(self, peer: type[Peer], case: Case, seconds: float, clock: str = "wall") -> None:
        reset_peak()
        self.clock = CLOCKS[clock]
        self.peer = peer(case)
        self.X, self.Y = case.data()
        if case.work == KEYED:
            self._take(len(self.X))
            self.turn()
            return
        least = len(self.X) if case.keys else FIRST
        self._take(least)
        took = self.warm_turn()
        while took < seconds / 8 and self._at_most(16 * self.rows) > self.rows:
            self._take(16 * self.rows)
            took = self.warm_turn()
        rows = max(least, int(self.rows * seconds / max(took, 1e-9)))
        if rows != self.rows:
            self._take(rows)
            self.turn()

    def _take(self, rows: int) -> None:
        self.rows = self._at_most(rows)
        self.pieces = self.cut(self.rows)
        gc.unfreeze()
        gc.collect()
        gc.freeze()  # what there is now is not looked at again before every turn

    def _at_most(self, rows: int) -> int:
        n, whole = len(self.X), self.peer.case.keys or 1  # a panel is taken whole
        rows -= rows % whole
        return rows if rows <= n else n * (rows // n) if self.peer.goes_on else n

    def cut(self, rows: int) -> list[Any]:
        """What to run for so many rows: the first of them, or all of them several times."""
        n = len(self.X)
        if rows <= n:
            return [self.peer.prepare(self.X[:rows], self.Y[:rows])]
        return [self.peer.prepare(self.X, self.Y)] * (rows // n)

    def warm_turn(self) -> float:
        """The second turn with these rows: the first may compile."""
        self.turn()
        return self.turn()

    def turn(self) -> float:
        """Seconds."""
        self.peer.reset()
        run, pieces = self.peer.run, self.pieces
        gc.collect()
        gc.disable()
        start = self.clock()
        for piece in pieces:
            run(piece)
        took = self.clock() - start
        gc.enable()
        return took

    def theta(self) -> np.ndarray | None:
        """(p,), or (keys·p,), after the last turn."""
        return np.asarray(self.peer.theta(), np.float64) if self.peer.has_theta else None

    def theta_after(self, rows: int) -> np.ndarray:
        """(p,) after so many rows, from the prior."""
        self.peer.reset()
        for piece in self.cut(rows):
            self.peer.run(piece)
        return np.asarray(self.peer.theta(), np.float64)

    def along(self, seconds: float, points: int = 50) -> dict[str, list[float]]:
        """One long stream, not started anew: rows so far, and the seconds a row took, at so many points."""
        n = self._at_most(max(1, int(self.rows * seconds / points / max(self.turn(), 1e-9))))
        pieces = self.cut(n)
        self.peer.reset()
        found: dict[str, list[float]] = {"rows": [], "seconds": []}
        for i in range(points):
            start = self.clock()
            for piece in pieces:
                self.peer.run(piece)
            found["seconds"].append((self.clock() - start) / n)
            found["rows"].append((i + 1) * n)
        return found


def error(theta: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference, relative to the largest parameter."""
    return float(np.max(np.abs(theta - expected)) / max(np.max(np.abs(expected)), np.finfo(float).tiny))


def tolerance(case: Case) -> float:
    """Of `error`: what sums in another order may differ by; a wrong recursion differs by 0.01 and more."""
    return 1e-7 if case.dtype == "float64" else 2e-3


def reset_peak() -> None:
    """Forget the largest memory use so far, where the system can (Linux)."""
    gc.collect()
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def memory() -> dict[str, float]:
    """Resident memory now and at most since `reset_peak`, in MB; empty where /proc is not there."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return {}
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    names = {"rss_mb": "VmRSS", "peak_mb": "VmHWM"}
    return {name: int(fields[field].split()[0]) / 1024 for name, field in names.items()}
