"""Named problems that every entry is tested on: a model, a law of y, a rule, and data from a seed.

`PROBLEMS[name]` is a `Problem`; `problem.run(impl)` passes its rows, one by one or in blocks, through `impl.Filter`.
Data are mild on purpose: with default guards no guard acts, the missing counter apart (theory tests assert it).
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

SEED = 20180301
ROWS = 120


@dataclass(frozen=True)
class Rows:
    """U (n, d), Y (n, y_width), weight (n,), dt (n,), offset (n, k)."""

    U: np.ndarray
    Y: np.ndarray
    weight: np.ndarray
    dt: np.ndarray
    offset: np.ndarray

    def __len__(self):
        return len(self.U)

    def arguments(self, i):
        """Keyword arguments of row i for `update`."""
        offset = self.offset[i] if self.offset.shape[1] > 1 else float(self.offset[i, 0])
        return {"weight": float(self.weight[i]), "dt": float(self.dt[i]), "offset": offset}

    def y(self, i):
        return float(self.Y[i, 0]) if self.Y.shape[1] == 1 else self.Y[i]


@dataclass(frozen=True)
class Problem:
    """`components(impl)` gives (model, family, options of Filter); `forward(theta, u)` gives z, dz of an External model."""

    name: str
    components: Callable[[Any], tuple[Any, Any, dict[str, Any]]]
    rows: Rows
    forward: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]] | None = None
    tags: frozenset[str] = field(default_factory=frozenset)

    def filter(self, impl, **options):
        """A new filter; `options` go before the problem's own."""
        model, family, own = self.components(impl)
        return impl.Filter(model, family, **{**own, **options})

    def step(self, flt, i):
        """Row i through `update`, or through `condition` at the filter's own theta."""
        rows = self.rows
        if self.forward is None:
            return flt.update(rows.U[i], rows.y(i), **rows.arguments(i))
        z, dz = self.forward(np.asarray(flt.theta, dtype=np.float64), rows.U[i])
        arguments = rows.arguments(i)
        return flt.condition(rows.y(i), z + arguments.pop("offset"), dz, **arguments)

    def run(self, impl, **options):
        """The filter after all rows, and the Step of each."""
        flt = self.filter(impl, **options)
        return flt, [self.step(flt, i) for i in range(len(self.rows))]

    def run_many(self, impl, pieces=1, **options):
        """The filter after `update_many` in so many pieces, and the Trace of each."""
        flt, rows, traces = self.filter(impl, **options), self.rows, []
        for part in np.array_split(np.arange(len(rows)), pieces):
            columns = {name: getattr(rows, name)[part] for name in ("weight", "dt", "offset")}
            traces.append(flt.update_many(rows.U[part], rows.Y[part], **columns))
        return flt, traces

    def __repr__(self):
        return self.name


# -- models that live elsewhere, with exact Jacobians
HIDDEN = 3


def tanh_net(theta, u):
    """z = v'tanh(W u + c) + a with 2 inputs and 3 units: theta = (W, c, v, a), p = 13; z (1,), dz (1, 13)."""
    W, c, v, a = theta[:6].reshape(HIDDEN, 2), theta[6:9], theta[9:12], theta[12]
    h = np.tanh(W @ u + c)
    back = v * (1 - h**2)
    return np.array([v @ h + a]), np.concatenate([np.outer(back, u).ravel(), back, h, [1.0]])[None]


def tanh_net_two(theta, u):
    """The same hidden layer with two outputs: theta = (W, c, V, a), p = 17; z (2,), dz (2, 17)."""
    W, c, V, a = theta[:6].reshape(HIDDEN, 2), theta[6:9], theta[9:15].reshape(2, HIDDEN), theta[15:]
    h = np.tanh(W @ u + c)
    back = V * (1 - h**2)
    hidden = np.hstack([(back[:, :, None] * u).reshape(2, -1), back])
    return V @ h + a, np.hstack([hidden, np.kron(np.eye(2), h), np.eye(2)])


def decay_curve(theta, u):
    """z = theta_0 + theta_1·exp(-exp(theta_2)·u): an exponential decay; z (1,), dz (1, 3)."""
    rate = np.exp(theta[2])
    curve = np.exp(-rate * u[0])
    return np.array([theta[0] + theta[1] * curve]), np.array([[1.0, curve, -theta[1] * curve * rate * u[0]]])


