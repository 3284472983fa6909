"""The filter of the state of a known model, written once for kfng and for its reference."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _border
from ._fit import MAX_OUTPUTS
from ._joint_base import JointBase
from ._joint_settings import JointSettings, Moved, common, covariance, dense, observations, part
from ._settings import _component
from ._trace import Step, Trace
from ._validate import Array, finite_array, integer
from .errors import NonFiniteError, ParameterError, UnsupportedError
from .reference.rule import Fading, Kalman, ProcessNoise, Rule

MAX_STATE = 4096


class StateFilterBase(JointBase):
    """The extended Kalman filter of the state s of a known model: s_t = f(s_{t-1}), y_t ~ family(h(s_t)).

        s- = f(s);   P <- F P F' + Q,  F = df/ds;        z = h(s-), H = dh/ds;   P <- (P^-1 + H'L L'H)^-1;   s = s- + P H'e

    With `Fading` it is, exactly, the natural gradient in the space of trajectories (Ollivier 2019, arXiv 1901.00696): its
    process noise Q = lam/(1-lam)·F P F' is proportional to what is not known anyway.

    Parameters
    ----------
    n_state, n_outputs : int
        n and k.
    family : Family
        The law of y given the output z, as for `Filter`; a noise variance must be known.
    state : (n,), default zeros
        Mean of s before the first row.
    state_prior : number, (n,) or (n, n), default 1.0
        Its covariance; 0 where it is known.
    rule : Rule, default Kalman()
        The noise of the transition: `Kalman()` none, `ProcessNoise(Q)` Q·dt, `Fading` as above. `noise=` of a row replaces Q·dt.
    transition, jacobian : (n, n) and (k, n), optional
        F and H of a linear model, where they are the same for every row.
    guards : Guards, default Guards()
        Step clip and clamp of z; there is nothing for the others to act on.
    dtype : 'float64' or 'float32'

    Raises
    ------
    ParameterError, ShapeError, NonFiniteError, NotPositiveDefiniteError, UnsupportedError (a learned noise, another rule)
    """

    def __init__(
        self,
        n_state: int,
        n_outputs: int,
        family: Any,
        *,
        state: Any = None,
        state_prior: Any = 1.0,
        rule: Any = None,
        transition: Any = None,
        jacobian: Any = None,
        guards: Any = None,
        dtype: Any = "float64",
    ) -> None:
        n = integer("n_state", n_state, low=1, high=MAX_STATE)
        k = integer("n_outputs", n_outputs, low=1, high=MAX_OUTPUTS)
        self.rule = _rule(rule, n)
        Q = self.rule.Q if isinstance(self.rule, ProcessNoise) else 0.0
        settings = JointSettings(
            state=np.zeros(n) if state is None else finite_array("state", state, (n,)),
            state_prior=dense(covariance("state_prior", state_prior, n, f"({n},) or ({n}, {n})"), n),
            state_noise=dense(Q, n),
            **common(family, guards, dtype, k),
        )
        self._transition = None if transition is None else finite_array("transition", transition, (n, n))
        self._jacobian = None if jacobian is None else finite_array("jacobian", jacobian, (k, n))
        self._start(settings)

    def _arguments(self) -> dict[str, Any]:
        s = self.settings
        sizes = {"n_state": s.n, "n_outputs": s.k, "family": s.family, "guards": s.guards, "dtype": s.dtype}
        own = {"transition": self._transition, "jacobian": self._jacobian}
        return sizes | {"state": s.state, "state_prior": s.state_prior, "rule": self.rule} | own

    def update(
        self,
        y: Any,
        state: Any = None,
        transition: Any = None,
        output: Any = None,
        jacobian: Any = None,
        *,
        weight: Any = 1.0,
        dt: Any = 1.0,
        noise: Any = None,
    ) -> Step:
        """One row: move the state, predict y, then learn from it. Everything is given at `flt.state` before the call.

        Parameters
        ----------
        y : float or (k,)
            Observation; NaN is missing: the state moves, nothing is learned. A Gaussian y may be missing in part.
        state : (n,)
            s- = f(s); by default transition @ s, a linear model.
        transition : (n, n)
            F = df/ds at s; by default the filter's own.
        output : (k,)
            z = h(s-), in link coordinates; by default jacobian @ s-.
        jacobian : (k, n)
            H = dh/ds at s-; by default the filter's own. Without one y must be missing.
        weight : float, default 1
            Multiplier of the row's log-likelihood; 0: the state moves, nothing is learned.
        dt : float, default 1
            Multiplies the rule's noise alone: what a row's time does to s is in what is given.
        noise : number, (n,) or (n, n), optional
            Q of this row, instead of the rule's Q·dt; with `Fading` beside it.

        Returns
        -------
        Step
            The prediction made before y was used, and how the row fared.

        Raises
        ------
        ShapeError, DtypeError, ParameterError, NonFiniteError, NotPositiveDefiniteError
            The filter is then as it was before.
        """
        with self._lock:
            return self._take(self._row(y, state, transition, output, jacobian, weight, dt, noise))

    def update_many(self, Y: Any, *, weight: Any = None, dt: Any = None) -> Trace:
        """Rows in order with the filter's own transition and jacobian; the same as a loop of `update`.

        Parameters
        ----------
        Y : (m,) or (m, k)
            NaN is missing; rows of NaN at the end are a forecast.
        weight, dt : number or (m,), default 1

        Returns
        -------
        Trace

        Raises
        ------
        ShapeError, DtypeError
            Before any row is used; UnsupportedError where transition or jacobian come with the rows.
        NonFiniteError, ParameterError
            At a bad row; `error.row` is its index, `error.trace` the rows applied before it, which stay applied.
        """
        if self._transition is None or self._jacobian is None:
            expected = "a filter with transition and jacobian of its own"
            raise UnsupportedError(argument="update_many", expected=expected, got="rows that bring them")
        rows, w, time = observations(self.settings, Y, weight, dt)
        own = (None, None, None, None)
        return self._sweep(rows, lambda i: self._row(rows[i], *own, w[i], time[i], None))

    def _row(
        self, y: Any, state: Any, transition: Any, output: Any, jacobian: Any, weight: Any, dt: Any, noise: Any
    ) -> Moved:
        settings, n, k = self.settings, self.settings.n, self.settings.k
        F = self._transition if transition is None else part("transition", transition, (n, n))
        if F is None:
            raise _absent("transition", f"({n}, {n}), of the row or of the filter")
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows is refused by name below
            moved = F @ np.asarray(self.state, dtype=np.float64) if state is None else part("state", state, (n,))
        H = self._jacobian if jacobian is None else jacobian
        given = _border.given(
            settings,
            y,
            np.zeros(k) if H is None else _output(output, H, moved, k),
            np.zeros((k, n)) if H is None else H,
            weight,
            dt,
        )
        learns = self._learns(given.y, given.weight)
        if H is None and learns:
            raise _absent("jacobian", f"({k}, {n}), of the row or of the filter, or y missing")
        return Moved(
            state=_finite("state", moved),
            transition=F,
            output=given.output,
            jacobian=given.jacobian.astype(np.float64),
            y=given.y,
            weight=given.weight,
            decay=self.rule.decay(given.dt),
            dt=given.dt,
            owed=0.0,
            noise=None if noise is None else dense(covariance("noise", noise, n, f"({n},) or ({n}, {n})"), n),
            blank=given.blank or H is None,
            learns=learns,
        )

    def cov(self) -> Array:
        """Covariance of s (n, n)."""
        return self._covariance()

    def std(self) -> NDArray[np.float64]:
        """Standard deviations of s (n,)."""
        return np.sqrt(np.diagonal(self._covariance()))

    def __repr__(self) -> str:
        s = self.settings
        return f"StateFilter({s.n}, {s.k}, {s.family!r}, rule={self.rule!r})"


def _rule(rule: Any, n: int) -> Rule:
    rule = _component("rule", Kalman() if rule is None else rule, Rule)
    plain = isinstance(rule, Kalman) or (isinstance(rule, Fading) and not (rule.towards_prior or rule.seconds))
    if not (plain or (isinstance(rule, ProcessNoise) and rule.every == 1)):
        expected = "Kalman(), ProcessNoise(Q) or Fading(...) without a prior to go back to"
        raise UnsupportedError(argument="rule", expected=expected, got=repr(rule)[:80])
    rule.check(n)
    return rule


def _absent(argument: str, expected: str) -> ParameterError:
    return ParameterError(argument=argument, expected=expected, got=None)


def _output(output: Any, H: Any, state: Array, k: int) -> Any:
    """z, by default H s-; what is wrong with H is said later."""
    if output is not None:
        return output
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            return np.asarray(H, dtype=np.float64).reshape(k, -1) @ state
    except (TypeError, ValueError):
        return np.zeros(k)


def _finite(argument: str, array: Array) -> Array:
    if not np.isfinite(array).all():
        raise NonFiniteError(argument=argument, expected="finite numbers", got="overflow")
    return array
