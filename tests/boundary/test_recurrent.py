"""Filters with a hidden state: what is refused and how, sequences, gaps, copies and files, cuts of a stream."""

from __future__ import annotations

import copy
import itertools
import json
import pickle

import numpy as np
import pytest
from boundary.filters import bits, refused

from kfng import errors

D = 2


def models(impl):
    return {
        "RNN": impl.RNN(D, 3, 2),
        "masked": impl.RNN(
            D, 3, 2, "relu", mask=np.tril(np.ones((3, 3))), input_center=[0.1, 1 / 3], input_scale=[2, 0.7]
        ),
        "GRU": impl.GRU(D, 2, 2, input_scale=[2.0, 1.0]),
        "LSTM": impl.LSTM(D, 2, 2),
        "LinearStateSpace": impl.LinearStateSpace(D, 2, 2),
        "LRU": impl.LRU(D, 3, 2),
    }


OPTIONS = {
    "plain": lambda impl: {"family": impl.Gaussian(0.5)},
    "unknown": lambda impl: {"family": impl.Gaussian(None), "state_prior": 0.3, "state": None},
    "unknown-prior": lambda impl: {"family": impl.Gaussian("each"), "state_prior": [0.3] * 4, "rule": impl.Fading(0.1, towards="prior")},
    "diagonal": lambda impl: {"family": impl.Gaussian(0.5), "belief": impl.Diagonal(0.1), "rule": impl.Fading(0.05), "state_prior": 0.2},
    "snap": lambda impl: {"family": impl.Gaussian(0.5), "sensitivity": impl.SnAp(2, state_correction=False), "rule": impl.ProcessNoise(1e-4)},
    "diagonal-rtrl": lambda impl: {"family": impl.Gaussian(0.5), "sensitivity": impl.DiagonalRTRL(), "rule": impl.NaturalGradient(0.02)},
    "sgd": lambda impl: {"family": impl.Gaussian(0.5), "rule": impl.SGD(0.01), "sensitivity": impl.UORO(7)},
    "adam": lambda impl: {"family": impl.Gaussian(0.5), "rule": impl.Adam(impl.Power(0.01, 0.5)), "sensitivity": impl.UORO(7)},
    "adam-rtrl": lambda impl: {"family": impl.Gaussian(0.5), "rule": impl.Adam(0.01)},
    "float32": lambda impl: {"family": impl.Gaussian(0.5), "dtype": "float32", "rule": impl.Fading(half_life=30)},
}  # fmt: skip


def make(impl, model="RNN", options="plain", **more):
    settings = OPTIONS[options](impl) | more
    made = models(impl)[model]
    if "state" in settings and settings["state"] is None:
        settings["state"] = np.linspace(-0.5, 0.5, made.state_size)
    if isinstance(settings.get("state_prior"), list):
        settings["state_prior"] = settings["state_prior"][: made.state_size]
        settings["state_prior"] += [0.1] * (made.state_size - len(settings["state_prior"]))
    return impl.Filter(made, settings.pop("family"), **settings)


def stream(n=40, seed=0):
    """Rows with gaps, some of one output alone, weights, times, and two bad inputs that do not matter."""
    rng = np.random.default_rng(seed)
    U, Y = rng.normal(size=(n, D)), rng.normal(size=(n, 2))
    Y[rng.random((n, 2)) < 0.15] = np.nan
    Y[[5, 6, 20]], U[[6, 20], 0] = np.nan, np.nan
    return U, Y, {"weight": rng.choice([0.0, 0.5, 1.0], size=n), "dt": rng.choice([0.0, 1.0], size=n)}


def fed(impl, model="RNN", options="plain", n=40, seed=0, **more):
    flt = make(impl, model, options, **more)
    U, Y, rest = stream(40, seed)
    flt.update_many(U[:n], Y[:n], **{name: part[:n] for name, part in rest.items()})
    return flt


