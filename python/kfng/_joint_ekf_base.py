"""The joint extended Kalman filter of a recurrent model's state and parameters, written once for kfng and for its reference."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _border
from ._joint_base import JointBase
from ._joint_settings import JointSettings, Moved, common, covariance, dense
from ._settings import _component
from ._trace import Step, Trace
from ._validate import Array, finite_array, flag, integer, number, real_array
from .errors import NonFiniteError, ParameterError, UnsupportedError
from .reference.model import Model

MAX_ENTRIES = 32768


class JointEkfBase(JointBase):
    """The extended Kalman filter on (s, theta) of a recurrent model s_t = f(s_{t-1}, theta, u_t), z_t = h(s_t, theta).

        P <- F P F'/(1-lam)^dt + diag(state_noise, parameter_noise)·dt,   F = [[f_s, f_theta], [0, I]];   then as `Filter`

    `Filter` with a recurrent model is this filter with no noise of the state's own: there all uncertainty of s is that of
    theta, and it costs less. Here a state that is disturbed, and parameters that drift, have their exact noise, and the state is
    corrected by its own gain: slower in each row, O((n+p)²) for each output and p²·n at most for F, and safer in long runs.

    Parameters
    ----------
    model : Model
        A recurrent model.
    family : Family
        The law of y given z; a noise variance must be known.
    theta : (p,), optional
        theta before the first row; drawn from `seed` by default, as in `Filter`.
    prior_variance : number, (p,) or (p, p), default 1.0
        Its covariance, > 0.
    state : (n,), default zeros
        Mean of s_0.
    state_prior : number, (n,) or (n, n), default 0.0
        Its covariance; 0: it is known.
    state_noise : number, (n,) or (n, n), default 0.0
        Covariance that a unit of `dt` adds to the state's.
    parameter_noise : number, (p,) or (p, p), default 0.0
        The same for theta. Each column of its root is a pass of O((n+p)²): p of them for a number.
    every : int, default 1
        Add what is owed of `parameter_noise` every so many rows: `every=p` makes it O((n+p)²) a row again.
    forgetting : number in [0, 1), default 0.0
        lam: all that is known decays by (1-lam)^dt. No guard bounds what no row excites: prefer the noises.
    guards : Guards, default Guards()
        Step clip and clamp of z; there is nothing for the others to act on.
    dtype : 'float64' or 'float32'
    seed : int, default 0

    Raises
    ------
    ParameterError, ShapeError, NonFiniteError, NotPositiveDefiniteError, UnsupportedError (a learned noise, no recurrent model)
    """

    def __init__(
        self,
        model: Any,
        family: Any,
        *,
        theta: Any = None,
        prior_variance: Any = 1.0,
        state: Any = None,
        state_prior: Any = 0.0,
        state_noise: Any = 0.0,
        parameter_noise: Any = 0.0,
        every: Any = 1,
        forgetting: Any = 0.0,
        guards: Any = None,
        dtype: Any = "float64",
        seed: Any = 0,
    ) -> None:
        _component("model", model, Model)
        if not model.recurrent:
            raise UnsupportedError(argument="model", expected="a recurrent model", got=repr(model)[:80])
        n, p = model.state_size, model.n_parameters
        if n + p > MAX_ENTRIES:
            expected = f"at most {MAX_ENTRIES} entries of state and parameters"
            raise ParameterError(argument="model", expected=expected, got=f"{n + p} entries")
        seed = integer("seed", seed, high=2**63 - 1)
        settings = JointSettings(
            state=np.zeros(n) if state is None else finite_array("state", state, (n,)),
            state_prior=dense(covariance("state_prior", state_prior, n, f"({n},) or ({n}, {n})"), n),
            state_noise=dense(covariance("state_noise", state_noise, n, f"({n},) or ({n}, {n})"), n),
            theta=model.initial_theta(seed) if theta is None else finite_array("theta", theta, (p,)),
            prior_variance=covariance("prior_variance", prior_variance, p, f"({p},) or ({p}, {p})", low=">"),
            parameter_noise=covariance("parameter_noise", parameter_noise, p, f"({p},) or ({p}, {p})"),
            model=model,
            **common(family, guards, dtype, model.outputs),
        )
        self.forgetting = number("forgetting", forgetting, "a number in [0, 1)", 0.0, 1.0, ends="[)")
        self.every = integer("every", every, low=1)
        self._seed = seed
        self._start(settings)

    def _arguments(self) -> dict[str, Any]:
        s = self.settings
        state = {"state": s.state, "state_prior": s.state_prior, "state_noise": s.state_noise}
        theta = {"theta": s.theta, "prior_variance": s.prior_variance, "parameter_noise": s.parameter_noise}
        rest = {
            "every": self.every,
            "forgetting": self.forgetting,
            "guards": s.guards,
            "dtype": s.dtype,
            "seed": self._seed,
        }
        return {"model": s.model, "family": s.family} | state | theta | rest

    # -- learning
    def update(self, u: Any, y: Any, *, weight: Any = 1.0, dt: Any = 1.0, offset: Any = 0.0) -> Step:
        """One row: let time pass, predict, then learn from y.

        Parameters
        ----------
        u : (d,)
            Inputs.
        y : float or (k,)
            Observation; NaN is missing: the state moves, nothing is learned. A bad u beside it lets time alone pass.
        weight : float, default 1
            Multiplier of the row's log-likelihood; 0: the state moves, nothing is learned.
        dt : float, default 1
            Time for forgetting and noises; f is one step of the model whatever it is.
        offset : float or (k,), default 0
            Added to z.

        Returns
        -------
        Step
            The prediction made after the row's time step and before y was used, and how the row fared.

        Raises
        ------
        ShapeError, DtypeError, ParameterError, NonFiniteError, UnsupportedError
            The filter is then as it was before.
        """
        row = _border.row(self.settings, u, y, weight, dt, offset)
        with self._lock:
            return self._take(self._linearised(row))

    def update_many(self, U: Any, Y: Any, *, weight: Any = None, dt: Any = None, offset: Any = None) -> Trace:
        """Rows in order, the same as a loop of `update`; rows of NaN in Y are a forecast, its std widening as it should.

        Parameters
        ----------
        U : (m, d)
        Y : (m,) or (m, k)
        weight, dt : number or (m,), default 1
        offset : number, (m,) or (m, k), default 0

        Returns
        -------
        Trace

        Raises
        ------
        ShapeError, DtypeError
            Before any row is used.
        NonFiniteError, ParameterError
            At a bad row; `error.row` is its index, `error.trace` the rows applied before it, which stay applied.
        """
        rows = _border.Rows(self.settings, U, Y, weight, dt, offset)

        def take(i: int) -> Moved:
            block, bad = rows.block(i, i + 1)
            if bad[0]:
                raise _border.fault(self.settings, block, 0)
            u, y, w, time, shift, blank = (part[0] for part in block)
            return self._linearised(_border.Row(u, y, float(w), float(time), shift, bool(blank)))

        return self._sweep(rows.Y, take)

    def condition(
        self,
        y: Any,
        output: Any,
        jacobian: Any,
        *,
        weight: Any = 1.0,
        dt: Any = 1.0,
        state: Any = None,
        transition: Any = None,
    ) -> Step:
        """One row of a model that lives elsewhere (`ExternalRecurrent`), all of it at `flt.state` and `flt.theta`.

        Parameters
        ----------
        y : float or (k,)
        output : (k,)
            z at s-.
        jacobian : (h_s (k, n), h_theta (k, p))
            Partial derivatives of z there.
        weight, dt : float, default 1
        state : (n,)
            s- = f(s, theta).
        transition : (f_s (n, n), f_theta (n, p))
            Partial derivatives of f.

        Raises
        ------
        ShapeError, DtypeError, ParameterError, NonFiniteError
            The filter is then as it was before.
        """
        given = _border.given(self.settings, y, output, jacobian, weight, dt, state, transition)
        with self._lock:
            if given.blank:
                return self._take(self._still(given))
            h_s, s, f_s, f_theta = (np.asarray(part, dtype=np.float64) for part in given[-4:])
            given = given._replace(jacobian=np.hstack([h_s, given.jacobian]))
            return self._take(self._moved(given, s, np.hstack([f_s, f_theta])))

    def _linearised(self, row: _border.Row) -> Moved:
        """Values and partials at the present state and theta."""
        if row.blank:
            return self._still(row)
        x, n = self._kernel.mean().astype(np.float64), self.settings.n
        s, theta = x[:n], x[n:]
        with np.errstate(all="ignore"):  # what overflows is refused as a whole
            s, f_s, f_theta, _ = self.settings.model.advance(theta, s, row.u.astype(np.float64))
            z, h_s, h_theta = self.settings.model.readout(theta, s)
            given = _border.Given(z + row.offset, np.hstack([h_s, h_theta]), row.y, row.weight, row.dt, False)
        return self._moved(given, s, np.hstack([f_s, f_theta]))

    def _still(self, row: _border.Row | _border.Given) -> Moved:
        """A row that knows of no move: time passes, and the state stays."""
        n, k, size = self.settings.n, self.settings.k, self.settings.n + self.settings.n_parameters
        given = _border.Given(np.zeros(k), np.zeros((k, size)), row.y, row.weight, row.dt, True)
        return self._moved(given, self._kernel.mean().astype(np.float64)[:n], np.eye(n, size))

    def _moved(self, given: _border.Given, state: Array, transition: Array) -> Moved:
        dt, due = given.dt, self._counts["n_seen"] % self.every == 0
        return Moved(
            state=state,
            transition=transition,
            output=given.output,
            jacobian=given.jacobian.astype(np.float64),
            y=given.y,
            weight=given.weight,
            decay=math.exp(math.log1p(-self.forgetting) * dt) if dt != 1 else 1 - self.forgetting,
            dt=dt,
            owed=self._gauges["owed"] + dt if due else 0.0,
            noise=None,
            blank=given.blank,
            learns=self._learns(given.y, given.weight),
        )

    def _advance(self, row: Moved) -> Any:
        due = self._counts["n_seen"] % self.every == 0
        seen = super()._advance(row)
        self._gauges["owed"] = 0.0 if due else self._gauges["owed"] + row.dt
        return seen

    # -- prediction
    def predict(self, U: Any, *, return_std: bool = False, include_noise: bool = True, offset: Any = 0.0) -> Any:
        """Mean of y for rows U (m, d), each of them a possible next row (dt = 1); nothing changes.

        What `update(u, nan)` would predict, its state noise included.

        Parameters
        ----------
        U : (m, d)
        return_std : bool, default False
            Give the standard deviations as well.
        include_noise : bool, default True
            With the noise of y, or of its mean alone.
        offset : number, (m,) or (m, k), default 0
            Added to z.

        Returns
        -------
        mean : (m,) or (m, k), in the filter's dtype
        std : the same shape, float64, with `return_std`; with the noise of y unless `include_noise=False`

        Raises
        ------
        ShapeError, DtypeError, NonFiniteError, ParameterError
        """
        flag("return_std", return_std)
        flag("include_noise", include_noise)
        settings = self.settings
        rows = real_array("U", _border.matrix(settings, "U", U), settings.float)
        shift = _border.offsets(settings, offset, len(rows))
        if not np.isfinite(rows).all() or not np.isfinite(shift).all():
            argument = "offset" if np.isfinite(rows).all() else "U"
            raise NonFiniteError(argument=argument, expected="finite numbers", got="nan or inf")
        k, missing = settings.k, np.full(settings.y_width, np.nan)
        z, C, empty = np.zeros((len(rows), k)), np.zeros((len(rows), k, k)), np.zeros((len(rows), 0))
        with self._lock:
            for i, u in enumerate(rows):
                row = self._linearised(_border.Row(u, missing, 1.0, 1.0, shift[i], False))
                z[i], C[i], *_ = self._kernel.step(row, commit=False)
        shape = (len(rows), *settings.mean_shape)
        with np.errstate(over="ignore", invalid="ignore"):
            mean = settings.family.mean(z).reshape(shape).astype(settings.float, copy=False)
            if not return_std:
                return mean
            return mean, settings.family.predictive_std(z, C, empty, empty, include_noise).reshape(shape)

    # -- reading
    @property
    def theta(self) -> NDArray[Any]:
        """Mean of theta (p,), a copy in the filter's dtype."""
        with self._lock:
            return self._kernel.mean()[self.settings.n :].astype(self.settings.float)

    @property
    def parameters(self) -> dict[str, NDArray[Any]]:
        """theta by name, copies."""
        return {name: array.copy() for name, array in self.settings.model.split(self.theta).items()}

    def cov(self) -> Array:
        """Covariance of theta (p, p)."""
        n = self.settings.n
        return self._covariance()[n:, n:]

    def std(self) -> NDArray[np.float64]:
        """Standard deviations of theta (p,)."""
        return np.sqrt(np.diagonal(self._covariance())[self.settings.n :])

    def joint_cov(self) -> Array:
        """Covariance of (s, theta), in this order, (n+p, n+p)."""
        return self._covariance()

    def __repr__(self) -> str:
        s = self.settings
        return f"JointEkf({s.model!r}, {s.family!r})"
