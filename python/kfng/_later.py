"""Names of a package that are imported when they are first asked for (PEP 562)."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any


def later(package: dict[str, Any], where: Mapping[str, str], name: str) -> Any:
    """The attribute `name` of the module that `where` says, which is then an ordinary name of the package."""
    if name not in where:
        raise AttributeError(f"module {package['__name__']!r} has no attribute {name!r}")
    value = package[name] = getattr(importlib.import_module(where[name]), name)
    return value
