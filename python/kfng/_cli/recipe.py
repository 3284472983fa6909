"""The components that the options of `kfng fit` name, and where a filter of them starts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import kfng

from .. import _from_rows, _tables
from .._settings import Settings
from .roles import Roles
from .trouble import Trouble

FAMILIES = ("gaussian", "bernoulli", "categorical", "poisson", "negative-binomial", "gamma")
CELLS = {"rnn": kfng.RNN, "gru": kfng.GRU, "lstm": kfng.LSTM}


def family_of(options: Any, target: Any) -> kfng.reference.family.Family:
    name, dispersion, classes = options.family, options.dispersion, options.classes
    if dispersion is not None and name in ("bernoulli", "categorical", "poisson"):
        raise Trouble(f"--dispersion is not for --family {name}")
    if isinstance(classes, tuple) and name == "bernoulli" and len(classes) != 2:
        raise Trouble(f"--family bernoulli has 2 classes, --classes says {len(classes)}")
    if name == "categorical":
        known = len(classes) if isinstance(classes, tuple) else classes
        return kfng.Categorical(max(2, known or int(max(target.max() or 0, 0)) + 1))
    if classes is not None and not (isinstance(classes, tuple) and name == "bernoulli"):
        raise Trouble("--classes is for --family categorical, as labels for bernoulli too")
    if name == "gaussian":
        return kfng.Gaussian(variance=dispersion)
    if name == "negative-binomial":
        return kfng.NegativeBinomial(1.0 if dispersion is None else dispersion)
    if name == "gamma":
        return kfng.Gamma(1.0 if dispersion is None else 1 / dispersion)
    return kfng.Bernoulli() if name == "bernoulli" else kfng.Poisson()


def model_of(text: str, outputs: int) -> Callable[[int], kfng.reference.model.Model]:
    """linear, mlp:32, mlp:32,16, rnn:16, gru:16, lstm:16."""
    name, _, sizes = text.partition(":")
    try:
        units = [int(size) for size in sizes.split(",")] if sizes else []
    except ValueError:
        units = [0]
    if name == "linear" and not units:
        return lambda d: kfng.Linear(d, outputs)
    if name == "mlp" and units and min(units) > 0:
        return lambda d: kfng.MLP([d, *units, outputs])
    if name in CELLS and len(units) == 1 and units[0] > 0:
        return lambda d: CELLS[name](d, units[0], outputs)
    raise Trouble(f"--model: expected linear, mlp:32, mlp:32,16, rnn:16, gru:16 or lstm:16, got {text!r}")


def start(options: Any, roles: Roles, rows: Any) -> Settings:
    """Settings whose level and prior follow from the first rows, a polars table."""
    family = family_of(options, rows[roles.target])
    outputs = family.outputs_needed() or 1
    given, names, categories = _tables.first_rows(
        rows, None, roles.target, roles.weight, None, roles.time, roles.features, roles.categories
    )
    U = given.U
    half_life = options.half_life
    if half_life is None and options.forgetting is None:
        rule: Any = kfng.Kalman()
    else:
        rule = kfng.Fading(forgetting=options.forgetting, half_life=half_life)
    settings = Settings.build(
        model_of(options.model, outputs)(U.shape[1]),
        family,
        belief={"full": kfng.Full, "diagonal": kfng.Diagonal}[options.belief](),
        rule=rule,
        dtype=options.dtype,
        seed=options.seed,
        feature_names=names,
        categories=categories,
        class_names=roles.labels,
    )
    return _from_rows.start(settings, U, given.Y, given.weight, _center(settings, U))


def _center(settings: Settings, U: Any) -> Any:
    """The means of the features, but for indicators: the prior of the intercept is about a row of these, not of zeros.

    A diagonal belief cannot say so, and a cell has centres of its own.
    """
    if not isinstance(settings.belief, kfng.Full) or not isinstance(settings.model, (kfng.Linear, kfng.MLP)):
        return None
    complete = U[np.isfinite(U).all(axis=1)]
    center = complete.mean(axis=0)
    center[(complete == 0).any(axis=0) & (np.abs(complete) <= 1).all(axis=0)] = 0.0
    return center
