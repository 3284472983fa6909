"""The rules: how time and learning enter the kernel of theory section 1. A rule touches no matrix; one file each."""

from .adam import Adam
from .base import Rates, Rule, TimeStep
from .fading import Fading
from .gradient import GradientRule
from .kalman import Kalman
from .natural_gradient import NaturalGradient
from .process_noise import ProcessNoise
from .schedule import InverseTime, Power, Schedule
from .sgd import SGD

RULES: dict[str, type[Rule]] = {cls.__name__: cls for cls in (Kalman, Fading, NaturalGradient, ProcessNoise, SGD, Adam)}

__all__ = [
    "RULES",
    "SGD",
    "Adam",
    "Fading",
    "GradientRule",
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
