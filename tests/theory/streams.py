"""Streams that the identities run on: models × families × numbers of outputs, small and well conditioned.

Mild enough that no default guard acts: where the link is not the identity the prior is narrow, so that no step is
clipped; every direction is excited, so that forgetting never winds up.
"""

from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np
from theory.literal import Bernoulli, Curved, Gaussian, Linear, Network, Poisson

R2 = np.array([[0.6, 0.2], [0.2, 0.4]])
R3 = np.array([[0.5, 0.1, -0.1], [0.1, 0.8, 0.2], [-0.1, 0.2, 0.6]])
LEARNED = {"variance": None, "prior_dof": 6.0, "prior_scale": 0.8}


@dataclass(frozen=True, eq=False)
class Stream:
    """n rows for one filter; `trials[t]` (B, k) are the observations of row t, kfng takes their mean with weight B."""

    model: Any
    law: Any
    family: tuple[str, dict[str, Any]]
    theta_0: np.ndarray
    prior: np.ndarray
    U: np.ndarray
    trials: np.ndarray
    weight: np.ndarray
    dt: np.ndarray
    offset: np.ndarray
    external: bool = field(default=False)

    @property
    def learned(self):
        return self.family[1].get("variance", 1.0) is None

    @property
    def Y(self):
        return self.trials.mean(axis=1)

    def filter(self, impl, guards="no_guards", **settings):
        """The filter of this stream, as kfng or its reference."""
        kind, arguments = self.family
        k, p = self.model.k, self.model.p
        network = isinstance(self.model, Network)
        model = impl.MLP([self.model.d, 2, k]) if network else impl.Linear(self.model.d, k)
        model = impl.External(p, k) if self.external else model
        settings = {"belief": impl.Full(self.prior), "theta": self.theta_0} | settings
        settings["guards"] = impl.Guards.none() if guards == "no_guards" else impl.Guards()
        return impl.Filter(model, getattr(impl, kind)(**arguments), **settings)

    def feed(self, flt, t):
        """Row t; a model that lives elsewhere is evaluated at the theta that the filter has now."""
        u, y, weight = self.U[t], self.Y[t], self.weight[t] * len(self.trials[t])
        y = y if len(y) > 1 else float(y[0])
        if self.external:
            z, dz = self.model.output(flt.theta, u) + self.offset[t], self.model.jacobian(flt.theta, u)
            return flt.condition(y, z, dz, weight=weight, dt=self.dt[t])
        return flt.update(u, y, weight=weight, dt=self.dt[t], offset=self.offset[t])

    def run(self, flt):
        """theta_t (n, p) and P_t (n, p, p), relative to sigma² where that is learned."""
        thetas, covariances = [], []
        for t in range(len(self.U)):
            self.feed(flt, t)
            thetas.append(flt.theta)
            covariances.append(self.covariance(flt))
        return np.array(thetas), np.array(covariances)

    def covariance(self, flt):
        return flt.cov() / (flt.noise_variance[0] if self.learned else 1.0)


def correlated(rng, p, size):
    """A covariance with correlations and eigenvalues in size·[0.5, 2]."""
    basis = np.linalg.qr(rng.normal(size=(p, p)))[0]
    P = (basis * (size * np.geomspace(0.5, 2.0, p))) @ basis.T
    return (P + P.T) / 2


def make(model, law, family, *, external=False, size=1.0, noise=None, n=32, trials=1, seed=0):
    """A stream drawn from the model at a theta drawn from the prior; `noise` is the law that y is drawn from."""
    rng = np.random.default_rng(seed)
    prior = correlated(rng, model.p, size)
    theta_0 = 0.5 * rng.normal(size=model.p)
    truth = theta_0 + np.linalg.cholesky(prior) @ rng.normal(size=model.p)
    U, offset = rng.normal(size=(n, model.d)), 0.3 * rng.normal(size=(n, model.k))
    z = [model.output(truth, u) + o for u, o in zip(U, offset, strict=True)]
    drawn = np.array([[(noise or law).draw(rng, at) for _ in range(trials)] for at in z])
    weight, dt = rng.uniform(0.4, 1.6, n), rng.uniform(0.2, 1.8, n)
    return Stream(model, law, family, theta_0, prior, U, drawn, weight, dt, offset, external)


_FAMILIES = {
    "gaussian": (1, Gaussian(0.5), ("Gaussian", {"variance": 0.5}), {}),
    "covariance_2": (2, Gaussian(R2), ("Gaussian", {"covariance": R2}), {}),
    "covariance_3": (3, Gaussian(R3), ("Gaussian", {"covariance": R3}), {}),
    "learned": (1, Gaussian(1.0), ("Gaussian", LEARNED), {"noise": Gaussian(0.5)}),
    "learned_2": (2, Gaussian(np.eye(2)), ("Gaussian", LEARNED), {"noise": Gaussian(0.5 * np.eye(2))}),
    "bernoulli": (1, Bernoulli(), ("Bernoulli", {}), {"size": 0.3}),
    "poisson": (1, Poisson(), ("Poisson", {}), {"size": 0.05}),
}
NAMES = [f"{model}-{family}" for model in ("linear", "external") for family in _FAMILIES]
LINEAR_GAUSSIAN = [f"linear-{family}" for family in _FAMILIES if family not in ("bernoulli", "poisson")]
EXTERNAL = [name for name in NAMES if name.startswith("external-")]


@cache
def stream(name, **other):
    """One of NAMES, e.g. 'external-poisson', made once; `other` goes to `make`."""
    kind, family = name.split("-")
    k, law, component, settings = _FAMILIES[family]
    model = Linear(3, k) if kind == "linear" else Curved(2, k)
    arguments = {"external": kind == "external", "seed": NAMES.index(name)} | settings | other
    return make(model, law, component, **arguments)


@cache
def run(rows, impl, guards, rule=None):
    """theta_t and P_t of a filter over a stream, once for an identity and all its controls; no guard may act."""
    flt = rows.filter(impl, guards, rule=rule)
    theta, P = rows.run(flt)
    assert_quiet(flt)
    assert flt.n_updates == np.isfinite(rows.Y).any(axis=1).sum()
    return theta, P


def with_units(given):
    """The same rows with weight 1 and a time step of 1."""
    return replace(given, weight=np.ones(len(given.U)), dt=np.ones(len(given.U)))


@cache
def partly_missing(given, seed=0):
    """The same rows with every fifth y missing and, of several outputs, a third of the entries."""
    rng, trials = np.random.default_rng(seed), given.trials.copy()
    trials[rng.random(len(trials)) < 0.2] = np.nan
    if given.model.k > 1:
        trials[rng.random(trials.shape) < 0.33] = np.nan
    return replace(given, trials=trials)


def assert_quiet(flt):
    """No guard acted: every counter but the missing one is 0."""
    health = flt.health()
    acted = {name: health[name] for name in ("skipped", "clipped", "clamped", "windup", "floored")}
    assert not any(acted.values()), acted
