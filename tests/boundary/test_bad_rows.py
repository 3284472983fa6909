"""update_many at a bad row: the prefix stands and comes with the error; or the row is left out as if it never came."""

from __future__ import annotations

import numpy as np
import pytest
from boundary.filters import KINDS, bits, fed, make, refused, stream

from kfng.errors import NonFiniteError, ParameterError

NAN, INF = float("nan"), float("inf")
N = 100
"""More than the first piece of update_many."""


def spoil(kind, at, how):
    U, Y = stream(kind, n=N)
    weight, dt = np.ones(N), np.ones(N)
    error = NonFiniteError
    if how == "u":
        U[at, 1] = NAN
    elif how == "u_inf":
        U[at, 2] = -INF
    elif how == "y_inf":
        Y[at] = INF
    elif how == "weight":
        weight[at], error = -1.0, ParameterError
    elif how == "dt":
        dt[at] = NAN
    elif how == "overflow":
        U[at] = 1e200
    return (U, Y, weight, dt), error, {"u_inf": "u", "y_inf": "y", "overflow": "u"}.get(how, how)


@pytest.mark.parametrize("how", ["u", "u_inf", "y_inf", "weight", "dt"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("at", [0, 17, 80])
def test_raise(impl, kind, how, at):
    (U, Y, weight, dt), error, argument = spoil(kind, at, how)
    flt, twin = make(impl, kind), make(impl, kind)
    with pytest.raises(error) as caught:
        flt.update_many(U, Y, weight=weight, dt=dt)
    assert caught.value.argument == argument
    assert caught.value.row == at
    assert f"row {at}" in str(caught.value)
    trace = twin.update_many(U[:at], Y[:at], weight=weight[:at], dt=dt[:at])
    assert bits(flt) == bits(twin)
    assert len(caught.value.trace) == at
    for name in ("prediction", "std", "nll_plugin", "skipped", "clipped"):
        np.testing.assert_array_equal(getattr(caught.value.trace, name), getattr(trace, name))


@pytest.mark.parametrize("kind", ["gaussian", "learned", "fading", "two_outputs"])
@pytest.mark.parametrize("at", [0, 17, 99])
def test_overflow(impl, kind, at):
    """Row 17 lies inside a group of rows that share a pass, row 99 in a later piece."""
    (U, Y, weight, dt), _, _ = spoil(kind, at, "overflow")
    flt, twin, one = make(impl, kind), make(impl, kind), make(impl, kind)
    with pytest.raises(NonFiniteError) as caught:
        flt.update_many(U, Y, weight=weight, dt=dt)
    assert (caught.value.argument, caught.value.got, caught.value.row) == ("u", "overflow", at)
    assert len(caught.value.trace) == at
    twin.update_many(U[:at], Y[:at])
    assert bits(flt) == bits(twin)
    for u, y in zip(U[:at], Y[:at], strict=True):
        one.update(u, y)
    with refused(NonFiniteError, "u", one) as caught:
        one.update(U[at], Y[at])
    assert caught.value.got == "overflow"
    assert bits(one) == bits(flt)


def test_an_error_without_a_trace(impl):
    flt = make(impl, "gaussian")
    U, Y = stream("gaussian")
    U[5] = NAN
    with pytest.raises(NonFiniteError) as caught:
        flt.update_many(U, Y, trace=False)
    assert caught.value.trace is None
    assert caught.value.row == 5
    assert flt.n_updates == 5


@pytest.mark.parametrize("kind", KINDS)
def test_skip_equals_the_stream_without_those_rows(impl, kind):
    U, Y = stream(kind, n=N)
    weight, dt, offset = np.linspace(0.5, 1.5, N), np.linspace(0.1, 2.0, N), np.linspace(-0.2, 0.2, N)
    if Y.ndim == 2:
        offset = np.stack([offset, -offset], axis=1)
    bad = np.zeros(N, dtype=bool)
    for number, i in enumerate([0, 1, 15, 16, 17, 30, 31, 32, 63, 64, 98, 99]):
        bad[i] = True
        if number % 5 == 0:
            U[i, number % 3] = (NAN, INF)[number % 2]
        elif number % 5 == 1:
            Y[i] = INF
        elif number % 5 == 2:
            weight[i] = (-1.0, NAN)[number % 2]
        elif number % 5 == 3:
            dt[i] = (-1.0, INF)[number % 2]
        else:
            offset[i] = NAN
    if kind in ("gaussian", "learned", "fading", "two_outputs"):
        U[50], bad[50] = 1e200, True  # finite, but the step is not
    flt, twin = make(impl, kind), make(impl, kind)
    trace = flt.update_many(U, Y, weight=weight, dt=dt, offset=offset, on_bad_row="skip")
    good = ~bad
    other = twin.update_many(U[good], Y[good], weight=weight[good], dt=dt[good], offset=offset[good])
    mine, theirs = bits(flt), bits(twin)
    assert flt.health()["skipped"] == bad.sum()
    assert twin.health()["skipped"] == 0
    mine.pop("counters"), theirs.pop("counters")
    assert mine == theirs
    counts, others = flt.health(), twin.health()
    assert {n: c for n, c in counts.items() if n != "skipped"} == {n: c for n, c in others.items() if n != "skipped"}
    np.testing.assert_array_equal(trace.prediction[good], other.prediction)
    np.testing.assert_array_equal(trace.std[good], other.std)
    assert trace.skipped[bad].all()
    assert np.isnan(trace.prediction[bad]).all()
    assert len(trace) == N


@pytest.mark.parametrize("y", [7.0, -1.0, 0.5, np.inf, -np.inf])
def test_a_skipped_class_that_does_not_exist_has_no_density(impl, y):
    flt = impl.Filter(impl.Linear(2, 3), impl.Categorical(3))
    trace = flt.update_many(np.ones((3, 2)), [1.0, y, 2.0], on_bad_row="skip")
    assert trace.skipped.tolist() == [False, True, False]
    for density in (trace.nll, trace.nll_plugin):
        assert np.isnan(density).tolist() == [False, True, False]


def test_skip_does_not_forgive_arrays_that_are_wrong_as_a_whole(impl):
    flt = fed(impl, "gaussian")
    with refused(impl.ShapeError, "U", flt):
        flt.update_many(np.zeros((5, 2)), np.zeros(5), on_bad_row="skip")
    with refused(impl.DtypeError, "Y", flt):
        flt.update_many(np.zeros((5, 3)), ["a"] * 5, on_bad_row="skip")


def test_no_rows(impl):
    flt = fed(impl, "gaussian")
    before = bits(flt)
    trace = flt.update_many(np.zeros((0, 3)), np.zeros(0))
    assert len(trace) == 0
    assert trace.prediction.shape == trace.std.shape == trace.nll.shape == (0,)
    assert flt.update_many(np.zeros((0, 3)), np.zeros(0), trace=False) is None
    assert flt.predict(np.zeros((0, 3))).shape == (0,)
    assert bits(flt) == before


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize("d", [3, 16, 40])
def test_rows_after_an_overflow_are_taken(impl, d, k, dtype):
    """What a refused row overflowed in is not met again: the filter goes on as its copy, which never saw that row."""
    family = impl.GaussianMeanVariance() if k == 2 else impl.Gaussian(variance=1.0)
    settings = {"rule": impl.Fading(half_life=1.0), "guards": impl.Guards(step_clip=None, z_clamp=None), "dtype": dtype}
    flt = impl.Filter(impl.Linear(d, n_outputs=k, intercept=False), family, **settings)
    y = np.ones(1 if k == 2 else k)
    flt.update(np.zeros(d), y)
    huge = 1.5e29 if dtype == "float32" else 1.5e200
    refused = 0
    for weight, dt, offset in [(huge, huge, -huge), (huge, 1.0, -huge), (1e300, 1.0, 0.0), (1.0, huge, huge)]:
        try:
            flt.copy().update(np.full(d, 2.375), y, weight=weight, dt=dt, offset=np.full(k, offset))
        except NonFiniteError:
            refused += 1
            twin = flt.copy()
            with pytest.raises(NonFiniteError):
                flt.update(np.full(d, 2.375), y, weight=weight, dt=dt, offset=np.full(k, offset))
            for model in (flt, twin):
                model.update(np.full(d, 0.5), y, weight=2.0)
            assert np.array_equal(flt.theta, twin.theta)
            assert np.array_equal(flt.cov(), twin.cov())
    assert refused
