"""Streams and filters that hypothesis draws: sizes by name, numbers from a seed it shrinks."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

GAUSSIAN = ("gaussian", "covariance")
"""Without forgetting, of a linear model: the posterior of the set of rows."""
IDENTITY = (*GAUSSIAN, "learned", "each")
ONE_OUTPUT = ("bernoulli", "binomial", "trials", "poisson", "negative binomial", "gamma")
LAWS = (*IDENTITY, *ONE_OUTPUT, "categorical", "mean and variance")
RULES = ("kalman", "fading", "towards the prior", "gradient", "walk")
MODELS = ("linear", "mlp")
HIDDEN = 2


class Case(NamedTuple):
    """What a property is tried on; all of it is printed with a failure."""

    law: str
    model: str
    rule: str
    d: int
    k: int
    n: int
    forgetting: float
    weighted: bool
    gaps: bool
    seed: int

    def family(self, impl: Any, unit: float = 1.0) -> Any:
        """The law of y; of the normal ones, y in units 1/unit as large."""
        root = 0.3 * np.random.default_rng(self.seed).normal(size=(self.k, self.k)) + 1.5 * np.eye(self.k)
        return {
            "gaussian": lambda: impl.Gaussian(0.7 * unit**2),
            "covariance": lambda: impl.Gaussian(covariance=root @ root.T * unit**2),
            "learned": lambda: impl.Gaussian(None, prior_scale=unit),
            "each": lambda: impl.Gaussian("each", prior_scale=unit),
            "bernoulli": impl.Bernoulli,
            "binomial": lambda: impl.Binomial(4),
            "trials": impl.Binomial,
            "poisson": impl.Poisson,
            "negative binomial": lambda: impl.NegativeBinomial(0.5),
            "gamma": lambda: impl.Gamma(2.0),
            "categorical": lambda: impl.Categorical(self.k),
            "mean and variance": impl.GaussianMeanVariance,
        }[self.law]()

    def filter(self, impl: Any, *, family: Any = None, noise: Any = 1.0, **more: Any) -> Any:
        """`noise`: Q over the case's own, where theta walks."""
        lam = self.forgetting
        rule = {
            "kalman": impl.Kalman,
            "fading": lambda: impl.Fading(lam),
            "towards the prior": lambda: impl.Fading(lam, towards="prior"),
            "gradient": lambda: impl.NaturalGradient(lam),
            "walk": lambda: impl.ProcessNoise(lam * noise),
        }[self.rule]()
        return impl.Filter(self.component(impl), family or self.family(impl), rule=rule, **more)

    def component(self, impl: Any) -> Any:
        return impl.Linear(self.d, self.k) if self.model == "linear" else impl.MLP([self.d, HIDDEN, self.k])

    # -- parameters: weights (units, d) and biases of the layer that sees the features come first, biases of outputs last
    @property
    def units(self) -> int:
        """Outputs of the layer that sees the features."""
        return self.k if self.model == "linear" else HIDDEN

    @property
    def p(self) -> int:
        return self.units * (self.d + 1) + (0 if self.model == "linear" else self.k * (HIDDEN + 1))

    @property
    def outer(self) -> int:
        """Parameters that z is linear in, all of them at the end of theta."""
        return self.k * ((self.d if self.model == "linear" else HIDDEN) + 1)

    def feature_map(self, A: np.ndarray, a: np.ndarray) -> np.ndarray:
        """M (p, p): theta for features A u + a is M theta. W <- W A^-1, c <- c - W A^-1 a."""
        inverse, width = np.linalg.inv(A), self.units * self.d
        M = np.eye(self.p)
        M[:width, :width] = np.kron(np.eye(self.units), inverse.T)
        M[width : width + self.units, :width] = np.kron(np.eye(self.units), -inverse @ a)
        return M

    # -- rows
    @property
    def width(self) -> int:
        """Numbers that make one y."""
        return {"trials": 2, "categorical": 1, "mean and variance": 1}.get(self.law, self.k)

    def rows(self) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        rng = np.random.default_rng(self.seed + 1)
        U = rng.normal(size=(self.n, self.d))
        shape = (self.n, self.width)
        trials = rng.integers(1, 6, size=(self.n, 1))
        Y = {
            "bernoulli": lambda: rng.integers(0, 2, size=shape),
            "binomial": lambda: rng.integers(0, 5, size=shape),
            "trials": lambda: np.hstack([rng.binomial(trials, 0.4), trials]),
            "poisson": lambda: rng.poisson(2.0, size=shape),
            "negative binomial": lambda: rng.poisson(2.0, size=shape),
            "gamma": lambda: rng.gamma(2.0, size=shape),
            "categorical": lambda: rng.integers(0, self.k, size=shape),
        }.get(self.law, lambda: rng.normal(size=shape))()
        Y = np.asarray(Y, dtype=np.float64)
        if self.gaps:
            (Y[:, :1] if self.law == "trials" else Y)[
                rng.random((self.n, 1 if self.law == "trials" else self.width)) < 0.2
            ] = np.nan
        plain = np.ones(self.n)
        if not self.weighted:
            return U, Y, {"weight": plain, "dt": plain}
        times = [0.0, 1.0] if self.rule == "gradient" else [0.0, 0.5, 1.0, 3.0]
        return U, Y, {"weight": rng.choice([0.0, 0.5, 1.0, 2.0], self.n), "dt": rng.choice(times, self.n)}


@st.composite
def cases(
    draw: Any,
    laws: tuple[str, ...] = LAWS,
    rules: tuple[str, ...] = RULES,
    models: tuple[str, ...] = MODELS,
    rows: int = 50,
) -> Case:
    law = draw(st.sampled_from(laws))
    model = draw(st.sampled_from(models))
    rule = draw(st.sampled_from([r for r in rules if r != "gradient" or law not in ("learned", "each")]))
    sizes = {"mean and variance": (2, 2), "categorical": (2, 3)} | dict.fromkeys(ONE_OUTPUT, (1, 1))
    return Case(
        law=law,
        model=model,
        rule=rule,
        d=draw(st.integers(0 if model == "linear" else 1, 5 if model == "linear" else 3)),
        k=draw(st.integers(*sizes.get(law, (1, 3)))),
        n=draw(st.integers(1, rows)),
        forgetting=0.0 if rule == "kalman" else draw(st.sampled_from([0.01, 0.1, 0.5])),
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
