"""A known model of a state, written as functions; partial derivatives by complex step. No formula is shared with kfng."""

from functools import cache
from types import SimpleNamespace

import numpy as np
from theory.literal import Bernoulli, Gaussian, H, Poisson

N = 3
ROTATION = 0.95 * np.array([[np.cos(0.4), -np.sin(0.4), 0.0], [np.sin(0.4), np.cos(0.4), 0.0], [0.1, 0.0, 0.9]])
MIXING = np.array([[0.2, -0.7, 0.4], [0.5, 0.3, -0.2], [-0.4, 0.6, 0.3]])
ROWS = 40


def f(s):
    """A curved map with an inverse: |0.3 MIXING| is small against ROTATION."""
    return ROTATION @ s + 0.3 * np.tanh(MIXING @ s) + np.array([0.1, 0.0, -0.1])


def readout(C):
    return lambda s: 1.2 * np.tanh(C @ s) + 0.3 * (C @ s)


def partials(function, s):
    """Value and Jacobian (m, n) at s (n,)."""
    columns = [function(s + step).imag / H for step in np.eye(len(s)) * 1j * H]
    return function(s.astype(complex)).real, np.stack(columns, axis=1)


R = np.array([[0.5, 0.2], [0.2, 0.4]])
C2 = np.array([[1.0, 0.0, 0.5], [0.0, 1.0, -0.4]])
LAWS = {
    "Gaussian": (Gaussian(R), lambda impl: impl.Gaussian(covariance=R), C2),
    "Bernoulli": (Bernoulli(), lambda impl: impl.Bernoulli(), C2[:1]),
    "Poisson": (Poisson(), lambda impl: impl.Poisson(), 0.5 * C2[:1]),
}


@cache
def stream(name, seed=0):
    """Rows of a disturbed state: y (k,) of each, and what the filter starts from."""
    law, family, C = LAWS[name]
    rng = np.random.default_rng(seed)
    h, s, Y = readout(C), np.array([0.5, -0.5, 0.2]), []
    for _ in range(ROWS):
        s = f(s) + 0.05 * rng.normal(size=N)
        Y.append(law.draw(rng, h(s)))
    root = rng.normal(size=(N, N)) * 0.2
    prior = root @ root.T + 0.1 * np.eye(N)
    return SimpleNamespace(law=law, family=family, h=h, k=len(C), Y=np.array(Y), s_0=np.zeros(N), prior=prior)


def run(flt, rows, **row):
    """States and covariances after each row; `row` holds what is the same in each."""
    states, covariances = [], []
    for y in rows.Y:
        moved, F = partials(f, flt.state)
        z, jacobian = partials(rows.h, moved)
        flt.update(y, moved, F, z, jacobian, **row)
        states.append(flt.state)
        covariances.append(flt.cov())
    return np.array(states), np.array(covariances)
