"""One case: all contenders in turn, round after round, so that a slow moment of the machine hits all alike."""

import statistics
import time
from typing import Any

from cases import Case
from contender import error, tolerance
from peers import PEERS
from workers import Unable, Worker, Workers

ROUNDS_FOR_ALL = 3  # every contender has at least so many, however slow it is,
ENDLESS = 20  # unless one of its turns takes so many times what it may take in all


class Comparison:
    """`round()` gives every contender its turn; `result()` says what came of it, as JSON can hold it."""

    def __init__(
        self, case: Case, workers: Workers, names: list[str], seconds: float, rounds: int, clock: str = "wall"
    ) -> None:
        self.case, self.budget = case, 2 * seconds * rounds
        self.pause = 0.05 if case.threads > 1 else 0.0  # BLAS threads spin for a while after their last work
        self.ready: dict[str, Worker] = {}
        self.rows: dict[str, int] = {}
        self.seconds: dict[str, list[float | None]] = {}
        self.unable: dict[str, str] = {}
        for name in names:
            try:
                self.ready[name], self.rows[name] = workers.ready(PEERS[name], case, seconds, clock)
                self.seconds[name] = []
            except Unable as reason:
                self.unable[name] = str(reason)

    def round(self) -> None:
        """Seconds a row of everybody, in alternating order; None for a slow one that has had its time."""
        order = list(self.seconds)
        for name in order if len(self.seconds[order[0]]) % 2 == 0 else order[::-1]:
            taken = [s for s in self.seconds[name] if s is not None]
            seconds = sum(taken) * self.rows[name]
            if seconds > self.budget * (1 if len(taken) >= ROUNDS_FOR_ALL else ENDLESS):
                self.seconds[name].append(None)
                continue
            time.sleep(self.pause)
            try:
                self.seconds[name].append(self.ready[name].ask("turn"))
            except Unable as reason:
                self.unable[name] = str(reason)
                del self.seconds[name]
                if not self.seconds:
                    return

    def result(self) -> dict[str, Any]:
        """Medians and quartiles of each contender, the ratio to kfng of the same rounds, theta's error, memory."""
        case = self.case
        found: dict[str, Any] = {name: {"status": reason} for name, reason in self.unable.items()}
        for name in list(self.seconds):
            taken = [s for s in self.seconds[name] if s is not None]
            low, middle, high = statistics.quantiles(taken, n=4) if len(taken) > 1 else taken * 3
            found[name] = {
                "status": "measured",
                "rows_per_s": 1 / middle,
                "spread": (high - low) / middle,
                "rounds": len(taken),
                "rows": self.rows[name],
                **self._ratio(name),
                **self._checked(name),
            }
        return {
            "case": case.name,
            "work": case.work,
            "problem": case.label,
            "p": case.problem.p,
            "dtype": case.dtype,
            "threads": case.threads,
            "keys": case.keys,
            "contenders": {name: found[name] for name in PEERS if name in found},
        }

    def _ratio(self, name: str) -> dict[str, Any]:
        """How many times the time of kfng's default this one takes: median and quartiles over rounds that both had."""
        if "kfng" not in self.seconds:
            return {}
        pairs = zip(self.seconds["kfng"], self.seconds[name], strict=True)
        ratios = [other / own for own, other in pairs if own is not None and other is not None]
        low, middle, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
        return {"ratio": middle, "ratio_quartiles": [low, high]}

    def _checked(self, name: str) -> dict[str, Any]:
        """Memory, and whether theta after the timed rows is that of kfng."""
        try:
            theta, memory = self.ready[name].ask("finish")
            if theta is None:
                return memory
            if "kfng" not in self.seconds:
                return memory | {"agrees": None}
            expected = self.ready["kfng"].ask("theta_after", self.rows[name])
        except Unable as reason:
            return {"status": str(reason)}
        found = error(theta, expected)
        agrees = bool(found <= tolerance(self.case))
        return memory | {"theta_error": found, "agrees": agrees} | ({} if agrees else {"status": "wrong theta"})
