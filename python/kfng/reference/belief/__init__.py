"""The beliefs: `BELIEFS` is the one list of their names."""

from .base import Belief
from .full import Full

BELIEFS: dict[str, type[Belief]] = {cls.__name__: cls for cls in (Full,)}

__all__ = ["BELIEFS", "Belief", "Full"]
