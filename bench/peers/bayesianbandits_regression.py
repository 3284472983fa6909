"""bayesianbandits: `partial_fit` row by row; linear, and logistic by its one-step Laplace approximation."""

import numpy as np
from cases import Case

from peers.base import Peer, scalar_full


class BayesianBandits(Peer):
    name, rank = "bayesianbandits", 51
    module, distribution = "bayesianbandits", "bayesianbandits"

    @classmethod
    def can(cls, case: Case) -> bool:
        return scalar_full(case) and case.problem.kind != "mlp" and case.dtype == "float64" and case.threads == 1

    def prepare(self, X, Y):
        return [(X[i : i + 1], Y[i : i + 1]) for i in range(len(X))]

    def reset(self) -> None:
        from bayesianbandits import BayesianGLM, LaplaceApproximator, NormalRegressor

        alpha = 1 / self.problem.prior_variance
        if self.problem.kind == "linear":
            self.model = NormalRegressor(alpha=alpha, beta=1.0)
        else:
            self.model = BayesianGLM(alpha=alpha, link="logit", approximator=LaplaceApproximator(n_iter=1))

    def run(self, rows) -> None:
        fit = self.model.partial_fit
        for x, y in rows:
            fit(x, y)

    def theta(self) -> np.ndarray:
        return np.asarray(self.model.coef_)
