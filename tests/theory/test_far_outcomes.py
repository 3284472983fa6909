"""Densities of outcomes very far off, against a sum over the variance whose nodes are where the integrand is."""

import numpy as np
import pytest
from mpmath import mp

from kfng import GaussianMeanVariance
from kfng._trace import Seen


def exact(y):
    """-log ∫ N(v; 0, 1) N(y; 0, exp(v) + 1) dv, on nodes out to beyond where the variance is y²."""
    v = np.linspace(-50, 4 * np.log(y) + 50, 2_000_001)
    log_variance = np.logaddexp(v, 0.0)
    height = -(np.log(2 * np.pi) + log_variance + (y * np.exp(-log_variance / 2)) ** 2 + v**2 + np.log(2 * np.pi)) / 2
    return -(np.log(np.exp(height - height.max()).sum() * (v[1] - v[0])) + height.max())


@pytest.mark.parametrize("y", [10.0, 1e3, 1e6, 1e8, 1e12, 1e50])
def test_a_learned_variance_makes_room_for_any_outcome(impl, y):
    flt = impl.Filter(impl.Linear(0, 2), GaussianMeanVariance(), belief=impl.Full(1.0), theta=[0.0, 0.0])
    assert abs(flt.update([], y).nll / exact(y) - 1) < 1e-9


def test_a_known_variance_does_not(impl):
    model, law = impl.Linear(0, 2), GaussianMeanVariance()
    flt = impl.Filter(model, law, belief=impl.Point(), rule=impl.SGD(1e-3), theta=[0.0, 0.0])
    assert flt.update([], 1e12).nll == pytest.approx(5e23, rel=1e-12)


# bites: squares of what is so far off overflow
@pytest.mark.parametrize("variance", [1.0, None])
@pytest.mark.parametrize("k", [1, 3])
def test_outcomes_whose_squares_overflow(impl, variance, k):
    """A normal of several outputs, and Student's t of any, against the exact ones: C is large in one direction, as after a diffuse prior."""
    a, b, g = 2.5, 0.5, [2.0, 5.0, 1e150][-k:]
    for far in (1e90, 1e120, 1e200, 1e300):
        y = [far, 6.5, -3.0 * far][:k]
        C = np.outer(g, g)
        scales = [np.full((1, 1), x) if variance is None else np.zeros((1, 0)) for x in (a, b)]
        flt = impl.Filter(impl.Linear(1, k), impl.Gaussian(variance))
        got = flt._likelihood.nll(Seen(np.zeros((1, k)), C[None], np.array([y]), *scales))[0]
        with mp.workdps(700):
            S = mp.matrix(C.tolist()) + mp.eye(k)
            r = mp.matrix(y)
            distance, log_det = (r.T * mp.lu_solve(S, r))[0], mp.log(mp.det(S))
            if variance is None:
                norm = mp.loggamma(a) - mp.loggamma(a + mp.mpf(k) / 2) + (k * mp.log(2 * mp.pi * b) + log_det) / 2
                exact = norm + (a + mp.mpf(k) / 2) * mp.log1p(distance / (2 * b))
            else:
                exact = (k * mp.log(2 * mp.pi) + log_det + distance) / 2
            assert (got == np.inf and exact > 1e307) or abs(got / exact - 1) < 1e-9, (far, got, mp.nstr(exact, 20))


@pytest.mark.parametrize("variance", [2.0, None, "each"])
def test_noise_that_is_lost_beside_doubt(impl, variance):
    """Outputs whose doubt is one doubt, so large that R + C has no R left in float64."""
    k, g, y = 3, np.array([1e12, 1e12, -3.0]), np.array([1.0, 2.5, -0.5])
    a, b = {2.0: ((), ()), None: ((2.5,), (0.5,)), "each": ((2.5, 3.0, 4.0), (0.5, 0.6, 0.8))}[variance]
    flt = impl.Filter(impl.Linear(1, k), impl.Gaussian(variance))
    got = flt._likelihood.nll(Seen(np.zeros((1, k)), np.outer(g, g)[None], y[None], np.array([a]), np.array([b])))[0]
    R = {2.0: [2.0] * k, None: [1.0] * k, "each": [s / r for r, s in zip(a, b, strict=False)]}[variance]
    with mp.workdps(60):
        S, r = mp.matrix(np.outer(g, g).tolist()) + mp.diag(R), mp.matrix(y.tolist())
        distance, log_det = (r.T * mp.lu_solve(S, r))[0], mp.log(mp.det(S))
        if variance is None:
            norm = mp.loggamma(a[0]) - mp.loggamma(a[0] + mp.mpf(k) / 2) + (k * mp.log(2 * mp.pi * b[0]) + log_det) / 2
            exact = norm + (a[0] + mp.mpf(k) / 2) * mp.log1p(distance / (2 * b[0]))
        else:
            exact = (k * mp.log(2 * mp.pi) + log_det + distance) / 2
    assert abs(got - exact) < 3  # nats: of the lost pivots a bound is known


def test_quantiles_of_the_largest_variances(impl):
    """C and sigma² whose product overflows, though not its root."""
    flt = impl.Filter(impl.Linear(1), impl.Gaussian(None))
    a, b, none = np.array([[1e9]]), np.array([[1e150]]), np.full((1, 1), np.nan)
    seen = Seen(np.zeros((1, 1)), np.full((1, 1, 1), 1e300), none, a, b)
    got = flt._likelihood.quantiles(seen, [0.25, 0.5, 0.75]).ravel()
    np.testing.assert_allclose(got, np.array([-0.6744897501960817, 0.0, 0.6744897501960817]) * 10**220.5, rtol=1e-6)
