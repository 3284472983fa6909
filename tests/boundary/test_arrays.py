"""Any array of real numbers in any layout means the numbers in it, and is never kept or written to."""

from __future__ import annotations

import numpy as np
import pytest
from boundary.filters import bits, fed, make, stream

from kfng.errors import NonFiniteError

D = 4
DTYPES = [
    "f8",
    "f4",
    "f2",
    "i1",
    "i2",
    "i4",
    "i8",
    "u1",
    "u2",
    "u4",
    "u8",
    "?",
    ">f8",
    "<f8",
    ">f4",
    ">i4",
    ">u2",
    np.longdouble,
]
LAYOUTS = {
    "C": lambda A: np.array(A, order="C"),
    "F": lambda A: np.array(A, order="F"),
    "strided": lambda A: np.repeat(A, 2, axis=-1)[..., ::2],
    "strided_rows": lambda A: np.repeat(A, 3, axis=0)[::3],
    "reversed": lambda A: np.ascontiguousarray(A[::-1])[::-1],
    "reversed_columns": lambda A: np.ascontiguousarray(A[..., ::-1])[..., ::-1],
    "read_only": lambda A: _locked(A),
    "unaligned": lambda A: _unaligned(A),
    "dtype_of_its_own": lambda A: A.astype(A.dtype.newbyteorder("S").newbyteorder("S")),
    "subclass": lambda A: A.view(_Subclass),
    "memoryview": lambda A: memoryview(np.array(A)) if A.dtype.isnative and A.dtype.char in "bBhHiIlLdf?" else A,
    "list": lambda A: A.tolist(),
    "tuple": lambda A: _tuples(A.tolist()),
    "list_of_arrays": lambda A: list(A),
    "array_interface": lambda A: _Foreign(A),
}


class _Subclass(np.ndarray):
    pass


class _Foreign:
    """An object of another library that offers its numbers to NumPy."""

    def __init__(self, A):
        self._array = A

    def __array__(self, dtype=None, copy=None):
        return self._array if dtype is None else self._array.astype(dtype)


def _locked(A):
    A = np.array(A)
    A.setflags(write=False)
    return A


def _unaligned(A):
    raw = np.zeros(A.nbytes + 1, dtype=np.uint8)
    view = raw[1:].view(A.dtype).reshape(A.shape)
    view[...] = A
    return view


def _tuples(value):
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def numbers(dtype, n=12):
    """0 and 1 for booleans, small numbers that every dtype holds exactly for the others."""
    rng = np.random.default_rng(1)
    if dtype == "?":
        low, high = 0, 2
    else:
        low, high = (0, 7) if np.dtype(dtype).kind == "u" else (-3, 4)
    return rng.integers(low, high, size=(n, D)), rng.integers(low, high, size=n)


def every_way_in(impl, U, Y, kind, filter_dtype="float64"):
    """The state after each entry point has taken the same rows, and predictions of them."""
    flt = make(impl, kind, D, dtype=filter_dtype)
    for u, y in zip(U, Y, strict=True):
        flt.update(u, y)
    flt.update_many(U, Y, weight=Y, dt=Y)
    return bits(flt), flt.predict(U, return_std=True)


