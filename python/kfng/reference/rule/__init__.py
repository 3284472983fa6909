"""The rules: how time and learning enter the kernel of theory section 1. A rule touches no matrix; one file each."""

from typing import TYPE_CHECKING, Any

from ..._later import Kinds as _Kinds
from ..._later import later as _later
from .base import Rates, Rule, TimeStep
from .schedule import InverseTime, Power, Schedule

if TYPE_CHECKING:
    from .adam import Adam as Adam
    from .fading import Fading as Fading
    from .kalman import Kalman as Kalman
    from .natural_gradient import NaturalGradient as NaturalGradient
    from .process_noise import ProcessNoise as ProcessNoise
    from .sgd import SGD as SGD

RULES = _Kinds(
    __name__,
    {
        "Kalman": "kalman",
        "Fading": "fading",
        "NaturalGradient": "natural_gradient",
        "ProcessNoise": "process_noise",
        "SGD": "sgd",
        "Adam": "adam",
    },
)


def __getattr__(name: str) -> Any:
    return _later(globals(), RULES.where, name)


__all__ = [
    "RULES",
    "SGD",
    "Adam",
    "Fading",
    "InverseTime",
    "Kalman",
    "NaturalGradient",
    "Power",
    "ProcessNoise",
    "Rates",
    "Rule",
    "Schedule",
    "TimeStep",
]
