"""The laws of the catalogue beyond literal.py's, each from its definition, and streams of them, linear and with a network."""

from functools import cache

import numpy as np
from scipy.special import gammaln, roots_genlaguerre, roots_hermitenorm
from theory.literal import Bernoulli, Gaussian, Law, Linear, Network, Poisson
from theory.streams import R2, make


class Counts(Law):
    """A law of whole numbers below `end`, all of them its support."""

    end = 400

    def support(self, z):
        y = np.arange(float(self.end))[:, None]
        return y, np.exp(self.log_density(y, z).real)

    def draw(self, rng, z):
        y, mass = self.support(z)
        return rng.choice(y[:, 0], p=mass / mass.sum(), size=1)


class Binomial(Counts):
    """Successes in 6 trials of logit z."""

    end = 7

    def log_density(self, y, z):
        y = y[:, 0]
        choose = gammaln(7) - gammaln(y + 1) - gammaln(7 - y)
        return choose + y * z[0] - 6 * np.log(1 + np.exp(z[0]))


class NegativeBinomial(Counts):
    """Var y = m + 0.7 m², m = exp(z)."""

    def log_density(self, y, z):
        y, size = y[:, 0], 1 / 0.7
        norm = gammaln(y + size) - gammaln(size) - gammaln(y + 1) + y * np.log(0.7)
        return norm + y * z[0] - (y + size) * np.log(1 + 0.7 * np.exp(z[0]))


class Categorical(Counts):
    """P(y = j) proportional to exp(z_j), three classes."""

    end = 3

    def log_density(self, y, z):
        return z[y[:, 0].astype(int)] - np.log(np.exp(z).sum())


class Gamma(Law):
    """Shape 2.5, mean exp(z)."""

    def log_density(self, y, z):
        return -2.5 * (y[:, 0] * np.exp(-z[0]) + z[0]) + 1.5 * np.log(y[:, 0])

    def support(self, z):
        nodes, weights = roots_genlaguerre(20, 1.5)
        return nodes[:, None] / 2.5 * np.exp(z[0]), weights / weights.sum()

    def draw(self, rng, z):
        return rng.gamma(2.5, np.exp(z[0]) / 2.5, size=1)


class MeanVariance(Law):
    """Mean z_1, log variance z_2."""

    def log_density(self, y, z):
        return -((y[:, 0] - z[0]) ** 2) * np.exp(-z[1]) / 2 - z[1] / 2

    def support(self, z):
        nodes, weights = roots_hermitenorm(20)
        return (z[0] + np.exp(z[1] / 2) * nodes)[:, None], weights / weights.sum()

    def draw(self, rng, z):
        return rng.normal(z[0], np.exp(z[1] / 2), size=1)


LAWS = {  # k, law, kfng's component, size of the prior variances: small enough that no step is clipped
    "gaussian": (1, Gaussian(0.5), ("Gaussian", {"variance": 0.5}), 1.0),
    "covariance": (2, Gaussian(R2), ("Gaussian", {"covariance": R2}), 1.0),
    "bernoulli": (1, Bernoulli(), ("Bernoulli", {}), 0.2),
    "poisson": (1, Poisson(), ("Poisson", {}), 0.03),
    "binomial": (1, Binomial(), ("Binomial", {"trials": 6}), 0.1),
    "categorical": (3, Categorical(), ("Categorical", {"n_classes": 3}), 0.2),
    "negative binomial": (1, NegativeBinomial(), ("NegativeBinomial", {"dispersion": 0.7}), 0.03),
    "gamma": (1, Gamma(), ("Gamma", {"shape": 2.5}), 0.03),
    "mean and variance": (2, MeanVariance(), ("GaussianMeanVariance", {}), 0.02),
}
MODELS = {"linear": Linear, "network": Network}
CATALOGUE = [f"{model}-{law}" for model in MODELS for law in LAWS]


@cache
def stream(name):
    """One of CATALOGUE, made once."""
    kind, law = name.split("-")
    k, literal, component, size = LAWS[law]
    return make(MODELS[kind](2, k), literal, component, size=size, n=16, seed=CATALOGUE.index(name))
