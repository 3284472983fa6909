"""T10: the filter does not depend on the affine coordinates of theta.

With phi = M theta + b, dz/dphi = dz/dtheta M^-1, phi_0 = M theta_0 + b and prior covariance M P_0 M',

    theta_t = M^-1 (phi_t - b),      P_t = M^-1 P_t(phi) M^-T      for all t,

for every family and model: scores transform by M^-T, Fisher matrices and precisions by M^-T . M^-1, and a step adds like to
like. The observation, a learned noise variance and the rates know nothing of theta. What M and what else is needed:

    Kalman, Fading, NaturalGradient (also with two rates)   any M
    ProcessNoise(Q)                                         any M, with M Q M' for Q
    Fading(towards="prior")     upper triangular M, positive diagonal: turns go over the columns of chol(J_prior), and
                                chol(M^-T J M^-1) is M^-T chol(J) for these M alone
    Diagonal                    diagonal M: no other keeps a covariance diagonal

A guard that looks at one coordinate (wind-up) or at theta's unit is no part of it: it holds where none acts. The filter of
theta is `Linear` or `MLP`, that of phi an `External` fed with exact outputs and Jacobians. For a nonlinear phi(theta) the
statement holds to first order in the step alone. Source: arXiv 1703.00209.
"""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest
from problems import LAWS, LEARNED, R2, data, gauss, mild, normal
from theory.literal import Linear, Network, error, judge
from theory.streams import assert_quiet, correlated

TOLERANCE = 1e-12
FAMILIES = LAWS | {
    "learned": LEARNED,
    "learned-2": mild(normal(variance=None), 2, gauss(R2), 0.6, 1.0),
    "each": mild(normal(variance="each", prior_dof=6), 2, gauss(R2), 0.6, 1.0),
}
MODELS = {
    "Linear": (Linear, lambda impl, d, k: impl.Linear(d, k), 0.2),
    "MLP": (Network, lambda impl, d, k: impl.MLP([d, 2, k]), 0.1),
}
RATE = 0.02
RULES = {
    "Kalman": lambda impl, Q: impl.Kalman(),
    "Fading": lambda impl, Q: impl.Fading(0.01),
    "Fading towards the prior": lambda impl, Q: impl.Fading(0.1, towards="prior"),
    "NaturalGradient": lambda impl, Q: impl.NaturalGradient(RATE),
    "NaturalGradient, two rates": lambda impl, Q: impl.NaturalGradient(impl.Power(0.05, 0.5), RATE),
    "ProcessNoise": lambda impl, Q: impl.ProcessNoise(Q),
}
PAIRS = [(f, r) for f in FAMILIES for r in RULES if not (r.startswith("Natural") and f[:4] in ("lear", "each"))]
"""A gradient rule with a learned variance is refused."""


@dataclass(frozen=True, eq=False)
class Stream:
    """theta_0, P_0, Q, the rows, and the model as a function of theta."""

    family: str
    model: str
    output: Linear
    theta_0: np.ndarray
    prior: np.ndarray
    Q: np.ndarray
    rows: object

    def filter(self, impl, model, guards, **settings):
        off = impl.Guards.none() if guards == "no_guards" else impl.Guards()
        return impl.Filter(model, FAMILIES[self.family]["family"](impl), guards=off, **settings)

    def arguments(self, i, rule):
        """y and keyword arguments; a gradient rule counts rows, not time."""
        given = self.rows.arguments(i)
        return self.rows.y(i), given | ({"dt": 1.0} if rule.startswith("Natural") else {})

    def start(self, rule):
        """P before the first row: J_0^-1 where a rule takes that."""
        return self.prior / (RATE if rule.startswith("Natural") else 1.0)


@cache
def stream(family, model, n=12, d=2):
    """Rows with weights, times, offsets and missing y; mild enough that no guard acts."""
    known = FAMILIES[family]
    rng = np.random.default_rng([*map(ord, family + model)])
    output = MODELS[model][0](d, known["k"])
    prior = correlated(rng, output.p, MODELS[model][2] * known["prior"])
    theta_0 = 0.4 * rng.normal(size=output.p)
    truth = theta_0 + np.linalg.cholesky(prior) @ rng.normal(size=output.p)
    more = {"weights": True, "times": True, "offsets": True, "gaps": 0.1, "width": known["width"], "n": n}
    rows = data(known["k"], d, lambda u: output.output(truth, u), known["draw"], seed=int(rng.integers(1000)), **more)
    rows.Y[5], rows.weight[8] = np.nan, 0.0
    return Stream(
        family, model, output, theta_0, prior, 1e-3 * correlated(rng, output.p, np.trace(prior) / output.p), rows
    )


class Affine:
    """phi = M theta + b."""

    def __init__(self, p):
        rng = np.random.default_rng(p)
        self.b, self.M = rng.normal(size=p), self.matrix(rng, p)

    def matrix(self, rng, p):
        rotation = [np.linalg.qr(rng.normal(size=(p, p)))[0] for _ in range(2)]
        return rotation[0] * np.geomspace(0.4, 2.5, p) @ rotation[1]

    def forward(self, theta):
        return self.M @ theta + self.b

    def back(self, phi):
        return np.linalg.solve(self.M, phi - self.b)

    def slope(self, theta):
        return self.M


class Triangular(Affine):
    """M upper triangular, its diagonal positive."""

    def matrix(self, rng, p):
        return np.diag(rng.uniform(0.4, 2.5, p)) @ (np.eye(p) + np.triu(rng.normal(size=(p, p)), 1) / p)


class Units(Affine):
    """M diagonal, of either sign."""

    def matrix(self, rng, p):
        return np.diag(rng.uniform(0.4, 2.5, p) * rng.choice([-1, 1], p))


