"""What `robust=` does on streams with outliers, with a wrong noise variance, and on one whose level shifts.

`python bench/science/robust.py` runs each policy with the noise variance known (or believed to be) and learned, and prints two
tables: how far the predictions are from the true mean of y, in standard deviations of the clean noise, and the share of the
clean rows' y inside their 90 % intervals. The filter forgets 1 % a row, as one that is meant for drift.
"""

import sys
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from report import Report, implementation, name, parser

SEEDS = 20
ROWS, FEATURES, SKIPPED = 2000, 4, 100
FORGETTING = 0.01
HALF = 1.6448536269514722  # of a central 90 % interval, in sd
POLICIES = (None, "winsor", "imq", "student")


@dataclass(frozen=True)
class Stream:
    """Noise of variance 1; a share of rows is off by `size` normals, or by +size; the filter believes in variance `believed`."""

    title: str
    share: float = 0.0
    size: float = 20.0
    one_sided: bool = False
    believed: float = 1.0
    shift: float = 0.0

    def draw(self, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """U (n, d), y, its true mean and which rows are outliers (n,)."""
        rng = np.random.default_rng(seed)
        U = rng.normal(size=(ROWS, FEATURES))
        mean = U @ rng.normal(size=FEATURES) + rng.normal()
        mean[ROWS // 2 :] += self.shift
        off = rng.random(ROWS) < self.share
        jump = np.full(ROWS, self.size) if self.one_sided else self.size * rng.normal(size=ROWS)
        return U, mean + rng.normal(size=ROWS) + np.where(off, jump, 0.0), mean, off


STREAMS = [
    Stream("clean"),
    Stream("1 % outliers, both sides", share=0.01),
    Stream("10 % outliers, both sides", share=0.1),
    Stream("1 % outliers, one side", share=0.01, one_sided=True),
    Stream("10 % outliers, one side", share=0.1, one_sided=True),
    Stream("R 100 times too small", believed=0.01),
    Stream("R 100 times too large", believed=100.0),
    Stream("level shifts by 10", shift=10.0),
]


@dataclass(frozen=True)
class Fared:
    """One number a seed."""

    error: np.ndarray
    """Root mean square of prediction minus true mean."""
    coverage: np.ndarray
    """Share of clean y inside its interval."""


def run(impl: ModuleType, stream: Stream, policy: Any, learned: bool, seeds: int = SEEDS) -> Fared:
    found = np.array([one(impl, stream, policy, learned, seed) for seed in range(seeds)])
    return Fared(*found.T)


def one(impl: ModuleType, stream: Stream, policy: Any, learned: bool, seed: int) -> tuple[float, float]:
    U, y, mean, off = stream.draw(seed)
    believed = stream.believed
    family = impl.Gaussian(variance=None, prior_scale=believed**0.5) if learned else impl.Gaussian(believed)
    belief = impl.Full(10.0 / believed if learned else 10.0)  # relative to the variance where that is learned
    flt = impl.Filter(impl.Linear(FEATURES), family, belief=belief, rule=impl.Fading(FORGETTING), robust=policy)
    trace = flt.update_many(U, y)
    late = np.arange(ROWS) >= SKIPPED
    clean = late & ~off
    inside = np.abs(y - trace.prediction) <= HALF * trace.std
    return float(np.sqrt(np.mean((trace.prediction - mean)[late] ** 2))), float(np.mean(inside[clean]))


def cell(values: np.ndarray, scale: float = 1.0, digits: int = 2) -> str:
    return f"{scale * np.mean(values):.{digits}f}"


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--seeds", type=int, default=SEEDS)
    given = options.parse_args()
    impl, report = implementation(given.reference), Report("robust")
    ways = [(policy, learned) for learned in (False, True) for policy in POLICIES]
    found = {(s, way): run(impl, s, *way, seeds=given.seeds) for s in STREAMS for way in ways}
    headers = ["stream", *(f"{policy or 'none'}, R {'learned' if learned else 'given'}" for policy, learned in ways)]
    setting = (
        f"{given.seeds} streams (NumPy seeds from 0) of {ROWS} rows, {FEATURES} features, noise variance 1, Fading({FORGETTING}), "
        f"the first {SKIPPED} rows left out; outliers are off by {STREAMS[1].size:.0f} normals, or by +{STREAMS[1].size:.0f}; "
        f"a learned R has its prior at what is believed; {name(impl)}."
    )
    report.table(
        headers,
        [[s.title, *(cell(found[s, way].error) for way in ways)] for s in STREAMS],
        f"Root mean square of prediction minus true mean, in standard deviations of the clean noise: {setting}",
    )
    report.table(
        headers,
        [[s.title, *(cell(found[s, way].coverage, 100.0, 0) + " %" for way in ways)] for s in STREAMS],
        "Share of the y of clean rows inside their 90 % intervals, of the same streams.",
    )
    report.save()


if __name__ == "__main__":
    sys.exit(main())
