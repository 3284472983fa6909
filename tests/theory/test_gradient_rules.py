"""SGD and Adam on the score g = w·dz'e, with a static model and on real-time recurrent learning.

The recursions are written out here; dz is a complex-step derivative, of a recurrent model with ds carried along by hand.
Controls: the score without its weight; Adam without its bias correction; the state without its correction.
"""

import numpy as np
import pytest
from theory.cells import CELLS, D, derivative
from tolerances import CONTROL

TOL = 1e-12
R = 0.4


def power(t):
    return 0.03 * (t + 1) ** -0.5


RATES = {
    "number": (lambda impl: 0.02, lambda t: 0.02),
    "schedule": (lambda impl: impl.Power(0.03, 0.5), power),
    "function": (lambda impl: power, power),
}


class Literal:
    """theta and the moments of Adam (eps None: SGD)."""

    def __init__(self, theta, rate, eps=None, unbiased=True):
        self.theta, self.rate, self.eps, self.unbiased = theta, rate, eps, unbiased
        self.m, self.v, self.t = 0.0, 0.0, 0

    def step(self, g):
        self.t += 1
        direction = g
        if self.eps is not None:
            self.m, self.v = 0.8 * self.m + 0.2 * g, 0.95 * self.v + 0.05 * g**2
            correct = (1 - 0.8**self.t, 1 - 0.95**self.t) if self.unbiased else (1, 1)
            direction = self.m / correct[0] / (np.sqrt(self.v / correct[1]) + self.eps)
        moved = self.rate(self.t) * direction
        self.theta = self.theta + moved
        return moved


def rule(impl, adam, rate):
    made = RATES[rate][0](impl)
    return impl.Adam(made, beta1=0.8, beta2=0.95, eps=1e-6) if adam else impl.SGD(made)


def data(seed=2, n=30):
    rng = np.random.default_rng(seed)
    U, Y, w = rng.normal(size=(n, D)), 1 + rng.normal(size=n), rng.choice([0.0, 0.5, 2.0], size=n)
    Y[[4, 5, 17]] = np.nan
    return U, Y, w


@pytest.mark.parametrize("control", [None, "weight", "bias"])
@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("adam", [False, True])
def test_linear(recurrent_impl, adam, rate, control):
    impl, (U, Y, w) = recurrent_impl, data()
    flt = impl.Filter(impl.Linear(D), impl.Gaussian(R), rule=rule(impl, adam, rate))
    flt.update_many(U, Y, weight=w)
    exact = Literal(np.zeros(D + 1), RATES[rate][1], 1e-6 if adam else None, control != "bias")
    for u, y, weight in zip(U, Y, w, strict=True):
        if weight > 0 and not np.isnan(y):
            h = np.append(u, 1.0)
            exact.step((1.0 if control == "weight" else weight) * h * (y - h @ exact.theta) / R)
    error = np.max(np.abs(flt.theta - exact.theta))
    assert error < TOL if control is None or (control == "bias" and not adam) else error > CONTROL * TOL
    assert flt.n_updates == exact.t


@pytest.mark.parametrize("corrected", [True, False])
@pytest.mark.parametrize("adam", [False, True])
@pytest.mark.parametrize("name", CELLS)
def test_recurrent(recurrent_impl, name, adam, corrected):
    impl, cell, (U, Y, w) = recurrent_impl, CELLS[name], data()
    theta, s = cell.start(1, 6, 0.3), np.full(cell.n, 0.1)
    flt = impl.Filter(
        cell.model(impl, 1), impl.Gaussian(R), rule=rule(impl, adam, "number"), theta=theta, state=s,
        sensitivity=impl.RTRL(),
    )  # fmt: skip
    flt.update_many(U, Y, weight=w)
    exact, ds = Literal(theta, lambda t: 0.02, 1e-6 if adam else None), 0.0
    for u, y, weight in zip(U, Y, w, strict=True):
        theta = exact.theta
        f_s = derivative(lambda x, u=u, theta=theta: cell.f(theta, x, u), s)
        ds = f_s @ (ds + np.zeros((cell.n, len(theta)))) + derivative(lambda x, u=u, s=s: cell.f(x, s, u), theta)
        s = cell.f(theta, s, u)
        if weight > 0 and not np.isnan(y):
            dz = derivative(lambda x, theta=theta: cell.h(theta, x, 1), s) @ ds
            dz = dz + derivative(lambda x, s=s: cell.h(x, s, 1), theta)
            moved = exact.step(weight * dz[0] * (y - cell.h(theta, s, 1)[0]) / R)
            s = s + ds @ moved if corrected else s
    error = max(np.max(np.abs(flt.theta - exact.theta)), np.max(np.abs(flt.state - s)))
    assert error < TOL if corrected else error > CONTROL * TOL


@pytest.mark.parametrize("adam", [False, True])
def test_what_is_said_without_a_posterior(recurrent_impl, adam):
    impl, (U, Y, w) = recurrent_impl, data()
    flt = impl.Filter(impl.RNN(D, 3, 1), impl.Gaussian(R), rule=rule(impl, adam, "schedule"))
    trace = flt.update_many(U, Y, weight=w)
    np.testing.assert_allclose(trace.std, np.sqrt(R), rtol=1e-14)
    np.testing.assert_array_equal(trace.nll, trace.nll_plugin)
    for read in (flt.cov, flt.std, flt.precision, flt.joint_cov, lambda: flt.sample(2, 0), lambda: flt.predict(U, return_std=True),
                 lambda: flt.predict_quantiles(U, [0.5])):  # fmt: skip
        with pytest.raises(impl.UnsupportedError):
            read()
    assert repr(flt).count("belief") == 0
    assert np.isnan(flt.health()["min_pivot_ratio"])
    assert flt.predict(U).shape == (len(U),)
