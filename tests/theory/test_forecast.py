"""Forecasts several rows ahead are the time step of the joint filter of (s, theta), over and over.

    given inputs:  P <- F P F',                 F = [[ds'/ds, ds'/dtheta], [0, I]]
    fed back:      u = mean(h(s, theta)) + noise where y was not seen:  the same with d/ds, d/dtheta of the whole loop, and
                   f_u V f_u' added, V the covariance of the noise;   Cov(y) = m' H P H' m' + noise

Derivatives are complex steps of the loop as a whole. Controls: without f_u V f_u'; the loop's feedback left out of F.
"""

from functools import cache

import numpy as np
import pytest
from theory import joint_ekf
from theory.cells import CELLS, derivative, parts, times
from tolerances import CONTROL

TOL = 1e-12
STEPS = 6


class Loop:
    """f, h and the law's moments of a model that can be fed its own predictions: k = d."""

    def __init__(self, f, h, moments):
        self.f, self.h, self.moments = f, h, moments

    def ahead(self, s, theta, P, U=None, y=None, without_noise=False, without_loop=False):
        """Means and covariances (STEPS, k, k) of y."""
        mean, cov = [], []
        for i in range(STEPS):
            if U is not None:
                s, P = self.once(s, theta, P, U[i], np.ones(len(U[i]), dtype=bool), without_noise, without_loop)
            else:
                known = ~np.isnan(y) if i == 0 else np.zeros(len(y), dtype=bool)
                s, P = self.once(s, theta, P, y, known, without_noise, without_loop)
            H = np.hstack(
                [derivative(lambda x, s=s: self.h(theta, x), s), derivative(lambda x, s=s: self.h(x, s), theta)]
            )
            m, R, slope = self.moments(self.h(theta, s))
            mean.append(m)
            cov.append(slope @ H @ P @ H.T @ slope.T + R)
        return np.array(mean), np.array(cov)

    def once(self, s, theta, P, y, known, without_noise, without_loop):
        """s and P after a row whose input is y where it is known, else the mean of the row before, plus its noise."""
        n = len(s)
        u = np.where(known, y, self.moments(self.h(theta, s))[0])

        def loop(theta, s):
            return self.f(theta, s, u if without_loop else np.where(known, y, self.moments(self.h(theta, s))[0]))

        F, noise = np.eye(len(P)), np.zeros((n, n))
        F[:n, :n] = derivative(lambda x: loop(theta, x), s)
        F[:n, n:] = derivative(lambda x: loop(x, s), theta)
        if not (known.all() or without_noise):
            f_u = derivative(lambda x: self.f(theta, s, x), u)[:, ~known]
            noise = f_u @ np.atleast_2d(self.moments(self.h(theta, s))[1])[np.ix_(~known, ~known)] @ f_u.T
        P = F @ P @ F.T
        P[:n, :n] += noise
        return self.f(theta, s, u), P


def single(theta, s, x):
    """An Elman network with one input and three units."""
    W, V, b = parts(theta[..., :15], (3, 1), (3, 3), (3,))
    return np.tanh(times(W, x) + times(V, s) + b)


def read_out(theta, s):
    C, c = parts(theta[..., 15:], (1, 3), (1,))
    return times(C, s) + c


def gaussian_1(z):
    return z, 0.3 * np.eye(1), np.eye(1)


def bernoulli(z):
    m = 1 / (1 + np.exp(-z))
    return m, np.diag((m * (1 - m)).real.reshape(-1)[:1]), np.diag((m * (1 - m)).real.reshape(-1)[:1])


def poisson(z):
    m = np.exp(z)
    return m, np.diag(m.real.reshape(-1)[:1]), np.diag(m.real.reshape(-1)[:1])


def gaussian_2(z):
    return z, joint_ekf.R2, np.eye(2)


ONE = {
    "one Gaussian": (gaussian_1, lambda impl: impl.Gaussian(0.3), lambda rng: rng.normal(size=20)),
    "one Bernoulli": (bernoulli, lambda impl: impl.Bernoulli(), lambda rng: rng.integers(0, 2, size=20).astype(float)),
    "one Poisson": (poisson, lambda impl: impl.Poisson(), lambda rng: rng.poisson(1.0, size=20).astype(float)),
}
TWO = ("RNN", "GRU scaled", "LSTM", "LinearStateSpace", "LRU scaled")


@cache
def filtered(impl, name):
    """A loop, and its filter after 20 rows."""
    rng = np.random.default_rng(6)
    if name in ONE:
        moments, family, draw = ONE[name]
        model, loop, Y = impl.RNN(1, 3, 1), Loop(single, read_out, moments), draw(rng)[:, None]
        family = family(impl)
    else:
        cell = CELLS[name]
        model, loop = cell.model(impl, 2), Loop(cell.f, lambda theta, s: cell.h(theta, s, 2), gaussian_2)
        family, Y = impl.Gaussian(covariance=joint_ekf.R2), rng.normal(size=(20, 2))
    theta = 0.4 * rng.normal(size=model.n_parameters)
    flt = impl.Filter(model, family, belief=impl.Full(0.03), theta=theta)
    flt.update_many(rng.normal(size=Y.shape), Y)
    return loop, flt


