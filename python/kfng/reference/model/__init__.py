"""The models: `MODELS` is the one list of their names."""

from .base import Model
from .external import External
from .linear import Linear
from .mlp import MLP

MODELS: dict[str, type[Model]] = {cls.__name__: cls for cls in (Linear, External)}
UPCOMING: dict[str, type[Model]] = {cls.__name__: cls for cls in (MLP,)}
"""Models of the reference that the core does not know yet: names that no file or registry offers."""

__all__ = ["MLP", "MODELS", "UPCOMING", "External", "Linear", "Model"]
