"""A Trace is n Steps as arrays; it slices and pickles, and does not change when the filter goes on."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from boundary.filters import KINDS, make, stream

FIELDS = ("prediction", "std", "nll", "nll_plugin", "skipped", "clipped")


def traced(impl, kind):
    flt, (U, Y) = make(impl, kind), stream(kind)
    Y[5:9] = np.nan
    U[7] = np.inf
    return flt, U, Y, flt.update_many(U, Y)


@pytest.mark.parametrize("kind", KINDS)
def test_a_trace_is_its_steps(impl, kind):
    _, U, Y, trace = traced(impl, kind)
    twin = make(impl, kind)
    steps = [twin.update(u, y) for u, y in zip(U, Y, strict=True)]
    assert len(trace) == len(steps) == 40
    for name in FIELDS:
        array = getattr(trace, name)
        assert isinstance(array, np.ndarray)
        assert array.shape[0] == 40
        np.testing.assert_array_equal(array, [getattr(step, name) for step in steps])
    assert {type(step.skipped) for step in steps} == {type(step.clipped) for step in steps} == {bool}
    assert {type(step.nll_plugin) for step in steps} == {float}


@pytest.mark.parametrize("kind", KINDS)
def test_slices(impl, kind):
    trace = traced(impl, kind)[-1]
    for rows in (
        slice(None),
        slice(3, 20),
        slice(-5, None),
        slice(None, None, 7),
        slice(10, 10),
        slice(None, None, -1),
        slice(90),
    ):
        part = trace[rows]
        assert len(part) == len(range(40)[rows])
        for name in FIELDS:
            np.testing.assert_array_equal(getattr(part, name), getattr(trace, name)[rows])
    again = trace[5:30][2:4]
    np.testing.assert_array_equal(again.prediction, trace.prediction[7:9])


@pytest.mark.parametrize("index", [3, np.arange(3), [True] * 40, "prediction", None], ids=repr)
def test_only_slices(impl, index):
    trace = traced(impl, "gaussian")[-1]
    with pytest.raises(TypeError):
        trace[index]


@pytest.mark.parametrize("kind", KINDS)
def test_pickled(impl, kind):
    _, _, _, trace = traced(impl, kind)
    before = {name: np.array(getattr(trace, name)) for name in FIELDS}
    twin = pickle.loads(pickle.dumps(trace))
    part = pickle.loads(pickle.dumps(trace[10:20]))
    assert repr(twin) == repr(trace)
    assert len(part) == 10
    for name, array in before.items():
        np.testing.assert_array_equal(getattr(twin, name), array)
        np.testing.assert_array_equal(getattr(twin[10:20], name), array[10:20])  # sliced after the journey as before it
        np.testing.assert_array_equal(getattr(part, name), array[10:20])
    again = pickle.loads(pickle.dumps(twin))
    np.testing.assert_array_equal(again.nll_plugin, before["nll_plugin"])


@pytest.mark.parametrize("kind", KINDS)
def test_densities_are_those_of_the_time_of_the_row(impl, kind):
    """Asked for late, after the filter has learned more, they are what they would have been."""
    flt, U, Y, trace = traced(impl, kind)
    twin = make(impl, kind)
    early = twin.update_many(U, Y)
    values = {name: np.array(getattr(early, name)) for name in FIELDS}
    step = flt.update(U[0], Y[0])
    flt.update_many(U[:5], 3 * np.ones_like(Y[:5]) if kind == "poisson" else np.ones_like(Y[:5]))
    other = twin.update(U[0], Y[0])
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(trace, name), values[name])
        np.testing.assert_array_equal(getattr(step, name), getattr(other, name))


def test_no_trace(impl):
    flt, (U, Y) = make(impl, "gaussian"), stream("gaussian")
    assert flt.update_many(U, Y, trace=False) is None


def test_the_density_of_gaussian_rows_is_the_textbooks(impl):
    flt, (U, Y) = make(impl, "gaussian"), stream("gaussian")
    trace = flt.update_many(U, Y)
    normal = 0.5 * np.log(2 * np.pi * trace.std**2) + (Y - trace.prediction) ** 2 / (2 * trace.std**2)
    np.testing.assert_allclose(trace.nll, normal, rtol=1e-12)
    plain = 0.5 * np.log(2 * np.pi * 0.5) + (Y - trace.prediction) ** 2 / (2 * 0.5)
    np.testing.assert_allclose(trace.nll_plugin, plain, rtol=1e-12)
