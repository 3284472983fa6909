"""The lists of names: every entry has a problem, kfng's core and the reference know the same entries."""

from __future__ import annotations

import re

import pytest
from problems import CROSSED, PROBLEMS
from problems_recurrent import HIDDEN

from kfng._settings import AXES, Settings
from kfng.errors import KfngError

ENTRIES = [(axis, name) for axis, known in AXES.items() for name in known]
FAMILIES = [name for axis, name in ENTRIES if axis == "family"]


def kinds(problem, impl):
    """Name of the problem's entry on each axis."""
    settings = problem.filter(impl).settings
    return {axis: type(getattr(settings, axis)).__name__ for axis in AXES}


@pytest.fixture(scope="module")
def used():
    from kfng import reference

    return [kinds(problem, reference) for problem in (PROBLEMS | CROSSED | HIDDEN).values()]


@pytest.mark.parametrize(("axis", "name"), ENTRIES)
def test_every_entry_has_a_problem(used, axis, name):
    assert any(kind[axis] == name for kind in used), f"{axis} {name} has no problem in tests/problems.py"


@pytest.mark.parametrize(("axis", "name"), [entry for entry in ENTRIES if entry[0] in ("model", "belief", "rule")])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_meets_every_entry(used, family, axis, name):
    assert any(kind["family"] == family and kind[axis] == name for kind in used), f"no problem has {family} with {name}"


def test_a_problem_without_a_run_would_be_seen():
    """The control: an entry that nobody uses is not found."""
    from kfng import reference

    assert not any("Nonsense" in kinds(problem, reference).values() for problem in list(PROBLEMS.values())[:2])


@pytest.mark.parametrize("axis", AXES)
def test_the_core_knows_the_same_names(both, axis, monkeypatch):
    """Asked for an entry that is none, the core lists those that it has."""
    import json

    kfng, _ = both
    known = set(AXES[axis])
    flt = PROBLEMS["gaussian"].filter(kfng)
    spec = json.loads(flt.settings.core_json())
    spec[axis] = {"kind": "Nonsense"}
    with monkeypatch.context() as patch:
        patch.setattr(Settings, "core_json", lambda self: json.dumps(spec))
        with pytest.raises(KfngError) as caught:
            type(flt)._from_settings(flt.settings)
    assert "Nonsense" in str(caught.value)
    listed = set(re.findall(r"`(\w+)`", str(caught.value).partition("expected")[2].partition("expected")[2])) - {
        "Nonsense"
    }
    assert listed == known


@pytest.mark.parametrize(("axis", "name"), ENTRIES)
def test_both_offer_the_entry_by_its_name(both, axis, name):
    for impl in both:
        assert getattr(impl, name) is AXES[axis][name]
        assert name in impl.__all__
