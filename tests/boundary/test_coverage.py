"""health() says how often y was inside the 90 % interval that `Trace.quantiles` gave before the row was used."""

from __future__ import annotations

import numpy as np
import pytest
from boundary.filters import bits, fed, make, refused, stream

import kfng
from kfng._health import coverage
from kfng.reference.family.gaussian import student_95

N, RATE = 400, 1e-3


def rows(k, d, seed=0):
    rng = np.random.default_rng(seed)
    U = rng.normal(size=(N, d))
    Y = U @ rng.normal(size=(d, k)) + 1.3 * rng.normal(size=(N, k))
    Y[rng.random((N, k)) < 0.1] = np.nan
    return U, Y[:, 0] if k == 1 else Y


def share(trace, Y):
    """The weighted share, newest rows first, of outputs that were inside."""
    low, high = np.moveaxis(trace.quantiles([0.05, 0.95]), -1, 0)
    Y, low, high = (part.reshape(N, -1) for part in (Y, low, high))
    seen = ~np.isnan(Y)
    learned = seen.any(axis=1)
    inside = (((low <= Y) & (high >= Y) & seen).sum(axis=1) / np.maximum(seen.sum(axis=1), 1))[learned]
    w = (1 - RATE) ** np.arange(len(inside))[::-1]
    return float(w @ inside / w.sum())


@pytest.mark.parametrize("d", [3, 20])
@pytest.mark.parametrize(("variance", "k"), [(1.0, 1), (None, 1), ("each", 1), (1.0, 2), (None, 2), ("each", 2)])
def test_it_is_the_share_inside_the_interval(impl, variance, k, d):
    U, Y = rows(k, d)
    flt = impl.Filter(impl.Linear(d, k), impl.Gaussian(variance), rule=impl.Fading(0.01))
    found = share(flt.update_many(U, Y), Y)
    assert flt.health()["coverage"] == pytest.approx(found, abs=1e-10)  # n + s rounds s to 2^-38 at worst
    # the control: another row inside or outside would be seen
    assert abs(found - share(flt.update_many(U, Y), Y)) > 1e-4


@pytest.mark.parametrize("belief", ["Full", "Diagonal"])
@pytest.mark.parametrize("d", [3, 20])
def test_every_way_of_a_row_counts_it_alike(impl, belief, d):
    U, y = rows(1, d)
    bank = impl.Bank(impl.Linear(d), impl.Gaussian(None), belief=getattr(impl, belief)(1.0))
    flt = impl.Filter(impl.Linear(d), impl.Gaussian(None), belief=getattr(impl, belief)(1.0))
    bank.update(np.tile(np.arange(20), N // 20), np.repeat(U[::20], 20, axis=0), np.repeat(y[::20], 20))
    flt.update_many(U[::20], y[::20])
    twin = impl.Filter(impl.Linear(d), impl.Gaussian(None), belief=getattr(impl, belief)(1.0))
    for u, x in zip(U[::20], y[::20], strict=True):
        twin.update(u, x)
    assert bits(flt)["coverage"] == bits(twin)["coverage"] == bits(bank[7])["coverage"]
    assert flt._state()["coverage"][0] != 0.0


def test_a_bank_weighs_its_keys(impl):
    rng = np.random.default_rng(0)
    bank = impl.Bank(impl.Linear(2), impl.Gaussian(1.0))
    keys, U = rng.integers(0, 5, N), rng.normal(size=(N, 2))
    bank.update(keys, U, rng.normal(size=N))
    health, each = bank.health(), [bank[key].health() for key in bank]
    weights = [1 - (1 - RATE) ** part["n_updates"] for part in each]
    assert health["coverage"] == pytest.approx(
        np.average([part["coverage"] for part in each], weights=weights), rel=1e-12
    )
    assert health["coverage_low"] < 0.9 < health["coverage_high"]


@pytest.mark.parametrize("n", [300, 3000])
def test_the_band_holds_95_of_100(impl, n):
    """Of 2000 streams of rows that are inside 9 times of 10."""
    settings = make(impl, "gaussian").settings
    inside = np.random.default_rng(n).random((2000, n)) < 0.9
    s = inside @ (RATE * (1 - RATE) ** np.arange(n)[::-1])
    found = [coverage(settings, {"coverage": np.array([n + x])}) for x in s]
    hits = sum(each["coverage_low"] <= each["coverage"] <= each["coverage_high"] for each in found)
    assert hits / len(s) == pytest.approx(0.95, abs=0.02)


def test_it_shows_where_it_is_out_of_its_band(impl):
    rng = np.random.default_rng(0)
    U = rng.normal(size=(300, 2))
    for sd, shown in ((1.0, False), (1.6, True), (0.3, True)):
        flt = impl.Filter(impl.Linear(2), impl.Gaussian(1.0))
        flt.update_many(U, sd * rng.normal(size=300))
        assert ("⚠ coverage" in repr(flt)) is shown


def test_it_says_nothing_of_few_rows_and_other_families(impl):
    flt = make(impl, "gaussian")
    U, y = stream("gaussian", 30)
    flt.update_many(U[:29], y[:29])
    assert np.isnan(flt.health()["coverage"])
    flt.update(U[29], y[29])
    assert 0.5 < flt.health()["coverage"] <= 1.0
    other = fed(impl, "poisson").health()
    assert np.isnan([other[name] for name in ("coverage", "coverage_low", "coverage_high")]).all()


@pytest.mark.parametrize("kind", ["gaussian", "two_outputs", "learned"])
def test_a_file_of_before_it_was_kept_starts_it(impl, kind):
    flt = fed(impl, kind)
    state = flt._state()
    whole, old = make(impl, kind), make(impl, kind)
    whole._set_state(state)
    assert bits(whole) == bits(flt)
    old._set_state({name: part for name, part in state.items() if name != "coverage"})
    assert old._state()["coverage"].tolist() == [0.0]
    assert np.isnan(old.health()["coverage"])
    U, Y = stream(kind, 50, seed=2)
    old.update_many(U, Y)
    assert 0.5 < old.health()["coverage"] <= 1.0
    for wrong in (-0.1, 41.0, 1e9):  # of 40 rows
        with refused(kfng.errors.BadValueError, "coverage", flt):
            flt._set_state(state | {"coverage": np.array([wrong])})


def test_merged_filters_start_it(impl):
    start = make(impl, "gaussian")
    parts = []
    for seed in (1, 2):
        U, y = stream("gaussian", seed=seed)
        parts.append(start.copy())
        parts[-1].update_many(U, y)
    merged = kfng.merge(parts) if impl is kfng else impl.merge(parts)
    assert merged._state()["coverage"].tolist() == [0.0]


@pytest.mark.parametrize(("dof", "tolerance"), [(2.0, 3e-3), (3.0, 5e-4), (5.0, 4e-5), (20.0, 1e-7), (1000.0, 1e-13)])
def test_the_quantile_of_student(dof, tolerance):
    from kfng._special import student_t_ppf

    assert student_95(dof) == pytest.approx(float(student_t_ppf(np.array(0.95), np.array(dof))), rel=tolerance)
