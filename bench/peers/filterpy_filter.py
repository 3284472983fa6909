"""filterpy's KalmanFilter with a constant state: `update` with the row as measurement matrix, no `predict`."""

import numpy as np
from cases import Case

from peers.base import Peer, plain_linear


class FilterPy(Peer):
    name, rank = "filterpy", 52
    module, distribution = "filterpy.kalman", "filterpy"

    @classmethod
    def can(cls, case: Case) -> bool:
        return plain_linear(case)

    def prepare(self, X, Y):
        return [(x[None, :], y) for x, y in zip(X, Y.tolist(), strict=True)]

    def reset(self) -> None:
        from filterpy.kalman import KalmanFilter

        self.filter = KalmanFilter(dim_x=self.problem.p, dim_z=1)
        self.filter.P *= self.problem.prior_variance

    def run(self, rows) -> None:
        update = self.filter.update
        for x, y in rows:
            update(y, H=x)

    def theta(self) -> np.ndarray:
        return self.filter.x[:, 0]
