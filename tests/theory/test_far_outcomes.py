"""Densities of outcomes very far off, against a sum over the variance whose nodes are where the integrand is."""

import numpy as np
import pytest

from kfng import GaussianMeanVariance


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
