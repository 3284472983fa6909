"""Sizes that no machine holds are refused at once, before anything is allocated."""

from __future__ import annotations

import resource
import time

import numpy as np
import pytest
from boundary.filters import make, refused

from kfng.errors import ParameterError, ShapeError

LIMIT_SECONDS = 1.0  # ten times what the slowest takes
LIMIT_BYTES = 64 << 20


@pytest.fixture
def frugal():
    """Fails the test if it took long or the process grew."""
    peak, begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    yield
    assert time.perf_counter() - begun < LIMIT_SECONDS
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak
    assert grown * 1024 < LIMIT_BYTES


@pytest.mark.parametrize(
    ("d", "k"),
    [(2**31 - 1, 1), (10**9, 1), (2**31 - 1, 2**31 - 1), (2**16, 2**16), (2**20, 1), (32768, 1), (0, 2**31 - 1)],
)
def test_linear(impl, frugal, d, k):
    with refused(ParameterError, "model") as caught:
        impl.Filter(impl.Linear(d, k), impl.Gaussian())
    assert "parameters" in caught.value.got


@pytest.mark.parametrize("p", [2**31 - 1, 10**9, 32769])
def test_external(impl, frugal, p):
    with refused(ParameterError, "model"):
        impl.Filter(impl.External(p, 1), impl.Gaussian())


@pytest.mark.parametrize("k", [2**31 - 1, 10**9, 10**6])
@pytest.mark.parametrize("variance", [1.0, None])
def test_more_outputs_than_a_matrix_of_them_can_hold(impl, frugal, k, variance):
    with refused(ParameterError, "model") as caught:
        impl.Filter(impl.External(1, k), impl.Gaussian(variance))
    assert "outputs" in caught.value.got


def test_from_rows(impl, frugal):
    with refused(ParameterError, "model"):
        impl.Filter.from_rows(np.ones((2, 3)), np.ones(2), impl.Linear(2**31 - 1), impl.Gaussian())


def test_rows_of_a_wrong_width_are_not_converted_first(impl, frugal):
    flt = make(impl, "gaussian")
    U = np.broadcast_to(np.float32(0), (2**40, 7))  # 28 terabytes if anybody copied it
    for call in (lambda: flt.update_many(U, np.zeros(3)), lambda: flt.predict(U)):
        with refused(ShapeError, "U", flt):
            call()


def test_rows_without_their_outcomes(impl, frugal):
    flt = make(impl, "gaussian")
    with refused(ShapeError, "Y", flt):
        flt.update_many(np.broadcast_to(0.0, (2**40, 3)), np.zeros(3))


def test_a_sample_that_no_memory_holds(impl, frugal):
    flt = make(impl, "gaussian")
    with refused(ParameterError, "size", flt):
        flt.sample(2**62, seed=0)


def test_the_largest_size_that_is_allowed_is_not_refused(impl, frugal):
    assert impl.Linear(32767) == impl.Linear(32767)
    assert impl.Filter(impl.Linear(63, 4), impl.Gaussian()).theta.shape == (256,)
