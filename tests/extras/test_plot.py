"""What was drawn is what was asked for: the data of the artists, labels, bands. `make test-extras`."""

import doctest
import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from docs.documents import ROOT, blocks, sessions

matplotlib.use("Agg")

from matplotlib import pyplot

import kfng
from kfng import diagnostics, plot


@pytest.fixture(autouse=True)
def _closed():
    yield
    pyplot.close("all")


def stream(n=600):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 3))
    return X, X @ [1.0, -0.5, 2.0] + rng.normal(size=n)


def fed(family=None, **options):
    X, y = stream()
    flt = kfng.Filter(kfng.Linear(3), family or kfng.Gaussian(None), feature_names=["a", "b", "c"], **options)
    if isinstance(flt.settings.family, kfng.Bernoulli):
        y = (y > 0).astype(np.float64)
    return flt, flt.update_many(X, y)


def drawn(display):
    """It draws without complaint, on axes that say what they show."""
    display.figure_.canvas.draw()
    assert display.ax_.figure is display.figure_
    assert display.ax_.get_xlabel()
    again = display.plot(pyplot.subplots()[1])
    assert again is display
    return display


@pytest.mark.parametrize("metric", ["rmse", "mae", "nll", "nis"])
def test_learning_curve(metric):
    _, trace = fed()
    display = drawn(plot.learning_curve(trace, metric=metric))
    curve = diagnostics.Summary().add(trace).curve
    np.testing.assert_array_equal(display.line_.get_xdata(), curve["end"])
    np.testing.assert_array_equal(display.line_.get_ydata(), curve[metric])
    assert display.ax_.get_xlabel() == "rows"
    assert display.ax_.get_ylabel() == plot.LABELS[metric]
    assert len(display.ax_.collections) == (metric == "nis")
    assert (display.ax_.get_legend() is not None) == (metric == "nis")


def test_of_a_summary_as_of_the_trace():
    _, trace = fed()
    summary = diagnostics.Summary()
    for start in range(0, 600, 100):
        summary.add(trace[start : start + 100])
    for draw in (plot.learning_curve, plot.calibration):
        np.testing.assert_allclose(*(vars(draw(t)).get("values", vars(draw(t)).get("y")) for t in (trace, summary)))


def test_coefficients():
    flt, _ = fed()
    display = drawn(plot.coefficients(flt, top=3))
    order = np.argsort(-np.abs(flt.theta / flt.std()))[:3]
    assert display.names == [["a", "b", "c", "intercept"][i] for i in order]
    line, _, (bars,) = display.container_
    np.testing.assert_allclose(line.get_xdata(), flt.theta[order])
    np.testing.assert_array_equal(line.get_ydata(), [2, 1, 0])
    ends = np.array([segment[:, 0] for segment in bars.get_segments()])
    np.testing.assert_allclose(ends, (flt.theta + 2 * flt.std() * np.array([[-1], [1]]))[:, order].T)
    assert [label.get_text() for label in display.ax_.get_yticklabels()] == display.names
    scaled = plot.coefficients(flt, standardised=True)
    np.testing.assert_allclose(scaled.estimate, (flt.theta / flt.std())[np.argsort(-np.abs(flt.theta / flt.std()))])
    gradient, _ = fed(kfng.Gaussian(), rule=kfng.NaturalGradient(0.01, 0.02))
    assert len(drawn(plot.coefficients(gradient)).names) == 4


def test_calibration():
    _, trace = fed()
    display = drawn(plot.calibration(trace, bins=10))
    shares = np.histogram(diagnostics.pit(trace), 10, (0, 1))[0] / 60
    np.testing.assert_allclose([bar.get_height() for bar in display.artist_], shares)
    covered = drawn(plot.calibration(trace, kind="coverage"))
    found = diagnostics.coverage(trace, level=covered.x)
    np.testing.assert_allclose(covered.artist_.get_ydata(), found.share)
    np.testing.assert_allclose(covered.low, found.low, atol=1e-5)
    assert covered.ax_.get_xlabel() == "level of the interval"
    _, binary = fed(kfng.Bernoulli())
    display = drawn(plot.calibration(binary))
    assert display.kind == "reliability"
    summary = diagnostics.Summary().add(binary).reliability
    np.testing.assert_array_equal(display.artist_.get_xdata(), summary["predicted"])
    np.testing.assert_array_equal(display.artist_.get_ydata(), summary["observed"])
    assert drawn(plot.calibration(binary, kind="pit")).kind == "pit"


