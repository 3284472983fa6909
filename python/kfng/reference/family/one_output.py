"""What the families of one output z share: their formulas by elements, and the predictive density by quadrature."""

from __future__ import annotations

from ..._validate import Array
from .base import Family, Mask
from .quadrature import laplace_hermite


class OneOutput(Family):
    """An exponential family in one output. `y` stands for the columns (n, 1) of the observations, z (n, m) for m values each."""

    def nll_at(self, z: Array, y: Array) -> Array:
        """-log density (n, m) of y (n, y_width) at z (n, m)."""
        raise NotImplementedError

    def score_at(self, z: Array, y: Array) -> Array:
        """e = d(-nll)/dz, (n, m); decreasing in z."""
        raise NotImplementedError

    def curvature_at(self, z: Array, y: Array) -> Array:
        """d²nll/dz² >= 0, (n, m): the observed one, whose mean over y is L²."""
        raise NotImplementedError

    def score(self, z: Array, y: Array, observed: Mask) -> Array:
        return self.score_at(z[None], y[None])[0]

    def plugin_nll(self, z: Array, y: Array, a: Array, b: Array) -> Array:
        return self.nll_at(z, y)[:, 0]

    def predictive_nll(self, z: Array, C: Array, y: Array, a: Array, b: Array) -> Array:
        """-log ∫ N(t; z, C) p(y|t) dt (n,): to 1e-6 nats for sd(z) <= 1, to 1e-4 for sd(z) <= 3, to 0.02 for sd(z) <= 10."""
        return laplace_hermite(
            lambda t: self.nll_at(t, y), lambda t: self.score_at(t, y), lambda t: self.curvature_at(t, y), z, C[:, :, 0]
        )