def net_start(p):
    return np.random.default_rng(SEED).normal(size=p) * 0.5


# -- data
def data(k, d, mean, draw, *, width=None, weights=False, times=False, offsets=False, gaps=0.0, n=ROWS, seed=SEED):
    """n rows: mean(u) (k,) is z without its offset, draw(rng, z) gives y; a share of `gaps` entries of Y is missing.

    `width` numbers make one y, of which the first says whether it is missing; None: k, each on its own.
    """
    rng = np.random.default_rng(seed)
    U = rng.normal(size=(n, d))
    offset = 0.3 * rng.normal(size=(n, k)) if offsets else np.zeros((n, k))
    weight = rng.choice([0.0, 0.5, 1.0, 2.5], size=n, p=[0.05, 0.3, 0.45, 0.2]) if weights else np.ones(n)
    dt = rng.choice([0.0, 0.25, 1.0, 3.0], size=n) if times else np.ones(n)
    Y = np.array([draw(rng, mean(u) + o) for u, o in zip(U, offset, strict=True)], dtype=np.float64).reshape(
        n, width or k
    )
    (Y if width is None else Y[:, :1])[rng.random((n, k if width is None else 1)) < gaps] = np.nan
    return Rows(U, Y, weight, dt, offset)


def coefficients(k, d, scale=0.6):
    """(W, c) as (k, d + 1)."""
    return scale * np.random.default_rng(SEED + 1).normal(size=(k, d + 1))


def line(k, d, scale=0.6):
    """A linear z with random coefficients."""
    W = coefficients(k, d, scale)
    return lambda u: W[:, :d] @ u + W[:, d]


def gauss(R):
    root = np.linalg.cholesky(np.atleast_2d(R))
    return lambda rng, z: z + root @ rng.normal(size=len(z))


def coin(rng, z):
    return rng.random(len(z)) < 1 / (1 + np.exp(-z))


def count(rng, z):
    return rng.poisson(np.exp(z))


def successes(trials):
    return lambda rng, z: rng.binomial(trials, 1 / (1 + np.exp(-z)))


def successes_of(rng, z):
    trials = rng.integers(1, 9)
    return [rng.binomial(trials, 1 / (1 + np.exp(-z[0]))), trials]


def label(rng, z):
    return rng.choice(len(z), p=np.exp(z) / np.exp(z).sum())


def mixed_count(rng, z):
    return rng.poisson(np.exp(z) * rng.gamma(2.0, 0.5))


def positive_number(rng, z):
    return np.exp(z) * rng.gamma(3.0, 1 / 3.0)


def noisy(rng, z):
    return z[0] + np.exp(z[1] / 2) * rng.normal()


def curve(forward, theta):
    return lambda u: forward(np.asarray(theta), u)[0]


R2 = np.array([[1.0, 0.4], [0.4, 0.5]])
R3 = np.array([[1.0, 0.4, -0.2], [0.4, 0.5, 0.1], [-0.2, 0.1, 2.0]])
PRIOR4 = np.array([[2.0, 0.3, 0, 0], [0.3, 1.0, 0, 0.2], [0, 0, 0.5, 0], [0, 0.2, 0, 1.5]])


def linear(name, family, rows, k=1, rule=None, forward=None, n_params=None, layers=None, tags=(), **options):
    """A problem from functions of `impl`, so that it builds the components of either implementation."""

    def components(impl):
        d = rows.U.shape[1]
        model = impl.Linear(d, k) if forward is None else impl.External(n_params, k)
        if layers is not None:
            model = impl.MLP(*layers)
        made = {key: value(impl) if callable(value) else value for key, value in options.items()}
        return model, family(impl), made | ({} if rule is None else {"rule": rule(impl)})

    return Problem(name, components, rows, forward, frozenset(tags))


external = linear


def full(prior):
    return lambda impl: impl.Full(prior)


def fading(lam=None, half_life=None):
    return lambda impl: impl.Fading(forgetting=lam, half_life=half_life)


def normal(**options):
    return lambda impl: impl.Gaussian(**options)


def bernoulli(impl):
    return impl.Bernoulli()


def poisson(impl):
    return impl.Poisson()


def mean_variance(impl):
    return impl.GaussianMeanVariance()


def binomial(trials=None):
    return lambda impl: impl.Binomial(trials)


