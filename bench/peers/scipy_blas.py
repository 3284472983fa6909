"""The same recursion on one triangle, in place, through scipy.linalg.blas: the best that is easily had without compiling."""

import numpy as np
from cases import Case

from peers.base import Peer, scalar_full
from peers.numpy_by_hand import network


class SciPyBlas(Peer):
    name, rank = "scipy.blas", 30
    module, distribution = "scipy.linalg.blas", "scipy"

    @classmethod
    def can(cls, case: Case) -> bool:
        return scalar_full(case)

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        from scipy.linalg import blas

        letter = "d" if case.dtype == "float64" else "s"
        self.symv, self.syr = getattr(blas, f"{letter}symv"), getattr(blas, f"{letter}syr")

    def prepare(self, X, Y):
        return list(zip(X, Y.tolist(), strict=True))

    def reset(self) -> None:
        self.th = self.problem.theta_0().astype(self.case.dtype)
        self.P = np.asfortranarray(np.eye(self.problem.p, dtype=self.case.dtype) * self.problem.prior_variance)

    def run(self, rows) -> None:
        getattr(self, self.problem.kind)(self.th, self.P, self.symv, self.syr, rows)

    def theta(self) -> np.ndarray:
        return self.th

    @staticmethod
    def linear(th, P, symv, syr, rows) -> None:
        for x, y in rows:
            Px = symv(1.0, P, x)
            a = 1 / (1 + x @ Px)
            e = y - x @ th
            syr(-a, Px, a=P, overwrite_a=1)
            Px *= a * e
            th += Px

    @staticmethod
    def logistic(th, P, symv, syr, rows) -> None:
        for x, y in rows:
            Px = symv(1.0, P, x)
            m = 1 / (1 + np.exp(-(x @ th)))
            w = m * (1 - m)
            a = 1 / (1 + w * (x @ Px))
            syr(-a * w, Px, a=P, overwrite_a=1)
            Px *= a * (y - m)
            th += Px

    def mlp(self, th, P, symv, syr, rows) -> None:
        for x, y in rows:
            z, h = network(th, x, self.problem.k)
            Ph = symv(1.0, P, h)
            a = 1 / (1 + h @ Ph)
            syr(-a, Ph, a=P, overwrite_a=1)
            Ph *= a * (y - z)
            th += Ph
