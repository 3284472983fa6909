"""A recurrent model that lives elsewhere: given its own partials it is the cell that kfng has itself, row by row.

Control: the partials at the theta of the row before.
"""

import numpy as np
import pytest
from theory import joint_ekf
from theory.cells import derivative
from tolerances import CONTROL

TOL = 1e-11


def settings(impl, rows, unknown, lam):
    return {
        "belief": impl.Full(rows.prior),
        "rule": impl.Fading(lam) if lam else impl.Kalman(),
        "theta": rows.theta_0,
        "state": np.full(rows.cell.n, 0.2),
        "state_prior": 0.3 if unknown else None,
        "guards": impl.Guards.none(),
    }


def condition(flt, rows, t, theta, y):
    """Row t with everything at `theta` and the filter's state."""
    cell, k, s, u = rows.cell, rows.law.k, flt.state, rows.U[t]
    ahead = cell.f(theta, s, u)
    transition = derivative(lambda x: cell.f(theta, x, u), s), derivative(lambda x: cell.f(x, s, u), theta)
    jacobian = derivative(lambda x: cell.h(theta, x, k), ahead), derivative(lambda x: cell.h(x, ahead, k), theta)
    return flt.condition(
        y, cell.h(theta, ahead, k), jacobian, weight=rows.weight[t], dt=rows.dt[t], state=ahead, transition=transition
    )


@pytest.mark.parametrize("control", [False, True])
@pytest.mark.parametrize(("unknown", "lam"), [(False, 0.0), (True, 0.0), (False, 0.02)])
@pytest.mark.parametrize("law", joint_ekf.LAWS)
@pytest.mark.parametrize("cell", ["RNN", "LSTM"])
def test_it_is_the_cell(recurrent_impl, cell, law, unknown, lam, control):
    impl, rows = recurrent_impl, joint_ekf.stream(cell, law)
    n, p, k = rows.cell.n, rows.p, rows.law.k
    own = impl.Filter(rows.cell.model(impl, k), rows.law.family(impl), **settings(impl, rows, unknown, lam))
    given = impl.Filter(impl.ExternalRecurrent(p, n, k), rows.law.family(impl), **settings(impl, rows, unknown, lam))
    before, worst = rows.theta_0, 0.0
    for t, (u, y) in enumerate(zip(rows.U, rows.Y, strict=True)):
        theta, now = (before if control else given.theta), given.theta
        mine = own.update(u, y, weight=rows.weight[t], dt=rows.dt[t])
        its = condition(given, rows, t, theta, y)
        before = now
        worst = max(worst, np.max(np.abs(mine.prediction - its.prediction)), np.max(np.abs(mine.std - its.std)))
    for name in ("theta", "state", "influence", "initial_state"):
        worst = max(worst, np.max(np.abs(getattr(own, name) - getattr(given, name))))
    worst = max(worst, np.max(np.abs(own.joint_cov() - given.joint_cov())))
    assert worst > CONTROL * TOL if control else worst < TOL


def test_nothing_to_learn_and_nothing_given(recurrent_impl):
    """A missing y with partials that are NaN: time passes for the belief, the state stays."""
    impl, rows = recurrent_impl, joint_ekf.stream("RNN", "Gaussian")
    flt = impl.Filter(impl.ExternalRecurrent(rows.p, 3, 2), impl.Gaussian(), rule=impl.Fading(0.1), theta=rows.theta_0)
    condition(flt, rows, 0, flt.theta, rows.Y[0])
    s, ds, cov = flt.state, flt.influence, flt.cov()
    gone = [np.full(shape, np.nan) for shape in ((2, 3), (2, rows.p), (3, 3), (3, rows.p))]
    step = flt.condition([np.nan, np.nan], [0.0, 0.0], gone[:2], state=np.zeros(3), transition=gone[2:])
    assert np.isnan(step.prediction).all()
    np.testing.assert_array_equal(flt.state, s)
    np.testing.assert_array_equal(flt.influence, ds)
    np.testing.assert_allclose(flt.cov(), cov / 0.9, rtol=1e-12)
