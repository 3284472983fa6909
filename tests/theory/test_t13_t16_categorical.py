"""T13: two classes are a Bernoulli of the difference of their logits, when the priors of that difference match:
P0_Bernoulli = 2·P0_Categorical. T16: the predictive law of K classes knows differences of logits alone.
"""

import numpy as np
import pytest
from tolerances import CONTROL

from kfng import reference
from kfng.reference.family import Categorical

TOLERANCE = 1e-12


def judge(size, tolerance, *, control):
    if control:
        assert size > CONTROL * tolerance, f"the control does not bite: {size:.1e}"
    else:
        assert size <= tolerance, f"{size:.1e} > {tolerance:.0e}"


def stream(wild, n=60, d=2, seed=3):
    rng = np.random.default_rng(seed)
    U, Y = rng.normal(size=(n, d)) * (8.0 if wild else 1.0), rng.integers(0, 2, n).astype(float)
    if wild:
        Y[: n // 2] = U[: n // 2, 0] > 0  # separable at first, then not: logits grow and are proved wrong
    Y[::9] = np.nan
    columns = {"weight": rng.choice([0.0, 0.5, 1.0, 3.0], n), "dt": rng.uniform(0, 2, n)}
    return U, Y, columns, 0.3 * rng.normal(size=n)


def pair(impl, wild, *, ratio=2.0, guards=None):
    """Filters and traces of the two; `ratio` is P0_Bernoulli/P0_Categorical."""
    U, Y, columns, offset = stream(wild)
    d, prior = U.shape[1], 100.0 if wild else 0.8
    rng = np.random.default_rng(1)
    W, c = rng.normal(size=(2, d)), rng.normal(size=2)
    rule, guards = impl.Fading(0.02), impl.Guards() if guards is None else guards
    two = impl.Filter(
        impl.Linear(d, 2), Categorical(2), belief=impl.Full(prior), rule=rule, guards=guards,
        theta=np.concatenate([W.ravel(), c]),
    )  # fmt: skip
    one = impl.Filter(
        impl.Linear(d), impl.Bernoulli(), belief=impl.Full(ratio * prior), rule=rule, guards=guards,
        theta=np.concatenate([W[1] - W[0], [c[1] - c[0]]]),
    )  # fmt: skip
    traces = (
        two.update_many(U, Y, offset=np.stack([0 * offset, offset], axis=1), **columns),
        one.update_many(U, Y, offset=offset, **columns),
    )
    return (two, one), traces


def difference(d):
    """theta of the logit difference from theta = (W, c) of two classes, (d + 1, 2 d + 2)."""
    rows = np.zeros((d + 1, 2 * d + 2))
    for i in range(d):
        rows[i, i], rows[i, d + i] = -1, 1
    rows[d, 2 * d], rows[d, 2 * d + 1] = -1, 1
    return rows


# bites: the same prior variance for the logits and for their difference
@pytest.mark.parametrize("ratio", [2.0, 1.0])
@pytest.mark.parametrize("wild", [False, True])
def test_t13(impl, wild, ratio):
    (two, one), (many, few) = pair(impl, wild, ratio=ratio)
    D, control = difference(2), ratio != 2.0
    cov, sd = one.cov(), one.std()
    tolerance = (
        TOLERANCE if not wild else 1e-9
    )  # prior over noise up to 1e4: the dense update loses about 1e-16 of that
    judge(np.max(np.abs(D @ two.theta - one.theta) / sd), tolerance, control=control)
    judge(np.max(np.abs(D @ two.cov() @ D.T - cov) / np.outer(sd, sd)), tolerance, control=control)
    judge(np.max(np.abs(many.prediction[:, 1] - few.prediction)), tolerance, control=control)
    judge(np.max(np.abs(many.std - few.std[:, None])), tolerance, control=control)
    judge(np.nanmax(np.abs(many.nll_plugin - few.nll_plugin)), tolerance * 10, control=control)
    judge(abs(two.health()["mean_nis"] / one.health()["mean_nis"] - 1), tolerance * 10, control=control)
    assert np.array_equal(np.isnan(many.nll_plugin), np.isnan(few.nll_plugin))
    acted = [
        {name: flt.health()[name] for name in ("clipped", "clamped", "missing", "n_updates")} for flt in (two, one)
    ]
    if not control:
        assert acted[0] == acted[1]
        assert np.array_equal(many.clipped, few.clipped)
    assert (acted[1]["clipped"] > 2) == wild


@pytest.mark.parametrize("clamp", [1.5, 0.2])
def test_t13_clamp(impl, clamp):
    """The clamp on the distance from the largest logit is Bernoulli's on the difference."""
    _, (many, few) = pair(impl, True, guards=impl.Guards(z_clamp=clamp, step_clip=None))
    assert np.max(np.abs(many.z[:, 1] - many.z[:, 0] - few.z[:, 0])) < 1e-9
    assert np.max(np.abs(few.z)) == clamp
    assert (np.abs(few.z) == clamp).sum() > 10


# bites: Var(z_j) of one class for Var(z_j - z_i)
@pytest.mark.parametrize("control", [False, True])
def test_t16_shift_invariance(control):
    """The common mode of the logits is never learned: its mean and its variance must not matter."""
    rng = np.random.default_rng(0)
    K, n = 4, 30
    z, roots = rng.normal(size=(n, K)), rng.normal(size=(n, K, K))
    C, y, none = roots @ roots.swapaxes(1, 2), rng.integers(0, K, (n, 1)).astype(float), np.zeros((n, 0))
    tilt = rng.normal(size=(n, K, 1))  # a common mode correlated with the classes
    moved, spread = z + rng.normal(size=(n, 1)), C + tilt + tilt.swapaxes(1, 2) + 50.0
    law = per_class if control else Categorical(K).predictive_nll
    judge(np.max(np.abs(law(z, C, y, none, none) - law(moved, spread, y, none, none))), 1e-12, control=control)
    family = Categorical(K)
    for part in ("predictive_std", "predictive_covariance"):
        ours, theirs = (getattr(family, part)(*rows, none, none) for rows in ((z, C), (moved, spread)))
        assert np.max(np.abs(ours - theirs)) < 1e-12


def per_class(z, C, y, a, b):
    scaled = z / np.sqrt(1 + np.pi / 8 * np.diagonal(C, axis1=1, axis2=2))
    return np.log(np.exp(scaled).sum(axis=1)) - scaled[np.arange(len(z)), y[:, 0].astype(int)]


# bites: per-class variances
@pytest.mark.parametrize("control", [False, True])
def test_t16_two_classes(control):
    """K = 2: the probit-type approximation m(d/sqrt(1 + pi/8 Var d)) of a Bernoulli's predictive probability."""
    rng = np.random.default_rng(1)
    z, roots = rng.normal(size=(20, 2)), rng.normal(size=(20, 2, 2))
    C, none = roots @ roots.swapaxes(1, 2), np.zeros((20, 0))
    d, variance = z[:, 1] - z[:, 0], C[:, 0, 0] + C[:, 1, 1] - 2 * C[:, 0, 1]
    law = per_class if control else Categorical(2).predictive_nll
    for y, sign in ((1.0, 1.0), (0.0, -1.0)):
        exact = np.log1p(np.exp(-sign * d / np.sqrt(1 + np.pi / 8 * variance)))
        judge(np.max(np.abs(law(z, C, np.full((20, 1), y), none, none) - exact)), 1e-12, control=control)


def test_t16_sums_to_one_and_is_near_the_integral():
    """Normalised; within 0.1 nats of the Monte Carlo integral where logits have a standard deviation of 1."""
    rng = np.random.default_rng(2)
    K, family, normals = 3, Categorical(3), rng.standard_normal((100_000, 3))
    for _ in range(5):
        z, root = rng.normal(size=K), np.linalg.cholesky(np.eye(K) + 0.3 * (1 - np.eye(K)))
        rows = np.repeat(z[None], K, axis=0), np.repeat((root @ root.T)[None], K, axis=0), np.arange(3.0)[:, None]
        nll = family.predictive_nll(*rows, np.zeros((K, 0)), np.zeros((K, 0)))
        assert abs(np.exp(-nll).sum() - 1) < 1e-14
        logits = z + normals @ root.T
        exact = np.mean(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), axis=0)
        assert np.max(np.abs(nll + np.log(exact))) < 0.1


def test_what_is_no_class():
    family = Categorical(3)
    y = np.array([[0.0], [2.0], [np.nan], [3.0], [-1.0], [0.5]])
    assert family.invalid(y).tolist() == [False, False, False, True, True, True]
    assert family.missing(y).tolist() == [False, False, True, False, False, False]
    for n in (1, 2.5, True):
        with pytest.raises(reference.ParameterError):
            Categorical(n)
    with pytest.raises(reference.UnsupportedError):
        family.predictive_quantiles(
            np.zeros((1, 3)), np.zeros((1, 3, 3)), np.zeros((1, 0)), np.zeros((1, 0)), np.array([0.5])
        )
    with pytest.raises(reference.ShapeError):
        reference.Filter(reference.Linear(2, 2), family)
