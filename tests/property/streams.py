"""Streams and filters that hypothesis draws: sizes by name, numbers from a seed it shrinks."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

LAWS = ("gaussian", "covariance", "learned", "bernoulli", "poisson")


class Case(NamedTuple):
    """What a property is tried on; all of it is printed with a failure."""

    law: str
    d: int
    k: int
    n: int
    forgetting: float
    weighted: bool
    gaps: bool
    seed: int

    def filter(self, impl: Any, **more: Any) -> Any:
        rng = np.random.default_rng(self.seed)
        root = 0.3 * rng.normal(size=(self.k, self.k)) + 1.5 * np.eye(self.k)
        family = {
            "gaussian": lambda: impl.Gaussian(0.7),
            "covariance": lambda: impl.Gaussian(covariance=root @ root.T),
            "learned": lambda: impl.Gaussian(None),
            "bernoulli": impl.Bernoulli,
            "poisson": impl.Poisson,
        }[self.law]()
        rule = impl.Fading(self.forgetting) if self.forgetting else impl.Kalman()
        return impl.Filter(impl.Linear(self.d, self.k), family, **({"rule": rule} | more))

    def rows(self) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        rng = np.random.default_rng(self.seed + 1)
        U = rng.normal(size=(self.n, self.d))
        shape = (self.n, self.k)
        if self.law == "bernoulli":
            Y = rng.integers(0, 2, size=shape).astype(np.float64)
        elif self.law == "poisson":
            Y = rng.poisson(2.0, size=shape).astype(np.float64)
        else:
            Y = rng.normal(size=shape)
        if self.gaps:
            Y[rng.random(shape) < 0.2] = np.nan
        plain = np.ones(self.n)
        if not self.weighted:
            return U, Y, {"weight": plain, "dt": plain}
        return (
            U,
            Y,
            {"weight": rng.choice([0.0, 0.5, 1.0, 2.0], self.n), "dt": rng.choice([0.0, 0.5, 1.0, 3.0], self.n)},
        )


@st.composite
def cases(draw: Any, laws: tuple[str, ...] = LAWS, forgetting: bool = True, rows: int = 50) -> Case:
    law = draw(st.sampled_from(laws))
    return Case(
        law=law,
        d=draw(st.integers(0, 5)),
        k=draw(st.integers(1, 3)) if law in ("gaussian", "covariance", "learned") else 1,
        n=draw(st.integers(1, rows)),
        forgetting=draw(st.sampled_from([0.0, 0.01, 0.1, 0.5])) if forgetting else 0.0,
        weighted=draw(st.booleans()),
        gaps=draw(st.booleans()),
        seed=draw(st.integers(0, 2**32 - 1)),
    )


def bits(flt: Any, *without: str) -> dict[str, bytes]:
    """The whole state, bit by bit."""
    return {name: array.tobytes() for name, array in flt._state().items() if name not in without}


def smallest_eigenvalue(P: np.ndarray) -> float:
    """Of P scaled to unit diagonal; variances that are 0 leave their row out."""
    sd = np.sqrt(np.diagonal(P))
    scaled = P[np.ix_(sd > 0, sd > 0)] / np.outer(sd[sd > 0], sd[sd > 0])
    return float(np.linalg.eigvalsh(scaled).min(initial=1.0))
