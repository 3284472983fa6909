"""The models: `MODELS` is the one list of their names, each read from its module when it is first asked for."""

from typing import TYPE_CHECKING, Any

from ..._later import Kinds as _Kinds
from ..._later import later as _later
from .base import Model
from .recurrent import Cell, Recurrent

if TYPE_CHECKING:
    from .external import External as External
    from .external_recurrent import ExternalRecurrent as ExternalRecurrent
    from .gru import GRU as GRU
    from .linear import Linear as Linear
    from .linear_state_space import LinearStateSpace as LinearStateSpace
    from .lru import LRU as LRU
    from .lstm import LSTM as LSTM
    from .mlp import MLP as MLP
    from .rnn import RNN as RNN

MODELS = _Kinds(
    __name__,
    {
        "Linear": "linear",
        "External": "external",
        "MLP": "mlp",
        "RNN": "rnn",
        "GRU": "gru",
        "LSTM": "lstm",
        "LinearStateSpace": "linear_state_space",
        "LRU": "lru",
        "ExternalRecurrent": "external_recurrent",
    },
)


def __getattr__(name: str) -> Any:
    return _later(globals(), MODELS.where, name)


__all__ = [
    "GRU",
    "LRU",
    "LSTM",
    "MLP",
    "MODELS",
    "RNN",
    "Cell",
    "External",
    "ExternalRecurrent",
    "Linear",
    "LinearStateSpace",
    "Model",
    "Recurrent",
]
