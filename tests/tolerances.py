"""How equal is equal, in one place. Differences of theta count in posterior standard deviations, of P relative to sd_i·sd_j."""

import numpy as np

THEOREM = 1e-12
"""Identities of theory: two ways of computing the same float64 numbers, a few hundred rows."""
TEXTBOOK = 1e-10
"""The reference against the textbook filter, whose mean-parameter form divides by R."""
PARITY = {"float64": 1e-9, "float32": 2e-3}
"""kfng against the reference in float64."""
CONTROL = 1000.0
"""A control must fail by more than this many times the tolerance."""


def theta_error(theta, other, P):
    """Largest difference in standard deviations of P (p, p)."""
    theta, other = np.asarray(theta, dtype=np.float64), np.asarray(other, dtype=np.float64)
    return float(np.max(np.abs(theta - other) / np.sqrt(np.diagonal(P))))


def covariance_error(P, other):
    """Largest |P_ij - other_ij| / (sd_i sd_j), sd from `other`."""
    sd = np.sqrt(np.diagonal(other))
    return float(np.max(np.abs(np.asarray(P) - other) / np.outer(sd, sd)))


def relative_error(values, others):
    """Largest |x - y| / max(|y|, 1) over the finite entries; the same entries must be NaN."""
    values, others = np.asarray(values, dtype=np.float64), np.asarray(others, dtype=np.float64)
    assert values.shape == others.shape
    assert np.array_equal(np.isnan(values), np.isnan(others))
    fine = ~np.isnan(others)
    return float(np.max(np.abs(values - others)[fine] / np.maximum(np.abs(others[fine]), 1.0), initial=0.0))