# -- refusals
def refusals(impl):
    RNN, one = impl.RNN(D, 3, 1), impl.Gaussian()
    seven = 3 * D + 9 + 3 + 3 + 1
    return [
        (errors.UnsupportedError, "sensitivity", lambda: impl.Filter(impl.Linear(D), one, sensitivity=impl.RTRL())),
        (errors.UnsupportedError, "state", lambda: impl.Filter(impl.Linear(D), one, state=[0.0])),
        (errors.UnsupportedError, "state_prior", lambda: impl.Filter(impl.Linear(D), one, state_prior=1.0)),
        (errors.ParameterError, "sensitivity", lambda: impl.Filter(RNN, one, sensitivity="rtrl")),
        (errors.ParameterError, "sensitivity", lambda: impl.Filter(RNN, one, sensitivity=impl.RTRL)),
        (errors.UnsupportedError, "sensitivity", lambda: impl.Filter(RNN, one, sensitivity=impl.UORO())),
        (errors.UnsupportedError, "sensitivity", lambda: impl.Filter(RNN, one, rule=impl.NaturalGradient(0.1), sensitivity=impl.UORO())),
        (errors.UnsupportedError, "sensitivity", lambda: impl.Filter(impl.ExternalRecurrent(4, 2, 1), one, sensitivity=impl.SnAp(1))),
        (errors.UnsupportedError, "sensitivity", lambda: impl.Filter(impl.ExternalRecurrent(4, 2, 1), one, sensitivity=impl.DiagonalRTRL())),
        (errors.UnsupportedError, "belief", lambda: impl.Filter(RNN, one, belief=impl.Point())),
        (errors.UnsupportedError, "belief", lambda: impl.Filter(RNN, one, belief=impl.Full(2.0), rule=impl.SGD(0.1))),
        (errors.UnsupportedError, "belief", lambda: impl.Filter(RNN, one, belief=impl.Diagonal(), rule=impl.Adam(0.1))),
        (errors.UnsupportedError, "rule", lambda: impl.Filter(RNN, impl.Gaussian(None), rule=impl.SGD(0.1))),
        (errors.UnsupportedError, "rule", lambda: impl.Filter(RNN, impl.Gaussian("each"), rule=impl.Adam(0.1))),
        (errors.UnsupportedError, "evidence", lambda: impl.Filter(RNN, one, rule=impl.Adam(0.1), evidence=True)),
        (errors.UnsupportedError, "state_prior", lambda: impl.Filter(RNN, one, rule=impl.Adam(0.1), state_prior=1.0)),
        (errors.UnsupportedError, "state_prior", lambda: impl.Filter(RNN, one, rule=impl.NaturalGradient(0.1), state_prior=1.0)),
        (errors.UnsupportedError, "state_prior", lambda: impl.Filter(RNN, one, belief=impl.Diagonal(), state_prior=np.eye(3))),
        (errors.UnsupportedError, "iterations", lambda: impl.Filter(RNN, one, iterations=2)),
        (errors.UnsupportedError, "iterations", lambda: impl.Filter(RNN, one, iterations="implicit")),
        (errors.UnsupportedError, "iterations", lambda: impl.Filter(impl.MLP([D, 1]), one, rule=impl.SGD(0.1), iterations=2)),
        (errors.ShapeError, "state", lambda: impl.Filter(RNN, one, state=np.zeros(2))),
        (errors.NonFiniteError, "state", lambda: impl.Filter(RNN, one, state=[0, np.nan, 0])),
        (errors.NonFiniteError, "state", lambda: impl.Filter(RNN, one, state=[0, 1e300, 0], dtype="float32")),
        (errors.ParameterError, "state_prior", lambda: impl.Filter(RNN, one, state_prior=0.0)),
        (errors.ParameterError, "state_prior", lambda: impl.Filter(RNN, one, state_prior=[1.0, -1.0, 1.0])),
        (errors.ShapeError, "state_prior", lambda: impl.Filter(RNN, one, state_prior=[1.0, 1.0])),
        (errors.ShapeError, "state_prior", lambda: impl.Filter(RNN, one, state_prior=np.ones((2, 3)))),
        (errors.NotPositiveDefiniteError, "state_prior", lambda: impl.Filter(RNN, one, state_prior=np.ones((3, 3)))),
        (errors.NotPositiveDefiniteError, "state_prior", lambda: impl.Filter(RNN, one, state_prior=np.triu(np.ones((3, 3))))),
        (errors.ParameterError, "state_prior", lambda: impl.Filter(RNN, one, state_prior=1e-300, dtype="float32")),
        (errors.ShapeError, "prior_variance", lambda: impl.Filter(RNN, one, belief=impl.Full(np.ones(seven + 3)), state_prior=1.0)),
        (errors.ShapeError, "Q", lambda: impl.Filter(RNN, one, rule=impl.ProcessNoise(np.ones(seven + 3)), state_prior=1.0)),
        (errors.ShapeError, "family", lambda: impl.Filter(RNN, impl.Categorical(3))),
        (errors.ParameterError, "n_units", lambda: impl.GRU(2, 0, 1)),
        (errors.ParameterError, "n_inputs", lambda: impl.LSTM(2.0, 3, 1)),
        (errors.ParameterError, "model", lambda: impl.Filter(impl.LRU(1, 2**20, 1), one, belief=impl.Diagonal())),
        (errors.UnknownNameError, "activation", lambda: impl.RNN(2, 3, 1, "sigmoid")),
        (errors.ShapeError, "mask", lambda: impl.RNN(2, 3, 1, mask=np.ones((2, 3)))),
        (errors.ParameterError, "mask", lambda: impl.RNN(2, 3, 1, mask=np.full((3, 3), 0.5))),
        (errors.ShapeError, "input_center", lambda: impl.LRU(2, 3, 1, input_center=[0.0])),
        (errors.ParameterError, "input_scale", lambda: impl.LRU(2, 3, 1, input_scale=[1.0, 0.0])),
        (errors.NonFiniteError, "input_scale", lambda: impl.LRU(2, 3, 1, input_scale=[1.0, np.inf])),
        (errors.ParameterError, "n_state", lambda: impl.ExternalRecurrent(4, 0, 1)),
        (errors.ParameterError, "n", lambda: impl.SnAp(0)),
        (errors.ParameterError, "state_correction", lambda: impl.RTRL(1)),
        (errors.ParameterError, "seed", lambda: impl.UORO(-1)),
        (errors.ParameterError, "learning_rate", lambda: impl.SGD(0.0)),
        (errors.ParameterError, "beta2", lambda: impl.Adam(0.1, beta2=1.0)),
        (errors.ParameterError, "eps", lambda: impl.Adam(0.1, eps=0.0)),
        (errors.ParameterError, "influence", lambda: impl.Guards(influence=0.0)),
    ]  # fmt: skip


