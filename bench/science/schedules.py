"""The learning rate of a natural gradient is the forgetting of a Kalman filter: four schedules, run as both.

`python bench/science/schedules.py` runs each schedule three times over the same stream: as `NaturalGradient(eta_t)`, as
the Kalman filter that forgets lam_t = 1 + eta_{t-1} - eta_{t-1}/eta_t before its t-th row (`Fading`, the time between
rows varied), and as the extended Kalman filter of the textbook, written out below on complex-step Jacobians. theta_t and
the posterior covariance must agree to 1e-12 at every row, or the script fails. Source: arXiv 1703.00209.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from report import Report, implementation, name, parser, pyplot

TOLERANCE = 1e-12
SEED, ROWS = 0, 600
UNIT = 0.01  # forgetting of a `Fading` filter in a time 1; each row's dt makes lam_t of it


# -- the streams: a model in kfng, and the same output written as one function of theta (..., p)
@dataclass(frozen=True)
class Problem:
    title: str
    model: Callable[[ModuleType], Any]
    family: Callable[[ModuleType], Any]
    output: Callable[[np.ndarray, np.ndarray], Any]
    mean: Callable[[float], tuple[float, float, float]]  # z -> mean, its derivative, variance of y
    U: np.ndarray
    Y: np.ndarray
    theta: np.ndarray
    prior: float
    """P_0 = prior·I."""


def linear(theta: np.ndarray, u: np.ndarray) -> Any:
    return theta[..., :-1] @ u + theta[..., -1]


def network(theta: np.ndarray, u: np.ndarray, units: int = 2) -> Any:
    split = units * len(u)
    weights, biases = theta[..., :split].reshape(*theta.shape[:-1], units, len(u)), theta[..., split : split + units]
    return np.sum(theta[..., split + units : -1] * np.tanh(weights @ u + biases), axis=-1) + theta[..., -1]


def problems(rows: int = ROWS) -> list[Problem]:
    """Both truths turn slowly: a filter that forgets has something to follow.

    Both excite all of theta. In a network with units to spare, forgetting leaves directions that nothing determines, and
    they amplify the rounding of either form.
    """
    rng = np.random.default_rng(SEED)
    U, turn = rng.normal(size=(rows, 2)), 2 * np.pi * np.arange(rows) / rows
    logit = np.cos(turn) * U[:, 0] + np.sin(turn) * U[:, 1] - 0.5
    clicks = (rng.random(rows) < 1 / (1 + np.exp(-logit))).astype(float)
    levels = np.tanh(1.5 * U[:, 0] + np.sin(turn)) - np.tanh(U[:, 1] + np.cos(turn)) + 0.3 * rng.normal(size=rows)
    start = rng.normal(size=9) / np.sqrt(2)
    return [
        Problem(
            "logistic, p = 3",
            lambda impl: impl.Linear(2),
            lambda impl: impl.Bernoulli(),
            linear,
            lambda z: (1 / (1 + np.exp(-z)), 1 / (2 + np.exp(z) + np.exp(-z)), 1 / (2 + np.exp(z) + np.exp(-z))),
            U,
            clicks,
            np.zeros(3),
            1.0,
        ),
        Problem(
            "network of 2 tanh units, p = 9",
            lambda impl: impl.MLP([2, 2, 1]),
            lambda impl: impl.Gaussian(0.25),
            network,
            lambda z: (z, 1.0, 0.25),
            U,
            levels,
            start,
            0.5,
        ),
    ]


# -- the schedules
@dataclass(frozen=True)
class Schedule:
    title: str
    rate: Any  # what NaturalGradient is given
    eta: np.ndarray  # eta_0 ... eta_n
    lam: np.ndarray  # lam_1 ... lam_n


def schedules(impl: ModuleType, rows: int = ROWS) -> list[Schedule]:
    t = np.arange(rows + 1)
    waves = 0.04 * np.sin(np.pi * t[1:] / 100) ** 2
    from_waves = np.concatenate([[1.0], impl.forgetting_to_learning_rate(waves, 1.0)])
    given = [
        ("η = 0.02", 0.02, np.full(rows + 1, 0.02)),
        ("c/(t + c), c = 2", impl.InverseTime(2, 2), 2 / (t + 2)),
        ("(t + 1)^-0.75", impl.Power(1, 0.75), (t + 1.0) ** -0.75),
        ("from λ = 0.04 sin²(πt/100)", lambda t: from_waves[t], from_waves),
    ]
    return [Schedule(title, rate, eta, impl.learning_rate_to_forgetting(eta[1:], eta[0])) for title, rate, eta in given]


# -- the three filters, each row's theta and posterior covariance
Path = tuple[np.ndarray, np.ndarray]


def _path(steps: Iterator[tuple[np.ndarray, np.ndarray]]) -> Path:
    theta, cov = zip(*steps, strict=True)
    return np.array(theta), np.array(cov)


def _filter(impl: ModuleType, problem: Problem, prior: float, rule: Any) -> Any:
    belief, guards = impl.Full(prior), impl.Guards.none()
    start = {"belief": belief, "rule": rule, "guards": guards, "theta": problem.theta}
    return impl.Filter(problem.model(impl), problem.family(impl), **start)


def natural_gradient(impl: ModuleType, problem: Problem, schedule: Schedule) -> Path:
    """NaturalGradient(eta_t), from J_0 = eta_0/P_0."""
    flt = _filter(impl, problem, problem.prior / schedule.eta[0], impl.NaturalGradient(schedule.rate))

    def steps():
        for u, y in zip(problem.U, problem.Y, strict=True):
            flt.update(u, y)
            yield flt.theta, flt.cov()

    return _path(steps())


def fading(impl: ModuleType, problem: Problem, schedule: Schedule) -> Path:
    """Fading: the time before row t is the one in which lam_t is forgotten."""
    flt = _filter(impl, problem, problem.prior, impl.Fading(UNIT))

    def steps():
        for u, y, dt in zip(problem.U, problem.Y, np.log1p(-schedule.lam) / np.log1p(-UNIT), strict=True):
            flt.update(u, y, dt=dt)
            yield flt.theta, flt.cov()

    return _path(steps())


def textbook(problem: Problem, lam: np.ndarray) -> Path:
    """The extended Kalman filter with process noise lam/(1 - lam)·P, in the units of y."""

    def steps():
        theta, P = problem.theta.copy(), problem.prior * np.eye(len(problem.theta))
        nudge = 1e-30j * np.eye(len(theta))
        for u, y, forgotten in zip(problem.U, problem.Y, lam, strict=True):
            P = P + forgotten / (1 - forgotten) * P
            dz = problem.output(theta + nudge, u).imag / 1e-30
            mean, slope, noise = problem.mean(problem.output(theta, u))
            h = slope * dz
            gain = P @ h / (h @ P @ h + noise)
            theta = theta + gain * (y - mean)
            P = P - np.outer(gain, h @ P)
            yield theta, P

    return _path(steps())


def difference(a: Path, b: Path) -> float:
    """Largest over the stream, of theta and of the covariance, each relative to the largest entry of that row's."""

    def worst(x, y):
        x, y = x.reshape(len(x), -1), y.reshape(len(y), -1)
        return np.max(np.max(np.abs(x - y), axis=1) / np.max(np.abs(x), axis=1))

    return float(max(worst(x, y) for x, y in zip(a, b, strict=True)))


