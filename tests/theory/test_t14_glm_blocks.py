"""T14: with `deterministic=False` rows whose weights depend on theta share a pass, and give what one row at a time gives.

The block gets each row's z from the products of the rows in the metric of the belief (a k×k matrix), where one row at a time gets it
from theta. The two are the same number by the textbook identity, rounded another way: agreement is to 1e-12, not of bits.
"""

import itertools

import numpy as np
import pytest

import kfng
from kfng import reference

P, P32 = 1600, 3200  # blocks run from 1536 parameters on, in float32 from 3072
N = 60
TOLERANCE = 1e-12
FAMILIES = {
    "bernoulli": kfng.Bernoulli,
    "binomial": lambda: kfng.Binomial(6),
    "trials": kfng.Binomial,
    "poisson": kfng.Poisson,
    "negative_binomial": lambda: kfng.NegativeBinomial(0.5),
}
RULES = {
    "kalman": kfng.Kalman,
    "fading": lambda: kfng.Fading(0.02),
    "half-life": lambda: kfng.Fading(half_life=9.0),
    "prior": lambda: kfng.Fading(1e-4, towards="prior"),
    "gradient": lambda: kfng.NaturalGradient(kfng.Power(0.5, 0.7)),
    "noise": lambda: kfng.ProcessNoise(1e-3, every=25),
}
CASES = [(family, "fading", "float64") for family in FAMILIES]
CASES += [(family, "kalman", "float32") for family in FAMILIES]
CASES += [("bernoulli", rule, "float64") for rule in RULES if rule != "fading"]


def rows(family, rule="fading", p=P):
    """Missing y, weight 0, hidden u, dt 0 and large, offsets: some of them large enough to be clamped, and steps that are clipped."""
    rng = np.random.default_rng(5)
    U = 0.6 * rng.normal(size=(N, p))
    z = U @ rng.normal(size=p) / np.sqrt(p)
    Y = {
        "bernoulli": lambda: rng.random(N) < 1 / (1 + np.exp(-z)),
        "binomial": lambda: rng.integers(0, 7, N),
        "trials": lambda: np.floor(rng.uniform([0, 4], [4, 9], size=(N, 2))),
    }.get(family, lambda: rng.poisson(3 * np.exp(z)))()
    Y = 1.0 * Y
    Y[rng.random(N) < 0.1] = np.nan
    hidden = np.isnan(Y.reshape(N, -1)).any(axis=1) & (rng.random(N) < 0.5)
    U[hidden] = np.nan
    dt = np.where(rng.random(N) < 0.1, 0.0, rng.uniform(0.1, 2.0, N))
    dt[[20, 45]] = 60.0
    if rule == "gradient":
        dt = np.ones(N)
    offset = 0.2 * rng.normal(size=N)
    offset[[3, 50]] = 400.0, -400.0
    return {
        "U": U,
        "Y": Y,
        "weight": np.where(rng.random(N) < 0.1, 0.0, rng.uniform(0.2, 2.0, N)),
        "dt": dt,
        "offset": offset,
    }


def make(family, rule, dtype="float64"):
    model = kfng.Linear(P if dtype == "float64" else P32, intercept=False)
    return kfng.Filter(
        model,
        FAMILIES[family](),
        belief=kfng.Full(0.5),
        rule=RULES[rule](),
        dtype=dtype,
        guards=kfng.Guards(step_clip=0.5),
    )


def run(flt, rows, stops=(), **options):
    traces = []
    for start, stop in itertools.pairwise([0, *stops, N]):
        part = {name: array[start:stop] for name, array in rows.items()}
        traces.append(flt.update_many(part.pop("U"), part.pop("Y"), **part, **options))
    return {name: np.concatenate([getattr(t, name) for t in traces]) for name in ("prediction", "std", "nll")}


def apart(one, other, seen, known):
    """Largest relative difference of two runs: means and factors of the state by their largest entry, predictions each by itself."""
    result = {}
    state, same = one._state(), other._state()
    assert np.array_equal(state["counters"], same["counters"])
    for name, array in state.items():
        scale = np.max(np.abs(same[name]), initial=1e-300)
        result[name] = float(np.max(np.abs(array - same[name]), initial=0.0) / scale)
    for name, array in seen.items():
        a, b = array[np.isfinite(known[name])], known[name][np.isfinite(known[name])]
        assert np.array_equal(np.isnan(array), np.isnan(known[name]))
        result[name] = float(np.max(np.abs(a - b) / (1 + np.abs(b))))
    return max(result.values())


@pytest.mark.parametrize(("family", "rule", "dtype"), CASES)
def test_a_block_gives_what_its_rows_give(family, rule, dtype):
    data = rows(family, rule, P if dtype == "float64" else P32)
    one, many = make(family, rule, dtype), make(family, rule, dtype)
    known = run(one, data)
    assert one._glm_blocks == 0
    seen = run(many, data, deterministic=False)
    assert many._glm_blocks >= 3
    health = many.health()
    assert health["missing"] > 0
    assert health["clipped"] > 0
    assert health["clamped"] > 0
    tolerance = TOLERANCE if dtype == "float64" else 2e-4
    assert apart(many, one, seen, known) < tolerance


