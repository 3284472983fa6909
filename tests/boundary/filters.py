"""Small filters and streams for the boundary tests, and what a typed refusal and bit-identical mean in them."""

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from kfng import errors

BUILTIN = {
    errors.ShapeError: ValueError,
    errors.ParameterError: ValueError,
    errors.UnknownNameError: ValueError,
    errors.NonFiniteError: ValueError,
    errors.DtypeError: TypeError,
    errors.UnsupportedError: NotImplementedError,
    errors.NotPositiveDefiniteError: ArithmeticError,
    errors.UnreadableError: OSError,
}
KINDS = ("gaussian", "two_outputs", "learned", "bernoulli", "poisson", "fading")


def bits(flt: Any) -> dict[str, tuple[str, tuple[int, ...], bytes]]:
    """The whole state, comparable bit by bit."""
    return {name: (array.dtype.str, array.shape, array.tobytes()) for name, array in flt._state().items()}


@contextlib.contextmanager
def refused(kind: type[errors.KfngError], argument: str, flt: Any = None) -> Iterator[Any]:
    """Exactly this error, with its three fields set and its built-in base; `flt` stays bit-identical."""
    before = None if flt is None else bits(flt)
    with pytest.raises(kind) as caught:
        yield caught
    error = caught.value
    assert type(error) is kind
    assert isinstance(error, BUILTIN.get(kind, errors.KfngError))
    assert error.argument == argument
    assert error.expected is not None
    assert error.got is not None
    assert argument in str(error)
    twin = pickle.loads(pickle.dumps(error))
    assert (type(twin), str(twin), twin.argument, twin.row) == (kind, str(error), argument, error.row)
    if flt is not None:
        assert bits(flt) == before, "a refused call changed the state"


def make(impl: Any, kind: str, d: int = 3, **same: Any) -> Any:
    """A filter of one kind on d features, not yet fed."""
    if kind == "gaussian":
        return impl.Filter(impl.Linear(d), impl.Gaussian(0.5), **same)
    if kind == "two_outputs":
        return impl.Filter(impl.Linear(d, 2), impl.Gaussian(covariance=[[1.0, 0.3], [0.3, 0.5]]), **same)
    if kind == "learned":
        return impl.Filter(impl.Linear(d), impl.Gaussian(None), **same)
    if kind == "bernoulli":
        return impl.Filter(impl.Linear(d), impl.Bernoulli(), **same)
    if kind == "poisson":
        return impl.Filter(impl.Linear(d), impl.Poisson(), **same)
    if kind == "fading":
        return impl.Filter(impl.Linear(d), impl.Gaussian(None), rule=impl.Fading(0.05), **same)
    raise KeyError(kind)


def stream(kind: str, n: int = 40, d: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows (n, d) and outcomes that suit the kind."""
    rng = np.random.default_rng(seed)
    U = rng.normal(size=(n, d))
    z = U @ np.linspace(-0.5, 0.5, d) + 0.2
    if kind == "bernoulli":
        return U, (rng.random(n) < 1 / (1 + np.exp(-z))).astype(np.float64)
    if kind == "poisson":
        return U, rng.poisson(np.exp(z)).astype(np.float64)
    if kind == "two_outputs":
        return U, np.stack([z, -z], axis=1) + rng.normal(size=(n, 2))
    return U, z + rng.normal(size=n)


def fed(impl: Any, kind: str, n: int = 40, d: int = 3, **same: Any) -> Any:
    """A filter of one kind after n rows."""
    flt = make(impl, kind, d, **same)
    flt.update_many(*stream(kind, n, d), trace=False)
    return flt
