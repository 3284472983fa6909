"""kfng.reference.Filter: the filter in dense NumPy algebra, the oracle of kfng.Filter and its drop-in replacement."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from .. import _border, _forks
from .._filter_base import FilterBase
from .._settings import Settings
from .._trace import Seen, Step
from .._validate import Array
from ..errors import KfngError, NonFiniteError, ParameterError
from . import noise, recurrent
from .family import Family
from .iterate import Outputs
from .state import State, from_arrays, memory_arrays, restarted, to_arrays
from .step import Fate, Prediction, clamp, step

if TYPE_CHECKING:
    from .._units import Units


class Likelihood:
    """Moments, -log densities and quantiles of y of the rows seen, NaN of bad ones; holds nothing that changes."""

    def __init__(self, family: Family) -> None:
        self._family = family

    @np.errstate(over="ignore", invalid="ignore", divide="ignore")
    def nll(self, seen: Seen) -> Array:
        """(n,), theta integrated out."""
        return self._family.predictive_nll(*seen)

    @np.errstate(over="ignore", invalid="ignore", divide="ignore")
    def plugin_nll(self, seen: Seen) -> Array:
        """(n,), at the mean theta."""
        z, _, y, a, b = seen
        return self._family.plugin_nll(z, y, a, b)

    @np.errstate(over="ignore", invalid="ignore", divide="ignore")
    def mean(self, seen: Seen) -> Array:
        """E(y|z), (n, m_y)."""
        return self._family.for_rows(seen.y).mean(seen.z)

    @np.errstate(over="ignore", invalid="ignore", divide="ignore")
    def std(self, seen: Seen) -> Array:
        """Standard deviations of y with theta integrated out to first order, (n, m_y)."""
        z, C, y, a, b = seen
        return self._family.for_rows(y).predictive_std(z, C, a, b)

    @np.errstate(over="ignore", invalid="ignore", divide="ignore")
    def quantiles(self, seen: Seen, q: list[float]) -> Array:
        """Quantiles of y with theta integrated out, (n, len(q)) or (n, k, len(q))."""
        z, C, y, a, b = seen
        return self._family.for_rows(y).predictive_quantiles(z, C, a, b, np.array(q))


class Filter(FilterBase):
    __doc__ = FilterBase.__doc__

    _now: State
    _lock: threading.RLock
    _takes_bare_rows = False
    _takes_sparse_rows = False

    @classmethod
    def _from_settings(cls, settings: Settings) -> Self:
        self = object.__new__(cls)
        _ = settings.threads  # checked as kfng does, though NumPy has threads of its own
        self.settings, self._now, self._lock = settings, State.start(settings), _forks.lock(self)
        self._likelihood = Likelihood(settings.family)
        return self

    # -- learning
    def update(
        self,
        u: Any,
        y: Any,
        *,
        weight: Any = 1.0,
        dt: Any = _border.NO_TIME,
        offset: Any = 0.0,
        time: Any = None,
    ) -> Step:
        """One row: let time pass, predict, then learn from y. Details as for `kfng.Filter.update`."""
        if time is not None:
            waited, when = self._waited(time, dt is _border.NO_TIME)
            step = self.update(u, y, weight=weight, dt=waited, offset=offset)
            self._when = when
            return step
        row = _border.row(self.settings, u, y, weight, dt, offset)
        with self._lock:
            given, after = self._linearised(self._now, row)
            return self._take(given, self._elsewhere(row), after)

    def condition(
        self,
        y: Any,
        output: Any,
        jacobian: Any,
        *,
        weight: Any = 1.0,
        dt: Any = _border.NO_TIME,
        state: Any = None,
        transition: Any = None,
    ) -> Step:
        """One row of a model that lives elsewhere: output z (k,) and dz/dtheta (k, p), both at `theta`.

        Of a recurrent one (`ExternalRecurrent`) also the new state (n,), transition = (f_s, f_theta), and
        jacobian = (h_s, h_theta), all at `state` and `theta` before the call.
        """
        row = _border.given(self.settings, y, output, jacobian, weight, dt, state, transition)
        with self._lock:
            if self.settings.sensitivity is not None:
                given, after = recurrent.given(self.settings, self._now, row)
                return self._take(given, None, after)
            return self._take(row._replace(jacobian=row.jacobian.astype(np.float64)))

    def _take(self, row: _border.Given, at: Outputs | None = None, after: recurrent.Advanced | None = None) -> Step:
        self._now, seen, fate = step(self.settings, self._now, row, at, after)
        return Step(self.settings, self._likelihood, seen.z, seen.C, row.y, seen.a, seen.b, *fate)

    def _linearised(self, state: State, row: _border.Row) -> tuple[_border.Given, recurrent.Advanced | None]:
        """z = h(u, theta) + offset and dz at the theta of `state`; a blank row is the column h = 0."""
        if self.settings.sensitivity is not None:
            return recurrent.linearised(self.settings, state, row)
        if row.blank:
            k, p = self.settings.k, self.settings.p
            return _border.Given(np.zeros(k), np.zeros((k, p)), row.y, row.weight, row.dt, True), None
        with np.errstate(all="ignore"):
            z, dz = self.settings.model.forward(state.theta, row.u.astype(np.float64))
            return _border.Given(z + row.offset, dz, row.y, row.weight, row.dt, False), None

    def _elsewhere(self, row: _border.Row) -> Outputs:
        """The row's z, clamped, and dz at other theta."""
        u = row.u.astype(np.float64)

        def at(theta: Array) -> tuple[Array, Array]:
            z, dz = self.settings.model.forward(theta, u)
            return clamp(self.settings, z + row.offset), dz

        return at

    def _run(
        self,
        U: NDArray[Any],
        Y: Array,
        weight: Array,
        dt: Array,
        offset: Array,
        blank: NDArray[np.bool_],
        *,
        reordered: bool = False,
    ) -> tuple[Any, ...]:
        """Rows in order, which `reordered` does not change; the state is replaced once, at the end: an interrupt leaves it as it was before the block."""
        error: KfngError | None = None
        seen: list[Prediction] = []
        fates: list[Fate] = []
        with self._lock:
            now = self._now
            for u, y, w, time, shift, hidden in zip(U, Y, weight, dt, offset, blank, strict=True):
                row = _border.Row(u, y, float(w), float(time), shift, bool(hidden))
                try:
                    given, after = self._linearised(now, row)
                    now, prediction, fate = step(self.settings, now, given, self._elsewhere(row), after)
                except (NonFiniteError, ParameterError) as refused:  # overflow, or a schedule that leaves its range
                    error = refused
                    break
                seen.append(prediction)
                fates.append(fate)
            self._now = now
        flags = np.array([fate.flags for fate in fates], dtype=np.uint8)
        robust = [] if self.settings.robust is None else [np.array([fate.trust for fate in fates], dtype=np.float64)]
        return len(seen), error, *self._stacked(seen), flags, *robust

    def _stacked(self, seen: list[Prediction]) -> tuple[Array, Array, Array, Array]:
        """z (n, k), C (n, k, k), a, b (n, m)."""
        k, m = self.settings.k, self.settings.family.noise_scales(self.settings.k)
        n, shapes = len(seen), ((k,), (k, k), (m,), (m,))
        columns = zip(*seen, strict=True) if seen else ((), (), (), ())
        z, C, a, b = (np.array(part).reshape((n, *shape)) for part, shape in zip(columns, shapes, strict=True))
        return z, C, a, b

    def _refuse(self, n: int) -> None:
        with self._lock:
            self._now = self._now.copy()
            self._now.skipped += n

    # -- reading
    @property
    def theta(self) -> NDArray[Any]:  # type: ignore[override]
        """Posterior mean (p,), a copy in the filter's dtype."""
        return self._now.theta[self.settings.free :].astype(self.settings.float)

    @property
    def n_updates(self) -> int:  # type: ignore[override]
        """Rows that taught something."""
        return self._now.n_updates

    def _predict(self, U: NDArray[Any], offset: Array) -> tuple[Array, Array]:
        """z (n, k) and C (n, k, k) of rows U (n, d) at the present time."""
        now, k = self._now, self.settings.k
        z, dz = np.zeros((len(U), k)), np.zeros((len(U), k, self.settings.size))
        with np.errstate(all="ignore"):
            for i, u in enumerate(U.astype(np.float64)):
                if self.settings.sensitivity is not None:
                    output, dz[i], _ = recurrent.outputs(self.settings, now, now.theta[self.settings.free :], u)
                else:
                    output, dz[i] = self.settings.model.forward(now.theta, u)
                z[i] = clamp(self.settings, output + offset[i])
        return z, self._spread(dz)

    def _spread(self, dz: Array) -> Array:
        """dz P dz' (m, k, k) of rows dz (m, k, P), the posterior covariance."""
        now, rule = self._now, self.settings.rule
        P = now.P * (rule.scale(now.n_updates) if rule.has_posterior else 0.0)
        C = np.zeros((*dz.shape[:2], dz.shape[1]))
        with np.errstate(all="ignore"):
            for i, part in enumerate(dz):
                C[i] = self.settings.belief.spread(P, part)
        return C

    def _noise(self) -> tuple[Array, Array]:
        now = self._now.noise
        return now.a.copy(), noise.reported(now, self.settings.guards.r_floor)[0].copy()

    def _covariance(self) -> Array:
        return self.settings.belief.covariance(self._now.P)

    def _factors(self) -> tuple[Array, Array]:
        return self.settings.belief.factors(self._now.P)

    def _in_units(self, belief: dict[str, NDArray[Any]], units: Units) -> dict[str, NDArray[Any]]:
        """A P A', or of variances alone those."""
        if "V" in belief:
            return {"V": units.left(units.left(belief["V"]))}
        return {"P": units.both(belief["P"])}

    # -- the hidden state
    def _recurrence(self) -> dict[str, NDArray[Any]]:
        """The arrays of `_state` that a recurrent model has."""
        return memory_arrays(self.settings, self._now)

    def _reset_state(self, state: Array | None) -> None:
        """A new sequence: s is `state` (n,), or the initial state."""
        with self._lock:
            self._now = restarted(self.settings, self._now, state)

    # -- saving
    def _state(self) -> dict[str, NDArray[Any]]:
        return to_arrays(self.settings, self._now)

    def _set_state(self, state: dict[str, NDArray[Any]]) -> None:
        self._now = from_arrays(self.settings, state)
