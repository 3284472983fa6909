"""T8: forgetting towards the prior, column after column, keeps the exact posterior of a known objective.

With J_prior = P_0^-1 = C C' (columns c_i, diagonal for a diagonal prior), W_i = w_i·d_{i+1}···d_t and D_i the decay since the
last turn of column i, at every t, any dt:

    J = sum_i W_i F_i + C diag(D) C',        J theta = sum_i W_i H_i'R^-1 y_i + C diag(D) C' theta_0

and for a learned variance (T15) a = a_0 + sum_i W_i k_i/2, b = b_0 + 1/2 [sum_i W_i |y_i - H_i theta|² + |diag(D)^1/2 C'(theta - theta_0)|²].
A turn is due whenever ln 2/p of log-decay has accumulated: no D_i is below 1/2, no variance above twice its prior.
"""

import math
import tracemalloc
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from theory.literal import error, judge
from theory.streams import LEARNED, LINEAR_GAUSSIAN, assert_quiet, partly_missing, stream

from kfng import reference

TOLERANCE = 1e-12
LAM = 0.15


def turns(p, log_decays, reset=True):
    """log D (p,) after each time step, from the definition; `reset=False`: D of all columns decays for ever."""
    log_D, accumulated, position, result = np.zeros(p), 0.0, 0, []
    for log_decay in log_decays:
        log_D = log_D + log_decay
        accumulated -= log_decay
        due = math.floor(accumulated / (math.log(2) / p))
        accumulated -= due * math.log(2) / p
        for _ in range(min(due, p)):
            log_D[position] = 0.0 if reset else log_D[position]
            position = (position + 1) % p
        result.append(log_D.copy())
    return np.array(result)


@cache
def rows_of(name, prior, times):
    """Rows with gaps; a diagonal or a dense prior; `times` as they are, or with pauses of many half-lives."""
    rows = partly_missing(stream(name, n=60), seed=5)
    dt = rows.dt.copy()
    if times == "pauses":
        dt[[9, 10, 30]] = 4.0, 12.0, 25.0
    return replace(rows, prior=np.diag(np.diagonal(rows.prior)) if prior == "diagonal" else rows.prior, dt=dt)


@cache
def learn(impl, guards, rows, prior):
    """theta_t, relative P_t, and a, b where learned."""
    belief = impl.Full(np.diagonal(rows.prior).copy() if prior == "diagonal" else rows.prior)
    flt = rows.filter(impl, guards, belief=belief, rule=impl.Fading(LAM, towards="prior"))
    out = []
    for t in range(len(rows.U)):
        rows.feed(flt, t)
        out.append((flt.theta, flt._covariance(), flt._state()["noise"]))
    assert_quiet(flt)
    return tuple(np.array(part) for part in zip(*out, strict=True))


class Objective:
    """The weighted posterior of the first t rows, from scratch."""

    def __init__(self, rows, D):
        self.rows, self.D = rows, D
        self.C = np.linalg.cholesky(np.linalg.inv(rows.prior))
        seen = np.isfinite(rows.Y)
        R = np.eye(rows.model.k) if rows.learned else rows.law.R
        self.data = []
        for u, y, offset, s in zip(rows.U, rows.Y, rows.offset, seen, strict=True):
            H, precision = rows.model.jacobian(rows.theta_0, u)[s], np.linalg.inv(R[np.ix_(s, s)])
            self.data.append((H, (y - offset)[s], precision))

    def weights(self, t):
        kept = (1 - LAM) ** self.rows.dt
        return self.rows.weight[:t] * np.array([np.prod(kept[i + 1 : t]) for i in range(t)])

    def solve(self, t):
        """theta_t, J_t, and a_t, b_t where a variance is learned."""
        W, prior = self.weights(t), (self.C * self.D[t - 1]) @ self.C.T
        J, right, k = prior.copy(), np.zeros(len(prior)), 0.0
        for w, (H, y, precision) in zip(W, self.data[:t], strict=True):
            J += w * H.T @ precision @ H
            right += w * H.T @ precision @ (y - H @ self.rows.theta_0)
            k += w * len(y)
        away = np.linalg.solve(J, right)
        theta = self.rows.theta_0 + away
        squares = sum(w * np.sum((y - H @ theta) ** 2) for w, (H, y, _) in zip(W, self.data[:t], strict=True))
        a_0 = LEARNED["prior_dof"] / 2
        b = a_0 * LEARNED["prior_scale"] ** 2 + (squares + away @ prior @ away) / 2
        return theta, J, a_0 + k / 2, b

    def all(self):
        return tuple(
            np.array(part) for part in zip(*(self.solve(t) for t in range(1, len(self.rows.U) + 1)), strict=True)
        )


