"""A recurrent model that lives elsewhere: the user gives its state, output and partials row by row."""

from __future__ import annotations

from dataclasses import dataclass

from ..._validate import integer
from .recurrent import Recurrent


@dataclass(frozen=True, eq=False, repr=False)
class ExternalRecurrent(Recurrent):
    """`Filter.condition(y, output, jacobian, state=, transition=)`, everything at `flt.state` and `flt.theta` before the call.

    state = f(s, theta, u) (n,); transition = (f_s (n, n), f_theta (n, p)); output = h(state, theta) (k,);
    jacobian = (h_s (k, n), h_theta (k, p)), both at that new state.

    Parameters
    ----------
    n_params, n_state, n_outputs : int
        p, n and k.

    Raises
    ------
    ParameterError
        Sizes that are no positive integers.
    """

    n_params: int
    n_state: int
    n_outputs: int

    def __post_init__(self) -> None:
        for name in ("n_params", "n_state", "n_outputs"):
            self._set(name, integer(name, getattr(self, name), low=1))

    @property
    def inputs(self) -> int | None:
        return None

    @property
    def outputs(self) -> int:
        return self.n_outputs

    @property
    def state_size(self) -> int:
        return self.n_state

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {"theta": (self.n_params,)}
