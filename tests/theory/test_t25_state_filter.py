"""T25: the filter of a known model with Q = lam/(1-lam)·F P F' is the natural gradient in the space of trajectories:

    J <- F^-T J F^-1,   J <- (1 - eta_t) J + eta_t H'L L'H,   s <- f(s) + eta_t J^-1 H'e,   1/eta_t = 1 + (1-lam)/eta_{t-1}

A trajectory is known by its state at any time; the step is taken in the chart of the present one. Source: arXiv 1901.00696.
"""

import numpy as np
import pytest
from theory.literal import error, judge
from theory.states import LAWS, N, f, partials, run, stream

from kfng.reference import ekf

TOLERANCE = 1e-12


def rates(lam, n):
    eta = [1.0]
    for _ in range(n):
        eta.append(1 / (1 + (1 - lam) / eta[-1]))
    return eta[1:]


def trajectory_gradient(rows, lam, metric="new"):
    """Literally, in the chart of s_t."""
    s, J, states, covariances = rows.s_0, np.linalg.inv(rows.prior), [], []
    for y, eta in zip(rows.Y, rates(lam, len(rows.Y)), strict=True):
        s, F = partials(f, s)
        back = np.linalg.inv(F)
        z, jacobian = partials(rows.h, s)
        J_old = back.T @ J @ back
        J = (1 - eta) * J_old + eta * jacobian.T @ rows.law.fisher(z) @ jacobian
        s = s + eta * np.linalg.solve(J if metric == "new" else J_old, jacobian.T @ rows.law.score(y[None], z)[0])
        states.append(s)
        covariances.append(eta * np.linalg.inv(J))
    return np.array(states), np.array(covariances)


def first_state_gradient(rows, lam):
    """The control: the same metric, and the step taken in the chart of s_0, from which the trajectory is run again."""

    def trajectory(s, t):
        total = np.eye(N)
        for _ in range(t):
            s, F = partials(f, s)
            total = F @ total
        return s, total

    s_0, J, states = rows.s_0, np.linalg.inv(rows.prior), []
    for t, (y, eta) in enumerate(zip(rows.Y, rates(lam, len(rows.Y)), strict=True), 1):
        s, total = trajectory(s_0, t)
        z, jacobian = partials(rows.h, s)
        jacobian = jacobian @ total
        J = (1 - eta) * J + eta * jacobian.T @ rows.law.fisher(z) @ jacobian
        s_0 = s_0 + eta * np.linalg.solve(J, jacobian.T @ rows.law.score(y[None], z)[0])
        states.append(trajectory(s_0, t)[0])
    return np.array(states), None


# the controls bite for every law and every lam
@pytest.mark.parametrize("literal", ["as it is", "step with J_{t-1}", "chart of s_0"])
@pytest.mark.parametrize("lam", [0.0, 0.1])
@pytest.mark.parametrize("name", LAWS)
def test_fading_is_the_natural_gradient_of_trajectories(impl, guards, name, lam, literal):
    rows = stream(name)
    chosen = impl.Guards() if guards == "default_guards" else impl.Guards.none()
    flt = impl.StateFilter(
        N, rows.k, rows.family(impl), state_prior=rows.prior, rule=impl.Fading(forgetting=lam), guards=chosen
    )
    s, P = run(flt, rows)
    assert flt.health()["clipped"] == flt.health()["clamped"] == 0
    if literal == "chart of s_0":
        s_ng, P_ng = first_state_gradient(rows, lam)
    else:
        s_ng, P_ng = trajectory_gradient(rows, lam, "new" if literal == "as it is" else "old")
    judge(error(s, s_ng), TOLERANCE, control=literal != "as it is")
    if literal == "as it is":
        judge(error(P, P_ng), TOLERANCE, control=False)


