"""Several rows ahead: the state runs on by itself, its errors to first order with it.

The error of the state is  ds·dphi + nu,  dphi ~ P what is not known of the parameters, nu ~ N what came in since:

    given inputs:    s <- f(s, theta, u),   ds <- f_s ds + f_theta,   N <- f_s N f_s'
    fed back:        u_j is the y_j last seen, or, where it was not, the mean m_j(z) of the row before, whose error
                     is m_j'·dz_j·(error of the state, dphi) + its noise, of covariance V:
                     B = f_u diag(m'),  F = f_s + B h_s,  ds <- F ds + f_theta + B h_theta,  N <- F N F' + f_u V f_u'
    z = h(s, theta),   Cov(z) = dz P dz' + h_s N h_s'

P and N are relative to the noise variance where that is learned. All of it is float64.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._settings import Settings

Float = NDArray[np.float64]


class Start(NamedTuple):
    """Where a forecast starts: theta (p,), s (n,), ds (n, P), the last y and whether it was there (2, k), the noise a, b."""

    settings: Settings
    theta: Float
    s: Float
    ds: Float
    feedback: Float
    a: Float
    b: Float


class Path(NamedTuple):
    """z (m, k), dz (m, k, P) and h_s N h_s' (m, k, k) of the rows to come."""

    z: Float
    dz: Float
    extra: Float


class Input(NamedTuple):
    """u (d,) of a row; what it owes to the row before: slope (k,) of each output's mean, 0 where u_j is known, and V (k, k)."""

    u: Float
    slope: Float | None = None
    V: Float | None = None


def given(start: Start, U: Float) -> Path:
    """With the inputs U (m, d) known."""
    return _run(start, len(U), lambda i, z: Input(U[i]))


def fed_back(start: Start, steps: int) -> Path:
    """Each row fed with the y of the row before it."""
    y, there = start.feedback
    family = start.settings.family
    a, b = start.a[None], start.b[None]

    def take(i: int, z: Float) -> Input:
        known = there != 0 if i == 0 else np.zeros(len(y), dtype=bool)
        slope = np.diagonal(family.mean_slope(z[None])[0]) * ~known
        V = family.noise_covariance(z[None], a, b)[0] / family.posterior_scale(a, b)[0]
        return Input(np.where(known, y, family.mean(z[None])[0]), slope, V * np.outer(~known, ~known))

    return _run(start, steps, take)


def _run(start: Start, m: int, take: Callable[[int, Float], Input]) -> Path:
    """m rows; `take(i, z)` is the input of row i after a row of output z (k,)."""
    settings, theta = start.settings, start.theta
    model: Any = settings.model
    n, free, k, P = settings.n, settings.free, settings.k, settings.size
    s, ds, N = start.s, start.ds, np.zeros((n, n))
    z, dz, extra = np.zeros((m, k)), np.zeros((m, k, P)), np.zeros((m, k, k))
    with np.errstate(over="ignore", invalid="ignore"):
        out = model.readout(theta, s)
        for i in range(m):
            given = take(i, _clamped(settings, out.z))
            step = model.advance(theta, s, given.u)
            F, f_theta = step.f_s, step.f_theta
            if given.slope is not None:
                B = step.f_u * given.slope
                F, f_theta = F + B @ out.h_s, f_theta + B @ out.h_theta
            s, ds, N = step.s, F @ ds, F @ N @ F.T
            ds[:, free:] += f_theta
            if given.V is not None:
                N = N + step.f_u @ given.V @ step.f_u.T
            out = model.readout(theta, s)
            z[i], dz[i], extra[i] = _clamped(settings, out.z), out.h_s @ ds, out.h_s @ N @ out.h_s.T
            dz[i, :, free:] += out.h_theta
    return Path(z, dz, extra)


def _clamped(settings: Settings, z: Float) -> Float:
    return z if settings.z_clamp is None else settings.family.clamp(z, settings.z_clamp)
