"""N2 and N3: streams that go on for ever."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from release.check import Figure, check
from release.exact import errors, inverse

import kfng

SHIFT = {1e8: 12, 1e14: 22}
"""Two columns that share a part 2^k times as large as their difference have condition about 2^(2k + 2)."""
NEARLY_ALIKE = {1e8: 1e-9, 1e14: 1e-6}
"""What is asked of theta.

An entry of U near 1 is rounded to 2^-53 by each of n rows: where two columns are alike but for a part sqrt(kappa) times as small,
that makes about 2^-53 sqrt(kappa n) sd if roundings are independent. They are not where a seventh of the rows differ by exactly 0, as
here: the change that such a row makes is below half a unit once n is large, and is lost. That is why 1e-6 is missed after 1e6 rows;
with U kept in twice the digits, or without such rows, it holds.
"""


def whole_rows(rng: np.random.Generator, n: int, p: int, shift: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and outcomes that are whole numbers, so that sums of them are exact in integers."""
    U = rng.integers(-3, 4, size=(n, p))
    U[:, 1] += (U[:, 0] << shift) if p > 1 else 0
    U[:, 0] <<= shift
    y = rng.integers(-3, 4, size=n)
    y += U[:, 1] - U[:, 0] if p > 1 else U[:, 0]
    return U, y


