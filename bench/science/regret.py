"""Online logistic regression against the best batch fit: its regret grows like (d/2) log t.

`python bench/science/regret.py` runs many well-specified logistic streams through kfng and through a truncated filter after
J. de Vilmarest and O. Wintenberger, "Stochastic Online Optimization using Kalman Recursion", Journal of Machine Learning
Research 22 (2021) 1-55, arXiv 2002.03636, written out below, and compares the summed log-loss up to t with that of the
maximum-likelihood fit to the same t rows.

The truncation: the extended Kalman filter adds p(1 - p)·x x' to the precision, p the predicted probability; where p is
close to 0 or 1 that is almost nothing, P stays wide, and one surprise throws theta far off. The truncated filter adds
max(p(1 - p), t^-beta)·x x' with 0 < beta < 1/2 and leaves the rest as it is,

    P_t^-1 = P_{t-1}^-1 + max(p(1 - p), t^-beta)·x x',    theta_t = theta_{t-1} + P_t x (y - p);

t^-beta falls below p(1 - p) in the end, and from then on it is the extended Kalman filter. Of that paper the abstract was
at hand (the filter "slightly modified" in the logistic setting, no projection, a local phase that it reaches with high
probability), its algorithm was not: threshold and range of beta are written as we know them from the literature, unchecked
against the text, and the exponents are ours. Two are run, to show what hangs on them.
"""

import sys
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from report import Report, implementation, name, parser, pyplot

DIMENSION, ROWS, SEEDS = 10, 100_000, 20
BETAS = (0.49, 0.25)
FIT_FROM = 1000  # the slope is fitted to t >= FIT_FROM


@dataclass(frozen=True)
class Setting:
    title: str
    spread: float
    """Standard deviation of the true logits."""
    prior: float
    """All filters start at theta = 0, P = prior·I."""


MILD = Setting("mild", 1.5, 1.0)
HARD = Setting("hard: a prior that says nothing, labels that say more", 3.0, 100.0)


def loss(z: Any, y: Any) -> Any:
    """-log P(y|z)."""
    return np.logaddexp(0, z) - y * z


def stream(seed: int, rows: int, spread: float) -> tuple[np.ndarray, np.ndarray]:
    """Normal rows, theta in a random direction, labels drawn from the model itself."""
    rng = np.random.default_rng(seed)
    theta = rng.normal(size=DIMENSION)
    theta *= spread / np.linalg.norm(theta)
    U = rng.normal(size=(rows, DIMENSION))
    return U, (rng.random(rows) < 1 / (1 + np.exp(-(U @ theta)))).astype(float)


def grid(rows: int) -> np.ndarray:
    """t = 100, 200, 500, 1000, ... up to the number of rows."""
    steps = np.outer(10 ** np.arange(2, 12), (1, 2, 5)).ravel()
    return np.append(steps[steps < rows], rows)


def batch_loss(U: np.ndarray, Y: np.ndarray) -> float:
    """Least possible log-loss of one theta on all rows: Newton's method, the step halved while the loss rises."""
    theta = np.zeros(U.shape[1])
    value = np.sum(loss(U @ theta, Y))
    for _ in range(50):
        m = 1 / (1 + np.exp(-(U @ theta)))
        gradient, hessian = U.T @ (Y - m), (U.T * (m * (1 - m))) @ U
        step = np.linalg.lstsq(hessian, gradient, rcond=None)[0]
        while (new := np.sum(loss(U @ (theta + step), Y))) > value and np.max(np.abs(step)) > 1e-12:
            step = step / 2
        theta = theta + step
        if value - new < 1e-9:
            break
        value = new
    return float(min(value, new))


# -- the filters: losses of every row, predicted before it was used
def kalman(impl: ModuleType, U: np.ndarray, Y: np.ndarray, prior: float) -> tuple[np.ndarray, np.ndarray, int]:
    """Losses at the mean of theta, with theta integrated out, and how often a guard acted."""
    model, family = impl.Linear(U.shape[1], intercept=False), impl.Bernoulli()
    flt = impl.Filter(model, family, belief=impl.Full(prior))
    trace = flt.update_many(U, Y)
    acted = flt.health()
    return trace.nll_plugin, trace.nll, acted["clipped"] + acted["clamped"]


def literal(U: np.ndarray, Y: np.ndarray, prior: float, beta: float | None) -> np.ndarray:
    """Many streams at once: U (s, n, d), Y (s, n) -> losses (s, n) at theta before each row; beta None: the plain filter."""
    s, n, d = U.shape
    theta, P, losses = np.zeros((s, d)), np.tile(prior * np.eye(d), (s, 1, 1)), np.empty((s, n))
    for i in range(n):
        x, y = U[:, i], Y[:, i]
        z = np.einsum("sd,sd->s", theta, x)
        losses[:, i] = loss(z, y)
        m = 1 / (1 + np.exp(-np.clip(z, -700, 700)))
        information = m * (1 - m)
        if beta is not None:
            information = np.maximum(information, (i + 1.0) ** -beta)
        Px = np.einsum("sij,sj->si", P, x)
        q = np.einsum("sd,sd->s", x, Px)
        P -= np.einsum("s,si,sj->sij", information / (1 + information * q), Px, Px)
        theta += Px * ((y - m) / (1 + information * q))[:, None]
    return losses


# -- regret
@dataclass(frozen=True)
class Result:
    t: np.ndarray
    regret: dict[str, np.ndarray]
    """Name of the filter -> (seeds, len(t))."""
    guards: int

    def slope(self, filter_name: str, first: float, last: float = np.inf) -> tuple[float, float]:
        """Least-squares slope of regret against log t in a range of t: mean over seeds, standard error."""
        used = (self.t >= first) & (self.t <= last)
        slopes = np.polyfit(np.log(self.t[used]), self.regret[filter_name][:, used].T, 1)[0]
        return summary(slopes)