def test_any_chunks():
    data, rng = rows("poisson"), np.random.default_rng(0)
    one, many = make("poisson", "half-life"), make("poisson", "half-life")
    known = run(one, data)
    seen = run(many, data, np.sort(rng.choice(np.arange(1, N), 6, replace=False)).tolist(), deterministic=False)
    assert many._glm_blocks >= 3
    assert apart(many, one, seen, known) < TOLERANCE


def test_a_wind_up_ends_a_block():
    data = rows("bernoulli")
    data["U"][:, : P // 2] *= np.arange(N)[:, None] > 45  # not excited before: winds up
    one, many = make("bernoulli", "half-life"), make("bernoulli", "half-life")
    known = run(one, data)
    seen = run(many, data, deterministic=False)
    assert many._glm_blocks >= 3
    assert many.health()["windup"] > 0
    assert apart(many, one, seen, known) < TOLERANCE


def literal_block(P, z, H, y, weight, decay, change=None):
    """Predictions of the rows of a logistic block, from their products in the metric P alone: one operation a line, one of them changed."""
    z, G, s = z.copy(), H @ P @ H.T, 1.0
    for j in range(len(H)):
        old, s = s, s / decay[j]
        here = old if change == "the s of the row before" else s
        pi = 1 / (1 + np.exp(-z[j]))
        w = weight[j] * pi * (1 - pi)
        alpha = 1 + w * here * G[j, j]
        a = weight[j] * (y[j] - pi) / alpha
        later = slice(j + 1, None)
        z[later] += here * G[later, j] * a * (change != "z left alone")
        G[later, later] -= here * w / alpha * np.outer(G[later, j], G[j, later]) * (change != "G left alone")
    return 1 / (1 + np.exp(-z))


def literal_distance(change=None):
    """How far the twin's predictions of 12 rows are from those of kfng: one row at a time, and in a block."""
    rng, lam = np.random.default_rng(8), 0.02
    U = 0.6 * rng.normal(size=(32, P))
    Y = 1.0 * (rng.random(32) < 0.5)
    rest = {"weight": rng.uniform(0.2, 2.0, 32), "dt": rng.uniform(0.5, 2.0, 32)}
    first, last = ({name: array[part] for name, array in rest.items()} for part in (slice(20), slice(20, None)))
    result = []
    for options in ({}, {"deterministic": False}):
        model = kfng.Linear(P, intercept=False)
        flt = kfng.Filter(model, kfng.Bernoulli(), belief=kfng.Full(0.1), rule=kfng.Fading(lam))
        flt.update_many(U[:20], Y[:20], **first)
        decay = (1 - lam) ** last["dt"]
        twin = literal_block(flt.cov(), U[20:] @ flt.theta, U[20:], Y[20:], last["weight"], decay, change)
        trace = flt.update_many(U[20:], Y[20:], **last, **options)
        assert (flt._glm_blocks > 0) == bool(options)
        result.append(np.max(np.abs(trace.prediction - twin)))
    return result


def test_the_recursion_written_out():
    assert max(literal_distance()) < TOLERANCE


@pytest.mark.parametrize("change", ["z left alone", "G left alone", "the s of the row before"])
def test_one_operation_changed_shows(change):
    assert min(literal_distance(change)) > 1e3 * TOLERANCE


def test_the_reference_agrees():
    data = rows("bernoulli")
    many = make("bernoulli", "fading")
    model = reference.Linear(P, intercept=False)
    rest = {"belief": reference.Full(0.5), "rule": reference.Fading(0.02), "guards": reference.Guards(step_clip=0.5)}
    exact = reference.Filter(model, reference.Bernoulli(), **rest)
    few = {name: array[:20] for name, array in data.items()}
    for flt in (many, exact):
        flt.update_many(few["U"], few["Y"], **{k: few[k] for k in ("weight", "dt", "offset")}, deterministic=False)
    assert many._glm_blocks > 0
    np.testing.assert_allclose(many.theta, exact.theta, rtol=0, atol=1e-10 * np.abs(exact.theta).max())


@pytest.mark.parametrize("bad", ["overflow", "nan"])
def test_a_row_that_fails_leaves_the_rows_before_it(bad):
    data = rows("poisson")
    data["U"][37] = 1e160 if bad == "overflow" else np.nan
    data["Y"][37], data["weight"][37] = 3.0, 1.0
    one, many = make("poisson", "kalman"), make("poisson", "kalman")
    rest = {name: data[name] for name in ("weight", "dt", "offset")}
    for flt, options in ((one, {}), (many, {"deterministic": False})):
        with pytest.raises(kfng.errors.NonFiniteError) as caught:
            flt.update_many(data["U"], data["Y"], **rest, **options)
        assert caught.value.row == 37
    assert many._glm_blocks > 0
    assert many.health()["n_seen"] == one.health()["n_seen"] == 37
    assert apart(many, one, {}, {}) < TOLERANCE


def test_what_gains_nothing_keeps_its_bits():
    U, rng = np.random.default_rng(1).normal(size=(40, 9)), np.random.default_rng(2)
    y = 1.0 * (rng.random(40) < 0.5)
    filters = [kfng.Filter(kfng.Linear(9), kfng.Bernoulli()) for _ in range(2)]
    for flt, deterministic in zip(filters, (True, False), strict=True):
        flt.update_many(U, y, deterministic=deterministic)
        assert flt._glm_blocks == 0
    assert np.array_equal(filters[0].theta, filters[1].theta)