@pytest.mark.parametrize("i", range(51))
def test_refused_settings(recurrent_impl, i):
    wanted = refusals(recurrent_impl)
    assert len(wanted) == 51
    kind, argument, call = wanted[i]
    with refused(kind, argument):
        call()


def test_refused_calls(recurrent_impl):
    impl = recurrent_impl
    flt, U, Y = fed(impl), np.zeros((3, D)), np.zeros((3, 2))
    calls = [
        (errors.ParameterError, "steps", lambda: flt.forecast()),
        (errors.ParameterError, "steps", lambda: flt.forecast(U, steps=3)),
        (errors.ParameterError, "steps", lambda: flt.forecast(steps=-1)),
        (errors.ParameterError, "steps", lambda: flt.forecast(steps=2.5)),
        (errors.ParameterError, "include_noise", lambda: flt.forecast(U, include_noise=1)),
        (errors.ShapeError, "U_future", lambda: flt.forecast(np.zeros((3, D + 1)))),
        (errors.DtypeError, "U_future", lambda: flt.forecast([["a", "b"]])),
        (errors.NonFiniteError, "U_future", lambda: flt.forecast([[0.0, np.nan]])),
        (errors.ShapeError, "state", lambda: flt.reset_state(np.zeros(4))),
        (errors.NonFiniteError, "state", lambda: flt.reset_state([0.0, np.inf, 0.0])),
        (errors.DtypeError, "state", lambda: flt.reset_state("abc")),
        (errors.ParameterError, "lengths", lambda: flt.update_many(U, Y, lengths=[1, 1])),
        (errors.ParameterError, "lengths", lambda: flt.update_many(U, Y, lengths=[4, -1])),
        (errors.ParameterError, "lengths", lambda: flt.update_many(U, Y, lengths=[])),
        (errors.DtypeError, "lengths", lambda: flt.update_many(U, Y, lengths=[1.0, 2.0])),
        (errors.DtypeError, "lengths", lambda: flt.update_many(U, Y, lengths=[True, True, True])),
        (errors.ShapeError, "lengths", lambda: flt.update_many(U, Y, lengths=3)),
        (errors.ShapeError, "u", lambda: flt.update(np.zeros(D + 1), [0.0, 0.0])),
        (errors.NonFiniteError, "u", lambda: flt.update([np.nan, 0.0], [0.0, np.nan])),
        (errors.NonFiniteError, "y", lambda: flt.update([0.0, 0.0], [0.0, np.inf])),
    ]  # fmt: skip
    for kind, argument, call in calls:
        with refused(kind, argument, flt):
            call()
    for name, call in {
        "forecast": lambda flt: flt.forecast(steps=1),
        "reset_state": lambda flt: flt.reset_state(),
        "joint_cov": lambda flt: flt.joint_cov(),
        "state": lambda flt: flt.state,
        "influence": lambda flt: flt.influence,
        "initial_state": lambda flt: flt.initial_state,
    }.items():
        with refused(errors.UnsupportedError, name):
            call(impl.Filter(impl.Linear(D), impl.Gaussian()))
    with refused(errors.UnsupportedError, "lengths"):
        impl.Filter(impl.Linear(D, 2), impl.Gaussian()).update_many(U, Y, lengths=[3])
    with refused(errors.UnsupportedError, "steps"):
        impl.Filter(impl.RNN(2, 3, 1), impl.Gaussian()).forecast(steps=1)
    with refused(errors.UnsupportedError, "steps"):
        impl.Filter(impl.RNN(2, 3, 2), impl.GaussianMeanVariance()).forecast(steps=1)
    with refused(errors.UnsupportedError, "steps"):
        impl.Filter(impl.RNN(3, 3, 3), impl.Categorical(3)).forecast(steps=1)
    with refused(errors.UnsupportedError, "model"):
        impl.merge([flt, flt])


