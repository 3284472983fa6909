"""The prior that keys have in common: the formula word by word, what it finds where the truth is known, and what it leaves."""

from __future__ import annotations

import numpy as np
import pytest
from bank.banks import bits, make, refused

from kfng import _bank_prior


def literally(m, s2, theta_0, v, noise):
    """share_prior's formula for one parameter, key by key."""
    informative = [i for i in range(len(m)) if 1 - s2[i] / v[i] >= 1e-3]
    w = {i: 1 - s2[i] / v[i] for i in informative}
    u = {i: w[i] / noise[i] for i in informative}
    e = {i: theta_0[i] + (m[i] - theta_0[i]) / w[i] for i in informative}
    total = sum(u.values())
    mean = sum(u[i] * e[i] for i in informative) / total
    scatter = sum(u[i] * (e[i] - mean) ** 2 for i in informative)
    sampling = sum(v[i] * (1 - w[i]) * (1 - u[i] / total) for i in informative)
    degrees = sum(w[i] * (1 - u[i] / total) for i in informative)
    tau2 = max((scatter - sampling) / degrees, scatter / degrees / 10)
    of_mean = sum(u[i] ** 2 * noise[i] * (tau2 + v[i] * (1 - w[i]) / w[i]) for i in informative) / total**2
    return mean, tau2 + of_mean / np.mean(noise)


@pytest.mark.parametrize("seed", range(6))
def test_the_formula_word_by_word(seed):
    rng = np.random.default_rng(seed)
    K, p = 9, 3
    v = rng.uniform(1, 4, (K, p))
    s2 = v * rng.uniform(0.0005, 1.2 if seed % 2 else 0.9, (K, p))
    m, theta_0, noise = rng.normal(size=(K, p)), rng.normal(size=(K, p)), rng.uniform(0.5, 2, K)
    mean, variance = _bank_prior.moments(m, s2, theta_0, v, noise)
    for j in range(p):
        expected = literally(m[:, j], s2[:, j], theta_0[:, j], v[:, j], noise)
        assert (mean[j], variance[j]) == pytest.approx(expected, rel=1e-12)
        other = literally(m[:, j], 1.01 * s2[:, j], theta_0[:, j], v[:, j], noise)
        assert abs(other[1] / variance[j] - 1) > 1e-9


def population(impl, mean, sd, *, K=400, rows=12, noise=1.0, seed=0, **more):
    """A bank of K keys whose parameters are normal about `mean` (p,) with deviations `sd` (p,)."""
    rng = np.random.default_rng(seed)
    p = len(mean)
    theta = mean + sd * rng.normal(size=(K, p))
    keys = np.tile(np.arange(K), rows)
    X = rng.normal(size=(len(keys), p - 1))
    y = np.sum(X * theta[keys, : p - 1], axis=1) + theta[keys, p - 1] + noise * rng.normal(size=len(keys))
    family = impl.Gaussian(variance=None) if more.pop("learned", False) else impl.Gaussian(variance=noise**2)
    bank = impl.Bank(impl.Linear(p - 1), family, belief=impl.Full(25.0), **more)
    bank.update(keys, X, y, trace=False)
    return bank


MEAN, SD = np.array([1.0, -2.0, 5.0]), np.array([0.5, 0.1, 1.5])


@pytest.mark.parametrize("learned", [False, True])
def test_it_finds_mean_and_spread(impl, learned):
    K = 2000 if impl.__name__ == "kfng" else 300
    bank = population(impl, MEAN, SD, K=K, learned=learned)
    bank.share_prior()
    prior = bank["new"] if "new" in bank else bank._priors[-1]
    assert np.abs(prior.theta - MEAN).max() < 5 * (SD.max() + 1) / np.sqrt(K)
    found = np.sqrt(prior.belief.prior_variance)
    assert np.abs(found[[0, 2]] / SD[[0, 2]] - 1).max() < 0.25
    assert 0.03 < found[1] < 0.25
    if learned:  # variances are then relative to each key's own noise
        return
    plain = np.std(bank.theta(bank.keys()), axis=0)
    assert (found < plain + 0.02).all(), "what the keys do not know is no spread of theirs"


def test_new_keys_start_there_and_old_ones_stay(impl):
    bank = population(impl, MEAN, SD, K=100)
    before = bits(bank)
    unseen = bank.predict(["x"], np.zeros((1, 2)), return_std=True)
    bank.share_prior()
    assert bits(bank) == before
    mean, std = bank.predict(["x"], np.zeros((1, 2)), return_std=True)
    assert abs(mean[0] - MEAN[2]) < 1.0
    assert std[0] < unseen[1][0]
    bank.update(["x"], np.zeros((1, 2)), [np.nan])
    prior = bank._priors[-1]
    assert np.array_equal(bank.theta(["x"])[0], prior.theta)
    np.testing.assert_allclose(bank.std(["x"])[0] ** 2, prior.belief.prior_variance, rtol=1e-14)
    assert np.array_equal(bank["x"].settings.theta, prior.theta)
    assert bank[3].settings.spec() == bank.settings.spec()


def test_it_helps(impl):
    """Keys of the same population are predicted better, and by a truthful density, from their first row on."""
    scores = []
    for shared in (False, True):
        bank = population(impl, MEAN, SD, K=150)
        if shared:
            bank.share_prior()
        rng = np.random.default_rng(9)
        theta = MEAN + SD * rng.normal(size=(150, 3))
        keys, X = np.arange(1000, 1150), rng.normal(size=(150, 2))
        y = np.sum(X * theta[:, :2], axis=1) + theta[:, 2] + rng.normal(size=150)
        trace = bank.update(keys, X, y)
        scores.append(
            (
                np.mean((trace.prediction - y) ** 2),
                np.mean(trace.nll),
                np.mean(((trace.prediction - y) / trace.std) ** 2),
            )
        )
    (mse, nll, _), (shared_mse, shared_nll, calibration) = scores
    assert shared_mse < 0.5 * mse
    assert shared_nll < nll - 0.5
    assert 0.7 < calibration < 1.4


