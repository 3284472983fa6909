"""What a row may not be: update, update_many and condition refuse it by name and keep every bit of the state."""

from __future__ import annotations

import numpy as np
import pytest
from boundary.filters import KINDS, fed, make, refused, stream

from kfng.errors import DtypeError, NonFiniteError, ParameterError, ShapeError, UnsupportedError

NAN, INF = float("nan"), float("inf")
U3 = [0.1, 0.2, 0.3]
RAGGED = [[1.0, 2.0], 3.0]
NOT_NUMBERS = [
    ("abc", DtypeError),
    (["1", "2", "3"], DtypeError),
    ([b"1", b"2", b"3"], DtypeError),
    (np.array(U3, dtype=object), DtypeError),
    (np.array(U3, dtype=complex), DtypeError),
    (np.array([1, 2, 3], dtype="datetime64[D]"), DtypeError),
    (np.array([1, 2, 3], dtype="timedelta64[s]"), DtypeError),
    (np.zeros(3, dtype=[("a", "f8")]), DtypeError),
    (None, DtypeError),
    ({1.0, 2.0, 3.0}, DtypeError),
    ({"a": 1.0}, DtypeError),
    (RAGGED, ShapeError),
]
BAD_U = [
    *NOT_NUMBERS,
    ([0.1, 0.2], ShapeError),
    ([0.1, 0.2, 0.3, 0.4], ShapeError),
    ([U3], ShapeError),
    (0.1, ShapeError),
    ([], ShapeError),
    ([0.1, NAN, 0.3], NonFiniteError),
    ([0.1, 0.2, INF], NonFiniteError),
    ([-INF, 0.2, 0.3], NonFiniteError),
]
BAD_NUMBER = [
    (-1.0, ParameterError),
    (-1e-300, ParameterError),
    (NAN, NonFiniteError),
    (INF, NonFiniteError),
    (-INF, NonFiniteError),
    ("1", DtypeError),
    (None, DtypeError),
    (1j, DtypeError),
    (object(), DtypeError),
    ([1.0, 2.0], ShapeError),
    ([1.0], ShapeError),
]
BAD_Y = {
    "gaussian": [(INF, NonFiniteError), (-INF, NonFiniteError)],
    "bernoulli": [(1.5, ParameterError), (-0.1, ParameterError), (2, ParameterError), (INF, NonFiniteError)],
    "poisson": [(-1, ParameterError), (-0.5, ParameterError), (INF, NonFiniteError)],
    "two_outputs": [([INF, 0.0], NonFiniteError), ([NAN, -INF], NonFiniteError), (1.0, ShapeError), ([1.0], ShapeError),
                    ([1.0, 2.0, 3.0], ShapeError), ([[1.0, 2.0]], ShapeError)],
    "learned": [(INF, NonFiniteError), ([1.0, 2.0], ShapeError), ([[1.0]], ShapeError), ([], ShapeError)],
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_update_u(impl, kind):
    flt, y = fed(impl, kind), stream(kind)[1][0]
    for u, error in BAD_U:
        with refused(error, "u", flt):
            flt.update(u, y)


@pytest.mark.parametrize("kind", sorted(BAD_Y))
def test_update_y(impl, kind):
    flt = fed(impl, kind)
    for y, error in BAD_Y[kind] + [case for case in NOT_NUMBERS if case[0] is not RAGGED] + [(RAGGED, ShapeError)]:
        with refused(error, "y", flt):
            flt.update(U3, y)


@pytest.mark.parametrize("argument", ["weight", "dt"])
def test_update_weight_and_dt(impl, argument):
    for kind in ("gaussian", "fading", "bernoulli", "two_outputs"):
        flt, y = fed(impl, kind), stream(kind)[1][0]
        for value, error in BAD_NUMBER:
            with refused(error, argument, flt):
                flt.update(U3, y, **{argument: value})


def test_update_offset(impl):
    for kind, wrong in (("gaussian", [0.1, 0.2]), ("two_outputs", [0.1]), ("poisson", [[0.1]])):
        flt, y = fed(impl, kind), stream(kind)[1][0]
        cases = [
            (wrong, ShapeError),
            (NAN, NonFiniteError),
            (-INF, NonFiniteError),
            ("0", DtypeError),
            (None, DtypeError),
            (1j, DtypeError),
        ]
        for value, error in cases:
            with refused(error, "offset", flt):
                flt.update(U3, y, offset=value)


def test_the_message_names_the_column_and_the_feature(impl):
    flt = make(impl, "gaussian", feature_names=["age", "height", "weight"])
    with refused(NonFiniteError, "u", flt) as caught:
        flt.update([1.0, NAN, 2.0], 0.0)
    assert "column 1" in caught.value.got
    assert "height" in caught.value.got


def test_positional_extras_and_unknown_names(impl):
    flt = fed(impl, "gaussian")
    for call in (lambda: flt.update(U3, 1.0, 1.0), lambda: flt.update(U3), lambda: flt.update(U3, 1.0, wait=1.0)):
        with pytest.raises(TypeError):
            call()


def many(kind, **replaced):
    U, Y = stream(kind, n=5)
    return {"U": U, "Y": Y} | replaced


@pytest.mark.parametrize(
    ("argument", "value", "error"),
    [
        ("U", np.zeros((5, 2)), ShapeError),
        ("U", np.zeros(3), ShapeError),
        ("U", np.zeros((1, 5, 3)), ShapeError),
        ("U", [[1.0, 2.0, 3.0], [1.0]], ShapeError),
        ("U", np.zeros((5, 3), dtype=object), DtypeError),
        ("U", np.zeros((5, 3), dtype=complex), DtypeError),
        ("U", [["a", "b", "c"]] * 5, DtypeError),
        ("U", None, DtypeError),
        ("Y", np.zeros(4), ShapeError),
        ("Y", np.zeros((5, 2)), ShapeError),
        ("Y", 0.0, ShapeError),
        ("Y", np.zeros((1, 5)), ShapeError),
        ("Y", ["a"] * 5, DtypeError),
        ("Y", np.zeros(5, dtype=complex), DtypeError),
        ("Y", None, DtypeError),
        ("weight", np.ones(4), ShapeError),
        ("weight", np.ones((5, 1)), ShapeError),
        ("weight", "1", DtypeError),
        ("dt", np.ones(6), ShapeError),
        ("dt", [None] * 5, DtypeError),
        ("offset", np.ones(4), ShapeError),
        ("offset", np.ones((5, 2)), ShapeError),
        ("offset", 1j, DtypeError),
    ],
)
def test_update_many_arrays(impl, argument, value, error):
    flt = fed(impl, "gaussian")
    with refused(error, argument, flt) as caught:
        flt.update_many(**many("gaussian", **{argument: value}))
    assert caught.value.row is None  # before any row


@pytest.mark.parametrize(
    ("argument", "value", "error"),
    [("on_bad_row", "drop", "UnknownNameError"), ("on_bad_row", None, "UnknownNameError"), ("deterministic", 1, "ParameterError"),
     ("trace", "yes", "ParameterError"), ("trace", None, "ParameterError"), ("progress", 3, "ParameterError"), ("progress", "yes", "ParameterError"),
     ("lengths", [5], "UnsupportedError")],
)  # fmt: skip
def test_update_many_settings(impl, argument, value, error):
    flt = fed(impl, "gaussian")
    with refused(getattr(impl, error), argument, flt):
        flt.update_many(**many("gaussian", **{argument: value}))


def external(impl, k):
    flt = impl.Filter(impl.External(3, k), impl.Gaussian())
    flt.condition(np.ones(k), np.zeros(k), np.ones((k, 3)))
    return flt


@pytest.mark.parametrize("k", [1, 2])
def test_condition(impl, k):
    flt = external(impl, k)
    good = {"y": np.ones(k), "output": np.zeros(k), "jacobian": np.ones((k, 3))}
    nan_output, nan_jacobian = np.full(k, NAN), np.ones((k, 3))
    nan_jacobian[-1, 1] = INF
    cases = [
        ("y", np.ones(k + 1), ShapeError), ("y", np.full(k, INF), NonFiniteError), ("y", "1", DtypeError),
        ("output", np.ones(k + 1), ShapeError), ("output", np.ones((k, 1, 1)), ShapeError), ("output", nan_output, NonFiniteError),
        ("output", ["a"] * k, DtypeError), ("output", None, DtypeError),
        ("jacobian", np.ones((k, 4)), ShapeError), ("jacobian", np.ones((k + 1, 3)), ShapeError), ("jacobian", 1.0, ShapeError),
        ("jacobian", nan_jacobian, NonFiniteError), ("jacobian", np.ones((k, 3), dtype=complex), DtypeError),
        ("jacobian", [[1.0, 2.0], [3.0]], ShapeError),
        *((name, value, error) for name in ("weight", "dt") for value, error in BAD_NUMBER),
    ]  # fmt: skip
    for argument, value, error in cases:
        with refused(error, argument, flt):
            flt.condition(**(good | {argument: value}))


def test_rows_for_an_external_model_and_the_other_way_round(impl):
    flt = external(impl, 1)
    rows = [lambda: flt.update(U3, 1.0), lambda: flt.update_many([U3], [1.0]), lambda: flt.predict([U3])]
    for call in [*rows, lambda: flt.predict_quantiles([U3], [0.5])]:
        with refused(UnsupportedError, "model", flt):
            call()
    with refused(UnsupportedError, "model"):
        impl.Filter.from_rows([U3], [1.0], impl.External(3, 1), impl.Gaussian())
    # a model of rows takes a Jacobian at theta as well: the row it stands for
    one, two = make(impl, "gaussian"), make(impl, "gaussian")
    one.update(U3, 1.0)
    two.condition(1.0, 0.0, [[*U3, 1.0]])
    np.testing.assert_allclose(one.theta, two.theta, rtol=1e-14)
    np.testing.assert_allclose(one.cov(), two.cov(), rtol=1e-14)
