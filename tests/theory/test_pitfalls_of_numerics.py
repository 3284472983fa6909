"""Where implementers go wrong in the arithmetic: each is a test, and what went wrong elsewhere is its control.

Dividing by a fitted variance; a predictive variance of z from (alpha - 1)/w; an absolute epsilon; a float32 covariance by
subtraction; a clipped diagonal. (The step with J_{t-1}: T2. A subtracted Fisher matrix: T1. P - P F P: T11.
A wrong triangle: T30.)
"""

from fractions import Fraction

import numpy as np
import pytest
from theory.literal import error, judge
from theory.streams import LEARNED, LINEAR_GAUSSIAN, stream
from tolerances import CONTROL

import kfng
from kfng import reference

TOLERANCE = 1e-12
SATURATED = [("Bernoulli", z, y) for z in (40.0, 100.0, 800.0, -800.0) for y in (0.0, 1.0)] + [("Poisson", -800.0, 1.0)]


def law(kind, z):
    """Mean, and slope = variance, as one writes them without care: where they saturate 1 - m is 0."""
    with np.errstate(over="ignore"):
        m = 1 / (1 + np.exp(-z)) if kind == "Bernoulli" else np.exp(z)
    return m, (m * (1 - m) if kind == "Bernoulli" else m)


def careful_variance(kind, z):
    return np.exp(-abs(z)) / (1 + np.exp(-abs(z))) ** 2 if kind == "Bernoulli" else np.exp(z)


# the control bites for both families: in mean-parameter form K = P H'/(H P H' + R) is 0/0
@pytest.mark.parametrize("form", ["natural parameter", "mean parameter"])
@pytest.mark.parametrize(("kind", "z", "y"), SATURATED)
def test_a_saturated_output_is_not_divided_by(impl, kind, z, y, form):
    fisher = careful_variance(kind, z)
    P = np.array([[2.0, 0.3], [0.3, 1.0]]) / (fisher or 1.0)  # so wide that what little the row tells counts
    h = np.array([0.6, -1.1])
    flt = impl.Filter(
        impl.External(2, 1), getattr(impl, kind)(), belief=impl.Full(P), guards=impl.Guards.none(), theta=[0.5, 0.2]
    )
    flt.condition(y, [z], h[None])
    m, variance = law(kind, z)
    if form == "mean parameter":
        H = variance * h
        with np.errstate(invalid="ignore", divide="ignore"):
            dtheta = P @ H * ((y - m) / (H @ P @ H + variance))
        assert not np.isfinite(dtheta).any()
        return
    alpha = 1 + fisher * (h @ P @ h)
    assert error(flt.theta, [0.5, 0.2] + P @ h * ((y - m) / alpha)) <= TOLERANCE
    assert error(flt.cov(), P - np.outer(P @ h, P @ h) * (fisher / alpha)) <= TOLERANCE


# the control bites for the one family whose Fisher matrix can be 0: (alpha - 1)/w is 0/0
@pytest.mark.parametrize("variance_of_z", ["h'Ph", "(alpha - 1)/w"])
def test_variance_of_z_at_a_saturated_logit(impl, variance_of_z):
    u, prior = np.array([1.0, 2.0]), np.diag([0.5, 0.25])
    model = impl.Linear(2, intercept=False)
    flt = impl.Filter(model, impl.Bernoulli(), belief=impl.Full(prior), guards=impl.Guards.none(), theta=[800.0, 0.0])
    C = flt.update_many(u[None], [1.0]).C[0, 0, 0]
    w = careful_variance("Bernoulli", 800.0)
    with np.errstate(invalid="ignore"):
        expected = u @ prior @ u if variance_of_z == "h'Ph" else np.float64((1 + w * (u @ prior @ u)) - 1) / w
    assert (abs(C - expected) <= TOLERANCE) == (variance_of_z == "h'Ph")


