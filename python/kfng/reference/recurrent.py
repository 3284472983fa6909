"""The recurrent part of a row: the state and its sensitivity advance, and follow the parameters afterwards.

    s- = f(s, theta, u);   ds <- f_s·ds + f_theta;   z = h(s-, theta);   dz = h_s·ds + h_theta
    (the row is learned from: step.py)               s = s- + ds·dphi

All partials are those at the corrected s and theta before the row. Source: Ollivier 2018, arXiv 1703.00209.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .. import _border
from .._settings import Settings
from .._validate import Array
from .model import Recurrent
from .model.recurrent import Readout, Transition
from .state import State


class Advanced(NamedTuple):
    """s- (n,) and the trace of ds after a row's f, with how many rows of ds started again."""

    s: Array
    trace: Array
    restarts: int


def linearised(settings: Settings, now: State, row: _border.Row) -> tuple[_border.Given, Advanced | None]:
    """z = h(s-, theta) + offset and dz of a row u, with s- and ds; a blank row moves neither."""
    assert isinstance(settings.model, Recurrent)
    if row.blank:
        return _blank(settings, row.y, row.weight, row.dt), None
    theta, u = now.theta[settings.free :], row.u.astype(np.float64)
    with np.errstate(all="ignore"):
        z, dz, after = outputs(settings, now, theta, u)
    return _border.Given(z + row.offset, dz, row.y, row.weight, row.dt, False), after


def outputs(settings: Settings, now: State, theta: Array, u: Array) -> tuple[Array, Array, Advanced]:
    """z (k,), dz (k, P) and what the state would be after an input u (d,)."""
    assert isinstance(settings.model, Recurrent)
    assert now.memory is not None
    step = settings.model.advance(theta, now.memory.s, u)
    after = advanced(settings, now, step)
    out = settings.model.readout(theta, after.s)
    return out.z, total(settings, after, out), after


def given(settings: Settings, now: State, row: _border.Given) -> tuple[_border.Given, Advanced | None]:
    """The same for a model that lives elsewhere."""
    if row.blank:
        return _blank(settings, row.y, row.weight, row.dt), None
    wide = [np.asarray(part, dtype=np.float64) for part in (row.state, row.f_s, row.f_theta, row.h_s, row.jacobian)]
    s, f_s, f_theta, h_s, h_theta = wide
    with np.errstate(all="ignore"):
        after = advanced(settings, now, Transition(s, f_s, f_theta, np.zeros((len(s), 0))))
        dz = total(settings, after, Readout(row.output, h_s, h_theta))
    return _border.Given(row.output, dz, row.y, row.weight, row.dt, False), after


def advanced(settings: Settings, now: State, step: Transition) -> Advanced:
    """s- and ds after f, within the guard's bound."""
    assert settings.sensitivity is not None
    assert now.memory is not None
    f_phi = np.hstack([np.zeros((settings.n, settings.free)), step.f_theta])
    trace = settings.sensitivity.advance(now.memory.trace, step.f_s, f_phi, settings.structure, now.n_seen)
    return Advanced(step.s, *settings.sensitivity.bounded(trace, settings.n, settings.guards.influence))


def total(settings: Settings, after: Advanced, out: Readout) -> Array:
    """dz = h_s ds + h_phi (k, P)."""
    assert settings.sensitivity is not None
    h_phi = np.hstack([np.zeros((settings.k, settings.free)), out.h_theta])
    dz: Array = settings.sensitivity.total(after.trace, out.h_s) + h_phi
    return dz


def _blank(settings: Settings, y: Array, weight: float, dt: float) -> _border.Given:
    return _border.Given(np.zeros(settings.k), np.zeros((settings.k, settings.size)), y, weight, dt, True)