def categorical(n):
    return lambda impl: impl.Categorical(n)


def negative_binomial(impl):
    return impl.NegativeBinomial(0.5)


def gamma(impl):
    return impl.Gamma(3.0)


def _linear_problems():
    one, three = line(1, 3), line(3, 2)
    low, rare = line(1, 3, 0.4), line(1, 3, 0.3)
    return [
        linear("gaussian", normal(variance=0.5), data(1, 3, one, gauss(0.5))),
        linear("gaussian-level", normal(), data(1, 0, line(1, 0), gauss(1.0))),
        linear("gaussian-prior", normal(variance=0.5), data(1, 3, one, gauss(0.5)), belief=full(PRIOR4), theta=[0.1, 0.2, 0, -0.1]),
        linear("gaussian-everything", normal(variance=0.5),
               data(1, 3, one, gauss(0.5), weights=True, offsets=True, gaps=0.1)),
        linear("gaussian-fading", normal(variance=0.5), data(1, 3, one, gauss(0.5), times=True, weights=True, gaps=0.1),
               rule=fading(0.02)),
        linear("gaussian-half-life", normal(variance=0.5), data(1, 3, one, gauss(0.5), times=True, offsets=True),
               rule=fading(half_life=30.0)),
        linear("gaussian-3", normal(variance=0.5), data(3, 2, three, gauss(0.5 * np.eye(3))), k=3),
        linear("gaussian-3-full-R", normal(covariance=R3), data(3, 2, three, gauss(R3), weights=True, offsets=True), k=3),
        linear("gaussian-3-gaps", normal(covariance=R3), data(3, 2, three, gauss(R3), weights=True, gaps=0.25, times=True),
               k=3, rule=fading(0.03)),
        linear("learned", normal(variance=None), data(1, 3, one, gauss(0.5)), tags=["learned"]),
        linear("learned-fading", normal(variance=None, prior_dof=5, prior_scale=0.7), tags=["learned"],
               rows=data(1, 3, one, gauss(0.5), times=True, weights=True, gaps=0.1), rule=fading(0.02)),
        linear("learned-3-gaps", normal(variance=None), k=3, tags=["learned"],
               rows=data(3, 2, three, gauss(0.5 * np.eye(3)), weights=True, offsets=True, gaps=0.25)),
        linear("bernoulli", bernoulli, data(1, 3, low, coin)),
        linear("bernoulli-everything", bernoulli,
               data(1, 3, low, coin, weights=True, times=True, offsets=True, gaps=0.1), rule=fading(0.02)),
        linear("bernoulli-half-life", bernoulli, data(1, 3, low, coin, times=True), rule=fading(half_life=50.0)),
        linear("poisson", poisson, data(1, 3, rare, count), belief=full(0.1)),
        linear("poisson-everything", poisson, belief=full(0.05), rule=fading(0.02),
               rows=data(1, 3, rare, count, weights=True, times=True, offsets=True, gaps=0.1)),
    ]  # fmt: skip