@dataclass(frozen=True)
class Result:
    problem: Problem
    schedule: Schedule
    gradient: Path
    kalman: Path
    to_fading: float
    to_textbook: float
    control: float


def compare(impl: ModuleType, rows: int = ROWS) -> list[Result]:
    """Every schedule on every stream; the control forgets lam_t one row late."""
    results = []
    for problem in problems(rows):
        for schedule in schedules(impl, rows):
            gradient = natural_gradient(impl, problem, schedule)
            kalman = fading(impl, problem, schedule)
            literal = textbook(problem, schedule.lam)
            late = textbook(problem, np.concatenate([[0.0], schedule.lam[:-1]]))
            distances = (difference(gradient, other) for other in (kalman, literal, late))
            results.append(Result(problem, schedule, gradient, kalman, *distances))
    return results


def check(results: list[Result]) -> None:
    """Equal to 1e-12 throughout, and the control is a thousand times farther off."""
    for r in results:
        where = f"{r.schedule.title}, {r.problem.title}"
        assert r.to_fading < TOLERANCE, f"{where}: Fading is off by {r.to_fading:.1e}"
        assert r.to_textbook < TOLERANCE, f"{where}: the textbook's filter is off by {r.to_textbook:.1e}"
        assert r.control > 1000 * TOLERANCE, f"{where}: the control is off by {r.control:.1e} only"


