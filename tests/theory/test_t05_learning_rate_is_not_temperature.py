"""T5: a learning rate kappa times the metric rate multiplies the gain by kappa and leaves the metric's recursion alone.

It is no temperature: neither noise R·kappa nor R/kappa gives the same estimates, and no multiple of J^-1 is a posterior
covariance, so that none is reported. Source: arXiv 1703.00209.
"""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from theory.literal import Gaussian, error, judge, natural_gradient
from theory.streams import assert_quiet, stream

TOLERANCE = 1e-12
KAPPA = 0.4
NAMES = ["linear-gaussian", "linear-covariance_3", "linear-bernoulli", "external-gaussian", "external-poisson"]


@cache
def rows_of(name):
    rows = stream(name)
    return replace(rows, dt=np.ones(len(rows.U)))


RATES = {
    "numbers": (lambda impl: (0.015 * KAPPA, 0.015), lambda t: np.full(len(t), 0.015)),
    "schedules": (lambda impl: (impl.InverseTime(KAPPA, 1.0), impl.InverseTime(1, 1.0)), lambda t: 1 / (t + 1)),
}


def learn(impl, guards, rows, *rates):
    """theta_t and the metric's P_t."""
    flt = rows.filter(impl, guards, rule=impl.NaturalGradient(*rates))
    thetas, metrics = [], []
    for t in range(len(rows.U)):
        rows.feed(flt, t)
        thetas.append(flt.theta)
        metrics.append(flt._covariance())
    assert_quiet(flt)
    return np.array(thetas), np.array(metrics)


# each bites for all of NAMES
@pytest.mark.parametrize("literal", ["as it is", "gamma = eta", "step with J_{t-1}"])
@pytest.mark.parametrize("rates", RATES)
@pytest.mark.parametrize("name", NAMES)
def test_two_rates(impl, guards, name, rates, literal):
    rows, (setting, gammas) = rows_of(name), RATES[rates]
    theta, P = learn(impl, guards, rows, *setting(impl))
    gamma = gammas(np.arange(1.0, len(rows.U) + 1))
    eta = KAPPA * gamma
    metric = "old" if literal.startswith("step") else "new"
    theta_ng, P_ng = natural_gradient(rows, eta, gamma=eta if literal == "gamma = eta" else gamma, metric=metric)
    judge(error(theta, theta_ng), TOLERANCE, control=literal != "as it is")
    if metric == "new":
        judge(error(P, P_ng / eta[:, None, None]), TOLERANCE, control=literal != "as it is")


# both bite, with numbers and with schedules
@pytest.mark.parametrize("noise", ["R", "R kappa", "R/kappa"])
@pytest.mark.parametrize("rates", RATES)
def test_it_is_not_another_noise(impl, guards, rates, noise):
    """The gain is kappa times that of gamma = eta from the same state; a filter with another R has another metric."""
    rows, (setting, _) = rows_of("linear-gaussian"), RATES[rates]
    factor = {"R": 1.0, "R kappa": KAPPA, "R/kappa": 1 / KAPPA}[noise]
    eta, gamma = setting(impl)
    flt = rows.filter(impl, guards, rule=impl.NaturalGradient(eta, gamma))
    tempered = replace(rows, law=Gaussian(0.5 * factor), family=("Gaussian", {"variance": 0.5 * factor}))
    other = tempered.filter(impl, guards, rule=impl.NaturalGradient(gamma))
    differences, metrics, share = [], [], 1.0 if noise != "R" else KAPPA
    for t in range(len(rows.U)):
        state = other._state()
        other._set_state(state | {"theta": flt._state()["theta"]})
        before = flt.theta
        rows.feed(flt, t)
        rows.feed(other, t)
        differences.append((flt.theta - before, share * (other.theta - before)))
        metrics.append((flt._covariance(), other._covariance()))
    control = noise != "R"
    judge(error(*(np.array(part) for part in zip(*differences, strict=True))), TOLERANCE, control=control)
    judge(error(*(np.array(part) for part in zip(*metrics, strict=True))), TOLERANCE, control=control)


@pytest.mark.parametrize("name", ["gaussian", "bernoulli"])
def test_no_posterior_is_reported(impl, name):
    rows = rows_of(f"linear-{name}")
    flt = rows.filter(impl, rule=impl.NaturalGradient(0.1, 0.05))
    U = rows.U[:3]
    for _ in range(2):
        for argument, call in {
            "cov": flt.cov,
            "std": flt.std,
            "precision": flt.precision,
            "sample": lambda: flt.sample(2, 0),
            "return_std": lambda: flt.predict(U, return_std=True),
            "return_cov": lambda: flt.predict(U, return_cov=True),
            "predict_quantiles": lambda: flt.predict_quantiles(U, [0.5]),
            "evidence": lambda: flt.log_evidence,
        }.items():
            with pytest.raises(impl.UnsupportedError) as caught:
                call()
            assert caught.value.argument == argument
        assert np.isfinite(flt.predict(U)).all()
        rows.feed(flt, 0)
    with pytest.raises(impl.UnsupportedError) as caught:
        rows.filter(impl, rule=impl.NaturalGradient(0.1, 0.05), evidence=True)
    assert caught.value.argument == "evidence"


def test_a_step_speaks_of_the_noise_alone(impl):
    rows = rows_of("linear-gaussian")
    flt = rows.filter(impl, rule=impl.NaturalGradient(0.1, 0.05))
    for t in range(10):
        step = rows.feed(flt, t)
        assert step.std == np.sqrt(0.5)
        assert abs(step.nll - step.nll_plugin) <= 1e-14 * abs(step.nll)
