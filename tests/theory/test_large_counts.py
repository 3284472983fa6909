"""Densities of large counts against mpmath: the forms that are plain for small counts lose 2^-53 y log y, all of it from 1e16 on."""

from functools import cache

import numpy as np
import pytest
from mpmath import mp, mpf
from tolerances import CONTROL

import kfng
import kfng.reference
from kfng._trace import Seen
from kfng.reference.family import Binomial, NegativeBinomial, Poisson
from kfng.reference.family.large_counts import LARGE_COUNT
from kfng.reference.family.one_output import OneOutput

NONE = np.zeros((1, 0))
DISPERSIONS = (None, 1e-300, 1e-14, 1e-6, 0.3, 40.0, 1e200)
COUNTS = (1e5, 123456.5, 1e7, 1e12, 9e15, 1e16, 1e20, 1e40, 1e130)
DIGITS = 380
PRECISE = {1e-9: 1e-9, 0.1: 1e-9, 1.0: 1e-9, 3.0: 1e-7}


def law(dispersion):
    return Poisson() if dispersion is None else NegativeBinomial(dispersion)


def exact_nll(dispersion, z, y):
    """From the definition, in DIGITS digits: nothing that float64 holds cancels in them."""
    m = mp.exp(z)
    if dispersion is None:
        return m - y * z + normaliser(None, y)
    r = 1 / mpf(dispersion)
    return r * mp.log1p(m / r) + y * mp.log1p(r / m) + normaliser(dispersion, y)


@cache
def normaliser(dispersion, y):
    if dispersion is None:
        return mp.loggamma(y + 1)
    r = 1 / mpf(dispersion)
    return log_gamma(r) + mp.loggamma(y + 1) - log_gamma(y + r)


@cache
def log_gamma(x):
    """Of a small one by the recurrence."""
    return mp.loggamma(x + 1) - mp.log(x)


def departures(dispersion, y):
    """z - log y: some of the law's own deviations to each side, and far ones."""
    own = np.sqrt(1 / y + (dispersion or 0.0))
    return [s for s in (0.0, own, -3 * own, 30 * own, -0.4, 1.7, -60.0, 90.0) if abs(s) < 300]


def cases(dispersion):
    return [(float(np.clip(np.log(y) + s, -300, 300)), y) for y in COUNTS for s in departures(dispersion, y)]


def lost(dispersion, z, y, got):
    """Its error over what one rounding of z or of log y makes of the exact value, plus 2^-40 of that value."""
    with mp.workdps(DIGITS):
        exact = exact_nll(dispersion, mpf(z), mpf(y))
        step = mpf(2) ** -52 * (abs(z) + 1 + float(np.log(y)))
        nearby = [exact_nll(dispersion, mpf(z) + side * step, mpf(y)) for side in (-1, 1)]
        room = max(abs(x - exact) for x in nearby) + mpf(2) ** -40 * max(1, abs(exact))
        return float(abs(mpf(float(got)) - exact) / room)


# bites for every dispersion: the plain form
@pytest.mark.parametrize("control", [False, True])
@pytest.mark.parametrize("dispersion", DISPERSIONS)
def test_plugin_nll(dispersion, control):
    family, worst = law(dispersion), 0.0
    for z, y in cases(dispersion):
        Z, Y = np.array([[z]]), np.array([[y]])
        with np.errstate(all="ignore"):
            got = family.nll_at(Z, Y)[:, 0] if control else family.plugin_nll(Z, Y, NONE, NONE)
        error = lost(dispersion, z, y, got[0]) if np.isfinite(got[0]) else np.inf
        assert control or error <= 1, (z, y, got, error)
        worst = max(worst, error)
    assert not control or worst > CONTROL


@cache
def exact_predictive(dispersion, z, q, y):
    """-log ∫ N(t; z, q) p(y|t) dt by quadrature between borders about the mode of the integrand."""
    z, q, y = mpf(z), mpf(q), mpf(y)
    r = mp.inf if dispersion is None else 1 / mpf(dispersion)

    def height(t):
        return -((t - z) ** 2) / (2 * q) - exact_nll(dispersion, t, y)

    def slope(t):
        m = mp.exp(t)
        return (z - t) / q + (y - m) / (1 + m / r)

    low, high = sorted((z, mp.log(y)))
    for _ in range(1300):  # the slope falls
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) > 0 else (low, middle)
    m, top = mp.exp(low), height(low)
    share = m / (m + r) if dispersion is not None else mpf(0)
    curvature = (y + r) * share * (1 - share) if dispersion is not None else m
    width = 1 / mp.sqrt(1 / q + curvature)
    heights = [
        height(low + width * k / 4) - top for k in range(-64, 65)
    ]  # the trapezoidal rule converges geometrically
    return -(top + mp.log(sum(mp.exp(h) for h in heights) * width / 4) - mp.log(2 * mp.pi * q) / 2)


@pytest.mark.parametrize("control", [False, True])
@pytest.mark.parametrize("dispersion", [None, 1e-6, 0.3, 1e200])
def test_predictive_nll(dispersion, control):
    family, worst = law(dispersion), 0.0
    for y in (1e5, 1e20, 1e300):
        for s, sd in ((0.3, 0.1), (-2.0, 1.0), (0.0, 1e-9), (40.0, 3.0)):
            z = float(np.clip(np.log(y) + s, -300, 300))
            arguments = np.array([[z]]), np.full((1, 1, 1), sd**2), np.array([[y]]), NONE, NONE
            with np.errstate(all="ignore"):
                got = (OneOutput if control else type(family)).predictive_nll(family, *arguments)[0]
            with mp.workdps(DIGITS):
                exact = exact_predictive(dispersion, z, sd**2, y)
                error = abs(got - float(exact)) / max(1.0, abs(float(exact)))
            assert control or error <= PRECISE[sd], (y, s, sd, got, float(exact))
            worst = max(worst, error if np.isfinite(error) else np.inf)
    assert not control or worst > CONTROL * PRECISE[3.0]