@cache
def exact(rows, carrying):
    p = rows.model.p
    return Objective(rows, np.exp(turns(p, rows.dt * np.log1p(-LAM), reset=carrying))).all()


# bites for every family and prior: plain forgetting, D_i never back to 1
@pytest.mark.parametrize("carrying", [True, False], ids=["D_i <- 1", "no turns"])
@pytest.mark.parametrize("times", ["steps", "pauses"])
@pytest.mark.parametrize("prior", ["diagonal", "dense"])
@pytest.mark.parametrize("name", LINEAR_GAUSSIAN)
def test_the_exact_posterior_at_every_t(impl, guards, name, prior, times, carrying):
    rows = rows_of(name, prior, times)
    theta, P, noise = learn(impl, guards, rows, prior)
    theta_exact, J, a, b = exact(rows, carrying)
    judge(error(theta, theta_exact), TOLERANCE, control=not carrying)
    judge(error(np.linalg.inv(P), J), TOLERANCE, control=not carrying)
    if rows.learned:
        assert error(noise[:, 0, 0], a) <= TOLERANCE
        judge(error(noise[:, 1, 0], b), TOLERANCE, control=not carrying)


class Turns:
    """The algorithm once more, in precision form, with one operation to change."""

    def __init__(self, rows, control):
        p = rows.model.p
        self.rows, self.control = rows, control
        self.C = np.linalg.cholesky(np.linalg.inv(rows.prior))
        self.J, self.theta, self.log_D, self.left, self.position = self.C @ self.C.T, rows.theta_0, np.zeros(p), 0.0, 0

    def time(self, log_decay):
        self.J = self.J * np.exp(log_decay)
        self.log_D, self.left = self.log_D + log_decay, self.left - log_decay
        each = math.log(2) / len(self.log_D)
        due = math.floor(self.left / each)
        self.left -= due * each
        for _ in range(min(due, len(self.log_D))):
            i = self.position
            share = -np.expm1(log_decay) if self.control == "1 - d of the last step" else -np.expm1(self.log_D[i])
            self.fuse(self.C[:, [i]], share, self.C[:, i] @ (self.rows.theta_0 - self.theta))
            self.log_D[i], self.position = 0.0, (i + 1) % len(self.log_D)

    def fuse(self, h, precision, away):
        if self.control == "theta not pulled" and h.shape[1] == 1 and np.isscalar(precision):
            away = 0.0 * away
        self.J = self.J + h @ np.atleast_2d(precision) @ h.T
        self.theta = self.theta + np.linalg.solve(
            self.J, h @ np.atleast_1d(np.atleast_2d(precision) @ np.atleast_1d(away))
        )

    def row(self, t):
        rows = self.rows
        H, seen = rows.model.jacobian(rows.theta_0, rows.U[t]), np.isfinite(rows.Y[t])
        if seen.any():
            precision = rows.weight[t] * np.linalg.inv(rows.law.R[np.ix_(seen, seen)])
            e = (rows.Y[t] - rows.offset[t] - H @ self.theta)[seen]
            self.fuse(H[seen].T, precision, e)

    def run(self):
        thetas = []
        for t, dt in enumerate(self.rows.dt):
            self.time(dt * np.log1p(-LAM))
            self.row(t)
            thetas.append(self.theta)
        return np.array(thetas)


# both bite for diagonal and dense priors
@pytest.mark.parametrize("control", [None, "1 - d of the last step", "theta not pulled"])
@pytest.mark.parametrize("prior", ["diagonal", "dense"])
@pytest.mark.parametrize("name", ["linear-gaussian", "linear-covariance_3"])
def test_what_a_turn_carries(impl, guards, name, prior, control):
    rows = rows_of(name, prior, "steps")
    theta, _, _ = learn(impl, guards, rows, prior)
    judge(
        error(theta, Turns(rows, control).run()), 1e-11 if control is None else TOLERANCE, control=control is not None
    )


# bites for both priors: a prior pull that is no part of z
@pytest.mark.parametrize("seen", ["theta after the pulls", "theta before"])
@pytest.mark.parametrize("prior", ["diagonal", "dense"])
def test_a_row_is_predicted_after_the_pulls(impl, prior, seen):
    """The pulls belong to the row's time step: its prediction and C are those of a filter that let time pass first."""
    rows = rows_of("linear-gaussian", prior, "steps")
    flt = rows.filter(impl, rule=impl.Fading(LAM, towards="prior"))
    got, expected = [], []
    for t, u in enumerate(rows.U):
        twin = flt.copy()
        if seen == "theta after the pulls":
            twin.update(u, np.nan, dt=rows.dt[t])
        step = rows.feed(flt, t)
        mean, std = twin.predict(u[None], return_std=True, offset=rows.offset[t])
        got.append([step.prediction, step.std])
        expected.append([mean[0], std[0]])
    judge(error(got, expected), TOLERANCE, control=seen == "theta before")


