"""The beliefs: `BELIEFS` is the one list of their names."""

from .base import Belief
from .diagonal import Diagonal
from .full import Full

BELIEFS: dict[str, type[Belief]] = {cls.__name__: cls for cls in (Full, Diagonal)}

__all__ = ["BELIEFS", "Belief", "Diagonal", "Full"]