class Nonlinear(Affine):
    """phi_i = sinh(theta_i)."""

    def forward(self, theta):
        return np.sinh(theta)

    def back(self, phi):
        return np.arcsinh(phi)

    def slope(self, theta):
        return np.diag(np.cosh(theta))


def carried(M, P):
    """M P M', symmetric to the last bit."""
    P = M @ P @ M.T
    return (P + P.T) / 2


@cache
def in_theta(impl, rows, rule, guards, belief="Full"):
    """theta_t and P_t of the filter itself, once for an identity and its control; no guard may act."""
    prior = rows.start(rule)
    component = impl.Full(prior) if belief == "Full" else impl.Diagonal(np.diagonal(prior), belief)
    model = MODELS[rows.model][1](impl, rows.output.d, rows.output.k)
    rule_of = RULES[rule](impl, rows.Q)
    flt = rows.filter(impl, model, guards, rule=rule_of, belief=component, theta=rows.theta_0)
    thetas, covariances = [], []
    for i, u in enumerate(rows.rows.U):
        y, arguments = rows.arguments(i, rule)
        flt.update(u, y, **arguments)
        thetas.append(flt.theta)
        covariances.append(flt._covariance())
    assert_quiet(flt)
    assert 0 < flt.n_updates < len(thetas)
    return np.array(thetas), np.array(covariances)


def in_phi(impl, rows, rule, guards, chart, belief="Full", carry_noise=True):
    """The same of the filter of phi, brought back to the coordinates of theta."""
    k, p, M = rows.output.k, rows.output.p, chart.slope(rows.theta_0)
    prior = rows.start(rule)
    if belief == "Full":
        component = impl.Full(carried(M, prior))
    else:
        component = impl.Diagonal(np.diagonal(carried(M, np.diag(np.diagonal(prior)))), belief)
    rule_of = RULES[rule](impl, carried(M, rows.Q) if carry_noise else rows.Q)
    theta_0 = chart.forward(rows.theta_0)
    flt = rows.filter(impl, impl.External(p, k), guards, rule=rule_of, belief=component, theta=theta_0)
    thetas, covariances = [], []
    for i, u in enumerate(rows.rows.U):
        theta = chart.back(flt.theta)
        y, arguments = rows.arguments(i, rule)
        z = rows.output.output(theta, u) + arguments.pop("offset")
        dz = np.linalg.solve(chart.slope(theta).T, rows.output.jacobian(theta, u).T).T
        flt.condition(y, z, dz, **arguments)
        thetas.append(chart.back(flt.theta))
        back = np.linalg.inv(chart.slope(thetas[-1]))
        covariances.append(back @ flt._covariance() @ back.T)
    assert_quiet(flt)
    return np.array(thetas), np.array(covariances)


# bites for every family, model and rule: phi = sinh(theta); turns in coordinates that mix; Q in the old coordinates
@pytest.mark.parametrize("control", [False, True])
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("family", "rule"), PAIRS)
def test_invariance(impl, guards, family, rule, model, control):
    rows, turns = stream(family, model), rule == "Fading towards the prior"
    p, noise = rows.output.p, rule == "ProcessNoise"
    chart = (Affine if turns or noise else Nonlinear) if control else (Triangular if turns else Affine)
    theta, P = in_theta(impl, rows, rule, guards)
    theta_phi, P_phi = in_phi(impl, rows, rule, guards, chart(p), carry_noise=not (noise and control))
    judge(error(theta_phi, theta), TOLERANCE, control=control)
    judge(error(P_phi, P), TOLERANCE, control=control)


# bites for every family and model: coordinates that mix
@pytest.mark.parametrize("chart", [Units, Affine])
@pytest.mark.parametrize("projection", ["precision", "covariance"])
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_diagonal_belief_knows_no_units(impl, guards, family, model, projection, chart):
    rows, rule = stream(family, model), "Fading"
    theta, P = in_theta(impl, rows, rule, guards, projection)
    theta_phi, P_phi = in_phi(impl, rows, rule, guards, chart(rows.output.p), projection)
    judge(error(theta_phi, theta), TOLERANCE, control=chart is Affine)
    judge(error(P_phi, P), TOLERANCE, control=chart is Affine)


def discrepancy(impl, rows, shrink):
    """Of the first row that learns, relative to its step, with a prior of standard deviations about `shrink`."""
    learns = int(np.flatnonzero((rows.rows.weight > 0) & ~np.isnan(rows.rows.Y).any(axis=1))[0])
    one = type(rows.rows)(*(part[learns : learns + 1] for part in vars(rows.rows).values()))
    rows = replace(rows, prior=shrink**2 * rows.prior / np.diagonal(rows.prior).mean(), rows=one)
    k, d, chart = rows.output.k, rows.output.d, Nonlinear(rows.output.p)
    flt = rows.filter(
        impl, MODELS[rows.model][1](impl, d, k), "no_guards", belief=impl.Full(rows.prior), theta=rows.theta_0
    )
    y, arguments = rows.arguments(0, "Kalman")
    flt.update(one.U[0], y, **arguments)
    theta, _ = in_phi(impl, rows, "Kalman", "no_guards", chart)
    return error(theta[0] - rows.theta_0, flt.theta - rows.theta_0)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_nonlinear_map_agrees_to_first_order(impl, family, model):
    """A step is of the size of P: a prior ten times narrower disagrees a hundred times less, relatively."""
    rows = stream(family, model)
    wide, narrow = discrepancy(impl, rows, 0.03), discrepancy(impl, rows, 0.003)
    assert wide > 1e-7
    assert 60 < wide / narrow < 160
