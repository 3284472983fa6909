"""Problems with a hidden state, and with gradient rules: every cell, sensitivity and rule meets every family.

`HIDDEN[name]` is a `Problem` as in problems.py. Sizes and priors are small, so that no guard acts.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from problems import (
    LAWS,
    LEARNED,
    Problem,
    data,
    diagonal,
    fading,
    full,
    gauss,
    line,
    linear,
    mild,
    normal,
    towards_prior,
    walk,
)

D, H = 3, 4
MASK = np.array([[1, 0, 0, 1], [0, 1, 0, 0], [1, 0, 1, 0], [0, 0, 1, 1]], dtype=np.float64)
LEARNT = {"learned": LEARNED, "each-2": mild(normal(variance="each"), 2, gauss(np.diag([0.5, 0.2])), 0.6, 1.0)}


@dataclass(frozen=True)
class Elsewhere(Problem):
    """The same cell, run by the caller: `condition` is given s', z and all partials."""

    cell: Any = None

    def step(self, flt, i):
        rows, cell, theta = self.rows, self.cell, np.asarray(flt.theta, dtype=np.float64)
        moved = cell.advance(theta, np.asarray(flt.state, dtype=np.float64), rows.U[i])
        out = cell.readout(theta, moved.s)
        arguments = rows.arguments(i)
        z = out.z + arguments.pop("offset")
        partials = {"state": moved.s, "transition": (moved.f_s, moved.f_theta)}
        return flt.condition(rows.y(i), z, (out.h_s, out.h_theta), **partials, **arguments)


def cells(k):
    """Name -> (how the model is made, options of Filter)."""
    scaled = {"input_center": np.full(D, 0.2), "input_scale": np.full(D, 1.5)}
    return {
        "rnn": lambda impl: impl.RNN(D, H, k),
        "relu": lambda impl: impl.RNN(D, H, k, activation="relu", mask=MASK, **scaled),
        "gru": lambda impl: impl.GRU(D, 3, k, **scaled),
        "lstm": lambda impl: impl.LSTM(D, 3, k),
        "linear-state": lambda impl: impl.LinearStateSpace(D, 3, k, **scaled),
        "lru": lambda impl: impl.LRU(D, H, k),
    }


def sgd(rate):
    return lambda impl: impl.SGD(rate)


def adam(make):
    return lambda impl: impl.Adam(make(impl))


def hidden(name, make, family, rows, **options):
    """A problem whose `options` are functions of the implementation, or plain values."""

    def components(impl):
        own = {key: value(impl) if callable(value) else value for key, value in options.items()}
        return make(impl), family(impl), own

    return Problem(name, components, rows, tags=frozenset(["recurrent"]))


def contracting(make):
    """theta_0 of a linear recurrence whose weights are halved: drawn, they may make it explode."""

    def theta(impl):
        model = make(impl)
        start = model.initial_theta(0)
        model.split(start)["weight_hh"][:] *= 0.5
        return start

    return theta


def posterior(prior):
    """Options under which theta has a covariance."""
    unknown = {"state": np.linspace(-0.1, 0.1, H), "state_prior": 0.1}
    return {
        "plain": {"belief": full(prior)},
        "fading": {"belief": full(prior), "rule": fading(0.02), "sensitivity": lambda impl: impl.RTRL(state_correction=False)},
        "turns": {"belief": full(prior), "rule": towards_prior(0.03), "sensitivity": lambda impl: impl.SnAp(1)},
        "walk": {"belief": full(prior), "rule": walk(1e-4 * prior), "sensitivity": lambda impl: impl.SnAp(2)},
        "diagonal": {"belief": diagonal(prior), "sensitivity": lambda impl: impl.DiagonalRTRL()},
        "gradient": {"belief": full(prior / 0.02), "rule": lambda impl: impl.NaturalGradient(0.02)},
        "unknown": {"belief": full(prior), **unknown},
        "unknown-turns": {"belief": full(prior), "rule": towards_prior(0.03), **unknown},
        "unknown-walk": {"belief": full(prior), "rule": walk(1e-4 * prior), "sensitivity": lambda impl: impl.SnAp(1),
                         **unknown, "state_prior": 0.1 * (np.eye(H) + 0.3)},
    }  # fmt: skip


def descent(k, prior):
    """Options of gradient rules."""
    rate = 0.002 * prior / k
    return {
        "sgd": {"rule": sgd(rate)},
        "sgd-uoro": {"rule": sgd(0.5 * rate), "sensitivity": lambda impl: impl.UORO(seed=5)},
        "adam": {"rule": adam(lambda impl: impl.InverseTime(0.1, 20)), "sensitivity": lambda impl: impl.RTRL(False)},
        "adam-uoro": {"rule": adam(lambda impl: 0.002), "sensitivity": lambda impl: impl.UORO()},
    }


def _problems():
    for law, known in (LAWS | LEARNT).items():
        k, prior = known["k"], 0.05 * known["prior"]
        make = {"weights": True, "offsets": True, "gaps": 0.1, "width": known["width"], "n": 40}
        rows = data(k, D, line(k, D, known["scale"]), known["draw"], times=True, **make)
        still = replace(rows, dt=np.ones(len(rows)))
        options = posterior(prior) | ({} if law in LEARNT else descent(k, known["prior"]))
        if law in LEARNT:
            del options["gradient"]
        names = list(options)
        for i, (cell, model) in enumerate(cells(k).items()):
            for j, name in enumerate(names):
                four_units = cell in ("rnn", "relu", "lru")
                if "unknown" in name and not four_units or (i + j) % 5 and law not in ("gaussian", "gaussian-2"):
                    continue  # the state of the others is of another size; all pairs with the Gaussian, a fifth elsewhere
                own = still if "gradient" in name else rows
                start = {"theta": contracting(model)} if cell == "linear-state" else {}
                yield hidden(f"{law}-{cell}-{name}", model, known["family"], own, **options[name], **start)
        if law in LAWS:
            for name in ("sgd", "adam"):
                rule = {"rule": descent(k, known["prior"])[name]["rule"]}
                yield linear(f"{law}-{name}", known["family"], rows, k=k, **rule)
                yield linear(f"{law}-network-{name}", known["family"], rows, k=k, layers=([D, 4, k],), **rule)
        yield _elsewhere(law, known, rows, prior)


def _elsewhere(law, known, rows, prior):
    from kfng import reference

    cell = reference.RNN(D, H, known["k"])
    theta, make = cell.initial_theta(0), cell.n_parameters

    def components(impl):
        model = impl.ExternalRecurrent(make, H, known["k"])
        return model, known["family"](impl), {"belief": full(prior)(impl), "theta": theta}

    return Elsewhere(f"{law}-elsewhere", components, rows, forward=cell.readout, cell=cell)


HIDDEN = {problem.name: problem for problem in _problems()}