@pytest.mark.parametrize("dispersion", DISPERSIONS)
def test_no_step_where_the_forms_meet(dispersion):
    """At LARGE_COUNT both are right to about 1e-9, so that it does not show where one ends."""
    family = law(dispersion)
    for s in (0.0, 0.01, -0.3, 2.0):
        Y = np.array([[np.nextafter(LARGE_COUNT, 0.0)], [LARGE_COUNT]])
        Z = np.log(Y) + s
        a, b = family.plugin_nll(Z, Y, NONE, NONE)
        assert abs(a - b) <= 2e-9 * max(1.0, abs(a))
        a, b = family.predictive_nll(Z, np.full((2, 1, 1), 0.04), Y, NONE, NONE)
        assert abs(a - b) <= 2e-9 * max(1.0, abs(a))


LARGEST = (0.0, 1.0, 99999.0, 1e16, 1e100, 1e300, 1e308, 1.7976931348623157e308)
EXTREME = (*DISPERSIONS, 5e-324, 1e-310, 1.7e308)


def densities(module, dispersion, z, q, y):
    """nll and plug-in nll (n,) of rows z, q, y (n,), as a filter reports them."""
    law = module.Poisson() if dispersion is None else module.NegativeBinomial(dispersion)
    seen = Seen(z[:, None], q[:, None, None], y[:, None], np.zeros((len(z), 0)), np.zeros((len(z), 0)))
    likelihood = module.Filter(module.Linear(0), law)._likelihood
    return likelihood.nll(seen), likelihood.plugin_nll(seen)


@pytest.mark.parametrize("dispersion", EXTREME)
def test_the_largest_counts(impl, dispersion):
    """No density is NaN, from theta and doubt however far off, and beyond float64 are only those of what theta rules out."""
    y, z, q = (x.ravel() for x in np.meshgrid(LARGEST, (-300.0, 0.0, 300.0), (0.0, 1e-300, 1e-8, 1.0, 1e4)))
    nll, plugin = densities(impl, dispersion, z, q, y)
    assert not np.isnan(plugin).any()
    assert np.all(plugin >= 0)
    assert not np.isnan(nll).any()
    assert np.all(nll > -1e-9)
    assert np.isfinite(nll[q >= 1e-8]).all()


@pytest.mark.parametrize("dispersion", EXTREME)
def test_parity(dispersion):
    rng, n = np.random.default_rng(9), 400
    y = 10.0 ** rng.uniform(4.5, 308.0, n)
    near, q = np.log(y) + rng.normal(size=n), 10.0 ** rng.uniform(-4, 1, n)
    z = np.clip(np.where(np.arange(n) % 2, rng.uniform(-300, 300, n), near), -300, 300)
    q = np.where(np.arange(n) % 3, q, 10.0 ** rng.uniform(-200, 4, n))
    for got, exact in zip(*(densities(module, dispersion, z, q, y) for module in (kfng, kfng.reference)), strict=True):
        np.testing.assert_allclose(got, exact, rtol=1e-9, atol=1e-9)


TRIALS = ((3.0, 1e6), (2e5, 1e6), (5e8, 1e9), (3.0, 1e15), (4e14, 1e15), (1e15 - 3, 1e15), (2e40, 1e41), (1e5, 1e60))


# bites: the plain form
@pytest.mark.parametrize("control", [False, True])
def test_many_trials(control):
    worst = 0.0
    for y, n in TRIALS:
        with mp.workdps(120):
            ways = mp.loggamma(mpf(n) + 1) - mp.loggamma(mpf(y) + 1) - mp.loggamma(mpf(n) - mpf(y) + 1)
        for z in (float(np.clip(np.log(y) - np.log(n - y) + s, -30, 30)) for s in (0.0, 0.3, -7.0)):
            Z, Y = np.array([[z]]), np.array([[y, n]])
            got = (Binomial().nll_at(Z, Y)[:, 0] if control else Binomial().plugin_nll(Z, Y, NONE, NONE))[0]
            with mp.workdps(120):
                exact, nearby = (
                    mpf(n) * mp.log1p(mp.exp(t)) - mpf(y) * t - ways
                    for t in (mpf(z), mpf(z) + (abs(z) + 1) * mpf(2) ** -51)
                )
                error = float(abs(got - exact) / (abs(nearby - exact) + mpf(2) ** -40 * max(1, abs(exact))))
            assert control or error <= 1, (y, n, z, got, error)
            worst = max(worst, error)
    assert not control or worst > CONTROL


def test_parity_of_many_trials():
    y, n = np.array([*TRIALS, (1e308, 1e308), (0.0, 1e308), (5e307, 1e308), (99999.0, 1e5), (7.0, 99999.0)]).T
    z = np.linspace(-30, 30, len(y))
    found = []
    for module in (kfng, kfng.reference):
        for q in (0.0, 1e-20, 0.04, 9.0):
            none = np.zeros((len(y), 0))
            seen = Seen(z[:, None], np.full((len(y), 1, 1), q), np.stack([y, n], axis=1), none, none)
            likelihood = module.Filter(module.Linear(0), module.Binomial())._likelihood
            found.append([likelihood.nll(seen), likelihood.plugin_nll(seen)])
    assert not np.isnan(found).any()
    np.testing.assert_allclose(found[:4], found[4:], rtol=1e-9, atol=1e-9)
