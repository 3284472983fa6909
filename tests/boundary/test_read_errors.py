"""Questions a filter cannot answer: predict, quantiles, sample, evidence, from_rows refuse by name and change nothing."""

from __future__ import annotations

import numpy as np
import pytest
from boundary.filters import KINDS, fed, refused, stream

from kfng.errors import DtypeError, NonFiniteError, ParameterError, ShapeError, UnsupportedError

NAN, INF = float("nan"), float("inf")
GAUSSIAN = ("gaussian", "two_outputs", "learned", "fading")
BAD_U = [
    (np.zeros((5, 2)), ShapeError),
    (np.zeros(3), ShapeError),
    (0.0, ShapeError),
    ([[1.0, 2.0, 3.0], [1.0]], ShapeError),
    (np.zeros((5, 3), dtype=object), DtypeError),
    (np.zeros((5, 3), dtype=complex), DtypeError),
    ([["a", "b", "c"]], DtypeError),
    (None, DtypeError),
    ([[0.0, 0.0, 0.0], [0.0, NAN, 0.0]], NonFiniteError),
    ([[0.0, 0.0, 0.0], [0.0, INF, 0.0]], NonFiniteError),
]


@pytest.mark.parametrize("kind", KINDS)
def test_rows(impl, kind):
    flt = fed(impl, kind)
    calls = [lambda U: flt.predict(U), lambda U: flt.predict(U, return_std=True)]
    if kind in GAUSSIAN:
        calls.append(lambda U: flt.predict_quantiles(U, [0.1, 0.9]))
    for call in calls:
        for U, error in BAD_U:
            with refused(error, "U", flt) as caught:
                call(U)
            assert caught.value.row == (1 if error is NonFiniteError else None)


@pytest.mark.parametrize("kind", ["gaussian", "two_outputs", "poisson"])
def test_offset(impl, kind):
    flt, U = fed(impl, kind), np.zeros((5, 3))
    cases = [
        (np.zeros(4), ShapeError),
        (np.zeros((5, 3)), ShapeError),
        (NAN, NonFiniteError),
        (INF, NonFiniteError),
        ("0", DtypeError),
        (None, DtypeError),
    ]
    for value, error in cases:
        with refused(error, "offset", flt):
            flt.predict(U, offset=value)


def test_flags(impl):
    flt, U = fed(impl, "gaussian"), np.zeros((2, 3))
    with refused(ParameterError, "return_cov", flt):
        flt.predict(U, return_std=True, return_cov=True)
    for argument in ("return_std", "return_cov", "include_noise"):
        for value in (1, None, "yes"):
            with refused(ParameterError, argument, flt):
                flt.predict(U, **{argument: value})
    with pytest.raises(TypeError):
        flt.predict(U, True)


@pytest.mark.parametrize(
    ("q", "error"),
    [([-0.1], ParameterError), ([1.1], ParameterError), ([NAN], ParameterError), ([INF], ParameterError), ([[0.1]], ShapeError),
     (["a"], DtypeError), (None, DtypeError), ([0.5j], DtypeError), ([[0.1], 0.2], ShapeError)],
    ids=repr,
)  # fmt: skip
@pytest.mark.parametrize("kind", ["gaussian", "learned"])
def test_quantile_levels(impl, kind, q, error):
    flt = fed(impl, kind)
    with refused(error, "q", flt):
        flt.predict_quantiles(np.zeros((2, 3)), q)


def test_quantile_levels_at_their_ends(impl):
    for kind in ("gaussian", "learned"):
        flt = fed(impl, kind)
        low, middle, high = flt.predict_quantiles(np.zeros((1, 3)), [0, 0.5, 1])[0]
        assert (low, high) == (-INF, INF)
        assert middle == pytest.approx(flt.predict(np.zeros((1, 3)))[0], rel=1e-12)
        assert flt.predict_quantiles(np.zeros((4, 3)), 0.5).shape == (4, 1)
        assert flt.predict_quantiles(np.zeros((0, 3)), [0.1, 0.9]).shape == (0, 2)
    assert fed(impl, "two_outputs").predict_quantiles(np.zeros((4, 3)), [0.1, 0.5, 0.9]).shape == (4, 2, 3)


