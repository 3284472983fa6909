"""The weights are prior times predictive densities, and what they weigh is a mixture."""

import numpy as np
import pytest
from mixture.mixtures import KINDS, make, stream
from tolerances import CONTROL, PARITY, THEOREM, relative_error

from kfng._evidence import Evidence


def literal(nlls, weight, dt, prior, forgetting):
    """Weights (n, m) before each row and (m,) after all, and -log densities (n,) of the mixture, a product at a time."""
    prior = np.array(prior) / np.sum(prior)
    evidence, rows, mixed = np.ones(len(prior)), [], []
    for nll, w, time in zip(nlls, weight, dt, strict=True):
        evidence = evidence ** ((1 - forgetting) ** time)
        pi = prior * evidence / np.sum(prior * evidence)
        rows.append(pi)
        mixed.append(-np.log(np.sum(pi * np.exp(-nll))))
        if np.isfinite(nll).all():
            evidence = evidence * np.exp(-w * nll)
            evidence = evidence / evidence.max()
    return np.array(rows), prior * evidence / np.sum(prior * evidence), np.array(mixed)


@pytest.mark.parametrize("forgetting", [0.0, 0.1])
@pytest.mark.parametrize("kind", KINDS)
def test_against_products_of_densities(impl, kind, forgetting):
    mixture = make(impl, kind, forgetting=forgetting)
    prior = np.arange(1.0, 1 + len(mixture.weights))
    mixture = make(impl, kind, forgetting=forgetting, prior=prior)
    U, Y, weight, dt = stream(kind)
    assert relative_error(mixture.weights, prior / prior.sum()) < THEOREM
    trace = mixture.update_many(U, Y, weight=weight, dt=dt)
    weights, after, nll = literal(trace.nlls, weight, dt, prior, forgetting)
    assert relative_error(trace.weights, weights) < THEOREM
    assert relative_error(mixture.weights, after) < THEOREM
    assert relative_error(trace.nll, nll) < THEOREM
    assert np.isnan(trace.nll).tolist() == [i in (5, 20) for i in range(len(Y))]
    wrong, _, _ = literal(trace.nlls, weight, dt, prior, forgetting + 0.05)
    assert relative_error(trace.weights, wrong) > CONTROL * THEOREM
    used = ~np.isnan(nll)
    assert abs(mixture.log_evidence + np.sum((weight * nll)[used])) < THEOREM * 100
    assert relative_error(mixture.log_evidences, -np.sum(weight[used, None] * trace.nlls[used], axis=0)) < THEOREM


def test_dynamic_model_averaging(impl):
    """With equal priors it is Raftery's recursion: weights to the power 1-a, normalised, then times the densities."""
    mixture = make(impl, "half-lives", forgetting=0.05)
    U, Y, _, _ = stream("half-lives")
    trace = mixture.update_many(U, Y)
    pi = np.full(3, 1 / 3)
    for i, nll in enumerate(trace.nlls):
        pi = pi**0.95 / np.sum(pi**0.95)
        assert relative_error(trace.weights[i], pi) < THEOREM
        if np.isfinite(nll).all():
            pi = pi * np.exp(-nll) / np.sum(pi * np.exp(-nll))
    assert relative_error(mixture.weights, pi) < THEOREM


@pytest.mark.parametrize("kind", KINDS)
def test_each_filter_is_the_filter_alone(impl, kind):
    mixture = make(impl, kind)
    alone = mixture.filters
    U, Y, weight, dt = stream(kind)
    trace = mixture.update_many(U, Y, weight=weight, dt=dt)
    for mine, flt, its in zip(trace.traces, alone, mixture.filters, strict=True):
        own = flt.update_many(U, Y, weight=weight, dt=dt)
        for name in ("prediction", "std", "nll", "nll_plugin", "flags"):
            np.testing.assert_array_equal(getattr(mine, name), getattr(own, name))
        assert flt._to_bytes() == its._to_bytes()
    assert mixture.n_updates == max(flt.n_updates for flt in alone)


