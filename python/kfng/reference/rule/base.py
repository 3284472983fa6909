"""What a rule is: the numbers that enter the kernel of theory section 1, and never a matrix.

    J <- decay·J + metric_rate·A A',   theta <- theta + learning_rate·J^-1 g

Source: Ollivier 2018, arXiv 1703.00209. Rows that learn are counted t = 1, 2, ...; t = 0 is the filter as it starts.
"""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..._component import Component
from ..._validate import Array


class TimeStep(NamedTuple):
    """What happens before a row is used: the precision's factor, and the log of the factor of 1/(posterior variance)."""

    decay: float
    log_decay: float


class Rates(NamedTuple):
    """What a row that learns brings: A <- sqrt(metric_rate)·A, theta <- theta + learning_rate·P g."""

    metric_rate: float
    learning_rate: float


class Rule(Component):
    axis: ClassVar[str] = "rule"
    needs_known_noise: ClassVar[bool] = False
    """True where a noise variance cannot be learned beside theta."""
    gradient: ClassVar[bool] = False
    """True where theta moves along the score itself, with no belief about it (gradient.py)."""
    moments: ClassVar[int] = 0
    """How many running averages (p,) of the score such a rule keeps."""

    @property
    def forgets(self) -> bool:
        """True where an unexcited direction grows without bound unless the wind-up guard acts."""
        return False

    @property
    def seconds(self) -> bool:
        """True where time is in seconds, and a row without one is refused."""
        return False

    @property
    def towards_prior(self) -> bool:
        """True where what is forgotten gives way to the prior."""
        return False

    @property
    def has_posterior(self) -> bool:
        """False where no multiple of J^-1 is a covariance of theta."""
        return True

    def check(self, p: int) -> None:
        """Raise unless the rule fits p parameters."""

    def accepts(self, dt: Array) -> NDArray[np.bool_]:
        """Which times (n,) the rule can let pass."""
        return np.ones(len(dt), dtype=bool)

    def times_text(self) -> str:
        """What `accepts` allows, for the error message."""
        return "a finite number >= 0"

    def log_decay(self, dt: float) -> float:
        """log of the factor by which the precision decays in a time dt."""
        return 0.0

    def decay(self, dt: float) -> float:
        """That factor itself."""
        return 1.0

    def time_step(self, dt: float, t: int, learns: bool) -> TimeStep | None:
        """Before row t, which learns or not; None where nothing at all happens."""
        return TimeStep(self.decay(dt), self.log_decay(dt))

    def rates(self, t: int) -> Rates:
        """Of the t-th row that learns."""
        return Rates(1.0, 1.0)

    def scale(self, t: int) -> float:
        """The posterior covariance after t learned rows is this number times P; before row t, times P/decay."""
        return 1.0

    def predictive_scale(self, t: int) -> float:
        """Before row t, times P itself: what its prediction is made from."""
        return 1.0

    def move(self, moments: Array, g: Array, t: int) -> tuple[Array, Array]:
        """Of a gradient rule: the moments (m, p) after the t-th row that learns, of score g (p,), and the step (p,)."""
        raise NotImplementedError

    @property
    def diffusion(self) -> Any:
        """Q, by which P grows in a unit of time: a number, (p,) or (p, p); None for none."""
        return None

    def diffuses(self, n_seen: int) -> bool:
        """Whether what is owed of it is added before the row after n_seen rows."""
        return True
