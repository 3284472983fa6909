"""kfng in pure NumPy: the same names, arguments, shapes and errors; swapping one import changes only the speed.

The mathematics is written from the paper in dense algebra (step.py, belief/full.py) and is checked against the
textbook extended Kalman filter (ekf.py). Dense algebra subtracts in P, which loses all its digits where a row's information,
weight and all, passes 1e16 times what was known (a weight of 2^63): there a row may be refused that kfng's factors of P take.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

# the components before the filter: kfng's shared Python, which the filter needs, imports them from here
from .._later import later as _later  # isort: skip
from .belief import Diagonal, Full, Point
from .family import FAMILIES as _FAMILIES
from .guards import Guards
from .model import MODELS as _MODELS
from .robust import Imq, Student, Winsor
from .rule import RULES as _RULES
from .rule import InverseTime, Power
from .sensitivity import SENSITIVITIES as _SENSITIVITIES

from .. import errors  # isort: skip
from ..errors import *  # isort: skip  # noqa: F403

if TYPE_CHECKING:
    from .._merge import merge
    from .._report import report
    from ..schedules import forgetting_to_learning_rate, learning_rate_to_forgetting
    from .bank import Bank
    from .family import (
        Bernoulli,
        Binomial,
        Categorical,
        Gamma,
        Gaussian,
        GaussianMeanVariance,
        NegativeBinomial,
        Poisson,
    )
    from .filter import Filter
    from .hashing import FeatureHasher
    from .joint import JointEkf, StateFilter
    from .mixture import Mixture
    from .model import GRU, LRU, LSTM, MLP, RNN, External, ExternalRecurrent, Linear, LinearStateSpace
    from .rule import SGD, Adam, Fading, Kalman, NaturalGradient, ProcessNoise
    from .sensitivity import RTRL, UORO, DiagonalRTRL, SnAp

# What `import kfng` does not need is read when it is first asked for: it would take as long as half of NumPy.
_COMPONENTS = _MODELS.where | _FAMILIES.where | _RULES.where | _SENSITIVITIES.where
_LATER = _COMPONENTS | {
    "Bank": "kfng.reference.bank",
    "FeatureHasher": "kfng.reference.hashing",
    "Filter": "kfng.reference.filter",
    "JointEkf": "kfng.reference.joint",
    "Mixture": "kfng.reference.mixture",
    "StateFilter": "kfng.reference.joint",
    "forgetting_to_learning_rate": "kfng.schedules",
    "learning_rate_to_forgetting": "kfng.schedules",
    "merge": "kfng._merge",
    "report": "kfng._report",
}


def __getattr__(name: str) -> Any:
    return _later(globals(), _LATER, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})


def load(path: Any) -> Any:
    """Read what a `save` wrote, of kfng or of its reference: a Filter, Bank, Mixture, StateFilter or JointEkf.

    Parameters
    ----------
    path : str or os.PathLike

    Raises
    ------
    CheckpointError
        Its kinds say what is wrong with the file.
    """
    from .._load import load

    return load("kfng.reference", path)


__all__ = [
    "GRU",
    "LRU",
    "LSTM",
    "MLP",
    "RNN",
    "RTRL",
    "SGD",
    "UORO",
    "Adam",
    "Bank",
    "Bernoulli",
    "Binomial",
    "Categorical",
    "Diagonal",
    "DiagonalRTRL",
    "External",
    "ExternalRecurrent",
    "Fading",
    "FeatureHasher",
    "Filter",
    "Full",
    "Gamma",
    "Gaussian",
    "GaussianMeanVariance",
    "Guards",
    "Imq",
    "InverseTime",
    "JointEkf",
    "Kalman",
    "Linear",
    "LinearStateSpace",
    "Mixture",
    "NaturalGradient",
    "NegativeBinomial",
    "Point",
    "Poisson",
    "Power",
    "ProcessNoise",
    "SnAp",
    "StateFilter",
    "Student",
    "Winsor",
    "errors",
    "forgetting_to_learning_rate",
    "learning_rate_to_forgetting",
    "load",
    "merge",
    "report",
]
__all__ += errors.__all__
