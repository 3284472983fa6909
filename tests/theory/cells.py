"""Recurrent cells written from their equations, and derivatives by complex step: no line is shared with kfng.

Every cell is s' = f(theta, s, u), z = h(theta, s'), for complex arguments and any leading axes, with theta as kfng
flattens it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

STEP = 1e-30
D = 2
CENTER, SCALE = np.array([0.3, -0.2]), np.array([1.5, 0.7])
MASK = np.array([[1, 0, 1], [1, 1, 0], [0, 0, 1]])


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def relu(a):
    return np.where(a.real > 0, a, 0)


def parts(theta, *shapes):
    """theta (..., p) cut into arrays of these shapes."""
    sizes = [int(np.prod(shape)) for shape in shapes]
    pieces = np.split(theta, np.cumsum(sizes)[:-1], axis=-1)
    return [piece.reshape(*piece.shape[:-1], *shape) for piece, shape in zip(pieces, shapes, strict=True)]


def times(W, x):
    """W x for matrices and vectors with any leading axes."""
    return np.sum(W * x[..., None, :], axis=-1)


def split(x, count):
    """Gates, one behind the other."""
    return np.split(x, count, axis=-1)


def elman(act, mask=None):
    def f(h, theta, s, x):
        W, V, b = parts(theta, (h, D), (h, h), (h,))
        return act(times(W, x) + times(V if mask is None else V * mask, s) + b)

    return f


def gru(h, theta, s, x):
    W, V, b, b_hn = parts(theta, (3 * h, D), (3 * h, h), (3 * h,), (h,))
    (x_r, x_z, x_n), (s_r, s_z, s_n) = split(times(W, x) + b, 3), split(times(V, s), 3)
    r, z = sigmoid(x_r + s_r), sigmoid(x_z + s_z)
    n = np.tanh(x_n + r * (s_n + b_hn))
    return (1 - z) * n + z * s


def lstm(h, theta, s, x):
    W, V, b = parts(theta, (4 * h, D), (4 * h, h), (4 * h,))
    hidden, c = s[..., :h], s[..., h:]
    i, f, g, o = split(times(W, x) + times(V, hidden) + b, 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return np.concatenate([sigmoid(o) * np.tanh(c), c], axis=-1)


def lru(h, theta, s, x):
    W, decay, b = parts(theta, (h, D), (h,), (h,))
    return np.tanh(decay) * s + times(W, x) + b


@dataclass(frozen=True)
class Cell:
    """`core` numbers of theta belong to f, the rest to the readout z = C s' + c of the first `units` entries of s' (n,)."""

    make: Callable
    inner: Callable
    core: int
    units: int = 3
    states: int = 1
    scaled: bool = False
    options: dict = field(default_factory=dict)

    @property
    def n(self):
        return self.states * self.units

    def model(self, impl, k):
        options = self.options | ({"input_center": CENTER, "input_scale": SCALE} if self.scaled else {})
        return self.make(impl)(D, self.units, k, **options)

    def p(self, k):
        return self.core + k * (self.units + 1)

    def f(self, theta, s, u):
        return self.inner(self.units, theta[..., : self.core], s, (u - CENTER) / SCALE if self.scaled else u)

    def h(self, theta, s, k):
        C, c = parts(theta[..., self.core :], (k, self.units), (k,))
        return times(C, s[..., : self.units]) + c

    def start(self, k, seed=0, size=0.5):
        """A theta (p,) with a memory: the state does not contract fast."""
        return size * np.random.default_rng(seed).normal(size=self.p(k))


def block(h):
    """Numbers of a gate: its rows of weight_ih, weight_hh and bias."""
    return h * (D + h + 1)


CELLS = {
    "RNN": Cell(lambda impl: impl.RNN, elman(np.tanh), block(3)),
    "RNN relu": Cell(lambda impl: impl.RNN, elman(relu), block(3), options={"activation": "relu"}),
    "RNN masked": Cell(lambda impl: impl.RNN, elman(np.tanh, MASK), block(3), options={"mask": MASK}),
    "RNN scaled": Cell(lambda impl: impl.RNN, elman(np.tanh), block(3), scaled=True),
    "GRU": Cell(lambda impl: impl.GRU, gru, 3 * block(2) + 2, units=2),
    "GRU scaled": Cell(lambda impl: impl.GRU, gru, 3 * block(2) + 2, units=2, scaled=True),
    "LSTM": Cell(lambda impl: impl.LSTM, lstm, 4 * block(2), units=2, states=2),
    "LSTM scaled": Cell(lambda impl: impl.LSTM, lstm, 4 * block(2), units=2, states=2, scaled=True),
    "LinearStateSpace": Cell(lambda impl: impl.LinearStateSpace, elman(lambda a: a), block(3)),
    "LinearStateSpace scaled": Cell(lambda impl: impl.LinearStateSpace, elman(lambda a: a), block(3), scaled=True),
    "LRU": Cell(lambda impl: impl.LRU, lru, 3 * D + 6),
    "LRU scaled": Cell(lambda impl: impl.LRU, lru, 3 * D + 6, scaled=True),
}


def derivative(function, x):
    """d function/dx (m, len(x)) at a real x, by complex step; the function takes (n, len(x)) to (n, m)."""
    return function(x + 1j * STEP * np.eye(len(x))).imag.T / STEP
