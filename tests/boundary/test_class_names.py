"""Names of classes: checked, kept in files and copies by both implementations, and a part of no number."""

import pickle

import numpy as np
import pytest
from boundary.filters import bits, refused

import kfng
from kfng import _grow, checkpoint, reference
from kfng._coefficients import coefficients
from kfng.errors import ParameterError, ShapeError, UnsupportedError

NAMES = ("tea", "coffee", "milk")


def build(impl, names=NAMES, **options):
    return impl.Filter(impl.Linear(2, 3), impl.Categorical(3), feature_names=["a", "b"], class_names=names, **options)


def fed(impl, names=NAMES):
    flt, rng = build(impl, names), np.random.default_rng(0)
    flt.update_many(rng.normal(size=(30, 2)), rng.integers(0, 3, 30))
    return flt


@pytest.mark.parametrize(
    ("names", "kind"),
    [("abc", ParameterError), (7, ParameterError), (["a", "b", 3], ParameterError), (["a", "b", "a"], ParameterError),
     (["a", "b", ""], ParameterError), ({"a": 0, "b": 1, "c": 2}, ParameterError), (["a", "b"], ShapeError), ([], ShapeError)],
    ids=repr,
)  # fmt: skip
def test_what_is_refused(impl, names, kind):
    with refused(kind, "class_names"):
        build(impl, names)


def test_only_classes_have_names(impl):
    assert impl.Filter(impl.Linear(1), impl.Bernoulli(), class_names=np.array(["ham", "spam"])).spec()[
        "class_names"
    ] == ["ham", "spam"]
    for family in (impl.Gaussian(), impl.Poisson(), impl.Binomial(2)):
        with refused(ParameterError, "class_names"):
            impl.Filter(impl.Linear(1), family, class_names=["ham", "spam"])


def test_they_are_kept(impl, tmp_path):
    flt = fed(impl)
    flt.save(tmp_path / "model.kfng")
    for other in (kfng, reference):
        assert other.load(tmp_path / "model.kfng").settings.class_names == NAMES
    bank = impl.Bank(impl.Linear(2, 3), impl.Categorical(3))
    assert bank.spec().get("class_names") is None
    for twin in (impl.load(tmp_path / "model.kfng"), flt.copy(), pickle.loads(pickle.dumps(flt))):
        assert (bits(twin), repr(twin), twin.spec()) == (bits(flt), repr(flt), flt.spec())
    assert eval(repr(flt), vars(impl)).settings.class_names == NAMES
    assert bits(flt) == bits(fed(impl, None))


def test_files_without_them_load(impl, tmp_path):
    """As all files of the first version are."""
    flt = fed(impl, None)
    header, _ = checkpoint.decode(flt._to_bytes())
    assert "class_names" not in header["spec"]
    assert impl.Filter._from_bytes(flt._to_bytes()).settings.class_names is None


def test_coefficients_have_them(impl):
    names = coefficients(fed(impl)).names
    assert names[:3] == ["a -> tea", "b -> tea", "a -> coffee"]
    assert names[-3:] == ["intercept -> tea", "intercept -> coffee", "intercept -> milk"]


def test_they_grow_with_the_classes(impl):
    flt = fed(impl)
    larger = flt.add_outputs(1, names=["juice"])
    assert larger.settings.class_names == (*NAMES, "juice")
    assert bits(larger) == bits(fed(impl, None).add_outputs(1))
    assert flt.add_features(1, names=["c"]).settings.class_names == NAMES
    assert flt.change_units(scale=2.0).settings.class_names == NAMES
    for names in (None, "juice", ["juice", "beer"]):
        with refused(ShapeError, "names", flt):
            flt.add_outputs(1, names=names)
    with refused(ParameterError, "class_names", flt):
        flt.add_outputs(1, names=["tea"])
    with refused(ParameterError, "names"):
        fed(impl, None).add_outputs(1, names=["juice"])
    two = impl.Filter(impl.Linear(2), impl.Bernoulli(), class_names=["ham", "spam"])
    assert _grow.as_categorical(two).settings.class_names == ("ham", "spam")


def test_filters_of_other_classes_do_not_merge(impl):
    prior = build(impl)
    with refused(UnsupportedError, "class_names"):
        impl.merge([build(impl), build(impl, NAMES[::-1])], prior=prior)
