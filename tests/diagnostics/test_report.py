"""kfng.report: one page of valid HTML that asks for nothing, escapes names, and is small for any number of rows."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from kfng import diagnostics

VOID = {"meta", "br", "img", "line", "rect", "circle", "polyline", "polygon"}
EVIL = "<script>alert(\"x\")</script> & 'quotes'"


class Page(HTMLParser):
    """Every element closed in its order; texts, attributes and ids collected."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.texts, self.attributes = [], [], [], []
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *attribute) for attribute in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *attribute) for attribute in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())


def page_of(text):
    assert text.startswith("<!DOCTYPE html>")
    for what in ("http:", "https:", "//", "url(", "@import", "<script", "<link", "src="):
        assert what not in text, what
    page = Page(text)
    assert ("meta", "name", "viewport") in page.attributes
    assert ("meta", "content", "width=device-width, initial-scale=1") in page.attributes
    assert ("meta", "charset", "utf-8") in page.attributes
    assert page.tags.count("html") == page.tags.count("title") == page.tags.count("h1") == 1
    assert page.tags.count("svg") == page.tags.count("figcaption") == sum(a[1] == "aria-label" for a in page.attributes)
    assert page.tags.count("table") == sum(a == ("div", "class", "scroll") for a in page.attributes)
    assert not re.search(r"\bnan\b|\binf\b", page.text)
    for tag, name, value in page.attributes:
        if tag in ("polyline", "polygon") and name == "points":
            numbers = np.array([float(x) for x in value.replace(",", " ").split()])
            assert len(numbers)
            assert (numbers[0::2] >= 0).all()
            assert (numbers[0::2] <= 360).all()
    return page


def fed(impl, family=None, n=300, k=1, **options):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 3))
    y = X @ rng.normal(size=(3, k)) + rng.normal(size=(n, k))
    flt = impl.Filter(impl.Linear(3, k), family or impl.Gaussian(None), **options)
    kind = type(flt.settings.family).__name__
    if kind == "Bernoulli":
        y = y > 0
    elif kind == "Poisson":
        y = rng.poisson(1.0, size=(n, 1))
    elif kind == "Categorical":
        y = rng.integers(0, k, (n, 1))
    return flt, flt.update_many(X, y.astype(np.float64)), X, y


