"""The notebooks of the site run, on both implementations, and what they claim holds; `make docs` runs them as pages.

Those in docs/migrate need the libraries they are about: tests/extras.
"""

import pytest
from docs.documents import NOTEBOOK, NOTEBOOKS, ROOT, cells, name, run_cells

EXACT, CONTROL = 1e-11, 1000
MIGRATE = ROOT / "docs" / "migrate"


@pytest.mark.parametrize("document", NOTEBOOKS, ids=name)
def test_sphinx_takes_it_for_a_notebook(document):
    assert document.read_text(encoding="utf-8").startswith(NOTEBOOK)
    assert cells(document)


def test_every_other_notebook_is_run_here():
    here = {ROOT / "docs" / "quickstart.md", ROOT / "docs" / "theory.md"}
    assert {page for page in NOTEBOOKS if page.parent != MIGRATE} == here


def test_quick_start(impl, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    space = run_cells(ROOT / "docs" / "quickstart.md", impl)
    weight, sd, truth = (space[key] for key in ("weight", "sd", "truth"))
    assert (abs(weight - truth) < 4 * sd[:3]).all()
    assert 0.94 < (abs(space["miss"]) < 2 * space["trace"].std).mean() < 0.97
    followed = {label: path[-1, 0] for label, path in space["paths"].items()}
    assert abs(followed["half-life of 200 rows"] - truth[0] / 2) < 0.2 < abs(followed["all rows alike"] - truth[0] / 2)
    said = capsys.readouterr().out
    assert "got nan in column 0 (temperature)" in said
    assert "the filter is as it was: True" in said


def test_theory(impl, capsys):
    space = run_cells(ROOT / "docs" / "theory.md", impl)
    for claim in ("same_theta", "same_cov", "exact", "rate", "difference", "units", "memory"):
        assert space[claim] < EXACT, claim
    assert space["off"] > CONTROL * EXACT
    assert "no Kalman filter" in capsys.readouterr().out
