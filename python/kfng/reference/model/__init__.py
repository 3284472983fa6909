"""The models: `MODELS` and, of those with a hidden state, `RECURRENT` are the lists of their names."""

from .base import Model
from .external import External
from .external_recurrent import ExternalRecurrent
from .gru import GRU
from .linear import Linear
from .linear_state_space import LinearStateSpace
from .lru import LRU
from .lstm import LSTM
from .mlp import MLP
from .recurrent import Cell, Recurrent
from .rnn import RNN

RECURRENT: dict[str, type[Recurrent]] = {
    cls.__name__: cls for cls in (RNN, GRU, LSTM, LinearStateSpace, LRU, ExternalRecurrent)
}
MODELS: dict[str, type[Model]] = {**{cls.__name__: cls for cls in (Linear, External, MLP)}, **RECURRENT}

__all__ = [
    "GRU",
    "LRU",
    "LSTM",
    "MLP",
    "MODELS",
    "RECURRENT",
    "RNN",
    "Cell",
    "External",
    "ExternalRecurrent",
    "Linear",
    "LinearStateSpace",
    "Model",
    "Recurrent",
]
