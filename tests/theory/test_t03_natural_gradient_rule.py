"""T2, T3 from the other side: the rule NaturalGradient is the natural gradient, and a Kalman filter where gamma = eta.

    J <- (1 - gamma_t) J + gamma_t F,  theta <- theta + eta_t J^-1 g          t counts the rows that learned

With gamma = eta: gamma_t J_t^-1 is the posterior covariance, gamma_0 J_0^-1 before the first row, and
gamma_t/(1 - gamma_t) J_{t-1}^-1 is what row t is predicted from. The same numbers come from Fading with
lam_t = 1 + eta_{t-1} - eta_{t-1}/eta_t. Source: arXiv 1703.00209.
"""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from theory.literal import error, judge, natural_gradient
from theory.streams import NAMES, run, stream

TOLERANCE = 1e-12
KNOWN = [name for name in NAMES if "learned" not in name]
LAM = 0.015


def late(t):
    """A schedule of the user's own."""
    return 0.1 / (1 + 0.05 * t)


# name: (setting, eta_t for t = 0, 1, ...)
SCHEDULES = {
    "1/(t + 1)": (lambda impl: impl.InverseTime(1, 1), lambda t: 1 / (t + 1)),
    "c/(t + c), c = 1.5": (lambda impl: impl.InverseTime(1.5, 1.5), lambda t: 1.5 / (t + 1.5)),
    "(t + 1)^-0.8": (lambda impl: impl.Power(1, 0.8), lambda t: (t + 1) ** -0.8),
    "number": (lambda impl: 0.015, lambda t: np.full(len(t), 0.015)),
    "callable": (lambda impl: late, lambda t: np.where(t > 0, late(t), late(1) / (1 - late(1)))),
}


MILD = ("1/(t + 1)", "number")  # the others forget so much at first that the wind-up guard acts
GUARDED = [("no_guards", name) for name in SCHEDULES] + [("default_guards", name) for name in MILD]


@cache
def rows_of(name):
    """A row is a step: dt = 1."""
    rows = stream(name)
    return replace(rows, dt=np.ones(len(rows.U)))


def etas(schedule, n):
    return SCHEDULES[schedule][1](np.arange(n + 1.0))


@cache
def in_rule(impl, rows, guards, schedule):
    """theta_t and posterior covariances of the rule; its belief is J_0^-1 = P_0/eta_0."""
    eta_0 = etas(schedule, len(rows.U))[0]
    rule = impl.NaturalGradient(SCHEDULES[schedule][0](impl))
    return run(replace_prior(rows, eta_0), impl, guards, rule)


@cache
def replace_prior(rows, eta_0):
    return replace(rows, prior=rows.prior / eta_0)


# each control bites for every family, model and schedule
LITERAL = {
    "as it is": {},
    "step with J_{t-1}": {"metric": "old"},
    "observed g g' for the Fisher matrix": {"fisher": "observed"},
    "gamma_t = 0.9 eta_t": {},
}


@pytest.mark.parametrize("literal", LITERAL)
@pytest.mark.parametrize(("guards", "schedule"), GUARDED)
@pytest.mark.parametrize("name", KNOWN)
def test_the_rule_is_the_natural_gradient(impl, guards, name, schedule, literal):
    rows = rows_of(name)
    theta, P = in_rule(impl, rows, guards, schedule)
    eta = etas(schedule, len(rows.U))
    gamma = eta[1:] * (0.9 if literal.startswith("gamma") else 1.0)
    theta_ng, P_ng = natural_gradient(rows, eta[1:], eta[0], gamma=gamma, **LITERAL[literal])
    judge(error(theta, theta_ng), TOLERANCE, control=literal != "as it is")
    if literal != "step with J_{t-1}":
        judge(error(P, P_ng), TOLERANCE, control=literal != "as it is")


def fading(impl, rows, guards, schedule, **settings):
    """The Kalman filter of a schedule: time steps in which Fading(LAM) forgets lam_t."""
    eta = etas(schedule, len(rows.U))
    lam = impl.learning_rate_to_forgetting(eta[1:], eta[0])
    return replace(rows, dt=np.log1p(-lam) / np.log1p(-LAM)).filter(impl, guards, rule=impl.Fading(LAM)), lam


