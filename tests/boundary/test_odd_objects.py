"""Objects that mean harm, or are not what they say: a typed error or their own, and the filter as it was."""

from contextlib import suppress

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


class Negative(list):
    """Says that it has less than nothing in it."""

    def __len__(self):
        return -1


class Unlisted(list):
    def __len__(self):
        raise Own


class Vast(list):
    def __len__(self):
        return 2**62


LISTS = [Negative, Unlisted, Vast]


@pytest.mark.parametrize("kind", LISTS)
def test_a_list_whose_length_is_a_lie(impl, kind):
    """It is what is in it, or an error that says which argument it was."""
    plain, flt = (impl.Filter(impl.Linear(3), impl.Gaussian(variance=None)) for _ in range(2))
    plain.update_many(X, Y)
    try:
        flt.update_many(kind(X.tolist()), Y)
    except (kfng.KfngError, Own):
        assert flt.n_updates == 0
    else:
        assert flt.theta.tobytes() == plain.theta.tobytes()
    for call in (
        lambda: plain.predict(kind(X.tolist())),
        lambda: impl.merge(kind([3])),
        lambda: impl.Mixture(kind([3])),
    ):
        with suppress(kfng.KfngError, Own):
            call()
    bank, twin = (impl.Bank(impl.Linear(3), impl.Gaussian(variance=None)) for _ in range(2))
    keys = [1, 2, "a", 1, "b"]
    twin.update(keys, X, Y)
    try:
        bank.update(kind(keys), X, Y)
        assert bank.keys() == twin.keys()
    except (kfng.KfngError, Own):
        assert len(bank) == 0
    for call in (bank.theta, bank.n_updates, bank.drop):
        with suppress(kfng.KfngError, Own):
            call(kind(bank.keys()))


class Nameless:
    """Cannot be shown."""

    def __repr__(self):
        raise Own

    __str__ = __repr__


class Misnamed:
    def __repr__(self):
        return 3


class Text(str):
    def __repr__(self):
        raise Own

    __str__ = __repr__


@pytest.mark.parametrize("odd", [Nameless(), Misnamed(), Text("?")], ids=["raises", "no text", "a string"])
def test_settings_that_cannot_be_shown(impl, flt, odd):
    """The error is that of any wrong setting, with the type instead of the value."""
    named = (
        "belief",
        "rule",
        "guards",
        "feature_names",
        "dtype",
        "evidence",
        "robust",
        "iterations",
        "num_threads",
        "seed",
    )
    for name in named:
        with pytest.raises(kfng.KfngError, match=f"^{name}: .*<{type(odd).__name__}>"):
            impl.Filter(impl.Linear(3), impl.Gaussian(), **{name: odd})
    for make in (impl.Linear, impl.MLP, impl.Gaussian, impl.Binomial, impl.Gamma, impl.Fading, impl.SGD, impl.Guards,
                 impl.SnAp, lambda x: impl.Diagonal(3, x), lambda x: impl.Filter(x, impl.Gaussian())):  # fmt: skip
        with pytest.raises(kfng.KfngError):
            make(odd)
    for name in ("on_bad_row", "deterministic", "trace", "target", "progress"):
        unchanged(flt, lambda name=name: flt.update_many(X, Y, **{name: odd}), kfng.KfngError)
    for name in ("return_std", "return_cov", "include_noise"):
        unchanged(flt, lambda name=name: flt.predict(X, **{name: odd}), kfng.KfngError)
    unchanged(flt, lambda: flt.sample(odd, 0), kfng.KfngError)
    unchanged(flt, lambda: flt.sample(2, odd), kfng.KfngError)
    unchanged(flt, lambda: flt.add_features(odd), kfng.KfngError)
    if not isinstance(odd, str):
        with pytest.raises(kfng.KfngError):
            impl.Mixture({odd: flt})
    bank = impl.Bank(impl.Linear(3), impl.Gaussian())
    for name in ("on_bad_row", "trace"):
        with pytest.raises(kfng.KfngError):
            bank.update([1, 2], X[:2], Y[:2], **{name: odd})
    assert len(bank) == 0
