"""The network: z = W_n a_n + b_n, a_{l+1} = act(W_l a_l + b_l), with dz/dtheta exact.

    tanh: dz_i = Im h(theta + i·1e-30·e_i)/1e-30           relu: central differences, away from the kinks

where h is written again here from the table of parameters. Networks start at weights N(0, 1/fan_in) of a seeded
generator, and where first rows are given at their level and scale.
"""

import numpy as np
import pytest
from theory.literal import error, judge

from kfng import errors
from kfng.reference.model import MLP

TOLERANCE = 1e-12
DIFFERENCES = 1e-9
LAYERS = [[1, 1], [3, 2], [3, 4, 1], [2, 5, 3], [3, 4, 2, 5, 2], [1, 2, 2, 2, 2, 1]]


def output(layers, activation, theta, u):
    """z (k,) with theta = (W_0, b_0, W_1, b_1, ...); theta may be complex."""
    act = np.tanh if activation == "tanh" else lambda s: np.where(s.real > 0, s, 0)
    a, start = u, 0
    for i, (n_in, n_out) in enumerate(zip(layers[:-1], layers[1:], strict=True)):
        W, start = theta[start : start + n_in * n_out].reshape(n_out, n_in), start + n_in * n_out
        a, start = W @ a + theta[start : start + n_out], start + n_out
        a = act(a) if i < len(layers) - 2 else a
    return a


def drawn(layers, activation="tanh", seed=0):
    """A network, its theta (biases drawn too) and a row."""
    rng, model = np.random.default_rng(seed), MLP(layers, activation)
    return model, model.initial_theta(seed) + 0.3 * rng.normal(size=model.n_parameters), rng.normal(size=layers[0])


def columns(function, p):
    return np.stack([function(step) for step in np.eye(p)], axis=1)


# the slope at the sum instead of the value bites where there is a hidden layer
@pytest.mark.parametrize("slope", ["of the value", "of its square root"])
@pytest.mark.parametrize("layers", LAYERS, ids=str)
def test_jacobian_of_tanh_is_the_complex_step(monkeypatch, layers, slope):
    model, theta, u = drawn(layers)
    exact = columns(lambda step: output(layers, "tanh", theta + 1e-30j * step, u).imag / 1e-30, len(theta))
    if slope != "of the value":
        from kfng.reference.model import mlp

        monkeypatch.setitem(mlp.ACTIVATIONS, "tanh", (np.tanh, lambda a: 1 - a))
    z, dz = model.forward(theta, u)
    assert z.shape == (layers[-1],)
    assert dz.shape == (layers[-1], len(theta))
    assert error(z, output(layers, "tanh", theta, u)) < TOLERANCE
    judge(error(dz, exact), TOLERANCE, control=slope != "of the value" and len(layers) > 2)


# the control, a leak of 1 %, bites where there is a hidden layer
@pytest.mark.parametrize("leak", [0.0, 0.01])
@pytest.mark.parametrize("layers", LAYERS[2:], ids=str)
def test_jacobian_of_relu_is_the_central_difference(monkeypatch, layers, leak):
    model, theta, u = drawn(layers, "relu", seed=2)
    if leak:
        from kfng.reference.model import mlp

        act, slope = mlp.ACTIVATIONS["relu"]
        monkeypatch.setitem(mlp.ACTIVATIONS, "relu", (act, lambda a: slope(a) + leak))
    z, dz = model.forward(theta, u)
    assert error(z, output(layers, "relu", theta, u)) < TOLERANCE
    assert abs(dz).max() > 0
    step = 1e-6  # z is linear in each parameter between two kinks
    up, down = (columns(lambda d, s=s: output(layers, "relu", theta + s * step * d, u), len(theta)) for s in (1, -1))
    judge(error(dz, (up - down) / (2 * step)), DIFFERENCES, control=bool(leak))


def test_relu_has_slope_0_at_0():
    """A unit whose sum is exactly 0 passes nothing back, and nothing is NaN."""
    model = MLP([2, 3, 1], "relu")
    theta = np.concatenate([np.zeros(9), np.ones(4)])  # sums 0, output weights 1
    z, dz = model.forward(theta, np.array([1.0, -2.0]))
    assert z == 1.0
    assert np.array_equal(dz, np.concatenate([np.zeros(12), [1.0]])[None])


