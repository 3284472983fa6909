"""T14: rows one by one, in chunks of any size, and in waves that share a pass give the same bits.

The wave is exact because the factor update is causal in the columns: each row's arithmetic is unchanged, only the order of
the loops over rows and columns is. So the comparison is of bits, and the tolerance is 0.
"""

import itertools

import numpy as np
import pytest
from theory.streams import R2, R3

FAMILIES = {
    "gaussian": (1, lambda impl: impl.Gaussian(variance=0.5)),
    "covariance_2": (2, lambda impl: impl.Gaussian(covariance=R2)),
    "covariance_3": (3, lambda impl: impl.Gaussian(covariance=R3)),
    "learned": (1, lambda impl: impl.Gaussian(variance=None)),
    "learned_3": (3, lambda impl: impl.Gaussian(variance=None)),
    "bernoulli": (1, lambda impl: impl.Bernoulli()),
    "poisson": (1, lambda impl: impl.Poisson()),
    "each_3": (3, lambda impl: impl.Gaussian(variance="each")),
    "mean_variance": (2, lambda impl: impl.GaussianMeanVariance()),
    "trials": (1, lambda impl: impl.Binomial()),
    "categorical_3": (3, lambda impl: impl.Categorical(3)),
    "negative_binomial": (1, lambda impl: impl.NegativeBinomial(0.5)),
    "gamma": (1, lambda impl: impl.Gamma(2.0)),
}
PARTIAL = ("covariance_2", "covariance_3", "learned_3", "each_3")
FEATURES = [0, 3, 15, 37]  # p = k(d + 1): below, at and above what one pass of columns holds
RULES = {"kalman": {}, "fading": {"forgetting": 0.02}, "half-life": {"half_life": 9.0}}
CASES = [(family, d, "fading", "float64") for family in FAMILIES for d in FEATURES]
CASES += [(family, 15, *other) for family in FAMILIES for other in
          [("kalman", "float64"), ("half-life", "float64"), ("fading", "float32")]]  # fmt: skip
N = 96


