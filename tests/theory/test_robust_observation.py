"""robust=: the textbook dense Kalman filter with R divided by the row's weight, or with its innovation cut.

    S = H P H' + R,   delta = e'S^-1 e,   omega = 1/(1 + delta/(m c^2))  or  (nu + m)/(nu + delta)
    K = P H'(H P H' + R/omega)^-1,   theta += K e,   P <- (I - K H) P                     Imq and Student
    K = P H' S^-1,   theta += K e·min(1, sd sqrt(m/delta)),   P <- (I - K H) P            Winsor

Source: Duran-Martin et al. 2024, arXiv 2405.05646, with e measured by S. With a learned variance R is relative to it,
delta is divided by b/a, and a += omega m/2, b += omega e'(R + omega H P H')^-1 e/2: the conjugate update of a row of that
weight.
"""

import numpy as np
import pytest
from theory.literal import error

TOLERANCE = 1e-12
D, N = 3, 80
R3 = np.array([[1.0, 0.4, -0.2], [0.4, 0.5, 0.1], [-0.2, 0.1, 2.0]])
POLICIES = {
    "imq": (lambda impl: "imq", lambda delta, m: 1 / (1 + delta / (16 * m))),
    "imq-2": (lambda impl: impl.Imq(threshold=2.0), lambda delta, m: 1 / (1 + delta / (4 * m))),
    "student": (lambda impl: "student", lambda delta, m: (4 + m) / (4 + delta)),
    "student-9": (lambda impl: impl.Student(dof=9.0), lambda delta, m: (9 + m) / (9 + delta)),
    "winsor": (lambda impl: "winsor", lambda delta, m: min(1.0, 5 * np.sqrt(m / delta))),
    "winsor-2": (lambda impl: impl.Winsor(sd=2.0), lambda delta, m: min(1.0, 2 * np.sqrt(m / delta))),
}


class Stream:
    """Rows with outliers, some of y missing; R (k, k)."""

    def __init__(self, R, seed=3):
        rng, k = np.random.default_rng(seed), len(R)
        self.R, self.k = R, k
        self.U = rng.normal(size=(N, D))
        self.H = np.array([np.hstack([np.kron(np.eye(k), u), np.eye(k)]) for u in self.U])
        self.Y = self.H @ rng.normal(size=k * (D + 1)) + rng.multivariate_normal(np.zeros(k), R, size=N)
        self.Y[::9] += 40 * rng.normal(size=(len(self.Y[::9]), k))
        self.Y[rng.random((N, k)) < 0.15] = np.nan
        self.weight = rng.choice([0.5, 1.0, 2.5], size=N)
        self.dt = rng.choice([0.0, 1.0, 2.5], size=N)

    def learn(self, impl, family, **options):
        flt = impl.Filter(impl.Linear(D, self.k), family, **options)
        Y = self.Y[:, 0] if self.k == 1 else self.Y
        return flt, flt.update_many(self.U, Y, weight=self.weight, dt=self.dt)


def textbook(rows, omega, cuts, lam=0.0, prior=1.0, learned=None, scale="S", power=1):
    """theta, P, weights, (a, b); `scale` and `power` are the controls: e measured by R alone, the weight's square root."""
    p = rows.k * (D + 1)
    theta, P, weights = np.zeros(p), prior * np.eye(p), np.ones(N)
    a, b = (np.nan, np.nan) if learned is None else learned
    a_0 = a
    for t in range(N):
        decay = (1 - lam) ** rows.dt[t]
        P = P / decay
        if learned is not None:
            faded = max(decay * a, a_0)
            a, b = faded, b * faded / a
        seen = np.isfinite(rows.Y[t])
        m = seen.sum()
        if m == 0:
            continue
        H, w = rows.H[t][seen], rows.weight[t]
        R = rows.R[np.ix_(seen, seen)] / w
        e = rows.Y[t][seen] - H @ theta
        unit = 1.0 if learned is None else b / a
        C = H @ P @ H.T
        weights[t] = omega(e @ np.linalg.solve(unit * (R + (C if scale == "S" else 0)), e), m) ** power
        if cuts:
            K = P @ H.T @ np.linalg.inv(C + R)
            e = weights[t] * e
        else:
            K = P @ H.T @ np.linalg.inv(C + R / weights[t])
        if learned is not None:
            kept = 1.0 if cuts else weights[t]
            a, b = a + w * kept * m / 2, b + e @ np.linalg.solve(C + R / kept, e) / 2
        theta, P = theta + K @ e, P - K @ H @ P
    return theta, P, weights, (a, b)