def test_refused_rows_of_a_model_elsewhere(recurrent_impl):
    impl = recurrent_impl
    flt = impl.Filter(impl.ExternalRecurrent(4, 2, 1), impl.Gaussian())
    good = {"output": 0.0, "jacobian": (np.ones((1, 2)), np.ones((1, 4))), "state": np.zeros(2),
            "transition": (np.eye(2), np.ones((2, 4)))}  # fmt: skip
    flt.condition(1.0, **good)
    for kind, argument, change in [
        (errors.ParameterError, "state", {"state": None}),
        (errors.ParameterError, "transition", {"transition": None}),
        (errors.ShapeError, "state", {"state": np.zeros(3)}),
        (errors.ShapeError, "transition", {"transition": np.eye(2)[0]}),
        (errors.ShapeError, "transition", {"transition": (np.eye(3), np.ones((2, 4)))}),
        (errors.ShapeError, "transition", {"transition": (np.eye(2), np.ones((2, 3)))}),
        (errors.ShapeError, "jacobian", {"jacobian": np.ones((1, 4))}),
        (errors.ShapeError, "jacobian", {"jacobian": (np.ones((1, 3)), np.ones((1, 4)))}),
        (errors.ShapeError, "jacobian", {"jacobian": (np.ones((1, 2)), np.ones((1, 5)))}),
        (errors.NonFiniteError, "state", {"state": [np.nan, 0.0]}),
        (errors.NonFiniteError, "transition", {"transition": (np.eye(2), np.full((2, 4), np.inf))}),
        (errors.NonFiniteError, "jacobian", {"jacobian": (np.full((1, 2), np.nan), np.ones((1, 4)))}),
        (errors.NonFiniteError, "output", {"output": np.nan}),
        (errors.DtypeError, "state", {"state": ["a", "b"]}),
    ]:
        with refused(kind, argument, flt):
            flt.condition(1.0, **(good | change))
    for call in (lambda: flt.update([0.0], 1.0), lambda: flt.predict([[0.0]])):
        with refused(errors.UnsupportedError, "model", flt):
            call()
    with refused(errors.UnsupportedError, "forecast", flt):
        flt.forecast(np.zeros((1, 2)))
    for argument, value in (("state", np.zeros(2)), ("transition", (np.eye(2), np.ones((2, 4))))):
        other = impl.Filter(impl.External(4, 1), impl.Gaussian())
        with refused(errors.ParameterError, argument, other):
            other.condition(1.0, 0.0, np.ones((1, 4)), **{argument: value})


