"""The beliefs: `BELIEFS` is the one list of their names."""

from .base import Belief
from .diagonal import Diagonal
from .full import Full

BELIEFS: dict[str, type[Belief]] = {cls.__name__: cls for cls in (Full,)}
UPCOMING: dict[str, type[Belief]] = {cls.__name__: cls for cls in (Diagonal,)}
"""Beliefs of the reference that the core does not know yet: names that no file or registry offers."""

__all__ = ["BELIEFS", "UPCOMING", "Belief", "Diagonal", "Full"]
