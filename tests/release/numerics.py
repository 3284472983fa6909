"""N: how far a filter may be from the exact answer, and what its state never is."""

from __future__ import annotations

import importlib
import itertools
from typing import Any

import numpy as np
from parity import test_random
from release.check import Figure, check
from release.exact import errors, posterior
from tolerances import covariance_error, theta_error

import kfng

U64, U32 = 2.0**-53, 2.0**-24


def rows(p: int, kappa: float, n: int, dtype: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows whose E[hh'] has condition kappa, in no special basis, and what a unit theta makes of them."""
    rng = np.random.default_rng(seed)
    Q = np.linalg.qr(rng.normal(size=(p, p)))[0]
    scale = kappa ** (-np.arange(p) / max(2 * (p - 1), 1))
    U = ((rng.normal(size=(n, p)) * scale) @ Q.T).astype(dtype).astype(np.float64)
    y = U @ rng.normal(size=p) + rng.normal(size=n)
    return U, y


@check(
    "N1",
    "linear Gaussian rows against the exact posterior, over conditioning, diffuse priors, sizes and both dtypes",
    small={"kappas": (1.0, 1e8, 1e14), "priors": (1.0, 2.0**27, 2.0**53), "sizes": (1, 2, 5), "more": 30},
    full={
        "kappas": tuple(10.0**k for k in range(0, 15, 2)),
        "priors": tuple(2.0**k for k in (0, 7, 14, 20, 27, 34, 40, 47, 53)),
        "sizes": (1, 2, 5, 20, 50),
        "more": 30,
    },
)
def against_the_exact_posterior(kappas, priors, sizes, more) -> list[Figure]:
    worst = {"f64 well": 0.0, "f64 ill": 0.0, "f64 P": 0.0, "f32": 0.0}
    cells = negative = 0
    for p, kappa, dtype in itertools.product(sizes, kappas, ("float64", "float32")):
        for prior in priors:
            U, y = rows(p, kappa, p + more, dtype, seed=cells)
            flt = kfng.Filter(kfng.Linear(p, intercept=False), kfng.Gaussian(1.0), belief=kfng.Full(prior), dtype=dtype)
            for row in zip(U, y, strict=True):
                flt.update(*row)
                negative += int((flt._factors()[1] < 0).sum())
            cells += 1
            theta, off = errors(flt.theta, flt.cov(), *posterior(U, y, prior, 1.0))
            rho = flt.health()["rho_max"]
            if dtype == "float64" and rho <= 1e16:
                key = "f64 well" if kappa <= 1e8 else "f64 ill"
                worst[key] = max(worst[key], theta)
                worst["f64 P"] = max(worst["f64 P"], off)
            elif dtype == "float32" and kappa <= 1e4 and rho <= 1e12:
                worst["f32"] = max(worst["f32"], theta)
    return [
        Figure("filters", cells),
        Figure("pivots below 0 after any row", negative, 0),
        Figure("float64, kappa <= 1e8: theta, in posterior sd", worst["f64 well"], 1e-9),
        Figure("float64, kappa <= 1e14: theta, in posterior sd", worst["f64 ill"], 1e-6),
        Figure("float64: P, relative to sd_i sd_j", worst["f64 P"], 1e-6),
        Figure("float32, kappa <= 1e4, rho <= 1e12: theta, in posterior sd", worst["f32"], 0.15),
    ]


@check(
    "N4",
    "kfng against its reference on configurations drawn at random",
    small={"configurations": 20, "n": 60},
    full={"configurations": 500, "n": 200},
)
def against_the_reference(configurations, n) -> list[Figure]:
    both = kfng, importlib.import_module("kfng.reference")
    worst = {"theta": 0.0, "P": 0.0}
    for seed in range(1000, 1000 + configurations):
        build, data, columns = test_random.draw(seed, n)
        flt, other = (build(impl) for impl in both)
        flt.update_many(*data, **columns)
        other.update_many(*data, **columns)
        P = other._covariance()
        worst["theta"] = max(worst["theta"], theta_error(flt.theta, other.theta, P))
        worst["P"] = max(worst["P"], covariance_error(flt._covariance(), P))
    return [
        Figure("configurations", configurations),
        Figure("rows of each", n),
        Figure("theta, in posterior sd", worst["theta"], 1e-9),
        Figure("P, relative to sd_i sd_j", worst["P"], 1e-9),
    ]


FAMILIES: dict[str, Any] = {
    "bernoulli": (lambda: kfng.Bernoulli(), 1.0),
    "binomial": (lambda: kfng.Binomial(7), 7.0),
    "poisson": (lambda: kfng.Poisson(), 1e6),
    "negative binomial": (lambda: kfng.NegativeBinomial(2.0), 1e6),
    "gamma": (lambda: kfng.Gamma(2.0), 1e6),
}


@check(
    "N6",
    "generalised linear models driven into saturation: links, priors and outcomes far out",
    small={"n": 40},
    full={"n": 20_000},
)
def saturation(n) -> list[Figure]:
    streams = bad = rows_taken = 0
    for (name, (family, most)), size, prior, dtype in itertools.product(
        FAMILIES.items(), (1.0, 1e2, 1e5, 1e9), (1.0, 1e3, 1e6, 1e12), ("float64", "float32")
    ):
        rng = np.random.default_rng(streams)
        U = size * rng.normal(size=(n, 2))
        low = 1e-6 if name == "gamma" else 0.0
        y = np.where(U[:, 0] > 0, most, low)
        y[::7] = low + most - y[::7]  # and the contrary of what has been learned
        flt = kfng.Filter(kfng.Linear(2), family(), belief=kfng.Full(prior), dtype=dtype)
        trace = flt.update_many(U, y, on_bad_row="skip")
        streams += 1
        rows_taken += flt.n_updates
        shown = (flt.theta, flt.std(), flt.cov(), trace.prediction[~trace.skipped], trace.std[~trace.skipped])
        bad += sum(int(np.isnan(x).sum()) for x in shown)
        bad += sum(int((~np.isfinite(x)).sum()) for x in flt._state().values())
    return [
        Figure("streams", streams),
        Figure("rows learned from", rows_taken),
        Figure("NaN in predictions, or a non-finite number in a state", bad, 0),
    ]


@check(
    "N8",
    "a bad row is as if it had never come",
    small={"n": 20_000},
    full={"n": 1_000_000},
)
def omitted_rows(n) -> list[Figure]:
    rng = np.random.default_rng(8)
    poison = np.array([np.nan, np.inf, -np.inf])
    figures, different, refused = [], 0, 0
    for make in (
        lambda: kfng.Filter(kfng.Linear(5), kfng.Gaussian(None), rule=kfng.Fading(1e-3)),
        lambda: kfng.Filter(kfng.Linear(5), kfng.Bernoulli()),
        lambda: kfng.Filter(kfng.Linear(5), kfng.Gaussian(1.0), belief=kfng.Diagonal(1.0)),
    ):
        U, y = rng.normal(size=(n, 5)), rng.random(n).round()
        bad = rng.random(n) < 0.02
        U[bad, rng.integers(0, 5, size=bad.sum())] = rng.choice(poison, size=bad.sum())
        flt, twin = make(), make()
        flt.update_many(U, y, on_bad_row="skip", trace=False)
        twin.update_many(U[~bad], y[~bad], trace=False)
        for name, value in twin._state().items():
            different += name != "counters" and value.tobytes() != flt._state()[name].tobytes()
        refused += flt.health()["skipped"]
        figures.append(abs(flt.health()["skipped"] - int(bad.sum())))
    return [
        Figure("rows", 3 * n),
        Figure("of them bad", refused),
        Figure("bad rows that were not counted as such", sum(figures), 0),
        Figure("arrays of the states that differ from those without the bad rows, in any bit", different, 0),
    ]


@check(
    "N11",
    "intervals of parameters drawn from the prior hold them as often as they say",
    small={"seeds": 100, "n": 60},
    full={"seeds": 200, "n": 2000},
)
def calibration(seeds, n) -> list[Figure]:
    figures = []
    for name, family in (
        ("Gaussian", kfng.Gaussian(0.5)),
        ("Bernoulli", kfng.Bernoulli()),
        ("Poisson", kfng.Poisson()),
    ):
        inside, p = 0, 4
        for seed in range(seeds):
            rng = np.random.default_rng([11, seed])
            theta = rng.normal(size=p) * 0.5
            U = rng.normal(size=(n, p)) * 0.7
            z = U @ theta
            if name == "Gaussian":
                y = z + rng.normal(size=n) * 0.5**0.5
            elif name == "Bernoulli":
                y = (rng.random(n) < 1 / (1 + np.exp(-z))).astype(float)
            else:
                y = rng.poisson(np.exp(z)).astype(float)
            flt = kfng.Filter(kfng.Linear(p, intercept=False), family, belief=kfng.Full(0.25))
            flt.update_many(U, y, trace=False)
            inside += int((np.abs(flt.theta - theta) < 1.6448536269514722 * flt.std()).sum())
        share = inside / (seeds * p)
        figures.append(Figure(f"{name}: share of true parameters in their 90 % intervals", share))
        if name == "Gaussian":  # exact there: the band is that of the binomial
            band = 4 * (0.9 * 0.1 / (seeds * p)) ** 0.5
            figures.append(
                Figure("Gaussian: its distance from 0.9, in widths of 4 standard errors", abs(share - 0.9) / band, 1)
            )
        else:  # one linearisation a row: near, not exact
            figures.append(Figure(f"{name}: its distance from 0.9", abs(share - 0.9), 0.05))
    return [Figure("seeds", seeds), *figures]


@check(
    "N12",
    "backward errors of factoring and of a row, over n u, as LAPACK tests its own",
    small={"sizes": (2, 5, 20, 60)},
    full={"sizes": (2, 5, 20, 60, 150, 400)},
)
def backward_errors(sizes) -> list[Figure]:
    worst = {"factors": 0.0, "row": 0.0, "P": 0.0}
    for p, dtype in itertools.product(sizes, ("float64", "float32")):
        u = U64 if dtype == "float64" else U32
        rng = np.random.default_rng(p)
        for kappa in (1.0, 1e3):
            Q = np.linalg.qr(rng.normal(size=(p, p)))[0]
            P0 = (Q * np.geomspace(1, 1 / kappa, p)) @ Q.T
            P0 = (P0 + P0.T) / 2
            flt = kfng.Filter(kfng.Linear(p, intercept=False), kfng.Gaussian(1.0), belief=kfng.Full(P0), dtype=dtype)
            factor, D = flt._factors()
            norm = np.abs(P0).sum(axis=0).max()
            residual = np.abs((factor * D) @ factor.T - P0).sum(axis=0).max()
            worst["factors"] = max(worst["factors"], residual / (p * u * norm))
            h = rng.normal(size=p).astype(dtype).astype(np.float64)
            before = (factor * D) @ factor.T
            flt.update(h, 0.5)
            after = before - np.outer(before @ h, before @ h) / (1 + h @ before @ h)
            worst["row"] = max(worst["row"], np.abs(flt._covariance() - after).sum(axis=0).max() / (p * u * norm))
            factor, D = flt._factors()
            worst["P"] = max(worst["P"], np.abs((factor * D) @ factor.T - flt.cov()).sum(axis=0).max() / (p * u * norm))
    return [
        Figure("P0 - U D U', over p u |P0|", worst["factors"], 30),
        Figure("P after a row, over p u |P0|", worst["row"], 30),
        Figure("cov() - U D U', over p u |P0|", worst["P"], 30),
    ]