# -- copies, files, cuts
WAYS = {
    "copy()": lambda flt, impl, folder: flt.copy(),
    "deepcopy": lambda flt, impl, folder: copy.deepcopy(flt),
    "pickle": lambda flt, impl, folder: pickle.loads(pickle.dumps(flt)),
    "file": lambda flt, impl, folder: through_a_file(flt, impl, folder),
}


def through_a_file(flt, impl, folder):
    flt.save(folder / "filter.kfng")
    return impl.load(folder / "filter.kfng")


CASES = [(model, "plain") for model in ("masked", "GRU", "LSTM", "LinearStateSpace", "LRU")] + [
    ("LSTM" if i % 2 else "RNN", options) for i, options in enumerate(OPTIONS)
]


@pytest.mark.parametrize(("model", "options"), CASES)
def test_the_same_bits_however_it_is_stored(recurrent_impl, model, options, tmp_path):
    flt = fed(recurrent_impl, model, options, n=27)
    U, Y, rest = stream(seed=3)
    after = flt.copy()
    trace = after.update_many(U, Y, **rest)
    for way in WAYS.values():
        twin = way(flt, recurrent_impl, tmp_path)
        assert type(twin) is type(flt)
        assert bits(twin) == bits(flt)
        assert repr((twin, twin.spec(), twin.health())) == repr((flt, flt.spec(), flt.health()))
        np.testing.assert_array_equal(twin.update_many(U, Y, **rest).std, trace.std)
        assert bits(twin) == bits(after)
    assert json.loads(json.dumps(flt.spec())) == flt.spec()


@pytest.mark.parametrize(("model", "options"), CASES)
def test_a_filter_pasted_back_is_the_fresh_filter(recurrent_impl, model, options):
    fresh = make(recurrent_impl, model, options)
    again = eval(repr(fed(recurrent_impl, model, options)), dict(vars(recurrent_impl)))
    assert bits(again) == bits(fresh)
    assert again.spec() == fresh.spec()


@pytest.mark.parametrize(("model", "options"), CASES)
def test_the_same_bits_however_the_stream_is_cut(recurrent_impl, model, options):
    U, Y, rest = stream()
    whole = fed(recurrent_impl, model, options)
    single, pieces = make(recurrent_impl, model, options), make(recurrent_impl, model, options)
    for i in range(len(U)):
        single.update(U[i], Y[i], **{name: part[i] for name, part in rest.items()})
    for start, stop in itertools.pairwise([0, 1, 5, 6, 21, 40]):
        rows = slice(start, stop)
        pieces.update_many(U[rows], Y[rows], **{name: part[rows] for name, part in rest.items()})
    assert bits(single) == bits(pieces) == bits(whole)


def test_a_damaged_state_is_refused(recurrent_impl):
    flt = fed(recurrent_impl, "RNN", "unknown")
    for name, value in {
        "state": np.zeros(2), "influence": np.zeros((3, 3)), "feedback": np.array([[1.0, 1.0], [0.0, 1.0]]),
        "echo": -np.ones((3, 2)), "restarts": np.array([0.5]), "initial_state": np.zeros(4),
    }.items():  # fmt: skip
        state = flt._state() | {name: value}
        with pytest.raises(errors.BadValueError):
            flt.copy()._set_state(state)
        state.pop(name)
        with pytest.raises(errors.BadValueError):
            flt.copy()._set_state(state)


@pytest.mark.parametrize("name", ["sensitivity", "state", "state_prior"])
def test_a_damaged_spec_is_refused(recurrent_impl, name):
    from kfng._settings import Settings

    settings = fed(recurrent_impl, "RNN", "unknown").settings
    spec, arrays = settings.spec(), settings.arrays()
    again = Settings.from_spec(spec, arrays)
    assert again.spec() == spec
    for value in ("no", {"shape": [7]}, [1, 2]):
        with pytest.raises(errors.KfngError):
            Settings.from_spec(spec | {name: value}, {key: array for key, array in arrays.items() if key != name})
    plain = recurrent_impl.Filter(recurrent_impl.Linear(D), recurrent_impl.Gaussian()).settings
    with pytest.raises(errors.KfngError):
        Settings.from_spec(plain.spec() | {name: spec[name]}, plain.arrays() | arrays)


