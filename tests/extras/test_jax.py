"""`kfng.jax`: `make test-extras`. What it shares with other frameworks is tested in tests/test_learner.py."""

import numpy as np
import pytest

import kfng
from kfng import errors

try:
    import jax
    import jax.numpy as jnp
except ImportError as error:
    pytest.fail(f"the extra jax is not installed: {error}", pytrace=False)

from jax.flatten_util import ravel_pytree

from kfng.jax import filter_for

TOLERANCE = 1e-8
SIZES = [2, 8, 1]


@pytest.fixture(autouse=True)
def wide():
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", False)


def network(layers, u):
    for W, b in layers[:-1]:
        u = jnp.tanh(W @ u + b)
    W, b = layers[-1]
    return W @ u + b


def layers(sizes=SIZES, seed=0):
    rng = np.random.default_rng(seed)
    return [(rng.normal(size=(o, i)) / np.sqrt(i), np.zeros(o)) for i, o in zip(sizes[:-1], sizes[1:], strict=True)]


def flat(tree):
    return np.asarray(ravel_pytree(tree)[0])


def rows(n=200):
    rng = np.random.default_rng(0)
    U = rng.normal(size=(n, 2))
    return U, np.sin(2 * U[:, 0]) + 0.5 * U[:, 1] + 0.1 * rng.normal(size=n)


@pytest.mark.parametrize("wrong", [False, True])
@pytest.mark.parametrize(
    ("sizes", "family", "label"),
    [
        ([2, 8, 1], kfng.Gaussian(0.01), lambda y: y),
        ([2, 6, 5, 1], kfng.Bernoulli(), lambda y: (y > 0) * 1.0),
        ([2, 6, 3], kfng.Categorical(3), lambda y: np.digitize(y, [-0.5, 0.5])),
    ],
)
def test_one_row_at_a_time_is_the_networks_own_filter(sizes, family, label, wrong):
    """Control: one derivative 1 % too large."""
    U, y = rows()
    y, start = label(y), layers(sizes)
    f = network
    if wrong:

        def f(params, u):
            W = params[0][0]
            first = W[0, 0]
            return network(
                [(W.at[0, 0].set(1.01 * first - 0.01 * jax.lax.stop_gradient(first)), params[0][1]), *params[1:]], u
            )

    learner = filter_for(f, start, family=family)
    own = kfng.Filter(kfng.MLP(sizes), family, theta=flat(start))
    trace, expected = learner.update_many(U, y), own.update_many(U, y)
    error = np.abs(own.theta - learner.filter.theta).max()
    if wrong:
        assert error > 1000 * TOLERANCE
        return
    assert error < TOLERANCE
    assert np.abs(trace.nll - expected.nll).max() < TOLERANCE
    assert np.abs(own.cov() - learner.filter.cov()).max() < TOLERANCE
    for got, wanted in zip(learner.predict(U, return_std=True), own.predict(U, return_std=True), strict=True):
        assert np.abs(got - wanted).max() < TOLERANCE
    assert (flat(learner.params) == learner.filter.theta).all()
    assert np.abs(flat(learner.std()) - own.std()).max() < TOLERANCE
    step, wanted = learner.update(U[0], y[0]), own.update(U[0], y[0])
    assert np.abs(step.nll - wanted.nll) < TOLERANCE


def convolution(params, image):
    """A convolution of an image (8, 8), tanh, and a dense layer of 4 outputs."""
    kernel, weight, bias = params["kernel"], params["dense"]["weight"], params["dense"]["bias"]
    maps = jax.lax.conv_general_dilated(image[None, None], kernel, (2, 2), "SAME")
    return weight @ jnp.tanh(maps).ravel() + bias


def cnn_params():
    rng = np.random.default_rng(0)
    dense = {"weight": rng.normal(size=(4, 48)) / 7, "bias": np.zeros(4)}
    return {"kernel": rng.normal(size=(3, 1, 3, 3)) / 3, "dense": dense}


