"""The tables that scikit-learn and statsmodels carry with them: a continuous target, 200 rows or more; and how they are split."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

TEST_SHARE = 0.1
Table = tuple[np.ndarray, np.ndarray]
"""Features (n, d) and target (n,)."""


def _sklearn_diabetes() -> Table:
    from sklearn.datasets import load_diabetes

    return load_diabetes(return_X_y=True, scaled=False)


def _statsmodels(module: str, target: Callable[[Any], Any], features: list[str]) -> Table:
    import statsmodels.datasets as datasets

    data = getattr(datasets, module).load_pandas().data
    return data[features].to_numpy(dtype=float), np.asarray(target(data), dtype=float)


def _past(series: np.ndarray, lags: int) -> Table:
    """Each value from the `lags` values before it."""
    rows = np.lib.stride_tricks.sliding_window_view(series, lags + 1)
    return rows[:, :-1].copy(), rows[:, -1].copy()


def _sunspots() -> Table:
    import statsmodels.datasets as datasets

    return _past(datasets.sunspots.load_pandas().data["SUNACTIVITY"].to_numpy(dtype=float), 11)


def _elnino() -> Table:
    import statsmodels.datasets as datasets

    months = datasets.elnino.load_pandas().data.drop(columns="YEAR").to_numpy(dtype=float)
    return _past(months.ravel(), 12)


STAR98 = [
    "LOWINC",
    "PERASIAN",
    "PERBLACK",
    "PERHISP",
    "PERMINTE",
    "AVYRSEXP",
    "AVSALK",
    "PERSPENK",
    "PTRATIO",
    "PCTAF",
    "PCTCHRT",
    "PCTYRRND",
]
FAIR = ["rate_marriage", "age", "yrs_married", "children", "religious", "educ", "occupation", "occupation_husb"]
MACRO = ["realgdp", "realcons", "realinv", "realgovt", "realdpi", "cpi", "m1", "tbilrate", "unemp", "pop"]
TABLES: dict[str, Callable[[], Table]] = {
    "diabetes": _sklearn_diabetes,
    "elnino (12 months before)": _elnino,
    "engel": lambda: _statsmodels("engel", lambda t: t["foodexp"], ["income"]),
    "fair": lambda: _statsmodels("fair", lambda t: np.log1p(t["affairs"]), FAIR),
    "grunfeld": lambda: _statsmodels("grunfeld", lambda t: t["invest"], ["value", "capital", "year"]),
    "macrodata": lambda: _statsmodels("macrodata", lambda t: t["infl"], MACRO),
    "star98": lambda: _statsmodels("star98", lambda t: t["NABOVE"] / (t["NABOVE"] + t["NBELOW"]), STAR98),
    "sunspots (11 years before)": _sunspots,
}
WHAT = (
    "diabetes of scikit-learn, the others of statsmodels: engel food expenditure, fair log(1 + affairs), grunfeld investment, "
    "macrodata inflation, star98 share of pupils above the median, elnino and sunspots the next value of the series"
)


@dataclass(frozen=True)
class Split:
    """Standardised with the mean and standard deviation of the training rows, which come in random order."""

    U: np.ndarray
    Y: np.ndarray
    U_test: np.ndarray
    Y_test: np.ndarray


def split(table: Table, seed: int) -> Split:
    U, Y = table
    order = np.random.default_rng(seed).permutation(len(Y))
    cut = round(TEST_SHARE * len(Y))
    test, train = order[:cut], order[cut:]
    (U_mean, U_sd), (Y_mean, Y_sd) = ((np.mean(x[train], axis=0), np.std(x[train], axis=0)) for x in (U, Y))
    U, Y = (U - U_mean) / U_sd, (Y - Y_mean) / Y_sd
    return Split(U[train], Y[train], U[test], Y[test])
