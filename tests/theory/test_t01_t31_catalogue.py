"""T1, T5, T7, T9, T11, T30 and T31 for every family, linear and with a network; T2, T3 and T10 have theirs.

Each is stated, with its source, in the file of its number, whose literal form is used here; the laws are those of laws.py.
"""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from theory import test_t05_learning_rate_is_not_temperature as t05
from theory import test_t07_regulariser as t07
from theory import test_t09_process_noise as t09
from theory import test_t31_diagonal as t31
from theory.laws import CATALOGUE, stream
from theory.literal import error, judge, learned_from, natural_gradient
from theory.streams import assert_quiet, run

TOLERANCE = 1e-12
LAM = 0.01


@pytest.fixture(params=CATALOGUE)
def rows(request):
    return stream(request.param)


def assert_path(got, exact, control):
    """theta_t and P_t are those of the textbook; a control fails in both."""
    for a, b in zip(got, exact, strict=True):
        judge(error(a, b), TOLERANCE, control=control)


# each control bites for every law and model
@pytest.mark.parametrize("literal", ["as it is", "observed g g', old P", "Fisher matrix subtracted"])
def test_t1_what_a_row_teaches(impl, guards, rows, literal):
    theta, P = run(rows, impl, guards, impl.Kalman())
    theta, P = np.concatenate([rows.theta_0[None], theta]), np.concatenate([rows.prior[None], P])
    for t in range(6):
        g, F = learned_from(rows, t, theta[t])
        before, after = np.linalg.inv(P[t]), np.linalg.inv(P[t + 1])
        claimed = {"as it is": F, "Fisher matrix subtracted": -F}.get(literal, np.outer(g, g))
        judge(np.max(np.abs(after - before - claimed)) / np.max(after), TOLERANCE, control=literal != "as it is")
        if literal != "Fisher matrix subtracted":
            step = P[t + 1 if literal == "as it is" else t] @ g
            judge(error(theta[t + 1], theta[t] + step), TOLERANCE, control=literal != "as it is")


@pytest.mark.parametrize("literal", ["as it is", "gamma = eta", "step with J_{t-1}"])
@pytest.mark.parametrize("rates", t05.RATES)
def test_t5_two_rates(impl, guards, rows, rates, literal):
    rows, (setting, gammas) = with_time(rows), t05.RATES[rates]
    gamma = gammas(np.arange(1.0, len(rows.U) + 1))
    eta = t05.KAPPA * gamma
    theta, P = t05.learn(impl, guards, rows, *setting(impl))
    metric = "old" if literal.startswith("step") else "new"
    theta_ng, P_ng = natural_gradient(rows, eta, gamma=eta if literal == "gamma = eta" else gamma, metric=metric)
    judge(error(theta, theta_ng), TOLERANCE, control=literal != "as it is")
    if metric == "new":
        judge(error(P, P_ng / eta[:, None, None]), TOLERANCE, control=literal != "as it is")


@cache
def with_time(rows):
    """The same rows with a time step of 1."""
    return replace(rows, dt=np.ones(len(rows.U)))


@pytest.mark.parametrize("regulariser", t07.REGULARISERS)
def test_t7_the_regulariser_decays(impl, guards, rows, regulariser):
    exact = t07.regularised(rows, regulariser)
    assert_path(run(rows, impl, guards, impl.Kalman()), exact, regulariser != "J_0/(t + 1)")


@pytest.mark.parametrize("literal", t09.CONTROLS)
@pytest.mark.parametrize("every", [1, 3])
def test_t9_the_metric_is_transported(impl, guards, rows, every, literal):
    p = rows.model.p
    Q = t09.noises(p, 0.01 * np.trace(rows.prior) / p)["vector"][1]
    theta, P = t09.in_rule(impl, rows, guards, "vector", every)
    Q = {"isotropic": np.trace(Q) / p * np.eye(p), "no transport": 0 * Q}.get(literal, Q)
    settings = {"rows for time": {"dt_of": "rows"}, "step with J_{t-1}": {"metric": "old"}}.get(literal, {})
    theta_ng, P_ng = t09.transported(rows, Q, every, **settings)
    judge(error(theta, theta_ng), TOLERANCE, control=literal != "as it is")
    if literal != "step with J_{t-1}":
        judge(error(P, P_ng), TOLERANCE, control=literal != "as it is")


@pytest.mark.parametrize("form", ["P_new g", "P_old g"])
def test_t11_the_step_is_the_new_covariance_times_the_score(impl, guards, rows, form):
    theta, P = run(rows, impl, guards, impl.Fading(LAM))
    for t in range(1, len(rows.U)):
        fade = (1 - LAM) ** rows.dt[t]
        step = (P[t] if form == "P_new g" else P[t - 1] / fade) @ learned_from(rows, t, theta[t - 1])[0]
        judge(error(theta[t], theta[t - 1] + step), TOLERANCE, control=form != "P_new g")


@pytest.mark.parametrize("product", ["U D U'", "U'D U", "U U'"])
def test_t30_factors_are_the_dense_covariance(impl, guards, rows, product):
    flt, (theta, P) = rows.filter(impl, guards, rule=impl.Fading(LAM)), faded(rows)
    for t in range(len(rows.U)):
        rows.feed(flt, t)
        U, D = flt._factors()
        assert np.array_equal(U, np.triu(U))
        assert np.array_equal(np.diagonal(U), np.ones(rows.model.p))
        assert (D > 0).all()
        found = {"U D U'": (U * D) @ U.T, "U'D U": (U.T * D) @ U, "U U'": U @ U.T}[product]
        judge(error(flt.theta, theta[t]), TOLERANCE, control=False)
        judge(error(found, P[t]), TOLERANCE, control=product != "U D U'")
    assert_quiet(flt)


@cache
def faded(rows):
    """theta_t, P_t with dense matrices: P <- (P^-1 (1-lam)^dt + F)^-1, theta <- theta + P g."""
    theta, P, path = rows.theta_0, rows.prior, []
    for t in range(len(rows.U)):
        g, F = learned_from(rows, t, theta)
        P = np.linalg.inv(np.linalg.inv(P) * (1 - LAM) ** rows.dt[t] + F)
        theta = theta + P @ g
        path.append((theta, P))
    return tuple(map(np.array, zip(*path, strict=True)))


@pytest.mark.parametrize("control", [None, "V_new g", "V_old g", "the other projection"])
@pytest.mark.parametrize("projection", t31.PROJECTIONS)
def test_t31_the_block_update_of_a_diagonal_prior(impl, guards, rows, projection, control):
    belief = impl.Diagonal(np.diagonal(rows.prior), projection)
    flt = rows.filter(impl, guards, belief=belief, rule=impl.Fading(LAM))
    theta, P = rows.run(flt)
    assert_quiet(flt)
    exact, V = t31.dense(rows, projection, LAM, control)
    judge(error(theta, exact), TOLERANCE, control=control is not None)
    if control in (None, "the other projection"):
        judge(error(np.diagonal(P, axis1=1, axis2=2), V), TOLERANCE, control=control is not None)