@pytest.mark.parametrize("prior", ["number", "diagonal", "dense"])
@pytest.mark.parametrize("lam", [0.001, 0.1, 0.7, 0.999])
def test_no_variance_passes_twice_its_prior(impl, prior, lam):
    """Whatever is silent, for ever; plain forgetting without its guard passes it."""
    rows = stream("linear-gaussian")
    P_0 = {"number": 1.0, "diagonal": np.diagonal(rows.prior).copy(), "dense": rows.prior}[prior]
    flt, plain = (
        rows.filter(impl, belief=impl.Full(P_0), rule=impl.Fading(lam, towards=towards)) for towards in ("prior", None)
    )
    limit = 2 * flt.settings.belief.prior_diagonal(flt.settings.p)
    rng, largest = np.random.default_rng(1), 0.0
    for t in range(400):
        u = rng.normal(size=3) * [1, 0, t % 7 == 0]
        step = flt.update(u, 1.0 if t % 3 else np.nan, dt=rng.choice([0.0, 0.3, 2.0]))
        assert np.isfinite(step.std)
        assert (np.diagonal(flt.cov()) <= limit * (1 + 1e-12)).all()
        if np.max(largest) < 1e3 and lam >= 0.1:
            plain.update(u, 1.0 if t % 3 else np.nan, dt=0.3)
            largest = np.max(2 * np.diagonal(plain.cov()) / limit)
    assert lam < 0.1 or largest > 2


def test_a_long_pause_goes_back_to_the_prior(impl):
    rows = rows_of("linear-learned", "dense", "steps")
    flt = rows.filter(impl, rule=impl.Fading(LAM, towards="prior"))
    fresh = flt.copy()
    for t in range(30):
        rows.feed(flt, t)
    flt.update(rows.U[0], np.nan, dt=1000.0)
    kept = {"theta", "P", "U", "D", "noise"} & set(fresh._state())  # P, or its factors
    assert len(kept) > 2
    for name in kept:
        assert np.array_equal(flt._state()[name], fresh._state()[name]), name
    assert not flt._state()["turns"].any()
    assert flt._state()["turn"][0] == 0


def test_towards_the_prior_is_between_plain_forgetting_and_none_at_first(impl):
    """Before any turn it is plain forgetting; with nothing forgotten it is the Kalman filter."""
    rows = stream("linear-gaussian")
    for lam, other in ((1e-6, impl.Fading(1e-6)), (0.0, impl.Kalman())):
        flt, plain = rows.filter(impl, rule=impl.Fading(lam, towards="prior")), rows.filter(impl, rule=other)
        for t in range(30):
            rows.feed(flt, t)
            rows.feed(plain, t)
        assert np.array_equal(flt.theta, plain.theta)
        assert np.array_equal(flt.cov(), plain.cov())


def test_state_goes_over(impl):
    rows = rows_of("linear-gaussian", "dense", "steps")
    flt = rows.filter(impl, rule=impl.Fading(half_life=5.0, towards="prior"))
    for t in range(25):
        rows.feed(flt, t)
    twin = flt.copy()
    for t in range(25, 60):
        rows.feed(flt, t)
        rows.feed(twin, t)
    assert all(np.array_equal(array, twin._state()[name]) for name, array in flt._state().items())
    good = flt._state()
    for name, value in (("turns", good["turns"] + 1), ("turn", np.array([0.0, 4.0])), ("turn", np.array([-1.0, 0.0]))):
        with pytest.raises(impl.BadValueError):
            flt._set_state(good | {name: value})
    assert all(np.array_equal(array, good[name]) for name, array in flt._state().items())


def test_names(impl):
    assert impl.Fading(0.1, towards="prior") != impl.Fading(0.1)
    assert repr(impl.Fading(0.1, towards="prior")) == "Fading(forgetting=0.1, towards='prior')"
    with pytest.raises(impl.UnknownNameError):
        impl.Fading(0.1, towards="posterior")


def test_a_diagonal_belief_is_linear_in_memory():
    """The reference keeps some vectors of p numbers for its turns, no matrix."""
    p = 20_000
    flt = reference.Filter(
        reference.External(p, 1),
        reference.Gaussian(),
        belief=reference.Diagonal(),
        rule=reference.Fading(1e-4, towards="prior"),
    )
    dz = np.ones((1, p)) / p
    tracemalloc.start()
    flt.condition(1.0, 0.0, dz, dt=1.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert flt._state()["turn"][1] > 0  # turns were taken
    assert peak < 100 * 8 * p