def summary(values: np.ndarray) -> tuple[float, float]:
    """Mean and its standard error."""
    return float(np.mean(values)), float(np.std(values, ddof=1) / np.sqrt(len(values)))


PLUGIN, BAYES, BARE = "kfng, at the mean", "kfng, θ integrated out", "no guards, at the mean"
TRUNCATED = {beta: f"truncated, β = {beta:g}" for beta in BETAS}


def run(impl: ModuleType, setting: Setting, seeds: int = SEEDS, rows: int = ROWS) -> Result:
    t, prior = grid(rows), setting.prior
    streams = [stream(seed, rows, setting.spread) for seed in range(seeds)]
    best = np.array([[batch_loss(U[:stop], Y[:stop]) for stop in t] for U, Y in streams])
    losses: dict[str, Any] = {PLUGIN: [], BAYES: []}
    acted = 0
    for U, Y in streams:
        plugin, bayes, count = kalman(impl, U, Y, prior)
        acted += count
        for of_filter, of_stream in zip(losses.values(), (plugin, bayes), strict=True):
            of_filter.append(of_stream)
    U, Y = (np.array(part) for part in zip(*streams, strict=True))
    losses[BARE] = literal(U, Y, prior, None)
    losses |= {title: literal(U, Y, prior, beta) for beta, title in TRUNCATED.items()}
    regret = {key: np.cumsum(np.array(found), axis=1)[:, t - 1] - best for key, found in losses.items()}
    return Result(t, regret, acted)


def plus_minus(values: tuple[float, float], digits: int = 2) -> str:
    return f"{values[0]:.{digits}f} ± {values[1]:.{digits}f}"


def draw(results: dict[Setting, Result], path: Any) -> None:
    plt = pyplot()
    figure, axes = plt.subplots(1, len(results), figsize=(13, 5), layout="constrained")
    for axis, (setting, result) in zip(axes, results.items(), strict=True):
        for key, values in result.regret.items():
            mean, error = np.mean(values, axis=0), np.std(values, axis=0, ddof=1) / np.sqrt(len(values))
            axis.errorbar(result.t, mean, error, label=key, capsize=2, lw=1)
        t = result.t[result.t >= FIT_FROM]
        if len(t):
            start = np.mean(result.regret[PLUGIN][:, -len(t)])
            axis.plot(t, start + DIMENSION / 2 * np.log(t / t[0]), "k--", lw=1, label="slope d/2")
        axis.set(xscale="log", xlabel="t", ylabel="regret against the best batch fit, nats", title=setting.title)
    axes[1].set_yscale("log")
    axes[0].legend()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def show(report: Report, impl: ModuleType, setting: Setting, result: Result, seeds: int, rows: int) -> None:
    names = list(result.regret)
    table = [
        [f"{t:,}", f"{DIMENSION / 2 * np.log(t):.1f}"]
        + [plus_minus(summary(result.regret[key][:, i]), 1) for key in names]
        for i, t in enumerate(result.t)
    ]
    report.table(
        ["t", "(d/2) log t", *names],
        table,
        f"{setting.title.capitalize()}. Regret in nats against the best batch fit to the same t rows, mean ± standard error of "
        f"{seeds} streams (NumPy seeds 0 to {seeds - 1}); d = {DIMENSION}, standard normal rows, true logits of sd {setting.spread:g}, labels "
        f"drawn from the model; all filters start at θ = 0, P = {setting.prior:g}·I; {name(impl)} with default guards, which acted on "
        f"{result.guards} of {seeds * rows:,} rows; no guards: the bare recursion in NumPy; truncated: the same with max(p(1 - p), t^-β) "
        f"for p(1 - p), after de Vilmarest and Wintenberger, JMLR 22 (2021), arXiv 2002.03636.",
    )
    ranges = [(10**i, 10 ** (i + 1)) for i in range(2, 11) if 10 ** (i + 1) <= rows]
    titles = [f"t from {low:,} to {high:,}" for low, high in ranges]
    if rows > FIT_FROM:
        ranges, titles = [*ranges, (FIT_FROM, rows)], [*titles, f"t from {FIT_FROM:,}"]
    report.table(
        ["slope of regret against log t", *titles],
        [[key, *(plus_minus(result.slope(key, *ends)) for ends in ranges)] for key in names],
        f"{setting.title.capitalize()}. Growth like log t is a slope that stays; theory: d/2 = {DIMENSION / 2:g}. Least squares on the t "
        f"of the table before, for each stream by itself; mean ± standard error over the streams.",
    )
    if rows > FIT_FROM:
        slope, error = result.slope(PLUGIN, FIT_FROM)
        off = abs(slope - DIMENSION / 2) / error
        report.text(
            f"{setting.title.capitalize()}: kfng's slope for t ≥ {FIT_FROM:,} is {off:.1f} standard errors from d/2: "
            + ("it agrees." if off < 2 else "it DIFFERS.")
        )


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--seeds", type=int, default=SEEDS)
    options.add_argument("--rows", type=int, default=ROWS)
    given = options.parse_args()
    impl, report = implementation(given.reference), Report("regret")
    results = {setting: run(impl, setting, given.seeds, given.rows) for setting in (MILD, HARD)}
    for setting, result in results.items():
        show(report, impl, setting, result, given.seeds, given.rows)
    draw(results, report.picture())
    report.save()
    print(f"Drawn in {report.picture().name}.")


if __name__ == "__main__":
    sys.exit(main())
