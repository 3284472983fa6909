"""`kfng.jax`: `make test-extras`. What it shares with other frameworks is tested in tests/test_learner.py."""

import numpy as np
import pytest

import kfng

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
