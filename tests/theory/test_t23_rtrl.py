"""T23: ds of RTRL is the derivative of the unrolled model, by complex step and by back-propagation through time.

theta stands still (every y is missing); T = 50 rows. Control: what enters from f_s is left out at one row.
"""

import numpy as np
import pytest
from theory.cells import CELLS, STEP, D, derivative
from tolerances import CONTROL

T, K, TOL = 50, 2, 1e-12


def rows(cell, seed=7):
    rng = np.random.default_rng(seed)
    s_0 = 0.3 * rng.normal(size=cell.n)
    theta = cell.start(K, seed, 0.35 if "Linear" in str(cell) else 0.5)
    return theta, s_0, rng.normal(size=(T, D))


def unrolled(cell, theta, s_0, U):
    """ds_T/dtheta (n, p): all T rows at complex theta."""
    s = np.tile(s_0.astype(complex), (len(theta), 1))
    for u in U:
        s = cell.f(theta + 1j * STEP * np.eye(len(theta)), s, u)
    return s.imag.T / STEP


def through_time(cell, theta, s_0, U, cut=None):
    """The same backwards: lambda_T = I, ds = sum_t lambda_t f_theta, lambda_{t-1} = lambda_t f_s; `cut` a row without f_s."""
    states = [s_0]
    for u in U:
        states.append(cell.f(theta, states[-1], u))
    back, ds = np.eye(cell.n), np.zeros((cell.n, len(theta)))
    for t in reversed(range(len(U))):
        ds += back @ derivative(lambda x, t=t: cell.f(x, states[t], U[t]), theta)
        back = back @ derivative(lambda x, t=t: cell.f(theta, x, U[t]), states[t])
        if t == cut:
            back = 0 * back
    return ds


@pytest.mark.parametrize("name", CELLS)
def test_three_ways(recurrent_impl, name):
    cell = CELLS[name]
    theta, s_0, U = rows(cell)
    flt = recurrent_impl.Filter(
        cell.model(recurrent_impl, K), recurrent_impl.Gaussian(), theta=theta, state=s_0,
        guards=recurrent_impl.Guards.none(),
    )  # fmt: skip
    flt.update_many(U, np.full((T, K), np.nan))
    exact = unrolled(cell, theta, s_0, U)
    size = np.max(np.abs(exact))
    assert np.array_equal(flt.theta, theta)
    assert np.max(np.abs(flt.influence - exact)) < TOL * size
    assert np.max(np.abs(through_time(cell, theta, s_0, U) - exact)) < TOL * size
    control = through_time(cell, theta, s_0, U, cut=T - 3)
    assert np.max(np.abs(control - exact)) > CONTROL * TOL * size
    assert flt.health()["influence_max"] == pytest.approx(size, rel=1e-10)


@pytest.mark.parametrize("name", CELLS)
def test_the_state_is_the_run_of_the_cell(recurrent_impl, name):
    cell = CELLS[name]
    theta, s, U = rows(cell)
    flt = recurrent_impl.Filter(cell.model(recurrent_impl, K), recurrent_impl.Gaussian(), theta=theta, state=s)
    trace = flt.update_many(U, np.full((T, K), np.nan))
    for t, u in enumerate(U):
        s = cell.f(theta, s, u)
        np.testing.assert_allclose(
            trace.prediction[t], cell.h(theta, s, K), rtol=0, atol=1e-12 * max(1, np.abs(s).max())
        )
    np.testing.assert_allclose(flt.state, s, rtol=0, atol=1e-12 * max(1, np.abs(s).max()))
