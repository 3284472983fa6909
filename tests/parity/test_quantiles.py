"""Quantiles of kfng against those of the reference, over families, sizes and levels out to where a tail underflows; and
both against SciPy where z is certain, or the law has a closed form.

Numbers agree to 1e-10. A count may differ only at a tie: where the distribution function, on the way from the smaller to
the larger of the two, equals the level to 1e-12 of the smaller tail.
"""

import pickle

import numpy as np
import pytest
from problems import CROSSED, LINEAR, PROBLEMS
from scipy import stats
from tolerances import PARITY, relative_error

from kfng import errors, reference
from kfng._trace import Seen
from kfng.reference.family import mixture

LEVELS = [0.0, 1e-300, 1e-12, 1e-6, 0.01, 0.2, 0.5, 0.77, 0.99, 1 - 1e-6, 1 - 1e-12, 1.0]
INNER = [level for level in LEVELS if 0 < level < 1]
NUMBERS = 1e-10
TIE = 1e-12
SDS = [1e-9, 1e-3, 0.3, 1.0, 3.0, 30.0]
ZS = [-30.0, -6.0, -0.4, 0.0, 2.0, 9.0, 30.0]

ALL = PROBLEMS | CROSSED

COUNTS = {
    "bernoulli": lambda impl: impl.Bernoulli(),
    "binomial": lambda impl: impl.Binomial(30),
    "binomial of a million": lambda impl: impl.Binomial(10**6),
    "poisson": lambda impl: impl.Poisson(),
    "negative binomial": lambda impl: impl.NegativeBinomial(0.6),
    "nearly poisson": lambda impl: impl.NegativeBinomial(1e-9),
    "far from poisson": lambda impl: impl.NegativeBinomial(50.0),
}
GAMMAS = {shape: (lambda impl, shape=shape: impl.Gamma(shape)) for shape in (0.05, 0.4, 1.0, 7.0, 1e4, 1e9)}


def asked(impl, family, z, C, y=None, a=None, b=None, q=LEVELS):
    """Quantiles (n, ..., len(q)) of rows z (n, k), C (n, k, k) by one implementation."""
    n, k = z.shape
    model = impl.Linear(1, k)
    flt = impl.Filter(model, family(impl))
    nothing = np.full((n, flt.settings.family.y_width(k)), np.nan)
    none = np.zeros((n, 0))
    seen = Seen(z, C, nothing if y is None else y, none if a is None else a, none if b is None else b)
    return flt._likelihood.quantiles(seen, q).reshape(n, -1, len(q))


def grid(doubtful):
    """z (n, 1), C (n, 1, 1): z certain, to be asked out to the ends, or doubtful."""
    z, sd = (part.ravel()[:, None] for part in np.meshgrid(ZS, SDS if doubtful else [0.0]))
    return z, sd[:, :, None] ** 2


def assert_numbers(got, expected, size=0.0):
    """Equal to 1e-10, of `size` where a number is smaller; infinite where infinite."""
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(got[~finite], expected[~finite])
    size = np.maximum(np.abs(expected), size)[finite]
    assert (np.abs(got[finite] - expected[finite]) <= NUMBERS * size).all()


def tail(family, k, upper, z, sd):
    """P(y > k) of one row where upper, else P(y <= k), as the reference has it."""
    law = {
        "Poisson": lambda *row: mixture.poisson_tail(*row),
        "NegativeBinomial": lambda *row: mixture.negative_binomial_tail(*row, np.array([family.dispersion])),
        "Binomial": lambda *row: mixture.binomial_tail(*row, np.array([float(family.trials)])),
        "Bernoulli": lambda *row: mixture.binomial_tail(*row, np.ones(1)),
    }[type(family).__name__]
    with np.errstate(all="ignore"):
        return float(law(np.array([k]), np.array([upper]), z.ravel(), sd.ravel())[0])


@pytest.mark.parametrize("doubtful", [False, True], ids=["certain", "doubtful"])
@pytest.mark.parametrize("name", COUNTS)
def test_counts(both, name, doubtful):
    z, C = grid(doubtful)
    got, expected = (asked(impl, COUNTS[name], z, C)[:, 0] for impl in both)
    family = COUNTS[name](both[1])
    small = (expected < 2.0**53) & (got < 2.0**53)
    np.testing.assert_allclose(got[~small], expected[~small], rtol=NUMBERS)
    ties = np.argwhere(small & (got != expected))
    for i, j in ties:
        level, low = LEVELS[j], min(got[i, j], expected[i, j])
        assert abs(got[i, j] - expected[i, j]) <= max(1.0, 1e-12 * low), (z[i], C[i], level)
        upper = level > 0.5
        found, smaller = tail(family, low, upper, z[i], np.sqrt(C[i])), 1 - level if upper else level
        assert abs(found - smaller) <= TIE * smaller, (z[i], C[i], level, found)
    assert len(ties) <= 0.05 * small.size


