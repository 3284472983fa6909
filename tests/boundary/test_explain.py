"""explain() says what update would do and changes nothing; a gauge out of its band shows in repr and in `kfng inspect`."""

from __future__ import annotations

import json

import numpy as np
import pytest
from boundary.filters import bits, fed, make, refused

from kfng._health import band
from kfng.cli import main
from kfng.errors import NonFiniteError, ShapeError, UnsupportedError

U3 = [0.1, 0.2, 0.3]


def explained(flt, u, y, **row):
    before = bits(flt)
    found = flt.explain(u, y, **row)
    assert bits(flt) == before
    return found


def test_a_row_that_is_used(impl):
    flt = fed(impl, "gaussian")
    found = explained(flt, U3, 1.5)
    step = flt.copy().update(U3, 1.5)
    assert (found.fate, found.error, found.step.prediction) == ("used", None, step.prediction)
    assert found.distance == pytest.approx(abs(1.5 - step.prediction) / step.std, rel=1e-9)
    assert str(found) == f"used: y is {found.distance:.3g} standard deviations from its prediction"


@pytest.mark.parametrize(
    ("name", "fate"), [("imq", "downweighted"), ("student", "downweighted"), ("winsor", "winsorised")]
)
def test_a_row_that_is_far_off(impl, name, fate):
    flt = fed(impl, "gaussian", robust=name)
    found = explained(flt, U3, 500.0)
    assert found.fate == fate
    assert f"{found.step.robust_weight:.3g}" in found.reason
    assert found.step.robust_weight == flt.update(U3, 500.0).robust_weight < 0.1
    assert explained(flt, U3, flt.predict([U3])[0]).fate == "used"


def test_a_row_that_is_refused_or_teaches_nothing(impl):
    flt = fed(impl, "gaussian")
    for u, y, kind in (
        ([np.nan, 0.0, 0.0], 1.0, NonFiniteError),
        ([1.0], 1.0, ShapeError),
        (U3, 1e300, NonFiniteError),
    ):
        found = explained(flt, u, y)
        assert (found.fate, found.step) == ("refused", None)
        assert kind.__name__ in found.reason
        with refused(kind, found.error.argument, flt) as caught:
            flt.update(u, y)
        assert str(caught.value) == str(found.error)
    assert explained(flt, U3, np.nan).reason.startswith("y is missing")
    assert explained(flt, U3, 1.0, weight=0.0).reason.startswith("its weight is 0")
    with pytest.raises(UnsupportedError):
        impl.Filter(impl.External(2, 1), impl.Gaussian()).explain([1.0], 1.0)


def test_a_row_that_is_clipped(impl):
    flt = make(impl, "poisson", belief=impl.Full(100.0), theta=[0.0, 0.0, 0.0, -10.0])
    found = explained(flt, [1.0, 2.0, 3.0], 1e4)
    assert found.fate == "clipped"
    assert flt.update([1.0, 2.0, 3.0], 1e4).clipped


def test_a_row_whose_output_is_clamped(impl):
    flt = make(impl, "bernoulli", theta=[0.0, 0.0, 0.0, 50.0])
    found = explained(flt, U3, 1.0)
    assert found.reason.endswith("; 1 output would be beyond the clamp, and z_clamp was taken")
    assert flt.copy().health()["clamped"] == 0
    flt.update(U3, 1.0)
    assert flt.health()["clamped"] == 1
    assert ";" not in explained(fed(impl, "bernoulli"), U3, 1.0).reason


@pytest.mark.parametrize("y", [1.0, np.nan])
def test_a_row_at_which_the_wind_up_guard_acts(impl, y):
    flt = impl.Filter(impl.Linear(3, intercept=False), impl.Gaussian(1.0), rule=impl.Fading(0.2))
    acted = 0
    for _ in range(64):
        row = ([1.0, 0.0, 0.0], y)  # the other two are not excited
        found, before = explained(flt, *row), flt.health()["windup"]
        flt.update(*row)
        pulled = flt.health()["windup"] - before
        shown = f"; the wind-up guard took back {pulled} variance{'s' if pulled > 1 else ''} before it"
        assert found.reason.endswith(shown) is (pulled > 0)
        acted += pulled
    assert acted >= 2


def test_a_row_of_a_key(impl):
    bank = impl.Bank(impl.Linear(3), impl.Gaussian(None), robust="student")
    bank.update(["a"] * 40, np.random.default_rng(0).normal(size=(40, 3)), np.linspace(-1, 1, 40))
    before = bits(bank["a"])
    found = bank["a"].explain(U3, 500.0)
    assert (found.fate, bits(bank["a"]) == before) == ("downweighted", True)
    (robust,) = bank.update(["a"], [U3], [500.0]).robust_weight
    assert found.step.robust_weight == robust


def wrong(impl, variance, n=200):
    """A filter that believes in another noise than the stream's."""
    rng = np.random.default_rng(0)
    flt = impl.Filter(impl.Linear(2), impl.Gaussian(variance))
    U = rng.normal(size=(n, 2))
    flt.update_many(U, U @ [1.0, -1.0] + rng.normal(size=n))
    return flt


def test_a_gauge_out_of_its_band_shows(impl, tmp_path, capsys):
    for variance, shown in ((1.0, False), (0.04, True), (25.0, True)):
        flt = wrong(impl, variance)
        health = flt.health()
        assert (health["mean_nis_low"] <= health["mean_nis"] <= health["mean_nis_high"]) is not shown
        assert ("⚠ mean_nis" in repr(flt)) is shown
        assert eval(repr(flt), vars(impl) | {"Filter": impl.Filter}).spec() == flt.spec()  # it can still be pasted
        flt.save(tmp_path / "a.kfng")
        assert main(["inspect", str(tmp_path / "a.kfng"), "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert {line.split()[0] for line in told["warnings"]} == ({"mean_nis", "coverage"} if shown else set())
        assert "mean_nis_high" in told["health"]


def test_shares_show(impl):
    flt = wrong(impl, 1.0)
    assert "⚠" not in repr(flt)
    flt.update_many(np.full((20, 2), np.nan), np.zeros(20), on_bad_row="skip")
    assert "⚠ skipped 20 of 220 rows" in repr(flt)
    rng = np.random.default_rng(1)
    robust = impl.Filter(impl.Linear(2), impl.Gaussian(), robust="winsor")
    y = rng.normal(size=100)
    y[::5] += 50.0
    robust.update_many(rng.normal(size=(100, 2)), y)
    assert "⚠ winsorised" in repr(robust)


@pytest.mark.parametrize("n", [5, 30, 1000])
def test_the_band_is_that_of_chi_squared(impl, n):
    """Of 4000 draws of a mean of n squares of normals 95 % lie in it."""
    means = np.mean(np.random.default_rng(n).normal(size=(4000, n)) ** 2, axis=1)
    limits = band(impl.Filter(impl.Linear(1), impl.Gaussian()).settings, n)
    inside = np.mean((limits["mean_nis_low"] <= means) & (means <= limits["mean_nis_high"]))
    assert inside == pytest.approx(0.95, abs=0.012)
    other = band(impl.Filter(impl.Linear(1), impl.Poisson()).settings, n)
    assert np.isnan(list(other.values())).all()
