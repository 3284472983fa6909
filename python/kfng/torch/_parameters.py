"""Which parameters of a module learn."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from ..errors import DtypeError, ParameterError, UnknownNameError, UnsupportedError, shown

EXPECTED = "None, 'last', names of parameters or submodules, parameters, or a function of name and parameter"


def chosen(module: Any, parameters: Any) -> list[str]:
    """The names of the parameters that learn, each once, in the module's order."""
    if not isinstance(module, nn.Module):
        raise ParameterError(argument="module", expected="a torch.nn.Module", got=shown(module))
    named = dict(module.named_parameters())
    for name, parameter in named.items():
        if isinstance(parameter, nn.parameter.UninitializedParameter):
            raise UnsupportedError(argument="module", expected="a lazy module after its first call", got=name)
    names = _names(module, parameters, named)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ParameterError(argument="parameters", expected="each parameter once", got=f"{twice[0]} twice")
    if not names:
        raise ParameterError(argument="parameters", expected="at least one parameter", got="none")
    for name in names:
        if not named[name].dtype.is_floating_point or named[name].layout is not torch.strided:
            got = f"{name} of {named[name].dtype}, {named[name].layout}"
            raise DtypeError(argument="parameters", expected="dense real floating-point numbers", got=got)
    return [name for name in named if name in set(names)]


def _names(module: nn.Module, parameters: Any, named: dict[str, Any]) -> list[str]:
    if parameters is None:
        return [name for name, parameter in named.items() if parameter.requires_grad]
    if isinstance(parameters, str):
        return _last(module, named) if parameters == "last" else _named(module, parameters, named)
    if callable(parameters):
        return [name for name, parameter in named.items() if parameters(name, parameter)]
    if not isinstance(parameters, Iterable) or isinstance(parameters, torch.Tensor):
        raise ParameterError(argument="parameters", expected=EXPECTED, got=shown(parameters))
    return [name for part in parameters for name in _named(module, part, named)]


def _named(module: nn.Module, part: Any, named: dict[str, Any]) -> list[str]:
    """What one entry of a list stands for: one parameter, or all of a submodule; a shared one goes by its first name."""
    first = {id(parameter): name for name, parameter in named.items()}
    if isinstance(part, nn.Parameter):
        if id(part) not in first:
            raise UnknownNameError(argument="parameters", expected="parameters of the module", got="another")
        return [first[id(part)]]
    if not isinstance(part, str):
        raise ParameterError(argument="parameters", expected=EXPECTED, got=shown(part))
    everything = dict(module.named_parameters(remove_duplicate=False))
    if part in everything:
        return [first[id(everything[part])]]
    inside = dict.fromkeys(first[id(everything[name])] for name in everything if name.startswith(f"{part}."))
    if not inside:
        raise UnknownNameError(argument="parameters", expected=f"names among {list(named)[:20]}", got=shown(part))
    return list(inside)


def _last(module: nn.Module, named: dict[str, Any]) -> list[str]:
    """The parameters of the last layer that has some, in the order in which layers were put into the module."""
    layers = [layer for layer in module.modules() if any(True for _ in layer.parameters(recurse=False))]
    own = {id(parameter) for layer in layers[-1:] for parameter in layer.parameters(recurse=False)}
    return [name for name, parameter in named.items() if id(parameter) in own]
