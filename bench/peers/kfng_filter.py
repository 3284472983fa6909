"""kfng itself: default guards, predictions and their standard deviations made and read; and its NumPy reference."""

import importlib
from typing import ClassVar

import numpy as np
from cases import CALL, Case

from peers.base import Peer, stream


class Kfng(Peer):
    name, rank = "kfng", 0
    module, distribution = "kfng", "kfng"
    implementation: ClassVar[str] = "kfng"
    options: ClassVar[dict] = {}  # of update_many
    read_prediction: ClassVar[bool] = False  # after each single call; a stream's are always read

    @classmethod
    def can(cls, case: Case) -> bool:
        return True

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self.kfng = importlib.import_module(self.implementation)
        self.dtype = case.dtype
        self.threads = case.threads if case.threads > 1 else None

    def prepare(self, X, Y):
        if self.case.work == CALL:
            return [(x, float(y)) for x, y in zip(X.astype(self.dtype), Y, strict=True)]
        return X.astype(self.dtype, copy=False), Y.astype(self.dtype, copy=False)

    def reset(self) -> None:
        k, problem = self.kfng, self.problem
        if problem.kind == "mlp":
            model = k.MLP([problem.d, problem.k, 1])
        elif problem.kind == "rnn":
            model = k.RNN(problem.d, problem.k, 1)
        else:
            model = k.Linear(problem.d, problem.k if problem.kind == "softmax" else 1, intercept=False)
        families = {"logistic": k.Bernoulli, "softmax": lambda: k.Categorical(problem.k)}
        family = families.get(problem.kind, lambda: k.Gaussian(1.0))()
        belief = (k.Diagonal if problem.diagonal else k.Full)(problem.prior_variance)
        self.filter = k.Filter(
            model, family, belief=belief, theta=problem.theta_0(), dtype=self.dtype, num_threads=self.threads
        )

    def run(self, rows) -> None:
        if self.case.work == CALL:
            update = self.filter.update
            if self.read_prediction:
                for x, y in rows:
                    _ = update(x, y).prediction
            else:
                for x, y in rows:
                    update(x, y)
        else:
            trace = self.filter.update_many(*rows, **self.options)
            _ = trace.prediction, trace.std

    def theta(self) -> np.ndarray:
        return np.asarray(self.filter.theta)


class Reference(Kfng):
    name, rank = "kfng.reference", 10
    implementation = "kfng.reference"

    @classmethod
    def can(cls, case: Case) -> bool:
        return case.threads == 1


class PredictionRead(Kfng):
    """A single call whose Step is asked for its prediction."""

    name, rank, variant_of = "kfng, prediction read", 1, "kfng"
    read_prediction = True

    @classmethod
    def can(cls, case: Case) -> bool:
        return case.work == CALL


class Reordered(Kfng):
    """Rows of a generalised linear model in blocks: equal, not bit-identical."""

    name, rank, variant_of = "kfng, deterministic=False", 2, "kfng"
    options: ClassVar[dict] = {"deterministic": False}

    @classmethod
    def can(cls, case: Case) -> bool:
        return stream(case) and case.problem.kind == "logistic"


class Double(Kfng):
    """float64 in the same run, for the gain of float32."""

    name, rank, variant_of = "kfng, float64", 3, "kfng"

    @classmethod
    def can(cls, case: Case) -> bool:
        return case.dtype == "float32"

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self.dtype = "float64"


class OneThread(Kfng):
    """One thread in the same run, for the gain of two."""

    name, rank, variant_of = "kfng, one thread", 4, "kfng"

    @classmethod
    def can(cls, case: Case) -> bool:
        return case.threads > 1

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self.threads = None