@pytest.mark.parametrize("doubtful", [False, True], ids=["certain", "doubtful"])
@pytest.mark.parametrize("shape", GAMMAS)
def test_gamma(both, shape, doubtful):
    z, C = grid(doubtful)
    assert_numbers(*(asked(impl, GAMMAS[shape], z, C)[:, 0] for impl in both))


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("variance", [2.5, None, "each"])
def test_gaussian(both, variance, k):
    rng = np.random.default_rng(5)
    n = 40
    root = rng.normal(size=(n, k, k)) * 10.0 ** rng.integers(-6, 6, (n, 1, 1))
    z, C = rng.normal(size=(n, k)) * 1e3, root @ root.swapaxes(1, 2)
    m = {2.5: 0, None: 1, "each": k}[variance]
    a, b = 10.0 ** rng.uniform(0.01, 6, (n, m)), 10.0 ** rng.uniform(-6, 6, (n, m))
    got, expected = (asked(impl, lambda impl: impl.Gaussian(variance), z, C, a=a, b=b) for impl in both)
    assert_numbers(got, expected, np.maximum(np.abs(z)[:, :, None], trace_of(C)))


def trace_of(C):
    """The standard deviations of z (n, k, 1): a quantile near 0 is a difference of numbers of this size."""
    return np.sqrt(np.diagonal(C, axis1=1, axis2=2))[:, :, None]


def test_mean_and_variance(both):
    rng = np.random.default_rng(6)
    n = 30
    root = rng.normal(size=(n, 2, 2)) * np.array([1.0, 0.1, 0.0])[rng.integers(0, 3, (n, 1, 1))]
    z, C = rng.normal(size=(n, 2)) * [3.0, 2.0], root @ root.swapaxes(1, 2)
    got, expected = (asked(impl, lambda impl: impl.GaussianMeanVariance(), z, C)[:, 0] for impl in both)
    assert_numbers(got, expected, np.maximum(np.abs(z[:, :1]), np.exp(z[:, 1:] / 2)))


def test_binomial_of_each_row(both):
    """Trials that come with y; a row without them speaks of one trial."""
    z, C = np.full((4, 1), 0.3), np.full((4, 1, 1), 0.5)
    y = np.array([[3.0, 10.0], [np.nan, 50.0], [np.nan, np.nan], [0.0, 0.0]])
    got, expected = (asked(impl, lambda impl: impl.Binomial(), z, C, y=y) for impl in both)
    np.testing.assert_array_equal(got, expected)
    assert got[:, 0, -1].tolist() == [10.0, 50.0, 1.0, 0.0]


def test_closed_forms(impl):
    """z certain: SciPy's quantiles; and the mixtures that have a name."""
    z, zero = np.array([[-2.0], [0.3], [4.0]]), np.zeros((3, 1, 1))
    levels = np.array(INNER[1:-1])
    m, p = np.exp(z), 1 / (1 + np.exp(-z))
    laws = {
        "bernoulli": (COUNTS["bernoulli"], stats.binom(1, p)),
        "binomial": (COUNTS["binomial"], stats.binom(30, p)),
        "poisson": (COUNTS["poisson"], stats.poisson(m)),
        "negative binomial": (COUNTS["negative binomial"], stats.nbinom(1 / 0.6, 1 / (1 + 0.6 * m))),
        "gamma": (GAMMAS[0.4], stats.gamma(0.4, scale=m / 0.4)),
    }
    for name, (family, law) in laws.items():
        got = asked(impl, family, z, zero, q=levels.tolist())[:, 0]
        np.testing.assert_allclose(got, law.ppf(levels), rtol=1e-10, err_msg=name)
    C = np.full((3, 1, 1), 0.7)
    got = asked(impl, lambda impl: impl.Gaussian(2.0), z, C, q=levels.tolist())[:, 0]
    np.testing.assert_allclose(got, stats.norm(z, np.sqrt(2.7)).ppf(levels), rtol=1e-10)
    a, b = np.full((3, 1), 2.5), np.full((3, 1), 4.0)
    got = asked(impl, lambda impl: impl.Gaussian(None), z, C, a=a, b=b, q=levels.tolist())[:, 0]
    np.testing.assert_allclose(got, stats.t(5, z, np.sqrt(1.7 * 4 / 2.5)).ppf(levels), rtol=1e-10)