@pytest.mark.parametrize("kind", KINDS)
def test_moments_are_those_of_draws_from_the_mixture(impl, kind):
    """The law of total variance, from E(y) and E(y²)."""
    mixture = make(impl, kind)
    U, Y, weight, dt = stream(kind)
    trace = mixture.update_many(U, Y, weight=weight, dt=dt)
    pi = trace.weights.T.reshape(len(trace.traces), len(U), *(1,) * (trace.prediction.ndim - 1))
    means = np.array([own.prediction for own in trace.traces], dtype=np.float64)
    squares = np.array([own.std for own in trace.traces]) ** 2 + means**2
    mean = np.sum(pi * means, axis=0)
    assert relative_error(trace.prediction, mean) < (1e-6 if trace.prediction.dtype == np.float32 else THEOREM)
    std = np.sqrt(np.sum(pi * squares, axis=0) - mean**2)
    assert relative_error(trace.std, std) < 100 * THEOREM
    within = np.sqrt(np.sum(pi * (squares - means**2), axis=0))
    assert kind == "precisions" or relative_error(trace.std, within) > CONTROL * THEOREM
    if kind != "gradients":
        mean, std = mixture.predict(U[:7], return_std=True)
        _, cov = mixture.predict(U[:7], return_cov=True)
        assert relative_error(np.sqrt(np.diagonal(cov, axis1=1, axis2=2)), std.reshape(7, -1)) < THEOREM
    assert (mixture.predict(U[:7]) == mean[:7]).all() or kind == "gradients"


def test_evidence_is_the_marginal_likelihood(impl):
    """Of linear Gaussian models the sum of log predictive densities is the log density of all rows together."""
    mixture = make(impl, "priors", prior=[1.0, 2.0, 3.0])
    U, Y, _, _ = stream("priors")
    seen = ~np.isnan(Y)
    trace = mixture.update_many(U, Y)
    H = np.column_stack([U, np.ones(len(U))])[seen]
    logs = []
    for variance in (0.01, 1.0, 100.0):
        S = variance * H @ H.T + np.eye(len(H))
        logs.append(
            -0.5 * (len(H) * np.log(2 * np.pi) + np.linalg.slogdet(S)[1] + Y[seen] @ np.linalg.solve(S, Y[seen]))
        )
    logs = np.array(logs)
    assert relative_error(mixture.log_evidences, logs) < 1e-10
    total = np.log(np.sum(np.array([1, 2, 3]) / 6 * np.exp(logs - logs.max()))) + logs.max()
    assert abs(mixture.log_evidence - total) < 1e-10
    plugged = -np.nansum(trace.traces[2].nll_plugin)
    assert abs(plugged - logs[2]) > CONTROL * 1e-10


@pytest.mark.parametrize("kind", KINDS)
def test_parity(both, kind):
    traces, after = [], []
    for impl in both:
        mixture = make(impl, kind, forgetting=0.02)
        U, Y, weight, dt = stream(kind)
        traces.append(mixture.update_many(U, Y, weight=weight, dt=dt))
        after.append(mixture)
    tolerance = PARITY["float32" if kind == "precisions" else "float64"]
    for name in ("prediction", "std", "nll", "weights"):
        assert relative_error(getattr(traces[0], name), getattr(traces[1], name)) < tolerance
    assert after[0].names == after[1].names
    assert abs(after[0].log_evidence - after[1].log_evidence) < 100 * tolerance


def drifting(step, n, rng):
    """y of three coefficients that walk by `step` a row."""
    U = rng.normal(size=(n, 3))
    walk = np.cumsum(step * rng.normal(size=(n, 3)), axis=0)
    return U, np.sum(U * walk, axis=1) + rng.normal(size=n)