# bites for all of LINEAR_GAUSSIAN whose R can be jittered: 1e-9 on data in units of 1e-8
@pytest.mark.parametrize("jitter", [0.0, 1e-9])
@pytest.mark.parametrize("name", LINEAR_GAUSSIAN)
def test_no_absolute_epsilon(impl, guards, name, jitter):
    """y, theta and noise in other units, 2^-27 times as large: the same bits in theta, P and predictions, scaled."""
    rows, unit = stream(name), 2.0**-27
    kind, arguments = rows.family
    if rows.learned:
        small = {**LEARNED, "prior_scale": LEARNED["prior_scale"] * unit + np.sqrt(jitter)}
    elif "covariance" in arguments:
        small = {"covariance": arguments["covariance"] * unit**2 + jitter * np.eye(rows.model.k)}
    else:
        small = {"variance": arguments["variance"] * unit**2 + jitter}
    plain = rows.filter(impl, guards)
    family = impl.Gaussian(**small)
    prior = rows.prior if rows.learned else rows.prior * unit**2
    other = impl.Filter(plain.settings.model, family, belief=impl.Full(prior), theta=rows.theta_0 * unit,
                        guards=plain.settings.guards)  # fmt: skip
    one = plain.update_many(rows.U, rows.Y, weight=rows.weight, offset=rows.offset)
    two = other.update_many(rows.U, rows.Y * unit, weight=rows.weight, offset=rows.offset * unit)
    same = np.array_equal(plain.std() * unit, other.std()) and np.array_equal(one.std * unit, two.std)
    if jitter == 0.0:
        assert same
        assert np.array_equal(plain.theta * unit, other.theta)
    else:
        judge(error(other.std(), plain.std() * unit), TOLERANCE, control=True)
        assert other.std()[0] > 5 * plain.std()[0] * unit


@pytest.mark.parametrize("powers", [(0, 0, 0), (20, -30, 7)])
@pytest.mark.parametrize("name", ["linear-gaussian", "linear-learned", "linear-bernoulli", "linear-poisson"])
def test_units_of_features_do_not_matter(impl, guards, name, powers):
    """Feature i times 2^n_i, its prior times 2^-2n_i: the same bits everywhere, theta_i times 2^-n_i."""
    rows, scale = stream(name), 2.0 ** np.array([*powers, 0.0])
    prior = np.diag(np.diagonal(rows.prior))
    flt = rows.filter(impl, guards, belief=impl.Full(prior), rule=impl.Fading(0.01))
    belief = impl.Full(prior / np.outer(scale, scale))
    scaled = rows.filter(impl, guards, belief=belief, theta=rows.theta_0 / scale, rule=impl.Fading(0.01))
    one = flt.update_many(rows.U, rows.Y[:, 0])
    two = scaled.update_many(rows.U * scale[:3], rows.Y[:, 0])
    assert np.array_equal(one.prediction, two.prediction)
    assert np.array_equal(flt.theta, scaled.theta * scale)
    assert np.array_equal(flt.std(), scaled.std() * scale)
    assert np.array_equal(flt.theta, scaled.theta) == (max(powers) == 0)  # the control: the scale does act


def subtracting(rows, P):
    """Smallest eigenvalue of P <- P - P h h'P/(1 + h'P h) in float32, step by step."""
    P, smallest = P.astype(np.float32), []
    for u in rows.astype(np.float32):
        Ph = P @ u
        P = P - np.outer(Ph, Ph) / (np.float32(1) + u @ Ph)
        smallest.append(np.linalg.eigvalsh(P.astype(np.float64))[0])
    return np.array(smallest)


# the control bites within two steps: the same rows in the form that subtracts
@pytest.mark.parametrize("form", ["filter", "subtracting"])
def test_float32_stays_positive(impl, form):
    rng = np.random.default_rng(0)
    U = 10 * rng.normal(size=(100, 4))
    y = U @ np.array([0.5, -0.2, 0.1, 0.3]) + rng.normal(size=100)
    if form == "subtracting":
        assert subtracting(U, 1e6 * np.eye(4))[:2].min() < 0
        return
    model, settings = impl.Linear(4, intercept=False), {"belief": impl.Full(1e6), "guards": impl.Guards.none()}
    single = impl.Filter(model, impl.Gaussian(), dtype="float32", **settings)
    double = impl.Filter(model, impl.Gaussian(), **settings)
    for u, target in zip(U, y, strict=True):
        single.update(u, target)
        double.update(u, target)
        _, D = single._factors()
        assert (D >= 0).all()
    assert np.max(np.abs(single.theta - double.theta) / double.std()) < 0.15