# -- sequences
@pytest.mark.parametrize("options", ["plain", "unknown", "unknown-prior", "diagonal", "adam", "float32"])
def test_lengths_are_resets(recurrent_impl, options):
    impl, (U, Y, rest) = recurrent_impl, stream()
    lengths = [7, 0, 12, 1, 20]
    flt, other = make(impl, "GRU", options), make(impl, "GRU", options)
    trace = flt.update_many(U, Y, **rest, lengths=lengths)
    start = 0
    for length in lengths:
        other.reset_state()
        rows = slice(start, start + length)
        piece = other.update_many(U[rows], Y[rows], **{name: part[rows] for name, part in rest.items()})
        np.testing.assert_array_equal(trace[rows].prediction, piece.prediction)
        start += length
    assert bits(flt) == bits(other)
    assert flt.update_many(U[:0], Y[:0], lengths=[]) is not None


def test_what_a_reset_is(recurrent_impl):
    impl = recurrent_impl
    flt = fed(impl, "RNN", "unknown")
    theta, cov, health = flt.theta, flt.cov(), flt.health()
    flt.reset_state([0.1, 0.2, 0.3])
    np.testing.assert_array_equal(flt.state, [0.1, 0.2, 0.3])
    np.testing.assert_array_equal(flt.initial_state, [0.1, 0.2, 0.3])
    np.testing.assert_array_equal(flt.influence, np.eye(3, 3 + len(theta)))
    np.testing.assert_array_equal(flt.theta, theta)
    np.testing.assert_allclose(flt.cov(), cov, rtol=1e-12)
    joint = flt.joint_cov() / flt.noise_variance[0]
    np.testing.assert_allclose(joint[:3, :3], 0.3 * np.eye(3), rtol=1e-12, atol=1e-15)
    assert not joint[:3, 3:].any()
    assert flt.health() | {"influence_max": 0, "min_pivot_ratio": 0} == health | {
        "influence_max": 0,
        "min_pivot_ratio": 0,
    }
    flt.reset_state()
    np.testing.assert_array_equal(flt.state, [-0.5, 0, 0.5])
    known = fed(impl, "RNN", "plain", state=[1.0, 2.0, 3.0])
    known.reset_state()
    np.testing.assert_array_equal(known.state, [1.0, 2.0, 3.0])
    np.testing.assert_array_equal(known.initial_state, [1.0, 2.0, 3.0])
    assert not known.influence.any()
    assert not known._recurrence()["feedback"].any()


def test_an_error_in_the_middle_of_sequences(recurrent_impl):
    U, Y, _ = stream()
    Y = np.nan_to_num(Y)
    U = np.nan_to_num(U)
    U[25, 1] = np.inf
    flt, other = make(recurrent_impl), make(recurrent_impl)
    with pytest.raises(errors.NonFiniteError) as caught:
        flt.update_many(U, Y, lengths=[10, 10, 20])
    assert caught.value.row == 25
    assert len(caught.value.trace) == 25
    other.update_many(U[:25], Y[:25], lengths=[10, 10, 5])
    assert bits(flt) == bits(other)
    flt.update_many(U[25:], Y[25:], on_bad_row="skip"), other.update_many(U[26:], Y[26:])
    assert flt.health()["skipped"] == 1
    np.testing.assert_array_equal(flt.theta, other.theta)
    np.testing.assert_array_equal(flt.state, other.state)


# -- gaps
@pytest.mark.parametrize("options", ["plain", "unknown", "snap"])
def test_a_missing_y_moves_the_state_alone(recurrent_impl, options):
    flt = fed(recurrent_impl, "GRU", options)
    other, before = flt.copy(), flt._state()
    step = flt.update([0.3, -0.2], [np.nan, np.nan], dt=0.0)
    other.update([0.3, -0.2], [1.0, 2.0], dt=0.0, weight=0.0)
    np.testing.assert_array_equal(flt.theta, before["theta"])
    np.testing.assert_array_equal(flt._covariance(), other._covariance())
    np.testing.assert_array_equal(flt.state, other.state)
    np.testing.assert_array_equal(flt.influence, other.influence)
    assert (flt.state != before["state"]).all()
    assert np.isfinite(step.prediction).all()
    assert not flt._recurrence()["feedback"].any()
    np.testing.assert_array_equal(other._recurrence()["feedback"], [[1.0, 2.0], [1.0, 1.0]])