def test_a_convolution_and_its_jacobian():
    learner = filter_for(convolution, cnn_params(), family=kfng.Categorical(4))
    images = np.random.default_rng(1).normal(size=(5, 8, 8))
    theta = learner.filter.theta
    Z, dZ = learner._linearise(theta, images)
    assert (Z.shape, dZ.shape) == ((5, 4), (5, 4, 223))
    step = 1e-6 * np.random.default_rng(0).normal(size=len(theta))
    up, down = learner._evaluate(theta + step, images), learner._evaluate(theta - step, images)
    assert np.abs((up - down) / 2 - dZ @ step).max() < 1e-4 * np.abs(step).max()
    single = [learner._linearise(theta, images[i : i + 1]) for i in range(5)]
    assert np.abs(np.concatenate([dz for _, dz in single]) - dZ).max() < 1e-12
    learner.update_many(images, [0, 1, 2, 3, 0], block=3)
    assert jax.tree_util.tree_structure(learner.params) == jax.tree_util.tree_structure(cnn_params())
    assert learner.params["kernel"].shape == learner.std()["kernel"].shape == (3, 1, 3, 3)
    assert learner.n_updates == 5


def test_few_shapes_are_compiled():
    traced = []

    def f(params, u):
        traced.append(u.shape)
        return params @ u

    learner = filter_for(f, np.zeros(2), family=kfng.Gaussian())
    U, y = rows(100)
    for n in (1, 5, 6, 7, 8, 33, 64):
        learner.update_many(U[:n], y[:n], block=32)
        for u in U[:3]:
            learner.update(u, 1.0)
    assert len(traced) == len({1, 8, 32})  # 33 rows are 32 and 1


def test_more_outputs_than_parameters():
    """jacfwd takes jacrev's place."""
    X = np.random.default_rng(0).normal(size=(6, 2))
    learner = filter_for(lambda theta, u: X @ theta * u, np.zeros(2), family=kfng.Gaussian(0.1), outputs=6)
    learner.update_many(np.ones(3), np.tile(X @ [1.0, -2.0], (3, 1)))
    theta = np.linalg.solve(X.T @ X * 30 + np.eye(2), X.T @ X @ [1.0, -2.0] * 30)
    assert np.abs(learner.filter.theta - theta).max() < 1e-10


def test_inputs_may_be_trees():
    def f(params, u):
        return params["table"][u["i"]] @ u["x"]

    rng = np.random.default_rng(0)
    U = {"i": np.arange(20) % 3, "x": rng.normal(size=(20, 3))}
    learner = filter_for(f, {"table": np.zeros((4, 3))}, family=kfng.Gaussian(0.1))
    learner.update_many(U, rng.normal(size=20), block=4)
    learner.update({"i": 1, "x": np.ones(3)}, 0.5)
    assert learner.predict(U).shape == (20,)
    assert not learner.params["table"][3].any()
    assert (np.asarray(learner.params["table"])[:3] != 0).all()


def test_float32_without_x64():
    U, y = rows(30)
    wide = filter_for(network, layers(), family=kfng.Gaussian(0.01))
    wide.update_many(U, y)
    jax.config.update("jax_enable_x64", False)
    narrow = filter_for(network, layers(), family=kfng.Gaussian(0.01))
    trace = narrow.update_many(U, y)
    assert narrow.params[0][0].dtype == np.float32
    assert narrow.filter.theta.dtype == trace.prediction.dtype == np.float64
    assert 0 < np.abs(narrow.filter.theta - wide.filter.theta).max() < 1e-3
    own = filter_for(network, layers(), family=kfng.Gaussian(0.01), dtype="float32")
    own.update_many(U, y)
    assert own.filter.theta.dtype == np.float32