# bites for all: the posterior before the row, no time passed, in the place of the covariance it is predicted from
@pytest.mark.parametrize("predicted_from", ["gamma_t/(1 - gamma_t) J^-1", "gamma_{t-1} J^-1"])
@pytest.mark.parametrize(("guards", "schedule"), [both for both in GUARDED if both[1] != "1/(t + 1)"])
@pytest.mark.parametrize("name", ["linear-gaussian", "linear-covariance_3", "linear-bernoulli", "linear-poisson"])
def test_predictions_are_those_of_the_kalman_filter(impl, guards, name, schedule, predicted_from):
    rows = rows_of(name)
    eta_0 = etas(schedule, len(rows.U))[0]
    flt = replace_prior(rows, eta_0).filter(impl, guards, rule=impl.NaturalGradient(SCHEDULES[schedule][0](impl)))
    other, lam = fading(impl, rows, guards, schedule)
    steps, control = [], predicted_from != "gamma_t/(1 - gamma_t) J^-1"
    for t, forgotten in enumerate(lam):
        before = flt.predict(rows.U[t][None], return_std=True, include_noise=False, offset=rows.offset[t])[1][0]
        mine = rows.feed(flt, t)
        y = rows.Y[t] if rows.Y.shape[1] > 1 else float(rows.Y[t, 0])
        theirs = other.update(
            rows.U[t], y, weight=rows.weight[t], dt=np.log1p(-forgotten) / np.log1p(-LAM), offset=rows.offset[t]
        )
        noise = np.sqrt(np.maximum(np.square(theirs.std) - np.square(before) / (1 - forgotten), 0))
        steps.append((np.hypot(before, noise) if control else mine.std, theirs.std))
    got, exact = (np.array(part) for part in zip(*steps, strict=True))
    judge(error(got, exact), TOLERANCE, control=control)
    assert error(flt.cov(), other.cov()) <= TOLERANCE
    assert error(flt.std(), other.std()) <= TOLERANCE
    assert error(flt.precision(), other.precision()) <= 1e-11
    assert error(flt.sample(5, 0), other.sample(5, 0)) <= TOLERANCE
    U = rows.U[:4]
    assert error(flt.predict(U, return_std=True)[1], other.predict(U, return_std=True)[1]) <= TOLERANCE


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_before_the_first_row(impl, schedule):
    rows = rows_of("linear-gaussian")
    eta_0 = etas(schedule, 1)[0]
    flt = replace_prior(rows, eta_0).filter(impl, rule=impl.NaturalGradient(SCHEDULES[schedule][0](impl)))
    assert error(flt.cov(), rows.prior) <= TOLERANCE


@pytest.mark.parametrize("schedule", ["number", "(t + 1)^-0.8"])
def test_rows_that_do_not_learn_change_nothing(impl, schedule):
    rows = rows_of("linear-bernoulli")
    rule = impl.NaturalGradient(SCHEDULES[schedule][0](impl))
    flt, plain = (rows.filter(impl, rule=rule) for _ in range(2))
    for t, u in enumerate(rows.U):
        before = flt._state()
        flt.update(u, np.nan, dt=0)
        flt.update(u, 1.0, weight=0)
        flt.update(np.full(len(u), np.nan), np.nan)
        assert all(
            np.array_equal(before[key], array) for key, array in flt._state().items() if key in ("theta", "P", "U", "D")
        )
        rows.feed(flt, t)
        rows.feed(plain, t)
    assert np.array_equal(flt.theta, plain.theta)
    assert np.array_equal(flt.cov(), plain.cov())
    assert flt.n_updates == plain.n_updates == len(rows.U)


