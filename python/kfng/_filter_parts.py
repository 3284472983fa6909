"""What the parts of a filter share: what an implementation supplies, what a filter holds, and its posterior."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ._posterior import Factored, Independent
from ._settings import Settings
from ._trace import Likelihood
from .errors import UnsupportedError

if TYPE_CHECKING:
    from ._clock import Moment
    from ._units import Units

Float = NDArray[np.float64]


class FilterParts:
    """The rest of a filter is methods on this."""

    settings: Settings
    theta: NDArray[Any]
    n_updates: int
    _likelihood: Likelihood
    _when: Moment | None = None
    """When the last row was, of those that came with a time."""
    _resizes = False
    """Whether `_resized` is there."""

    if TYPE_CHECKING:  # supplied by kfng._core.Filter and kfng.reference.Filter
        _takes_bare_rows: bool
        _takes_sparse_rows: bool
        _run_sparse: Callable[..., Any]

        def _run(self, U: Any, Y: Any, weight: Any, dt: Any, offset: Any, blank: Any, *, reordered: bool) -> Any: ...
        def _refuse(self, n: int) -> None: ...
        def _predict(self, U: Any, offset: Any) -> tuple[Float, Float]: ...
        def _noise(self) -> tuple[Float, Float]: ...
        def _factors(self) -> tuple[Float, Float]: ...
        def _covariance(self) -> Float: ...
        def _state(self) -> dict[str, NDArray[Any]]: ...
        def _set_state(self, state: dict[str, NDArray[Any]]) -> None: ...
        def _recurrence(self) -> dict[str, NDArray[Any]]: ...
        def _reset_state(self, state: Float | None) -> None: ...
        def _spread(self, dz: Float) -> Float: ...
        def _resized(self, settings: Settings) -> Any: ...
        def _in_units(self, belief: dict[str, NDArray[Any]], units: Units) -> dict[str, NDArray[Any]]: ...

    def _posterior(self, free: int | None = None) -> Factored | Independent:
        """What is known of theta, or of all of phi with `free` = 0."""
        free = self.settings.free if free is None else free
        return Independent(self, free) if self.settings.belief.independent else Factored(self, free)

    def _scale(self) -> float:
        """The posterior covariance as a multiple of what the belief keeps: the noise variance, and the rule's factor."""
        a, b = self._noise()
        noise = float(self.settings.family.posterior_scale(a[None], b[None])[0])
        return noise * self.settings.rule.scale(self.n_updates)

    def _need_posterior(self, argument: str) -> None:
        rule = self.settings.rule
        if not rule.has_posterior:
            raise UnsupportedError(
                argument=argument, expected="a rule with a posterior covariance", got=repr(rule)[:80]
            )
