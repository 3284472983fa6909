"""The pages that lead from other libraries to kfng: what both print agrees as the page says. `make test-extras`."""

import importlib
import re

import numpy as np
import pytest
from docs.documents import ROOT, cells, run_cells

import kfng

MIGRATE = ROOT / "docs" / "migrate"
LIBRARIES = {"filterpy": "filterpy", "river": "river", "sklearn": "sklearn", "statsmodels": "statsmodels"}


def run(library):
    """What the page leaves behind."""
    try:
        importlib.import_module(library)
    except ImportError as error:
        pytest.fail(f"{library} is not installed: {error}", pytrace=False)
    return run_cells(MIGRATE / f"from_{library}.md", kfng)


def test_every_page_is_tested():
    assert {page.stem for page in MIGRATE.glob("from_*.md")} == {f"from_{library}" for library in LIBRARIES}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_filterpy():
    space = run("filterpy")
    for claim in ("tracker", "forgetting", "regression"):
        assert space[claim] < 1e-9, claim
    theirs = space["theirs"]  # the last one: a regression
    other = kfng.Filter(kfng.Linear(3, intercept=False), kfng.Gaussian(0.08))
    other.update_many(space["X"], space["y"])
    assert abs(other.theta - theirs.x[:, 0]).max() > 1e-6  # another noise would show


def test_river():
    space = run("river")
    assert space["posterior"] < 1e-7
    other = kfng.Filter(kfng.Linear(6, intercept=False), kfng.Gaussian(1 / 21.0))
    trace = other.update_many(space["X"], space["Y"])
    assert abs(trace.prediction - space["before"])[:50].max() > 1e-4  # another noise would show
    assert space["mae"].get() < space["their_mae"].get()
    assert space["fading"].get() < space["mae"].get()
    assert space["loss"].get() < space["their_loss"].get()


def test_sklearn():
    space = run("sklearn")
    assert space["posterior"] < 1e-9
    assert space["loss"] < space["their_loss"]
    assert space["away"] < 0.25
    assert np.array_equal(space["at_once"].coef_, space["classifier"].coef_)


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_statsmodels():
    space = run("statsmodels")
    assert space["estimates"] < 1e-9
    assert space["errors"] < 1e-9
    assert abs(space["flt"].std() - space["ols"].bse).max() > 1e-4  # without the factor it would show
    assert space["recursion"] < 1e-7
    assert space["nile_level"] < 1e-9
    assert space["away"].max() < 0.6
    assert np.abs(space["ratio"] - 1).max() < 0.03
    assert space["misfit"].max() > 1


def test_what_the_pages_call_exists():
    """A page that names an attribute which is not there would mislead although it runs."""
    text = "".join(page.read_text(encoding="utf-8") for page in MIGRATE.glob("*.md"))
    named = set(re.findall(r"\bflt\.(\w+)", text))
    offered = set(dir(kfng.Filter)) | set(dir(kfng.StateFilter))
    assert named
    assert named <= offered
    assert all(cells(page) for page in MIGRATE.glob("from_*.md"))
