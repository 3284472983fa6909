"""Settings of the components out of range: a typed error that names the argument, at construction."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from boundary.filters import refused

from kfng.errors import (
    DtypeError,
    NonFiniteError,
    NotPositiveDefiniteError,
    ParameterError,
    ShapeError,
    UnknownNameError,
)

NAN, INF = float("nan"), float("inf")
INTEGERS = [-1, True, False, np.True_, 2.5, 3.0, "3", None, [3], np.float64(3), 2**31, 10**30]
NUMBERS = [0, -1, -1e-300, NAN, INF, -INF, True, 1j, [1.0, 2.0], np.array([1.0]), ..., 10**400]


@pytest.mark.parametrize("value", INTEGERS, ids=repr)
@pytest.mark.parametrize("argument", ["n_features", "n_outputs"])
def test_linear_sizes(impl, argument, value):
    with refused(ParameterError, argument):
        impl.Linear(**({"n_features": 3} | {argument: value}))


@pytest.mark.parametrize("value", INTEGERS, ids=repr)
@pytest.mark.parametrize("argument", ["n_params", "n_outputs"])
def test_external_sizes(impl, argument, value):
    with refused(ParameterError, argument):
        impl.External(**({"n_params": 3, "n_outputs": 1} | {argument: value}))


def test_sizes_at_their_ends(impl):
    assert impl.Linear(np.int64(3)) == impl.Linear(3)
    assert impl.Linear(0).n_features == 0  # the intercept alone
    for kind, argument in [
        (lambda: impl.Linear(0, intercept=False), "n_features"),
        (lambda: impl.Linear(1, 0), "n_outputs"),
    ]:
        with refused(ParameterError, argument):
            kind()
    for argument in ("n_params", "n_outputs"):
        with refused(ParameterError, argument):
            impl.External(**({"n_params": 1, "n_outputs": 1} | {argument: 0}))


@pytest.mark.parametrize("value", [1, 0, None, "yes", [True]], ids=repr)
def test_intercept_is_a_flag(impl, value):
    with refused(ParameterError, "intercept"):
        impl.Linear(3, intercept=value)


@pytest.mark.parametrize("value", NUMBERS, ids=repr)
def test_variance(impl, value):
    with refused(ParameterError, "variance"):
        impl.Gaussian(value)


@pytest.mark.parametrize("value", ["large", "1.0", b"each"], ids=repr)
def test_variance_by_an_unknown_name(impl, value):
    with refused(UnknownNameError if isinstance(value, str) else ParameterError, "variance"):
        impl.Gaussian(value)


@pytest.mark.parametrize(
    ("R", "kind"),
    [
        ([[1.0, 2.0], [2.0, 1.0]], NotPositiveDefiniteError),  # eigenvalues 3 and -1
        ([[1.0, 1.0], [1.0, 1.0]], NotPositiveDefiniteError),  # singular
        ([[1.0, 0.5], [0.4, 1.0]], NotPositiveDefiniteError),  # asymmetric
        ([[-1.0]], NotPositiveDefiniteError),
        ([[0.0]], NotPositiveDefiniteError),
        ([[1.0, 0.0]], ShapeError),
        ([1.0, 2.0], ShapeError),
        (np.zeros((0, 0)), ShapeError),
        (np.eye(2)[None], ShapeError),
        ([[1.0], [1.0, 2.0]], ShapeError),
        ([[1.0, NAN], [NAN, 1.0]], NonFiniteError),
        ([[INF, 0.0], [0.0, 1.0]], NonFiniteError),
        ([["1", "0"], ["0", "1"]], DtypeError),
        (np.eye(2, dtype=complex), DtypeError),
        (np.eye(2, dtype=object), DtypeError),
    ],
    ids=repr,
)
def test_covariance(impl, R, kind):
    with refused(kind, "covariance"):
        impl.Gaussian(covariance=R)


def test_variance_and_covariance_exclude_each_other(impl):
    for variance in (2.0, None):
        with refused(ParameterError, "covariance"):
            impl.Gaussian(variance, covariance=np.eye(2))


@pytest.mark.parametrize("value", [2, 2.0, 1, 0, -1, NAN, INF, True, "3", None, 1j], ids=repr)
def test_prior_dof_above_2(impl, value):
    with refused(ParameterError, "prior_dof"):
        impl.Gaussian(None, prior_dof=value)


@pytest.mark.parametrize("value", [*NUMBERS, "1", None], ids=repr)
def test_prior_scale(impl, value):
    with refused(ParameterError, "prior_scale"):
        impl.Gaussian(None, prior_scale=value)


@pytest.mark.parametrize(
    ("variance", "value", "kind"),
    [
        ("each", [1.0, 0.0], ParameterError),
        ("each", [1.0, NAN], NonFiniteError),
        ("each", [], ShapeError),
        ("each", [[1.0, 2.0]], ShapeError),
        (None, [1.0, 2.0], ParameterError),
        (1.0, [1.0, 2.0], ParameterError),
    ],
)
def test_a_prior_scale_of_each_output(impl, variance, value, kind):
    with refused(kind, "prior_scale"):
        impl.Gaussian(variance, prior_scale=value)


def test_a_prior_scale_of_each_output_fits_the_model(impl, tmp_path):
    family = impl.Gaussian("each", prior_dof=5, prior_scale=[1.0, 3.0])
    with refused(ShapeError, "family"):
        impl.Filter(impl.Linear(1, 3), family)
    flt = impl.Filter(impl.Linear(1, 2), family)
    np.testing.assert_allclose(flt.noise_variance[0], 5 / 3 * np.array([1.0, 9.0]), rtol=1e-15)
    flt.update([1.0], [0.5, np.nan])
    flt.save(tmp_path / "each.kfng")
    again = impl.load(tmp_path / "each.kfng")
    assert again.settings.family == family
    np.testing.assert_array_equal(again.noise_variance[0], flt.noise_variance[0])


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (0, ParameterError),
        (-1.0, ParameterError),
        ([1.0, 0.0], ParameterError),
        ([[1.0, 0.0], [0.0, -1.0]], ParameterError),
        (NAN, NonFiniteError),
        ([1.0, INF], NonFiniteError),
        (np.ones((2, 3)), ShapeError),
        (np.ones((2, 2, 2)), ShapeError),
        ([[1.0], [1.0, 2.0]], ShapeError),
        ([[1.0, 0.5], [0.4, 1.0]], NotPositiveDefiniteError),
        ("1", DtypeError),
        (None, DtypeError),
        (1j, DtypeError),
        (np.datetime64("2020-01-01"), DtypeError),
    ],
    ids=repr,
)
def test_prior_variance(impl, value, kind):
    with refused(kind, "prior_variance"):
        impl.Full(value)


@pytest.mark.parametrize("value", [1, 1.0, 1.5, -0.1, -1e-300, NAN, INF, -INF, True, False, "0.1", 1j, [0.1]], ids=repr)
def test_forgetting(impl, value):
    with refused(ParameterError, "forgetting"):
        impl.Fading(value)


@pytest.mark.parametrize("value", [*NUMBERS, "7"], ids=repr)
def test_half_life(impl, value):
    with refused(ParameterError, "half_life"):
        impl.Fading(half_life=value)


def test_forgetting_and_half_life_exclude_each_other(impl):
    for settings in ({}, {"forgetting": 0.1, "half_life": 7}):
        with refused(ParameterError, "forgetting"):
            impl.Fading(**settings)
    assert impl.Fading(0).forgetting == 0.0


@pytest.mark.parametrize("value", ["mars", "Prior", "", 1, ["prior"]], ids=repr)
def test_towards(impl, value):
    with refused(UnknownNameError, "towards"):
        impl.Fading(0.1, towards=value)


@pytest.mark.parametrize("value", [*NUMBERS], ids=repr)
@pytest.mark.parametrize("argument", ["step_clip", "z_clamp"])
def test_clip_and_clamp(impl, argument, value):
    with refused(ParameterError, argument):
        impl.Guards(**{argument: value})
    with refused(UnknownNameError, argument):
        impl.Guards(**{argument: "on"})


@pytest.mark.parametrize(
    ("argument", "values"),
    [("windup", [2, 1.0, 0, -4, NAN, INF, True, "4"]), ("r_floor", [1, 2.0, -1e-9, NAN, INF, True, "0"])],
    ids=["windup", "r_floor"],
)
def test_windup_and_r_floor(impl, argument, values):
    for value in values:
        with refused(ParameterError, argument):
            impl.Guards(**{argument: value})


def test_components_are_frozen_and_own_their_arrays(impl):
    with pytest.raises(dataclasses.FrozenInstanceError):
        impl.Linear(3).n_features = 4
    R, prior = np.eye(2), np.ones(3)
    family, belief = impl.Gaussian(covariance=R), impl.Full(prior)
    R[0, 0], prior[0] = 7.0, 7.0
    assert family == impl.Gaussian(covariance=np.eye(2))
    assert belief == impl.Full(np.ones(3))
    for array in (family.covariance, belief.prior_variance):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1.0


@pytest.mark.parametrize("size", [1e-300, 1e-320])
def test_a_correlation_beyond_every_number_is_no_covariance(impl, size):
    Q = [[size, 1e300], [1e300, size]]
    with refused(NotPositiveDefiniteError, "Q"):
        impl.ProcessNoise(Q)
    with refused(NotPositiveDefiniteError, "state_prior"):
        impl.StateFilter(
            2,
            1,
            impl.Gaussian(1.0),
            state_prior=Q,
            transition=np.eye(2),
            jacobian=np.ones((1, 2)),
            rule=impl.ProcessNoise(np.eye(2)),
        )


def test_a_variance_near_the_largest_number(impl):
    Q = [[1.7e308, 1e308], [1e308, 1.7e308]]
    flt = impl.StateFilter(
        2,
        1,
        impl.Gaussian(1.0),
        state_prior=Q,
        transition=np.eye(2),
        jacobian=np.ones((1, 2)),
        rule=impl.ProcessNoise(np.eye(2)),
    )
    assert np.isfinite(flt.cov()).all()
