"""T23, first part: every partial derivative of every cell equals its complex-step derivative; and what a pattern promises.

Controls: the partials at another state, at other parameters, at another input.
"""

import numpy as np
import pytest
from theory.cells import CELLS, D, derivative
from tolerances import CONTROL

from kfng import reference

TOL = 1e-13
K = 2


def place(cell, seed=3):
    rng = np.random.default_rng(seed)
    return cell.start(K, seed), rng.normal(size=cell.n), rng.normal(size=D)


def exact(cell, theta, s, u):
    return {
        "s": cell.f(theta, s, u),
        "f_s": derivative(lambda x: cell.f(theta, x, u), s),
        "f_theta": derivative(lambda x: cell.f(x, s, u), theta),
        "f_u": derivative(lambda x: cell.f(theta, s, x), u),
    }


def apart(found, wanted):
    return max(np.max(np.abs(getattr(found, name) - values)) for name, values in wanted.items())


@pytest.mark.parametrize("moved", [None, "theta", "s", "u"])
@pytest.mark.parametrize("name", CELLS)
def test_transition(name, moved):
    cell = CELLS[name]
    at = dict(zip(("theta", "s", "u"), place(cell), strict=True))
    wanted = exact(cell, **at)
    if moved:
        at[moved] = 0.9 * at[moved]
    error = apart(cell.model(reference, K).advance(**at), wanted)
    assert error > CONTROL * TOL if moved else error < TOL


@pytest.mark.parametrize("moved", [False, True])
@pytest.mark.parametrize("name", CELLS)
def test_readout(name, moved):
    cell = CELLS[name]
    theta, s, _ = place(cell)
    wanted = {
        "z": cell.h(theta, s, K),
        "h_s": derivative(lambda x: cell.h(theta, x, K), s),
        "h_theta": derivative(lambda x: cell.h(x, s, K), theta),
    }
    error = apart(cell.model(reference, K).readout(theta, 0.9 * s if moved else s), wanted)
    assert error > CONTROL * TOL if moved else error < TOL


@pytest.mark.parametrize("name", CELLS)
def test_patterns_are_the_places_where_something_is(name):
    """At a generic point nothing outside the pattern differs from 0, and everything inside does (relu: where it is on)."""
    cell, model = CELLS[name], CELLS[name].model(reference, K)
    seen_s = np.zeros((cell.n, cell.n), dtype=bool)
    seen_theta = np.zeros((cell.n, cell.p(K)), dtype=bool)
    for seed in range(20):
        found = model.advance(*place(cell, seed))
        seen_s |= found.f_s != 0
        seen_theta |= found.f_theta != 0
    np.testing.assert_array_equal(seen_s, model.state_pattern())
    np.testing.assert_array_equal(seen_theta, model.parameter_pattern())
    assert len(model.units()) == cell.n


@pytest.mark.parametrize("name", CELLS)
def test_names_and_sizes(name):
    cell, model = CELLS[name], CELLS[name].model(reference, K)
    assert model.n_parameters == cell.p(K)
    assert (model.state_size, model.inputs, model.outputs, model.recurrent) == (cell.n, D, K, True)
    theta = model.initial_theta(4)
    rng = np.random.default_rng(4)
    for part_name, part in model.split(theta).items():
        if part.ndim == 2:
            drawn = rng.standard_normal(part.shape) / np.sqrt(part.shape[1])
            mask = cell.options.get("mask") if part_name == "weight_hh" else None
            np.testing.assert_array_equal(part, drawn if mask is None else drawn * mask)
        elif part_name == "decay":
            np.testing.assert_allclose(np.tanh(part), [0.5, 0.745, 0.99], rtol=1e-14)
        else:
            assert not part.any()


def test_masked_weights_do_not_matter():
    cell = CELLS["RNN masked"]
    model, (theta, s, u) = cell.model(reference, K), place(cell)
    other = theta.copy()
    model.split(other)["weight_hh"][cell.options["mask"] == 0] = 7.0
    assert (other != theta).any()
    for mine, its in zip(model.advance(theta, s, u), model.advance(other, s, u), strict=True):
        np.testing.assert_array_equal(mine, its)
    assert model.spectral_radius(theta) == model.spectral_radius(other)
