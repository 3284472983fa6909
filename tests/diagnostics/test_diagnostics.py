"""Calibrated streams pass, and each kind of wrong one fails: noise off by 4, dependent errors, a shift, probabilities too sure."""

import numpy as np
import pytest
from scipy import stats

import kfng
from kfng import diagnostics
from kfng.diagnostics import Summary

N = 4000
NAN = float("nan")


def linear(seed=0, n=N, noise=None, shift=0.0):
    """X, y of four fixed coefficients; `noise` instead of independent normals; y moves by `shift` after three quarters."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    e = rng.normal(size=n) if noise is None else noise(rng, n)
    return X, X @ [1.0, -0.5, 2.0] + e + shift * (np.arange(n) >= 3 * n // 4)


def trace_of(impl, X, y, family=None, **options):
    return impl.Filter(impl.Linear(3), family or impl.Gaussian(1.0), **options).update_many(X, y)


def autoregressive(rng, n):
    e = rng.normal(size=n)
    for i in range(1, n):
        e[i] = 0.6 * e[i - 1] + 0.8 * e[i]
    return e


@pytest.fixture(scope="module")
def calibrated():
    return trace_of(kfng, *linear())


def test_calibrated(calibrated):
    found = diagnostics.coverage(calibrated, level=[0.5, 0.9, 0.99])
    assert ((found.low < found.share) & (found.share < found.high)).all()
    assert found.n == N
    assert stats.kstest(diagnostics.pit(calibrated), "uniform").pvalue > 0.01
    assert diagnostics.nis(calibrated).inside
    assert diagnostics.autocorrelation(calibrated).p_value > 0.01
    assert len(diagnostics.cusum(calibrated).alarms) == 0


@pytest.mark.parametrize("variance", [0.25, 4.0])
def test_noise_off_by_four_fails(variance):
    trace = trace_of(kfng, *linear(), kfng.Gaussian(variance))
    found = diagnostics.coverage(trace, level=0.9)
    assert all(type(part) is float for part in found[:4])  # which print as numbers
    assert abs(found.share - 0.9) > 5 * (found.high - 0.9)
    assert (found.share > 0.9) == (variance > 1)
    assert stats.kstest(diagnostics.pit(trace), "uniform").pvalue < 1e-9
    nis = diagnostics.nis(trace)
    assert not nis.inside
    assert abs(nis.mean * variance - 1) < 0.1


def test_dependent_errors_fail():
    found = diagnostics.autocorrelation(trace_of(kfng, *linear(noise=autoregressive)))
    assert found.p_value < 1e-9
    assert abs(found.values[0, 0] - 0.6) < 0.05
    assert (np.abs(found.values[:3, 0]) > found.band).all()


def test_a_shift_is_flagged():
    X, y = linear(shift=3.0)
    found = diagnostics.cusum(trace_of(kfng, X, y))
    at = 3 * N // 4
    assert at <= found.alarms[0] < at + 10
    assert abs(int(found.since[0]) - at) <= 3
    assert (found.up[: at - 1] < 8).all()
    down = diagnostics.cusum(trace_of(kfng, X, -y))
    np.testing.assert_allclose(down.down, found.up, atol=1e-9)
    assert len(diagnostics.cusum(trace_of(kfng, X, y), threshold=1e6).alarms) == 0


def test_cusum_by_hand():
    flt = kfng.Filter(kfng.Linear(1), kfng.Gaussian(1.0), belief=kfng.Full(1e-12))
    trace = flt.update_many(np.zeros((6, 1)), [2.0, 2.0, NAN, -1.0, 3.0, 3.0])
    found = diagnostics.cusum(trace, threshold=5.0, drift=0.5)
    np.testing.assert_allclose(found.up, [1.5, 3.0, 3.0, 1.5, 4.0, 6.5], atol=1e-6)
    np.testing.assert_allclose(found.down, [0.0, 0.0, 0.0, 0.5, 0.0, 0.0], atol=1e-6)
    assert (found.alarms.tolist(), found.since.tolist()) == ([5], [0])


def clicks(scale):
    rng = np.random.default_rng(3)
    X = rng.normal(size=(N, 3))
    y = (rng.random(N) < 1 / (1 + np.exp(-X @ [1.5, -1.0, 0.5]))).astype(np.float64)
    theta = scale * np.array([1.5, -1.0, 0.5, 0.0])
    flt = kfng.Filter(kfng.Linear(3), kfng.Bernoulli(), theta=theta, belief=kfng.Full(1e-9))
    return flt.update_many(X, y)


def test_reliability():
    right, wrong = diagnostics.reliability(clicks(1.0)), diagnostics.reliability(clicks(3.0))
    inside = [(r.low <= r.observed) & (r.observed <= r.high) for r in (right, wrong)]
    assert inside[0].sum() >= 9
    assert inside[1].sum() <= 3
    assert right.n.tolist() == [N // 10] * 10
    trace = clicks(1.0)
    p, order = trace.prediction, np.argsort(trace.prediction)
    np.testing.assert_allclose(right.predicted[3], p[order][1200:1600].mean())
    np.testing.assert_allclose(right.observed[3], trace.Y[order][1200:1600].mean())
    assert stats.kstest(diagnostics.pit(clicks(1.0)), "uniform").pvalue > 0.01
    assert stats.kstest(diagnostics.pit(clicks(3.0)), "uniform").pvalue < 1e-6


def test_reliability_of_a_class():
    rng = np.random.default_rng(4)
    X, y = rng.normal(size=(900, 3)), rng.integers(0, 3, 900)
    trace = kfng.Filter(kfng.Linear(3, 3), kfng.Categorical(3)).update_many(X, y)
    for of in range(3):
        found = diagnostics.reliability(trace, bins=3, of=of)
        assert abs(np.average(found.observed, weights=found.n) - (y == of).mean()) < 1e-12
    assert 0.9 < diagnostics.nis(trace).mean < 1.2
    assert diagnostics.nis(trace).dof.tolist() == [2] * 900


def test_counts_need_the_draw():
    """F(y) of a count is not uniform, the draw between F(y-1) and F(y) is; the seed decides it."""
    rng = np.random.default_rng(5)
    X = rng.normal(size=(1500, 3))
    y = rng.poisson(np.exp(0.3 * X[:, 0]))
    trace = kfng.Filter(kfng.Linear(3), kfng.Poisson()).update_many(X, y)
    drawn = diagnostics.pit(trace, seed=1)
    assert stats.kstest(drawn, "uniform").pvalue > 0.01
    from kfng._law import law

    assert stats.kstest(law(trace).tails(trace.Y)[0][:, 0], "uniform").pvalue < 1e-9
    np.testing.assert_array_equal(drawn, diagnostics.pit(trace, seed=1))
    assert (drawn != diagnostics.pit(trace, seed=2)).any()
    found = diagnostics.coverage(trace, level=0.8)
    assert found.low < found.share < found.high
    assert diagnostics.nis(trace).inside


# -- against SciPy
def test_places_are_scipys(impl):
    X, y = linear(n=80)
    y[7] = NAN
    trace = trace_of(impl, X, y)
    expected = stats.norm.cdf(y, trace.prediction, trace.std)
    np.testing.assert_allclose(diagnostics.pit(trace), expected, rtol=1e-12)
    learned = trace_of(impl, X, y, impl.Gaussian(None))
    z, C, a, b = learned.z[:, 0], learned.C[:, 0, 0], learned.a[:, 0], learned.b[:, 0]
    expected = stats.t.cdf(y, 2 * a, z, np.sqrt(b / a * (1 + C)))
    np.testing.assert_allclose(diagnostics.pit(learned), expected, rtol=1e-12)
    assert np.isnan(diagnostics.pit(trace)[7])
    assert diagnostics.coverage(trace).n == 79


def test_nis_is_the_quadratic_form(impl):
    rng = np.random.default_rng(6)
    X, Y = rng.normal(size=(60, 3)), rng.normal(size=(60, 2))
    Y[3, 0], Y[9] = NAN, NAN
    R = np.array([[1.0, 0.6], [0.6, 2.0]])
    trace = impl.Filter(impl.Linear(3, 2), impl.Gaussian(covariance=R)).update_many(X, Y)
    found = diagnostics.nis(trace)
    e = Y - trace.prediction
    for i in (0, 20, 59):
        assert abs(found.values[i] - e[i] @ np.linalg.solve(trace.C[i] + R, e[i])) < 1e-12
    assert abs(found.values[3] - e[3, 1] ** 2 / (trace.C[3, 1, 1] + 2)) < 1e-12
    assert found.dof[[0, 3, 9]].tolist() == [2, 1, 0]
    assert np.isnan(found.values[9])
    total = int(found.dof.sum())
    np.testing.assert_allclose([found.low, found.high], stats.chi2.ppf([0.025, 0.975], total) / total, rtol=1e-10)
    assert abs(found.mean - np.nansum(found.values) / total) < 1e-12


def test_ljung_and_box(calibrated):
    found = diagnostics.autocorrelation(calibrated, lags=7)
    r = (calibrated.Y[:, 0] - calibrated.prediction) / calibrated.std
    values = np.array([r[lag:] @ r[:-lag] for lag in range(1, 8)]) / (r @ r)
    np.testing.assert_allclose(found.values[:, 0], values, rtol=1e-12)
    box = N * (N + 2) * np.sum(values**2 / (N - np.arange(1, 8)))
    assert abs(found.p_value - stats.chi2.sf(box, 7)) < 1e-10
    assert abs(found.band - 1.96 / np.sqrt(N)) < 1e-4


def test_y_that_came_later(impl):
    X, y = linear(n=50)
    trace = trace_of(impl, X, np.full(50, NAN))
    assert diagnostics.coverage(trace).n == 0
    late = diagnostics.pit(trace, y)
    np.testing.assert_allclose(late, stats.norm.cdf(y, trace.prediction, trace.std), rtol=1e-12)
    assert diagnostics.nis(trace, y).dof.sum() == 50


def test_of_a_mixture(impl):
    X, y = linear(n=60)
    filters = [impl.Filter(impl.Linear(3), impl.Gaussian(v)) for v in (1.0, 4.0)]
    trace = impl.Mixture(filters).update_many(X, y)
    places = np.stack([diagnostics.pit(part) for part in trace.traces], axis=1)
    np.testing.assert_allclose(diagnostics.pit(trace), np.sum(trace.weights * places, axis=1), rtol=1e-12)
    found = diagnostics.nis(trace)
    np.testing.assert_allclose(found.values, ((y - trace.prediction) / trace.std) ** 2, rtol=1e-10)
    assert len(diagnostics.autocorrelation(trace, lags=3).values) == 3


def test_refused(impl):
    X, y = linear(n=20)
    trace = trace_of(impl, X, y)
    classes = impl.Filter(impl.Linear(3, 3), impl.Categorical(3)).update_many(X, np.zeros(20))
    gradient = trace_of(impl, X, y, rule=impl.NaturalGradient(0.1, 0.2))
    for call, error, argument in (
        (lambda: diagnostics.pit(3), impl.ParameterError, "trace"),
        (lambda: diagnostics.pit(trace, y[:-1]), impl.ShapeError, "y"),
        (lambda: diagnostics.pit(classes), impl.UnsupportedError, "pit"),
        (lambda: diagnostics.pit(gradient), impl.UnsupportedError, "pit"),
        (lambda: diagnostics.pit(trace, seed="a"), impl.ParameterError, "seed"),
        (lambda: diagnostics.coverage(trace, level=1.0), impl.ParameterError, "level"),
        (lambda: diagnostics.reliability(trace), impl.UnsupportedError, "trace"),
        (lambda: diagnostics.reliability(classes, of=3), impl.ParameterError, "of"),
        (lambda: diagnostics.reliability(classes, bins=0, of=1), impl.ParameterError, "bins"),
        (lambda: diagnostics.autocorrelation(trace, lags=0), impl.ParameterError, "lags"),
        (lambda: diagnostics.cusum(trace, threshold=0), impl.ParameterError, "threshold"),
        (lambda: diagnostics.cusum(trace, drift=-1), impl.ParameterError, "drift"),
        (lambda: Summary().add(trace).add(classes), impl.ShapeError, "trace"),
    ):
        with pytest.raises(error) as caught:
            call()
        assert caught.value.argument == argument


# -- in bounded memory
def test_a_summary_of_pieces(calibrated):
    whole, parts = Summary().add(calibrated), Summary()
    for start in range(0, N, 300):
        assert parts.add(calibrated[start : start + 300]) is parts
    assert (whole.n_rows, parts.n_rows, parts.n_known) == (N, N, N)
    np.testing.assert_allclose(whole.places, parts.places, rtol=1e-14)
    for name, values in whole.curve.items():
        np.testing.assert_allclose(parts.curve[name], values, rtol=1e-12)
    np.testing.assert_allclose(whole.nis, parts.nis, rtol=1e-12)
    np.testing.assert_allclose(whole.autocorrelation[0], parts.autocorrelation[0], atol=1e-14)


def test_a_summary_says_what_the_functions_say(calibrated):
    found, nis = Summary().add(calibrated), diagnostics.nis(calibrated)
    np.testing.assert_allclose(found.nis, (nis.mean, nis.low, nis.high), rtol=1e-12)
    values, band = found.autocorrelation
    own = diagnostics.autocorrelation(calibrated)
    np.testing.assert_allclose(values, own.values[:, 0], atol=1e-14)
    assert abs(band - own.band) < 1e-5
    np.testing.assert_array_equal(found.places, diagnostics.pit(calibrated))
    e = calibrated.Y[:, 0] - calibrated.prediction
    means = found.means
    np.testing.assert_allclose(
        [means["mae"], means["rmse"], means["nll"]],
        [np.abs(e).mean(), np.sqrt(np.mean(e**2)), calibrated.nll.mean()],
    )
    curve = found.curve
    np.testing.assert_allclose(np.average(curve["rmse"] ** 2, weights=curve["count"]), np.mean(e**2))
    assert curve["end"][-1] == N


def test_a_summary_stays_small():
    """Curves of at most 128 stretches, places of at most 65,536 rows: systematic ones, that still find what is wrong."""
    X, y = linear(n=100_000)
    trace, found = trace_of(kfng, X, y, kfng.Gaussian(4.0)), Summary()
    for start in range(0, 100_000, 7_000):
        found.add(trace[start : start + 7_000])
    assert 64 < len(found.curve["end"]) <= 128
    assert 32_768 / 2 < len(found.places) <= 65_536
    assert np.mean(np.abs(found.places - 0.5) < 0.45) > 0.98
    assert found.curve["count"].sum() == 100_000
    assert sum(part.nbytes for part in vars(found).values() if isinstance(part, np.ndarray)) < 2_000_000


def test_a_summary_of_a_mixture():
    X, y = linear()
    mixture = kfng.Mixture({str(v): kfng.Filter(kfng.Linear(3), kfng.Gaussian(v)) for v in (1.0, 4.0)})
    trace = mixture.update_many(X, y)
    end, weights = Summary().add(trace).weights
    np.testing.assert_allclose(weights.sum(axis=1), 1.0)
    np.testing.assert_allclose(weights[0], trace.weights[: int(end[0])].mean(axis=0))
    assert weights[-1, 0] > 0.99
