"""The models: `MODELS` is the one list of their names."""

from .base import Model
from .external import External
from .linear import Linear
from .mlp import MLP

MODELS: dict[str, type[Model]] = {cls.__name__: cls for cls in (Linear, External, MLP)}

__all__ = ["MLP", "MODELS", "External", "Linear", "Model"]
