"""What a family is: the law of an observation y given the model output z in link coordinates.

A family knows nothing of parameters. Shapes: n rows, k outputs, m_y entries of the mean, m noise scales (0, 1 or k).
z (n, k); y (n, y_width), NaN where missing; C (n, k, k) the covariance of z that the belief implies, relative to the noise scale where that is learned;
a, b (n, m) the inverse-gamma state of a learned noise variance.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..._component import Component
from ..._validate import Array
from ...errors import UnsupportedError
from .first_rows import Weight

Mask = NDArray[np.bool_]

LEVEL = 0.9
"""Of the interval whose coverage is kept."""


class Family(Component):
    axis: ClassVar[str] = "family"
    link: ClassVar[str]
    """'identity', 'logit' or 'log': decides clamp, step clip and the level of `from_rows`."""
    partial: ClassVar[bool] = False
    """True where a partly missing y still informs about its other entries."""

    discrete: ClassVar[bool] = False
    """True where y is a count or a class: its density is a probability."""

    covers: ClassVar[bool] = False
    """True where it is kept how often y lies in the 90 % interval of its prediction, `share_within`."""

    has_quantiles: ClassVar[bool] = True
    """False where y has no order."""

    @property
    def fixed_factor(self) -> bool:
        """True where the Fisher factor L depends on neither z nor the noise: rows of a linear model can then share a pass."""
        return False

    @property
    def relative(self) -> bool:
        """True where the covariance of theta is relative to a learned noise variance."""
        return False

    # -- what it fits to
    def outputs_needed(self) -> int | None:
        """The k this family needs, None for any."""
        return 1

    def noise_scales(self, k: int) -> int:
        """How many noise variances are learned (m)."""
        return 0

    def prior_noise(self, k: int) -> tuple[Array, Array]:
        """a_0, b_0 of shape (m,)."""
        return np.zeros(0), np.zeros(0)

    def y_width(self, k: int) -> int:
        """Numbers in one observation y."""
        return k

    def mean_shape(self, k: int) -> tuple[int, ...]:
        """Shape of the mean of one observation: () for a number."""
        return () if k == 1 else (k,)

    def missing(self, y: Array) -> Mask:
        """Rows from which nothing can be learned, (n,)."""
        gone: Mask = np.isnan(y)
        return np.all(gone, axis=-1) if self.partial else np.any(gone, axis=-1)

    def observed(self, y: Array, k: int) -> Mask:
        """Outputs (k,) that one y (y_width,) informs about, where it is not missing."""
        return np.ones(k, dtype=bool)

    def invalid(self, y: Array) -> Mask:
        """Rows whose y lies outside the family's range, (n,); NaN, a missing y, never does, infinity is checked before."""
        return np.zeros(len(y), dtype=bool)

    def range_text(self) -> str:
        """What `invalid` allows, for the error message."""
        return "a finite number"

    def share_within(self, z: Array, C: Array, y: Array, a: Array, b: Array) -> float:
        """Of the observed outputs of one row, the share whose y lies in the central 90 % interval of its prediction; NaN without `covers`."""
        return float("nan")

    # -- what belongs to a row besides z
    def for_rows(self, Y: Array) -> Family:
        """The family of the rows whose observations are Y (n, y_width), where its moments depend on more than z."""
        return self

    def at_noise(self, a: Array, b: Array) -> Family:
        """The family of one row with the learned noise variances that its score and factor take as known plugged in."""
        return self

    # -- guards
    def clamp(self, z: Array, c: float) -> Array:
        """z (..., k) kept where exp(z) means something: |z| <= c."""
        return z if self.link == "identity" else np.clip(z, -c, c)

    def moves(self, change: Array) -> Array:
        """What the step clip bounds, of a change of z (k,)."""
        return change

    # -- one row: score and Fisher factor in link coordinates
    def score(self, z: Array, y: Array, observed: Mask) -> Array:
        """e (k_observed,): d(-nll)/dz with the sign of descent, for the observed entries of y."""
        raise NotImplementedError

    def factor(self, z: Array, observed: Mask) -> Array:
        """L (k_observed, r) with L L' the Fisher matrix of z."""
        raise NotImplementedError

    def misfit(self, z: Array, y: Array, observed: Mask) -> float:
        """-log density of one y (y_width,) at z (k,) up to a constant; times the noise variance where that is learned."""
        known = np.zeros((1, 0))
        return float(self.plugin_nll(z[None], y[None], known, known)[0])

    def whitened(self, z: Array, e: Array, L: Array) -> Array:
        """r with L r = e: of covariance I given z; NaN where L has no inverse."""
        r = np.full(len(e), np.nan)
        if np.diagonal(L @ L.T).all():
            r[:] = np.linalg.solve(L, e)
        return r

    def degrees(self, observed: Mask) -> int:
        """Mean of r'r: the rank of the Fisher matrix."""
        return int(observed.sum())

    def noise_innovations(self, z: Array, C: Array, y: Array, a: Array, b: Array, weight: float) -> Array:
        """Squared innovations (m,) that b gains from in one row, weight/2 of each; relative to 1 + weight·C.

        Of the one sigma² of `relative` families it is e'S^-1 e where the row was last linearised, S = I + weight·C.
        """
        return np.zeros(0)

    # -- many rows: moments and densities
    def mean(self, z: Array) -> Array:
        """E(y|z), (n, m_y)."""
        raise NotImplementedError

    def mean_slope(self, z: Array) -> Array:
        """dE(y|z)/dz, (n, m_y, k)."""
        raise NotImplementedError

    def noise_covariance(self, z: Array, a: Array, b: Array) -> Array:
        """Cov(y|z), (n, m_y, m_y)."""
        raise NotImplementedError

    def posterior_scale(self, a: Array, b: Array) -> Array:
        """What the covariance of theta is relative to, (n,): 1, or the mean of a learned noise variance."""
        return np.ones(len(a))

    def noise_summary(self, a: Array, b: Array) -> tuple[Any, Any]:
        """(mean, degrees of freedom) of the noise variance, from the state a, b (m,)."""
        raise UnsupportedError(argument="noise_variance", expected="a Gaussian family", got=repr(self))

    def predictive_covariance(self, z: Array, C: Array, a: Array, b: Array, include_noise: bool = True) -> Array:
        """Cov(y) with theta integrated out to first order, (n, m_y, m_y)."""
        slope = self.mean_slope(z)
        spread = slope @ (C * self.posterior_scale(a, b)[:, None, None]) @ slope.swapaxes(1, 2)
        return spread + self.noise_covariance(z, a, b) if include_noise else spread

    def predictive_std(self, z: Array, C: Array, a: Array, b: Array, include_noise: bool = True) -> Array:
        """sqrt(diag(Cov(y))), (n, m_y)."""
        return np.sqrt(np.diagonal(self.predictive_covariance(z, C, a, b, include_noise), axis1=1, axis2=2))

    def plugin_nll(self, z: Array, y: Array, a: Array, b: Array) -> Array:
        """-log density of y at z, (n,); NaN where all of y is missing."""
        raise NotImplementedError

    def predictive_nll(self, z: Array, C: Array, y: Array, a: Array, b: Array) -> Array:
        """-log density of y with theta integrated out, (n,)."""
        raise NotImplementedError

    def predictive_quantiles(self, z: Array, C: Array, a: Array, b: Array, q: Array) -> Array:
        """Quantiles of y with theta integrated out, (n, len(q)) for one output, (n, k, len(q)) for several."""
        raise UnsupportedError(argument="quantiles", expected="a family of ordered y", got=repr(self))

    def predictive_tails(self, z: Array, C: Array, a: Array, b: Array, y: Array) -> tuple[Array, Array]:
        """P(Y <= y) and P(Y > y) of each entry of the mean, theta integrated out; y and both (n, m_y)."""
        raise UnsupportedError(argument="tails", expected="a family of ordered y", got=repr(self))

    # -- the data's level, for Filter.from_rows
    def level(self, Y: Array, w: Weight = None) -> Array:
        """Link of the mean of the rows Y (n, k), whose weights are w (n,), (k,)."""
        raise NotImplementedError

    def link_variance(self, Y: Array, w: Weight = None) -> Array:
        """Variance of y in link units, (k,), for a scale-free prior."""
        raise NotImplementedError

    def at_level(self, Y: Array, V: Array) -> tuple[Family, float]:
        """The family set to the scale of Y, whose variances are V (k,), and what prior variances are to be divided by."""
        return self, 1.0
