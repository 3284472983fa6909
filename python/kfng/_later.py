"""Names of a package that are imported when they are first asked for (PEP 562)."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any


def later(package: dict[str, Any], where: Mapping[str, str], name: str) -> Any:
    """The attribute `name` of the module that `where` says, or that module itself, which is then an ordinary name of the package."""
    if name not in where:
        raise AttributeError(f"module {package['__name__']!r} has no attribute {name!r}")
    module = importlib.import_module(where[name])
    value = package[name] = module if where[name] == f"{package['__name__']}.{name}" else getattr(module, name)
    return value
