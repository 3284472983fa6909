"""A PyTorch module learned by a filter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import reduce
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.func import functional_call, jacrev, vmap
from torch.utils._pytree import tree_leaves, tree_map

from .._learner import Float, Learner, Linearised, filter_of, output_shape
from ..errors import DtypeError, ShapeError
from ..reference.belief import Belief
from ..reference.family import Family
from ..reference.rule import Rule
from ._parameters import chosen


def filter_for(
    module: nn.Module,
    *,
    family: Family,
    parameters: str | list[Any] | Callable[[str, Any], bool] | None = None,
    outputs: int | None = None,
    belief: Belief | None = None,
    rule: Rule | None = None,
    block: int = 1,
    **options: Any,
) -> TorchLearner:
    """A learner of the parameters of `module`, or of some of them.

    Parameters
    ----------
    module : torch.nn.Module
        Gives the output z in link coordinates, (n, k) for n rows of inputs; (n,) will do for k = 1. It always runs as in
        `eval()` mode, whatever its mode is, which stays: dropout is off, batch normalisation uses its buffers.
    family : Family
        The law of y given z.
    parameters : optional
        Which parameters learn. Default: those with `requires_grad`. 'last': those of the last layer that has some, in the
        order of registration. Or a list of names of parameters, names of submodules or parameters themselves; or a function of
        name and parameter that says yes or no. The others stay what the module has: another optimiser may train them.
    outputs : int, optional
        k. Default: what the family needs, else 1.
    belief, rule, **options
        As for `kfng.Filter`; theta is the chosen parameters in the order of the module, one behind the other.
    block : int, default 1
        So many rows of `update_many` are linearised together, at the parameters where the first of them starts: fewer,
        larger calls of PyTorch, and an approximation. With 1 each row is linearised where the parameters stand.

    Returns
    -------
    TorchLearner

    Raises
    ------
    ParameterError, UnknownNameError, DtypeError, UnsupportedError
        `parameters` names none, one twice, or one that is not there; numbers that are not real; a lazy module.
    ShapeError
        The family needs another number of outputs.

    Notes
    -----
    After every `update`, `update_many` and `load` the chosen parameters of the module are the posterior mean, in their own
    dtype and on their own device. What counts is the filter: what others write into them is written over. Outputs
    and Jacobians are computed in the dtype of the parameters, in float32 to seven digits; the filter works on the CPU, in
    float64 unless told otherwise by `dtype`.
    """
    return TorchLearner(module, family, parameters, outputs, block, {"belief": belief, "rule": rule, **options})


class TorchLearner(Learner):
    __doc__ = Learner.__doc__

    def __init__(
        self,
        module: nn.Module,
        family: Any,
        parameters: Any,
        outputs: int | None,
        block: int,
        options: dict[str, Any],
    ) -> None:
        self.module, self.names = module, chosen(module, parameters)
        theta = np.concatenate([_numpy(parameter).ravel() for parameter in self._parameters()])
        super().__init__(filter_of(len(theta), theta, family, outputs, options), block)
        self._written = self.filter.theta
        self._linear = vmap(jacrev(self._output, has_aux=True), (None, 0))
        self._values = vmap(lambda theta, row: self._output(theta, row)[0], (None, 0))

    # -- reading
    @property
    def params(self) -> dict[str, Any]:
        """Posterior mean of the parameters that learn, by name: new tensors, of the dtype and on the device of the module's."""
        return self._tensors(self.filter.theta)

    def std(self) -> dict[str, Any]:
        """Posterior standard deviations of the parameters that learn, by name."""
        return self._tensors(self.filter.std())

    def write_back(self) -> None:
        """Put the posterior mean into the module, where something else has written over it; updates do so by themselves."""
        with torch.no_grad():
            for parameter, value in zip(self._parameters(), self._tensors(self.filter.theta).values(), strict=True):
                parameter.copy_(value)
        self._written = self.filter.theta

    def _learned(self) -> None:
        if not np.array_equal(self._written, self.filter.theta):
            self.write_back()

    def _parameters(self) -> list[Any]:
        return [self.module.get_parameter(name) for name in self.names]

    def _tensors(self, values: NDArray[Any]) -> dict[str, Any]:
        """Numbers (p,) as tensors like the parameters."""
        parts = torch.from_numpy(np.array(values)).split([parameter.numel() for parameter in self._parameters()])
        return {
            name: part.to(parameter.dtype, copy=True).to(parameter.device).view(parameter.shape)
            for name, parameter, part in zip(self.names, self._parameters(), parts, strict=True)
        }

    # -- rows: (arguments, keyword arguments) of the module, tensors with a leading row axis
    def _rows(self, U: Any) -> Any:
        rows = self._inputs(U)
        sizes = {tuple(leaf.shape[:1]) for leaf in tree_leaves(rows)}
        if len(sizes) != 1 or sizes == {()}:
            got = sorted(sizes) if sizes else "no tensor"
            raise ShapeError(argument="U", expected="tensors with one leading row axis", got=got)
        return rows

    def _one(self, u: Any) -> Any:
        return tree_map(lambda leaf: leaf[None], self._inputs(u))

    def _inputs(self, given: Any) -> Any:
        args = given if isinstance(given, tuple) else () if isinstance(given, dict) else (given,)
        like = self._parameters()[0]
        return tree_map(lambda leaf: _tensor(leaf, like), (args, given if isinstance(given, dict) else {}))

    def _count(self, rows: Any) -> int:
        return len(tree_leaves(rows)[0])

    def _part(self, rows: Any, start: int, stop: int) -> Any:
        return tree_map(lambda leaf: leaf[start:stop], rows)

    def _finite(self, rows: Any) -> bool:
        return all(bool(torch.isfinite(leaf).all()) for leaf in tree_leaves(rows))

    def _numbers(self, value: Any) -> Any:
        return _numpy(value) if isinstance(value, torch.Tensor) else value

    # -- the module
    def _output(self, theta: Any, row: Any) -> tuple[Any, Any]:
        """z (k,) of one row at theta (p,), twice."""
        parameters, k = self._parameters(), self.filter.settings.k
        parts = theta.split([parameter.numel() for parameter in parameters])
        values = {
            name: part.view(parameter.shape).to(parameter.device, parameter.dtype)
            for name, parameter, part in zip(self.names, parameters, parts, strict=True)
        }
        args, kwargs = tree_map(lambda leaf: leaf[None], row)
        z = functional_call(self.module, values, args, kwargs)
        if not isinstance(z, torch.Tensor) or not z.dtype.is_floating_point:
            got = f"dtype {z.dtype}" if isinstance(z, torch.Tensor) else type(z).__name__
            raise DtypeError(argument="output", expected="a tensor of real floating-point numbers", got=got)
        if z.shape[:1] != (1,) and not (k == 1 and z.shape == ()):
            raise ShapeError(argument="output", expected=f"(n, {k}) for n rows", got=f"{tuple(z.shape)} for one")
        z = z.reshape(output_shape(tuple(z.shape[1:]), k))
        return z, z

    def _linearise(self, theta: NDArray[Any], rows: Any) -> Linearised:
        with self._still():
            flat = self._flat(theta)
            dZ, Z = self._linear(flat, rows) if self._count(rows) > 1 else self._single(flat, rows)
        return _numpy(Z), _numpy(dZ).astype(self.filter.settings.float, copy=False)

    def _single(self, theta: Any, rows: Any) -> tuple[Any, Any]:
        """The same of one row, by autograd alone: two to three times as fast as the transforms are for it."""
        with torch.enable_grad():
            z, _ = self._output(theta.requires_grad_(), tree_map(lambda leaf: leaf[0], rows))
        if not z.requires_grad:  # no parameter has a part in it
            return theta.new_zeros((1, len(z), len(theta))), z[None]
        directions = torch.eye(len(z), dtype=z.dtype, device=z.device)
        (dz,) = torch.autograd.grad(z, theta, directions, is_grads_batched=True)
        return dz[None], z[None]

    def _evaluate(self, theta: NDArray[Any], rows: Any) -> Float:
        with self._still():
            return _numpy(self._values(self._flat(theta), rows))

    def _flat(self, theta: NDArray[Any]) -> Any:
        parameters = self._parameters()
        dtype = reduce(torch.promote_types, (parameter.dtype for parameter in parameters))
        return torch.from_numpy(np.array(theta)).to(dtype).to(parameters[0].device)

    @contextmanager
    def _still(self) -> Iterator[None]:
        """The module as in eval mode, without a graph; then as it was."""
        training = [layer for layer in self.module.modules() if layer.training]
        try:
            for layer in training:
                layer.training = False
            with torch.no_grad():
                yield
        finally:
            for layer in training:
                layer.training = True


def _numpy(tensor: Any) -> NDArray[Any]:
    """As float64 on the CPU."""
    return np.asarray(tensor.detach().cpu().double().numpy())


def _tensor(leaf: Any, like: Any) -> Any:
    """Numbers beside `like`; real ones of its dtype."""
    try:
        tensor = leaf.detach() if isinstance(leaf, torch.Tensor) else torch.as_tensor(np.array(leaf))
    except TypeError:
        raise DtypeError(argument="U", expected="tensors or arrays of numbers", got=type(leaf).__name__) from None
    return tensor.to(like.dtype).to(like.device) if tensor.dtype.is_floating_point else tensor.to(like.device)
