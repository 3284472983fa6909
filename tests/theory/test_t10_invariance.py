"""T10: the filter does not depend on the affine coordinates of theta.

With phi = M theta + b, dz/dphi = dz/dtheta M^-1, phi_0 = M theta_0 + b and prior covariance M P_0 M',

    theta_t = M^-1 (phi_t - b),      P_t = M^-1 Cov(phi_t) M^-T      for all t.

For a nonlinear phi(theta) this holds to first order in the step alone. Source: arXiv 1703.00209.
"""

from functools import cache

import numpy as np
import pytest
from theory.literal import error, judge
from theory.streams import EXTERNAL, assert_quiet, run, stream

TOLERANCE = 1e-12


class Affine:
    """phi = M theta + b."""

    def __init__(self, p):
        rng = np.random.default_rng(p)
        rotation = [np.linalg.qr(rng.normal(size=(p, p)))[0] for _ in range(2)]
        self.M, self.b = rotation[0] * np.geomspace(0.4, 2.5, p) @ rotation[1], rng.normal(size=p)

    def forward(self, theta):
        return self.M @ theta + self.b

    def back(self, phi):
        return np.linalg.solve(self.M, phi - self.b)

    def slope(self, theta):
        return self.M


class Nonlinear:
    """phi_i = sinh(theta_i)."""

    def __init__(self, p):
        pass

    def forward(self, theta):
        return np.sinh(theta)

    def back(self, phi):
        return np.arcsinh(phi)

    def slope(self, theta):
        return np.diag(np.cosh(theta))


def in_phi(impl, guards, rows, rule, chart, prior, n):
    """The filter of phi over the first n rows, its theta and P brought back to the coordinates of theta."""
    M = chart.slope(rows.theta_0)
    belief = impl.Full(_symmetric(M @ prior @ M.T))
    flt = rows.filter(impl, guards, rule=rule, belief=belief, theta=chart.forward(rows.theta_0))
    thetas, covariances = [], []
    for t in range(n):
        theta = chart.back(flt.theta)
        z = rows.model.output(theta, rows.U[t]) + rows.offset[t]
        dz = np.linalg.solve(chart.slope(theta).T, rows.model.jacobian(theta, rows.U[t]).T).T
        y = rows.Y[t] if rows.model.k > 1 else float(rows.Y[t, 0])
        flt.condition(y, z, dz, weight=rows.weight[t], dt=rows.dt[t])
        thetas.append(chart.back(flt.theta))
        back = np.linalg.inv(chart.slope(thetas[-1]))
        covariances.append(back @ rows.covariance(flt) @ back.T)
    assert_quiet(flt)
    return np.array(thetas), np.array(covariances)


def _symmetric(P):
    return (P + P.T) / 2


# bites for all of EXTERNAL: phi = sinh(theta) is another filter
@pytest.mark.parametrize("chart", [Affine, Nonlinear])
@pytest.mark.parametrize("rule", ["Kalman", "Fading"])
@pytest.mark.parametrize("name", EXTERNAL)
def test_invariance(impl, guards, name, rule, chart):
    rows, rule = stream(name), impl.Kalman() if rule == "Kalman" else impl.Fading(0.01)
    theta, P = run(rows, impl, guards, rule)
    theta_phi, P_phi = in_phi(impl, guards, rows, rule, chart(rows.model.p), rows.prior, len(theta))
    judge(error(theta_phi, theta), TOLERANCE, control=chart is Nonlinear)
    judge(error(P_phi, P), TOLERANCE, control=chart is Nonlinear)


@cache
def discrepancy(impl, name, chart, shrink):
    """Of one row, relative to its step, with a prior `shrink` times as wide as the stream's."""
    rows = stream(name)
    prior = shrink**2 * rows.prior
    flt = rows.filter(impl, belief=impl.Full(prior))
    rows.feed(flt, 0)
    theta, _ = in_phi(impl, "no_guards", rows, impl.Kalman(), chart(rows.model.p), prior, 1)
    return error(theta[0] - rows.theta_0, flt.theta - rows.theta_0)


@pytest.mark.parametrize("name", EXTERNAL)
def test_a_nonlinear_map_agrees_to_first_order(impl, name):
    """A step is of the size of P: a prior ten times narrower disagrees a hundred times less, relatively."""
    wide, narrow = discrepancy(impl, name, Nonlinear, 0.03), discrepancy(impl, name, Nonlinear, 0.003)
    assert wide > 1e-7
    assert 60 < wide / narrow < 160