@pytest.mark.parametrize("options", ["plain", "unknown", "adam"])
def test_a_missing_y_with_a_bad_input_leaves_the_state(recurrent_impl, options):
    flt = fed(recurrent_impl, "GRU", options)
    state, influence, theta = flt.state, flt.influence, flt.theta
    step = flt.update([np.nan, 0.0], [np.nan, np.nan])
    assert np.isnan(step.prediction).all()
    for name, before in (("state", state), ("influence", influence), ("theta", theta)):
        np.testing.assert_array_equal(getattr(flt, name), before)


def test_prediction_changes_nothing_and_is_that_of_the_next_row(recurrent_impl):
    for options in ("plain", "unknown", "snap", "adam", "float32"):
        flt = fed(recurrent_impl, "LSTM", options)
        before, rows = bits(flt), np.array([[0.3, 1.0], [-2.0, 0.5]])
        mean = flt.predict(rows)
        assert mean.dtype == flt.settings.float
        for u, expected in zip(rows, mean, strict=True):
            np.testing.assert_allclose(
                flt.copy().update(u, [0.0, 0.0], dt=0.0).prediction, expected, rtol=1e-6, atol=1e-7
            )
        assert bits(flt) == before


# -- guards and gauges
def test_an_exploding_influence_starts_again(recurrent_impl):
    impl = recurrent_impl
    theta = np.zeros(impl.LinearStateSpace(1, 2, 1).n_parameters)
    theta[:2], theta[2:6] = 1e-3, (3 * np.eye(2)).ravel()
    make = lambda **more: impl.Filter(  # noqa: E731
        impl.LinearStateSpace(1, 2, 1), impl.Gaussian(), theta=theta, belief=impl.Full(1e-12), **more
    )
    flt = make()
    for _ in range(60):
        flt.update([0.5], np.nan)
        assert np.isfinite(flt.influence).all()
        assert np.abs(flt.influence).max() <= 1e8
    health = flt.health()
    assert health["restarts"] >= 4
    assert health["spectral_radius"] == pytest.approx(3.0)
    assert health["influence_max"] == np.abs(flt.influence).max()
    bare = make(guards=impl.Guards(influence=None))
    bare.update_many(np.full((60, 1), 0.5), np.full(60, np.nan))
    assert np.abs(bare.influence).max() > 1e20
    assert bare.health()["restarts"] == 0
    tight = make(guards=impl.Guards(influence=1.0))
    tight.update_many(np.full((60, 1), 0.5), np.full(60, np.nan))
    assert np.abs(tight.influence).max() <= 1.0


def test_a_state_that_overflows_is_refused(recurrent_impl):
    impl = recurrent_impl
    flt = impl.Filter(impl.LinearStateSpace(1, 1, 1), impl.Gaussian(), theta=[1.0, 1e200, 0, 1, 0], state=[1e150])
    with refused(errors.NonFiniteError, "u", flt):
        flt.update([1.0], np.nan)


def test_residuals_that_hang_together_are_seen(recurrent_impl):
    impl, rng = recurrent_impl, np.random.default_rng(0)
    U, Y = rng.normal(size=(60, 2)), rng.normal(size=(60, 2))
    flt = impl.Filter(impl.RNN(2, 3, 2), impl.Gaussian(1e6), belief=impl.Full(1e-6))
    assert np.isnan(flt.health()["residual_autocorrelation"])
    Y[10, 0], Y[20] = np.nan, np.nan
    trace = flt.update_many(U, Y)
    r = np.nan_to_num(Y - trace.prediction)
    expected = np.mean(np.sum(r[1:] * r[:-1], axis=0) / np.sum(r**2, axis=0))
    assert flt.health()["residual_autocorrelation"] == pytest.approx(expected, rel=1e-12)