FAMILIES = {
    "gaussian": (lambda impl: impl.Gaussian(None), 1, 6),
    "two outputs": (lambda impl: impl.Gaussian(), 2, 6),
    "binary": (lambda impl: impl.Bernoulli(), 1, 7),
    "counts": (lambda impl: impl.Poisson(), 1, 6),
    "classes": (lambda impl: impl.Categorical(3), 3, 5),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family(impl, name):
    family, k, pictures = FAMILIES[name]
    flt, trace, _, _ = fed(impl, family(impl), 120, k)
    page = page_of(impl.report(flt, trace))
    assert page.tags.count("svg") == pictures + 1
    assert "rows learned" in page.text
    assert repr(flt.settings.family).split("(")[0] in page.text


def test_its_figures_are_those_of_the_trace(impl):
    flt, trace, _, y = fed(impl)
    text = page_of(impl.report(flt, trace)).text
    rmse = np.sqrt(np.mean((y[:, 0] - trace.prediction) ** 2))
    coverage, nis = diagnostics.coverage(trace, level=0.9), diagnostics.nis(trace)
    for figure in (
        f"{rmse:.4g} root mean squared error",
        f"{trace.nll.mean():.4g} mean −log density",
        f"{100 * coverage.share:.1f} % of y inside 90 % intervals",
        f"Overall {nis.mean:.3f}, inside the 95 % band {nis.low:.3f} to {nis.high:.3f}",
        f"{np.sqrt(flt.noise_variance[0]):.4g} noise sd, learned",
        f"weight[0, 1] {flt.theta[1]:.4g} {flt.std()[1]:.4g}",
    ):
        assert figure in text, figure


def test_too_sure_a_filter_shows(impl):
    flt, trace, _, _ = fed(impl, impl.Gaussian(0.25))
    nis = diagnostics.nis(trace)
    assert f"Overall {nis.mean:.3f}, above the 95 % band" in page_of(impl.report(flt, trace)).text


def test_names_are_escaped(impl):
    names = [EVIL, "b", "c"]
    flt, trace, _, _ = fed(impl, feature_names=names)
    page = page_of(impl.report(flt, trace, title=EVIL))
    assert page.texts.count(EVIL) >= 3
    mixture = impl.Mixture({EVIL: flt})
    assert EVIL in page_of(impl.report(mixture)).text


def test_without_a_trace_and_without_rows(impl):
    flt, _, X, _ = fed(impl)
    assert page_of(impl.report(flt)).tags.count("svg") == 1
    new = impl.Filter(impl.Linear(3), impl.Gaussian())
    page_of(impl.report(new))
    page_of(impl.report(new, new.update_many(X[:0], X[:0, 0])))
    page_of(impl.report(new, new.update_many(X[:1], [1.0])))
    missing = new.update_many(X[:9], np.full(9, np.nan))
    assert "How it predicted" not in page_of(impl.report(new, missing)).text
    assert "How it predicted" in page_of(impl.report(new, missing, y=X[:9, 0])).text


def test_of_every_kind_of_filter(impl):
    flt, _, X, y = fed(impl)
    mixture = impl.Mixture([flt, impl.Filter(impl.Linear(3), impl.Gaussian(4.0))])
    page = page_of(impl.report(mixture, mixture.update_many(X, y)))
    assert page.tags.count("svg") == 8
    assert "Coefficients of the best filter" in page.text
    bank = impl.Bank(impl.Linear(3), impl.Gaussian())
    page_of(impl.report(bank))
    page = page_of(impl.report(bank, bank.update(np.arange(300) % 7, X, y)))
    assert "7 keys 300 rows learned" in page.text
    assert "mean and spread over the keys" in page.text
    page_of(impl.report(impl.StateFilter(2, 1, impl.Gaussian())))
    page_of(impl.report(impl.JointEkf(impl.RNN(3, 2, 1), impl.Gaussian())))
    page_of(impl.report(impl.Filter(impl.RNN(3, 2, 1), impl.Gaussian())))
    page_of(impl.report(impl.Filter(impl.Linear(3), impl.Gaussian(), rule=impl.NaturalGradient(0.1, 0.2))))


def test_a_file_from_batches(impl, tmp_path):
    flt = impl.Filter(impl.Linear(3), impl.Gaussian())
    _, _, X, y = fed(impl)
    summary, whole = diagnostics.Summary(), []
    for start in range(0, 300, 70):
        rows = slice(start, start + 70)
        whole.append(flt.update_many(X[rows], y[rows]))
        summary.add(whole[-1])
    text = impl.report(flt, summary, path=tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == text
    page_of(text)
    other = impl.Filter(impl.Linear(3), impl.Gaussian())
    assert impl.report(flt, other.update_many(X, y)) == text


def test_the_page_stays_small():
    import kfng

    sizes = []
    for n, d in ((2_000, 3), (200_000, 3), (2_000, 300)):
        X = np.random.default_rng(1).normal(size=(n, d))
        flt = kfng.Filter(kfng.Linear(d), kfng.Gaussian(None))
        sizes.append(len(kfng.report(flt, flt.update_many(X, X[:, 0]))))
    assert max(sizes) < 100_000
    assert sizes[1] < 2 * sizes[0]


def test_refused(impl, tmp_path):
    flt, trace, _, y = fed(impl, n=20)
    for call, error, argument in (
        (lambda: impl.report(3), impl.ParameterError, "flt"),
        (lambda: impl.report(flt, 3), impl.ParameterError, "trace"),
        (lambda: impl.report(flt, y=y), impl.ParameterError, "y"),
        (lambda: impl.report(flt, trace, y[:3]), impl.ShapeError, "y"),
        (lambda: impl.report(flt, title=3), impl.ParameterError, "title"),
    ):
        with pytest.raises(error) as caught:
            call()
        assert caught.value.argument == argument
    with pytest.raises(FileNotFoundError):
        impl.report(flt, path=tmp_path / "no" / "folder.html")