@pytest.mark.parametrize("gamma", [0.1, 0.6, 0.97])
def test_the_wind_up_guard_is_that_of_fading(impl, gamma):
    """A silent column: no posterior variance passes four times its prior, and theta, P, counter are Fading's."""
    rows = rows_of("linear-gaussian")
    U = rows.U.copy()
    U[:, 0] = 0.0
    rows = replace(rows, U=U)
    flt = replace_prior(rows, gamma).filter(impl, "default", rule=impl.NaturalGradient(gamma))
    free = replace_prior(rows, gamma).filter(impl, "no_guards", rule=impl.NaturalGradient(gamma))
    other = rows.filter(impl, "default", rule=impl.Fading(gamma))
    for t in 4 * list(range(len(rows.U))):
        for filter in (flt, free, other):
            rows.feed(filter, t)
        assert (np.diagonal(flt.cov()) <= 4 * np.diagonal(rows.prior)).all()
        assert error(flt.theta, other.theta) <= 1e-10
        assert error(flt.cov(), other.cov()) <= 1e-10
    assert flt.health()["windup"] == other.health()["windup"] > 0
    assert np.max(np.diagonal(free.cov()) / np.diagonal(rows.prior)) > 4


# -- conversions
def test_round_trip(impl):
    lam = np.random.default_rng(0).uniform(0, 0.4, 200)
    for eta_0 in (0.01, 0.4, 1.0, 30.0):
        eta = impl.forgetting_to_learning_rate(lam, eta_0)
        assert error(impl.learning_rate_to_forgetting(eta, eta_0), lam) <= TOLERANCE
        again = impl.forgetting_to_learning_rate(impl.learning_rate_to_forgetting(eta, eta_0), eta_0)
        assert error(again, eta) <= TOLERANCE
        judge(error(impl.learning_rate_to_forgetting(eta, 1.1 * eta_0), lam), TOLERANCE, control=True)


def test_without_forgetting_each_row_counts_one(impl):
    t = np.arange(1.0, 100)
    for eta_0 in (0.25, 1.0, 4.0):
        assert error(impl.forgetting_to_learning_rate(0 * t, eta_0), 1 / (t + 1 / eta_0)) <= TOLERANCE
        assert np.all(impl.learning_rate_to_forgetting(1 / (t + 1 / eta_0), eta_0) <= 1e-14)


@pytest.mark.parametrize(
    ("eta", "eta_0", "t", "why"),
    [
        (lambda t: 1 / t, 1.0, 1, "forgets everything"),
        (lambda t: 0.5 / (t + 0.5), 1.0, 1, "unforget"),
        (lambda t: np.where(t < 7, 0.1, 0.01), 0.1, 7, "unforget"),
        (lambda t: 0.1 * t, 0.1, 10, "forgets everything"),
    ],
    ids=["c/t", "c/(t + c), c < 1", "a drop", "rises to 1"],
)
def test_a_refused_schedule_is_explained(impl, eta, eta_0, t, why):
    with pytest.raises(impl.ParameterError, match=f"at t = {t}: no Kalman filter") as caught:
        impl.learning_rate_to_forgetting(eta(np.arange(1.0, 20)), eta_0)
    assert caught.value.argument == "learning_rate"
    assert why in str(caught.value)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ("call", "arguments", "argument"),
    [
        ("forgetting_to_learning_rate", ([0.1, 1.0], 1.0), "forgetting"),
        ("forgetting_to_learning_rate", ([-0.1], 1.0), "forgetting"),
        ("forgetting_to_learning_rate", ([0.1], 0.0), "initial"),
        ("forgetting_to_learning_rate", ([[0.1]], 1.0), "forgetting"),
        ("forgetting_to_learning_rate", ([np.nan], 1.0), "forgetting"),
        ("learning_rate_to_forgetting", ([0.1, 0.0], 0.1), "learning_rate"),
        ("learning_rate_to_forgetting", ([0.1], -1), "initial"),
        ("learning_rate_to_forgetting", ("1", 1.0), "learning_rate"),
    ],
)
def test_arguments_of_the_conversions(impl, call, arguments, argument):
    with pytest.raises(impl.KfngError) as caught:
        getattr(impl, call)(*arguments)
    assert caught.value.argument == argument


