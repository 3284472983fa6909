"""The same recursion in JAX, written well: one compiled scan or step, float64, buffers donated, compilation left out."""

import numpy as np
from cases import CALL, PANEL, Case

from peers.base import Peer, stream
from peers.numpy_by_hand import by_unit


class JaxScan(Peer):
    """A whole stream in one `lax.scan`."""

    name, rank = "JAX lax.scan", 40
    module, distribution = "jax", "jax"

    @classmethod
    def can(cls, case: Case) -> bool:
        return stream(case)

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        import jax

        jax.config.update("jax_enable_x64", case.dtype == "float64")
        self.jax = jax
        step = self.step()
        self.learn = jax.jit(
            lambda state, X, Y: jax.lax.scan(lambda s, row: (step(s, *row), None), state, (X, Y))[0], donate_argnums=0
        )

    def step(self):
        return steps(self.problem)

    def prepare(self, X, Y):
        return self.jax.device_put((X, Y.astype(int) if self.problem.kind == "softmax" else Y))

    def reset(self) -> None:
        p, variance = self.problem.p, self.problem.prior_variance
        P = np.full(p, variance) if self.problem.diagonal else np.eye(p) * variance
        th, d, k = self.problem.theta_0(), self.problem.d, self.problem.k
        parts = [th, P]
        if self.problem.kind == "rnn":
            parts = [th[by_unit(self.problem)], P, np.zeros(k), np.zeros((k, k, d + k + 1))]
        state = tuple(part.astype(self.case.dtype) for part in parts)
        self.state = self.jax.block_until_ready(self.jax.device_put(state))

    def run(self, rows) -> None:
        self.state = self.jax.block_until_ready(self.learn(self.state, *rows))

    def theta(self) -> np.ndarray:
        th = np.asarray(self.state[0])
        return th[np.argsort(by_unit(self.problem))] if self.problem.kind == "rnn" else th


class JaxMatrices(JaxScan):
    """The recurrent network as textbooks have it: all outputs of a row at once, the gain by a solver."""

    name, rank = "matrix form in JAX", 43

    @classmethod
    def can(cls, case: Case) -> bool:
        return stream(case) and case.problem.kind == "rnn"

    def step(self):
        return recurrent(matrices)


class JaxStep(JaxScan):
    """One compiled step a call; rows arrive as NumPy arrays and floats, as they do from Python."""

    name, rank = "JAX jitted step", 41

    @classmethod
    def can(cls, case: Case) -> bool:
        return case.work == CALL

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        step = self.step()
        self.learn = self.jax.jit(lambda th, P, x, y: step((th, P), x, y), donate_argnums=(0, 1))

    def prepare(self, X, Y):
        return list(zip(X, Y, strict=True))

    def run(self, rows) -> None:
        learn, (th, P) = self.learn, self.state
        for x, y in rows:
            th, P = learn(th, P, x, y)
        self.state = self.jax.block_until_ready((th, P))


class JaxVmap(JaxScan):
    """All filters of a panel in one compiled step; they are the last axis, along which the machine has its lanes."""

    name, rank = "JAX vmap", 42
    works = (PANEL,)

    @classmethod
    def can(cls, case: Case) -> bool:
        return True

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        step = self.step()
        every = self.jax.vmap(lambda th, P, x, y: step((th, P), x, y), in_axes=-1, out_axes=-1)
        self.learn = self.jax.jit(every, donate_argnums=(0, 1))

    def prepare(self, X, Y):
        K = self.case.keys
        steps_of = range(0, len(X), K)
        return [self.jax.device_put((np.ascontiguousarray(X[i : i + K].T), Y[i : i + K])) for i in steps_of]

    def reset(self) -> None:
        p, K, dtype = self.problem.p, self.case.keys, self.case.dtype
        P = np.broadcast_to(np.eye(p)[:, :, None] * self.problem.prior_variance, (p, p, K))
        state = np.zeros((p, K), dtype), np.ascontiguousarray(P, dtype)
        self.state = self.jax.block_until_ready(self.jax.device_put(state))

    def run(self, rows) -> None:
        for x, y in rows:
            self.state = self.learn(*self.state, x, y)
        self.jax.block_until_ready(self.state)

    def theta(self) -> np.ndarray:
        return np.asarray(self.state[0]).T.ravel()


