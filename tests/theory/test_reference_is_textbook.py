"""The reference against the textbook extended Kalman filter in H, R, S, K, and the kernel's two forms against each other."""

import numpy as np
import pytest
from problems import PROBLEMS, ROWS
from tolerances import CONTROL, TEXTBOOK, THEOREM, covariance_error, relative_error, theta_error

from kfng import reference
from kfng.reference import ekf
from kfng.reference.belief import full

NAMES = sorted(PROBLEMS)


def moments(family, z, y, a, b):
    """T(y), the statistic whose mean is learned from, and its moments at z (ekf.Moments)."""
    if isinstance(family, reference.Gaussian):
        return y, ekf.gaussian(z, np.diag(b / a) if len(a) > 1 or family.variance == "each" else family.R(len(z)))
    if isinstance(family, reference.Categorical):
        return (np.arange(len(z)) == y[0])[:-1] if y[0] == y[0] else y, ekf.categorical(z)
    if isinstance(family, reference.GaussianMeanVariance):
        return np.array([y[0], y[0] ** 2]), ekf.mean_variance(z)
    if isinstance(family, reference.Binomial):
        return y[:1], ekf.binomial(z, family.trials or y[1])
    if isinstance(family, reference.NegativeBinomial):
        return y, ekf.negative_binomial(z, family.dispersion)
    if isinstance(family, reference.Gamma):
        return y, ekf.gamma(z, family.shape)
    return y, {reference.Bernoulli: ekf.bernoulli, reference.Poisson: ekf.poisson}[type(family)](z)


def textbook(problem, control=False):
    """Posterior mean, covariance and (a, b) of a learned variance after the problem's rows, from ekf.py alone.

    The control takes R as an observation noise after the row instead of R/w, and forgets after the row instead of before.
    """
    model, family, options = problem.components(reference)
    p, rows = model.n_parameters, problem.rows
    theta = np.asarray(options.get("theta", np.zeros(p)), dtype=np.float64)
    prior = np.asarray(options.get("belief", reference.Full()).prior_variance)
    filter_ = ekf.EKF(theta, prior if prior.ndim == 2 else np.diag(np.broadcast_to(prior, p)).astype(np.float64))
    k = rows.offset.shape[1]
    a, b = family.prior_noise(k)
    a_0, means, variances = a, [], []
    for u, y, w, dt, offset in zip(rows.U, rows.Y, rows.weight, rows.dt, rows.offset, strict=True):
        lam = forgetting(options.get("rule"), dt)
        filter_.fade(lam)
        faded = np.maximum((1 - lam) * a, a_0)
        a, b = faded, b * (faded / a)
        z, dz = problem.forward(filter_.theta, u) if problem.forward else affine(filter_.theta, u, k)
        z = z + offset
        means.append(z)
        variances.append(dz @ filter_.P @ dz.T)
        seen, at = ~np.isnan(y), (a, b)
        if family.noise_scales(k) and family.variance == "each":
            S = b / a + w * np.diagonal(variances[-1])
            a, b = a + w * seen / 2, b + np.where(seen, w * (b / a) * (y - z) ** 2 / S, 0.0) / 2
        elif len(a) and w > 0 and seen.any():
            S = (np.eye(len(z)) / w + variances[-1])[np.ix_(seen, seen)]
            a = a + w * seen.sum() / 2
            b = b + (y - z)[seen] @ np.linalg.solve(S, (y - z)[seen]) / 2
        filter_.update(*moments(family, z, y, *at), dz, weight=np.sqrt(w) if control else w)
    return filter_, np.array(means), np.array(variances), a, b


def forgetting(rule, dt):
    """lam of a time dt, from the definition of the rules."""
    if rule is None:
        return 0.0
    if rule.half_life is not None:
        return 1 - 0.5 ** (dt / rule.half_life)
    return 1 - (1 - rule.forgetting) ** dt


def affine(theta, u, k):
    """z = W u + c and its Jacobian, entry by entry."""
    d = len(u)
    dz = np.zeros((k, k * d + k))
    for j in range(k):
        dz[j, j * d : (j + 1) * d], dz[j, k * d + j] = u, 1.0
    return dz @ theta, dz


@pytest.mark.parametrize("guards", [reference.Guards.none(), reference.Guards()], ids=["unguarded", "guarded"])
@pytest.mark.parametrize("name", NAMES)
def test_reference_is_the_textbook_filter(name, guards):
    problem = PROBLEMS[name]
    flt, steps = problem.run(reference, guards=guards)
    other, z, C, a, b = textbook(problem)
    assert theta_error(flt.theta, other.theta, other.P) < TEXTBOOK
    assert covariance_error(flt._covariance(), other.P) < TEXTBOOK
    seen = [step._trace for step in steps]
    assert relative_error(np.concatenate([trace.z for trace in seen]), z) < TEXTBOOK
    assert relative_error(np.concatenate([trace.C for trace in seen]), C) < TEXTBOOK
    assert relative_error(flt._noise(), (a, b)) < TEXTBOOK
    acted = {key: flt.health()[key] for key in ("skipped", "clipped", "clamped", "windup", "floored")}
    assert not any(acted.values()), acted


