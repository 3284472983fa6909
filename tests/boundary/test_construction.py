"""Arguments of Filter that are wrong by themselves or do not fit together."""

from __future__ import annotations

import numpy as np
import pytest
from boundary.filters import refused

from kfng.errors import (
    DtypeError,
    NonFiniteError,
    NotPositiveDefiniteError,
    ParameterError,
    ShapeError,
    UnsupportedError,
)

NAN, INF = float("nan"), float("inf")


def build(impl, **arguments):
    return impl.Filter(arguments.pop("model", impl.Linear(3)), arguments.pop("family", impl.Gaussian()), **arguments)


@pytest.mark.parametrize("axis", ["model", "family", "belief", "rule", "guards"])
@pytest.mark.parametrize(
    "value", ["Gaussian", 1, object(), [], dict], ids=["name", "number", "object", "list", "class"]
)
def test_what_is_no_component(impl, axis, value):
    with refused(ParameterError, axis):
        build(impl, **{axis: value})


def test_a_component_on_the_wrong_axis_and_a_class_for_an_instance(impl):
    with refused(ParameterError, "model"):
        impl.Filter(impl.Gaussian(), impl.Linear(3))
    with refused(ParameterError, "family") as caught:
        build(impl, family=impl.Gaussian)
    assert "instance" in caught.value.expected
    for axis in ("model", "family"):
        with refused(ParameterError, axis):
            build(impl, **{axis: None})


@pytest.mark.parametrize(
    ("argument", "value"),
    [("sensitivity", "rtrl"), ("state", [0.0]), ("state_prior", 1.0)],
)
def test_what_a_static_filter_does_not_offer(impl, argument, value):
    with refused(UnsupportedError, argument):
        build(impl, **{argument: value})


@pytest.mark.parametrize("value", [1, 0, "yes", None], ids=repr)
def test_evidence_is_a_flag(impl, value):
    with refused(ParameterError, "evidence"):
        build(impl, evidence=value)


@pytest.mark.parametrize(
    "value",
    [
        "float16",
        "float128",
        "int64",
        "complex128",
        "O",
        "nonsense",
        None,
        64,
        int,
        object,
        [],
        "",
        "\ud800",
        {"name": "x"},
        "f8,(1",
    ],
    ids=ascii,
)
def test_dtype(impl, value):
    with refused(DtypeError, "dtype"):
        build(impl, dtype=value)


def test_dtype_by_any_name(impl):
    for value in ("float32", np.float32, np.dtype("f4"), "f4"):
        flt = build(impl, dtype=value)
        assert flt.theta.dtype == np.float32
        assert flt == flt
        assert flt.settings.dtype == "float32"


@pytest.mark.parametrize("value", [0, -1, True, 2.5, "2", 10**6], ids=repr)
def test_num_threads(impl, value):
    with refused(ParameterError, "num_threads"):
        build(impl, num_threads=value)


@pytest.mark.parametrize("value", [-1, True, 0.5, "0", None, 2**63], ids=repr)
def test_seed(impl, value):
    with refused(ParameterError, "seed"):
        build(impl, seed=value)


@pytest.mark.parametrize(
    ("names", "kind"),
    [("abc", ParameterError), (7, ParameterError), (["a", "b", 3], ParameterError), (["a", "b", "a"], ParameterError),
     (["a", "b"], ShapeError), ([], ShapeError)],
    ids=repr,
)  # fmt: skip
def test_feature_names(impl, names, kind):
    with refused(kind, "feature_names"):
        build(impl, feature_names=names)


@pytest.mark.parametrize(
    ("theta", "kind"),
    [(np.zeros(3), ShapeError), (0.0, ShapeError), (np.zeros((1, 4)), ShapeError), ([[1.0], [1.0, 2.0]], ShapeError),
     ([0, 0, 0, NAN], NonFiniteError), ([0, 0, 0, INF], NonFiniteError), (["a"] * 4, DtypeError),
     (np.zeros(4, complex), DtypeError), (np.zeros(4, object), DtypeError)],
    ids=repr,
)  # fmt: skip
def test_theta(impl, theta, kind):
    with refused(kind, "theta"):
        build(impl, theta=theta)


def test_theta_beyond_float32(impl):
    with refused(NonFiniteError, "theta"):
        build(impl, theta=[1e300, 0, 0, 0], dtype="float32")
    assert build(impl, theta=[1e300, 0, 0, 0]).theta[0] == 1e300


@pytest.mark.parametrize(
    ("prior", "kind"),
    [(np.ones(3), ShapeError), (np.eye(3), ShapeError), (np.ones((4, 4)), NotPositiveDefiniteError),
     (np.eye(4) - 0.4 * (1 - np.eye(4)), NotPositiveDefiniteError)],
    ids=["vector", "matrix", "singular", "indefinite"],
)  # fmt: skip
def test_prior_against_the_model(impl, prior, kind):
    with refused(kind, "prior_variance"):
        build(impl, belief=impl.Full(prior))


def test_family_against_the_model(impl):
    for family in (impl.Bernoulli(), impl.Poisson(), impl.Gaussian(covariance=np.eye(3))):
        with refused(ShapeError, "family"):
            build(impl, model=impl.Linear(3, 2), family=family)
    for family in (impl.Gaussian(covariance=np.eye(2)), impl.Gaussian(None), impl.Gaussian(2.0)):
        assert build(impl, model=impl.Linear(3, 2), family=family).theta.shape == (8,)


def test_unknown_and_positional_arguments(impl):
    with pytest.raises(TypeError):
        build(impl, learning_rate=0.1)
    with pytest.raises(TypeError):
        impl.Filter(impl.Linear(3), impl.Gaussian(), impl.Full())
    with pytest.raises(TypeError):
        impl.Filter(impl.Linear(3))


def test_none_means_the_default(impl):
    plain = build(impl)
    assert repr(build(impl, belief=None, rule=None, guards=None, theta=None, num_threads=None)) == repr(plain)
    assert plain.settings.belief == impl.Full(1.0)
    assert plain.settings.rule == impl.Kalman()
    assert plain.settings.guards == impl.Guards()
    np.testing.assert_array_equal(plain.theta, np.zeros(4))