def test_the_types_of_what_is_read(recurrent_impl):
    for options, dtype in (("plain", np.float64), ("float32", np.float32)):
        flt = fed(recurrent_impl, "LSTM", options)
        p = len(flt.theta)
        for name, shape in {"state": (4,), "initial_state": (4,), "influence": (4, p)}.items():
            assert (getattr(flt, name).dtype, getattr(flt, name).shape) == (dtype, shape)
            getattr(flt, name)[...] = 7  # a copy
            assert (getattr(flt, name) != 7).all()
        assert (flt.joint_cov().dtype, flt.joint_cov().shape) == (np.float64, (4 + p, 4 + p))
        mean, std = flt.forecast(steps=3)
        assert (mean.dtype, std.dtype) == (dtype, np.float64)
        assert flt.forecast(steps=0)[0].shape == (0, 2)


# -- the first rows
@pytest.mark.parametrize("learned", [None, "each"])
@pytest.mark.parametrize("model", ["RNN", "GRU", "LSTM", "LRU"])
def test_units_do_not_matter(recurrent_impl, model, learned):
    impl = recurrent_impl
    rng = np.random.default_rng(0)
    x = np.sin(np.arange(90)[:, None] / [7, 11]) + 0.1 * rng.normal(size=(90, 2)) + 3.0
    found = []
    for scale in (1.0, 100.0):
        made = models(impl)[model] if model != "GRU" else impl.GRU(2, 2, 2)
        flt = impl.Filter.from_rows(scale * x[:40], scale * x[1:41], made, impl.Gaussian(learned))
        flt.update_many(scale * x[40:-1], scale * x[41:])
        mean, std = flt.forecast(steps=15)
        found.append((mean / scale, std / scale))
    for mine, other in zip(*found, strict=True):
        assert np.max(np.abs(mine - other)) < 1e-6 * np.max(np.abs(mine))


def test_what_the_first_rows_set(recurrent_impl):
    impl, rng = recurrent_impl, np.random.default_rng(1)
    U, Y = rng.normal(size=(50, 3)) * [1, 10, 0] + [5, -3, 2], 7 + 4 * rng.normal(size=(50, 2))
    U[3, 0], Y[3] = np.nan, np.nan
    flt = impl.Filter.from_rows(U, Y, impl.RNN(3, 4, 2), impl.Gaussian(2.0), belief=impl.Full(0.5), seed=3)
    s = flt.settings
    np.testing.assert_allclose(s.model.input_center, np.nanmean(U, axis=0), rtol=1e-14)
    np.testing.assert_allclose(s.model.input_scale, [*np.nanstd(U, axis=0)[:2], 1.0], rtol=1e-14)
    start, plain = s.model.split(s.theta), s.model.split(impl.RNN(3, 4, 2).initial_theta(3))
    sd = np.nanstd(Y, axis=0)
    np.testing.assert_allclose(start["weight_out"], plain["weight_out"] * sd[:, None], rtol=1e-12)
    np.testing.assert_allclose(start["bias_out"], np.nanmean(Y, axis=0), rtol=1e-12)
    np.testing.assert_array_equal(start["weight_hh"], plain["weight_hh"])
    prior = s.model.split(np.asarray(s.belief.prior_variance))
    for name, variance in {"weight_ih": 1 / 3, "weight_hh": 1 / 4, "bias": 1.0}.items():
        np.testing.assert_allclose(prior[name], 0.5 * variance, rtol=1e-14)
    np.testing.assert_allclose(prior["weight_out"], 0.5 * np.tile(sd[:, None] ** 2 / 4, (1, 4)), rtol=1e-12)
    np.testing.assert_allclose(prior["bias_out"], 0.5 * sd**2, rtol=1e-12)
    own = impl.Filter.from_rows(U, Y, impl.RNN(3, 4, 2, input_center=[0, 0, 0]), impl.Gaussian(), rule=impl.SGD(1e-3))
    assert not own.settings.model.input_center.any()
    assert own.settings.model.input_scale[0] < 2
    lru = impl.Filter.from_rows(U, Y, impl.LRU(3, 4, 2), impl.Gaussian(), state_prior=0.1)
    assert (lru.settings.model.split(np.asarray(lru.settings.belief.prior_variance))["decay"] == 1.0).all()
    assert lru.n_updates == 49
