"""Robust observation: what a row counts for that its prediction did not expect.

With e = y - z of the m observed outputs, and S = R/w + C the covariance that the filter itself expects of e,

    delta = e'S^-1 e            (R in units of the learned variance as it is reported, where one is learned)

Imq and Student weigh the row's log-likelihood: everywhere its weight w stands, w·weight(delta, m) does, which for a
Gaussian is the ordinary update with R/weight. Winsor cuts the innovation instead, and P is updated as usual.

e is measured by S, neither in plain units nor by R alone: a weight must not depend on the unit of y, and a row that is
far from a prediction which is itself uncertain (the first ones under a diffuse prior, those after a long time) is no
outlier. As S grows no faster than C does, the step of theta stays bounded in y for both weights.

Sources: Imq: Duran-Martin et al., "Outlier-robust Kalman filtering through generalised Bayes" (WoLF), ICML 2024, arXiv
2405.05646: the inverse multi-quadratic weight W² = 1/(1 + |e|²/c²), there of e in plain units or by R. Student: y ~ N(z,
R/lambda), lambda ~ Gamma(dof/2, dof/2), and E(lambda|delta) = (dof + m)/(dof + delta), one step of expectation
maximisation: Lange, Little and Taylor, "Robust statistical modeling using the t distribution", JASA 84 (1989). Winsor:
Huber's psi on the innovation, Masreliez and Martin, IEEE Trans. Automat. Control 22 (1977).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from .._component import Component
from .._validate import positive
from ..errors import ParameterError, UnknownNameError, shown


class Robust(Component):
    """Base: a weight from the squared distance delta of m observed outputs."""

    axis: ClassVar[str] = "robust"
    cuts: ClassVar[bool] = False
    """Whether the innovation is multiplied by the weight, not the log-likelihood."""

    def weight(self, delta: float, m: int) -> float:
        """What the row counts for."""
        raise NotImplementedError

    def counts(self, weight: float) -> bool:
        """Whether `health()` counts the row as down-weighted: it counted for less than half."""
        return weight < 0.5


@dataclass(frozen=True, eq=False, repr=False)
class Imq(Robust):
    """Inverse multi-quadratic weight 1/(1 + delta/(m threshold²)): rows count the less, the farther they are off.

    Parameters
    ----------
    threshold : float, default 4.0
        In standard deviations of the prediction, per output: a row that far off counts for half.

    Raises
    ------
    ParameterError
    """

    threshold: float = 4.0

    def __post_init__(self) -> None:
        self._set("threshold", positive("threshold", self.threshold))

    def weight(self, delta: float, m: int) -> float:
        return 1.0 / (1.0 + delta / (m * self.threshold**2))


@dataclass(frozen=True, eq=False, repr=False)
class Student(Robust):
    """Student-t noise as a scale mixture, weight (dof + m)/(dof + delta): R is its squared scale, no variance.

    Parameters
    ----------
    dof : float, default 4.0
        Degrees of freedom. A row as expected counts for more than 1, at most (dof + m)/dof.

    Raises
    ------
    ParameterError
    """

    dof: float = 4.0

    def __post_init__(self) -> None:
        self._set("dof", positive("dof", self.dof))

    def weight(self, delta: float, m: int) -> float:
        return (self.dof + m) / (self.dof + delta)


@dataclass(frozen=True, eq=False, repr=False)
class Winsor(Robust):
    """The innovation is cut to so many standard deviations of the prediction, its direction kept; P is updated as usual.

    Parameters
    ----------
    sd : float, default 5.0
        The bound; of m outputs sd·sqrt(m) on their joint distance.

    Raises
    ------
    ParameterError
    """

    sd: float = 5.0

    cuts: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self._set("sd", positive("sd", self.sd))

    def weight(self, delta: float, m: int) -> float:
        bound = m * self.sd**2
        return 1.0 if delta <= bound else math.sqrt(bound / delta)

    def counts(self, weight: float) -> bool:
        """Whether the innovation was cut."""
        return weight < 1.0


ROBUST: Mapping[str, type[Robust]] = {policy.__name__: policy for policy in (Imq, Student, Winsor)}
NAMES: Mapping[str, type[Robust]] = {name.lower(): policy for name, policy in ROBUST.items()}


def named(value: Any) -> Robust | None:
    """The policy that `robust=` means: None, one of the names, or a policy itself."""
    if value is None or isinstance(value, Robust):
        return value
    if isinstance(value, str):
        if value not in NAMES:
            raise UnknownNameError(argument="robust", expected=f"one of {sorted(NAMES)}", got=shown(value))
        return NAMES[value]()
    hint = " (an instance, not the class)" if isinstance(value, type) else ""
    expected = f"None, one of {sorted(NAMES)}, or Imq, Student, Winsor{hint}"
    raise ParameterError(argument="robust", expected=expected, got=shown(value))
