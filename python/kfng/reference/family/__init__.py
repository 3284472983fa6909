"""The families: `FAMILIES` is the one list of their names."""

from .base import Family
from .bernoulli import Bernoulli
from .gaussian import Gaussian
from .poisson import Poisson

FAMILIES: dict[str, type[Family]] = {cls.__name__: cls for cls in (Gaussian, Bernoulli, Poisson)}

__all__ = ["FAMILIES", "Bernoulli", "Family", "Gaussian", "Poisson"]
