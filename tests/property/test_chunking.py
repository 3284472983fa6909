"""One by one, in any pieces, copied in between: the same rows end in the same bits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from property.streams import IDENTITY, LAWS, bits, cases

FIELDS = ("prediction", "std", "skipped", "clipped")


def one_by_one(flt, U, Y, columns):
    return [
        flt.update(U[i], Y[i], **{name: float(column[i]) for name, column in columns.items()}) for i in range(len(U))
    ]


@settings(max_examples=6)
@pytest.mark.parametrize("law", LAWS)
@given(data=st.data(), dtype=st.sampled_from(["float64", "float32"]), cuts=st.lists(st.integers(0, 50), max_size=6))
def test_pieces(impl, law, data, dtype, cuts):
    case = data.draw(cases(laws=(law,), rows=40))
    U, Y, columns = case.rows()
    whole, pieces, single = (case.filter(impl, dtype=dtype, evidence=False) for _ in range(3))
    trace = whole.update_many(U, Y, **columns)
    parts = [
        pieces.update_many(U[rows], Y[rows], **{name: column[rows] for name, column in columns.items()})
        for rows in np.split(np.arange(case.n), sorted(min(cut, case.n) for cut in cuts))
    ]
    steps = one_by_one(single, U, Y, columns)
    assert bits(whole) == bits(pieces) == bits(single)
    for name in FIELDS:
        np.testing.assert_array_equal(np.concatenate([getattr(part, name) for part in parts]), getattr(trace, name))
    # figures are computed when asked for: exp and log of one row and of many may differ in the last bit
    rounding = 1e-14 if dtype == "float64" else 1e-7
    for name in (*FIELDS, "nll_plugin"):
        values = [getattr(step, name) for step in steps]
        np.testing.assert_allclose(values, getattr(trace, name), rtol=rounding, atol=1e-13)


@given(case=cases(laws=IDENTITY, rows=40), cut=st.integers(0, 40))
def test_evidence_and_copies(impl, case, cut):
    U, Y, columns = case.rows()
    whole, first = (case.filter(impl, evidence=True) for _ in range(2))
    whole.update_many(U, Y, **columns)
    first.update_many(U[:cut], Y[:cut], **{name: column[:cut] for name, column in columns.items()})
    second = first.copy()
    second.update_many(U[cut:], Y[cut:], **{name: column[cut:] for name, column in columns.items()})
    assert bits(second) == bits(whole)
    assert second.log_evidence == whole.log_evidence


@given(case=cases(rows=30))
def test_reading_between_rows_changes_nothing(impl, case):
    U, Y, columns = case.rows()
    flt, twin = case.filter(impl), case.filter(impl)
    for i in range(case.n):
        row = {name: float(column[i]) for name, column in columns.items()}
        flt.predict(U[i : i + 1], return_std=True), flt.cov(), flt.health(), flt.sample(1, 0), flt.copy()
        flt.update(U[i], Y[i], **row)
        twin.update(U[i], Y[i], **row)
    assert bits(flt) == bits(twin)


@given(case=cases(rows=40))
def test_the_order_of_rows_matters_where_it_should(impl, case):
    """The control: under forgetting the reversed stream is another stream."""
    if not case.forgetting or case.n < 5 or case.gaps or case.weighted:
        return
    U, Y, columns = case.rows()
    flt, twin = case.filter(impl), case.filter(impl)
    flt.update_many(U, Y, **columns)
    twin.update_many(U[::-1], Y[::-1], **columns)
    assert bits(flt) != bits(twin)
