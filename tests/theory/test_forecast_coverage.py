"""Forecasts say how sure they are: of 90 % bands, 20 rows ahead and fed back, 87 to 93 % hold, where the model is right.

200 series, each of a model whose parameters are drawn from the prior; the noise is known or learned, the initial state known
or drawn from its prior. Control: bands of the noise alone, as if state, parameters and inputs to come were known.
"""

import numpy as np
import pytest
from theory.cells import parts, sigmoid, times

import kfng

SEEDS, ROWS, AHEAD, R, H = 200, 12, 20, 0.02, 3


def elman(theta, s, x):
    W, V, b = parts(theta[..., : H * (H + 2)], (H, 1), (H, H), (H,))
    return np.tanh(times(W, x) + times(V, s) + b)


def gru(theta, s, x):
    W, V, b, b_hn = parts(theta[..., : 3 * H * (H + 2) + H], (3 * H, 1), (3 * H, H), (3 * H,), (H,))
    a, v = times(W, x) + b, times(V, s)
    r, z = sigmoid(a[..., :H] + v[..., :H]), sigmoid(a[..., H : 2 * H] + v[..., H : 2 * H])
    n = np.tanh(a[..., 2 * H :] + r * (v[..., 2 * H :] + b_hn))
    return (1 - z) * n + z * s


def lru(theta, s, x):
    W, decay, b = parts(theta[..., : 3 * H], (H, 1), (H,), (H,))
    return np.tanh(decay) * s + times(W, x) + b


CELLS = {"RNN": (elman, 2), "GRU": (gru, 2), "LRU": (lru, 1)}
"""f, and the seed of theta_0: of one that says something in few rows, and does not diverge."""
PRIOR, STATE_PRIOR = 0.03, 0.1


def series(name, p, unknown):
    """theta_0 (p,) and y (SEEDS, ROWS + AHEAD + 1), each row's input the y before it."""
    f, seed = CELLS[name]
    rng = np.random.default_rng(seed)
    theta_0 = 0.8 * rng.normal(size=p)
    truth = theta_0 + np.sqrt(PRIOR) * rng.normal(size=(SEEDS, p))
    s = np.sqrt(STATE_PRIOR) * rng.normal(size=(SEEDS, H)) if unknown else np.zeros((SEEDS, H))
    y = [np.zeros((SEEDS, 1))]
    for _ in range(ROWS + AHEAD):
        s = f(truth, s, y[-1])
        C, c = parts(truth[:, -H - 1 :], (1, H), (1,))
        y.append(times(C, s) + c + np.sqrt(R) * rng.normal(size=(SEEDS, 1)))
    return theta_0, np.concatenate(y, axis=1)


@pytest.mark.parametrize(
    ("name", "learned", "unknown"), [("RNN", False, False), ("GRU", True, True), ("LRU", False, True)]
)
def test_bands_hold_as_often_as_they_say(name, learned, unknown):
    """On kfng alone: 200 filters; that the reference forecasts the same is shown elsewhere."""
    model = getattr(kfng, name)(1, H, 1)
    theta_0, series_y = series(name, model.n_parameters, unknown)
    # learned: sigma² ~ InvGamma(5, 4 R), of mean R, and the prior of theta as a multiple of it
    family = kfng.Gaussian(None, prior_dof=10, prior_scale=np.sqrt(0.8 * R)) if learned else kfng.Gaussian(R)
    unit = R if learned else 1.0
    held, naive = [], []
    for y in series_y:
        flt = kfng.Filter(model, family, belief=kfng.Full(PRIOR / unit), theta=theta_0,
                          state_prior=STATE_PRIOR / unit if unknown else None)  # fmt: skip
        flt.update_many(y[:ROWS, None], y[1 : ROWS + 1], trace=False)
        mean, std = flt.forecast(steps=AHEAD)
        held.append(np.abs(y[ROWS + 1 :] - mean) < 1.6449 * std)
        naive.append(np.abs(y[ROWS + 1 :] - mean) < 1.6449 * np.sqrt(flt.noise_variance[0]))
    assert 0.87 < np.mean(held) < 0.93
    assert np.mean(naive) < 0.87
