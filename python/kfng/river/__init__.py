"""Models for river: `pip install "kfng[river]"`.

`Regressor` and `Classifier` learn from rows as dicts, whose features and classes may appear and vanish at any time.
"""

try:
    import river as _river  # noqa: F401
except ImportError as error:
    raise ImportError('kfng.river needs river: pip install "kfng[river]"') from error

from ._classifier import Classifier
from ._regressor import Regressor

__all__ = ["Classifier", "Regressor"]
