"""Every check of the reliability promises at its small size; and the page is what its figures say."""

from __future__ import annotations

import json
import math

import pytest
from release import check, page, promises

CHECKS = check.load_all()


@pytest.mark.parametrize("name", CHECKS)
def test_it_holds(name):
    figures = CHECKS[name].figures("small")
    assert any(figure.bound is not None for figure in figures)
    assert not [figure for figure in figures if not figure.holds]


def test_the_page_is_what_its_figures_say():
    results = json.loads(page.JSON.read_text(encoding="utf-8"))
    assert page.PAGE.read_text(encoding="utf-8") == page.render(results)
    for entry in results["checks"].values():
        for figure in entry["figures"]:
            kept = check.Figure(figure["what"], figure["value"], figure["bound"])
            assert kept.holds == figure["holds"]
    assert set(results["checks"]) == set(CHECKS)


def test_the_page_would_show_what_fails():
    results = json.loads(page.JSON.read_text(encoding="utf-8"))
    figure = next(f for f in results["checks"]["N1"]["figures"] if f["bound"] is not None)
    figure |= {"value": 1e9, "holds": False}
    text = page.render(results)
    assert "these do not hold: N1" in text
    assert "**no**" in text
    assert not check.Figure("NaN is no success", math.nan, 1.0).holds


def test_the_tests_it_names_are_there():
    for _, _, files in promises.ELSEWHERE:
        for file in files:
            assert (page.ROOT / file).is_file()
    named = " ".join(text for _, text in promises.PROMISES)
    for name in named.replace("K1-K8", "").replace(",", "").split():
        assert name in CHECKS