@pytest.mark.parametrize("control", [False, True])
@pytest.mark.parametrize("name", LAWS)
def test_only_proportional_noise_is_a_learning_rate(impl, name, control):
    """The same filter where each row brings lam/(1-lam)·F P F' as its noise; the control: noise of the same trace, isotropic."""
    rows, lam = stream(name), 0.1
    fading = impl.StateFilter(N, rows.k, rows.family(impl), state_prior=rows.prior, rule=impl.Fading(forgetting=lam))
    s, P = run(fading, rows)
    flt, states = impl.StateFilter(N, rows.k, rows.family(impl), state_prior=rows.prior), []
    for y in rows.Y:
        moved, F = partials(f, flt.state)
        z, jacobian = partials(rows.h, moved)
        Q = lam / (1 - lam) * F @ flt.cov() @ F.T
        flt.update(y, moved, F, z, jacobian, noise=np.trace(Q) / N if control else (Q + Q.T) / 2)
        states.append(flt.state)
    judge(error(states, s), TOLERANCE, control=control)
    if not control:
        judge(error(flt.cov(), P[-1]), TOLERANCE, control=False)


MOMENTS = {
    "Gaussian": lambda z: ekf.gaussian(z, LAWS["Gaussian"][0].R),
    "Bernoulli": ekf.bernoulli,
    "Poisson": ekf.poisson,
}


def textbook(rows, Q, weight=1.0, gaps=0.0, jacobians="predicted"):
    """The extended Kalman filter in H, R, S, K."""
    flt, states, covariances = ekf.EKF(rows.s_0, rows.prior), [], []
    for t, y in enumerate(rows.Y):
        moved, F = partials(f, flt.theta)
        flt.P = F @ flt.P @ F.T + Q
        z, jacobian = partials(rows.h, moved)
        if jacobians == "before":
            jacobian = partials(rows.h, flt.theta)[1]
        flt.theta = moved
        y = np.where(holes(rows, gaps)[t], np.nan, y)
        if not np.isnan(y).all():
            flt.update(y, MOMENTS[rows.name](z), jacobian, weight)
        states.append(flt.theta)
        covariances.append(flt.P)
    return np.array(states), np.array(covariances)


def holes(rows, gaps):
    """Which entries of Y are missing."""
    return np.random.default_rng(5).random(rows.Y.shape) < gaps


def noises():
    root = np.random.default_rng(1).normal(size=(N, 2)) * 0.1
    vector = np.array([0.02, 0.0, 0.05])
    return {"number": (0.03, 0.03 * np.eye(N)), "vector": (vector, np.diag(vector)), "matrix": (root @ root.T,) * 2}


@pytest.mark.parametrize("literal", ["as it is", "no noise", "H before the move"])
@pytest.mark.parametrize("form", ["number", "vector", "matrix", "of each row"])
@pytest.mark.parametrize("name", LAWS)
def test_it_is_the_textbook_filter(impl, guards, name, form, literal):
    """General noise, weights, gaps (of the Gaussian in part), against H, R, S, K."""
    rows = stream(name)
    rows.name = name
    given, Q = noises()["matrix" if form == "of each row" else form]
    rule = impl.Kalman() if form == "of each row" else impl.ProcessNoise(given)
    chosen = impl.Guards() if guards == "default_guards" else impl.Guards.none()
    flt = impl.StateFilter(N, rows.k, rows.family(impl), state_prior=rows.prior, rule=rule, guards=chosen)
    gone, states, covariances = holes(rows, 0.2), [], []
    for t, y in enumerate(rows.Y):
        moved, F = partials(f, flt.state)
        z, jacobian = partials(rows.h, moved)
        noise = given if form == "of each row" else None
        step = flt.update(np.where(gone[t], np.nan, y), moved, F, z, jacobian, weight=0.7, noise=noise)
        assert step.skipped == gone[t].all()
        states.append(flt.state)
        covariances.append(flt.cov())
    settings = {"no noise": {"Q": 0 * Q}, "H before the move": {"Q": Q, "jacobians": "before"}}.get(literal, {"Q": Q})
    s, P = textbook(rows, weight=0.7, gaps=0.2, **settings)
    judge(error(states, s), 1e-11, control=literal != "as it is")
    if literal == "as it is":
        judge(error(covariances, P), 1e-11, control=False)
