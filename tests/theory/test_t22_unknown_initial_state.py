"""T22: with an unknown s_0 the belief is about phi = (s_0, theta), ds_0 = [I 0]; it is the joint filter of (s, s_0, theta).

The textbook side carries s_0 beside s through the same extended Kalman filter, so that for lam = 0 its block is the
fixed-point-smoothed initial state. In a linear model with known parameters that is a ridge regression on s_0.
Control: the initial state taken as known, or its prior a hundredth larger.
"""

from functools import cache

import numpy as np
import pytest
from theory import joint_ekf
from theory.cells import CELLS, D
from tolerances import CONTROL

MODELS = ("RNN", "GRU", "LSTM scaled", "LinearStateSpace", "LRU")
TOL = {0.0: 1e-12, 0.01: 1e-10}
START = 0.3


def prior_of_state(n):
    root = np.eye(n) + np.tril(np.full((n, n), 0.3), -1)
    return 0.2 * root @ root.T


@cache
def exact(cell, lam, scale=1.0):
    rows = joint_ekf.stream(cell, "Gaussian")
    n = rows.cell.n
    return rows, joint_ekf.run(rows, lam, s_0=np.full(n, START), state_prior=scale * prior_of_state(n))


@cache
def fed(impl, cell, lam):
    rows, _ = exact(cell, lam)
    n = rows.cell.n
    flt = impl.Filter(
        rows.cell.model(impl, 2),
        rows.law.family(impl),
        belief=impl.Full(rows.prior),
        rule=impl.Fading(lam) if lam else impl.Kalman(),
        theta=rows.theta_0,
        state=np.full(n, START),
        state_prior=prior_of_state(n),
        guards=impl.Guards.none(),
    )
    found = joint_ekf.feed(flt, rows)
    return found, flt.initial_state, flt._covariance(), flt.influence


@pytest.mark.parametrize("control", [False, True])
@pytest.mark.parametrize("lam", TOL)
@pytest.mark.parametrize("cell", MODELS)
def test_it_is_the_joint_ekf(recurrent_impl, cell, lam, control):
    rows, path = exact(cell, lam, 1.01 if control else 1.0)
    found, initial, P, influence = fed(recurrent_impl, cell, lam)
    n, sd = rows.cell.n, np.sqrt(np.diagonal(path.first_P))
    assert influence.shape == (n, n + rows.p)
    smoothed = max(np.max(np.abs(initial - path.first) / sd[:n]), np.max(np.abs(P - path.first_P) / np.outer(sd, sd)))
    assert np.max(np.abs(path.first - START)) > 0.01  # something was learned about s_0
    error = max(joint_ekf.apart(found, path), smoothed)
    assert error > CONTROL * TOL[lam] if control else error < TOL[lam]


@pytest.mark.parametrize("known", [False, True])
def test_linear_model_with_known_parameters(recurrent_impl, known):
    """z_t = C A^t s_0 + what the inputs do: s_0 by ridge regression."""
    impl, cell, rng = recurrent_impl, CELLS["LinearStateSpace"], np.random.default_rng(8)
    theta, n, T = cell.start(1, seed=2), cell.n, 25
    U, Y, R = rng.normal(size=(T, D)), rng.normal(size=T), 0.3
    flt = impl.Filter(
        cell.model(impl, 1),
        impl.Gaussian(R),
        belief=impl.Full(1e-24),
        theta=theta,
        state=np.full(n, START),
        state_prior=None if known else prior_of_state(n),
    )
    flt.update_many(U, Y)

    def outputs(s):
        z = []
        for u in U:
            s = cell.f(theta, s, u)
            z.append(cell.h(theta, s, 1)[0])
        return np.array(z)

    H = np.stack([outputs(np.eye(n)[i]) - outputs(np.zeros(n)) for i in range(n)], axis=1)
    J = np.linalg.inv(prior_of_state(n)) + H.T @ H / R
    ridge = START + np.linalg.solve(J, H.T @ (Y - outputs(np.full(n, START))) / R)
    error = np.max(np.abs(flt.initial_state - ridge))
    assert error > 1e-3 if known else error < 1e-10


def test_theta_is_read_without_the_initial_state(recurrent_impl):
    impl, cell = recurrent_impl, CELLS["RNN"]
    rows = joint_ekf.stream("RNN", "Gaussian")
    flt = impl.Filter(cell.model(impl, 2), rows.law.family(impl), theta=rows.theta_0, state_prior=0.5)
    joint_ekf.feed(flt, rows)
    P, n, p = flt._covariance(), cell.n, rows.p
    assert (flt.theta.shape, flt.initial_state.shape, flt.state.shape) == ((p,), (n,), (n,))
    np.testing.assert_allclose(flt.cov(), P[n:, n:], rtol=1e-12)
    np.testing.assert_allclose(flt.std() ** 2, np.diagonal(P)[n:], rtol=1e-12)
    np.testing.assert_allclose(flt.precision() @ flt.cov(), np.eye(p), atol=1e-8)
    draws = flt.sample(4000, seed=1)
    assert draws.shape == (4000, p)
    assert np.max(np.abs(np.cov(draws.T) - flt.cov()) / np.outer(flt.std(), flt.std())) < 0.1
