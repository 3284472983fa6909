"""T24: approximations of ds. Deterministic ones are RTRL where nothing is left out; UORO is right on average, its square is not.

SnAp(n) == RTRL once n exceeds the longest distance between units by one; DiagonalRTRL == RTRL where units do not mix.
UORO: over all signs of T = 3 rows the mean of s~theta~' is ds, and the mean of ds~'ds~ is larger than ds'ds.
Controls: n one smaller; a cell whose units mix; the mean over half of the signs. Source: Menick et al. 2020; Tallec and Ollivier 2017.
"""

import itertools

import numpy as np
import pytest
from theory.cells import CELLS, D, derivative
from tolerances import CONTROL

TOL = 1e-12
CHAIN = np.eye(4) + np.eye(4, k=-1)
"""Unit i hears itself and unit i - 1: the first reaches the last in three steps."""


def run(impl, model, sensitivity, rows=30, prior=0.05, seed=0, **options):
    rng = np.random.default_rng(seed)
    U, Y = rng.normal(size=(rows, model.inputs)), rng.normal(size=(rows, model.outputs))
    theta = 0.5 * rng.normal(size=model.n_parameters)
    options = {"belief": impl.Full(prior), "theta": theta, "guards": impl.Guards.none()} | options
    flt = impl.Filter(model, impl.Gaussian(0.5), sensitivity=sensitivity, **options)
    flt.update_many(U, Y)
    return flt


def apart(flt, other):
    return max(np.max(np.abs(flt.theta - other.theta)), np.max(np.abs(flt.influence - other.influence)),
               np.max(np.abs(flt.cov() - other.cov())), np.max(np.abs(flt.state - other.state)))  # fmt: skip


def check(flt, other, same):
    error = apart(flt, other)
    assert error < TOL if same else error > CONTROL * TOL


@pytest.mark.parametrize("options", [{}, {"state_prior": 0.1}], ids=["known", "unknown"])
@pytest.mark.parametrize(("n", "same"), [(4, True), (7, True), (3, False), (1, False)])
def test_snap_on_a_chain(recurrent_impl, n, same, options):
    impl = recurrent_impl
    model = impl.RNN(2, 4, 2, mask=CHAIN)
    check(run(impl, model, impl.SnAp(n), **options), run(impl, model, impl.RTRL(), **options), same)


@pytest.mark.parametrize(("n", "same"), [(2, True), (1, False)])
@pytest.mark.parametrize("name", ["RNN", "GRU", "LSTM", "LinearStateSpace"])
def test_snap_on_a_dense_cell(recurrent_impl, name, n, same):
    impl, model = recurrent_impl, CELLS[name].model(recurrent_impl, 1)
    check(run(impl, model, impl.SnAp(n)), run(impl, model, impl.RTRL()), same)


@pytest.mark.parametrize(
    ("name", "same"), [("LRU", True), ("LRU scaled", True), ("RNN", False), ("GRU", False), ("LSTM", False)]
)
def test_units_that_do_not_mix(recurrent_impl, name, same):
    impl, model = recurrent_impl, CELLS[name].model(recurrent_impl, 2)
    check(run(impl, model, impl.DiagonalRTRL()), run(impl, model, impl.RTRL()), same)
    # SnAp(1) is DiagonalRTRL too, but for the LSTM, whose output gate reaches its own c after one step alone
    check(run(impl, model, impl.SnAp(1)), run(impl, model, impl.DiagonalRTRL()), name != "LSTM")


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_what_is_left_out(recurrent_impl, name):
    """One row from ds = 0 gives f_theta itself; the pattern of SnAp(1) is that of f_theta ever after."""
    impl, cell = recurrent_impl, CELLS[name]
    model = cell.model(impl, 1)
    flt = run(impl, model, impl.SnAp(1))
    assert not flt.influence[~model.parameter_pattern()].any()
    assert (flt.influence[model.parameter_pattern()] != 0).mean() > 0.9


# -- UORO
def uoro_step(s, theta, f_s, f_theta, nu):
    """s~ and theta~ after a row, from the paper."""
    a, c = f_s @ s, nu @ f_theta
    norm = np.linalg.norm
    rho_0 = np.sqrt(norm(theta) / norm(a)) if norm(theta) * norm(a) > 0 else 1.0
    rho_1 = np.sqrt(norm(c) / norm(nu)) if norm(c) > 0 else 1.0
    return rho_0 * a + rho_1 * nu, theta / rho_0 + c / rho_1


def partials(cell, theta, U):
    """f_s and f_theta of each row, theta standing still."""
    s, found = np.full(cell.n, 0.2), []
    for u in U:
        found.append(
            (
                derivative(lambda x, s=s, u=u: cell.f(theta, x, u), s),
                derivative(lambda x, s=s, u=u: cell.f(x, s, u), theta),
            )
        )
        s = cell.f(theta, s, u)
    return found


