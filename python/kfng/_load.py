"""Reading what a `save` wrote: the header says what the object is."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from numpy.typing import NDArray

from .errors import BadHeaderError

KINDS = ("Bank", "Filter", "JointEkf", "Mixture", "StateFilter")
"""Classes of either implementation with `_from_file(header, arrays)`."""


def load(implementation: str, path: Any) -> Any:
    """The object in a file, of the classes of `implementation`: 'kfng' or 'kfng.reference'."""
    from . import checkpoint

    with checkpoint.stored(path) as found:
        kind = found.header.get("object")
        if kind == "BankChanges":
            from ._bank_changes import load as load_changes

            return load_changes(import_module(implementation).Bank, path, found)
        if kind not in KINDS:
            raise BadHeaderError(argument="object", expected=f"one of {sorted(KINDS)}", got=repr(kind)[:80])
        # A bank reads its keys' states from the file piece by piece.
        arrays = found if kind == "Bank" else dict(found)
        return getattr(import_module(implementation), kind)._from_file(found.header, arrays)


def require_kind(header: dict[str, Any], kind: str) -> None:
    """BadHeaderError where a file holds something else."""
    if header.get("object") != kind:
        raise BadHeaderError(argument="object", expected=kind, got=repr(header.get("object"))[:80])


def under(arrays: Mapping[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[Any]]:
    """The arrays whose names start so, by the rest of their names."""
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
