"""Locks of Python after a fork: a child has none of its parent's other threads, but has the locks that they held."""

from __future__ import annotations

import os
import threading
import weakref
from typing import Any

from .errors import UnsupportedError

_owners: weakref.WeakSet[Any] = weakref.WeakSet()


def lock(owner: Any) -> threading.RLock:
    """A lock for `owner._lock`: in a child that was forked while another thread held it, whoever asks for it is told."""
    _owners.add(owner)
    return threading.RLock()


class Orphaned:
    """In the place of a lock that nobody will give back."""

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        expected = "an object that no other thread was using when this process was forked"
        raise UnsupportedError(argument="self", expected=expected, got="one in use")

    def release(self) -> None:
        """Nothing was taken."""

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *error: object) -> None:
        """Nothing was taken."""


def _in_child() -> None:
    for owner in list(_owners):
        if owner._lock.acquire(blocking=False):
            owner._lock.release()
        else:
            object.__setattr__(owner, "_lock", Orphaned())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
