"""The sensitivities: how ds/dtheta, the influence of the parameters on the state, is carried from row to row."""

from typing import TYPE_CHECKING, Any

from ..._later import Kinds as _Kinds
from ..._later import later as _later
from .base import Sensitivity

if TYPE_CHECKING:
    from .diagonal_rtrl import DiagonalRTRL as DiagonalRTRL
    from .rtrl import RTRL as RTRL
    from .snap import SnAp as SnAp
    from .uoro import UORO as UORO

SENSITIVITIES = _Kinds(
    __name__,
    {
        "RTRL": "rtrl",
        "SnAp": "snap",
        "DiagonalRTRL": "diagonal_rtrl",
        "UORO": "uoro",
    },
)


def __getattr__(name: str) -> Any:
    return _later(globals(), SENSITIVITIES.where, name)


__all__ = [
    "RTRL",
    "SENSITIVITIES",
    "UORO",
    "DiagonalRTRL",
    "Sensitivity",
    "SnAp",
]
