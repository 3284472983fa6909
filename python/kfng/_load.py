"""Reading what a `save` wrote: the header says what the object is."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from .errors import BadHeaderError

KINDS = ("Bank", "Filter", "JointEkf", "StateFilter")
"""Classes of either implementation with `_from_file(header, arrays)`."""


def load(implementation: str, path: Any) -> Any:
    """The object in a file, of the classes of `implementation`: 'kfng' or 'kfng.reference'."""
    from . import checkpoint

    header, arrays = checkpoint.decode(checkpoint.read(path))
    kind = header.get("object")
    if kind not in KINDS:
        raise BadHeaderError(argument="object", expected=f"one of {sorted(KINDS)}", got=repr(kind)[:80])
    return getattr(import_module(implementation), kind)._from_file(header, arrays)


def require_kind(header: dict[str, Any], kind: str) -> None:
    """BadHeaderError where a file holds something else."""
    if header.get("object") != kind:
        raise BadHeaderError(argument="object", expected=kind, got=repr(header.get("object"))[:80])
