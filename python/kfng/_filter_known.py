"""What a filter knows: theta, its covariance, draws of it, the noise, the evidence."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _validate
from ._filter_parts import FilterParts
from .errors import ParameterError, UnsupportedError, shown

Float = NDArray[np.float64]


class Known(FilterParts):
    """The posterior, read."""

    @property
    def parameters(self) -> dict[str, NDArray[Any]]:
        """Posterior mean of theta by name (copies): see the model for names and shapes."""
        return {name: part.copy() for name, part in self.settings.model.split(self.theta).items()}

    def cov(self) -> Float:
        """Posterior covariance of theta, (p, p).

        Raises
        ------
        UnsupportedError
            As `std`, `precision` and `sample`, where the rule has none: a natural gradient whose metric_rate differs
            from its learning_rate.
        ParameterError
            As `precision`, where a (p, p) array would be too large (a diagonal belief of more than 32768 parameters).
        """
        self._need_posterior("cov")
        return self._posterior().covariance() * self._scale()

    def std(self) -> Float:
        """Posterior standard deviations of theta, (p,)."""
        self._need_posterior("std")
        return np.sqrt(self._posterior().variances() * self._scale())

    def precision(self) -> Float:
        """Inverse of the posterior covariance, (p, p)."""
        self._need_posterior("precision")
        return self._posterior().precision() / self._scale()

    def sample(self, size: int, seed: Any) -> Float:
        """Draws from the posterior of theta, (size, p): Gaussian, or Student-t where the noise variance is learned.

        Parameters
        ----------
        size : int
            How many draws.
        seed : int, Generator or None

        Raises
        ------
        ParameterError
            `size` is no integer >= 0, or `seed` nothing that np.random.default_rng takes: an integer >= 0, or some in a
            flat list, a Generator or what one is made of.
        """
        self._need_posterior("sample")
        size = _validate.integer("size", size)
        return self._draws(size, _generator(seed))[0]

    def _draws(self, size: int, rng: np.random.Generator) -> tuple[Float, Float | None]:
        """theta (size, p) and, where one noise variance is learned, the variance (size,) that goes with each."""
        normals = rng.standard_normal((size, self.settings.p))
        draws = self._posterior().coloured(normals, self.settings.rule.scale(self.n_updates))
        if not self.settings.family.relative:
            return self.theta + draws, None
        a, b = self._noise()
        variance = b[0] / rng.gamma(a[0], size=size)
        return self.theta + draws * np.sqrt(variance)[:, None], variance

    @property
    def noise_variance(self) -> tuple[Any, Any]:
        """(mean, degrees of freedom) of the noise variance; with a known variance the variance (or R) itself and inf."""
        a, b = self._noise()
        return self.settings.family.noise_summary(a, b)

    @property
    def log_evidence(self) -> float:
        """Sum over the used rows of their weighted log predictive density (prequential).

        Raises
        ------
        UnsupportedError
            Unless the filter was made with `evidence=True`.
        """
        if not self.settings.evidence:
            raise UnsupportedError(argument="evidence", expected="a filter made with evidence=True", got=False)
        return float(self._state()["evidence"][0])


def _generator(seed: Any) -> np.random.Generator:
    numbers = seed if isinstance(seed, (list, tuple, np.ndarray)) else [seed]
    sources = (np.random.Generator, np.random.BitGenerator, np.random.SeedSequence, np.random.RandomState)
    try:
        # not all that default_rng takes: a list that contains itself ends the process
        plain = all(isinstance(x, (int, np.integer)) and not isinstance(x, bool) for x in numbers)
        if not (seed is None or isinstance(seed, sources) or plain):
            raise TypeError
        return np.random.default_rng(seed)
    except (TypeError, ValueError):
        raise ParameterError(argument="seed", expected="an integer >= 0 or a Generator", got=shown(seed)) from None