@pytest.mark.parametrize("variance", [None, "each"])
def test_noise_that_is_learned_starts_where_the_others_are(impl, variance):
    k = 1 if variance is None else 2
    bank = impl.Bank(impl.Linear(2, k), impl.Gaussian(variance=variance), belief=impl.Full(25.0))
    rng = np.random.default_rng(0)
    keys, X = np.arange(1500) % 50, rng.normal(size=(1500, 2))
    Y = X[:, :1] + [[0.2, 3.0]] * rng.normal(size=(1500, 2))
    bank.update(keys, X, Y[:, :k])
    bank.share_prior()
    scales = [0.2, 3.0][:k]
    np.testing.assert_allclose(bank.prior.noise_scale, scales, rtol=0.15)
    state = [bank[key]._state() for key in bank]
    literal = sum(s["noise"][1] - 1.5 for s in state) / sum(s["noise"][0] - 1.5 for s in state)
    np.testing.assert_allclose(bank.prior.noise_scale**2, literal, rtol=1e-12)
    bank.update(["x"], np.zeros((1, 2)), Y[:1, :k] * np.nan)
    assert bank["x"].settings.family.prior_dof == 3.0
    np.testing.assert_allclose(bank["x"]._state()["noise"][1], 1.5 * bank.prior.noise_scale**2, rtol=1e-12)


def test_the_prior_starts_another_bank(impl):
    bank = population(impl, MEAN, SD, K=60, learned=True)
    bank.share_prior()
    theta, variance, scale = bank.prior
    family = impl.Gaussian(variance=None, prior_scale=float(scale[0]))
    other = impl.Bank(impl.Linear(2), family, theta=theta, belief=impl.Full(variance))
    X = np.ones((1, 2))
    assert [part.tobytes() for part in other.predict([1], X, return_std=True)] == [
        part.tobytes() for part in bank.predict(["x"], X, return_std=True)
    ]


def test_keys_that_know_nothing_say_nothing(impl):
    bank = population(impl, MEAN, SD, K=60)
    twin = bank.copy()
    for i in range(40):
        twin.update([f"empty {i}"], np.zeros((1, 2)), [np.nan])
    for one in (bank, twin):
        one.share_prior()
    assert np.array_equal(bank._priors[-1].theta, twin._priors[-1].theta)
    assert bank._priors[-1].belief == twin._priors[-1].belief


def test_a_parameter_that_no_key_knows_of_keeps_its_prior(impl):
    bank = impl.Bank(
        impl.Linear(2), impl.Gaussian(1.0), theta=[7.0, 8.0, 9.0], belief=impl.Full(np.array([1.0, 2.0, 3.0]))
    )
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 2))
    X[:, 1] = 0.0
    bank.update(np.arange(60) % 6, X, rng.normal(size=60))
    bank.share_prior()
    prior = bank._priors[-1]
    assert (prior.theta[1], prior.belief.prior_variance[1]) == (8.0, 2.0)
    assert prior.theta[0] != 7.0


def test_keys_that_are_all_alike_still_leave_some_room(impl):
    bank = make(impl)
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(30, 3)), rng.normal(size=30)
    for key in "abc":
        bank.update([key] * 30, X, y)
    bank.share_prior()
    assert (np.asarray(bank._priors[-1].belief.prior_variance) > 0).all()


def test_again_with_keys_of_two_priors(impl):
    bank = population(impl, MEAN, SD, K=100)
    bank.share_prior()
    rng = np.random.default_rng(2)
    theta = MEAN + SD * rng.normal(size=(100, 3))
    X = rng.normal(size=(100, 2))
    bank.update(np.arange(500, 600), X, np.sum(X * theta[:, :2], axis=1) + theta[:, 2])
    bank.share_prior()
    assert len(bank._priors) == 3
    np.testing.assert_allclose(bank._priors[-1].theta, MEAN, atol=0.6)
    np.testing.assert_allclose(np.sqrt(bank._priors[-1].belief.prior_variance)[[0, 2]], SD[[0, 2]], rtol=0.4)


def test_too_few(impl):
    bank = make(impl)
    with refused(impl.ParameterError, "keys", bank):
        bank.share_prior()
    bank.update(["a", "b"], np.ones((2, 3)), [1.0, np.nan])
    with refused(impl.ParameterError, "keys", bank):
        bank.share_prior()


@pytest.mark.parametrize("rule", ["Fading", "NaturalGradient", "ProcessNoise"])
def test_with_every_rule_that_has_a_posterior(impl, rule):
    rules = {
        "Fading": impl.Fading(0.02),
        "NaturalGradient": impl.NaturalGradient(impl.InverseTime(2.0, 2.0)),
        "ProcessNoise": impl.ProcessNoise(1e-4),
    }
    bank = population(impl, MEAN, SD, K=200, rule=rules[rule])
    bank.share_prior()
    np.testing.assert_allclose(bank._priors[-1].theta, MEAN, atol=0.6)
    bank.update(["x"], np.zeros((1, 2)), [np.nan])
    assert 1.0 < bank.std(["x"])[0, 2] < 2.5
