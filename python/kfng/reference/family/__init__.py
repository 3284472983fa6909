"""The families: `FAMILIES` is the one list of their names, each read from its module when it is first asked for."""

from typing import TYPE_CHECKING, Any

from ..._later import Kinds as _Kinds
from ..._later import later as _later
from .base import Family

if TYPE_CHECKING:
    from .bernoulli import Bernoulli as Bernoulli
    from .binomial import Binomial as Binomial
    from .categorical import Categorical as Categorical
    from .gamma import Gamma as Gamma
    from .gaussian import Gaussian as Gaussian
    from .gaussian_mean_variance import GaussianMeanVariance as GaussianMeanVariance
    from .negative_binomial import NegativeBinomial as NegativeBinomial
    from .poisson import Poisson as Poisson

FAMILIES = _Kinds(
    __name__,
    {
        "Gaussian": "gaussian",
        "GaussianMeanVariance": "gaussian_mean_variance",
        "Bernoulli": "bernoulli",
        "Binomial": "binomial",
        "Categorical": "categorical",
        "Poisson": "poisson",
        "NegativeBinomial": "negative_binomial",
        "Gamma": "gamma",
    },
)


def __getattr__(name: str) -> Any:
    return _later(globals(), FAMILIES.where, name)


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
