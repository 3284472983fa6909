"""Forgetting towards the prior in a recurrent model: each pull is a pseudo-observation in the joint filter of (s, theta).

The pulls of a row come after its f and before its y, all linearised where the row found the state and the parameters:

    P <- P/decay;  P <- F P F';  for each coordinate i whose turn it is: theta_i observed at theta_0,i with precision
    (1 - D_i)/P_0,i, s moving along;  then y at z(s-, theta) + H (what the pulls moved).
Control: the state does not move with the pulls.
"""

import math

import numpy as np
import pytest
from theory import joint_ekf
from theory.cells import derivative
from tolerances import CONTROL

LAM, TOL = 0.05, 1e-11


def literal(rows, still=False):
    """s, theta and P after each row; `still`: pulls leave the state where it is."""
    cell, law, n, p = rows.cell, rows.law, rows.cell.n, rows.p
    prior = np.diagonal(rows.prior)
    s, theta, P = np.zeros(n), rows.theta_0, np.zeros((n + p, n + p))
    P[n:, n:] = np.diag(prior)
    log_D, owed, turn, path = np.zeros(p), 0.0, 0, []
    for u, y, dt, w in zip(rows.U, rows.Y, rows.dt, rows.weight, strict=True):
        F = np.eye(n + p)
        F[:n, :n] = derivative(lambda x, u=u, theta=theta: cell.f(theta, x, u), s)
        F[:n, n:] = derivative(lambda x, u=u, s=s: cell.f(x, s, u), theta)
        x = np.concatenate([cell.f(theta, s, u), theta])
        at, P = x, F @ P @ F.T / (1 - LAM) ** dt
        log_D, owed = log_D + dt * math.log(1 - LAM), owed - dt * math.log(1 - LAM)
        while owed >= math.log(2) / p:
            i, owed = n + turn, owed - math.log(2) / p
            R = prior[turn] / -math.expm1(log_D[turn])
            K = P[:, i] / (P[i, i] + R)
            x = x + K * (rows.theta_0[turn] - x[i])
            P = P - np.outer(K, P[i])
            log_D[turn], turn = 0.0, (turn + 1) % p
        if not np.isnan(y).all():
            h = np.hstack([derivative(lambda v, theta=theta: cell.h(theta, v, law.k), at[:n]),
                           derivative(lambda v, at=at: cell.h(v, at[:n], law.k), theta)])  # fmt: skip
            z = cell.h(theta, at[:n], law.k) + h @ (x - at)
            y_hat, R, slope = law.moments(z)
            seen = ~np.isnan(law.indicators(y))
            H, R = (slope @ h)[seen], R[np.ix_(seen, seen)] / w
            K = np.linalg.solve(H @ P @ H.T + R, H @ P).T
            pulled = x - at
            x, P = x + K @ (law.indicators(y) - y_hat)[seen], P - K @ H @ P
            if still:
                x[:n] -= pulled[:n]
        s, theta, P = x[:n], x[n:], (P + P.T) / 2
        path.append((s, theta, P))
    return joint_ekf.Path(*(np.array(part) for part in zip(*path, strict=True)), None, None, None)


@pytest.mark.parametrize("still", [False, True])
@pytest.mark.parametrize("law", ["Gaussian", "Poisson"])
@pytest.mark.parametrize("cell", ["RNN", "GRU", "LSTM", "LinearStateSpace", "LRU"])
def test_pulls_move_the_state(recurrent_impl, cell, law, still):
    impl, rows = recurrent_impl, joint_ekf.stream(cell, law)
    flt = impl.Filter(
        rows.cell.model(impl, rows.law.k),
        rows.law.family(impl),
        belief=impl.Full(np.diagonal(rows.prior)),
        rule=impl.Fading(LAM, towards="prior"),
        theta=rows.theta_0,
        guards=impl.Guards.none(),
    )
    error = joint_ekf.apart(joint_ekf.feed(flt, rows), literal(rows, still))
    assert error > CONTROL * TOL if still else error < TOL