def refused(impl: ModuleType) -> list[tuple[str, str]]:
    """Schedules that are no Kalman filter, and what kfng says."""
    t, found = np.arange(1, 11), []
    for title, eta in (("c/(t + c), c = 0.5", 0.5 / (t + 0.5)), ("c/t from η_0 = 1, c = 1", 1 / t)):
        try:
            impl.learning_rate_to_forgetting(eta, 1.0)
        except ValueError as error:
            found.append((title, str(error)))
    return found


# -- what is shown
def draw(results: list[Result], path: Any) -> None:
    plt = pyplot()
    shown = [r for r in results if r.problem is results[0].problem]
    figure, axes = plt.subplots(3, len(shown), figsize=(14, 9), sharex=True, layout="constrained")
    for column, r in zip(axes.T, shown, strict=True):
        t = np.arange(1, len(r.schedule.lam) + 1)
        column[0].set_title(r.schedule.title)
        column[0].semilogy(t, r.schedule.eta[1:], label="learning rate η")
        column[0].semilogy(t, np.maximum(r.schedule.lam, 1e-18), "--", label="forgetting λ")
        column[0].set_ylim(5e-4, 1)
        for i in range(r.gradient[0].shape[1]):
            column[1].plot(t, r.gradient[0][:, i], color=f"C{i}", lw=1)
            column[1].plot(t[::12], r.kalman[0][::12, i], "o", color=f"C{i}", ms=3, mfc="none")
        column[2].semilogy(t, np.maximum(np.max(np.abs(r.gradient[0] - r.kalman[0]), axis=1), 1e-18), "k.", ms=2)
        column[2].set_ylim(1e-18, 1e-11)
        column[2].axhline(TOLERANCE, color="r", lw=1)
        column[2].set_xlabel("t")
    axes[0, 0].legend()
    axes[1, 0].set_ylabel("θ: natural gradient (lines),\nKalman (rings)")
    axes[2, 0].set_ylabel("|difference|; red: 1e-12")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    options = parser(__doc__).parse_args()
    impl, report = implementation(options.reference), Report("schedules")
    results = compare(impl)
    rows = [
        [r.schedule.title, r.problem.title, f"{r.to_fading:.1e}", f"{r.to_textbook:.1e}", f"{r.control:.1e}"]
        for r in results
    ]
    report.table(
        ["schedule η_t", "stream", "Fading(λ_t)", "textbook EKF", "control: λ one row late"],
        rows,
        f"Learning rate = forgetting: largest difference from NaturalGradient(η_t) over {ROWS} rows, of θ_t and of the "
        f"posterior covariance η_t J_t^-1, relative to the largest entry of the row's; P_0 = {' and '.join(f'{p.prior:g}' for p in problems())}·I, J_0 = η_0/P_0, "
        f"η_0 the schedule at t = 0 (1 for the last), guards off; simulated streams whose truth turns once, NumPy seed {SEED}; "
        f"{name(impl)}, float64.",
    )
    report.table(["no Kalman filter", "what kfng says"], refused(impl), "Schedules that are refused.")
    draw(results, report.picture())
    report.save()
    check(results)
    print(f"All equal to {TOLERANCE:g}. Drawn in {report.picture().name}.")


if __name__ == "__main__":
    sys.exit(main())
