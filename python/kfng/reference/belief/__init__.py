"""The beliefs: `BELIEFS` is the one list of their names."""

from .base import Belief
from .diagonal import Diagonal
from .full import Full
from .point import Point

BELIEFS: dict[str, type[Belief]] = {cls.__name__: cls for cls in (Full, Diagonal, Point)}

__all__ = ["BELIEFS", "Belief", "Diagonal", "Full", "Point"]
