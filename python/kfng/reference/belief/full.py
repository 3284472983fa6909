"""The full covariance P (p, p) in dense algebra: the kernel of theory section 1, covariance form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..._validate import Array
from ...errors import NotPositiveDefiniteError, ShapeError
from .base import Belief, prior_field


@dataclass(frozen=True, eq=False, repr=False)
class Full(Belief):
    """The exact belief: all covariances, p(p+1)/2 numbers, O(p²) a row.

    Parameters
    ----------
    prior_variance : float, (p,) or (p, p), default 1.0
        Covariance of theta before the first row, relative to sigma² where the noise variance is learned.

    Raises
    ------
    ParameterError, ShapeError, NonFiniteError, NotPositiveDefiniteError
    """

    prior_variance: Any = 1.0

    max_parameters: ClassVar[int] = 32768

    def __post_init__(self) -> None:
        self._set("prior_variance", prior_field(self.prior_variance, (1, 2)))

    def check(self, p: int) -> None:
        """Raise unless `prior_variance` fits p parameters and is positive definite."""
        value = np.asarray(self.prior_variance)
        if value.ndim and len(value) != p:
            raise ShapeError(argument="prior_variance", expected=f"a number, ({p},) or ({p}, {p})", got=value.shape)
        if value.ndim == 2:
            try:
                np.linalg.cholesky(value)
            except np.linalg.LinAlgError:
                raise NotPositiveDefiniteError(
                    argument="prior_variance", expected="a positive definite matrix", got="one that is not"
                ) from None

    def prior(self, p: int) -> Array:
        """P_0 (p, p)."""
        value = np.asarray(self.prior_variance)
        return value.copy() if value.ndim == 2 else np.diag(np.broadcast_to(value, (p,)).astype(np.float64))
