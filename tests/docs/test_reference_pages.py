"""The reference pages list every public name of kfng, each once, and none that is not there."""

from docs.reference_pages import RETURNED, exported, home, listed

import kfng


def test_every_public_name_is_listed():
    missing = {home(name) for name in exported()} - {home(name) for name in listed()}
    assert not missing, (
        f"add '.. autoclass:: NAME' or '.. autofunction:: NAME' to a page in docs/api for {sorted(missing)}"
    )


def test_nothing_else_is_listed():
    assert not {home(name) for name in listed()} - {home(name) for name in exported()} - RETURNED


def test_each_is_listed_once():
    names = [home(name) for name in listed()]
    assert len(names) > 60
    assert sorted(names) == sorted(set(names))


def test_the_reference_has_the_names_of_kfng():
    assert set(kfng.reference.__all__) == set(kfng.__all__) - {"reference", "__version__"}


def test_a_page_is_read_as_sphinx_reads_it():
    page = ".. currentmodule:: kfng\n\n.. autoclass:: Filter\n   :members:\n\n.. autofunction:: kfng.schedules.f\n"
    assert listed([page]) == ["kfng.Filter", "kfng.schedules.f"]
    assert home("kfng.ShapeError") == home("kfng.errors.ShapeError")