@pytest.mark.parametrize("filter_dtype", ["float64", "float32"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_dtypes(impl, dtype, filter_dtype):
    U, Y = numbers(dtype)
    Y = np.abs(Y)
    expected, prediction = every_way_in(impl, U.astype(np.float64), Y.astype(np.float64), "fading", filter_dtype)
    got, again = every_way_in(impl, U.astype(dtype), Y.astype(dtype), "fading", filter_dtype)
    assert got == expected
    np.testing.assert_array_equal(again, prediction)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["f8", "f4", "i4", ">f8", "?"])
def test_layouts(impl, layout, dtype):
    U, Y = numbers(dtype)
    lay = LAYOUTS[layout]
    A, y = U.astype(dtype), np.abs(Y).astype(dtype)
    exact, y_exact = U.astype(np.float64), np.abs(Y).astype(np.float64)
    flt, twin = make(impl, "fading", D), make(impl, "fading", D)
    trace = flt.update_many(lay(A), lay(y), weight=lay(y), dt=lay(y), offset=lay(y))
    other = twin.update_many(exact, y_exact, weight=y_exact, dt=y_exact, offset=y_exact)
    assert bits(flt) == bits(twin)
    np.testing.assert_array_equal(trace.prediction, other.prediction)
    np.testing.assert_array_equal(flt.predict(lay(A)), twin.predict(exact))
    row, x = lay(A[3:4])[0] if layout in ("list", "tuple") else lay(A[3]), exact[3]
    flt.update(row, y[3], weight=y[3], dt=y[3], offset=y[3])
    twin.update(x, y_exact[3], weight=y_exact[3], dt=y_exact[3], offset=y_exact[3])
    assert bits(flt) == bits(twin)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_of_a_jacobian(impl, layout):
    J, z = np.arange(10.0).reshape(2, 5) / 7, np.array([0.25, -0.5])
    flt, twin = (impl.Filter(impl.External(5, 2), impl.Gaussian(0.5)) for _ in range(2))
    step = flt.condition(LAYOUTS[layout](np.ones(2)), LAYOUTS[layout](z), LAYOUTS[layout](J))
    other = twin.condition(np.ones(2), z, J)
    assert bits(flt) == bits(twin)
    np.testing.assert_array_equal(step.prediction, other.prediction)
    np.testing.assert_array_equal(step.std, other.std)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_of_first_rows(impl, layout):
    U, Y = stream("gaussian", n=20, d=D)
    lay = LAYOUTS[layout]
    flt = impl.Filter.from_rows(lay(U), lay(Y), impl.Linear(D), impl.Gaussian(None))
    twin = impl.Filter.from_rows(U, Y, impl.Linear(D), impl.Gaussian(None))
    assert bits(flt) == bits(twin)
    assert repr(flt) == repr(twin)


def test_scalars_of_every_kind(impl):
    one = make(impl, "poisson", 2)
    one.update([0.5, 1.0], 2.0, weight=2.0, dt=3.0, offset=1.0)
    for two in (2, np.int8(2), np.float32(2), np.array(2), np.array([2.0])[0], np.uint64(2), np.longdouble(2)):
        flt = make(impl, "poisson", 2)
        flt.update([0.5, 1.0], two, weight=two, dt=3, offset=np.array(1))
        assert bits(flt) == bits(one)
    flt = make(impl, "poisson", 2)
    flt.update([0.5, 1.0], [2.0], weight=2.0, dt=3.0, offset=[1.0])  # (k,) for k = 1
    assert bits(flt) == bits(one)


def test_one_column_y_and_offset(impl):
    U, Y = stream("gaussian")
    flt, twin = make(impl, "gaussian"), make(impl, "gaussian")
    flt.update_many(U, Y[:, None], offset=Y[:, None])
    twin.update_many(U, Y, offset=Y)
    assert bits(flt) == bits(twin)


def test_a_number_that_float32_cannot_hold(impl):
    flt = fed(impl, "gaussian", dtype="float32")
    before = bits(flt)
    with pytest.raises(NonFiniteError) as caught:
        flt.update([1e300, 0.0, 0.0], 1.0)
    assert caught.value.argument == "u"
    with pytest.raises(NonFiniteError) as caught:
        flt.update_many([[0.0, 1e300, 0.0]], [1.0])
    assert caught.value.row == 0
    with pytest.raises(NonFiniteError) as caught:
        flt.predict([[0.0, 1e300, 0.0]])
    assert caught.value.argument == "U"
    assert bits(flt) == before


def test_outputs_have_the_filters_dtype_and_shape(impl):
    for dtype in ("float64", "float32"):
        for kind, shape in (("gaussian", ()), ("two_outputs", (2,)), ("poisson", ())):
            flt, (U, Y) = make(impl, kind, dtype=dtype), stream(kind)
            step = flt.update(U[0], Y[0])
            trace = flt.update_many(U, Y)
            mean, std = flt.predict(U, return_std=True)
            assert flt.theta.dtype == step.prediction.dtype == trace.prediction.dtype == mean.dtype == dtype
            assert std.dtype == trace.std.dtype == trace.nll_plugin.dtype == flt.cov().dtype == np.float64
            assert step.prediction.shape == np.shape(step.std) == shape
            assert trace.prediction.shape == mean.shape == std.shape == (40, *shape)
            assert type(step.nll_plugin) is float
            assert {part.dtype for part in flt.parameters.values()} == {np.dtype(dtype)}


def test_what_the_caller_does_with_its_arrays_afterwards(impl):
    U, Y = stream("two_outputs")
    weight, dt, offset = np.ones(40), np.ones(40), np.zeros((40, 2))
    theta, R, prior = np.ones(8), np.eye(2), np.ones(8)
    flt = impl.Filter(impl.Linear(3, 2), impl.Gaussian(covariance=R), belief=impl.Full(prior), theta=theta)
    density = flt.copy().update_many(U, Y).nll
    trace = flt.update_many(U, Y, weight=weight, dt=dt, offset=offset)
    step = flt.update(U[0], Y[0])
    before = bits(flt), repr(flt), trace.prediction.copy(), trace.std.copy(), step.nll
    mean, cov = flt.predict(U, return_cov=True)
    for array in (U, Y, weight, dt, offset, theta, R, prior, mean, cov):
        array[...] = 7.0
    for array in (flt.theta, flt.cov(), flt.std(), flt.precision(), *flt.parameters.values(), flt.noise_variance[0]):
        array[...] = 7.0
    for array in flt._state().values():
        array[...] = 7.0
    again = flt.copy()
    assert (bits(flt), repr(flt)) == before[:2]
    np.testing.assert_array_equal(trace.prediction, before[2])
    np.testing.assert_array_equal(trace.std, before[3])
    np.testing.assert_array_equal(trace.nll, density)  # computed only now
    assert step.nll == before[4]
    assert bits(again) == bits(flt)
    np.testing.assert_array_equal(flt.noise_variance[0], np.eye(2))


def test_inputs_are_not_written_to(impl):
    U, Y = stream("two_outputs")
    Y[3] = np.nan
    U[3] = np.inf
    kept = U.copy(), Y.copy()
    flt = make(impl, "two_outputs")
    flt.update_many(U, Y)
    flt.update(U[0], Y[0])
    flt.predict(U[:3])
    impl.Filter.from_rows(U, Y, impl.Linear(3, 2), impl.Gaussian())
    np.testing.assert_array_equal(U, kept[0])
    np.testing.assert_array_equal(Y, kept[1])
