"""kfng itself: default guards, predictions and their standard deviations made and read; and its NumPy reference."""

import importlib
from typing import ClassVar

import numpy as np
from cases import CALL, KEYED, PANEL, STREAM, Case

from peers.base import Peer, stream


class Kfng(Peer):
    name, rank = "kfng", 0
    works = (CALL, STREAM, KEYED, PANEL)
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
        X, Y = X.astype(self.dtype, copy=False), Y.astype(self.dtype, copy=False)
        return (self.case.key_of(len(X)), X, Y) if self.case.keys else (X, Y)

    def reset(self) -> None:
        k, problem = self.kfng, self.problem
        if problem.kind == "mlp":
            model = k.MLP([problem.d, problem.k, 1])
        elif problem.kind == "rnn":
            model = k.RNN(problem.d, problem.k, problem.outputs)
        else:
            model = k.Linear(problem.d, problem.k if problem.kind == "softmax" else 1, intercept=False)
        families = {"logistic": k.Bernoulli, "softmax": lambda: k.Categorical(problem.k)}
        family = families.get(problem.kind, lambda: k.Gaussian(1.0))()
        belief = (k.Diagonal if problem.diagonal else k.Full)(problem.prior_variance)
        if self.case.keys:
            self.filter = k.Bank(model, family, belief=belief, dtype=self.dtype, num_threads=self.threads)
            return
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
        elif self.case.work == PANEL:
            (keys, X, Y), K = rows, self.case.keys
            named = None if len(self.filter) else keys[:K]
            for start in range(0, len(X), K):
                part = slice(start, start + K)
                trace = self.filter.update_panel(X[part], Y[part], keys=named)
                named = None
                _ = trace.prediction, trace.std
        else:
            trace = self.filter.update(*rows) if self.case.keys else self.filter.update_many(*rows, **self.options)
            _ = trace.prediction, trace.std

    def theta(self) -> np.ndarray:
        if not self.case.keys:
            return np.asarray(self.filter.theta)
        found = np.zeros((self.case.keys, self.problem.p))
        known = self.filter.keys()
        found[known] = self.filter.theta(known)
        return found.ravel()


class Reference(Kfng):
    name, rank = "kfng.reference", 10
    implementation = "kfng.reference"

    @classmethod
    def can(cls, case: Case) -> bool:
        return case.threads == 1 and case.keys < 1000


class FilterEach(Kfng):
    """One `Filter` for each key, in a dict."""

    name, rank = "dict of Filter", 11
    works = (KEYED,)

    @classmethod
    def can(cls, case: Case) -> bool:
        return case.threads == 1 and case.keys <= 100_000

    def prepare(self, X, Y):
        keys, X, Y = super().prepare(X, Y)
        return list(zip(keys.tolist(), X, Y.tolist(), strict=True))

    def reset(self) -> None:
        k, problem = self.kfng, self.problem
        model, family = k.Linear(problem.d, intercept=False), k.Gaussian(1.0)
        belief = k.Full(problem.prior_variance)
        self.make = lambda: k.Filter(model, family, belief=belief, dtype=self.dtype)
        self.filters = {}

    def run(self, rows) -> None:
        filters, make = self.filters, self.make
        for key, x, y in rows:
            flt = filters.get(key)
            if flt is None:
                flt = filters[key] = make()
            flt.update(x, y)

    def theta(self) -> np.ndarray:
        found = np.zeros((self.case.keys, self.problem.p))
        for key, flt in self.filters.items():
            found[key] = flt.theta
        return found.ravel()


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