def test_forecast():
    rng = np.random.default_rng(1)
    y = np.sin(np.arange(200) / 5) + 0.1 * rng.normal(size=200)
    rnn = kfng.Filter(kfng.RNN(1, 4, 1), kfng.Gaussian(None))
    rnn.update_many(y[:-1, None], y[1:])
    display = drawn(plot.forecast(rnn, steps=12, observed=y, level=0.95))
    mean, std = rnn.forecast(steps=12)
    np.testing.assert_allclose(display.line_.get_ydata(), mean)
    np.testing.assert_allclose(display.high - display.mean, 1.959964 * std, rtol=1e-6)
    observed = display.ax_.lines[0]
    np.testing.assert_array_equal(observed.get_ydata(), y)
    assert observed.get_xdata()[-1] == 0
    assert display.line_.get_xdata()[0] == 1
    flt, _ = fed()
    X, _ = stream(20)
    display = drawn(plot.forecast(flt, X))
    np.testing.assert_allclose(display.line_.get_ydata(), flt.predict(X))
    np.testing.assert_allclose(np.stack([display.low, display.high], axis=1), flt.predict_quantiles(X, [0.05, 0.95]))
    assert "90 % interval" in [text.get_text() for text in display.ax_.get_legend().get_texts()]


def test_weights():
    X, y = stream()
    mixture = kfng.Mixture({str(v): kfng.Filter(kfng.Linear(3), kfng.Gaussian(v)) for v in (1.0, 4.0)})
    trace = mixture.update_many(X, y)
    display = drawn(plot.weights(trace))
    rows, values = diagnostics.Summary().add(trace).weights
    for i, line in enumerate(display.lines_):
        np.testing.assert_array_equal(line.get_xdata(), rows)
        np.testing.assert_array_equal(line.get_ydata(), values[:, i])
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == ["1.0", "4.0"]
    assert len(drawn(plot.coefficients(mixture)).names) == 4
    assert len(drawn(plot.forecast(mixture, X[:5])).mean) == 5


def test_on_given_axes():
    _, trace = fed()
    figure, axes = pyplot.subplots(1, 2)
    assert plot.learning_curve(trace, ax=axes[0]).ax_ is axes[0]
    assert plot.calibration(trace, ax=axes[1]).figure_ is figure
    assert pyplot.get_fignums() == [figure.number]


def test_refused():
    flt, trace = fed()
    classes = kfng.Filter(kfng.Linear(3, 3), kfng.Categorical(3)).update_many(stream()[0], np.zeros(600))
    for call, error, argument in (
        (lambda: plot.learning_curve(trace, metric="x"), kfng.UnknownNameError, "metric"),
        (lambda: plot.learning_curve(3), kfng.ParameterError, "trace"),
        (lambda: plot.calibration(trace, kind="x"), kfng.UnknownNameError, "kind"),
        (lambda: plot.calibration(trace, kind="reliability"), kfng.UnsupportedError, "kind"),
        (lambda: plot.calibration(classes, kind="pit"), kfng.UnsupportedError, "kind"),
        (lambda: plot.coefficients(flt, top=0), kfng.ParameterError, "top"),
        (lambda: plot.coefficients(3), kfng.ParameterError, "flt"),
        (lambda: plot.weights(trace), kfng.ParameterError, "trace"),
        (lambda: plot.forecast(flt, steps=3), kfng.ParameterError, "U_future"),
        (lambda: plot.forecast(flt, [[1.0, 2.0, 3.0]], level=1.0), kfng.ParameterError, "level"),
        (lambda: plot.forecast(flt, [[1.0, 2.0, 3.0]], output=1), kfng.ParameterError, "output"),
    ):
        with pytest.raises(error) as caught:
            call()
        assert caught.value.argument == argument


def test_the_page_of_diagnostics_draws_what_it_says(tmp_path, monkeypatch):
    """Its block of plots, after its sessions."""
    monkeypatch.chdir(tmp_path)
    page = ROOT / "docs" / "diagnostics.md"
    space = {}
    exec("\n".join(example.source for example in doctest.DocTestParser().get_examples(sessions(page))), space)
    (block,) = (text for _, text in blocks(page) if ">>>" not in text)
    exec(block, space)
    assert len(pyplot.get_fignums()) == block.count("\nplot.") == 5
    assert (tmp_path / "coefficients.png").stat().st_size > 5_000


def test_kfng_needs_no_matplotlib():
    code = "import sys; sys.modules['matplotlib'] = None; import kfng, kfng.diagnostics; kfng.report\ntry: import kfng.plot\nexcept ImportError as error: print(error)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip() == 'kfng.plot needs matplotlib: pip install "kfng[plot]"'
