"""T26: the joint extended Kalman filter with noise of the state's and the parameters' own.

    P <- F P F'/(1-lam)^dt + blockdiag(Q_s, Q_theta)·dt,   F = [[f_s, f_theta], [0, I]];   then H, R, S, K

Without any it is natural gradient on RTRL (T20, T22). `ProcessNoise` there is Q_joint = [ds; I] Q [ds; I]', which is not
noise of theta alone. Sources: arXiv 1703.00209 and 1901.00696. The filter on
RTRL is the reference's here; kfng's is that one by T20 and by parity.
"""

from functools import cache

import numpy as np
import pytest
from theory import joint_ekf
from tolerances import CONTROL

from kfng import reference

MODELS = ("RNN", "GRU scaled", "LSTM", "LinearStateSpace", "LRU", "RNN masked")
TOLERANCE = 1e-10


@cache
def problem(cell, law):
    return joint_ekf.stream(cell, law)


@cache
def noises(cell, law, form):
    """Q_s and Q_theta as the filter takes them, and as one matrix."""
    rows = problem(cell, law)
    n, p, rng = rows.cell.n, rows.p, np.random.default_rng(3)
    if form == "numbers":
        return 0.02, 1e-4, np.diag(np.repeat([0.02, 1e-4], [n, p]))
    if form == "vectors":
        s, theta = np.where(np.arange(n) == 1, 0.0, 0.03), rng.uniform(0.0, 2e-4, p) * (rng.random(p) < 0.5)
        return s, theta, np.diag(np.concatenate([s, theta]))
    roots = 0.1 * rng.normal(size=(n, 2)), 0.01 * rng.normal(size=(p, 2))
    Q = np.zeros((n + p, n + p))
    Q[:n, :n], Q[n:, n:] = (root @ root.T for root in roots)
    return Q[:n, :n], Q[n:, n:], Q


def joint_filter(impl, rows, guards="no_guards", **options):
    return impl.JointEkf(
        rows.cell.model(reference, rows.law.k),
        rows.law.family(impl),
        theta=rows.theta_0,
        prior_variance=rows.prior,
        guards=impl.Guards() if guards == "default_guards" else impl.Guards.none(),
        **options,
    )


PRIOR = 0.05


CASES = [("RNN", law) for law in joint_ekf.LAWS] + [(cell, "Gaussian") for cell in MODELS[1:]]
"""Every law with one cell, every cell with one law."""


@pytest.mark.parametrize("form", ["numbers", "vectors", "matrices"])
@pytest.mark.parametrize(("cell", "law"), CASES)
def test_it_is_the_textbook_filter(impl, guards, cell, law, form):
    rows, (Q_s, Q_theta, Q) = problem(cell, law), noises(cell, law, form)
    lam = 0.01 if form == "vectors" else 0.0
    options = {"state_prior": PRIOR, "state_noise": Q_s, "parameter_noise": Q_theta, "forgetting": lam}
    flt = joint_filter(impl, rows, guards, **options)
    found = joint_ekf.feed(flt, rows)
    assert flt.health()["clipped"] == flt.health()["clamped"] == 0
    path = joint_ekf.run(rows, lam, noise=Q, state_prior=PRIOR * np.eye(rows.cell.n))
    assert joint_ekf.apart(found, path) < TOLERANCE
    for control in ("no noise of s", "no noise of theta", "s_0 known", "stale partials"):
        part = Q.copy()
        part[: rows.cell.n] *= control != "no noise of s"
        part[rows.cell.n :] *= control != "no noise of theta"
        prior = None if control == "s_0 known" else PRIOR * np.eye(rows.cell.n)
        other = joint_ekf.run(rows, lam, noise=part, state_prior=prior, stale=control == "stale partials")
        assert joint_ekf.apart(found, other) > CONTROL * TOLERANCE, control


@pytest.mark.parametrize("unknown", [False, True], ids=["s_0 known", "s_0 unknown"])
@pytest.mark.parametrize("lam", [0.0, 0.01])
@pytest.mark.parametrize(("cell", "law"), CASES)
def test_without_noise_it_is_natural_gradient_on_rtrl(impl, cell, law, lam, unknown):
    """T20 and T22 between two filters; the control has a little noise of the state's own."""
    rows = problem(cell, law)
    settings = {"state_prior": PRIOR} if unknown else {}
    rule = impl.Fading(lam) if lam else impl.Kalman()
    rtrl = reference.Filter(
        rows.cell.model(reference, rows.law.k), rows.law.family(impl), belief=impl.Full(rows.prior), rule=rule,
        theta=rows.theta_0, guards=impl.Guards.none(), **settings,
    )  # fmt: skip
    s, theta, P = joint_ekf.feed(rtrl, rows)
    path = joint_ekf.Path(s, theta, P, s, s[-1], P[-1])
    found = joint_ekf.feed(joint_filter(impl, rows, forgetting=lam, **settings), rows)
    assert joint_ekf.apart(found, path) < TOLERANCE
    found = joint_ekf.feed(joint_filter(impl, rows, forgetting=lam, state_noise=1e-3, **settings), rows)
    assert joint_ekf.apart(found, path) > CONTROL * TOLERANCE


