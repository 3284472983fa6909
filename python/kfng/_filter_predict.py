"""What a filter says of rows it has not seen, at the present time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _border, _validate
from ._filter_parts import FilterParts
from ._trace import Seen, quantiles
from .errors import NonFiniteError, ParameterError

Float = NDArray[np.float64]


class Predicting(FilterParts):
    """`predict` and `predict_quantiles`."""

    def predict(
        self,
        U: Any,
        *,
        return_std: bool = False,
        return_cov: bool = False,
        include_noise: bool = True,
        offset: Any = 0.0,
    ) -> Any:
        """Mean of y for rows U (n, d), an array, a table or sparse rows, at the present time; nothing changes.

        Of a table the columns are found by the names in `feature_names`, and `offset` may be the name of one.
        Of a recurrent model each row alone is a possible next input: one step from the present state.

        Parameters
        ----------
        U : (n, d), or a table
        return_std : bool, default False
            Give the standard deviations as well.
        return_cov : bool, default False
            Give the covariances instead.
        include_noise : bool, default True
            With the noise of y, or of its mean alone.
        offset : number, (n,) or (n, k), default 0
            Added to z.

        Returns
        -------
        mean : (n,) or (n, k), in the filter's dtype
        std : the same shape, float64, with `return_std`
        cov : (n, m, m) over the m entries of one y, with `return_cov`
            Both include the noise of y unless `include_noise=False`.

        Raises
        ------
        ShapeError, DtypeError, NonFiniteError, ParameterError (both flags)
        """
        return self._predicted(lambda _: self._outputs(U, offset), return_std, return_cov, include_noise)

    def _predicted(
        self,
        outputs: Callable[[bool], tuple[Float, Float, Float, Float]],
        return_std: bool,
        return_cov: bool,
        include_noise: bool,
    ) -> Any:
        """What `predict` returns of rows whose z, C, a, b are `outputs(whether C is needed)`."""
        if _validate.flag("return_std", return_std) and _validate.flag("return_cov", return_cov):
            raise ParameterError(argument="return_cov", expected="at most one of return_std and return_cov", got="both")
        _validate.flag("return_cov", return_cov)
        _validate.flag("include_noise", include_noise)
        if return_std or return_cov:
            self._need_posterior("return_std" if return_std else "return_cov")
        family = self.settings.family
        z, C, a, b = outputs(bool(return_std or return_cov))
        shape = (len(z), *self.settings.mean_shape)
        with np.errstate(over="ignore", invalid="ignore"):  # a row far outside everything has an infinite std
            mean = family.mean(z).reshape(shape).astype(self.settings.float, copy=False)
            if return_std:
                return mean, family.predictive_std(z, C, a, b, include_noise).reshape(shape)
            if return_cov:
                return mean, family.predictive_covariance(z, C, a, b, include_noise)
        return mean

    def predict_quantiles(self, U: Any, q: Any, *, offset: Any = 0.0) -> Float:
        """Quantiles of y for rows U (n, d), theta integrated out: (n, len(q)), or (n, k, len(q)) for k > 1 outputs.

        Of counts the smallest whole number whose probability of not being exceeded reaches the level. At every level in
        (0, 1) the smaller tail is that of the level to 1e-9 of itself, however uncertain z is; counts that float64 does not
        tell apart (2^53 and more) are taken as continuous.

        Parameters
        ----------
        U : (n, d), or a table
        q : (m,) in [0, 1]
            The levels.
        offset : number, (n,) or (n, k), default 0
            Added to z.

        Raises
        ------
        ShapeError, DtypeError, NonFiniteError, ParameterError (q outside [0, 1]), UnsupportedError (the family has none)
        """
        z, C, a, b = self._outputs(U, offset)
        nothing = np.full((len(z), self.settings.family.y_width(self.settings.k)), np.nan)
        return quantiles(self.settings, self._likelihood, Seen(z, C, nothing, a, b), q, "predict_quantiles")

    def _outputs(self, U: Any, offset: Any) -> tuple[Float, Float, Float, Float]:
        """z, C and the reported noise of rows U, with a leading row axis."""
        if _border.is_table(U):
            from . import _tables

            U, offset = _tables.inputs(self.settings, U, offset)
            U = U[:]
        given: Any = _border.matrix(self.settings, "U", U)
        offsets = np.ascontiguousarray(_border.offsets(self.settings, offset, len(given)))
        sparse = isinstance(given, _border.Pieces)
        rows = offsets[:, :0] if sparse else _validate.real_array("U", given, self.settings.float)
        for name, values in (("U", rows), ("offset", offsets)):
            if not np.isfinite(values).all():
                row = int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])
                error = NonFiniteError(argument=name, expected="finite numbers", got="nan or inf")
                error.row = row
                raise error
        if sparse:
            from . import _sparse

            z, C = _sparse.outputs(self, given, offsets)
        else:
            z, C = self._predict(rows, offsets)
        a, b = self._noise()
        return z, C, np.broadcast_to(a, (len(z), len(a))), np.broadcast_to(b, (len(z), len(b)))
