"""What the hardware allows, in rows per second of a full covariance, measured in the same rounds as everything else."""

import numpy as np
from cases import Case

from peers.base import Peer, scalar_full, stream

SIDE = 192


class FmaLimit(Peer):
    """The 3p² operations of each output of a row at the speed of a matrix product (NumPy's BLAS), which is compute-bound."""

    name, rank = "limit: multiply-add", 90
    has_theta = False

    @classmethod
    def can(cls, case: Case) -> bool:
        return stream(case) and (scalar_full(case) or case.problem.kind == "rnn")

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self.A = np.ones((SIDE, SIDE), case.dtype)
        self.out = np.empty_like(self.A)

    def prepare(self, X, Y):
        return max(1, round(len(X) * 3 * self.problem.outputs * self.problem.p**2 / (2 * SIDE**3)))

    def reset(self) -> None: ...

    def run(self, rows) -> None:
        for _ in range(rows):
            np.matmul(self.A, self.A, out=self.out)


class TriangleLimit(Peer):
    """One read and one write of the triangle a row (NumPy, in place): no filter that takes rows one by one does with less."""

    name, rank = "limit: one pass over the triangle", 91
    has_theta = False

    @classmethod
    def can(cls, case: Case) -> bool:
        return stream(case) and scalar_full(case) and case.threads == 1 and case.problem.p >= 100

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        p = self.problem.p
        self.triangle = np.ones(p * (p + 1) // 2, case.dtype)

    def prepare(self, X, Y):
        return len(X)

    def reset(self) -> None: ...

    def run(self, rows) -> None:
        one = self.triangle.dtype.type(1)
        for _ in range(rows):
            np.multiply(self.triangle, one, out=self.triangle)