def first_of_each_family():
    names = {}
    for name in [*LINEAR, *CROSSED]:
        if "no posterior" not in ALL[name].tags:
            names.setdefault(repr(ALL[name].filter(reference).settings.family), name)
    return list(names.values())


@pytest.mark.parametrize("name", first_of_each_family())
def test_of_a_trace(both, name):
    """`Trace.quantiles` in both, of every family; a slice, and the prediction of the next row, say the same."""
    problem = ALL[name]
    (flt, (trace,)), (_, (other,)) = (problem.run_many(impl) for impl in both)
    if not trace.settings.family.has_quantiles:
        for asked_of in (trace, other):
            with pytest.raises(errors.UnsupportedError) as caught:
                asked_of.quantiles([0.5])
            assert caught.value.argument == "quantiles"
        return
    got, expected = (t.quantiles([0.05, 0.53, 0.95]) for t in (trace, other))
    assert got.shape == (len(trace), *trace.settings.mean_shape, 3)
    assert got.dtype == np.float64
    finite = np.isfinite(expected)
    assert np.array_equal(np.isfinite(got), finite)
    size = np.maximum(np.abs(expected), trace.std[..., None])[finite]
    assert (np.abs(got - expected)[finite] <= PARITY["float64"] * size).all()
    np.testing.assert_array_equal(trace[3:9].quantiles([0.53])[..., 0], got[3:9, ..., 1])
    with pytest.raises(errors.UnsupportedError, match="pickled"):
        pickle.loads(pickle.dumps(trace)).quantiles(0.5)


def test_before_each_row(impl):
    """A row's quantiles are those that `predict_quantiles` gave before it, without a time step between."""
    rng = np.random.default_rng(8)
    U, y = rng.normal(size=(30, 2)), rng.poisson(3.0, 30).astype(float)
    flt, one = (impl.Filter(impl.Linear(2), impl.Poisson()) for _ in range(2))
    got = flt.update_many(U, y).quantiles([0.1, 0.6, 0.9])
    for row, u, count in zip(got, U, y, strict=True):
        np.testing.assert_array_equal(row, one.predict_quantiles([u], [0.1, 0.6, 0.9])[0])
        one.update(u, count)


def test_float32(both):
    flt, other = (
        impl.Filter(impl.Linear(2), impl.Gamma(2.0), dtype=d)
        for impl, d in zip(both, ("float32", "float64"), strict=True)
    )
    U, y = np.array([[1.0, -0.5], [0.3, 2.0]]), np.array([0.7, 3.0])
    got, expected = (f.update_many(U, y).quantiles([0.01, 0.5]) for f in (flt, other))
    assert got.dtype == np.float64
    assert relative_error(got, expected) < PARITY["float32"]


@pytest.mark.parametrize("sd", [1e-160, 1e-45, 1e-19, 1e-12])
@pytest.mark.parametrize("name", COUNTS | GAMMAS)
def test_what_is_nearly_certain_is_as_what_is(impl, name, sd):
    """However little doubt there is beside the law's own spread; a law with less than either keeps its quantiles in order."""
    z, family = np.array([[-2.03], [0.37], [3.3], [9.1]]), (COUNTS | GAMMAS)[name]
    got = asked(impl, family, z, np.full((4, 1, 1), sd**2), q=INNER)
    np.testing.assert_allclose(got, asked(impl, family, z, np.zeros((4, 1, 1)), q=INNER), rtol=1e-8)


@pytest.mark.parametrize("shape", [1e300, 1e90, 1e30, 1.0])
@pytest.mark.parametrize("sd", [1e-45, 1e-15, 1.0])
def test_quantiles_rise(impl, shape, sd):
    """Also where they are all but one number."""
    z = np.array([[300.0], [40.0], [-250.0]])
    got = asked(impl, lambda impl: impl.Gamma(shape), z, np.full((3, 1, 1), sd**2))
    assert np.all(np.diff(got, axis=2) >= 0)
