"""JAX models that learn row by row: `pip install "kfng[jax]"`.

`filter_for(f, theta0, family=...)` learns the parameters of any function f(params, u).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._learner import Float, Learner, Linearised, filter_of, output_shape
from .errors import DtypeError, ParameterError, ShapeError, shown
from .reference.belief import Belief
from .reference.family import Family
from .reference.rule import Rule

try:
    import jax
    import jax.numpy as jnp
    from jax.flatten_util import ravel_pytree
except ImportError as error:
    raise ImportError('kfng.jax needs JAX: pip install "kfng[jax]"') from error

__all__ = ["JaxLearner", "filter_for"]


def filter_for(
    f: Callable[[Any, Any], Any],
    theta0: Any,
    *,
    family: Family,
    outputs: int | None = None,
    belief: Belief | None = None,
    rule: Rule | None = None,
    block: int = 1,
    **options: Any,
) -> JaxLearner:
    """A learner of the parameters of `f`.

    Parameters
    ----------
    f : callable(params, u) -> z
        The model of one row: parameters as in `theta0`, inputs u of one row, the output z (k,) in link coordinates (a
        number will do for k = 1). Pure, as JAX wants it; it is compiled once for each shape of u.
    theta0 : pytree of real arrays
        Where the parameters start: their prior mean.
    family : Family
        The law of y given z.
    outputs : int, optional
        k. Default: what the family needs, else 1.
    belief, rule, **options
        As for `kfng.Filter`; theta is `jax.flatten_util.ravel_pytree(theta0)[0]`.
    block : int, default 1
        So many rows of `update_many` are linearised together, at the parameters where the first of them starts: fewer,
        larger calls of JAX, and an approximation. With 1 each row is linearised where the parameters stand.

    Returns
    -------
    JaxLearner

    Raises
    ------
    DtypeError
        Parameters that are no real floating-point numbers.
    ShapeError
        The family needs another number of outputs.
    ParameterError, UnsupportedError, UnknownNameError, NonFiniteError
        As for `kfng.Filter`.

    Notes
    -----
    Outputs and Jacobians are computed in float64 where `jax_enable_x64` is set when this is called, else in float32, good
    to seven digits; the filter itself works in float64 unless told otherwise by `dtype`.
    """
    return JaxLearner(f, theta0, family, outputs, block, {"belief": belief, "rule": rule, **options})


class JaxLearner(Learner):
    __doc__ = Learner.__doc__

    def __init__(
        self, f: Any, theta0: Any, family: Any, outputs: int | None, block: int, options: dict[str, Any]
    ) -> None:
        if not callable(f):
            raise ParameterError(argument="f", expected="a function of params and u", got=shown(f))
        self._dtype = np.dtype(jax.dtypes.canonicalize_dtype(np.float64))
        theta, self._unravel = ravel_pytree(jax.tree_util.tree_map(self._parameter, theta0))
        if not theta.size:
            raise ShapeError(argument="theta0", expected="at least one parameter", got="none")
        start = np.asarray(theta, dtype=np.float64)
        super().__init__(filter_of(len(start), start, family, outputs, options), block)
        k, p = self.filter.settings.k, len(start)

        def output(theta: Any, u: Any) -> tuple[Any, Any]:
            z = jnp.asarray(f(self._unravel(theta), u))
            if not jnp.issubdtype(z.dtype, jnp.floating):
                raise DtypeError(argument="output", expected="real floating-point numbers", got=f"dtype {z.dtype}")
            z = z.reshape(output_shape(z.shape, k))
            return z, z

        derivative = jax.jacfwd if k > p else jax.jacrev
        self._linear = jax.jit(jax.vmap(derivative(output, has_aux=True), (None, 0)))
        self._values = jax.jit(jax.vmap(lambda theta, u: output(theta, u)[0], (None, 0)))

    @property
    def params(self) -> Any:
        """Posterior mean of the parameters, as the pytree theta0 was."""
        return self._unravel(jnp.asarray(self.filter.theta, dtype=self._dtype))

    def std(self) -> Any:
        """Posterior standard deviations of the parameters, as the pytree theta0 was."""
        return self._unravel(jnp.asarray(self.filter.std(), dtype=self._dtype))

    def _parameter(self, leaf: Any) -> Any:
        array = jnp.asarray(leaf)
        if not jnp.issubdtype(array.dtype, jnp.floating):
            expected = "real floating-point numbers (what does not learn belongs in f)"
            raise DtypeError(argument="theta0", expected=expected, got=f"dtype {array.dtype}")
        return array.astype(self._dtype)

    # -- rows: pytrees of NumPy arrays with a leading row axis
    def _rows(self, U: Any) -> Any:
        rows = jax.tree_util.tree_map(_array, U)
        sizes = {leaf.shape[:1] for leaf in jax.tree_util.tree_leaves(rows)}
        if len(sizes) != 1 or sizes == {()}:
            got = sorted(sizes) if sizes else "no array"
            raise ShapeError(argument="U", expected="arrays with one leading row axis", got=got)
        return rows

    def _one(self, u: Any) -> Any:
        return jax.tree_util.tree_map(lambda leaf: _array(leaf)[None], u)

    def _count(self, rows: Any) -> int:
        return len(jax.tree_util.tree_leaves(rows)[0])

    def _part(self, rows: Any, start: int, stop: int) -> Any:
        return jax.tree_util.tree_map(lambda leaf: leaf[start:stop], rows)

    def _finite(self, rows: Any) -> bool:
        leaves = jax.tree_util.tree_leaves(rows)
        return all(bool(np.isfinite(leaf).all()) for leaf in leaves if leaf.dtype.kind == "f")

    # -- the model: compiled for 1, 2, 4, 8, ... rows
    def _linearise(self, theta: NDArray[Any], rows: Any) -> Linearised:
        n = self._count(rows)
        dZ, Z = self._linear(theta.astype(self._dtype), _filled(rows, n))
        return np.asarray(Z[:n], dtype=np.float64), np.asarray(dZ[:n], dtype=self.filter.settings.float)

    def _evaluate(self, theta: NDArray[Any], rows: Any) -> Float:
        n = self._count(rows)
        return np.asarray(self._values(theta.astype(self._dtype), _filled(rows, n))[:n], dtype=np.float64)


def _array(leaf: Any) -> NDArray[Any]:
    array = np.asarray(leaf)
    if array.dtype.kind in "OSUmM":
        raise DtypeError(argument="U", expected="arrays of numbers", got=f"dtype {array.dtype}")
    return array


def _filled(rows: Any, n: int) -> Any:
    """Rows filled up to a power of two with the last of them, so that few shapes are compiled."""
    more = (1 << (n - 1).bit_length()) - n
    if not more:
        return rows
    return jax.tree_util.tree_map(lambda leaf: np.concatenate([leaf, np.repeat(leaf[-1:], more, axis=0)]), rows)
