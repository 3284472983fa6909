"""T20: natural gradient on RTRL is the extended Kalman filter of state and parameters together.

    s- = f(s, theta, u);  ds <- f_s ds + f_theta;  ...;  s = s- + ds·dtheta;   joint covariance = [ds; I] P [ds; I]'

Controls: no state correction (also in the filter itself), noise of its own for the state, partials at the uncorrected state.
Source: Ollivier 2018, arXiv 1703.00209. Late corrections of the state are not zero: the test is not vacuous.
"""

from functools import cache

import numpy as np
import pytest
from theory import joint_ekf
from tolerances import CONTROL

MODELS = ("RNN", "GRU scaled", "LSTM", "LinearStateSpace", "LRU", "RNN masked")
TOL = {0.0: 1e-12, 0.01: 1e-10}


@cache
def problem(cell, law):
    return joint_ekf.stream(cell, law)


@cache
def exact(cell, law, lam, control=None):
    controls = {None: {}, "state noise": {"state_noise": 1e-3}, "stale partials": {"stale": True}}
    return joint_ekf.run(problem(cell, law), lam, **controls[control])


@cache
def fed(impl, cell, law, lam, guards="no_guards", state_correction=True):
    rows = problem(cell, law)
    flt = impl.Filter(
        rows.cell.model(impl, rows.law.k),
        rows.law.family(impl),
        belief=impl.Full(rows.prior),
        rule=impl.Fading(lam) if lam else impl.Kalman(),
        theta=rows.theta_0,
        guards=impl.Guards() if guards == "default_guards" else impl.Guards.none(),
        sensitivity=impl.RTRL(state_correction),
    )
    found = joint_ekf.feed(flt, rows)
    health = flt.health()
    assert [health[name] for name in ("skipped", "clipped", "clamped", "windup", "floored", "restarts")] == [0] * 6
    assert health["missing"] >= 3
    return found


@pytest.mark.parametrize("lam", TOL)
@pytest.mark.parametrize("law", joint_ekf.LAWS)
@pytest.mark.parametrize("cell", MODELS)
def test_the_filter_is_the_joint_ekf(recurrent_impl, cell, law, lam, guards):
    path = exact(cell, law, lam)
    assert joint_ekf.apart(fed(recurrent_impl, cell, law, lam, guards), path) < TOL[lam]
    late = path.corrections[-10:]
    assert np.max(np.abs(late)) > 1e-3


@pytest.mark.parametrize("control", ["state noise", "stale partials"])
@pytest.mark.parametrize("law", joint_ekf.LAWS)
@pytest.mark.parametrize("cell", MODELS)
def test_control_another_joint_filter(recurrent_impl, cell, law, control):
    found = fed(recurrent_impl, cell, law, 0.0)
    assert joint_ekf.apart(found, exact(cell, law, 0.0, control)) > CONTROL * TOL[0.0]


@pytest.mark.parametrize("law", joint_ekf.LAWS)
@pytest.mark.parametrize("cell", MODELS)
def test_control_no_state_correction(recurrent_impl, cell, law):
    found = fed(recurrent_impl, cell, law, 0.01, state_correction=False)
    assert joint_ekf.apart(found, exact(cell, law, 0.01)) > CONTROL * TOL[0.01]
