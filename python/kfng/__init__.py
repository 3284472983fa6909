"""kfng: fit a model to a stream, one observation at a time, with no learning rate to tune, and know how sure it is.

The extended Kalman filter over a model's parameters is online natural gradient descent on the log-likelihood (Ollivier,
arXiv 1703.00209). `kfng.Filter` runs it in Rust; `kfng.reference` is the same interface in NumPy.
"""

from typing import TYPE_CHECKING, Any

from . import errors, reference  # isort: skip  (the reference first: the shared Python imports the components from it)
from ._core import __version__
from ._filter import Filter
from ._later import later as _later
from .errors import *  # noqa: F403
from .reference import _COMPONENTS, Diagonal, Full, Guards, Imq, InverseTime, Point, Power, Student, Winsor

if TYPE_CHECKING:
    from . import diagnostics as diagnostics
    from . import jax as jax
    from . import plot as plot
    from . import river as river
    from . import sklearn as sklearn
    from . import torch as torch
    from ._bank import Bank
    from ._hasher import FeatureHasher
    from ._joint import JointEkf, StateFilter
    from ._merge import merge
    from ._mixture import Mixture
    from ._report import report
    from .reference import (
        GRU,
        LRU,
        LSTM,
        MLP,
        RNN,
        RTRL,
        SGD,
        UORO,
        Adam,
        Bernoulli,
        Binomial,
        Categorical,
        DiagonalRTRL,
        External,
        ExternalRecurrent,
        Fading,
        Gamma,
        Gaussian,
        GaussianMeanVariance,
        Kalman,
        Linear,
        LinearStateSpace,
        NaturalGradient,
        NegativeBinomial,
        Poisson,
        ProcessNoise,
        SnAp,
    )
    from .schedules import forgetting_to_learning_rate, learning_rate_to_forgetting

_LATER = _COMPONENTS | {
    "Bank": "kfng._bank",
    "FeatureHasher": "kfng._hasher",
    "JointEkf": "kfng._joint",
    "Mixture": "kfng._mixture",
    "StateFilter": "kfng._joint",
    "forgetting_to_learning_rate": "kfng.schedules",
    "learning_rate_to_forgetting": "kfng.schedules",
    "merge": "kfng._merge",
    "report": "kfng._report",
}
_MODULES = {name: f"kfng.{name}" for name in ("diagnostics", "jax", "plot", "river", "sklearn", "torch")}
"""Need no import of their own, so that `kfng.plot.learning_curve` works; not in `dir(kfng)`, as most of them need an extra."""


def __getattr__(name: str) -> Any:
    return _later(globals(), _LATER | _MODULES, name)


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
    from ._load import load

    return load("kfng", path)


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
    "__version__",
    "errors",
    "forgetting_to_learning_rate",
    "learning_rate_to_forgetting",
    "load",
    "merge",
    "reference",
    "report",
]
__all__ += errors.__all__
