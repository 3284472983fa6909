"""The families: `FAMILIES` is the one list of their names."""

from .base import Family
from .bernoulli import Bernoulli
from .binomial import Binomial
from .categorical import Categorical
from .gamma import Gamma
from .gaussian import Gaussian
from .gaussian_mean_variance import GaussianMeanVariance
from .negative_binomial import NegativeBinomial
from .poisson import Poisson

_ALL = (Gaussian, GaussianMeanVariance, Bernoulli, Binomial, Categorical, Poisson, NegativeBinomial, Gamma)
FAMILIES: dict[str, type[Family]] = {cls.__name__: cls for cls in _ALL}

__all__ = [
    "FAMILIES",
    "Bernoulli",
    "Binomial",
    "Categorical",
    "Family",
    "Gamma",
    "Gaussian",
    "GaussianMeanVariance",
    "NegativeBinomial",
    "Poisson",
]
