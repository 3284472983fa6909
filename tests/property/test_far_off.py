"""Features far from 0: `from_rows(center=)` is the prior of centred rows in the coordinates of raw ones, and a warning says when."""

import warnings

import numpy as np
import pytest
from tolerances import CONTROL, relative_error

from kfng import errors

N, FIRST, TOLERANCE = 200, 40, 1e-8


def rows(seed=0):
    rng = np.random.default_rng(seed)
    U = np.column_stack([2015 + 3 * rng.normal(size=N), rng.normal(size=N), np.full(N, 7.0)])
    z = 0.4 * (U[:, 0] - 2015) / 3 - 0.3 * U[:, 1]
    return U, z + 0.5 * rng.normal(size=N), (rng.random(N) < 1 / (1 + np.exp(-z))).astype(float)


CASES = {
    "known": lambda impl: (impl.Linear(3), impl.Gaussian(0.25), {}),
    "learned": lambda impl: (impl.Linear(3), impl.Gaussian(None), {"belief": impl.Full([1.0, 2.0, 3.0, 4.0])}),
    "logit": lambda impl: (impl.Linear(3), impl.Bernoulli(), {"rule": impl.Fading(half_life=100)}),
    "outputs": lambda impl: (impl.Linear(3, 2), impl.Gaussian(0.25), {}),
    "network": lambda impl: (impl.MLP([3, 3, 1]), impl.Gaussian(0.25), {"seed": 3}),
}


@pytest.mark.parametrize("center", ["mean", None])
@pytest.mark.parametrize("name", CASES)
def test_it_is_the_prior_of_centred_rows(impl, name, center):
    """Control: the prior of u = 0, as it is by default, which learns next to nothing of the year."""
    model, family, more = CASES[name](impl)
    U, y, yes = rows()
    Y = {"logit": yes, "outputs": np.column_stack([y, -y])}.get(name, y)
    mean = U[:FIRST].mean(axis=0)
    centred = impl.Filter.from_rows(U[:FIRST] - mean, Y[:FIRST], model, family, **more)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", errors.FarOffWarning)
        raw = impl.Filter.from_rows(U[:FIRST], Y[:FIRST], model, family, center=center, **more)
    start = raw.predict(U)
    raw.update_many(U[FIRST:], Y[FIRST:])
    centred.update_many(U[FIRST:] - mean, Y[FIRST:])
    assert relative_error(start, raw.predict(U)) > 1e-3
    found, wanted = raw.predict(U, return_std=True), centred.predict(U - mean, return_std=True)
    error = max(relative_error(a, b) for a, b in zip(found, wanted, strict=True))
    assert error < TOLERANCE if center else error > CONTROL * TOLERANCE


def test_a_row_of_ones_own_and_tables_by_name(impl):
    U, y, _ = rows()
    own = impl.Filter.from_rows(U, y, impl.Linear(3), impl.Gaussian(0.25), center=U.mean(axis=0))
    mean = impl.Filter.from_rows(U, y, impl.Linear(3), impl.Gaussian(0.25), center="mean")
    assert own._to_bytes() == mean._to_bytes()
    plain = impl.Filter.from_rows(U[:, 1:2], y, impl.Linear(1), impl.Gaussian(0.25))
    nothing = impl.Filter.from_rows(U[:, 1:2], y, impl.Linear(1), impl.Gaussian(0.25), center=[0.0])
    assert nothing._to_bytes() == plain._to_bytes()


def test_a_warning_names_the_column_and_the_remedy(impl):
    U, y, _ = rows()
    with pytest.warns(errors.FarOffWarning, match=r"column 0 is 6\d\d times its spread.*center='mean'") as caught:
        impl.Filter.from_rows(U, y, impl.Linear(3), impl.Gaussian(0.25))
    assert caught[0].filename == __file__
    how = {"belief": impl.Diagonal(), "feature_names": ["year", "b", "c"]}
    with pytest.warns(errors.FarOffWarning, match="'year'.*subtract"):
        impl.Filter.from_rows(U, y, impl.Linear(3), impl.Gaussian(0.25), **how)
    fine = U.copy()
    fine[:, 0] -= 2000  # 15 ± 3, and a constant column, which has no spread
    impl.Filter.from_rows(fine, y, impl.Linear(3), impl.Gaussian(0.25))
    impl.Filter.from_rows(U, y, impl.Linear(3, intercept=False), impl.Gaussian(0.25))
    impl.Filter.from_rows(U, y, impl.RNN(3, 2, 1), impl.Gaussian(0.25))


def test_what_center_cannot_be(impl):
    U, y, _ = rows()
    for center, more, kind in (
        ("median", {}, errors.UnknownNameError),
        ([1.0, 2.0], {}, errors.ShapeError),
        ([1.0, np.nan, 0.0], {}, errors.NonFiniteError),
        ([1e30, 0.0, 0.0], {}, errors.NotPositiveDefiniteError),
        ("mean", {"belief": impl.Diagonal()}, errors.UnsupportedError),
        ("mean", {"rule": impl.SGD(0.1)}, errors.UnsupportedError),
    ):
        with pytest.raises(kind) as caught:
            impl.Filter.from_rows(U, y, impl.Linear(3), impl.Gaussian(0.25), center=center, **more)
        assert caught.value.argument == "center"
    for model in (impl.Linear(3, intercept=False), impl.RNN(3, 2, 1)):
        with pytest.raises(errors.UnsupportedError):
            impl.Filter.from_rows(U, y, model, impl.Gaussian(0.25), center="mean")
