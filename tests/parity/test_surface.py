"""Swapping the import changes nothing that a caller can see: names, signatures, documentation, attributes."""

from __future__ import annotations

import inspect

import pytest

CLASSES = ("Filter", "Bank", "Mixture")
ONLY_IN_KFNG = {"__version__", "reference"}


def public(cls):
    return {name for name in dir(cls) if not name.startswith("_")} - {"settings"}  # set on the object in one of them


def test_the_same_names(both):
    kfng, reference = both
    assert set(kfng.__all__) - ONLY_IN_KFNG == set(reference.__all__)
    assert len(kfng.__all__) == len(set(kfng.__all__))
    for impl in both:
        assert all(hasattr(impl, name) for name in impl.__all__)


@pytest.mark.parametrize("name", ["Filter", "load", "errors"])
def test_what_everybody_needs_is_there(impl, name):
    assert name in impl.__all__


@pytest.mark.parametrize("cls", CLASSES)
def test_the_same_attributes(both, cls):
    kfng, reference = (getattr(impl, cls) for impl in both)
    assert public(kfng) == public(reference)
    for name in public(kfng):
        mine, other = (inspect.getattr_static(c, name) for c in (kfng, reference))
        assert callable(getattr(kfng, name)) == callable(getattr(reference, name)), name
        assert isinstance(mine, classmethod) == isinstance(other, classmethod), name


@pytest.mark.parametrize("cls", CLASSES)
def test_the_same_signatures(both, cls):
    kfng, reference = (getattr(impl, cls) for impl in both)
    methods = [name for name in sorted(public(kfng)) if callable(getattr(kfng, name))]
    needed = {
        "Filter": ("update_many", "condition", "predict_quantiles", "sample", "from_rows"),
        "Bank": ("update_panel", "theta"),
        "Mixture": ("update_many", "reset_state", "save"),
    }
    assert {"update", "predict", *needed[cls]} <= set(methods)
    for name in methods:
        mine, other = (arguments(getattr(c, name)) for c in (kfng, reference))
        assert mine == other, name
    assert arguments(kfng) == arguments(reference)
    assert arguments(both[0].load) == arguments(both[1].load)


def arguments(function):
    """Names, kinds and defaults; annotations may differ."""
    parameters = inspect.signature(function).parameters.values()
    return [(p.name, p.kind, p.default) for p in parameters if p.name not in ("self", "cls")]


def test_update_is_called_as_documented(impl):
    assert arguments(impl.Filter.update) == [
        ("u", inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.empty),
        ("y", inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.empty),
        ("weight", inspect.Parameter.KEYWORD_ONLY, 1.0),
        ("dt", inspect.Parameter.KEYWORD_ONLY, 1.0),
        ("offset", inspect.Parameter.KEYWORD_ONLY, 0.0),
        ("time", inspect.Parameter.KEYWORD_ONLY, None),
    ]
    names = [name for name, *_ in arguments(impl.Filter.update_many)]
    assert names == [
        "U", "Y", "target", "weight", "dt", "offset", "time", "progress", "on_bad_row", "deterministic", "trace", "lengths",
    ]  # fmt: skip


def test_the_constructor_shows_its_arguments(impl):
    """help(Filter) and an editor see every setting, not **options."""
    names = [name for name, *_ in arguments(impl.Filter)]
    assert names[:2] == ["model", "family"]
    assert set(names[2:]) == {
        "belief", "rule", "sensitivity", "guards", "theta", "state", "state_prior", "iterations", "robust", "evidence",
        "dtype", "num_threads", "feature_names", "categories", "class_names", "seed",
    }  # fmt: skip


@pytest.mark.parametrize("cls", CLASSES)
def test_documented(impl, cls):
    cls = getattr(impl, cls)
    assert cls.__doc__
    for name in public(cls):
        assert inspect.getdoc(getattr(cls, name)), name


def test_steps_have_the_same_fields(both):
    steps = []
    for impl in both:
        flt = impl.Filter(impl.Linear(2), impl.Gaussian())
        steps.append(flt.update([1.0, 2.0], 3.0))
    assert public(type(steps[0])) == public(type(steps[1]))
    for name in public(type(steps[0])):
        mine, other = (getattr(step, name) for step in steps)
        assert type(mine) is type(other), name
    assert repr(steps[0]) == repr(steps[1])
    for step in steps:
        with pytest.raises(AttributeError):
            step.prediction = 1.0