def test_the_weights_find_the_half_life(impl):
    half_lives, rng = (3, 30, 300), np.random.default_rng(1)
    for step, best in ((0.5, 3), (0.05, 30), (0.004, 300)):
        U, Y = drifting(step, 400, rng)
        filters = [impl.Filter(impl.Linear(3), impl.Gaussian(None), rule=impl.Fading(half_life=h)) for h in half_lives]
        mixture = impl.Mixture(dict(zip(map(str, half_lives), filters, strict=True)))
        mixture.update_many(U, Y, trace=False)
        assert max(mixture.health()["weights"], key=mixture.health()["weights"].get) == str(best)
        assert mixture.weights.max() > 0.9
        assert mixture.best.spec() == filters[half_lives.index(best)].spec()


def test_with_forgetting_it_changes_its_mind(impl):
    """Calm rows, then a walk: the evidence of the calm ones keeps the mixture that does not forget from seeing it."""
    rng = np.random.default_rng(2)
    U, Y = drifting(0.0, 600, rng)
    V, Z = drifting(0.5, 40, rng)
    weights = []
    for a in (0.0, 0.05):
        filters = [impl.Filter(impl.Linear(3), impl.Gaussian(1.0), rule=impl.Fading(half_life=h)) for h in (2, 2000)]
        mixture = impl.Mixture(filters, forgetting=a)
        mixture.update_many(U, Y, trace=False)
        assert mixture.weights[1] > 0.9
        mixture.update_many(V, Z, trace=False)
        weights.append(mixture.weights[0])
    assert weights[1] > 0.9
    assert weights[0] < weights[1]


@pytest.mark.parametrize("forgetting", [0.0, 0.07])
def test_one_row_and_many_to_the_bit(forgetting):
    rng = np.random.default_rng(8)
    for m in (1, 2, 5, 12):
        n = 400
        nll, weight, dt = 3 * rng.normal(size=(m, n)), rng.exponential(size=n), rng.exponential(size=n)
        nll[:, rng.random(n) < 0.05], weight[rng.random(n) < 0.05] = np.nan, 0.0
        many = Evidence.start(rng.random(m) + 0.1, forgetting)
        one, weighed = many, many.weigh(nll, weight, dt)
        for i in range(n):
            alone = one.weigh_one(nll[:, i].tolist(), float(weight[i]), float(dt[i]))
            np.testing.assert_array_equal(alone.weights[:, 0], weighed.weights[:, i])
            np.testing.assert_array_equal(alone.nll[0], weighed.nll[i])
            one = alone.after
        np.testing.assert_array_equal(one.scores, weighed.after.scores)
        np.testing.assert_array_equal(one.sums, weighed.after.sums)


def test_a_row_beyond_every_density(impl):
    """-log densities that overflow: no weight becomes NaN, and of equally hopeless filters none gains."""
    mixture = make(impl, "priors")
    U, Y, _, _ = stream("priors")
    mixture.update_many(U, Y, trace=False)
    before = mixture.weights
    nll = np.array([[1.0, np.inf, np.inf, 2.0], [1.5, 3.0, np.inf, np.nan]])
    weighed = Evidence.start(np.ones(2), 0.0).weigh(nll, np.ones(4), np.ones(4))
    assert weighed.weights[:, 2].tolist() == [0.0, 1.0]
    assert weighed.weights[:, 3].tolist() == [0.0, 1.0]
    assert weighed.nll[2] == np.inf
    assert np.isnan(weighed.nll[3])
    assert np.isfinite(weighed.after.scores).all()
    assert np.isfinite(weighed.after.sums).all()
    one = Evidence.start(np.ones(2), 0.0)
    for i in range(4):
        alone = one.weigh_one(nll[:, i].tolist(), 1.0, 1.0)
        np.testing.assert_array_equal(alone.weights[:, 0], weighed.weights[:, i])
        np.testing.assert_array_equal(alone.nll[0], weighed.nll[i])
        one = alone.after
    np.testing.assert_array_equal(one.scores, weighed.after.scores)
    np.testing.assert_array_equal(one.sums, weighed.after.sums)
    assert (mixture.weights == before).all()
