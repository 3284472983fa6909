"""polars-ols: its recursive least squares over the rows of a frame; it gives the coefficients after every row."""

import numpy as np
from cases import Case

from peers.base import Peer, plain_linear, stream


class PolarsOls(Peer):
    name, rank = "polars-ols", 54
    module, distribution = "polars_ols", "polars-ols"

    goes_on = False

    @classmethod
    def can(cls, case: Case) -> bool:
        return stream(case) and plain_linear(case) and case.problem.p <= 100

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        import polars
        import polars_ols  # noqa: F401  (registers the namespace)

        self.names = [f"x{i}" for i in range(case.problem.p)]
        self.fit = polars.col("y").least_squares.rls(
            *(polars.col(name) for name in self.names),
            initial_state_covariance=case.problem.prior_variance,
            initial_state_mean=[0.0] * case.problem.p,
            mode="coefficients",
        )
        self.frame = polars.DataFrame

    def prepare(self, X, Y):
        return self.frame({"y": Y} | {name: X[:, i] for i, name in enumerate(self.names)})

    def reset(self) -> None:
        self.coefficients = None

    def run(self, rows) -> None:
        self.coefficients = rows.select(self.fit.alias("theta"))

    def theta(self) -> np.ndarray:
        return np.array(list(self.coefficients["theta"][-1].values()))
