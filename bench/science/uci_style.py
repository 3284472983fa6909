"""One pass over small public regression tables: a full covariance, a diagonal one, and plain gradient steps.

`python bench/science/uci_style.py` teaches a network of one hidden layer of 50 tanh units from each table in one pass, and
asks whether full beats diagonal beats SGD on rows it has not seen, as the literature of online Bayesian networks reports.
The tables are those that scikit-learn and statsmodels carry with them: with a continuous target and 200 rows or more; the
yearly and monthly series among them as tables of their own past.

Nothing is tuned on test rows. The filters have nothing to tune: the prior by fan-in is that of `Filter.from_rows`, the noise
variance is learned. It is learned in two ways: `variance="each"`, with a prior of theta in its own units, and
`variance=None`, with a prior in units of the noise, exact for a linear model but for a network a prior that becomes the
tighter the less noise there is. Both are shown, the first in full (it was added after the second had been seen on the test
rows, for this reason). SGD is given what it needs, in hindsight: of a grid of step sizes the one whose
summed one-step-ahead error over the training stream is least.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from report import Report, implementation, name, parser

UNITS, SPLITS, TEST_SHARE = 50, 5, 0.1
STEPS = [10 ** (exponent / 4) for exponent in range(-16, 3)]
DECAYS = (0.0, 0.5)  # the step at row t is step·t^-decay
NOISES = ("each", None)
FULL, PRECISION, COVARIANCE, SGD = "full", "diagonal, precision", "diagonal, covariance", "SGD"


# -- tables: features (n, d) and target (n,)
Table = tuple[np.ndarray, np.ndarray]


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


# -- the contenders: (test RMSE, test mean log density)
Score = tuple[float, float]


def by_filter(impl: ModuleType, belief: Any, variance: Any, rows: Split, seed: int) -> Score:
    """One pass; then the test rows are asked for with weight 0, which teaches nothing."""
    model = impl.MLP([rows.U.shape[1], UNITS, 1])
    flt = impl.Filter.from_rows(rows.U, rows.Y, model, impl.Gaussian(variance), belief=belief, seed=seed)
    trace = flt.update_many(rows.U_test, rows.Y_test, weight=0)
    return float(np.sqrt(np.mean((rows.Y_test - trace.prediction) ** 2))), -float(np.mean(trace.nll))


def by_sgd(theta: np.ndarray, rows: Split) -> tuple[Score, float, float]:
    """Gradient steps on half the squared error from the same theta_0; also the step size and decay that were chosen.

    All step sizes at once; each row is predicted, then learned from. The density is normal with the mean squared
    one-step-ahead error over the second half of the training rows as its variance.
    """
    d = rows.U.shape[1]
    grid = np.array([(step, decay) for decay in DECAYS for step in STEPS])
    W, b, v, c = (
        np.repeat(part[None], len(grid), axis=0)
        for part in (
            theta[: UNITS * d].reshape(UNITS, d),
            theta[UNITS * d : UNITS * (d + 1)],
            theta[UNITS * (d + 1) : -1],
            theta[-1],
        )
    )
    errors = np.empty((len(rows.Y), len(grid)))
    with np.errstate(over="ignore", invalid="ignore"):  # step sizes that are too large
        for t, (u, y) in enumerate(zip(rows.U, rows.Y, strict=True)):
            a = np.tanh(W @ u + b)
            e = errors[t] = y - (np.sum(v * a, axis=1) + c)
            step = grid[:, 0] * (t + 1) ** -grid[:, 1] * e
            back = step[:, None] * v * (1 - a**2)
            v += step[:, None] * a
            c += step
            W += back[:, :, None] * u
            b += back
        total = np.sum(errors**2, axis=0)
    best = int(np.argmin(np.where(np.isfinite(total), total, np.inf)))
    a = np.tanh(rows.U_test @ W[best].T + b[best])
    e = rows.Y_test - (a @ v[best] + c[best])
    variance = np.mean(errors[len(errors) // 2 :, best] ** 2)
    density = -0.5 * np.log(2 * np.pi * variance) - e**2 / (2 * variance)
    return (float(np.sqrt(np.mean(e**2))), float(np.mean(density))), *grid[best].tolist()


@dataclass
class Results:
    """Of one table: contender -> (splits, 2) of test RMSE and mean log density; the steps that SGD chose."""

    scores: dict[str, np.ndarray]
    steps: list[tuple[float, float]]
    rows: int
    features: int


def run(impl: ModuleType, table: Table, variance: Any) -> Results:
    beliefs = {
        FULL: impl.Full(1.0),
        PRECISION: impl.Diagonal(1.0, projection="precision"),
        COVARIANCE: impl.Diagonal(1.0, projection="covariance"),
    }
    scores: dict[str, list[Score]] = {key: [] for key in (*beliefs, SGD)}
    steps = []
    for seed in range(SPLITS):
        rows = split(table, seed)
        for key, belief in beliefs.items():
            scores[key].append(by_filter(impl, belief, variance, rows, seed))
        theta = impl.MLP([rows.U.shape[1], UNITS, 1]).initial_theta(seed)
        score, *step = by_sgd(theta, rows)
        scores[SGD].append(score)
        steps.append(tuple(step))
    return Results({key: np.array(values) for key, values in scores.items()}, steps, *table[0].shape)


# -- what is shown
def plus_minus(values: np.ndarray) -> str:
    return f"{np.mean(values):.3f} ± {np.std(values, ddof=1) / np.sqrt(len(values)):.3f}"


def verdict(differences: np.ndarray) -> str:
    """Of paired differences, better - worse counted so that > 0 is a win."""
    mean, error = np.mean(differences), np.std(differences, ddof=1) / np.sqrt(len(differences))
    word = "yes" if mean > 2 * error else "NO" if mean < -2 * error else "open"
    return f"{word} ({mean:+.3f} ± {error:.3f})"


CLAIMS = [
    (FULL, PRECISION),
    (FULL, COVARIANCE),
    (PRECISION, SGD),
    (COVARIANCE, SGD),
    (FULL, SGD),
]


METRICS = (
    ("RMSE (in units of the target's training sd, less is better)", -1),
    ("mean log density (more is better)", 1),
)
NAMES = (FULL, PRECISION, COVARIANCE, SGD)


def means(results: dict[str, Results], i: int) -> list[str]:
    """Of each contender, averaged over the tables."""
    return [plus_minus(np.mean([r.scores[key][:, i] for r in results.values()], axis=0)) for key in NAMES]


def claims(results: dict[str, Results], i: int) -> list[list[str]]:
    """For each table, and on average over the tables, whether each claim holds."""
    sign = METRICS[i][1]
    gains = {
        title: [sign * (r.scores[better][:, i] - r.scores[worse][:, i]) for better, worse in CLAIMS]
        for title, r in results.items()
    }
    average = np.mean(list(gains.values()), axis=0)
    return [[title, *map(verdict, of_table)] for title, of_table in (gains | {"average": average}).items()]


def main() -> None:
    given = parser(__doc__).parse_args()
    impl, report = implementation(given.reference), Report("uci_style")
    found: dict[Any, dict[str, Results]] = {noise: {} for noise in NOISES}
    for title, load in TABLES.items():
        for noise in NOISES:
            found[noise][title] = run(impl, load(), noise)
        print(f"{title}: done", file=sys.stderr)
    results = found["each"]
    for i, (what, _) in enumerate(METRICS):
        rows = [
            [title, f"{r.rows:,} × {r.features}", *(plus_minus(r.scores[key][:, i]) for key in NAMES)]
            for title, r in results.items()
        ]
        report.table(
            ["table", "rows", *NAMES],
            [*rows, ["average", "", *means(results, i)]],
            f"Test {what}, mean ± standard error of {SPLITS} splits (90 % in random order for one pass, 10 % for the test; "
            f"NumPy seeds 0 to {SPLITS - 1}, which also draw θ_0). Network of {UNITS} tanh units, all from the same θ_0; Gaussian with "
            f'learned noise, variance="each", prior variance 1/fan_in (`from_rows`, prior_variance 1), no forgetting, default '
            f"guards; {WHAT}; {name(impl)}.",
        )
    headers = ["table", *(f"{better} beats {worse}" for better, worse in CLAIMS)]
    for i, (what, _) in enumerate(METRICS):
        report.table(
            headers,
            claims(results, i),
            f"By test {what}: gain, mean ± standard error of the paired differences over {SPLITS} splits; yes or NO beyond two "
            f"standard errors, open within them.",
        )
    report.table(
        ["average of all tables", *NAMES],
        [
            [f"variance={noise!r}: {what.split(' (')[0]}", *means(of_noise, i)]
            for noise, of_noise in found.items()
            for i, (what, _) in enumerate(METRICS)
        ],
        "Both ways of learning the noise; everything else as above.",
    )
    report.table(
        ["variance=None, average: by", *headers[1:]],
        [[what.split(" (")[0], *claims(found[None], i)[-1][1:]] for i, (what, _) in enumerate(METRICS)],
        "The claims with the prior in units of the noise.",
    )
    steps = [
        [title, ", ".join(f"{step:.2g}" + (" t^-½" if decay else "") for step, decay in r.steps)]
        for title, r in results.items()
    ]
    report.table(
        ["table", "SGD's step sizes, one a split"],
        steps,
        f"Chosen by the least summed squared one-step-ahead error over the training stream, in hindsight, from {len(STEPS)} steps "
        f"{STEPS[0]:g} to {STEPS[-1]:.2g}, constant or times t^-½; SGD's variance is the mean squared one-step-ahead error of the second "
        f"half of the stream.",
    )
    report.save()


if __name__ == "__main__":
    sys.exit(main())