def _catalogue_problems():
    one, two, three, low, rare = line(1, 3), line(2, 3, 0.3), line(3, 2, 0.4), line(1, 3, 0.4), line(1, 3, 0.3)
    everything = {"weights": True, "times": True, "offsets": True, "gaps": 0.1}
    pair, one_number = {"width": 2}, {"width": 1}
    R = np.diag([0.5, 0.1, 2.0])
    return [
        linear("mean-variance", mean_variance, data(2, 3, two, noisy, **one_number), k=2, belief=full(0.005)),
        linear("mean-variance-everything", mean_variance, data(2, 3, two, noisy, **one_number, **everything), k=2,
               belief=full(0.01), rule=fading(0.01)),
        linear("binomial", binomial(5), data(1, 3, low, successes(5)), belief=full(0.3)),
        linear("binomial-everything", binomial(5), data(1, 3, low, successes(5), **everything), rule=fading(half_life=60.0),
               belief=full(0.2)),
        linear("trials", binomial(), data(1, 3, low, successes_of, **pair), belief=full(0.3)),
        linear("trials-everything", binomial(), data(1, 3, low, successes_of, **pair, **everything), rule=fading(0.02),
               belief=full(0.2)),
        linear("categorical-2", categorical(2), data(2, 3, line(2, 3), label, **one_number), k=2, belief=full(0.2)),
        linear("categorical-3", categorical(3), data(3, 2, three, label, **one_number), k=3, belief=full(0.3)),
        linear("categorical-3-everything", categorical(3), data(3, 2, three, label, **one_number, **everything), k=3,
               belief=full(0.3), rule=fading(0.01)),
        linear("categorical-5", categorical(5), data(5, 4, line(5, 4, 0.4), label, **one_number), k=5, belief=full(0.3)),
        linear("negative-binomial", negative_binomial, data(1, 3, rare, mixed_count), belief=full(0.03)),
        linear("negative-binomial-everything", negative_binomial, data(1, 3, rare, mixed_count, **everything),
               belief=full(0.02), rule=fading(0.005)),
        linear("gamma", gamma, data(1, 3, rare, positive_number), belief=full(0.05)),
        linear("gamma-everything", gamma, data(1, 3, rare, positive_number, **everything), belief=full(0.03),
               rule=fading(0.01)),
        linear("each", normal(variance="each"), data(1, 3, one, gauss(0.5))),
        linear("each-3", normal(variance="each", prior_dof=5, prior_scale=0.7), data(3, 2, line(3, 2), gauss(R)), k=3),
        linear("each-3-gaps", normal(variance="each"), k=3, rule=fading(0.02),
               rows=data(3, 2, line(3, 2), gauss(R), weights=True, times=True, offsets=True, gaps=0.25)),
    ]  # fmt: skip


def _external_problems():
    net, net2, p = net_start(13) * 1.5, net_start(17) * 1.5, {"n_params": 13, "forward": tanh_net}
    level = [0.5, 2.0, -0.3]
    positive = {"n_params": 3, "forward": decay_curve, "theta": [0.0, 1.5, 0.0]}
    return [
        external("net", normal(variance=0.2), data(1, 2, curve(tanh_net, net), gauss(0.2)),
                 theta=net_start(13), belief=full(0.2), **p),
        external("net-fading", normal(variance=0.2), theta=net_start(13), belief=full(0.2), rule=fading(0.004), **p,
                 rows=data(1, 2, curve(tanh_net, net), gauss(0.2), weights=True, times=True, offsets=True, gaps=0.1)),
        external("net-learned", normal(variance=None), data(1, 2, curve(tanh_net, net), gauss(0.2)),
                 theta=net_start(13), belief=full(0.2), tags=["learned"], **p),
        external("net-2-full-R", normal(covariance=R2), k=2, n_params=17, forward=tanh_net_two, theta=net_start(17),
                 belief=full(0.2), rows=data(2, 2, curve(tanh_net_two, net2), gauss(R2), weights=True, gaps=0.2)),
        external("net-bernoulli", bernoulli, data(1, 2, curve(tanh_net, 3 * net), coin, weights=True),
                 theta=net_start(13), belief=full(0.2), **p),
        external("net-poisson", poisson, data(1, 2, curve(tanh_net, 1.5 * net), count), theta=net_start(13),
                 belief=full(0.02), **p),
        external("net-mean-variance", mean_variance, k=2, n_params=17, forward=tanh_net_two, theta=net_start(17),
                 belief=full(0.02), rows=data(2, 2, curve(tanh_net_two, net2), noisy, width=1)),
        external("net-categorical", categorical(2), k=2, n_params=17, forward=tanh_net_two, theta=net_start(17),
                 belief=full(0.2), rows=data(2, 2, curve(tanh_net_two, 2 * net2), label, width=1, gaps=0.1)),
        external("net-binomial", binomial(4), data(1, 2, curve(tanh_net, net), successes(4)),
                 theta=net_start(13), belief=full(0.05), **p),
        external("net-negative-binomial", negative_binomial, data(1, 2, curve(tanh_net, 1.5 * net), mixed_count),
                 theta=net_start(13), belief=full(0.02), **p),
        external("net-gamma", gamma, data(1, 2, curve(tanh_net, 1.5 * net), positive_number),
                 theta=net_start(13), belief=full(0.01), **p),
        external("net-each", normal(variance="each"), k=2, n_params=17, forward=tanh_net_two, theta=net_start(17),
                 belief=full(0.2), rows=data(2, 2, curve(tanh_net_two, net2), gauss(R2), gaps=0.2)),
        external("decay-curve", normal(variance=0.1), **positive,
                 rows=_positive(data(1, 1, lambda u: curve(decay_curve, level)(np.abs(u)), gauss(0.1)))),
        external("decay-curve-fading", normal(variance=0.1), **positive, rule=fading(half_life=40.0),
                 rows=_positive(data(1, 1, lambda u: curve(decay_curve, level)(np.abs(u)), gauss(0.1), times=True))),
    ]  # fmt: skip