def difference(found, mean, cov):
    wanted = np.sqrt(np.diagonal(cov, axis1=1, axis2=2))
    m, sd = (np.reshape(part, wanted.shape) for part in found)
    return max(np.max(np.abs(m - mean)), np.max(np.abs(sd - wanted)))


def last_row(flt, gone):
    """One more row; `gone` says of which outputs y is missing. The filter after it, and y."""
    flt, k = flt.copy(), flt.settings.k
    y = np.where(np.arange(k) < gone, np.nan, 1.0)
    flt.update(np.full(k, 0.3), y if k > 1 else float(y[0]))
    return flt, y


@pytest.mark.parametrize("name", [*ONE, *TWO])
def test_given_inputs(recurrent_impl, name):
    loop, flt = filtered(recurrent_impl, name)
    U = np.random.default_rng(1).normal(size=(STEPS, flt.settings.k))
    before = flt._state()
    found = flt.forecast(U)
    assert difference(found, *loop.ahead(flt.state, flt.theta, flt.joint_cov(), U)) < TOL
    other = loop.ahead(flt.state, flt.theta, flt.joint_cov(), 0.99 * U)
    assert difference(found, *other) > CONTROL * TOL
    assert all(np.array_equal(part, flt._state()[key]) for key, part in before.items())


@pytest.mark.parametrize("control", [None, "without_noise", "without_loop"])
@pytest.mark.parametrize("gone", [0, 1, 2])
@pytest.mark.parametrize("name", [*ONE, *TWO])
def test_fed_back(recurrent_impl, name, gone, control):
    loop, flt = filtered(recurrent_impl, name)
    flt, y = last_row(flt, gone)
    found = flt.forecast(steps=STEPS)
    assert found[0].shape == found[1].shape == ((STEPS,) if len(y) == 1 else (STEPS, 2))
    exact = loop.ahead(flt.state, flt.theta, flt.joint_cov(), y=y, **({control: True} if control else {}))
    error = difference(found, *exact)
    assert error > CONTROL * TOL if control else error < TOL


@pytest.mark.parametrize("learned", [None, "each"])
def test_learned_noise_is_fed_back_too(recurrent_impl, learned):
    """The same forecast as with that noise variance given: sigma² relative to itself is 1."""
    impl, rng = recurrent_impl, np.random.default_rng(3)
    U, Y = rng.normal(size=(20, 2)), rng.normal(size=(20, 2))
    flt = impl.Filter(impl.RNN(2, 3, 2), impl.Gaussian(learned), belief=impl.Full(0.05))
    flt.update_many(U, Y)
    cell = CELLS["RNN"]
    a, b = flt._noise()
    R = np.diag(np.broadcast_to(b / (a - 1) if learned is None else b / a, 2))
    loop = Loop(cell.f, lambda theta, s: cell.h(theta, s, 2), lambda z: (z, R, np.eye(2)))
    exact = loop.ahead(flt.state, flt.theta, flt.joint_cov(), y=Y[-1])
    assert difference(flt.forecast(steps=STEPS), *exact) < TOL
    spread = flt.forecast(steps=STEPS, include_noise=False)[1]
    np.testing.assert_allclose(spread**2 + np.diagonal(R), flt.forecast(steps=STEPS)[1] ** 2, rtol=1e-12)


def test_the_first_row_of_a_forecast_is_the_prediction(recurrent_impl):
    loop, flt = filtered(recurrent_impl, "GRU scaled")
    flt, y = last_row(flt, 0)
    mean, std = flt.predict(np.atleast_2d(y), return_std=True)
    for found in (flt.forecast(np.atleast_2d(y)), flt.forecast(steps=1)):
        np.testing.assert_allclose(found[0], mean, rtol=1e-13)
        np.testing.assert_allclose(found[1], std, rtol=1e-13)


def test_with_an_unknown_initial_state(recurrent_impl):
    impl, cell = recurrent_impl, CELLS["RNN"]
    rng = np.random.default_rng(5)
    flt = impl.Filter(
        cell.model(impl, 2), impl.Gaussian(covariance=joint_ekf.R2), belief=impl.Full(0.03), state_prior=0.5
    )
    flt.update_many(rng.normal(size=(9, 2)), rng.normal(size=(9, 2)))
    flt, y = last_row(flt, 1)
    loop = Loop(cell.f, lambda theta, s: cell.h(theta, s, 2), gaussian_2)
    exact = loop.ahead(flt.state, flt.theta, flt.joint_cov(), y=y)
    assert difference(flt.forecast(steps=STEPS), *exact) < TOL


def test_without_a_posterior_the_noise_alone_is_carried(recurrent_impl):
    impl, cell = recurrent_impl, CELLS["RNN"]
    rng = np.random.default_rng(5)
    for sensitivity in (impl.RTRL(), impl.UORO()):
        flt = impl.Filter(
            cell.model(impl, 2), impl.Gaussian(covariance=joint_ekf.R2), rule=impl.SGD(0.01), sensitivity=sensitivity
        )
        flt.update_many(rng.normal(size=(9, 2)), rng.normal(size=(9, 2)))
        loop = Loop(cell.f, lambda theta, s: cell.h(theta, s, 2), gaussian_2)
        flt, y = last_row(flt, 1)
        P = np.zeros((3 + len(flt.theta), 3 + len(flt.theta)))
        assert difference(flt.forecast(steps=STEPS), *loop.ahead(flt.state, flt.theta, P, y=y)) < TOL
