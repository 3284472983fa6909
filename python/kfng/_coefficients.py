"""The numbers a filter has learned, by readable names: estimate and standard deviation of each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .errors import ParameterError, UnsupportedError

Float = NDArray[np.float64]


class Coefficients(NamedTuple):
    """names (p), estimate (p,), sd (p,); sd is NaN where the rule has no posterior."""

    names: list[str]
    estimate: Float
    sd: Float

    def largest(self, top: int | None) -> Coefficients:
        """Those farthest from 0 in standard deviations; all where `top` is None."""
        with np.errstate(all="ignore"):
            far = np.abs(self.estimate / self.sd)
        order = np.argsort(-np.where(np.isnan(far), np.abs(self.estimate), far), kind="stable")[:top]
        return Coefficients([self.names[i] for i in order], self.estimate[order], self.sd[order])


def coefficients(flt: Any) -> Coefficients:
    """Of a Filter its theta; of a StateFilter or JointEkf the state before it; of a Mixture its best filter's.

    Of a Bank the mean of the keys' parameters, and their spread instead of a standard deviation.
    """
    from ._bank_base import BankBase
    from ._filter_base import FilterBase
    from ._mixture_base import MixtureBase

    if isinstance(flt, MixtureBase):
        flt = flt.best
    if isinstance(flt, BankBase):
        keys = flt.keys()
        each = np.asarray(flt.theta(keys), dtype=np.float64) if keys else np.zeros((1, 0))
        return Coefficients(list(_names(flt[keys[0]])) if keys else [], each.mean(axis=0), each.std(axis=0))
    if isinstance(flt, FilterBase):
        theta = flt.theta.astype(np.float64)
        try:
            sd = flt.std()
        except UnsupportedError:  # a rule without a posterior
            sd = np.full(len(theta), np.nan)
        return Coefficients(list(_names(flt)), theta, np.asarray(sd, dtype=np.float64))
    state = getattr(flt, "state", None)
    if state is None:
        raise ParameterError(argument="flt", expected="a filter, mixture or bank", got=type(flt).__name__)
    names, theta = [f"state[{i}]" for i in range(len(state))], np.asarray(state, dtype=np.float64)
    if not hasattr(flt, "joint_cov"):
        return Coefficients(names, theta, np.asarray(flt.std(), dtype=np.float64))
    both = np.concatenate([theta, np.asarray(flt.theta, dtype=np.float64)])
    return Coefficients([*names, *_names(flt)], both, np.sqrt(np.diagonal(flt.joint_cov())))


def _names(flt: Any) -> Iterator[str]:
    """The feature's name where it is known, else `name[i, j]`."""
    features, labels = (flt.spec().get(name) for name in ("feature_names", "class_names"))
    parameters = flt.parameters
    outputs = len(parameters["intercept"]) if "intercept" in parameters else 1
    for name, array in parameters.items():
        for index in np.ndindex(array.shape):
            if features is not None and name == "weight":
                output = f"output {index[0]}" if labels is None else labels[index[0]]
                yield features[index[1]] + (f" -> {output}" if array.shape[0] > 1 else "")
            elif name == "intercept" and (outputs == 1 or labels is not None):
                yield name if outputs == 1 else f"{name} -> {labels[index[0]]}"
            else:
                yield f"{name}[{', '.join(map(str, index))}]"
