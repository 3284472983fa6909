"""What can be read of a bank: predictions, posteriors, gauges."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _bank_rows, _validate
from ._bank_parts import BankParts, Float, Slots
from ._filter_base import COUNTERS, downweighted
from ._health import band, coverage

BLOCK = 4096
"""Keys whose factors are looked at together."""


class BankRead(BankParts):
    """At the present time; nothing changes."""

    def predict(
        self, keys: Any, X: Any, *, return_std: bool = False, include_noise: bool = True, offset: Any = 0.0
    ) -> Any:
        """Mean of y for rows X (n, d) of keys (n,) at the present time; nothing changes.

        A key that has had no row is predicted from the prior that it would start with.

        Parameters
        ----------
        keys : (n,)
            As in `update`.
        X : (n, d)
        return_std : bool, default False
            Give the standard deviations as well.
        include_noise : bool, default True
            With the noise of y, or of its mean alone.
        offset : number, (n,) or (n, k), default 0
            Added to z.

        Returns
        -------
        mean : (n,) or (n, k), in the bank's dtype
        std : the same shape, float64, with `return_std`; with the noise of y unless `include_noise=False`

        Raises
        ------
        ShapeError, DtypeError, NonFiniteError, ParameterError; UnsupportedError (a std, of a rule without a posterior)
        """
        _validate.flag("return_std", return_std)
        _validate.flag("include_noise", include_noise)
        if return_std:
            self._need_posterior("return_std")
        settings, family = self.settings, self.settings.family
        column = self._column(keys)
        U, offsets = _bank_rows.inputs(settings, X, offset, len(column))
        with self._lock, self._reading(column) as slots:
            z, C, a, b = self._predict(slots, U, offsets)
        shape = (len(z), *settings.mean_shape)
        with np.errstate(over="ignore", invalid="ignore"):  # a row far outside everything has an infinite std
            mean = family.mean(z).reshape(shape).astype(settings.float, copy=False)
            if return_std:
                return mean, family.predictive_std(z, C, a, b, include_noise).reshape(shape)
        return mean

    def theta(self, keys: Any) -> NDArray[Any]:
        """Posterior means (n, p) of keys (n,), in the bank's dtype.

        Parameters
        ----------
        keys : (n,)
            As in `update`.

        Raises
        ------
        UnknownKeyError
            As `std` and `n_updates`, for a key that has had no row; it is a KeyError. Also what `keys` may raise there.
        """
        with self._lock, self._reading(self._column(keys), known=True) as slots:
            return self._theta(slots)

    def std(self, keys: Any) -> Float:
        """Posterior standard deviations (n, p) of keys (n,).

        Parameters
        ----------
        keys : (n,)
            As in `update`.
        """
        self._need_posterior("std")
        with self._lock, self._reading(self._column(keys), known=True) as slots:
            return np.sqrt(self._variances(slots) * self._scales(slots)[:, None])

    def n_updates(self, keys: Any) -> NDArray[np.int64]:
        """Rows that taught each of keys (n,) something: (n,) integers.

        Parameters
        ----------
        keys : (n,)
            As in `update`.
        """
        with self._lock, self._reading(self._column(keys), known=True) as slots:
            return self._counters(slots)[:, COUNTERS.index("n_updates")]

    def health(self) -> dict[str, Any]:
        """As `Filter.health`, over all keys in memory, with their number `keys`.

        Counters are sums, rho_max and min_pivot_ratio the most extreme of any key, mean_nis and coverage are over the rows of all keys.
        """
        with self._lock:
            slots = self._live()
            state = self._sections(slots, ("counters", "gauges", "robust", "coverage"))
            counts, gauges = state["counters"].sum(axis=0), state["gauges"]
            result: dict[str, Any] = {name: int(x) for name, x in zip(COUNTERS, counts, strict=True)}
            nis_sum, nis_count = gauges[:, :2].sum(axis=0).tolist()
            result |= downweighted(self.settings, state)
            result["rho_max"] = float(np.max(gauges[:, 2], initial=0.0))
            result["mean_nis"] = nis_sum / nis_count if nis_count else float("nan")
            result |= band(self.settings, nis_count)
            result |= coverage(self.settings, state)
            parts = [_smallest_pivot(self, slots[i : i + BLOCK]) for i in range(0, len(slots), BLOCK)]
            result["min_pivot_ratio"] = min(parts, default=float("nan"))
            return {"keys": len(slots)} | result


def _smallest_pivot(bank: BankParts, slots: Slots) -> float:
    """Smallest D_j/P_jj of any of these keys; NaN with a gradient rule."""
    settings = bank.settings
    if settings.rule.gradient:
        return float("nan")
    state = bank._sections(slots, None)
    if "V" in state:
        return float(np.min(np.where(state["V"] > 0, 1.0, 0.0), initial=1.0))
    p = settings.p
    if "U" in state:
        D, U = state["D"].astype(np.float64), np.zeros((len(slots), p, p))
        rows, columns = np.tril_indices(p, -1)
        U[:, columns, rows] = state["U"]
        P = D + np.einsum("kij,kj->ki", U**2, D)
    else:
        pairs = [settings.belief.factors(P) for P in state["P"].astype(np.float64)]
        D, P = np.array([pair[1] for pair in pairs]), np.array([(pair[0] ** 2) @ pair[1] for pair in pairs])
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(np.min(np.where(P > 0, D / P, 0.0)))
