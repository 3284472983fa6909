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


ODD = [Raises(), Claims(), endless(), np.void(b"abcdefgh"), 2**64, np.zeros(3, "V8"), Ellipsis, Negative([1.0]),
       Unlisted([1.0]), Nameless(), Misnamed(), Text("?"), 1j, {}, range(2), iter([1])]  # fmt: skip


def of_a_joint_filter(flt):
    return str(flt.health()), flt.state.tobytes(), flt.cov().tobytes(), flt.n_updates


def refused(flt, call):
    before = of_a_joint_filter(flt)
    with pytest.raises((kfng.KfngError, Own)):
        call()
    assert of_a_joint_filter(flt) == before


@pytest.mark.parametrize("name", ["y", "state", "transition", "output", "jacobian", "weight", "dt", "noise"])
def test_a_row_of_a_state_filter(impl, name):
    row = {
        "y": [1.0, 2.0],
        "state": np.ones(3),
        "transition": np.eye(3),
        "output": np.zeros(2),
        "jacobian": np.ones((2, 3)),
    }
    flt = impl.StateFilter(3, 2, impl.Gaussian(0.5))
    flt.update(**row)
    for odd in ODD:
        if not (name in ("y", "output") and isinstance(odd, range)):  # which are two numbers
            refused(flt, lambda odd=odd: flt.update(**(row | {name: odd})))
    for name in ("state", "state_prior", "transition", "jacobian", "guards", "rule", "dtype"):
        with pytest.raises((kfng.KfngError, Own)):
            impl.StateFilter(3, 2, impl.Gaussian(0.5), **{name: Nameless()})


@pytest.mark.parametrize("name", ["U", "Y", "weight", "dt", "offset"])
def test_rows_of_a_joint_filter(impl, name):
    rows = {"U": np.ones((4, 2)), "Y": np.ones(4)}
    flt = impl.JointEkf(impl.RNN(2, 3, 1), impl.Gaussian(0.5))
    flt.update_many(**rows)
    for odd in ODD:
        refused(flt, lambda odd=odd: flt.update_many(**(rows | {name: odd})))
        one = {"u": [1.0, 2.0], "y": 1.0, "weight": 1.0, "dt": 1.0, "offset": 0.0}
        if not (name == "U" and isinstance(odd, range)):
            refused(flt, lambda odd=odd, one=one: flt.update(**(one | {name.lower(): odd})))
    for name in ("model", "theta", "prior_variance", "state_noise", "every", "forgetting", "guards", "dtype", "seed"):
        arguments = {"model": impl.RNN(2, 3, 1), "family": impl.Gaussian(0.5)} | {name: Nameless()}
        with pytest.raises((kfng.KfngError, Own)):
            impl.JointEkf(**arguments)


@pytest.mark.parametrize("name", ["y", "output", "jacobian", "weight", "dt", "state", "transition"])
def test_a_condition_of_them(impl, name):
    flt = impl.JointEkf(impl.ExternalRecurrent(4, 3, 1), impl.Gaussian(0.5), theta=np.zeros(4))
    n, p = flt.settings.n, flt.settings.n_parameters
    row = {"y": 1.0, "output": [0.0], "jacobian": (np.ones((1, n)), np.ones((1, p))), "state": np.ones(n)}
    row["transition"] = np.eye(n), np.ones((n, p))
    flt.condition(**row)
    for odd in ODD:
        refused(flt, lambda odd=odd: flt.condition(**(row | {name: odd})))
        if isinstance(row.get(name), tuple):
            first, second = row[name]
            refused(flt, lambda odd=odd, second=second: flt.condition(**(row | {name: (odd, second)})))
            refused(flt, lambda odd=odd, first=first: flt.condition(**(row | {name: (first, odd)})))
