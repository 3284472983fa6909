"""Interleaved timing: every contender once per round, so that a slow moment of the machine hits all alike."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Comparison:
    """Seconds per row of each contender, one number per round; the first is kfng."""

    work: str
    p: int
    seconds: dict[str, list[float]] = field(default_factory=dict)

    def ratio(self, peer: str) -> float:
        """How many times faster kfng is than the peer (medians)."""
        return statistics.median(self.seconds[peer]) / statistics.median(self.seconds["kfng"])

    def row(self) -> dict:
        """Medians as rows/s, spreads as interquartile range over median, ratios."""
        result: dict = {"work": self.work, "p": self.p}
        for name, seconds in self.seconds.items():
            low, middle, high = statistics.quantiles(seconds, n=4)
            result[name] = {"rows_per_s": 1 / middle, "spread": (high - low) / middle, "ratio": self.ratio(name)}
        return result


def interleave(work: str, p: int, contenders: dict[str, tuple[Callable[[], object], int]], rounds: int) -> Comparison:
    """Time contenders {name: (function, rows it handles)} in turn; the first call of each is not counted."""
    comparison = Comparison(work, p, {name: [] for name in contenders})
    for function, _ in contenders.values():
        function()
    for _ in range(rounds):
        for name, (function, rows) in contenders.items():
            start = time.perf_counter()
            function()
            comparison.seconds[name].append((time.perf_counter() - start) / rows)
    return comparison