def mild(family, k, draw, scale, prior, width=None):
    """What the problems of every entry need of a family: k, y drawn at z, the size of z, a mild prior variance, `data`'s width."""
    return {"family": family, "k": k, "draw": draw, "scale": scale, "prior": prior, "width": width}


LAWS = {
    "gaussian": mild(normal(variance=0.5), 1, gauss(0.5), 0.6, 1.0),
    "gaussian-2": mild(normal(covariance=R2), 2, gauss(R2), 0.6, 1.0),
    "bernoulli": mild(bernoulli, 1, coin, 0.4, 1.0),
    "poisson": mild(poisson, 1, count, 0.3, 0.05),
    "mean-variance": mild(mean_variance, 2, noisy, 0.3, 0.005, 1),
    "binomial": mild(binomial(5), 1, successes(5), 0.4, 0.2),
    "trials": mild(binomial(), 1, successes_of, 0.4, 0.2, 2),
    "categorical": mild(categorical(3), 3, label, 0.4, 0.3, 1),
    "negative-binomial": mild(negative_binomial, 1, mixed_count, 0.3, 0.02),
    "gamma": mild(gamma, 1, positive_number, 0.3, 0.03),
}
LEARNED = mild(normal(variance=None), 1, gauss(0.5), 0.6, 1.0)


def diagonal(prior, projection="precision"):
    return lambda impl: impl.Diagonal(prior, projection)


def towards_prior(lam):
    return lambda impl: impl.Fading(forgetting=lam, towards="prior")


def gradient(make):
    return lambda impl: impl.NaturalGradient(*make(impl))


def walk(Q, every=1):
    return lambda impl: impl.ProcessNoise(Q, every)


