"""One row of the filter, as theory section 1 has it: time passes, z is predicted, y is fused, theta is corrected.

    P <- P/decay;   A = sqrt(w)·dz'L;   S = I + A'PA;   P <- P - P A S^-1 A'P;   theta <- theta + P dz'(w·e)

With the NEW P this is the natural gradient with the Fisher matrix J = P^-1, and the extended Kalman filter, at once
(Ollivier 2018, arXiv 1703.00209); a rule with rates of its own puts sqrt(metric_rate) before A, learning_rate before
the step. e and L come from the family in closed form: no fitted variance divides anything.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from .. import _border
from .._settings import Settings
from .._trace import CLIPPED, SKIPPED
from .._validate import Array
from . import coverage, noise, turns, windup
from .iterate import Outputs, Row, Taught, implicit, iterated, once
from .recurrent import Advanced
from .rule import TimeStep
from .state import State


class Fate(NamedTuple):
    """How a row fared: its flags, and what it counted for with a robust filter, 1 with every other."""

    flags: int
    trust: float = 1.0


class Prediction(NamedTuple):
    """After the time step, before y is used: z (k,), its covariance C (k, k), the reported noise a, b (m,)."""

    z: Array
    C: Array
    a: Array
    b: Array


def step(
    settings: Settings, state: State, row: _border.Given, at: Outputs | None = None, after: Advanced | None = None
) -> tuple[State, Prediction, Fate]:
    """Propose the state after a row; with it the row's prediction and how it fared.

    `at` gives z and dz at another theta, for more than one iteration; `after` is what a recurrent model's state is after f,
    None where it stays. `state` is not touched, so that a row is either
    taken whole or, where it overflows, refused (NonFiniteError).
    """
    new = state.copy()
    with np.errstate(all="ignore"):  # overflow is looked for in one place, below
        try:
            learns = row.weight != 0 and not settings.family.missing(row.y[None])[0]
            let_time_pass(settings, new, row.dt, learns)
            seen = predict(settings, new, row, new.theta - state.theta, learns)
            fate = learn(settings, new, row, seen, at)
            remember(settings, new, new.theta - state.theta, row, seen, after)
        except np.linalg.LinAlgError:
            raise _border.overflow() from None
        new = new.rounded(settings)
    if not (new.possible(settings) and np.isfinite(seen.z).all() and np.isfinite(seen.C).all()):
        raise _border.overflow()
    if row.blank:
        seen = seen._replace(z=np.full_like(seen.z, np.nan), C=np.full_like(seen.C, np.nan))
    return new, seen, fate


def let_time_pass(settings: Settings, new: State, dt: float, learns: bool) -> None:
    """P <- P/decay, the same for the learned noise, with turns towards the prior or the wind-up check; P <- P + Q·dt."""
    time = settings.rule.time_step(dt, new.n_updates + 1, learns)
    if time is not None and settings.rule.towards_prior:
        turns.take(settings, new, time)
    elif time is not None:
        forget(settings, new, time)
    if settings.rule.diffusion is not None:
        diffuse(settings, new, dt)
    new.n_seen += 1
    new.elapsed += dt


def forget(settings: Settings, new: State, time: TimeStep) -> None:
    """Plain decay of all that is known, then the wind-up check where one is due."""
    decay, log_decay = time
    if windup.active(settings):
        log_decay, decay = max(log_decay, windup.LOG_SMALLEST_DECAY), max(decay, windup.SMALLEST_DECAY)
    new.P = settings.belief.fade(new.P, decay)
    new.noise = noise.fade(new.noise, decay, settings.family.prior_noise(settings.k)[0])
    new.log_since += log_decay
    if windup.due(settings, new.n_seen, new.log_since):
        scales = settings.rule.scale(new.n_updates + 1), settings.rule.scale(0)
        new.P, pulls = windup.pull(settings, new.P, *scales)
        new.windup += pulls
        new.log_since = 0.0


def diffuse(settings: Settings, new: State, dt: float) -> None:
    """P <- P + Q·owed, at every so many rows; `owed` is the time since it was last done."""
    new.owed += dt
    if settings.rule.diffuses(new.n_seen):
        new.P, new.owed = settings.belief.diffuse(new.P, settings.diffusion * new.owed), 0.0


def predict(settings: Settings, new: State, row: _border.Given, pulled: Array, learns: bool) -> Prediction:
    """z, moved by what the time step pulled theta and clamped, with C = dz P dz' and the noise as it is reported."""
    output = row.output + row.jacobian @ pulled if settings.rule.towards_prior else row.output
    z = clamp(settings, output)
    new.clamped += bool((z != output).any())
    b, floored = noise.reported(new.noise, settings.guards.r_floor)
    new.floored += floored
    rule, t = settings.rule, new.n_updates + 1
    scale = (rule.scale(t) if learns else rule.predictive_scale(t)) if rule.has_posterior else 0.0
    return Prediction(z, scale * settings.belief.spread(new.P, row.jacobian), new.noise.a, b)