def wound_up(rows, prior, lam, pull):
    """P after each row of plain forgetting, and each variance over twice its prior taken back at rows 0, 16, 32, ..."""
    P, covariances = prior, []
    for t, u in enumerate(rows):
        P = P / (1 - lam)
        for i in range(len(P)):
            c = prior[i, i]
            if t % 16 == 0 and P[i, i] > 2 * c:
                if pull == "pseudo-observation":
                    P = P - np.outer(P[i], P[i]) / (P[i, i] + P[i, i] * c / (P[i, i] - c))
                else:
                    P = P.copy()
                    P[i, i] = c
        P = P - np.outer(P @ u, P @ u) / (1 + u @ P @ u)
        covariances.append(P)
    return np.array(covariances)


# the control, a clipped diagonal, bites: another P, and soon no covariance at all
@pytest.mark.parametrize("pull", ["pseudo-observation", "clipped diagonal"])
def test_wind_up_is_bounded_by_information(impl, pull):
    U, prior, lam = np.random.default_rng(2).normal(size=(200, 3)), np.diag([1.0, 1.0, 0.5]) + 0.4, 0.04
    U[:, 1:] = 1e-3 * U[:, 1:]  # hardly excited, and correlated a priori
    flt = impl.Filter(impl.Linear(3, intercept=False), impl.Gaussian(), belief=impl.Full(prior), rule=impl.Fading(lam))
    P = []
    for u in U:
        flt.update(u, float(u[0]))
        P.append(flt.cov())
    exact = wound_up(U, prior, lam, pull)
    judge(error(np.array(P), exact), TOLERANCE, control=pull == "clipped diagonal")
    assert (np.linalg.eigvalsh(exact)[:, 0].min() < 0) == (pull == "clipped diagonal")
    assert flt.health()["windup"] > 0
    assert (np.diagonal(np.array(P), axis1=1, axis2=2) <= 4 * np.diagonal(prior)).all()


@pytest.mark.parametrize("form", ["factors", "dense"])
def test_a_weight_of_any_size(form):
    """Rows of weight 2^63 against the exact posterior in fractions: kfng's factors; the control is P in dense algebra, refused or wrong."""
    X, w = np.random.default_rng(0).integers(-9, 10, (5, 3)).astype(float), 2**63
    y = X @ [1.0, -2.0, 3.0] + [0.5, 0.0, -1.0, 0.25, 2.0]
    rows = [[Fraction(x) for x in (*row, 1.0)] for row in X]
    normal = [[w * sum(r[i] * r[j] for r in rows) + (i == j) for j in range(4)] for i in range(4)]
    right = [w * sum(r[i] * Fraction(t) for r, t in zip(rows, y, strict=True)) for i in range(4)]
    exact = np.array([float(x) for x in solved(normal, right)])
    module = kfng if form == "factors" else reference
    flt = module.Filter(module.Linear(3), module.Gaussian(1.0), belief=module.Full(1.0))
    try:
        flt.update_many(X, y, weight=w)
    except kfng.errors.NonFiniteError:
        assert form == "dense"
        return
    error = np.max(np.abs(flt.theta - exact)) / np.max(np.abs(exact))
    assert error < 1e-9 if form == "factors" else error > CONTROL * 1e-9


def solved(matrix, right):
    """Gauss-Jordan elimination of a positive definite matrix, exactly."""
    rows = [[*row, b] for row, b in zip(matrix, right, strict=True)]
    for i in range(len(rows)):
        rows[i] = [x / rows[i][i] for x in rows[i]]
        for j in range(len(rows)):
            if j != i:
                rows[j] = [x - rows[j][i] * z for x, z in zip(rows[j], rows[i], strict=True)]
    return [row[-1] for row in rows]
