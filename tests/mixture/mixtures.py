"""Mixtures of several kinds, streams that suit them, and all their bits."""

import numpy as np

NAN = float("nan")


def make(impl, kind, **options):
    """A mixture of one kind on three features, not yet fed."""
    F, L = impl.Filter, impl.Linear
    filters = {
        "half-lives": lambda: [F(L(3), impl.Gaussian(None), rule=impl.Fading(half_life=h)) for h in (10, 100, 1000)],
        "robust": lambda: [F(L(3), impl.Gaussian(), robust=rule) for rule in (None, impl.Winsor(2.0), impl.Imq(2.0))],
        "priors": lambda: [F(L(3), impl.Gaussian(), belief=impl.Full(v)) for v in (0.01, 1.0, 100.0)],
        "positive": lambda: [F(L(3), impl.Gaussian(None)), F(L(3), impl.Gamma(2.0)), F(L(3), impl.Gamma(8.0))],
        "counts": lambda: [F(L(3), impl.Poisson()), F(L(3), impl.NegativeBinomial(0.5))],
        "classes": lambda: [F(L(3, 3), impl.Categorical(3), belief=impl.Full(v)) for v in (0.1, 10.0)],
        "two outputs": lambda: [F(L(3, 2), impl.Gaussian(s)) for s in (0.5, 2.0)],
        "a variance": lambda: [F(L(3, 2), impl.GaussianMeanVariance()), F(L(3), impl.Gaussian("each"))],
        "precisions": lambda: [F(L(3), impl.Gaussian()), F(L(3), impl.Gaussian(), dtype="float32")],
        "memories": lambda: [F(impl.RNN(3, 2, 1), impl.Gaussian()), F(L(3), impl.Gaussian())],
        "gradients": lambda: [F(L(3), impl.Gaussian(), rule=impl.NaturalGradient(rate, 0.05)) for rate in (0.01, 0.1)],
    }[kind]()
    return impl.Mixture(filters, **options)


KINDS = (
    "half-lives",
    "robust",
    "priors",
    "positive",
    "counts",
    "classes",
    "two outputs",
    "a variance",
    "precisions",
    "memories",
    "gradients",
)


def stream(kind, n=60, seed=0):
    """U (n, 3), Y, weight, dt."""
    rng = np.random.default_rng(seed)
    U = rng.normal(size=(n, 3))
    z = U @ [0.5, -0.3, 0.1] + 0.2
    Y = z + rng.normal(size=n)
    if kind == "positive":
        Y = rng.gamma(2.0, np.exp(z) / 2)
    elif kind == "counts":
        Y = rng.poisson(np.exp(z)).astype(np.float64)
    elif kind == "classes":
        Y = rng.integers(0, 3, n).astype(np.float64)
    elif kind == "two outputs":
        Y = np.stack([Y, -z], axis=1)
    weight, dt = rng.choice([0.0, 0.5, 1.0, 2.0], n), rng.choice([0.0, 0.5, 1.0], n)
    if kind == "gradients":
        dt = np.ones(n)
    Y[[5, 20]] = NAN
    return U, Y, weight, dt


def bits(mixture):
    return mixture._to_bytes()


def same_trace(trace, other):
    """To the last bit, of traces or of steps."""
    for name in ("prediction", "std", "nll", "weights", "skipped", "clipped"):
        mine, its = np.asarray(getattr(trace, name)), np.asarray(getattr(other, name))
        assert mine.dtype == its.dtype, name
        np.testing.assert_array_equal(mine, its, err_msg=name)