def _crossed_problems():
    """Every rule, belief and model beyond the first, with every family."""
    problems = []
    for law, known in LAWS.items():
        k, scale, prior = known["k"], known["scale"], known["prior"]
        make = {"weights": True, "offsets": True, "gaps": 0.1, "width": known["width"]}
        z, p = line(k, 3, scale), 4 * k
        rows, timed = data(k, 3, z, known["draw"], **make), data(k, 3, z, known["draw"], times=True, **make)
        Q = 1e-3 * prior * (np.eye(p) + 0.5)
        full_prior = prior * (np.diag(np.linspace(0.5, 1.5, p)) + 0.3)
        entries = {
            "gradient": {"rule": gradient(lambda impl: (impl.InverseTime(1.5, 1.5),)), "belief": full(prior)},
            "gradient-number": {"rule": gradient(lambda impl: (0.02,)), "belief": full(prior / 0.02)},
            "gradient-power": {"rule": gradient(lambda impl: (impl.Power(0.5, 0.7),)), "belief": full(2 * prior)},
            "gradient-rates": {"rule": gradient(lambda impl: (impl.Power(0.05, 0.5), 0.02)), "belief": full(prior / 0.02),
                               "tags": ["no posterior"]},
            "walk": {"rule": walk(1e-3 * prior), "belief": full(prior), "rows": timed},
            "walk-each": {"rule": walk(np.linspace(0, 2e-3, p) * prior, 5), "belief": full(full_prior), "rows": timed},
            "walk-matrix": {"rule": walk(Q, 2), "belief": full(prior), "rows": timed},
            "turns": {"rule": towards_prior(0.03), "belief": full(prior), "rows": timed},
            "turns-matrix": {"rule": towards_prior(0.03), "belief": full(full_prior), "rows": timed},
            "diagonal": {"belief": diagonal(prior), "rows": timed},
            "diagonal-covariance": {"belief": diagonal(np.linspace(0.5, 1, p) * prior, "covariance"), "rule": fading(0.02)},
            "diagonal-turns": {"belief": diagonal(prior), "rule": towards_prior(0.03), "rows": timed},
            "diagonal-walk": {"belief": diagonal(prior, "covariance"), "rule": walk(1e-3 * prior, 3), "rows": timed},
            "diagonal-gradient": {"belief": diagonal(prior / 0.02), "rule": gradient(lambda impl: (0.02,))},
            "network": {"layers": ([3, 4, k],), "belief": full(0.1 * prior)},
            "network-relu": {"layers": ([3, 5, 4, k], "relu"), "belief": full(0.1 * prior), "rule": fading(0.01), "rows": timed},
            "network-turns": {"layers": ([3, 4, k],), "belief": full(0.1 * prior), "rule": towards_prior(0.03), "rows": timed},
            "network-diagonal": {"layers": ([3, 4, k],), "belief": diagonal(0.1 * prior)},
        }  # fmt: skip
        entries |= {
            "iterated": {"belief": full(prior), "iterations": 3, "rule": fading(0.02), "rows": timed},
            "iterated-turns": {"layers": ([3, 4, k],), "belief": full(0.3 * prior), "iterations": 2,
                               "rule": towards_prior(0.03), "rows": timed},
            "iterated-network": {"layers": ([3, 4, k],), "belief": full(0.3 * prior), "iterations": 4},
            "iterated-diagonal": {"layers": ([3, 4, k],), "belief": diagonal(0.3 * prior), "iterations": 2},
        }  # fmt: skip
        if k == 1:
            entries["implicit"] = {"belief": full(prior), "iterations": "implicit", "rule": fading(0.02), "rows": timed}
        for entry, options in entries.items():
            problems.append(linear(f"{law}-{entry}", known["family"], k=k, **({"rows": rows} | options)))
    timed = data(1, 3, line(1, 3), gauss(0.5), times=True, weights=True, gaps=0.1)
    for entry, options in {
        "turns": {"rule": towards_prior(0.03)},
        "turns-matrix": {"rule": towards_prior(0.03), "belief": full(PRIOR4)},
        "walk": {"rule": walk(1e-3)},
        "diagonal": {"belief": diagonal(1.0), "rule": fading(0.02)},
        "diagonal-turns": {"belief": diagonal(1.0, "covariance"), "rule": towards_prior(0.03)},
        "network": {"layers": ([3, 4, 1],), "belief": full(0.1)},
    }.items():
        problems.append(linear(f"learned-{entry}", normal(variance=None), timed, tags=["learned"], **options))
    three = data(3, 2, line(3, 2), gauss(np.diag([0.5, 0.1, 2.0])), times=True, weights=True, gaps=0.2)
    for entry, options in {
        "turns": {"rule": towards_prior(0.03)},
        "walk": {"rule": walk(1e-3)},
        "diagonal": {"belief": diagonal(1.0), "rule": fading(0.02)},
        "network": {"layers": ([2, 4, 3],), "belief": full(0.1)},
        "iterated": {"belief": full(1.0), "iterations": 2},
    }.items():
        problems.append(linear(f"each-3-{entry}", normal(variance="each"), three, k=3, **options))
    gone = replace(timed, dt=np.where(np.arange(ROWS) % 40 == 20, 3000.0, timed.dt))
    problems.append(
        linear("learned-turns-gone", normal(variance=None), gone, rule=towards_prior(0.03), tags=["learned"])
    )
    return problems


def _robust_problems():
    """Every policy with every kind of Gaussian, belief and rule; every eighth row of y is far off."""
    everything = {"weights": True, "times": True, "offsets": True, "gaps": 0.15}
    one = _with_outliers(data(1, 3, line(1, 3), gauss(0.5), **everything))
    three = _with_outliers(data(3, 2, line(3, 2), gauss(R3), **everything))
    many = _with_outliers(data(1, 24, line(1, 24), gauss(0.5), **everything))
    problems = []
    for policy in ("imq", "student", "winsor"):
        entries = {
            "one": {"rows": one, "family": normal(variance=0.5)},
            "one-fading": {"rows": one, "family": normal(variance=0.5), "rule": fading(0.02)},
            "many-turns": {"rows": many, "family": normal(variance=0.5), "rule": towards_prior(0.03)},
            "learned": {"rows": many, "family": normal(variance=None), "rule": fading(0.02), "tags": ["learned"]},
            "each-diagonal": {"rows": many, "family": normal(variance="each"), "belief": diagonal(1.0)},
            "three": {"rows": three, "k": 3, "family": normal(covariance=R3)},
            "three-each": {"rows": three, "k": 3, "family": normal(variance="each"), "rule": walk(1e-3)},
            "three-diagonal": {"rows": three, "k": 3, "family": normal(variance=None), "belief": diagonal(1.0, "covariance")},
            "network": {"rows": one, "family": normal(variance=0.5), "layers": ([3, 4, 1],), "belief": full(0.1)},
            "network-three": {"rows": three, "k": 3, "family": normal(covariance=R3), "layers": ([2, 4, 3],),
                              "belief": full(0.1)},
        }  # fmt: skip
        for entry, options in entries.items():
            problems.append(linear(f"robust-{policy}-{entry}", options.pop("family"), robust=policy, **options))
    return problems


