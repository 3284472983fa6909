"""kfng against its reference on configurations drawn at random: sizes, laws, rules, guards, priors, gaps, weights."""

from __future__ import annotations

import numpy as np
import pytest
from tolerances import covariance_error, relative_error, theta_error

ROWS = 60
CONFIGURATIONS = 60
TOLERANCE = 1e-10
SINGLE = 400 * 2.0**-24
"""float32 keeps theta and P to u = 2^-24. Each of 60 rows rounds p numbers a few times, and what it rounds is at most some
ten standard deviations large: 44 u was the worst of these draws, ten times that is allowed."""


def draw(seed, n=ROWS):
    """A function of `impl` that makes the filter, and rows for it."""
    rng = np.random.default_rng([20180301, seed])
    law = ("variance", "covariance", "learned", "bernoulli", "poisson")[seed % 5]
    d = int(rng.integers(0, 8))
    k = 1 if law in ("bernoulli", "poisson") else int(rng.integers(1, 4))
    intercept = d == 0 or bool(rng.integers(2))
    p = k * (d + intercept)
    root = rng.normal(size=(k, k)) + 2 * np.eye(k)
    R = root @ root.T
    prior = [float(rng.uniform(0.05, 3)), rng.uniform(0.05, 3, size=p), np.diag(rng.uniform(0.5, 3, size=p)) + 0.4][
        rng.integers(3)
    ]
    scale = 0.05 if law == "poisson" else 1.0
    theta = rng.normal(size=p) * 0.3 * np.sqrt(scale)
    rule = [
        ("Kalman", {}),
        ("Fading", {"forgetting": float(rng.uniform(0, 0.3))}),
        ("Fading", {"half_life": float(rng.uniform(1, 50))}),
    ]
    rule_name, rule_settings = rule[rng.integers(3)]
    guards = [
        {},
        {"step_clip": 0.5, "z_clamp": 1.0, "windup": 2.5},
        {"step_clip": None, "z_clamp": None, "r_floor": None},
    ]
    settings = guards[rng.integers(3)]

    def build(impl, **more):
        families = {
            "variance": lambda: impl.Gaussian(float(R[0, 0])),
            "covariance": lambda: impl.Gaussian(covariance=R),
            "learned": lambda: impl.Gaussian(None, prior_dof=2.5, prior_scale=0.3),
            "bernoulli": impl.Bernoulli,
            "poisson": impl.Poisson,
        }
        return impl.Filter(
            impl.Linear(d, k, intercept), families[law](), belief=impl.Full(np.asarray(prior) * scale), theta=theta,
            rule=getattr(impl, rule_name)(**rule_settings), guards=impl.Guards(**settings), **more,
        )  # fmt: skip

    U = rng.normal(size=(n, d)) * rng.choice([0.1, 1.0, 3.0], size=d)
    U[: n // 2, : d // 2] = 1.0  # constant for a while: the wind-up guard has something to do
    Y = rng.normal(size=(n, k)) * 2
    if law == "bernoulli":
        Y = rng.random((n, k)).round(1)
    elif law == "poisson":
        Y = rng.poisson(1.5, size=(n, k)).astype(np.float64)
    Y[rng.random((n, k)) < 0.15] = np.nan
    weight = rng.choice([0.0, 0.5, 1.0, 3.0], size=n)
    dt = rng.choice([0.0, 0.5, 1.0, 20.0], size=n)
    return build, (U, Y), {"weight": weight, "dt": dt, "offset": rng.normal(size=(n, k)) * 0.3}


@pytest.mark.parametrize("seed", range(CONFIGURATIONS))
def test_drawn(both, seed):
    build, rows, columns = draw(seed)
    (flt, trace), (other, target) = ((f := build(impl), f.update_many(*rows, **columns)) for impl in both)
    P = other._covariance()
    assert theta_error(flt.theta, other.theta, P) < TOLERANCE
    assert covariance_error(flt._covariance(), P) < TOLERANCE
    for name in ("prediction", "std", "nll_plugin", "skipped", "clipped"):
        assert relative_error(getattr(trace, name), getattr(target, name)) < TOLERANCE, name
    health, expected = flt.health(), other.health()
    assert {n: v for n, v in health.items() if isinstance(v, int)} == {
        n: v for n, v in expected.items() if isinstance(v, int)
    }
    for name in ("rho_max", "mean_nis"):
        assert health[name] == pytest.approx(expected[name], rel=1e-9, nan_ok=True), name
    assert relative_error(trace.nll, target.nll) < TOLERANCE
    if type(flt.settings.family).__name__ == "Gaussian":
        np.testing.assert_allclose(flt.noise_variance[0], other.noise_variance[0], rtol=TOLERANCE)
        quantiles = [f.predict_quantiles(rows[0][:5], [0.01, 0.5, 0.9]) for f in (flt, other)]
        assert relative_error(*quantiles) < TOLERANCE


@pytest.mark.parametrize("seed", range(0, CONFIGURATIONS, 2))
def test_drawn_in_single_precision(both, seed):
    """kfng in float32 against the reference in float64: the distance is that of the roundoff, no more and no less."""
    build, rows, columns = draw(seed)
    flt, other = build(both[0], dtype="float32"), build(both[1])
    trace, target = (f.update_many(*rows, **columns) for f in (flt, other))
    P = other._covariance()
    distance = theta_error(flt.theta, other.theta, P)
    assert 2.0**-32 < distance < SINGLE
    assert covariance_error(flt._covariance(), P) < SINGLE
    np.testing.assert_array_equal(trace.skipped, target.skipped)
    assert flt.health()["n_updates"] == other.health()["n_updates"]
    assert flt.health()["windup"] == other.health()["windup"]
    assert trace.prediction.dtype == np.float32


def test_the_draws_cover_what_they_should():
    """All laws, both rules, several outputs, and streams on which each guard acts."""
    from kfng import reference

    made = []
    for seed in range(CONFIGURATIONS):
        build, rows, columns = draw(seed)
        flt = build(reference)
        flt.update_many(*rows, **columns, trace=False)
        made.append(flt)
    for guard in ("clipped", "clamped", "windup", "missing"):
        assert sum(flt.health()[guard] > 0 for flt in made) >= 3, guard
    assert {type(flt.settings.rule).__name__ for flt in made} == {"Kalman", "Fading"}
    assert {flt.settings.k for flt in made} == {1, 2, 3}
    assert {np.ndim(flt.settings.belief.prior_variance) for flt in made} == {0, 1, 2}


def test_the_comparison_would_see_a_small_difference(both):
    """The control: a prior larger by 1e-6 is told apart."""
    build, rows, columns = draw(0)
    flt, other = build(both[0]), build(both[1])
    flt.update_many(*rows, **columns)
    other.update_many(rows[0] * (1 + 1e-6), rows[1], **columns)
    assert theta_error(flt.theta, other.theta, other._covariance()) > TOLERANCE
