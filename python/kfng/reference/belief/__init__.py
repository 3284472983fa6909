"""The beliefs: `BELIEFS` is the one list of their names."""

from .base import Belief
from .diagonal import Diagonal
from .full import Full
from .point import Point

BELIEFS: dict[str, type[Belief]] = {cls.__name__: cls for cls in (Full, Diagonal)}
POINT: dict[str, type[Belief]] = {"Point": Point}
"""The belief of the gradient rules."""

__all__ = ["BELIEFS", "POINT", "Belief", "Diagonal", "Full", "Point"]
