"""Laws, models and the natural gradient, each written from its definition: no formula is shared with kfng.

A law is a log density and exact expectations. Scores are complex-step derivatives of the log density, Fisher matrices
exact sums (or quadrature) of their outer products, Jacobians complex-step derivatives of the model.
"""

import itertools
from functools import cached_property
from math import lgamma

import numpy as np

H = 1e-30  # complex step: no difference is taken, so no digit is lost


class Law:
    """log p(y|z) for y (n, k) and z (k,); nothing in it may branch on the imaginary part of z."""

    def log_density(self, y, z):
        raise NotImplementedError

    def support(self, z):
        """Nodes y (n, k) and probabilities (n,) whose weighted sums are exact expectations of what is used here."""
        raise NotImplementedError

    def score(self, y, z):
        """d log p(y|z)/dz for each y, (n, k)."""
        steps = np.eye(len(z)) * 1j * H
        return np.stack([self.log_density(y, z + step).imag / H for step in steps], axis=1)

    def fisher(self, z):
        """E[score score'], (k, k)."""
        y, probability = self.support(z)
        scores = self.score(y, z)
        return (scores.T * probability) @ scores


class Gaussian(Law):
    """y ~ N(z, R)."""

    def __init__(self, R):
        self.R = np.atleast_2d(np.asarray(R, dtype=float))

    @cached_property
    def precision(self):
        return np.linalg.inv(self.R)

    def log_density(self, y, z):
        r = y - z
        constant = np.linalg.slogdet(2 * np.pi * self.R)[1]
        return -0.5 * (np.einsum("ni,ij,nj->n", r, self.precision, r) + constant)

    def support(self, z):
        """Gauss-Hermite, three nodes an axis: exact up to degree 5."""
        node, weight = np.array([-np.sqrt(3.0), 0.0, np.sqrt(3.0)]), np.array([1.0, 4.0, 1.0]) / 6
        nodes = np.array(list(itertools.product(node, repeat=len(self.R))))
        weights = np.array([np.prod(w) for w in itertools.product(weight, repeat=len(self.R))])
        return z + nodes @ np.linalg.cholesky(self.R).T, weights

    def draw(self, rng, z):
        return rng.multivariate_normal(z, self.R)


class Bernoulli(Law):
    """P(y = 1) = 1/(1 + exp(-z))."""

    def log_density(self, y, z):
        return y[:, 0] * z[0] - np.log1p(np.exp(z[0]))

    def support(self, z):
        m = 1 / (1 + np.exp(-z[0]))
        return np.array([[0.0], [1.0]]), np.array([1 / (1 + np.exp(z[0])), m])

    def draw(self, rng, z):
        return np.array([float(rng.random() < 1 / (1 + np.exp(-z[0])))])


class Poisson(Law):
    """y ~ Poisson(exp(z))."""

    def log_density(self, y, z):
        return y[:, 0] * z[0] - np.exp(z[0]) - np.array([lgamma(count + 1) for count in y[:, 0]])

    def support(self, z):
        m = np.exp(z[0])
        counts = np.arange(int(m + 30 * np.sqrt(m) + 40))
        return counts[:, None].astype(float), np.exp(-m) * np.cumprod(np.r_[1.0, m / counts[1:]])

    def draw(self, rng, z):
        return np.array([float(rng.poisson(np.exp(z[0])))])


class Linear:
    """z = W u + c, theta = (W, c) in C-order."""

    def __init__(self, d, k):
        self.d, self.k, self.p = d, k, k * d + k

    def output(self, theta, u):
        """z (k,) of theta (p,), or (m, k) of m of them."""
        W, c = theta[..., : self.k * self.d], theta[..., self.k * self.d :]
        return W.reshape(*theta.shape[:-1], self.k, self.d) @ u + c

    def jacobian(self, theta, u):
        """dz/dtheta (k, p)."""
        return self.output(theta + np.eye(self.p) * 1j * H, u).imag.T / H


class Curved(Linear):
    """z = C tanh(W u + b), two units: theta = (W, b, C)."""

    def __init__(self, d, k):
        self.d, self.k, self.p = d, k, 2 * d + 2 + 2 * k

    def output(self, theta, u):
        size, many = 2 * self.d, theta.shape[:-1]
        W, b, C = theta[..., :size], theta[..., size : size + 2], theta[..., size + 2 :]
        hidden = np.tanh(W.reshape(*many, 2, self.d) @ u + b)
        return (C.reshape(*many, self.k, 2) @ hidden[..., None])[..., 0]


class Network(Linear):
    """z = V tanh(W u + b) + c, two units: theta = (W, b, V, c), each in C-order."""

    def __init__(self, d, k):
        self.d, self.k, self.p = d, k, 2 * d + 2 + 3 * k

    def output(self, theta, u):
        many = theta.shape[:-1]
        W, b, V, c = np.split(theta, np.cumsum([2 * self.d, 2, 2 * self.k]), axis=-1)
        hidden = np.tanh(W.reshape(*many, 2, self.d) @ u + b)
        return (V.reshape(*many, self.k, 2) @ hidden[..., None])[..., 0] + c


def learned_from(stream, t, theta, *, fisher="expected", pooling="sum"):
    """g (p,) and F (p, p) of row t at theta: score and Fisher matrix, weighted, summed over the trials of the row."""
    trials = stream.trials[t]
    z, dz = stream.model.output(theta, stream.U[t]) + stream.offset[t], stream.model.jacobian(theta, stream.U[t])
    scores = stream.law.score(trials, z) @ dz
    share = stream.weight[t] / (1 if pooling == "sum" else len(trials))
    expected = len(trials) * dz.T @ stream.law.fisher(z) @ dz
    return share * scores.sum(axis=0), share * (expected if fisher == "expected" else scores.T @ scores)


def natural_gradient(stream, eta, eta_0=1.0, *, gamma=None, metric="new", **pitfall):
    """The online natural gradient, literally, from theta_0 and J_0 = eta_0 P_0^-1; row t = 1, 2, ...:

        J <- (1 - gamma_t) J + gamma_t F,   theta <- theta + eta_t J^-1 g          with gamma_t = eta_t unless given

    Returns theta_t (n, p) and eta_t J_t^-1 (n, p, p). Controls: metric="old" steps with J_{t-1}; fisher="observed"
    takes g g' of each trial for F; pooling="mean" averages over the trials of a row.
    """
    theta, J = stream.theta_0, eta_0 * np.linalg.inv(stream.prior)
    gamma = eta if gamma is None else gamma
    thetas, covariances = [], []
    for t in range(len(stream.U)):
        g, F = learned_from(stream, t, theta, **pitfall)
        J_old, J = J, (1 - gamma[t]) * J + gamma[t] * F
        theta = theta + eta[t] * np.linalg.solve(J if metric == "new" else J_old, g)
        thetas.append(theta)
        covariances.append(eta[t] * np.linalg.inv(J))
    return np.array(thetas), np.array(covariances)


def error(got, exact):
    """Largest difference relative to the largest entry of what is exact."""
    got, exact = np.asarray(got), np.asarray(exact)
    assert got.shape == exact.shape
    assert np.isfinite(got).all()
    assert np.isfinite(exact).all()
    return float(np.max(np.abs(got - exact)) / np.max(np.abs(exact)))


def judge(size, tolerance, *, control):
    """An identity holds to the tolerance; its control fails by more than a thousand times that."""
    if control:
        assert size > 1000 * tolerance, f"the control does not bite: {size:.1e}"
    else:
        assert size <= tolerance, f"{size:.1e} > {tolerance:.0e}"