def _with_outliers(rows):
    return replace(rows, Y=rows.Y + np.where(np.arange(ROWS) % 8 == 5, 15.0, 0.0)[:, None])


def _rough_problems():
    """Problems on which a default guard acts, under the name of its counter."""
    one, silent = line(1, 3), data(1, 3, line(1, 3), gauss(0.5))
    silent.U[:60, 1] = 0.0
    long = data(1, 3, one, gauss(0.5), times=True, gaps=0.3)
    rare = replace(long, dt=np.where(np.arange(ROWS) % 40 == 20, 600.0, long.dt))
    steep, low = data(1, 3, line(1, 3, 2.0), count), data(1, 3, line(1, 3, 0.4), coin)
    far = replace(low, offset=np.where(np.arange(ROWS) % 10 == 3, 45.0, 0.0)[:, None])
    tiny, truth = data(3, 2, line(3, 2), gauss(1e-14 * np.eye(3))), coefficients(3, 2)
    return [
        ("windup", linear("rough-windup", normal(variance=0.5), silent, rule=fading(0.1))),
        ("windup", linear("rough-windup-prior", normal(variance=0.5), silent, rule=fading(half_life=5.0), belief=full(PRIOR4))),
        ("windup", linear("rough-windup-pauses", normal(variance=None), rare, rule=fading(0.05), tags=["learned"])),
        ("windup", external("rough-windup-net", normal(variance=0.2), theta=net_start(13), belief=full(0.2),
                            rows=data(1, 2, curve(tanh_net, net_start(13)), gauss(0.2)), rule=fading(0.1),
                            n_params=13, forward=tanh_net)),
        ("clipped", linear("rough-clip-log", poisson, steep)),
        ("clipped", linear("rough-clip-logit", bernoulli, low, belief=full(100.0), rule=fading(0.05))),
        ("clamped", linear("rough-clamp", bernoulli, far)),
        ("clipped", linear("rough-clip-classes", categorical(3), data(3, 2, line(3, 2), label, width=1), k=3,
                           belief=full(100.0), rule=fading(0.05))),
        ("clipped", linear("rough-clip-log-variance", mean_variance, data(2, 3, line(2, 3, 2.0), noisy, width=1), k=2)),
        ("clamped", linear("rough-clamp-classes", categorical(2), k=2, rows=_shifted(
            data(2, 3, line(2, 3, 0.4), label, width=1), [60.0, 20.0]))),
        ("floored", linear("rough-floor-each", normal(variance="each", prior_scale=1e-6), tiny, k=3, belief=full(1e-12),
                           theta=[*truth[:, :2].ravel(), *truth[:, 2]])),
        ("floored", linear("rough-floor", normal(variance=None, prior_scale=1e-6), tiny, k=3, tags=["learned"],
                           theta=[*truth[:, :2].ravel(), *truth[:, 2]])),
    ]  # fmt: skip


def _shifted(rows, far):
    """Every tenth row with an offset `far`."""
    return replace(rows, offset=np.where((np.arange(ROWS) % 10 == 3)[:, None], far, 0.0))


def _positive(rows):
    return replace(rows, U=np.abs(rows.U))


PROBLEMS = {problem.name: problem for problem in (*_linear_problems(), *_catalogue_problems(), *_external_problems())}
CROSSED = {problem.name: problem for problem in (*_crossed_problems(), *_robust_problems())}
ROUGH = {problem.name: (problem, counter) for counter, problem in _rough_problems()}
EXTERNAL = [name for name, problem in PROBLEMS.items() if problem.forward is not None]
LINEAR = [name for name, problem in PROBLEMS.items() if problem.forward is None]