@pytest.mark.parametrize(("cell", "law"), CASES)
def test_process_noise_on_rtrl_moves_the_state_along(impl, cell, law):
    """`ProcessNoise(Q)` there is Q_joint = [ds; I] Q [ds; I]', by the influence ds of the row; noise of theta alone is another filter."""
    rows, Q = problem(cell, law), 1e-3
    flt = reference.Filter(
        rows.cell.model(reference, rows.law.k), rows.law.family(impl), belief=impl.Full(rows.prior),
        rule=impl.ProcessNoise(Q), theta=rows.theta_0, guards=impl.Guards.none(),
    )  # fmt: skip
    influences, found = [], []
    for i in range(len(rows.U)):
        flt.update(rows.U[i], rows.Y[i], dt=rows.dt[i], weight=rows.weight[i])
        influences.append(np.vstack([flt.influence, np.eye(rows.p)]))
        found.append((flt.state, flt.theta, flt.joint_cov()))
    found = [np.array(part) for part in zip(*found, strict=True)]
    moved = joint_ekf.run(rows, noise=np.array([Q * both @ both.T for both in influences]))
    assert joint_ekf.apart(found, moved) < TOLERANCE
    alone = joint_ekf.feed(joint_filter(impl, rows, parameter_noise=Q), rows)
    assert joint_ekf.apart(alone, moved) > CONTROL * TOLERANCE


@pytest.mark.parametrize("control", [False, True])
def test_what_is_owed_to_theta_comes_every_so_many_rows(impl, control):
    rows, every, Q = problem("RNN", "Gaussian"), 4, 1e-3
    found = joint_ekf.feed(joint_filter(impl, rows, parameter_noise=Q, every=every), rows)
    n, owed, noise = rows.cell.n, 0.0, []
    for t, dt in enumerate(rows.dt):
        owed += dt
        due = t % every == 0 and not control
        noise.append(np.diag(np.repeat([0.0, Q * owed / dt if due or control else 0.0], [n, rows.p])))
        owed = 0.0 if due or control else owed
    apart = joint_ekf.apart(found, joint_ekf.run(rows, noise=np.array(noise)))
    assert apart > CONTROL * TOLERANCE if control else apart < TOLERANCE


def test_rows_of_a_model_elsewhere(impl):
    """`condition` with the partials of a model is `update` with that model."""
    rows = problem("RNN", "Gaussian")
    model, (Q_s, Q_theta, _) = rows.cell.model(reference, 2), noises("RNN", "Gaussian", "matrices")
    noise = {"state_noise": Q_s, "parameter_noise": Q_theta}
    inside = joint_filter(impl, rows, **noise)
    outside = impl.JointEkf(
        reference.ExternalRecurrent(rows.p, rows.cell.n, 2), impl.Gaussian(covariance=joint_ekf.R2), theta=rows.theta_0,
        prior_variance=rows.prior, guards=impl.Guards.none(), **noise,
    )  # fmt: skip
    for u, y in zip(rows.U, rows.Y, strict=True):
        at = model.advance(outside.theta, outside.state, u)
        z, h_s, h_theta = model.readout(outside.theta, at.s)
        outside.condition(y, z, (h_s, h_theta), state=at.s, transition=(at.f_s, at.f_theta))
        inside.update(u, y)
    assert (inside.theta == outside.theta).all()
    assert (inside.joint_cov() == outside.joint_cov()).all()


def test_many_rows_a_forecast_and_what_may_come_next(impl):
    """`update_many` is a loop; `predict` is what a missing y would have shown, and rows of NaN a forecast."""
    rows = problem("GRU scaled", "Gaussian")
    one, many = (joint_filter(impl, rows, state_noise=0.01, parameter_noise=1e-4) for _ in range(2))
    joint_ekf.feed(one, rows)
    trace = many.update_many(rows.U, np.array(rows.Y), dt=rows.dt, weight=rows.weight)
    assert (one.theta == many.theta).all()
    assert (one.joint_cov() == many.joint_cov()).all()
    assert len(trace) == len(rows.U)
    before = many.joint_cov()
    mean, std = many.predict(rows.U[:3], return_std=True)
    assert (many.joint_cov() == before).all()
    for u, m, sd in zip(rows.U, mean, std, strict=False):
        step = many.copy().update(u, [np.nan, np.nan])
        assert (step.prediction == m).all()
        assert (step.std == sd).all()
    ahead = many.copy().update_many(rows.U[:8], np.full((8, 2), np.nan))
    assert (ahead.std[0] == std[0]).all()
    assert ahead.skipped.all()
    assert (many.joint_cov() == before).all()
