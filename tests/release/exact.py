"""Posteriors of linear Gaussian filters without any rounding: integers, whatever their length.

Floats are fractions with a power of two below; so J = P0^-1 + sum of h h'/R and b = P0^-1 theta_0 + sum of h y/R are, and one
fraction-free elimination (Bareiss 1968) gives J^-1 b and J^-1 as quotients of integers.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np


def inverse(J: list[list[int]], b: list[int]) -> tuple[list[Fraction], list[list[Fraction]]]:
    """J^-1 b and J^-1 of a positive definite integer J."""
    p = len(J)
    A = [[*J[i], b[i], *(int(i == j) for j in range(p))] for i in range(p)]
    before = 1
    for k in range(p):
        pivot = A[k][k]
        if pivot <= 0:
            raise ValueError("not positive definite")
        row_k = A[k]
        for i in range(p):
            if i != k:
                row, factor = A[i], A[i][k]
                A[i] = [(pivot * x - factor * y) // before for x, y in zip(row, row_k, strict=True)]
        before = pivot
    # Bareiss over all rows leaves before * identity on the left
    return [Fraction(A[i][p], before) for i in range(p)], [
        [Fraction(x, before) for x in A[i][p + 1 :]] for i in range(p)
    ]


def integers(values: np.ndarray) -> tuple[np.ndarray, int]:
    """(N, e) with values = N 2^-e exactly, N Python integers."""
    ratios = [float(x).as_integer_ratio() for x in values.ravel()]
    e = max((d.bit_length() - 1 for _, d in ratios), default=0)
    N = np.array([n << (e - d.bit_length() + 1) for n, d in ratios], dtype=object)
    return N.reshape(values.shape), e


def posterior(U: np.ndarray, y: np.ndarray, prior_variance: float, R: float):
    """(theta, P) of rows (n, p), from a prior N(0, prior_variance I); exact fractions. Both variances are powers of two."""
    N, e = integers(U)
    M, f = integers(y)
    J, b = N.T @ N, N.T @ M  # times 2^-2e and 2^-(e+f), and 1/R
    prior = Fraction(R) / Fraction(prior_variance) * (1 << (2 * e))
    scale = prior.denominator
    J = [[int(J[i, j]) * scale + (prior.numerator if i == j else 0) for j in range(len(J))] for i in range(len(J))]
    theta, P = inverse(J, [int(x) * scale for x in b])
    # J holds 2^2e scale R^-1 times the precision, b 2^(e+f) scale
    unit, to_P = Fraction(1 << e, 1 << f), Fraction(1 << (2 * e)) * scale * Fraction(R)
    return [x * unit for x in theta], [[x * to_P for x in row] for row in P]


def errors(theta, P, exact_theta, exact_P) -> tuple[float, float]:
    """Largest error of theta in standard deviations, and of P relative to sd_i sd_j; the differences are exact."""
    sd = [float(exact_P[i][i]) ** 0.5 for i in range(len(exact_theta))]
    worst = max(abs(float(Fraction(float(x)) - t)) / s for x, t, s in zip(theta, exact_theta, sd, strict=True))
    off = max(
        abs(float(Fraction(float(P[i][j])) - exact_P[i][j])) / (sd[i] * sd[j])
        for i in range(len(sd))
        for j in range(len(sd))
    )
    return worst, off
