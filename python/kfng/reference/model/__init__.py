"""The models: `MODELS` is the one list of their names."""

from .base import Model
from .external import External
from .linear import Linear

MODELS: dict[str, type[Model]] = {cls.__name__: cls for cls in (Linear, External)}

__all__ = ["MODELS", "External", "Linear", "Model"]
