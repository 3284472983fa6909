"""Filter may be subclassed: own attributes, own methods, the class survives every copy."""

from __future__ import annotations

import copy
import gc
import importlib
import pickle
import weakref

import numpy as np
import pytest
from boundary.filters import bits, fed, stream


class _Named:
    """What both subclasses add."""

    label = "none"

    def __init__(self, *components, **settings):
        self.label = "made"

    def residual(self, u, y):
        return y - self.predict([u])[0]


SUBCLASSES = {}


def __getattr__(name):
    """Subclasses of both implementations, made when asked for, so that pickle finds them by name."""
    if name in ("Named_kfng", "Named_reference"):
        impl = importlib.import_module({"Named_kfng": "kfng", "Named_reference": "kfng.reference"}[name])
        if name not in SUBCLASSES:
            SUBCLASSES[name] = type(name, (_Named, impl.Filter), {"__module__": __name__})
        return SUBCLASSES[name]
    raise AttributeError(name)


@pytest.fixture
def named(impl, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__) or importlib.import_module(__name__))
    return __getattr__(f"Named_{impl.__name__.rpartition('.')[2]}")


def filled(impl, named, **settings):
    flt = named(impl.Linear(3), impl.Gaussian(None), **settings)
    flt.update_many(*stream("learned"), trace=False)
    return flt


def test_it_is_a_filter_and_more(impl, named):
    flt = filled(impl, named, dtype="float32")
    assert isinstance(flt, impl.Filter)
    assert flt.label == "made"
    flt.note = {"any": "thing"}
    assert flt.note == {"any": "thing"}
    assert bits(flt) == bits(fed(impl, "learned", dtype="float32"))
    u = np.array([1.0, 2.0, 3.0])
    assert flt.residual(u, 1.0) == 1.0 - flt.predict([u])[0]


def test_the_class_survives(impl, named, tmp_path):
    flt = filled(impl, named)
    flt.save(tmp_path / "named.kfng")
    for twin in (flt.copy(), copy.copy(flt), copy.deepcopy(flt), pickle.loads(pickle.dumps(flt))):
        assert type(twin) is named
        assert bits(twin) == bits(flt)
        twin.label = "another"
        twin.update([1.0, 2.0, 3.0], 1.0)
    assert flt.label == "made"
    assert type(impl.load(tmp_path / "named.kfng")) is impl.Filter  # a file names no class: loading never runs code


def test_from_rows_makes_the_subclass(impl, named):
    U, Y = stream("learned")
    flt = named.from_rows(U, Y, impl.Linear(3), impl.Gaussian(None))
    assert type(flt) is named
    assert bits(flt) == bits(impl.Filter.from_rows(U, Y, impl.Linear(3), impl.Gaussian(None)))


def test_an_overridden_update_may_call_its_parent(impl):
    class Doubled(impl.Filter):
        calls = 0

        def update(self, u, y, **more):
            self.calls += 1
            return super().update(u, 2 * y, **more)

    flt, twin = Doubled(impl.Linear(3), impl.Gaussian(0.5)), fed(impl, "gaussian", n=0)
    flt.update([1.0, 2.0, 3.0], 1.0, weight=0.5)
    twin.update([1.0, 2.0, 3.0], 2.0, weight=0.5)
    assert flt.calls == 1
    assert bits(flt) == bits(twin)


def test_a_plain_filter_takes_attributes_and_weak_references(impl):
    flt = fed(impl, "gaussian")
    flt.name = "mine"
    assert flt.name == "mine"
    watch = weakref.ref(flt)
    flt.me = flt  # a cycle that only the garbage collector can break
    del flt
    gc.collect()
    assert watch() is None


def test_what_is_fixed_stays_fixed(impl):
    flt = fed(impl, "gaussian")
    for name in ("theta", "n_updates", "parameters", "noise_variance", "log_evidence"):
        with pytest.raises(AttributeError):
            setattr(flt, name, 1.0)


def test_a_filter_equals_only_itself_and_can_be_a_key(impl):
    flt = fed(impl, "gaussian")
    assert flt == flt
    assert flt != flt.copy()
    assert {flt: 1}[flt] == 1
