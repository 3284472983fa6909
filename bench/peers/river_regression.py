"""river's Bayesian linear regression: `learn_one` alone, which leaves its mean to be computed when it is asked for."""

import numpy as np
from cases import Case

from peers.base import Peer, plain_linear


class River(Peer):
    name, rank = "river", 50
    module, distribution = "river.linear_model", "river"

    @classmethod
    def can(cls, case: Case) -> bool:
        return plain_linear(case)

    def prepare(self, X, Y):
        return [(dict(enumerate(x)), y) for x, y in zip(X.tolist(), Y.tolist(), strict=True)]

    def reset(self) -> None:
        from river.linear_model import BayesianLinearRegression

        self.model = BayesianLinearRegression(alpha=1 / self.problem.prior_variance, beta=1.0)

    def run(self, rows) -> None:
        learn = self.model.learn_one
        for x, y in rows:
            learn(x, y)

    def theta(self) -> np.ndarray:
        return np.array([self.model.predict_one({i: 1.0}) for i in range(self.problem.p)])