# -- settings
@pytest.mark.parametrize(
    ("make", "argument"),
    [
        (lambda impl: impl.NaturalGradient(1.0), "learning_rate"),
        (lambda impl: impl.NaturalGradient(0), "learning_rate"),
        (lambda impl: impl.NaturalGradient("0.1"), "learning_rate"),
        (lambda impl: impl.NaturalGradient(impl.Power), "learning_rate"),
        (lambda impl: impl.NaturalGradient(0.1, 1.0), "metric_rate"),
        (lambda impl: impl.NaturalGradient(0.1, -0.1), "metric_rate"),
        (lambda impl: impl.NaturalGradient(-0.1, 0.1), "learning_rate"),
        (lambda impl: impl.NaturalGradient(impl.InverseTime(2, 1)), "learning_rate"),
        (lambda impl: impl.NaturalGradient(0.1, impl.Power(2, 1)), "metric_rate"),
        (lambda impl: impl.NaturalGradient(0.1, impl.InverseTime(0.5, 0)), "offset"),
        (lambda impl: impl.InverseTime(0, 1), "scale"),
        (lambda impl: impl.InverseTime(1, -1), "offset"),
        (lambda impl: impl.Power(1, -0.5), "exponent"),
    ],
)
def test_rates_out_of_range(impl, make, argument):
    with pytest.raises(impl.ParameterError) as caught:
        make(impl)
    assert caught.value.argument == argument


def test_rates_at_their_ends(impl):
    impl.NaturalGradient(2.0, 0.0)  # a fixed metric
    impl.NaturalGradient(impl.InverseTime(1, 0), 0.5)
    assert impl.NaturalGradient(0.1, 0.1).has_posterior
    assert impl.NaturalGradient(impl.Power(1, 1), impl.Power(1, 1)).has_posterior
    assert not impl.NaturalGradient(0.1, 0.2).has_posterior


def test_a_schedule_that_leaves_its_range(impl):
    """At the row that meets it: the rows before it stay applied, the state is as they left it, skipping does not help."""
    rows = rows_of("linear-gaussian")
    rule = impl.NaturalGradient(lambda t: 0.1 if t < 5 else 1.5)
    for on_bad_row in ("raise", "skip"):
        flt, plain = rows.filter(impl, rule=rule), rows.filter(impl, rule=rule)
        with pytest.raises(impl.ParameterError, match="at t = 5") as caught:
            flt.update_many(rows.U, rows.Y[:, 0], on_bad_row=on_bad_row)
        assert (caught.value.argument, caught.value.row, len(caught.value.trace)) == ("learning_rate", 4, 4)
        plain.update_many(rows.U[:4], rows.Y[:4, 0])
        state = flt._state()
        assert all(np.array_equal(state[key], array) for key, array in plain._state().items())


@pytest.mark.parametrize("dt", [0.5, 2.0, 1e-300])
def test_time_is_rows(impl, dt):
    flt = rows_of("linear-gaussian").filter(impl, rule=impl.NaturalGradient(0.1))
    for call in (
        lambda: flt.update(np.ones(3), 1.0, dt=dt),
        lambda: flt.update_many(np.ones((2, 3)), [1.0, 1.0], dt=dt),
    ):
        with pytest.raises(impl.ParameterError) as caught:
            call()
        assert caught.value.argument == "dt"


def test_what_does_not_go_with_it(impl):
    for family in (impl.Gaussian(None), impl.Gaussian(None, prior_dof=5)):
        with pytest.raises(impl.UnsupportedError):
            impl.Filter(impl.Linear(2), family, rule=impl.NaturalGradient(0.1))
    flt = impl.Filter(impl.Linear(2), impl.Gaussian(), rule=impl.NaturalGradient(late))
    with pytest.raises(impl.UnsupportedError, match="callable"):
        flt.spec()
    twin = flt.copy()  # memory alone needs no file
    assert twin.update([1.0, 2.0], 1.0).prediction == flt.update([1.0, 2.0], 1.0).prediction


def test_written_and_read(impl):
    for rule in (
        impl.NaturalGradient(impl.InverseTime(1, 2), impl.Power(0.5, 0.6)),
        impl.NaturalGradient(0.25),
        impl.NaturalGradient(0.5, metric_rate=0.1),
    ):
        assert type(rule)._from_spec(rule.spec(), {}) == rule
        assert eval(repr(rule), vars(impl)) == rule