def test_leaves_of_any_precision():
    mixed = {"w": np.ones(2, dtype=np.float32), "b": 0.5, "s": jnp.ones((), dtype=jnp.bfloat16)}
    learner = filter_for(lambda p, u: p["w"] @ u * p["s"] + p["b"], mixed, family=kfng.Gaussian())
    U, y = rows(10)
    learner.update_many(U, y)
    assert {leaf.dtype for leaf in jax.tree_util.tree_leaves(learner.params)} == {np.dtype(np.float64)}


@pytest.mark.parametrize(
    ("error", "argument", "call"),
    [
        (errors.ParameterError, "f", lambda: filter_for(None, layers(), family=kfng.Gaussian())),
        (errors.DtypeError, "theta0", lambda: filter_for(network, {"n": 3}, family=kfng.Gaussian())),
        (errors.DtypeError, "theta0", lambda: filter_for(network, np.ones(3, dtype=complex), family=kfng.Gaussian())),
        (errors.ShapeError, "theta0", lambda: filter_for(network, {}, family=kfng.Gaussian())),
        (errors.NonFiniteError, "theta", lambda: filter_for(network, np.full(3, np.nan), family=kfng.Gaussian())),
        (errors.ShapeError, "family", lambda: filter_for(network, layers(), family=kfng.Bernoulli(), outputs=2)),
        (errors.ParameterError, "outputs", lambda: filter_for(network, layers(), family=kfng.Gaussian(), outputs=0)),
        (errors.ParameterError, "block", lambda: filter_for(network, layers(), family=kfng.Gaussian(), block=1.5)),
    ],
)
def test_what_cannot_learn(error, argument, call):
    with pytest.raises(error) as caught:
        call()
    assert caught.value.argument == argument


@pytest.mark.parametrize(
    ("error", "argument", "f", "call"),
    [
        (errors.ShapeError, "output", network, lambda flt, U, y: flt.update_many(U, np.c_[y, y])),
        (errors.DtypeError, "output", lambda p, u: jnp.argmax(u), lambda flt, U, y: flt.update(U[0], [1, 1])),
        (errors.ShapeError, "U", network, lambda flt, U, y: flt.update_many((U, U[:3]), np.c_[y, y])),
        (errors.ShapeError, "U", network, lambda flt, U, y: flt.update_many(1.0, np.c_[y, y])),
        (errors.DtypeError, "U", network, lambda flt, U, y: flt.update_many(np.array([["a"]]), [[1, 1]])),
        (errors.NonFiniteError, "u", lambda p, u: jnp.stack([u[0] * p[0][1][0]] * 2), lambda flt, U, y: flt.update(U[0] * np.inf, [1, 1])),
        (errors.NonFiniteError, "jacobian", lambda p, u: jnp.sqrt(p[0][1][:2]), lambda flt, U, y: flt.update(U[0], [1, 1])),
    ],
)  # fmt: skip
def test_after_an_error_all_is_as_before(error, argument, f, call):
    U, y = rows(10)
    learner = filter_for(f, layers(), family=kfng.Gaussian(), outputs=2)
    before = learner.filter._to_bytes()
    with pytest.raises(error) as caught:
        call(learner, U, y)
    assert caught.value.argument == argument
    assert learner.filter._to_bytes() == before


def test_many_parameters_with_variances_alone():
    sizes = [20, 4000, 3]
    learner = filter_for(network, layers(sizes), family=kfng.Categorical(3), belief=kfng.Diagonal(0.01))
    U = np.random.default_rng(0).normal(size=(8, 20))
    trace = learner.update_many(U, np.arange(8) % 3, block=4)
    assert learner.filter.settings.p == 96003
    assert np.isfinite(trace.nll).all()
    mean, std = learner.predict(U, return_std=True)
    assert mean.shape == std.shape == (8, 3)


def test_files(tmp_path):
    U, y = rows(20)
    learner, other = (filter_for(network, layers(), family=kfng.Gaussian(0.01)) for _ in range(2))
    learner.update_many(U, y)
    learner.save(tmp_path / "model.kfng")
    other.load(tmp_path / "model.kfng")
    assert (flat(other.params) == flat(learner.params)).all()
