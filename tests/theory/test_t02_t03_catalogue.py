"""T2 and T3 for the catalogue, linear and with a network: every rule is the natural gradient with its own eta_t.

    J_t = (1-eta_t) J_{t-1} + eta_t dz'F dz,   theta_t = theta_{t-1} + eta_t J_t^-1 dz'e,   P_t = eta_t J_t^-1
    Kalman: eta_t = 1/(t+1);   Fading: 1/eta_t = 1 + (1-lam)/eta_{t-1} from eta_0 = 1;   NaturalGradient: as given

Here e is the complex-step derivative of the log density, F the expectation of e e' under it (a sum, or a quadrature that is
exact for these scores), dz the complex-step derivative of the output. Source: Ollivier 2018, arXiv 1703.00209.
"""

from functools import cache

import numpy as np
import pytest
from scipy.special import gammaln, roots_genlaguerre, roots_hermitenorm
from tolerances import CONTROL

TOL = 1e-12
STEP = 1e-30
LAM = 0.01
COUNTS = np.arange(400.0)
N, D = 40, 2


def log1pexp(z):
    return np.log(1 + np.exp(z))


def by_sum(log_mass):
    """Points and probabilities of a count."""
    return lambda z: (COUNTS, np.exp([log_mass(y, z).real for y in COUNTS]))


def gamma_points(z):
    nodes, weights = roots_genlaguerre(20, 1.5)
    return nodes / 2.5 * np.exp(z[0]), weights / weights.sum()


def normal_points(z):
    nodes, weights = roots_hermitenorm(20)
    return z[0] + np.exp(z[1] / 2) * nodes, weights / weights.sum()


def poisson(y, z):
    return y * z[0] - np.exp(z[0]) - gammaln(y + 1)


def negative_binomial(y, z, alpha=0.7):
    size = 1 / alpha
    norm = gammaln(y + size) - gammaln(size) - gammaln(y + 1) + y * np.log(alpha)
    return norm + y * z[0] - (y + size) * np.log(1 + alpha * np.exp(z[0]))


def binomial(y, z, trials=6):
    if y > trials:
        return np.array(-np.inf)
    choose = gammaln(trials + 1) - gammaln(y + 1) - gammaln(trials - y + 1)
    return choose + y * z[0] - trials * log1pexp(z[0])


def categorical(y, z):
    return z[int(y)] - np.log(np.exp(z).sum()) if y < len(z) else np.array(-np.inf)


def gamma(y, z, shape=2.5):
    return -shape * (y * np.exp(-z[0]) + z[0])


def mean_variance(y, z):
    return -((y - z[0]) ** 2) * np.exp(-z[1]) / 2 - z[1] / 2


LAWS = {
    "poisson": (1, poisson, by_sum(poisson), lambda impl: impl.Poisson()),
    "negative binomial": (1, negative_binomial, by_sum(negative_binomial), lambda impl: impl.NegativeBinomial(0.7)),
    "bernoulli": (
        1,
        lambda y, z: binomial(y, z, 1),
        by_sum(lambda y, z: binomial(y, z, 1)),
        lambda impl: impl.Bernoulli(),
    ),
    "binomial": (1, binomial, by_sum(binomial), lambda impl: impl.Binomial(6)),
    "categorical": (3, categorical, by_sum(categorical), lambda impl: impl.Categorical(3)),
    "gamma": (1, gamma, gamma_points, lambda impl: impl.Gamma(2.5)),
    "mean and variance": (2, mean_variance, normal_points, lambda impl: impl.GaussianMeanVariance()),
}


def linear(theta, u, k):
    W, c = theta[: k * D].reshape(k, D), theta[k * D :]
    return W @ u + c


def network(theta, u, k, h=2):
    W, b, V, c = np.split(theta, np.cumsum([h * D, h, k * h]))
    return V.reshape(k, h) @ np.tanh(W.reshape(h, D) @ u + b) + c


