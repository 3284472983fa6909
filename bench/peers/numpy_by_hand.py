"""What people write by hand in NumPy: theta and P alone, no prediction kept, no guard."""

import numpy as np
from cases import Case, Problem

from peers.base import Peer


class ThreeLiner(Peer):
    """Recursive least squares in three lines of NumPy, and its likes for the other problems; BLAS on the case's threads."""

    name, rank = "NumPy three-liner", 20

    @classmethod
    def can(cls, case: Case) -> bool:
        return True

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self.steps = getattr(self, "diagonal" if self.problem.diagonal else self.problem.kind)

    def prepare(self, X, Y):
        return list(zip(X, Y.astype(int) if self.problem.kind == "softmax" else Y, strict=True))

    def reset(self) -> None:
        p, variance = self.problem.p, self.problem.prior_variance
        self.th = self.problem.theta_0().astype(self.case.dtype)
        P = np.full(p, variance) if self.problem.diagonal else np.eye(p) * variance
        self.P = P.astype(self.case.dtype)
        if self.problem.kind == "rnn":
            self.th = self.th[by_unit(self.problem)]
            d, k = self.problem.d, self.problem.k
            self.s, self.ds = np.zeros(k, self.case.dtype), np.zeros((k, k, k + d + 1), self.case.dtype)

    def run(self, rows) -> None:
        self.steps(self.th, self.P, rows)

    def theta(self) -> np.ndarray:
        return self.th[np.argsort(by_unit(self.problem))] if self.problem.kind == "rnn" else self.th

    @staticmethod
    def linear(th, P, rows) -> None:
        for x, y in rows:
            Px = P @ x
            k = Px / (1 + x @ Px)
            th += k * (y - x @ th)
            P -= np.outer(k, Px)

    @staticmethod
    def logistic(th, P, rows) -> None:
        for x, y in rows:
            m = 1 / (1 + np.exp(-(x @ th)))
            Px = P @ x
            w = m * (1 - m)
            k = Px / (1 + w * (x @ Px))
            th += k * (y - m)
            P -= np.outer(w * k, Px)

    def mlp(self, th, P, rows) -> None:
        for x, y in rows:
            z, h = network(th, x, self.problem.k)
            Ph = P @ h
            k = Ph / (1 + h @ Ph)
            th += k * (y - z)
            P -= np.outer(k, Ph)

    def rnn(self, th, P, rows) -> None:
        """Real-time recurrent learning: ds (k, k, k + d + 1) is the derivative of the state by the units' own parameters."""
        k, out, ds = self.problem.k, self.problem.outputs, self.ds
        q, units, one = ds[0].size, np.arange(k), np.ones(1, P.dtype)
        W, C, c = th[:q].reshape(k, -1), th[q:-out].reshape(out, k), th[-out:]  # views
        H, eye = np.zeros((out, len(th)), P.dtype), np.eye(out, dtype=P.dtype)
        H[:, -out:] = eye
        for x, y in rows:
            v = np.concatenate([x, self.s, one])
            self.s = np.tanh(W @ v)
            slope = 1 - self.s**2
            ds = ((slope[:, None] * W[:, len(x) : -1]) @ ds.reshape(k, q)).reshape(ds.shape)
            ds[units, units] += slope[:, None] * v
            H[:, :q], H[:, q:-out] = C @ ds.reshape(k, q), np.kron(eye, self.s)
            e = y - (C @ self.s + c)
            PH = H @ P
            G = np.linalg.solve(eye + PH @ H.T, PH)
            dtheta = e @ G
            th += dtheta
            P -= G.T @ PH
            self.s = self.s + ds.reshape(k, q) @ dtheta[:q]
        self.ds = ds

    def softmax(self, th, P, rows) -> None:
        K, d = self.problem.k, self.problem.d
        eye = np.eye(K, dtype=P.dtype)
        for x, y in rows:
            m = np.exp(th.reshape(K, d) @ x)
            m /= m.sum()
            F = np.diag(m) - np.outer(m, m)
            PG = (P.reshape(-1, d) @ x).reshape(-1, K)  # P dz', (p, K)
            C = x @ PG.reshape(K, d, K)
            M = np.linalg.solve(eye + F @ C, F)
            e = eye[y] - m
            th += PG @ (e - M @ (C @ e))
            P -= PG @ (M @ PG.T)

    @staticmethod
    def diagonal(th, V, rows) -> None:
        for x, y in rows:
            Vx = V * x
            th += Vx * ((y - x @ th) / (1 + x @ Vx))
            V /= 1 + x * Vx


def by_unit(problem: Problem) -> np.ndarray:
    """Where the parameters of a recurrent network come from when those of each unit lie together: inputs, states, bias."""
    d, k = problem.d, problem.k
    inputs, states = np.arange(k * d).reshape(k, d), k * d + np.arange(k * k).reshape(k, k)
    bias = k * (d + k) + np.arange(k)[:, None]
    return np.concatenate([np.hstack([inputs, states, bias]).ravel(), np.arange(k * (d + k + 1), problem.p)])


def network(th: np.ndarray, x: np.ndarray, units: int) -> tuple[float, np.ndarray]:
    """The output of a network with one hidden tanh layer, and its gradient (p,)."""
    d = len(x)
    W, b, c = th[: units * d].reshape(units, d), th[units * d : units * (d + 1)], th[units * (d + 1) : -1]
    a = np.tanh(W @ x + b)
    back = c * (1 - a * a)
    h = np.empty_like(th)
    np.multiply(back[:, None], x, out=h[: units * d].reshape(units, d))
    h[units * d : units * (d + 1)], h[units * (d + 1) : -1], h[-1] = back, a, 1
    return c @ a + th[-1], h