@pytest.mark.parametrize("lam", [0.0, 0.02])
@pytest.mark.parametrize("R", [np.array([[0.7]]), R3], ids=["one", "three"])
@pytest.mark.parametrize("policy", POLICIES)
def test_known_noise(impl, policy, R, lam):
    robust, omega = POLICIES[policy]
    rows, cuts = Stream(R), "winsor" in policy
    family = impl.Gaussian(0.7) if len(R) == 1 else impl.Gaussian(covariance=R)
    rule = impl.Fading(lam) if lam else impl.Kalman()
    flt, trace = rows.learn(impl, family, rule=rule, robust=robust(impl), guards=impl.Guards.none())
    theta, P, weights, _ = textbook(rows, omega, cuts, lam)
    assert error(flt.theta, theta) < TOLERANCE
    assert error(flt.cov(), P) < TOLERANCE
    assert error(trace.robust_weight, weights) < TOLERANCE
    assert weights.min() < 0.2
    for control in ({"scale": "R"}, {"power": 0.5}):
        wrong, _, others, _ = textbook(rows, omega, cuts, lam, **control)
        assert error(flt.theta, wrong) > 1000 * TOLERANCE
        assert error(trace.robust_weight, others) > 1000 * TOLERANCE


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("policy", POLICIES)
def test_learned_noise(impl, policy, k):
    robust, omega = POLICIES[policy]
    rows, cuts = Stream(np.eye(k)), "winsor" in policy
    family = impl.Gaussian(variance=None, prior_dof=5.0, prior_scale=1.5)
    flt, trace = rows.learn(impl, family, rule=impl.Fading(0.01), robust=robust(impl), guards=impl.Guards.none())
    start = (2.5, 2.5 * 1.5**2)
    theta, P, weights, (a, b) = textbook(rows, omega, cuts, 0.01, learned=start)
    assert error(flt.theta, theta) < TOLERANCE
    assert error(flt.cov(), P * b / (a - 1)) < TOLERANCE
    assert error(np.array(flt.noise_variance), np.array([b / (a - 1), 2 * a])) < TOLERANCE
    assert error(trace.robust_weight, weights) < TOLERANCE
    control = textbook(rows, lambda delta, m: omega(delta / 4, m), cuts, 0.01, learned=start)  # another unit
    assert error(trace.robust_weight, control[2]) > 1000 * TOLERANCE


@pytest.mark.parametrize("policy", [name for name in POLICIES if "winsor" not in name])
@pytest.mark.parametrize("variance", [0.7, None, "each"])
@pytest.mark.parametrize("projection", [None, "precision", "covariance"])
def test_it_is_the_ordinary_filter_with_other_weights(impl, policy, variance, projection):
    """Of every belief and Gaussian: fed with weight·robust_weight, the filter that is not robust ends the same."""
    rows = Stream(np.eye(3) * 0.7)
    belief = impl.Full(1.0) if projection is None else impl.Diagonal(1.0, projection)
    options = {"belief": belief, "rule": impl.Fading(0.01), "guards": impl.Guards.none()}
    flt, trace = rows.learn(impl, impl.Gaussian(variance), robust=POLICIES[policy][0](impl), **options)
    seen = np.isfinite(rows.Y).any(axis=1)
    given = rows.weight
    rows.weight = given * trace.robust_weight
    other, _ = rows.learn(impl, impl.Gaussian(variance), **options)
    assert trace.robust_weight[seen].min() < 0.2
    assert (trace.robust_weight[~seen] == 1).all()
    assert error(flt.theta, other.theta) < TOLERANCE
    assert error(flt.cov(), other.cov()) < TOLERANCE
    assert error(np.array(flt.noise_variance[0]), np.array(other.noise_variance[0])) < TOLERANCE
    rows.weight = given
    control, _ = rows.learn(impl, impl.Gaussian(variance), **options)
    assert error(flt.theta, control.theta) > 1000 * TOLERANCE


@pytest.mark.parametrize("policy", ["imq", "student", "winsor"])
@pytest.mark.parametrize("variance", [0.5, None])
def test_one_row_moves_theta_by_a_bounded_amount(impl, policy, variance):
    """The influence of y: with a robust filter it stays below what 5 standard deviations do; without one it grows."""

    def moved(y, robust):
        flt = impl.Filter(impl.Linear(1), impl.Gaussian(variance), robust=robust)
        U = np.linspace(-1, 1, 30)[:, None]
        flt.update_many(U, U[:, 0])
        before = flt.theta
        flt.update([0.5], y)
        return np.abs(flt.theta - before).max()

    near, far, farther = (moved(y, policy) for y in (5.0, 1e3, 1e6))
    assert far < 3 * near
    assert farther < 3 * near
    assert moved(1e6, None) > 1000 * moved(5.0, None)


@pytest.mark.parametrize("policy", ["imq", "student", "winsor"])
def test_weights_do_not_depend_on_the_unit_of_y(impl, policy):
    """y times 2^5, R times 2^10: the same weights, bit for bit."""
    rows = Stream(np.eye(1))
    weights = []
    for scale in (1.0, 32.0):
        rows_in = impl.Filter(
            impl.Linear(D),
            impl.Gaussian(scale**2),
            belief=impl.Full(scale**2),
            robust=policy,
            guards=impl.Guards.none(),
        )
        weights.append(rows_in.update_many(rows.U, scale * rows.Y[:, 0]).robust_weight)
    assert (weights[0] == weights[1]).all()
    assert weights[0].min() < 0.2
