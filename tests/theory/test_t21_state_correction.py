"""T21: with its correction the state is, up to the square of the parameter steps, what a run of theta_t from the start gives.

|s_t - s_t re-run with theta_t| falls like eps² where the steps of theta are of size eps; without the correction like eps.
"""

import numpy as np
import pytest
from theory.cells import CELLS, D

SMOOTH = [name for name in CELLS if name != "RNN relu"]
STEPS = (1e-4, 1e-5)
ROWS = 12


def distance(impl, cell, eps, corrected):
    """After rows whose steps of theta are of size eps."""
    rng = np.random.default_rng(2)
    theta = cell.start(1, seed=5)
    flt = impl.Filter(
        cell.model(impl, 1), impl.Gaussian(1.0), belief=impl.Full(eps), theta=theta, sensitivity=impl.RTRL(corrected)
    )
    U, Y = rng.normal(size=(ROWS, D)), 3.0 + rng.normal(size=ROWS)
    flt.update_many(U, Y)
    s = np.zeros(cell.n)
    for u in U:
        s = cell.f(flt.theta, s, u)
    assert np.max(np.abs(flt.theta - theta)) > 0.1 * eps
    return np.max(np.abs(flt.state - s))


@pytest.mark.parametrize(("corrected", "order"), [(True, 2), (False, 1)])
@pytest.mark.parametrize("name", SMOOTH)
def test_order(recurrent_impl, name, corrected, order):
    far, near = (distance(recurrent_impl, CELLS[name], eps, corrected) for eps in STEPS)
    assert abs(np.log10(far / near) - order) < 0.05
