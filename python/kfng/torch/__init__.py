"""PyTorch modules that learn row by row: `pip install "kfng[torch]"`.

`filter_for(module, family=...)` learns a module's parameters, or some of them; `KalmanOptimizer` is the same as a step of a
training loop.
"""

try:
    import torch as _torch  # noqa: F401
except ImportError as error:
    raise ImportError('kfng.torch needs PyTorch: pip install "kfng[torch]"') from error

from ._learner import TorchLearner, filter_for
from ._optimizer import KalmanOptimizer

__all__ = ["KalmanOptimizer", "TorchLearner", "filter_for"]
