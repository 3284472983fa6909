"""What a belief is: where the filter keeps its uncertainty P about theta, and the kernel of theory section 1 on it.

P stands for the covariance J^-1 in the belief's own form, an array that step.py and the rest hand on without looking
inside: (p, p) for a full belief. Nothing is written in place. Source: Ollivier 2018, arXiv 1703.00209.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from ..._component import Component
from ..._validate import Array, finite_array
from ...errors import BadValueError, NotPositiveDefiniteError, ParameterError, ShapeError


class Belief(Component):
    axis: ClassVar[str] = "belief"
    max_parameters: ClassVar[int]

    independent: ClassVar[bool] = False
    """True where no covariances are kept."""

    prior_variance: Any

    def check(self, p: int) -> None:
        """Raise unless the prior fits p parameters."""
        raise NotImplementedError

    def prior(self, p: int) -> Array:
        """P_0, in the belief's form."""
        raise NotImplementedError

    def prior_diagonal(self, p: int) -> Array:
        """Its diagonal, the prior variances (p,)."""
        raise NotImplementedError

    def prior_columns(self, p: int, positions: Sequence[int]) -> Iterator[Array]:
        """These columns (p,) of C, where P_0^-1 = C C', one by one; here of a diagonal prior, O(p) each."""
        scales = 1 / np.sqrt(self.prior_diagonal(p))
        for i in positions:
            c = np.zeros(p)
            c[i] = scales[i]
            yield c

    def check_diffusion(self, Q: Any) -> None:
        """Raise unless the belief can hold P + Q; Q is None, a number, (p,) or (p, p)."""

    # -- the kernel
    def fade(self, P: Array, decay: float) -> Array:
        """J <- decay·J."""
        raise NotImplementedError

    def diffuse(self, P: Array, Q: float | Array) -> Array:
        """P <- P + Q; Q is a number, (p,) or (p, p)."""
        raise NotImplementedError

    def spread(self, P: Array, dz: Array) -> Array:
        """C = dz P dz' (k, k); dz (k, p)."""
        raise NotImplementedError

    def fuse(self, P: Array, A: Array, g: Array) -> tuple[Array, Array, Array]:
        """J <- J + A A' as far as the belief can hold it; with it the step (J + A A')^-1 g, exact; A (p, r), g (p,).

        Returns the new P, G (r, r) lower triangular with G G' = S = I + A'PA, and the step (p,).
        """
        raise NotImplementedError

    def bound(self, P: Array, i: int, c: float) -> Array:
        """P after a zero-innovation pseudo-observation of coordinate i that takes its variance down to c."""
        raise NotImplementedError

    def renew(self, P: Array, prior: Array, n: int) -> Array:
        """P with the first n coordinates as in the prior again, independent of the others."""
        raise NotImplementedError

    # -- reading
    def variances(self, P: Array) -> Array:
        """The diagonal of the covariance, (p,)."""
        raise NotImplementedError

    def covariance(self, P: Array) -> Array:
        """All of it, (p, p)."""
        raise NotImplementedError

    def factors(self, P: Array) -> tuple[Array, Array]:
        """U (p, p) unit upper triangular and D (p,) >= 0 with covariance U diag(D) U'."""
        raise NotImplementedError

    # -- saving
    def pack(self, P: Array) -> dict[str, Array]:
        """P by name."""
        raise NotImplementedError

    def shapes(self, p: int, names: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
        """What `unpack` needs of a file with these names."""
        raise NotImplementedError

    def unpack(self, arrays: Mapping[str, Array], p: int) -> Array:
        """P from arrays of the right shapes and unknown origin."""
        raise NotImplementedError


def require(name: str, holds: bool, expected: str, got: Any = None) -> None:
    """An array of a file must be what it is said to be."""
    if not holds:
        raise BadValueError(argument=name, expected=expected, got=got)


def prior_field(value: Any, dimensions: tuple[int, ...], argument: str = "prior_variance") -> float | Array:
    """A prior variance in canonical form: a float, or a read-only array with one of the given numbers of dimensions."""
    array = finite_array(argument, value)
    size = "p" if argument == "prior_variance" else "n"
    if array.ndim not in (0, *dimensions) or (array.ndim == 2 and array.shape[0] != array.shape[1]):
        expected = ["a number"] + [{1: f"({size},)", 2: f"({size}, {size})"}[n] for n in dimensions]
        raise ShapeError(argument=argument, expected=" or ".join(expected), got=array.shape)
    diagonal = np.diagonal(array) if array.ndim == 2 else array
    if not (diagonal > 0).all():
        raise ParameterError(argument=argument, expected="variances > 0", got=float(np.min(diagonal)))
    if array.ndim == 2 and not (np.array_equal(array, array.T) or np.allclose(array, array.T, rtol=1e-12, atol=0)):
        raise NotPositiveDefiniteError(argument=argument, expected="a symmetric matrix", got="an asymmetric one")
    return float(array) if array.ndim == 0 else array