def add(total: np.ndarray, A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """total + A'B in integers: int64 within a piece, Python's beyond."""
    for i in range(0, len(A), 500):
        total = total + (A[i : i + 500].T @ B[i : i + 500]).astype(object)
    return total


@check(
    "N2",
    "long streams against the exact posterior; with forgetting the error does not grow",
    small={"n": 100_000, "steps": 300_000},
    full={"n": 1_000_000, "steps": 10_000_000},
)
def long_streams(n, steps) -> list[Figure]:
    figures, p = [Figure("rows without forgetting, each of 3 filters", n)], 5
    for kappa, bound in NEARLY_ALIKE.items():
        rng = np.random.default_rng(2)
        J, b = np.zeros((p, p), dtype=object), np.zeros(p, dtype=object)
        flt = kfng.Filter(kfng.Linear(p, intercept=False), kfng.Gaussian(1.0), belief=kfng.Full(1.0))
        negative, off = 0, 0.0
        for rows in range(50_000, n + 1, 50_000):
            U, y = whole_rows(rng, 50_000, p, SHIFT[kappa])
            J, b = add(J, U, U), add(b, U, y)
            flt.update_many(U.astype(np.float64), y.astype(np.float64), trace=False)
            negative += int((flt._factors()[1] < 0).sum())
            if rows in (100_000, n):
                exact = inverse([[int(J[i, j]) + (i == j) for j in range(p)] for i in range(p)], [int(x) for x in b])
                theta, off = errors(flt.theta, flt.cov(), *exact)
                figures.append(Figure(f"kappa {kappa:.0e}, {rows:,} rows: theta, in posterior sd", theta, bound))
        figures += [
            Figure(f"kappa {kappa:.0e}: P, relative to sd_i sd_j", off, 1e-6),
            Figure(f"kappa {kappa:.0e}: pivots below 0", negative, 0),
        ]
    rng = np.random.default_rng(2)
    narrow = kfng.Filter(kfng.Linear(p, intercept=False), kfng.Gaussian(1.0), belief=kfng.Full(1.0), dtype="float32")
    J, b = np.zeros((p, p), dtype=object), np.zeros(p, dtype=object)
    for _ in range(0, n, 50_000):
        U, y = whole_rows(rng, 50_000, p, 3)
        J, b = add(J, U, U), add(b, U, y)
        narrow.update_many(U.astype(np.float64), y.astype(np.float64), trace=False)
    J = [[int(J[i, j]) + (i == j) for j in range(p)] for i in range(p)]
    theta, _ = errors(narrow.theta, narrow.cov(), *inverse(J, [int(x) for x in b]))
    figures.append(Figure("float32, kappa 1e2: theta, in posterior sd", theta, 0.15))
    return figures + forgetting(steps)


def forgetting(steps: int) -> list[Figure]:
    """J <- (1 - lam) J + h h' with lam = 2^-9, exactly: what is older than some rows is beyond 300 bits."""
    p, k, last = 5, 9, 40_000
    figures = [Figure("rows with forgetting 2^-9", steps)]
    for dtype, bound, shift in (("float64", 1e-11, 10), ("float32", 1e-3, 3)):
        rng = np.random.default_rng(3)
        flt = kfng.Filter(
            kfng.Linear(p, intercept=False),
            kfng.Gaussian(1.0),
            belief=kfng.Full(1.0),
            rule=kfng.Fading(2.0**-k),
            dtype=dtype,
        )
        worst = {"theta": 0.0, "P": 0.0}
        for _ in range(3):
            for _ in range(0, steps // 3, 50_000):
                U, y = whole_rows(rng, 50_000, p, shift)
                flt.update_many(U.astype(np.float64), y.astype(np.float64), trace=False)
            one, decay = 1 << 300, Fraction(2**k - 1, 2**k)
            weight, weights = one, []
            for _ in range(last):
                weights.append(weight)
                weight = weight * decay.numerator >> k
            w = np.array(weights[::-1], dtype=object)[:, None]
            H, Y = U[-last:].astype(object), y[-last:].astype(object)
            J, b = (H * w).T @ H, (H * w).T @ Y
            exact = inverse(J.tolist(), b.tolist())
            theta, off = errors(flt.theta, flt.cov(), exact[0], [[x * one for x in row] for row in exact[1]])
            worst = {"theta": max(worst["theta"], theta), "P": max(worst["P"], off)}
        figures.append(Figure(f"{dtype}: theta at any of three times, in posterior sd", worst["theta"], bound))
        figures.append(Figure(f"{dtype}: P at any of three times, relative to sd_i sd_j", worst["P"], bound))
    return figures


@check(
    "N3",
    "forgetting without excitation: variances stay within their bound",
    small={"n": 5_000},
    full={"n": 1_000_000},
)
def wind_up(n) -> list[Figure]:
    worst = {"plain": 0.0, "towards the prior": 0.0, "natural gradient": 0.0}
    bad = 0
    for lam in (1e-3, 0.01, 0.1, 0.5):
        rules = {
            "plain": kfng.Fading(lam),
            "towards the prior": kfng.Fading(lam, towards="prior"),
            "natural gradient": kfng.NaturalGradient(lam),
        }
        for name, rule in rules.items():
            for dtype in ("float64", "float32"):
                flt = kfng.Filter(kfng.Linear(3), kfng.Bernoulli(), rule=rule, belief=kfng.Full(2.0), dtype=dtype)
                prior, rng = np.diagonal(flt._covariance()).copy(), np.random.default_rng(5)
                for start in range(0, n, max(n // 200, 7)):
                    m = min(max(n // 200, 7), n - start)
                    U = np.zeros((m, 3))
                    U[:, 0] = rng.normal(size=m) * (
                        start % 3 == 0
                    )  # a column that comes and goes; two that never speak
                    flt.update_many(U, (rng.random(m) < 0.5).astype(float), trace=False)
                    worst[name] = max(worst[name], float((np.diagonal(flt._covariance()) / prior).max()))
                bad += sum(int((~np.isfinite(x)).sum()) for x in flt._state().values())
    rounding = 1 + 1e-4  # of float32, which keeps half of the filters
    return [
        Figure("rows, each of 24 filters", n),
        Figure("plain forgetting: largest variance over that of the prior", worst["plain"], 4 * rounding),
        Figure("natural gradient: largest variance over that of the prior", worst["natural gradient"], 4 * rounding),
        Figure("towards the prior: largest variance over that of the prior", worst["towards the prior"], 2 * rounding),
        Figure("non-finite numbers in the states", bad, 0),
    ]
