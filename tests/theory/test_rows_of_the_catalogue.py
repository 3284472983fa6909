"""One row of every family in the filter: P and theta are those of the kernel in precision form, guards act on the outputs
that go through exp, and `from_rows` starts at the level of the data.
"""

import numpy as np
import pytest
from tolerances import CONTROL

from kfng.reference.family import (
    Binomial,
    Categorical,
    Gamma,
    Gaussian,
    GaussianMeanVariance,
    NegativeBinomial,
)

FAMILIES = {
    "mean_variance": (GaussianMeanVariance(), 2, 1.3),
    "binomial": (Binomial(6), 1, 4.0),
    "trials": (Binomial(), 1, [2.0, 5.0]),
    "categorical": (Categorical(3), 3, 1.0),
    "negative_binomial": (NegativeBinomial(0.7), 1, 3.0),
    "gamma": (Gamma(2.5), 1, 0.6),
    "each": (Gaussian(variance="each", prior_dof=4, prior_scale=1.5), 3, [0.3, np.nan, -1.0]),
}


# bites for every family: the step with the old J
@pytest.mark.parametrize("control", [False, True])
@pytest.mark.parametrize("name", FAMILIES)
def test_a_row_in_precision_form(impl, name, control):
    family, k, y = FAMILIES[name]
    rng = np.random.default_rng(0)
    p, weight, offset = 5, 1.6, 0.1
    root = rng.normal(size=(p, p))
    P, theta, dz = root @ root.T / p + 0.1 * np.eye(p), 0.3 * rng.normal(size=p), rng.normal(size=(k, p))
    flt = impl.Filter(impl.External(p, k), family, belief=impl.Full(P), theta=theta, guards=impl.Guards.none())
    row = np.atleast_1d(np.asarray(y, dtype=float))
    z = dz @ theta + offset
    flt.condition(y, z, dz, weight=weight)
    a, b = family.prior_noise(k)
    law = family.for_rows(row[None]).at_noise(a, b)
    seen = law.observed(row, k)
    e, L = law.score(z, row, seen), law.factor(z, seen)
    J_old = np.linalg.inv(P)
    J = J_old + weight * dz[seen].T @ L @ L.T @ dz[seen]
    step = np.linalg.solve(J_old if control else J, weight * dz[seen].T @ e)
    size = np.max(np.abs(flt.theta - theta - step)) / np.max(np.abs(step))
    assert size > CONTROL * 1e-11 if control else size < 1e-11
    assert np.max(np.abs(flt.precision() - J)) / np.max(np.abs(J)) < 1e-11
    assert flt.health()["mean_nis"] > 0
    assert flt.n_updates == 1


def draws(name, rng, n):
    """y of n rows at a level far from that of theta = 0."""
    if name == "mean_variance":
        return rng.normal(1e-3, 2e-4, n)
    if name == "categorical":
        return rng.choice(3, n, p=[0.001, 0.1, 0.899])
    if name == "trials":
        return np.stack([rng.binomial(40, 0.02, n), np.full(n, 40)], axis=1).astype(float)
    if name == "each":
        return rng.normal(size=(n, 3)) * [1.0, 0.5, 2.0] + [5.0, -3.0, 0.0]
    draw = {"binomial": lambda: rng.binomial(6, 0.05, n), "negative_binomial": lambda: rng.poisson(200, n)}
    return draw.get(name, lambda: rng.gamma(2.5, 4e-7, n))().astype(float)


@pytest.mark.parametrize("name", FAMILIES)
def test_from_rows_starts_at_the_level(impl, name):
    """Without features: the fitted mean is the data's, from which theta = 0 (control) is far."""
    family, k, _ = FAMILIES[name]
    Y = draws(name, np.random.default_rng(4), 300)
    U = np.zeros((len(Y), 0))
    flt = impl.Filter.from_rows(U[:50], Y[:50], impl.Linear(0, k), family)
    flt.update_many(U[50:], Y[50:])
    mean = np.squeeze(flt.predict(U[:1]))
    exact = np.eye(3)[Y.astype(int)].mean(axis=0) if name == "categorical" else Y.mean(axis=0)
    if name == "trials":
        exact = Y[:, 0].sum() / Y[:, 1].sum()
    assert np.max(np.abs(mean - exact)) < 0.15 * np.max(np.abs(exact))
    origin = impl.Filter(impl.Linear(0, k), family).predict(U[:1])
    assert np.max(np.abs(origin - exact)) > 0.5 * np.max(np.abs(exact))
    assert flt.health()["clamped"] == 0
    settings = impl.Filter.from_rows(U[:50], Y[:50], impl.Linear(0, k), family).settings
    level = family.level(np.asarray(Y[:50]).reshape(50, -1))
    assert np.array_equal(settings.theta, level)


def test_constant_rows_have_a_level():
    for y, log_size in ((3.0, np.log(9.0)), (0.0, 0.0)):
        assert GaussianMeanVariance().level(np.full((4, 1), y)).tolist() == [y, log_size]