def eventful_rows(family, d, k, seed):
    """Missing and partly missing y, weight 0, bad u that does not matter, dt 0 and large, offsets, silent columns."""
    rng = np.random.default_rng(seed)
    U = rng.normal(size=(N, d))
    U[: N * 2 // 3, : d // 2] = 0.0  # not excited for two thirds of the stream: winds up under forgetting
    z = U @ rng.normal(size=(d, k)) / np.sqrt(max(d, 1)) + 0.5
    drawn = {"bernoulli": rng.random((N, k)) < 1 / (1 + np.exp(-z)), "poisson": rng.poisson(np.exp(z))}
    Y = 1.0 * drawn.get(family, z + 0.5 * rng.normal(size=(N, k)))
    other = {"mean_variance": Y[:, :1], "trials": np.floor(rng.uniform([0, 4], [4, 9], size=(N, 2))),
             "categorical_3": np.argmax(Y, axis=1)[:, None], "gamma": np.exp(Y)}  # fmt: skip
    Y = 1.0 * other.get(family, rng.poisson(np.exp(z)) if family == "negative_binomial" else Y)
    Y[rng.random(N) < 0.1] = np.nan
    if family in PARTIAL:
        Y[rng.random((N, k)) < 0.2] = np.nan
    blank = np.isnan(Y).all(axis=1) & (rng.random(N) < 0.5)
    U[blank] = np.nan
    weight = np.where(rng.random(N) < 0.1, 0.0, rng.uniform(0.2, 2.0, N))
    dt = np.where(rng.random(N) < 0.1, 0.0, rng.uniform(0.1, 3.0, N))
    dt[rng.integers(N, size=3)] = 60.0
    return {"U": U, "Y": Y, "weight": weight, "dt": dt, "offset": 0.2 * rng.normal(size=(N, k))}


def make(impl, family, d, rule, **settings):
    k, law = FAMILIES[family]
    rule = impl.Fading(**RULES[rule]) if RULES[rule] else impl.Kalman()
    return impl.Filter(impl.Linear(d, k), law(impl), belief=impl.Full(1.5), rule=rule, **settings)


def outcome(flt, predictions, stds, nlls):
    """All that must be the same bits: state and predictions."""
    state = {f"state {name}": array for name, array in flt._state().items()}
    parts = {"prediction": predictions, "std": stds, "nll": nlls}
    return state | {name: np.concatenate(part) for name, part in parts.items()}


def in_chunks(flt, rows, stops):
    traces = []
    for start, stop in itertools.pairwise([0, *stops, len(rows["U"])]):
        part = {name: array[start:stop].copy() for name, array in rows.items()}
        traces.append(flt.update_many(part.pop("U"), part.pop("Y"), **part))
    return outcome(flt, *([getattr(t, name) for t in traces] for name in ("prediction", "std", "nll")))


def one_by_one(flt, rows):
    steps = []
    for t in range(len(rows["U"])):
        row = {name: array[t].copy() for name, array in rows.items()}
        y = row.pop("Y")
        steps.append(flt.update(row.pop("U"), y if len(y) > 1 else float(y[0]), **row))
    return outcome(flt, *([[getattr(s, name)] for s in steps] for name in ("prediction", "std", "nll")))


def differences(one, other):
    """Names of the arrays that are not the same bits."""
    assert one.keys() == other.keys()
    return [name for name in one if not np.array_equal(one[name], other[name], equal_nan=True)]


@pytest.mark.parametrize(("family", "d", "rule", "dtype"), CASES)
def test_any_chunking_gives_the_same_bits(impl, family, d, rule, dtype):
    rng = np.random.default_rng(d)
    rows = eventful_rows(family, d, FAMILIES[family][0], seed=d + 100)
    n = N if impl.__name__ == "kfng" else N // 2  # the reference has no waves: a chunk or two say as much
    rows = {name: array[:n] for name, array in rows.items()}
    flt = make(impl, family, d, rule, dtype=dtype)
    whole = in_chunks(flt, rows, [])
    assert flt.health()["missing"] > 0
    assert flt.n_updates < n
    if rule != "kalman" and d > 0:
        assert flt.health()["windup"] > 0
    assert differences(whole, one_by_one(make(impl, family, d, rule, dtype=dtype), rows)) == []
    stops = np.sort(rng.choice(np.arange(1, n), 12, replace=False)).tolist()
    assert differences(whole, in_chunks(make(impl, family, d, rule, dtype=dtype), rows, stops)) == []


# the control of the above, which bites for all FAMILIES: exchange two neighbouring rows, and the bits differ
@pytest.mark.parametrize("family", FAMILIES)
def test_the_order_of_two_rows_shows(impl, family):
    rows = eventful_rows(family, 3, FAMILIES[family][0], seed=7)
    taught = np.flatnonzero(np.isfinite(rows["Y"]).any(axis=1) & (rows["weight"] > 0))
    i = next(t for t in taught[:-1] if t + 1 in taught and t > N // 2)
    order = np.arange(N)
    order[[i, i + 1]] = i + 1, i
    whole = in_chunks(make(impl, family, 3, "fading"), rows, [])
    swapped = in_chunks(make(impl, family, 3, "fading"), {name: array[order] for name, array in rows.items()}, [])
    assert {"state theta", "prediction", "std"} <= set(differences(whole, swapped))


@pytest.mark.parametrize("family", ["gaussian", "covariance_3", "learned"])
def test_a_whole_wave_and_the_row_that_cuts_it(impl, family):
    """Rows 0, 16, 32, ... start a wave (the wind-up check); so does one whose decay since the check is below 1/2."""
    k = FAMILIES[family][0]
    rows = eventful_rows(family, 6, k, seed=11)
    rows["dt"][:] = 1.0
    for cut in (None, 5, 16, 31):
        if cut is not None:
            rows["dt"][:] = 1.0
            rows["dt"][cut] = 100.0
        whole = in_chunks(make(impl, family, 6, "fading"), rows, [])
        assert differences(whole, one_by_one(make(impl, family, 6, "fading"), rows)) == []
