"""Banks, the dict of filters that each of them has to be, and what equal means."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from kfng import errors

Bits = dict[Any, dict[str, tuple[str, tuple[int, ...], bytes]]]
TRACE = ("z", "C", "a", "b", "flags", "Y")


def bits_of(flt: Any) -> dict[str, tuple[str, tuple[int, ...], bytes]]:
    """The whole state of a filter."""
    return {name: (array.dtype.str, array.shape, array.tobytes()) for name, array in flt._state().items()}


def bits(bank: Any) -> Bits:
    """The whole state of a bank by key, in the order of its keys."""
    return {key: bits_of(bank[key]) for key in bank}


def like(impl: Any, flt: Any, **more: Any) -> Any:
    """A bank of the settings of a filter."""
    s = flt.settings
    options = {
        name: getattr(s, name) for name in ("rule", "guards", "iterations", "robust", "dtype", "feature_names", "seed")
    }
    if not s.rule.gradient:
        options["belief"] = s.belief
    if s.theta_given:
        options["theta"] = s.theta
    return impl.Bank(s.model, s.family, **(options | more))


class Filters:
    """What a bank is: a filter for each key, fed that key's rows one by one."""

    def __init__(self, make: Any) -> None:
        self.make, self.filters = make, {}

    def update(self, keys: Any, X: Any, y: Any, **columns: Any) -> list[Any]:
        """The trace of each row."""
        traces = []
        for i, key in enumerate(keys):
            flt = self.filters.setdefault(key, None) or self.filters.__setitem__(key, self.make()) or self.filters[key]
            row = {name: column[i : i + 1] for name, column in columns.items()}
            traces.append(flt.update_many(X[i : i + 1], y[i : i + 1], **row))
        return traces

    def bits(self) -> Bits:
        return {key: bits_of(flt) for key, flt in self.filters.items()}


def same_rows(trace: Any, rows: list[Any]) -> bool:
    """Whether a trace is these traces of one row each, bit for bit."""
    together = {name: np.concatenate([getattr(row, name) for row in rows]) for name in TRACE}
    return all(getattr(trace, name).tobytes() == together[name].tobytes() for name in TRACE)


def make(impl: Any, d: int = 3, **more: Any) -> Any:
    return impl.Bank(impl.Linear(d), impl.Gaussian(variance=None), **more)


def stream(n: int, d: int = 3, keys: int = 5, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """keys (n,), X (n, d), y (n,)."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, keys, n), rng.normal(size=(n, d)), rng.normal(size=n)


def fed(impl: Any, n: int = 60, **more: Any) -> Any:
    bank = make(impl, **more)
    bank.update(*stream(n))
    return bank


@contextlib.contextmanager
def refused(kind: type[errors.KfngError], argument: str, bank: Any = None, row: int | None = None) -> Iterator[Any]:
    """Exactly this error; the bank stays as it was, bit for bit."""
    before = None if bank is None else (bits(bank), bank.keys())
    with pytest.raises(kind) as caught:
        yield caught
    error = caught.value
    assert type(error) is kind
    assert (error.argument, error.row) == (argument, row)
    assert error.expected is not None
    assert error.got is not None
    if bank is not None:
        assert (bits(bank), bank.keys()) == before, "a refused call changed the bank"