@pytest.mark.parametrize("name", [name for name in NAMES if np.ptp(PROBLEMS[name].rows.weight) > 0])
def test_control_a_weight_is_a_variance_divided(name):
    """Control: sqrt(w) in the place of w fails."""
    flt, _ = PROBLEMS[name].run(reference, guards=reference.Guards.none())
    other, *_ = textbook(PROBLEMS[name], control=True)
    assert theta_error(flt.theta, other.theta, other.P) > CONTROL * TEXTBOOK


@pytest.mark.parametrize("name", NAMES)
def test_a_problem_teaches(name):
    """Else the tests above are vacuous: theta ends more than a posterior standard deviation from its start."""
    flt, _ = PROBLEMS[name].run(reference)
    assert np.max(np.abs(flt.theta - flt.settings.theta) / flt.std()) > 1
    assert flt.n_updates > ROWS / 2


@pytest.mark.parametrize("decay", [1.0, 0.9])
@pytest.mark.parametrize(("p", "r"), [(1, 1), (4, 1), (5, 3), (7, 9)])
def test_precision_form_is_covariance_form(p, r, decay):
    """J <- decay·J + A A' and P <- P/decay, P - P A S^-1 A'P are the same map, also for a singular A."""
    rng = np.random.default_rng(p * 10 + r)
    root, A = rng.normal(size=(p, p)) + 2 * np.eye(p), rng.normal(size=(p, r))
    A[:, -1] = A[:, 0]
    P = root @ root.T / p
    new, G = full.fuse(full.fade(P, decay), A)
    J = decay * np.linalg.inv(P) + A @ A.T
    assert covariance_error(new, np.linalg.inv(J)) < THEOREM * np.linalg.cond(J)
    assert relative_error(G @ G.T, np.eye(r) + A.T @ P @ A / decay) < THEOREM
    assert covariance_error(full.fuse(P, 1.01 * A)[0], np.linalg.inv(J)) > CONTROL * THEOREM  # control


@pytest.mark.parametrize("name", NAMES)
def test_the_step_takes_the_new_covariance(name):
    """theta moves by P_new g: the step with the old P, J_{t-1}, is the control."""
    problem = PROBLEMS[name]
    flt, rows = problem.filter(reference, guards=reference.Guards.none()), problem.rows
    i = next(i for i in range(len(rows)) if rows.weight[i] > 0 and not np.isnan(rows.Y[i]).any())
    before = np.array(flt.theta)
    k = rows.offset.shape[1]
    z, dz = problem.forward(before, rows.U[i]) if problem.forward else affine(before, rows.U[i], k)
    family = flt.settings.family.for_rows(rows.Y[i : i + 1]).at_noise(*flt._noise())
    e = family.score(z + rows.offset[i], rows.Y[i], np.ones(len(z), dtype=bool))
    log_decay = flt.settings.rule.log_decay(rows.dt[i])
    old = full.fade(flt._covariance(), np.exp(log_decay))
    problem.step(flt, i)
    g = rows.weight[i] * dz.T @ e
    assert theta_error(flt.theta, before + flt._covariance() @ g, flt._covariance()) < THEOREM
    assert theta_error(flt.theta, before + old @ g, flt._covariance()) > CONTROL * THEOREM


@pytest.mark.parametrize("Q", [0.0, 0.01, np.diag([0.1, 0.0, 0.02])])
def test_textbook_filter_with_process_noise_is_the_batch_posterior(Q):
    """ekf.py itself against the joint Gaussian of the whole path, rows of a random walk: one dense solve."""
    rng, p, n = np.random.default_rng(3), 3, 12
    H, y, R = rng.normal(size=(n, p)), rng.normal(size=n), 0.3
    flt = ekf.EKF(np.zeros(p), np.eye(p))
    for h, value in zip(H, y, strict=True):
        flt.predict(Q)
        flt.update(np.array([value]), ekf.gaussian(np.array([h @ flt.theta]), np.array([[R]])), h[None])
    step = np.asarray(Q) * np.eye(p) if np.ndim(Q) == 0 else Q
    cov = np.array([[np.eye(p) + (min(i, j) + 1) * step for j in range(n)] for i in range(n)])  # (n, n, p, p)
    joint = np.einsum("ip,ijpq,jq->ij", H, cov, H) + R * np.eye(n)
    cross = np.einsum("jpq,jq->pj", cov[-1], H)
    assert theta_error(flt.theta, cross @ np.linalg.solve(joint, y), flt.P) < THEOREM
    assert covariance_error(flt.P, cov[-1, -1] - cross @ np.linalg.solve(joint, cross.T)) < THEOREM
