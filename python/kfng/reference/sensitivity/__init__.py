"""The sensitivities: how ds/dtheta, the influence of the parameters on the state, is carried from row to row."""

from .base import Sensitivity
from .diagonal_rtrl import DiagonalRTRL
from .rtrl import RTRL
from .snap import SnAp
from .uoro import UORO

SENSITIVITIES: dict[str, type[Sensitivity]] = {cls.__name__: cls for cls in (RTRL, SnAp, DiagonalRTRL, UORO)}

__all__ = ["RTRL", "SENSITIVITIES", "UORO", "DiagonalRTRL", "Sensitivity", "SnAp"]
