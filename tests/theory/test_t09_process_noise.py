"""T9: process noise Q is the natural gradient whose metric is transported before each row:

    J <- (J^-1 + Q/eta_{t-1})^-1,   then   J <- (1 - eta_t) J + eta_t F,  theta <- theta + eta_t J^-1 g,  eta_t = 1/(t + 1)

theta_t equal and P_t = eta_t J_t^-1. Only Q proportional to P collapses to a learning rate. Source: arXiv 1703.00209.
"""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from theory.literal import error, judge, learned_from
from theory.streams import NAMES, run, stream

TOLERANCE = 1e-12


def noises(p, size):
    """Q in its three forms, and as a matrix (p, p); the matrix is singular."""
    rng = np.random.default_rng(p)
    root, vector = rng.normal(size=(p, 2)), rng.uniform(0.0, 2.0, p)
    vector[0] = 0.0
    return {
        "number": (size, size * np.eye(p)),
        "vector": (size * vector, size * np.diag(vector)),
        "matrix": (size * root @ root.T, size * root @ root.T),
    }


def transported(rows, Q, every=1, dt_of="owed", metric="new"):
    """theta_t and eta_t J_t^-1 of the natural gradient with a transported metric."""
    theta, J, owed = rows.theta_0, np.linalg.inv(rows.prior), 0.0  # eta_0 = 1
    thetas, covariances = [], []
    for t in range(1, len(rows.U) + 1):
        eta_before, eta, owed = 1 / t, 1 / (t + 1), owed + (rows.dt[t - 1] if dt_of == "owed" else 1.0)
        if (t - 1) % every == 0:
            J, owed = np.linalg.inv(np.linalg.inv(J) + Q * owed / eta_before), 0.0
        g, F = learned_from(rows, t - 1, theta)
        J_old, J = J, (1 - eta) * J + eta * F
        theta = theta + eta * np.linalg.solve(J if metric == "new" else J_old, g)
        thetas.append(theta)
        covariances.append(eta * np.linalg.inv(J))
    return np.array(thetas), np.array(covariances)


@cache
def in_rule(impl, rows, guards, form, every):
    p = rows.model.p
    Q = noises(p, 0.01 * np.trace(rows.prior) / p)[form][0]
    return run(rows, impl, guards, impl.ProcessNoise(Q, every=every))


# each control bites for every family and model, and for every form of Q; isotropic noise of the same size for the last two
CONTROLS = ["as it is", "isotropic", "no transport", "rows for time", "step with J_{t-1}"]


@pytest.mark.parametrize("literal", CONTROLS)
@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize("form", ["number", "vector", "matrix"])
@pytest.mark.parametrize("name", NAMES)
def test_the_metric_is_transported(impl, guards, name, form, every, literal):
    rows = stream(name)
    p = rows.model.p
    theta, P = in_rule(impl, rows, guards, form, every)
    Q = noises(p, 0.01 * np.trace(rows.prior) / p)[form][1]
    if literal == "isotropic":
        if form == "number":
            return  # it is
        Q = np.trace(Q) / p * np.eye(p)
    settings = {"rows for time": {"dt_of": "rows"}, "step with J_{t-1}": {"metric": "old"}}.get(literal, {})
    theta_ng, P_ng = transported(rows, 0 * Q if literal == "no transport" else Q, every, **settings)
    judge(error(theta, theta_ng), TOLERANCE, control=literal != "as it is")
    if literal != "step with J_{t-1}":
        judge(error(P, P_ng), TOLERANCE, control=literal != "as it is")


@pytest.mark.parametrize("every", [1, 4])
def test_what_is_owed_is_added_before_the_row(impl, every):
    """Silence: P grows by Q times the time, at every so many rows, the first included; prediction sees it."""
    rows = stream("linear-gaussian")
    Q = 0.3
    flt = rows.filter(impl, rule=impl.ProcessNoise(Q, every=every))
    since, added = 0.0, 0.0
    for t in range(12):
        step = flt.update(rows.U[t], np.nan, dt=rows.dt[t])
        since += rows.dt[t]
        if t % every == 0:
            added, since = added + since, 0.0
        P = rows.prior + Q * added * np.eye(len(rows.prior))
        h = np.append(rows.U[t], 1.0)
        assert error(flt.cov(), P) <= TOLERANCE
        assert error(step.std, np.sqrt(0.5 + h @ P @ h)) <= TOLERANCE
        assert abs(flt._state()["clock"][2] - since) <= 1e-12
    twin = flt.copy()
    for t in range(12, 20):
        rows.feed(flt, t)
        rows.feed(twin, t)
    assert np.array_equal(flt.cov(), twin.cov())


def test_noise_proportional_to_P_is_a_learning_rate(impl):
    """One step of Q = lam/(1-lam) P is a step of Fading(lam); the control is another Q of the same trace."""
    rows, lam = stream("linear-covariance_3"), 0.2
    rows = replace(rows, dt=np.ones(len(rows.U)))
    Q = lam / (1 - lam) * rows.prior
    other = rows.filter(impl, rule=impl.Fading(lam))
    rows.feed(other, 0)
    for noise, control in ((Q, False), (np.trace(Q) / len(Q), True)):
        flt = rows.filter(impl, rule=impl.ProcessNoise(noise))
        rows.feed(flt, 0)
        judge(error(flt.cov(), other.cov()), TOLERANCE, control=control)
        judge(error(flt.theta, other.theta), TOLERANCE, control=control)


@pytest.mark.parametrize(
    ("make", "kind", "argument"),
    [
        (lambda impl: impl.ProcessNoise(-1.0), "ParameterError", "Q"),
        (lambda impl: impl.ProcessNoise([1.0, -1.0]), "ParameterError", "Q"),
        (lambda impl: impl.ProcessNoise(np.nan), "NonFiniteError", "Q"),
        (lambda impl: impl.ProcessNoise(None), "DtypeError", "Q"),
        (lambda impl: impl.ProcessNoise(np.ones((2, 3))), "ShapeError", "Q"),
        (lambda impl: impl.ProcessNoise([[1.0, 2.0], [2.0, 1.0]]), "NotPositiveDefiniteError", "Q"),
        (lambda impl: impl.ProcessNoise([[1.0, 0.5], [0.4, 1.0]]), "NotPositiveDefiniteError", "Q"),
        (lambda impl: impl.ProcessNoise([[0.0, 0.5], [0.5, 1.0]]), "NotPositiveDefiniteError", "Q"),
        (lambda impl: impl.ProcessNoise(1.0, every=0), "ParameterError", "every"),
        (
            lambda impl: impl.Filter(impl.Linear(2), impl.Gaussian(), rule=impl.ProcessNoise([1.0, 1.0])),
            "ShapeError",
            "Q",
        ),
    ],
)
def test_settings_out_of_range(impl, make, kind, argument):
    with pytest.raises(getattr(impl, kind)) as caught:
        make(impl)
    assert caught.value.argument == argument


def test_settings_at_their_ends(impl):
    for Q in (0, np.zeros(3), np.zeros((3, 3)), 1e-300, np.ones((3, 3)), 1e-8 * np.diag([1.0, 0.0, 1e-12])):
        rule = impl.ProcessNoise(Q)
        assert eval(repr(rule), vars(impl)) == rule
        assert type(rule)._from_spec(*rule._split()) == rule
        impl.Filter(impl.Linear(2), impl.Gaussian(None), rule=rule).update([1.0, 2.0], 1.0)
