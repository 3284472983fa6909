"""Estimators for scikit-learn: `pip install "kfng[sklearn]"`.

`OnlineRegressor` and `OnlineClassifier` learn row by row (`partial_fit`) or from a batch in one pass (`fit`), and know how
sure they are.
"""

try:
    import sklearn as _sklearn  # noqa: F401
except ImportError as error:
    raise ImportError('kfng.sklearn needs scikit-learn: pip install "kfng[sklearn]"') from error

from ._classifier import OnlineClassifier
from ._regressor import OnlineRegressor

__all__ = ["OnlineClassifier", "OnlineRegressor"]
