"""Names of a package that are imported when they are first asked for (PEP 562)."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from typing import Any


def later(package: dict[str, Any], where: Mapping[str, str], name: str) -> Any:
    """The attribute `name` of the module that `where` says, or that module itself, which is then an ordinary name of the package."""
    if name not in where:
        raise AttributeError(f"module {package['__name__']!r} has no attribute {name!r}")
    module = importlib.import_module(where[name])
    value = package[name] = module if where[name] == f"{package['__name__']}.{name}" else getattr(module, name)
    return value


class Kinds(Mapping[str, type[Any]]):
    """The entries of an axis by name, each read from its module when it is first asked for.

    Parameters
    ----------
    package : str
        The axis's package.
    modules : dict
        Name of the class -> its module in the package.
    """

    def __init__(self, package: str, modules: Mapping[str, str]) -> None:
        self.where = {name: f"{package}.{module}" for name, module in modules.items()}

    def __getitem__(self, name: str) -> type[Any]:
        return getattr(importlib.import_module(self.where[name]), name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.where)

    def __len__(self) -> int:
        return len(self.where)
