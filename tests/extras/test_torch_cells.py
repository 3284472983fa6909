"""`RNN`, `GRU` and `LSTM` have the equations and the gate order of PyTorch's cells: `make test-extras`.

theta is put together from the weights of a torch cell as the docstrings say (two biases that only add are one here).
"""

import numpy as np
import pytest

import kfng

D, H, K, ROWS = 3, 5, 2, 20


@pytest.fixture(scope="module")
def torch():
    try:
        import torch
    except ImportError as error:
        pytest.fail(f"the extra torch is not installed: {error}", pytrace=False)
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    return torch


def theta_of(cell, kind, readout):
    W, V, b_i, b_h = (part.detach().numpy() for part in (cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh))
    bias = b_i + b_h
    parts = [W, V, bias]
    if kind == "GRU":  # b_hn is multiplied by the reset gate: it is no part of the sum
        parts = [W, V, np.concatenate([bias[: 2 * H], b_i[2 * H :]]), b_h[2 * H :]]
    return np.concatenate([np.ravel(part) for part in (*parts, *readout)])


@pytest.mark.parametrize("wrong", [False, True])
@pytest.mark.parametrize("kind", ["RNN", "relu", "GRU", "LSTM"])
def test_the_same_states(torch, kind, wrong):
    """Control: two gates (of the plain network two units) the other way round."""
    rng = np.random.default_rng(1)
    U, readout = rng.normal(size=(ROWS, D)), (rng.normal(size=(K, H)), rng.normal(size=K))
    make = {
        "RNN": (torch.nn.RNNCell(D, H), kfng.RNN(D, H, K)),
        "relu": (torch.nn.RNNCell(D, H, nonlinearity="relu"), kfng.RNN(D, H, K, activation="relu")),
        "GRU": (torch.nn.GRUCell(D, H), kfng.GRU(D, H, K)),
        "LSTM": (torch.nn.LSTMCell(D, H), kfng.LSTM(D, H, K)),
    }
    cell, model = make[kind]
    theta = theta_of(cell, kind, readout)
    if wrong:
        W = model.split(theta)["weight_ih"]
        first, second = (slice(0, H), slice(H, 2 * H)) if len(W) > H else ([0], [1])
        W[first], W[second] = W[second].copy(), W[first].copy()
    flt = kfng.Filter(model, kfng.Gaussian(), theta=theta)
    trace = flt.update_many(U, np.full((ROWS, K), np.nan))
    state = None
    for u in U:
        state = cell(torch.as_tensor(u)[None], state)
        h = (state[0] if kind == "LSTM" else state).detach().numpy()[0]
    error = np.max(np.abs(trace.prediction[-1] - (readout[0] @ h + readout[1])))
    whole = np.concatenate([part.detach().numpy()[0] for part in state]) if kind == "LSTM" else h
    error = max(error, np.max(np.abs(flt.state - whole)))
    assert error > 1e-3 if wrong else error < 1e-13
