"""Sparse rows, as scipy.sparse has them: found out by their attributes, checked, and dense block by block for whoever needs that.

A filter that takes them as they are (`Filter._takes_sparse_rows`) learns from a row in O(entries that are not 0).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._border import Pieces
from .errors import DtypeError, NonFiniteError, ShapeError

BLOCK_BYTES = 1 << 20


class Part:
    """Some of the rows: `starts` (m + 1,), `indices` and `data` (n,), for the compiled step; stands where U (m, d) does."""

    def __init__(self, starts: NDArray[np.int64], indices: NDArray[np.int64], data: NDArray[Any]) -> None:
        self.starts, self.indices, self.data = starts, indices, data

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, rows: slice) -> Part:
        start, stop, _ = rows.indices(len(self))
        entries = slice(self.starts[start], self.starts[stop])
        return Part(self.starts[start : stop + 1] - self.starts[start], self.indices[entries], self.data[entries])

    @property
    def arrays(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[Any]]:
        return self.starts, self.indices, self.data

    def bad_rows(self) -> NDArray[np.bool_]:
        """Rows with an entry that is not finite."""
        bad = np.zeros(len(self), dtype=bool)
        bad[np.searchsorted(self.starts, np.flatnonzero(~np.isfinite(self.data)), side="right") - 1] = True
        return bad

    def blanked(self, rows: NDArray[np.bool_]) -> Part:
        """With zeros in these rows."""
        hidden = np.repeat(rows, np.diff(self.starts))
        return Part(self.starts, self.indices, np.where(hidden, self.data.dtype.type(0), self.data))

    def bad_entry(self, i: int) -> tuple[int, float]:
        """Column and value of the first entry of row i that is not finite."""
        at = self.starts[i] + int(np.flatnonzero(~np.isfinite(self[i : i + 1].data))[0])
        return int(self.indices[at]), float(self.data[at])


class Csr(Pieces):
    """Checked rows (n, d): ascending columns in every row, each once; a slice is a dense array."""

    def __init__(self, argument: str, value: Any, d: int | None = None) -> None:
        if getattr(value, "format", "csr") != "csr" or not hasattr(value, "indptr"):
            value = value.tocsr()
        shape = tuple(value.shape)
        if len(shape) != 2 or shape[1] != (shape[1] if d is None else d):
            raise ShapeError(argument=argument, expected=f"(n, {'d' if d is None else d})", got=shape)
        self.shape = (int(shape[0]), int(shape[1]))
        self.dtype = np.dtype(np.float64)
        data = np.asarray(value.data)
        if data.dtype.kind not in "biuf":
            raise DtypeError(argument=argument, expected="real numbers", got=f"dtype {data.dtype}")
        starts, indices = np.asarray(value.indptr), np.asarray(value.indices)
        for name, array in (("indptr", starts), ("indices", indices)):
            if array.dtype.kind not in "iu":
                raise DtypeError(argument=argument, expected=f"integers as {name}", got=f"dtype {array.dtype}")
        self._check(argument, starts, indices, data)
        if len(data) > starts[-1]:
            indices, data = indices[: starts[-1]], data[: starts[-1]]
        self._starts, self._indices, self._data = _canonical(starts.astype(np.int64), indices, data)

    def _check(self, argument: str, starts: Any, indices: Any, data: Any) -> None:
        n, d = self.shape
        if any(array.ndim != 1 for array in (starts, indices, data)) or len(starts) != n + 1:
            raise ShapeError(argument=argument, expected=f"indptr ({n + 1},), indices and data", got=starts.shape)
        rising = starts[0] == 0 and bool((starts[1:] >= starts[:-1]).all())
        if not rising or not starts[-1] <= min(len(indices), len(data)):
            raise ShapeError(
                argument=argument, expected="indptr that rises from 0 to the length of data", got="another"
            )
        used = indices[: starts[-1]]
        if len(used) and not (used.min() >= 0 and used.max() < d):
            wrong = used[(used < 0) | (used >= d)][0]
            raise ShapeError(argument=argument, expected=f"columns 0 to {d - 1}", got=f"column {wrong}")

    def __getitem__(self, rows: slice) -> NDArray[Any]:
        start, stop, _ = rows.indices(len(self))
        part = self.part(start, stop, self._data.dtype)
        dense = np.zeros((len(part), self.shape[1]), dtype=part.data.dtype)
        dense[np.repeat(np.arange(len(part)), np.diff(part.starts)), part.indices] = part.data
        return dense

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """All rows dense, for whoever has no way in blocks."""
        return self[:] if dtype is None else self[:].astype(dtype)

    def part(self, start: int, stop: int, dtype: Any) -> Part:
        """Rows start..stop, copied, with entries of this dtype."""
        entries = slice(self._starts[start], self._starts[stop])
        with np.errstate(over="ignore"):  # too large for float32 becomes inf and is refused as such
            data = self._data[entries].astype(dtype)
        starts = self._starts[start : stop + 1] - self._starts[start]
        return Part(starts, self._indices[entries].astype(np.int64), data)


def _canonical(starts: Any, indices: Any, data: Any) -> tuple[Any, Any, Any]:
    """Ascending columns in every row, the entries of one place added, as scipy does."""
    descends = indices[1:] <= indices[:-1]
    within = np.ones(len(descends), dtype=bool)
    ends = starts[1:-1]
    within[ends[(ends > 0) & (ends < len(indices))] - 1] = False  # from one row to the next it may
    if not (descends & within).any():
        return starts, indices, data
    rows = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    order = np.lexsort((indices, rows))
    rows, indices, data = rows[order], indices[order], data[order]
    first = np.ones(len(rows), dtype=bool)
    first[1:] = (rows[1:] != rows[:-1]) | (indices[1:] != indices[:-1])
    summed = np.add.reduceat(data.astype(np.float64) if data.dtype.kind == "b" else data, np.flatnonzero(first))
    counts = np.bincount(rows[first], minlength=len(starts) - 1)
    return np.concatenate([[0], np.cumsum(counts)]), indices[first], summed


def scale(rows: Csr, good: NDArray[np.bool_], weight: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """The mean square of the entries of each column (d,) that are not 0, in the rows that are good; of a column without, the median.

    What a feature's values are where it is there: how often that is plays no part.
    """
    part, d = rows.part(0, len(rows), np.float64), rows.shape[1]
    w = good.astype(np.float64)
    w[good] = 1.0 if weight is None else weight
    w = np.where(part.data != 0, np.repeat(w, np.diff(part.starts)), 0.0)
    squares = np.where(w > 0, part.data, 0.0) ** 2
    count = np.bincount(part.indices, w, d)
    mean = np.bincount(part.indices, w * squares, d)
    mean = np.divide(mean, count, out=mean, where=count > 0)
    there = mean > 0
    return np.where(there, mean, np.median(mean[there]) if there.any() else 1.0)


def outputs(flt: Any, rows: Csr, offsets: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """z (n, k) and C (n, k, k) of rows to predict."""
    dtype, k, n = flt.settings.float, flt.settings.k, len(rows)
    if flt._takes_sparse_rows:
        part = rows.part(0, n, dtype)
        bad = np.flatnonzero(part.bad_rows())
        if len(bad):
            raise not_finite("U", int(bad[0]))
        z, C = flt._predict_sparse(*part.arrays, offsets)
        return z, C
    z, C = np.zeros((n, k)), np.zeros((n, k, k))
    size = max(1, BLOCK_BYTES // (8 * max(1, rows.shape[1])))
    for start in range(0, n, size):
        block = slice(start, min(start + size, n))
        with np.errstate(over="ignore"):
            U = np.ascontiguousarray(rows[block].astype(dtype))
        bad = np.flatnonzero(~np.isfinite(U).all(axis=1))
        if len(bad):
            raise not_finite("U", start + int(bad[0]))
        z[block], C[block] = flt._predict(U, offsets[block])
    return z, C


def not_finite(argument: str, row: int) -> NonFiniteError:
    """A row that cannot be predicted."""
    error = NonFiniteError(argument=argument, expected="finite numbers", got="nan or inf")
    error.row = row
    return error