@pytest.mark.parametrize("layers", LAYERS, ids=str)
def test_parameters_and_start(impl, layers):
    flt = impl.Filter(MLP(layers), impl.Gaussian(), seed=5)
    names = [name for i in range(len(layers) - 1) for name in (f"weight{i}", f"bias{i}")]
    assert list(flt.parameters) == names
    assert np.array_equal(np.concatenate([part.ravel() for part in flt.parameters.values()]), flt.theta)
    rng = np.random.default_rng(5)
    for i, (n_in, n_out) in enumerate(zip(layers[:-1], layers[1:], strict=True)):
        W, b = flt.parameters[f"weight{i}"], flt.parameters[f"bias{i}"]
        assert np.array_equal(W, rng.standard_normal((n_out, n_in)) / np.sqrt(n_in))
        assert np.array_equal(b, np.zeros(n_out))
    assert np.array_equal(flt.theta, impl.Filter(MLP(layers), impl.Gaussian(), seed=5).theta)
    assert not np.array_equal(flt.theta, impl.Filter(MLP(layers), impl.Gaussian(), seed=6).theta)


def test_component():
    model = MLP([3, np.int64(4), 1], activation="relu")
    assert model == MLP((3, 4, 1), "relu")
    assert model != MLP([3, 4, 1])
    assert eval(repr(model)) == model
    assert repr(MLP([3, 4, 1])) == "MLP(layers=[3, 4, 1])"
    assert model.spec() == {"kind": "MLP", "layers": [3, 4, 1], "activation": "relu"}
    assert MLP._from_spec(model.spec(), {}) == model


@pytest.mark.parametrize(
    "layers", [3, None, "34", [], [3], [3, 0], [3, -1, 1], [3.0, 1], [True, 1], [3, None], {3: 1, 4: 1}, [1] * 1025]
)
def test_layers_that_are_none(layers):
    with pytest.raises(errors.ParameterError) as caught:
        MLP(layers)
    assert caught.value.argument == "layers"


@pytest.mark.parametrize("activation", ["sigmoid", None, 1, "Tanh"])
def test_activations_that_are_none(activation):
    with pytest.raises(errors.UnknownNameError):
        MLP([2, 1], activation)


def first_rows(n=60, scale=1.0, size=1.0):
    rng = np.random.default_rng(8)
    U = rng.normal(size=(n, 3)) + [4.0, 0.0, -2.0]
    y = np.sin(U.sum(axis=1)) + 0.1 * rng.normal(size=n)
    return U * scale, 30.0 * size + size * y


# powers of two, so that the change of units is exact; a prior that knows units is the control
@pytest.mark.parametrize("start", ["from_rows", "Filter"])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_first_rows_make_the_filter_free_of_units(impl, activation, start):
    predictions = []
    for scale, size in ((1.0, 1.0), (np.array([2.0**12, 2.0**-9, 0.5]), 2.0**20)):
        U, y = first_rows(scale=scale, size=size)
        model, family = MLP([3, 5, 4, 1], activation), impl.Gaussian(variance=None)
        make = impl.Filter.from_rows if start == "from_rows" else lambda U, y, *same: impl.Filter(*same)
        flt = make(U[:20], y[:20], model, family)
        trace = flt.update_many(U[20:], y[20:])
        predictions.append(np.concatenate([trace.prediction, trace.std]) / size)
    judge(error(predictions[1], predictions[0]), TOLERANCE, control=start == "Filter")


def test_first_rows_set_level_and_prior(impl):
    U, y = first_rows()
    model, seed = MLP([3, 5, 2]), 4
    Y = np.column_stack([y, -3 * y])
    flt = impl.Filter.from_rows(U, Y, model, impl.Gaussian(), belief=impl.Full(2.0), seed=seed)
    V, raw = np.var(Y, axis=0), model.split(model.initial_theta(seed))
    theta = model.split(flt.settings.theta)
    prior = model.split(flt.settings.belief.prior_diagonal(model.n_parameters))
    exact = {
        "weight0": raw["weight0"] / np.std(U, axis=0),
        "weight1": raw["weight1"] * np.sqrt(V)[:, None],
        "bias1": Y.mean(axis=0),
    }
    exact["bias0"] = -exact["weight0"] @ U.mean(axis=0)
    for name, value in exact.items():
        assert error(theta[name], value) < TOLERANCE
    assert error(prior["weight0"], np.tile(2 / 3 / np.var(U, axis=0), (5, 1))) < TOLERANCE
    assert error(prior["weight1"], np.tile(2 * V[:, None] / 5, (1, 5))) < TOLERANCE
    assert np.array_equal(prior["bias0"], np.full(5, 2.0))
    assert error(prior["bias1"], 2 * V) < TOLERANCE
    given = impl.Filter.from_rows(U, Y, model, impl.Gaussian(), theta=np.ones(model.n_parameters))
    assert np.array_equal(given.settings.theta, np.ones(model.n_parameters))
