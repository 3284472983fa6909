"""A row may come as a list, a tuple or, with feature_names, as a dict: the same bits as from an array, or a typed refusal."""

from __future__ import annotations

from collections import OrderedDict, UserDict, defaultdict
from types import MappingProxyType

import numpy as np
import pytest
from boundary.filters import bits, make, refused, stream

from kfng.errors import DtypeError, NonFiniteError, ShapeError, UnknownNameError

NAMES = ["age", "height", "income"]
ROW = [0.1, -2.0, 3.5]
WAYS = {
    "list": list,
    "tuple": tuple,
    "numpy_floats": lambda u: list(np.array(u)),
    "dict": lambda u: dict(zip(NAMES, u, strict=True)),
    "another_order": lambda u: dict(zip(NAMES[::-1], u[::-1], strict=True)),
    "names_made_anew": lambda u: {"".join(list(name)): x for name, x in zip(NAMES, u, strict=True)},
    "numpy_strings": lambda u: {np.str_(name): x for name, x in zip(NAMES, u, strict=True)},
    "numpy_values": lambda u: dict(zip(NAMES, np.array(u), strict=True)),
    "arrays_of_one_number": lambda u: {name: np.array(x) for name, x in zip(NAMES, u, strict=True)},
    "ordered_dict": lambda u: OrderedDict(zip(NAMES, u, strict=True)),
    "default_dict": lambda u: defaultdict(float, zip(NAMES, u, strict=True)),
    "mapping": lambda u: MappingProxyType(dict(zip(NAMES, u, strict=True))),
    "user_dict": lambda u: UserDict(zip(NAMES, u, strict=True)),
}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("way", WAYS)
def test_the_same_bits_as_an_array(impl, way, dtype):
    U, Y = stream("fading")
    flt, twin = (make(impl, "fading", feature_names=NAMES, dtype=dtype) for _ in range(2))
    for u, y in zip(U.tolist(), Y.tolist(), strict=True):
        flt.update(WAYS[way](u), y, dt=0.5)
        twin.update(np.array(u), y, dt=0.5)
    assert bits(flt) == bits(twin)


@pytest.mark.parametrize("way", ["list", "tuple", "dict"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_whole_numbers_round_as_numpy_rounds_them(impl, way, dtype):
    for row in ([1, 2, 3], [1, 0.5, True], [2**53 + 1, 0, 1], [2**60 + 3, 2**62, -(2**59) - 1], [2**60 + 3, 0.25, 1]):
        flt, twin = (make(impl, "gaussian", feature_names=NAMES, dtype=dtype) for _ in range(2))
        flt.update(WAYS[way](row), 1.0)
        twin.update(np.asarray(row), 1.0)
        assert bits(flt) == bits(twin), row


def test_forty_features(impl):
    """More than fit the space that small rows are read into."""
    names = [f"x{i}" for i in range(40)]
    U, Y = stream("gaussian", n=10, d=40)
    flt, twin = (make(impl, "gaussian", 40, feature_names=names) for _ in range(2))
    for u, y in zip(U, Y, strict=True):
        flt.update(dict(zip(names, u.tolist(), strict=True)), y)
        twin.update(u, y)
    assert bits(flt) == bits(twin)


REFUSED = [
    ({"age": 0.1, "height": -2.0}, UnknownNameError, "no 'income'"),
    ({"age": 0.1, "height": -2.0, "incom": 3.5}, UnknownNameError, "no 'income'"),
    ({"age": 0.1, "height": -2.0, "income": 3.5, "x": 1.0}, UnknownNameError, "'x'"),
    ({"age": 0.1, "height": -2.0, "income": 3.5, 4: 1.0}, UnknownNameError, "4"),
    ({}, UnknownNameError, "no 'age'"),
    (defaultdict(float, age=0.1), UnknownNameError, "no 'height'"),
    ({"age": 0.1, "height": "tall", "income": 3.5}, DtypeError, "dtype"),
    ({"age": 0.1, "height": None, "income": 3.5}, DtypeError, "dtype"),
    ({"age": 0.1, "height": 1j, "income": 3.5}, DtypeError, "dtype"),
    ({"age": 0.1, "height": 10**400, "income": 3.5}, DtypeError, "dtype"),
    ({"age": [0.1], "height": [0.1], "income": [3.5]}, ShapeError, "(3, 1)"),
    ({"age": 0.1, "height": [0.1], "income": 3.5}, ShapeError, ""),
    ({"age": 0.1, "height": float("nan"), "income": 3.5}, NonFiniteError, "column 1 (height)"),
    ({"age": 0.1, "height": float("inf"), "income": 3.5}, NonFiniteError, "column 1 (height)"),
]


@pytest.mark.parametrize(("row", "kind", "text"), REFUSED, ids=lambda x: str(x)[:40])
def test_refused_by_name(impl, row, kind, text):
    flt = make(impl, "gaussian", feature_names=NAMES)
    flt.update(ROW, 1.0)
    size = len(row)
    with refused(kind, "u", flt) as caught:
        flt.update(row, 1.0)
    assert text in str(caught.value.got)
    assert len(row) == size  # nothing was added to a defaultdict


def test_a_dict_needs_names(impl):
    flt = make(impl, "gaussian")
    with refused(DtypeError, "u", flt) as caught:
        flt.update(dict(zip(NAMES, ROW, strict=True)), 1.0)
    assert "feature_names" in caught.value.expected


def test_a_row_without_y_may_have_bad_values_but_not_bad_names(impl):
    flt = make(impl, "gaussian", feature_names=NAMES)
    step = flt.update(dict.fromkeys(NAMES, float("nan")), float("nan"))
    assert step.skipped
    with refused(UnknownNameError, "u", flt):
        flt.update({"age": 1.0}, float("nan"))


def test_many_rows_are_arrays(impl):
    flt = make(impl, "gaussian", feature_names=NAMES)
    row = dict(zip(NAMES, ROW, strict=True))
    for U in ([row, row], (row, row), row):
        with refused(DtypeError, "U", flt) as caught:
            flt.update_many(U, [1.0, 2.0])
        assert "update" in caught.value.expected
        with refused(DtypeError, "U", flt):
            flt.predict(U)
    flt.update_many([list(row.values())] * 2, [1.0, 2.0])
    assert flt.n_updates == 2