def steps(problem):
    """step((theta, P), x, y) -> (theta, P) of the problem."""
    import jax
    import jax.numpy as jnp

    def linear(state, x, y):
        th, P = state
        Px = P @ x
        k = Px / (1 + x @ Px)
        return th + k * (y - x @ th), P - jnp.outer(k, Px)

    def logistic(state, x, y):
        th, P = state
        Px = P @ x
        m = jax.nn.sigmoid(x @ th)
        w = m * (1 - m)
        k = Px / (1 + w * (x @ Px))
        return th + k * (y - m), P - jnp.outer(w * k, Px)

    def mlp(state, x, y):
        th, P = state
        z, h = jax.value_and_grad(network)(th, x, problem.k)
        Ph = P @ h
        k = Ph / (1 + h @ Ph)
        return th + k * (y - z), P - jnp.outer(k, Ph)

    def softmax(state, x, y):
        (th, P), K, d = state, problem.k, problem.d
        m = jax.nn.softmax(th.reshape(K, d) @ x)
        F = jnp.diag(m) - jnp.outer(m, m)
        PG = (P.reshape(-1, d) @ x).reshape(-1, K)
        C = jnp.einsum("i,aib->ab", x, PG.reshape(K, d, K))
        M = jnp.linalg.solve(jnp.eye(K, dtype=P.dtype) + F @ C, F)
        e = jax.nn.one_hot(y, K, dtype=P.dtype) - m
        return th + PG @ (e - M @ (C @ e)), P - PG @ (M @ PG.T)

    def diagonal(state, x, y):
        th, V = state
        Vx = V * x
        return th + Vx * ((y - x @ th) / (1 + x @ Vx)), V / (1 + x * Vx)

    found = {"linear": linear, "logistic": logistic, "mlp": mlp, "rnn": recurrent(one_by_one), "softmax": softmax}
    return diagonal if problem.diagonal else found[problem.kind]


def recurrent(update):
    """step((theta, P, s, ds), x, y) of an Elman network with `update`: what the columns H of its outputs do to theta and P."""
    import jax.numpy as jnp

    def rnn(state, x, y):
        th, P, s, ds = state
        k, out, q = len(s), len(y), ds[0].size
        W, C, c = th[:q].reshape(k, -1), th[q:-out].reshape(out, k), th[-out:]
        v, eye = jnp.concatenate([x, s, jnp.ones(1, x.dtype)]), jnp.eye(out, dtype=x.dtype)
        s = jnp.tanh(W @ v)
        slope = 1 - s**2
        ds = ((slope[:, None] * W[:, len(x) : -1]) @ ds.reshape(k, q)).reshape(ds.shape)
        ds = ds.at[jnp.arange(k), jnp.arange(k)].add(slope[:, None] * v)
        H = jnp.concatenate([C @ ds.reshape(k, q), jnp.kron(eye, s), eye], axis=1)
        dtheta, P = update(P, H, y - C @ s - c)
        return th + dtheta, P, s + ds.reshape(k, q) @ dtheta[:q], ds

    return rnn


def one_by_one(P, H, e):
    """One output after the other, and P changed once: the fastest of six ways that were tried."""
    import jax.numpy as jnp

    dtheta, less = jnp.zeros_like(P[0]), []
    for h, e_h in zip(H, e, strict=True):
        Ph = P @ h - sum(g * (Pg @ h) for g, Pg in less)
        g = Ph / (1 + h @ Ph)
        dtheta += g * (e_h - h @ dtheta)
        less.append((g, Ph))
    return dtheta, P - sum(jnp.outer(g, Pg) for g, Pg in less)


def matrices(P, H, e):
    """K = P H'(H P H' + 1)^-1, P - K H P."""
    import jax.numpy as jnp

    PH = P @ H.T
    K = jnp.linalg.solve(H @ PH + jnp.eye(len(e), dtype=P.dtype), PH.T).T
    return K @ e, P - K @ PH.T


def network(th, x, units):
    """The output of a network with one hidden tanh layer."""
    import jax.numpy as jnp

    d = len(x)
    W, b, c = th[: units * d].reshape(units, d), th[units * d : units * (d + 1)], th[units * (d + 1) : -1]
    return c @ jnp.tanh(W @ x + b) + th[-1]
