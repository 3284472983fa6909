"""How often y lies in the 90 % interval of its prediction, over the last rows: what a filter keeps of it.

n <- min(n + 1, 16384) and s <- s + (share - s)/1000 from 0, with the share of a row's outputs that are inside: after n rows the weights
of s sum to w = 1 - 0.999^n, and s/w is the weighted share. Both are kept in one number, n + s.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

RATE = 1e-3
MOST_ROWS = 16384
"""n no longer grows when the weights sum to 1 but for 8e-8."""


def after(kept: float, share: float) -> float:
    """n + s after a row."""
    n = math.floor(kept)
    s = kept - n
    return min(n + 1, MOST_ROWS) + (s + RATE * (share - s))


def read(kept: NDArray[np.float64]) -> tuple[int, float, float, float]:
    """Of some filters' n + s: the rows, and the sums of s, of their weights, and of the squares of these."""
    n = np.floor(kept)
    left = np.exp(n * math.log1p(-RATE))
    return (
        int(n.sum()),
        float(np.sum(kept - n)),
        float(np.sum(1 - left)),
        float(np.sum(1 - left**2)) * RATE / (2 - RATE),
    )
