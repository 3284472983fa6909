"""The learner as a step of a training loop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from .._filter import Filter
from .._trace import Trace
from ..errors import ParameterError
from ..reference.belief import Belief
from ..reference.family import Family
from ..reference.rule import Rule
from ._learner import filter_for


class KalmanOptimizer:
    """Learns a module's parameters, or some of them, from batches, without a loss, a backward pass or a learning rate.

    Parameters
    ----------
    module, family, parameters, outputs, belief, rule, **options
        As for `filter_for`.
    block : int, optional
        So many rows of a batch are linearised together; by default all of them. 1 linearises each row where the parameters
        stand.

    Attributes
    ----------
    learner : TorchLearner
        For predictions, and with all that it has.

    Examples
    --------
    >>> import torch, kfng, kfng.torch
    >>> net = torch.nn.Sequential(torch.nn.Linear(2, 1))
    >>> head = kfng.torch.KalmanOptimizer(net, family=kfng.Bernoulli())
    >>> trace = head.step(torch.tensor([[0.0, 1.0], [1.0, 0.0]]), torch.tensor([0, 1]))
    >>> trace.nll.shape
    (2,)
    """

    def __init__(
        self,
        module: nn.Module,
        *,
        family: Family,
        parameters: Any = None,
        outputs: int | None = None,
        belief: Belief | None = None,
        rule: Rule | None = None,
        block: int | None = None,
        **options: Any,
    ) -> None:
        self.learner = filter_for(
            module,
            family=family,
            parameters=parameters,
            outputs=outputs,
            belief=belief,
            rule=rule,
            block=1 if block is None else block,
            **options,
        )
        self._block = block

    @property
    def filter(self) -> Filter:
        """The `kfng.Filter` behind it."""
        return self.learner.filter

    @property
    def names(self) -> list[str]:
        """Names of the parameters that learn here."""
        return list(self.learner.names)

    def step(self, inputs: Any, targets: Any, *, weight: Any = None, dt: Any = None, offset: Any = None) -> Trace:
        """Learn a batch, in the order of its rows, and put the parameters into the module.

        Parameters
        ----------
        inputs
            A tensor or array with a leading row axis; a tuple of them where the module takes several, a dict by keyword.
        targets : (n,) or (n, k)
            y; NaN is missing.
        weight, dt, offset
            As for `kfng.Filter.update_many`.

        Returns
        -------
        Trace
            For each row `prediction`, `std` and `nll` before its own y was used, as NumPy arrays.

        Raises
        ------
        ShapeError, DtypeError, NonFiniteError, ParameterError
            Nothing of the batch is then learned: filter and module are as they were before.
        """
        rows = self.learner._rows(inputs)
        block = max(1, self.learner._count(rows)) if self._block is None else self._block
        before = self.filter._state()
        try:
            trace = self.learner._pass(inputs, targets, weight=weight, dt=dt, offset=offset, block=block)
        except BaseException:
            self.filter._set_state(before)
            raise
        self.learner._learned()
        assert trace is not None
        return trace

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clear the gradients that other losses have left in the parameters that learn here; the step uses none.

        Parameters
        ----------
        set_to_none : bool, default True
            None instead of zeros.
        """
        for parameter in self.learner._parameters():
            if set_to_none or parameter.grad is None:
                parameter.grad = None
            else:
                parameter.grad.zero_()

    def state_dict(self) -> dict[str, Any]:
        """Names of the parameters and the filter's checkpoint as a tensor of bytes: for `torch.save`, beside the module's own."""
        data = np.frombuffer(self.filter._to_bytes(), dtype=np.uint8)
        return {"parameters": self.names, "filter": torch.from_numpy(data.copy())}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from a state; the parameters that learn here are put into the module.

        Parameters
        ----------
        state_dict : dict
            What `state_dict()` gave.

        Raises
        ------
        ParameterError
            It is of other parameters, or no such state.
        CheckpointError, ShapeError
            The checkpoint is damaged, or of another size; nothing has changed then.
        """
        if not isinstance(state_dict, Mapping) or set(state_dict) != {"parameters", "filter"}:
            got = sorted(state_dict) if isinstance(state_dict, Mapping) else type(state_dict).__name__
            raise ParameterError(argument="state_dict", expected="what state_dict() gave", got=got)
        if list(state_dict["parameters"]) != self.names:
            raise ParameterError(argument="state_dict", expected=self.names, got=list(state_dict["parameters"]))
        self.learner._adopt(Filter._from_bytes(state_dict["filter"].cpu().numpy().tobytes()))

    def __repr__(self) -> str:
        return f"KalmanOptimizer({', '.join(self.names)}: {self.learner!r})"
