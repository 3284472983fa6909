"""Objects that mean harm, or are not what they say: a typed error or their own, and the filter as it was."""

import numpy as np
import pytest

import kfng

X = np.random.default_rng(0).normal(size=(5, 3))
Y = X @ [1.0, 2.0, 3.0]


class Own(Exception):
    pass


class Raises:
    """Raises whatever it is asked."""

    def _raise(self, *_args, **_options):
        raise Own

    __array__ = __float__ = __index__ = __len__ = __iter__ = __getitem__ = __hash__ = __eq__ = _raise


class Claims:
    """Says that it is an array."""

    def __array__(self, dtype=None, copy=None):
        return [1.0, 2.0, 3.0]


def endless():
    rows = []
    rows.append(rows)
    return rows


@pytest.fixture
def flt(impl):
    flt = impl.Filter(impl.Linear(3), impl.Gaussian(variance=None))
    flt.update_many(X, Y)
    return flt


def unchanged(model, call, *errors):
    before = (str(model.health()), bytes(np.asarray(model.theta)))
    with pytest.raises(errors):
        call()
    assert (str(model.health()), bytes(np.asarray(model.theta))) == before


@pytest.mark.parametrize(
    "odd", [Raises(), Claims(), endless(), np.void(b"abcdefgh"), 2**64, np.zeros(3, "V8"), Ellipsis]
)
@pytest.mark.parametrize("name", ["u", "y", "weight", "dt", "offset"])
def test_a_row_of_them(flt, odd, name):
    row = {"weight": 1.0, "dt": 1.0, "offset": 0.0, "u": X[0], "y": 1.0} | {name: odd}
    unchanged(flt, lambda: flt.update(row.pop("u"), row.pop("y"), **row), kfng.KfngError, TypeError, Own)


@pytest.mark.parametrize("seed", [endless(), [[1]], [1.0], [True], Raises(), -1, "a", {}])
def test_a_seed_that_is_none(flt, seed):
    unchanged(flt, lambda: flt.sample(2, seed), kfng.ParameterError, Own)


def test_seeds_of_every_kind(flt):
    same = flt.sample(2, 7)
    for seed in ([7], (7,), np.array([7]), np.random.SeedSequence(7), np.random.default_rng(7), np.random.PCG64(7)):
        assert np.array_equal(flt.sample(2, seed), same)
    assert flt.sample(2, None).shape == (2, 4)


@pytest.mark.parametrize("prior", [[[1.0, 2.0], [3.0]], endless(), Claims(), Raises()])
def test_a_prior_of_new_features(flt, prior):
    unchanged(flt, lambda: flt.add_features(2, prior_variance=prior), kfng.ShapeError, Own)


def test_no_quantiles(impl, flt):
    assert flt.predict_quantiles(X, []).shape == (5, 0)
    mixture = impl.Mixture({"a": flt, "b": flt.copy()})
    assert mixture.predict_quantiles(X, []).shape == (5, 0)


@pytest.mark.parametrize("keys", [Claims(), Raises(), endless(), [Raises()] * 5, np.zeros(5, "V8")])
def test_keys_that_are_none(impl, keys):
    bank = impl.Bank(impl.Linear(3), impl.Gaussian(variance=None))
    bank.update([1, 2, "a", 1, "b"], X, Y)
    before = [bank.keys(), bank.theta(bank.keys()).tolist()]
    for call in (lambda: bank.update(keys, X, Y), lambda: bank.drop(keys), lambda: bank.predict(keys, X)):
        with pytest.raises((kfng.KfngError, Own)):
            call()
    assert [bank.keys(), bank.theta(bank.keys()).tolist()] == before