def every_sign(cell, steps, half=False):
    """Mean of ds~ and of ds~'ds~ over all signs of all rows; `half` keeps those that start with +1."""
    signs = np.array(list(itertools.product([1.0, -1.0], repeat=cell.n)))
    mean, square, count = 0.0, 0.0, 0
    for nus in itertools.product(range(len(signs)), repeat=len(steps)):
        s, theta = np.zeros(cell.n), np.zeros(steps[0][1].shape[1])
        if half and any(signs[i][0] < 0 for i in nus):
            continue
        for i, (f_s, f_theta) in zip(nus, steps, strict=True):
            s, theta = uoro_step(s, theta, f_s, f_theta, signs[i])
        ds = np.outer(s, theta)
        mean, square, count = mean + ds, square + ds.T @ ds, count + 1
    return mean / count, square / count


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("name", ["RNN", "GRU", "LRU", "LinearStateSpace"])
def test_uoro_is_unbiased_and_its_fisher_is_not(name, half):
    cell = CELLS[name]
    rng = np.random.default_rng(3)
    theta, U = cell.start(1, 3), rng.normal(size=(3, D))
    steps = partials(cell, theta, U)
    ds = np.zeros((cell.n, cell.p(1)))
    for f_s, f_theta in steps:
        ds = f_s @ ds + f_theta
    mean, square = every_sign(cell, steps, half)
    error = np.max(np.abs(mean - ds))
    assert error > CONTROL * TOL if half else error < TOL
    if not half:
        assert np.trace(square) > 1.5 * np.trace(ds.T @ ds)


GOLDEN, MASK = 0x9E3779B97F4A7C15, 2**64 - 1


def splitmix64(state):
    """The next number of the generator (Steele, Lea and Flood 2014), from the published C code."""
    z = (state + GOLDEN) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def test_the_generator_is_the_published_one():
    assert [splitmix64(1234567 + i * GOLDEN) for i in range(3)] == [
        6457827717110365317, 3203168211198807973, 9817491932198370423,
    ]  # fmt: skip


@pytest.mark.parametrize("seed", [0, 5, 2**63 - 1])
@pytest.mark.parametrize("name", ["RNN", "GRU", "LSTM", "LinearStateSpace", "LRU"])
def test_a_filter_with_uoro(recurrent_impl, name, seed):
    """SGD on s~ theta~', every row; a missing y moves s~ and theta~ alone. Control: another seed."""
    impl, cell, lr, R = recurrent_impl, CELLS[name], 0.002, 0.5
    rng = np.random.default_rng(11)
    theta, s, U, Y = cell.start(1, 4), np.full(cell.n, 0.1), rng.normal(size=(20, D)), rng.normal(size=20)
    Y[[3, 4, 11]] = np.nan
    make = lambda seed: impl.Filter(  # noqa: E731
        cell.model(impl, 1), impl.Gaussian(R), rule=impl.SGD(lr), sensitivity=impl.UORO(seed), theta=theta, state=s
    )
    flt, other = make(seed), make(3)
    flt.update_many(U, Y), other.update_many(U, Y)
    s_t, theta_t = np.zeros(cell.n), np.zeros(cell.p(1))
    start = theta
    for t, (u, y) in enumerate(zip(U, Y, strict=True)):
        bits = [splitmix64((seed + (t * cell.n + i) * GOLDEN) & MASK) >> 63 for i in range(cell.n)]
        f_s = derivative(lambda x, u=u, theta=theta: cell.f(theta, x, u), s)
        f_theta = derivative(lambda x, u=u, s=s: cell.f(x, s, u), theta)
        s_t, theta_t = uoro_step(s_t, theta_t, f_s, f_theta, 1.0 - 2.0 * np.array(bits))
        s = cell.f(theta, s, u)
        if not np.isnan(y):
            dz = np.outer(derivative(lambda x, theta=theta: cell.h(theta, x, 1), s) @ s_t, theta_t)
            dz = dz + derivative(lambda x, s=s: cell.h(x, s, 1), theta)
            theta = theta + lr * dz.T @ (y - cell.h(theta, s, 1)) / R
    size = np.max(np.abs(theta - start))
    assert np.max(np.abs(flt.theta - theta)) < TOL * max(1, size)
    assert np.max(np.abs(flt.influence - np.outer(s_t, theta_t))) < 1e-10 * max(1, np.max(np.abs(flt.influence)))
    np.testing.assert_allclose(flt.state, s, rtol=0, atol=1e-11)
    assert np.max(np.abs(other.theta - theta)) > CONTROL * TOL
