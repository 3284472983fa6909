"""What a filter with a hidden state offers besides: the state, what is known of it, sequences, gauges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ._filter_parts import FilterParts
from ._validate import finite_array, flag, integer, real_array
from .errors import NonFiniteError, ParameterError, ShapeError, UnsupportedError

if TYPE_CHECKING:
    from ._forecast import Path, Start

Float = NDArray[np.float64]


class Hidden(FilterParts):
    """Methods of `Filter` that only recurrent models have; with others they raise UnsupportedError."""

    @property
    def state(self) -> NDArray[Any]:
        """The hidden state s (n,), corrected by all rows so far: a copy in the filter's dtype."""
        self._need_state("state")
        return self._recurrence()["state"]

    @property
    def influence(self) -> NDArray[Any]:
        """ds/dtheta (n, p), as far as the sensitivity knows it; with `state_prior` ds/d(s_0, theta), (n, n + p)."""
        self._need_state("influence")
        arrays = self._recurrence()
        if "influence" in arrays:
            return arrays["influence"]
        return np.outer(arrays["uoro_state"], arrays["uoro_theta"])

    @property
    def initial_state(self) -> NDArray[Any]:
        """s_0 (n,): the mean of what the rows of this sequence say of it with `state_prior`, else the known one."""
        self._need_state("initial_state")
        if self.settings.free:
            return self._recurrence()["initial_state"]
        return self.settings.state.astype(self.settings.float)

    def joint_cov(self) -> Float:
        """Posterior covariance of (s, theta), (n + p, n + p): [ds; I] P [ds; I]', of rank p at most.

        Raises
        ------
        UnsupportedError
            The model has no state, or the rule no posterior.
        """
        self._need_state("joint_cov")
        self._need_posterior("joint_cov")
        P = self._posterior(0).covariance() * self._scale()
        ds, free = self.influence.astype(np.float64), self.settings.free
        cross = ds @ P
        of_state = cross @ ds.T
        return np.block([[(of_state + of_state.T) / 2, cross[:, free:]], [cross[:, free:].T, P[free:, free:]]])

    def reset_state(self, state: Any = None) -> None:
        """Start another sequence: theta and what is known of it stay, the state and its influence start again.

        Parameters
        ----------
        state : (n,), optional
            Where it starts; by default the filter's initial state. With `state_prior` the mean of the unknown s_0.

        Raises
        ------
        UnsupportedError, ShapeError, DtypeError, NonFiniteError
        """
        self._need_state("reset_state")
        if state is not None:
            state = finite_array("state", state, (self.settings.n,))
            with np.errstate(over="ignore"):
                if not np.isfinite(state.astype(self.settings.float)).all():
                    raise NonFiniteError(
                        argument="state", expected=f"finite numbers in {self.settings.dtype}", got="overflow"
                    )
        self._reset_state(None if state is None else np.array(state))

    def forecast(self, U_future: Any = None, *, steps: Any = None, include_noise: bool = True) -> tuple[Any, Float]:
        """Mean and standard deviation of the next rows' y, what is not known of state and parameters in it; nothing changes.

        Parameters
        ----------
        U_future : (m, d), optional
            The inputs of the next rows.
        steps : int, optional
            Instead of them: how many rows, each fed the y of the row before it as its input (n_inputs == n_outputs):
            the last y that was seen, then the predicted means, whose errors are carried along.
        include_noise : bool, default True
            Whether the standard deviations have the noise of y in them.

        Returns
        -------
        mean, std : (m,) or (m, k), float64 but for the mean, which has the filter's dtype
            With a gradient rule parameters and state count as known.

        Raises
        ------
        ParameterError
            Both or neither of `U_future` and `steps`.
        UnsupportedError, ShapeError, DtypeError, NonFiniteError
        """
        from . import _forecast

        self._need_state("forecast")
        flag("include_noise", include_noise)
        if (U_future is None) == (steps is None):
            got = "neither" if steps is None else "both"
            raise ParameterError(argument="steps", expected="one of U_future and steps", got=got)
        s = self.settings
        if s.model.inputs is None:
            raise UnsupportedError(argument="forecast", expected="a model of rows", got=repr(s.model)[:80])
        if U_future is None:
            steps = integer("steps", steps)
            if s.model.inputs != s.k or s.y_width != s.k:
                expected = "a model with as many inputs as outputs, each output a number that can be an input"
                raise UnsupportedError(argument="steps", expected=expected, got=repr(s.model)[:80])
            path = _forecast.fed_back(self._start(), steps)
        else:
            path = _forecast.given(self._start(), self._future(U_future))
        return self._moments(path, include_noise)

    def _future(self, U: Any) -> Float:
        U = real_array("U_future", U)
        d = self.settings.model.inputs
        if U.ndim != 2 or U.shape[1] != d:
            raise ShapeError(argument="U_future", expected=f"(m, {d})", got=U.shape)
        if not np.isfinite(U).all():
            error = NonFiniteError(argument="U_future", expected="finite numbers", got="nan or inf")
            error.row = int(np.flatnonzero(~np.isfinite(U).all(axis=1))[0])
            raise error
        return U

    def _start(self) -> Start:
        from ._forecast import Start

        arrays, (a, b) = self._recurrence(), self._noise()
        wide = {name: array.astype(np.float64) for name, array in arrays.items()}
        ds = self.influence.astype(np.float64)
        return Start(self.settings, self.theta.astype(np.float64), wide["state"], ds, wide["feedback"], a, b)

    def _moments(self, path: Path, include_noise: bool) -> tuple[Any, Float]:
        s, (a, b) = self.settings, self._noise()
        shape = (len(path.z), *s.mean_shape)
        a, b = (np.broadcast_to(part, (len(path.z), len(part))) for part in (a, b))
        with np.errstate(over="ignore", invalid="ignore"):
            C = self._spread(path.dz) + path.extra
            mean = s.family.mean(path.z).reshape(shape).astype(s.float, copy=False)
            return mean, s.family.predictive_std(path.z, C, a, b, include_noise).reshape(shape)

    def _gauges(self) -> dict[str, Any]:
        """What `health` shows of the hidden state."""
        model: Any = self.settings.model
        arrays = self._recurrence()
        r = arrays["echo"]
        seen = r[2] > 0
        gauges: dict[str, Any] = {"influence_max": float(np.max(np.abs(self.influence), initial=0.0))}
        radius = model.spectral_radius(self.theta.astype(np.float64))
        if radius is not None:
            gauges["spectral_radius"] = radius
        gauges["residual_autocorrelation"] = float(np.mean(r[1][seen] / r[2][seen])) if seen.any() else float("nan")
        return gauges | {"restarts": int(arrays["restarts"][0])}

    def _need_state(self, argument: str) -> None:
        if self.settings.sensitivity is None:
            raise UnsupportedError(argument=argument, expected="a recurrent model", got=repr(self.settings.model)[:80])