def test_clamp_and_clip_of_the_log_variance_alone(impl):
    """The mean may move and lie anywhere; z_2 stays within the clamp, and one row moves it by at most the clip."""
    flt = impl.Filter(impl.Linear(0, 2), GaussianMeanVariance(), belief=impl.Full(1e4), theta=[1e6, 0.0])
    u = np.zeros(0)
    step = flt.update(u, 1e6 + 50.0)
    assert step.clipped
    assert abs(abs(flt.theta[1]) - 1.0) < 1e-12
    assert abs(flt.theta[0] - 1e6) > 1e-2
    far = impl.Filter(impl.Linear(0, 2), GaussianMeanVariance(), theta=[1e6, -400.0])
    far.update(u, np.nan)
    assert far.health()["clamped"] == 1
    assert far.predict(np.zeros((1, 0)))[0] == 1e6
    assert far.predict(np.zeros((1, 0)), return_std=True, include_noise=True)[1][0] >= np.exp(-150)


def test_each_output_has_its_own_noise(impl):
    """a, b by hand through time, weights, missing entries and the floor; then predictions, draws and the posterior."""
    rng = np.random.default_rng(0)
    family, k, lam = Gaussian(variance="each", prior_dof=4, prior_scale=2.0), 2, 0.03
    flt = impl.Filter(impl.Linear(1, k), family, rule=impl.Fading(lam), guards=impl.Guards.none())
    a, b, P, theta = np.full(k, 2.0), np.full(k, 8.0), np.eye(4), np.zeros(4)
    for i in range(60):
        u, w = rng.normal(size=1), rng.uniform(0.5, 2)
        y = np.array([1.0, -2.0]) * u[0] + rng.normal(size=k) * [0.1, 3.0]
        y[rng.random(k) < 0.2] = np.nan
        step = flt.update(u, y, weight=w)
        P = P / (1 - lam)
        faded = np.maximum((1 - lam) * a, 2.0)
        a, b = faded, b * faded / a
        dz = np.array([[u[0], 0, 1, 0], [0, u[0], 0, 1]])
        z, C, R = dz @ theta, dz @ P @ dz.T, b / a
        np.testing.assert_allclose(step.std, np.sqrt(np.diagonal(C) + R), rtol=1e-10, err_msg=str(i))
        seen = ~np.isnan(y)
        if seen.any():
            H = dz[seen]
            S = H @ P @ H.T + np.diag(R[seen]) / w
            K = P @ H.T @ np.linalg.inv(S)
            theta, P = theta + K @ (y - z)[seen], P - K @ H @ P
        a = a + w * seen / 2
        b = b + np.where(seen, w / 2 * (y - z) ** 2 / (1 + w * np.diagonal(C) / R), 0.0) if seen.any() else b
        b = np.where(np.isnan(b), 0.0, b)
    mean, dof = flt.noise_variance
    np.testing.assert_allclose(mean, b / (a - 1), rtol=1e-10)
    np.testing.assert_allclose(dof, 2 * a, rtol=1e-12)
    np.testing.assert_allclose(flt.cov(), P, rtol=1e-9, atol=1e-12)
    draws = flt.sample(20_000, 0)
    np.testing.assert_allclose(draws.std(axis=0), flt.std(), rtol=0.03)
    assert np.max(np.abs(draws - flt.theta) / flt.std()) < 5.5  # normal, not Student-t


def test_the_floor_of_each_output_is_its_own(impl):
    """Exact data in units 1e-2 and 1e2: each variance keeps 1e-9 of its own output's, the larger does not floor the smaller."""
    U = np.linspace(-1, 1, 400)[:, None]
    scale = np.array([1e-2, 1e2])
    family, prior = Gaussian(variance="each"), impl.Full(10 * np.tile(scale**2, 2))
    flt = impl.Filter(impl.Linear(1, 2), family, belief=prior, rule=impl.Fading(0.05))
    flt.update_many(U, U * scale)
    mean, dof = flt.noise_variance
    R = mean * (dof - 2) / dof
    assert R[1] > 1e-9 * 0.002 * scale[1] ** 2
    assert R[0] < 1e-9
    assert flt.health()["floored"] > 0


# bites: the pulls counted as evidence about each noise variance, as they are about the one sigma²
@pytest.mark.parametrize("variance", ["each", None])
def test_pulls_towards_the_prior_say_nothing_of_known_scales(impl, variance):
    """T8 with missing rows alone: only time passes and theta is pulled, so that (a, b) decay to the prior's and gain nothing."""
    flt = impl.Filter(
        impl.Linear(0, 2),
        Gaussian(variance=variance),
        rule=impl.Fading(0.2, towards="prior"),
        theta=[3.0, -3.0],
    )
    for _ in range(10):
        flt.update(np.zeros(0), np.array([60.0, -60.0]))
    before, away = flt._noise(), 0.8**5
    for _ in range(5):
        flt.update(np.zeros(0), np.array([np.nan, np.nan]))
    prior = flt.settings.family.prior_noise(2)
    (a, b), plain = flt._noise(), [away * now + (1 - away) * start for now, start in zip(before, prior, strict=True)]
    np.testing.assert_allclose(a, plain[0], rtol=1e-12)
    gained = np.max(np.abs(b / plain[1] - 1))
    assert gained < 1e-12 if variance == "each" else gained > 1e-3