MODELS = {
    "linear": (linear, lambda k: k * (D + 1), lambda impl, k: impl.Linear(D, k)),
    "network": (network, lambda k: 2 * D + 2 + 2 * k + k, lambda impl, k: impl.MLP([D, 2, k])),
}


def fading_rates(n):
    """eta_1 .. eta_n of forgetting LAM, from eta_0 = 1."""
    eta, rates = 1.0, []
    for _ in range(n):
        eta = 1 / (1 + (1 - LAM) / eta)
        rates.append(eta)
    return rates


RULES = {
    "kalman": (lambda impl: impl.Kalman(), lambda n: [1 / (t + 1) for t in range(1, n + 1)]),
    "fading": (lambda impl: impl.Fading(LAM), fading_rates),
    "natural gradient": (lambda impl: impl.NaturalGradient(LAM), lambda n: [LAM] * n),
}


def complex_step(f, x):
    """df/dx (len(f), len(x)) at a real x."""
    return np.array([np.atleast_1d(f(x + 1j * STEP * unit)).imag / STEP for unit in np.eye(len(x))]).T


def stream(law, model, seed=5):
    """theta_0, P_0, rows and observations of a problem mild enough that no guard acts."""
    k, _, points, _ = LAWS[law]
    output, size, _ = MODELS[model]
    rng = np.random.default_rng(seed)
    p = size(k)
    theta, truth = 0.4 * rng.normal(size=(2, p))
    U = rng.uniform(-1, 1, size=(N, D))
    Y = np.empty(N)
    for t, u in enumerate(U):
        values, mass = points(output(truth, u, k))
        Y[t] = rng.choice(values, p=mass / mass.sum())
    return theta, rng.uniform(0.02, 0.06, size=p), U, Y


@cache
def natural_gradient(law, model, rule, old_metric=False):
    """theta_t and eta_t J_t^-1 after each row; `old_metric` steps with J_{t-1}."""
    k, log_density, points, _ = LAWS[law]
    output = MODELS[model][0]
    theta, P0, U, Y = stream(law, model)
    J, path = np.diag(1 / P0), []
    for eta, u, y in zip(RULES[rule][1](N), U, Y, strict=True):
        z = output(theta, u, k)
        dz = complex_step(lambda x, u=u: output(x, u, k), theta)
        F = np.zeros((k, k))
        for value, mass in zip(*points(z), strict=True):
            if mass > 1e-25:  # what is left out is far below the tolerance
                score = complex_step(lambda x, v=value: log_density(v, x), z)[0]
                F += mass * np.outer(score, score)
        old, J = J, (1 - eta) * J + eta * dz.T @ F @ dz
        e = complex_step(lambda x, y=y: log_density(y, x), z)[0]
        theta = theta + eta * np.linalg.solve(old if old_metric else J, dz.T @ e)
        path.append((theta, eta * np.linalg.inv(J)))
    return path


# bites for every family: the step with J_{t-1}
@pytest.mark.parametrize("control", [False, True])
@pytest.mark.parametrize("guarded", [False, True])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("law", LAWS)
def test_the_filter_is_natural_gradient(impl, law, model, rule, guarded, control):
    theta, P0, U, Y = stream(law, model)
    k, family = LAWS[law][0], LAWS[law][3](impl)
    guards = impl.Guards() if guarded else impl.Guards.none()
    settings = {"belief": impl.Full(P0), "theta": theta, "guards": guards, "rule": RULES[rule][0](impl)}
    flt = impl.Filter(MODELS[model][2](impl, k), family, **settings)
    worst = 0.0
    for (exact, P), u, y in zip(natural_gradient(law, model, rule, control), U, Y, strict=True):
        flt.update(u, y)
        sd = np.sqrt(np.diag(P))
        worst = max(worst, np.max(np.abs(flt.theta - exact) / sd), np.max(np.abs(flt.cov() - P) / np.outer(sd, sd)))
    health = flt.health()
    assert [health[name] for name in ("missing", "skipped", "clipped", "clamped", "windup", "floored")] == [0] * 6
    assert worst > CONTROL * TOL if control else worst < TOL
