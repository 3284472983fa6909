"""polars-ols: its recursive least squares over the rows of a frame, for all or for each group; the coefficients after every row."""

import numpy as np
from cases import KEYED, STREAM, Case

from peers.base import Peer, stream


class PolarsOls(Peer):
    name, rank = "polars-ols", 54
    module, distribution = "polars_ols", "polars-ols"

    works = (STREAM, KEYED)
    goes_on = False

    @classmethod
    def can(cls, case: Case) -> bool:
        plain = case.label == "linear" and case.dtype == "float64" and case.problem.p <= 100
        return plain and (case.threads == 1 or not stream(case)) and case.keys <= 100_000  # beyond, minutes

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
        if case.keys:
            self.fit = self.fit.over("key")
        self.col = polars.col
        self.frame = polars.DataFrame

    def prepare(self, X, Y):
        keys = {"key": self.case.key_of(len(X))} if self.case.keys else {}
        return self.frame(keys | {"y": Y} | {name: X[:, i] for i, name in enumerate(self.names)})

    def reset(self) -> None:
        self.coefficients = None

    def run(self, rows) -> None:
        kept = [self.col("key")] if self.case.keys else []
        self.coefficients = rows.select(*kept, self.fit.alias("theta"))

    def theta(self) -> np.ndarray:
        if self.case.keys:
            last = self.coefficients.group_by("key").last()
            found = np.zeros((self.case.keys, self.problem.p))
            found[last["key"].to_numpy()] = last["theta"].struct.unnest().to_numpy()
            return found.ravel()
        return np.array(list(self.coefficients["theta"][-1].values()))