def learn(settings: Settings, new: State, row: _border.Given, seen: Prediction, at: Outputs | None) -> Fate:
    """Fuse y into P, move theta, and everything else that a row teaches."""
    y, w = row.y, row.weight
    if settings.family.missing(y[None])[0]:
        new.missing += 1
        return Fate(SKIPPED)
    if w == 0:
        return Fate(SKIPPED)
    family = settings.family.for_rows(y[None]).at_noise(seen.a, seen.b)
    observed = family.observed(y, settings.k)
    what = Row(settings, family, y, observed, w, settings.rule.rates(new.n_updates + 1))
    taught = teach(new, what, row, seen, at)
    distance = w * squared_innovation(taught.r, taught.G)
    trust, cut = 1.0, 1.0
    if settings.robust is not None:
        trust = settings.robust.weight(distance / noise_unit(settings, seen.a, seen.b), int(observed.sum()))
        new.downweighted += settings.robust.counts(trust)
        if settings.robust.cuts:
            cut = trust
        else:
            w = w * trust
            taught = teach(new, what._replace(weight=w), row, seen, at)
    dtheta = cut * taught.dtheta
    if settings.rule.gradient:
        new.moments, dtheta = settings.rule.move(new.moments, dtheta, new.n_updates + 1)
    dtheta, flags = clip(settings, row.jacobian, dtheta)
    new.theta, new.P = new.theta + dtheta, taught.P
    new.n_updates += 1
    new.clipped += flags == CLIPPED
    if settings.family.covers:
        new.coverage = coverage.after(new.coverage, settings.family.share_within(*seen[:2], y, *seen[2:]))
    watch(new, distance / noise_unit(settings, new.noise.a, new.noise.b), family.degrees(observed), taught.G)
    if settings.evidence:
        new.evidence -= row.weight * float(
            settings.family.predictive_nll(*(part[None] for part in (seen.z, seen.C, y, seen.a, seen.b)))[0]
        )
    if settings.family.relative:
        innovations = np.array([squared_innovation(taught.r, taught.G)])
    else:
        innovations = settings.family.noise_innovations(seen.z, seen.C, y, seen.a, seen.b, w)
    new.noise = noise.learn(new.noise, cut**2 * innovations, y, observed, w)
    return Fate(flags, trust)


def remember(
    settings: Settings, new: State, dphi: Array, row: _border.Given, seen: Prediction, after: Advanced | None
) -> None:
    """The state of a recurrent model follows the parameters, s = s- + ds·dphi; the row's y and residual are kept."""
    if new.memory is None:
        return
    assert settings.sensitivity is not None
    if after is not None:
        corrected = settings.sensitivity.state_correction
        s = after.s + settings.sensitivity.moves(after.trace, dphi) if corrected else after.s
        new.memory = replace(new.memory, s=s, trace=after.trace, restarts=new.memory.restarts + after.restarts)
    mean = settings.family.for_rows(row.y[None]).mean(seen.z[None])[0]
    new.memory = new.memory.seen(settings, row.y, np.full_like(mean, np.nan) if after is None else mean)


def teach(new: State, what: Row, row: _border.Given, seen: Prediction, at: Outputs | None) -> Taught:
    """The ordinary update, linearised at theta, or as `iterations` says."""
    if what.settings.iterations == 1:
        return once(what, new.P, seen.z, row.jacobian, np.zeros_like(seen.z))
    if what.settings.iterations == "implicit":
        return implicit(what, new.P, seen.z, row.jacobian)
    assert at is not None
    return iterated(what, new.P, new.theta, seen.z, row.jacobian, at)


def clamp(settings: Settings, z: Array) -> Array:
    """Keep z, of any shape, where exp(z) means something."""
    c = settings.z_clamp
    return z if c is None else settings.family.clamp(z, c)


def clip(settings: Settings, jacobian: Array, dtheta: Array) -> tuple[Array, int]:
    """Shorten a step that would move the outputs z by more than the step clip; P is not scaled."""
    c = settings.step_clip if settings.iterations == 1 else None
    move = float(np.max(np.abs(settings.family.moves(jacobian @ dtheta))))
    if not np.isfinite(move):
        raise _border.overflow()
    return (dtheta, 0) if c is None or move <= c else (dtheta * (c / move), CLIPPED)


def noise_unit(settings: Settings, a: Array, b: Array) -> float:
    """What S is relative to: the one learned noise variance b/a, else 1."""
    return float(b[0] / a[0]) if settings.family.relative else 1.0


def squared_innovation(r: Array, G: Array) -> float:
    """(y-z)'(R + w·C)^-1 (y-z), written without R: r'S^-1 r with L r = e and S = G G'; NaN where there is no such r."""
    whitened = np.linalg.solve(G, r)
    return float(whitened @ whitened)


def watch(new: State, nis: float, degrees: int, G: Array) -> None:
    """The gauges: largest ratio of prior to noise variance, squared innovation over its variance (NIS) per degree of freedom."""
    new.rho_max = max(new.rho_max, float(np.max(np.diagonal(G) ** 2 - 1)))
    if not np.isnan(nis):
        new.nis_sum += nis
        new.nis_count += degrees
