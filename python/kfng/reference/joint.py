"""The joint extended Kalman filter on x = (s, theta) in dense NumPy, and the filter of a known model (theta empty).

    time:  s- = f(s, theta, u);   P <- F P F'/decay + Q,   F = [[f_s, f_theta], [0, I]]
    row:   A = sqrt(w)·H'L,  H = [h_s, h_theta] at s-;   S = I + A'PA;   P <- P - P A S^-1 A'P;   x <- x + P H'(w·e)

Unlike the natural gradient on top of real-time recurrent learning it keeps the state's own uncertainty, so that the noise Q
of state and parameters is what the user says it is; without any they are the same filter. F touches the rows and columns
of the state alone, O(n p² + n² p). P is dense here, for every line to be the equation; kfng keeps its factors.
Source: Ollivier 2019, "The extended Kalman filter is a natural gradient descent in trajectory space", arXiv 1901.00696.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .. import _border
from .._joint_ekf_base import JointEkfBase
from .._joint_saved import as_dense
from .._joint_settings import JointSettings, Kernel, Moved, Seen
from .._state_filter_base import StateFilterBase
from .._trace import CLIPPED, SKIPPED
from .._validate import Array
from .belief.full import fuse, spread
from .filter import Likelihood
from .step import squared_innovation


class Dense:
    """x = (s, theta), (n+p,), and its covariance P (n+p, n+p); arrays are replaced, never written in place."""

    def __init__(self, settings: JointSettings) -> None:
        self.settings = settings
        n, p = settings.n, settings.n_parameters
        self.x = np.concatenate([settings.state, settings.theta])
        self.P = np.zeros((n + p, n + p))
        self.P[:n, :n] = settings.state_prior
        self.P[n:, n:] = square(settings.prior_variance, p)
        self.x, self.P = self._rounded(self.x), self._rounded(self.P)
        self.likelihood = Likelihood(settings.family)

    def step(self, row: Moved, commit: bool = True) -> Seen:
        """Let the row's time pass, predict, learn from y; without `commit` nothing changes. NonFiniteError where it overflows."""
        with np.errstate(all="ignore"):
            try:
                x, P = move(self.settings, self.x, self.P, row)
                seen = predict(self.settings, P, row)
                if row.learns:
                    x, P, seen = learn(self.settings, x, P, row, seen)
            except np.linalg.LinAlgError:
                raise _border.overflow() from None
            x, P = self._rounded(x), self._rounded(P)
        shown = row.blank or bool(np.isfinite(seen.z).all() and np.isfinite(seen.C).all())
        if not (shown and np.isfinite(x).all() and np.isfinite(P).all()):
            raise _border.overflow()
        if commit:
            self.x, self.P = x, P
        return seen

    def mean(self) -> Array:
        return self.x.copy()

    def covariance(self) -> Array:
        return self.P.copy()

    def arrays(self) -> dict[str, Array]:
        return {"x": self.x, "P": self.P}

    def set_arrays(self, arrays: Mapping[str, Array]) -> None:
        own = as_dense(dict(arrays), len(self.x))
        self.x, self.P = own["x"], own["P"]

    def _rounded(self, part: Array) -> Array:
        """As the filter's dtype keeps it; the arithmetic is float64."""
        return part.astype(self.settings.float).astype(np.float64)


def square(variance: Array, size: int) -> Array:
    """A number, (m,) or (m, m) as a matrix (m, m)."""
    return variance if np.ndim(variance) == 2 else np.diag(np.broadcast_to(variance, (size,)).astype(np.float64))


def move(settings: JointSettings, x: Array, P: Array, row: Moved) -> tuple[Array, Array]:
    """s- and P <- F P F'/decay + Q, by blocks; the parameters stay."""
    n, p, P = settings.n, settings.n_parameters, P.copy()
    f_s, f_theta = row.transition[:, :n], row.transition[:, n:]
    P_ss, P_st, P_tt = P[:n, :n], P[:n, n:], P[n:, n:]
    cross = f_s @ P_st + f_theta @ P_tt
    state = (f_s @ P_ss + f_theta @ P_st.T) @ f_s.T + cross @ f_theta.T
    P[:n, :n], P[:n, n:], P[n:, :n] = (state + state.T) / 2, cross, cross.T
    P /= row.decay
    P[:n, :n] += row.dt * settings.state_noise if row.noise is None else row.noise
    P[n:, n:] += row.owed * square(settings.parameter_noise, p)
    return np.concatenate([row.state, x[n:]]), P


def predict(settings: JointSettings, P: Array, row: Moved) -> Seen:
    """z, clamped, and C = H P H'; NaN where there is no output."""
    if row.blank:
        k = settings.k
        return Seen(np.full(k, np.nan), np.full((k, k), np.nan), SKIPPED)
    c = settings.z_clamp
    z = row.output if c is None else settings.family.clamp(row.output, c)
    return Seen(z, spread(P, row.jacobian), SKIPPED, clamped=bool((z != row.output).any()))


def learn(settings: JointSettings, x: Array, P: Array, row: Moved, seen: Seen) -> tuple[Array, Array, Seen]:
    """Fuse y; the step is P_new H'(w·e), shortened where it would move an output by more than the step clip."""
    family = settings.family.for_rows(row.y[None])
    observed = family.observed(row.y, settings.k)
    e, L = family.score(seen.z, row.y, observed), family.factor(seen.z, observed)
    H = row.jacobian[observed]
    P, G = fuse(P, np.sqrt(row.weight) * H.T @ L)
    dx = P @ (H.T @ (row.weight * e))
    c, most = settings.step_clip, float(np.max(np.abs(family.moves(row.jacobian @ dx))))
    clipped = c is not None and most > c
    if clipped:
        assert c is not None
        dx = dx * (c / most)
    nis = row.weight * squared_innovation(family.whitened(seen.z, e, L), G)
    degrees = family.degrees(observed)
    return x + dx, P, seen._replace(flags=CLIPPED if clipped else 0, nis=nis, degrees=degrees)


class StateFilter(StateFilterBase):
    __doc__ = StateFilterBase.__doc__

    def _kernel_of(self, settings: JointSettings) -> Kernel:
        return Dense(settings)


class JointEkf(JointEkfBase):
    __doc__ = JointEkfBase.__doc__

    def _kernel_of(self, settings: JointSettings) -> Kernel:
        return Dense(settings)