@pytest.mark.parametrize("size", [-1, 2.5, True, "3", None, (3,), 2**31], ids=repr)
def test_sample_size(impl, size):
    flt = fed(impl, "gaussian")
    with refused(ParameterError, "size", flt):
        flt.sample(size, seed=0)


@pytest.mark.parametrize("seed", [-1, "x", 0.5, True], ids=repr)
def test_sample_seed(impl, seed):
    flt = fed(impl, "gaussian")
    with refused(ParameterError, "seed", flt):
        flt.sample(3, seed)


def test_sample_shapes(impl):
    for kind in KINDS:
        flt = fed(impl, kind)
        p = len(flt.theta)
        assert flt.sample(3, 0).shape == (3, p)
        assert flt.sample(0, 0).shape == (0, p)
        np.testing.assert_array_equal(flt.sample(3, 7), flt.sample(3, 7))
        assert (flt.sample(3, 7) != flt.sample(3, 8)).any()
        np.testing.assert_array_equal(flt.sample(2, np.random.default_rng(7)), flt.sample(2, 7))


def test_log_evidence_only_where_it_was_asked_for(impl):
    with refused(UnsupportedError, "evidence"):
        _ = fed(impl, "gaussian").log_evidence
    flt = fed(impl, "gaussian", evidence=True)
    twin = fed(impl, "gaussian", n=0)
    trace = twin.update_many(*stream("gaussian"))
    assert flt.log_evidence == pytest.approx(-trace.nll.sum(), rel=1e-12)


def test_noise_variance(impl):
    assert fed(impl, "gaussian").noise_variance == (0.5, INF)
    R, dof = fed(impl, "two_outputs").noise_variance
    assert dof == INF
    np.testing.assert_array_equal(R, [[1.0, 0.3], [0.3, 0.5]])
    mean, dof = fed(impl, "learned", n=40).noise_variance
    assert dof == pytest.approx(43.0)
    assert 0.2 < mean < 3.0
    with refused(UnsupportedError, "noise_variance"):
        _ = fed(impl, "poisson").noise_variance


FIRST = {"U0": np.arange(12.0).reshape(4, 3), "Y0": np.arange(4.0)}


@pytest.mark.parametrize(
    ("argument", "value", "error"),
    [
        ("U0", np.zeros((4, 2)), ShapeError),
        ("U0", np.zeros(3), ShapeError),
        ("U0", np.zeros((4, 3), dtype=object), DtypeError),
        ("U0", [[1.0, 2.0, 3.0], [1.0]], ShapeError),
        ("U0", np.full((4, 3), NAN), ParameterError),
        ("U0", np.zeros((0, 3)), ShapeError),
        ("Y0", np.zeros(3), ShapeError),
        ("Y0", ["a"] * 4, DtypeError),
        ("Y0", np.full(4, NAN), ParameterError),
    ],
)
def test_from_rows(impl, argument, value, error):
    with pytest.raises(error) as caught:
        impl.Filter.from_rows(**(FIRST | {argument: value}), model=impl.Linear(3), family=impl.Gaussian())
    assert caught.value.argument in ("U0", "Y0")


def test_from_rows_passes_on_errors_of_the_constructor_and_of_rows(impl):
    with refused(DtypeError, "dtype"):
        impl.Filter.from_rows(**FIRST, model=impl.Linear(3), family=impl.Gaussian(), dtype="int64")
    with refused(ParameterError, "y") as caught:
        impl.Filter.from_rows(FIRST["U0"], [0, 1, 0, 7], impl.Linear(3), impl.Bernoulli())
    assert caught.value.row == 3
    with refused(NonFiniteError, "u") as caught:
        impl.Filter.from_rows(np.array([[1.0, 2, 3], [1.0, NAN, 3]]), [0, 1], impl.Linear(3), impl.Bernoulli())
    assert caught.value.row == 1
