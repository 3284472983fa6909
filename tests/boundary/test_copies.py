"""Copies of every kind are bit-identical, independent, and go on exactly as the original would have."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from boundary.filters import KINDS, bits, fed, stream

from kfng import reference

WAYS = {
    "copy()": lambda flt, impl, folder: flt.copy(),
    "copy.copy": lambda flt, impl, folder: copy.copy(flt),
    "copy.deepcopy": lambda flt, impl, folder: copy.deepcopy({"a": [flt]})["a"][0],
    **{
        f"pickle{protocol}": lambda flt, impl, folder, n=protocol: pickle.loads(pickle.dumps(flt, n))
        for protocol in (2, 5)
    },
    "file": lambda flt, impl, folder: through_a_file(flt, impl, folder),
}


def through_a_file(flt, impl, folder):
    path = folder / "filter.kfng"
    assert flt.save(path) is None
    return impl.load(path)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", KINDS)
def test_same_bits_now_and_later(impl, kind, way, tmp_path):
    options = {
        "evidence": True,
        "feature_names": ["a", "b", "c"],
        "seed": 7,
        "num_threads": 2,
    }
    flt = fed(impl, kind, n=27, **options)  # in the middle of a group of rows that share a pass
    twin = WAYS[way](flt, impl, tmp_path)
    assert type(twin) is type(flt)
    assert bits(twin) == bits(flt)
    assert (repr(twin), twin.spec(), twin.health()) == (repr(flt), flt.spec(), flt.health())
    U, Y = stream(kind, n=60, seed=5)
    first, second = flt.update_many(U, Y), twin.update_many(U, Y)
    assert bits(twin) == bits(flt)
    for name in ("prediction", "std", "nll_plugin", "skipped", "clipped"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_resume_anywhere(impl, kind, dtype):
    """Cut and pickled at each of the first rows, the stream ends in the same bits."""
    U, Y = stream(kind, n=40)
    whole = fed(impl, kind, dtype=dtype)
    for cut in (0, 1, 2, 7, 15, 16, 17, 31, 33):
        flt = fed(impl, kind, n=0, dtype=dtype)
        flt.update_many(U[:cut], Y[:cut])
        flt = pickle.loads(pickle.dumps(flt))
        flt.update_many(U[cut:], Y[cut:])
        assert bits(flt) == bits(whole)


@pytest.mark.parametrize("way", WAYS)
def test_independent(impl, way, tmp_path):
    flt = fed(impl, "learned")
    twin, before = WAYS[way](flt, impl, tmp_path), bits(flt)
    twin.update([1.0, 2.0, 3.0], 4.0)
    assert bits(flt) == before
    after = bits(twin)
    flt.update([3.0, 2.0, 1.0], -4.0)
    assert bits(twin) == after


def test_from_rows_and_external_filters(impl, tmp_path):
    U, Y = stream("learned")
    made = [
        impl.Filter.from_rows(U, Y, impl.Linear(3), impl.Gaussian(None), rule=impl.Fading(half_life=20)),
        impl.Filter(
            impl.External(3, 2),
            impl.Gaussian(covariance=[[1.0, 0.2], [0.2, 1.0]]),
            belief=impl.Full(np.diag([1.0, 2, 3])),
        ),
        impl.Filter(impl.Linear(3), impl.Poisson(), theta=[0.1, 1 / 3, -2e-300, 0], guards=impl.Guards.none()),
        impl.Filter(impl.Linear(3), impl.Bernoulli(), guards=impl.Guards(step_clip=1 / 3, z_clamp=None, windup=None)),
    ]
    made[1].condition([1.0, 2.0], [0.0, 0.0], np.ones((2, 3)))
    for flt in made:
        for way in WAYS.values():
            twin = way(flt, impl, tmp_path)
            assert (bits(twin), repr(twin), twin.spec()) == (bits(flt), repr(flt), flt.spec())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_files_cross_between_implementations(impl, kind, dtype, tmp_path):
    import kfng

    other = reference if impl is kfng else kfng
    tolerance = 1e-12 if dtype == "float64" else 1e-6  # float32: the factors are rounded to 2^-24 once
    flt = fed(impl, kind, dtype=dtype)
    flt.save(tmp_path / "filter.kfng")
    twin = other.load(tmp_path / "filter.kfng")
    assert isinstance(twin, other.Filter)
    assert repr(twin) == repr(flt)
    assert twin.health().keys() == flt.health().keys()
    np.testing.assert_array_equal(twin.theta, flt.theta)
    scale = np.sqrt(np.outer(np.diagonal(flt.cov()), np.diagonal(flt.cov())))
    np.testing.assert_allclose(twin.cov() / scale, flt.cov() / scale, rtol=0, atol=tolerance)
    for name in {"counters", "clock", "evidence", "gauges", "coverage", "noise", "y_stats"} & set(flt._state()):
        np.testing.assert_array_equal(twin._state()[name], flt._state()[name])
    U, Y = stream(kind, seed=3)
    flt.update_many(U, Y), twin.update_many(U, Y)
    np.testing.assert_allclose(twin.theta, flt.theta, rtol=100 * tolerance, atol=100 * tolerance)


def test_a_spec_and_a_state_are_plain(impl):
    import json

    flt = fed(impl, "two_outputs")
    assert json.loads(json.dumps(flt.spec())) == flt.spec()
    assert all(isinstance(array, np.ndarray) and array.flags.c_contiguous for array in flt._state().values())


@pytest.mark.parametrize("variance", [None, "each"])
@pytest.mark.parametrize("d", [1, 20])
def test_after_long_silences(impl, d, variance):
    """A row that has all the weight leaves a sum of squares of 0, on either side of which rounding may put it."""
    y, U = np.random.default_rng(0).normal(size=(40, 2)), np.ones((3, d))
    setting = impl.Linear(d), impl.Gaussian(variance)
    bank = impl.Bank(*setting, rule=impl.Fading(half_life=1.0))
    for one, two in y.tolist():
        flt = impl.Filter(*setting, rule=impl.Fading(half_life=1.0))
        flt.update_many(U, [one, np.nan, two], dt=200.0)
        assert bits(flt.copy()) == bits(flt)
        bank.update(["a", "b", "a"], U, [one, two, np.nan], dt=200.0)
        assert (bank["a"]._state()["y_stats"][2] >= 0).all()
