"""Feature hashing: rows of names become sparse rows of a fixed number of columns, with no list of names kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _validate
from .errors import DtypeError, ParameterError, shown

Pairs = list[tuple[bytes, float]]
Arrays = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]
"""starts (m + 1,), indices and values (n,)."""


class HashedRows:
    """Rows (n, d) in the layout of scipy's CSR: `indptr` (n + 1,), `indices` and `data`, ascending columns in every row.

    `scipy.sparse.csr_matrix((rows.data, rows.indices, rows.indptr), rows.shape)` makes one of them.

    Parameters
    ----------
    starts : (n + 1,)
        Where each row begins, and the end.
    indices : (m,)
        The column of each entry.
    data : (m,)
        Its value.
    d : int
        Columns.
    """

    format = "csr"

    def __init__(
        self, starts: NDArray[np.int64], indices: NDArray[np.int64], data: NDArray[np.float64], d: int
    ) -> None:
        self.indptr, self.indices, self.data = starts, indices, data
        self.shape = (len(starts) - 1, d)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> HashedRows:
        start, stop, step = rows.indices(len(self))
        if step != 1:
            raise ParameterError(argument="rows", expected="a slice of consecutive rows", got=shown(rows))
        starts = self.indptr[start : max(start, stop) + 1]
        entries = slice(starts[0], starts[-1])
        return HashedRows(starts - starts[0], self.indices[entries], self.data[entries], self.shape[1])

    def toarray(self) -> NDArray[np.float64]:
        """Dense, (n, d)."""
        dense = np.zeros(self.shape)
        dense[np.repeat(np.arange(len(self)), np.diff(self.indptr)), self.indices] = self.data
        return dense

    def __repr__(self) -> str:
        return f"<HashedRows {self.shape}, {len(self.data)} entries>"


class FeatureHasherBase:
    """Puts features by name into `n_features` columns by a hash, so that names need no list and new ones may come at any time.

    Columns and signs are those of scikit-learn's `FeatureHasher`: the column is the magnitude of MurmurHash3_x86_32 of the name
    in UTF-8, seed 0, modulo `n_features`, its sign that of the value. Different names may share a column: their values are then
    added, with random signs (Weinberger et al. 2009, Feature hashing for large scale multitask learning).

    Parameters
    ----------
    n_features : int in [1, 2**31 - 1], default 2**20
        Columns.
    alternate_sign : bool, default True
        Half of the names have their values negated, so that what shares a column cancels in the mean.

    Raises
    ------
    ParameterError

    Examples
    --------
    >>> import kfng
    >>> hasher = kfng.FeatureHasher(10)
    >>> hasher.transform([{"dog": 1, "cat": 2, "elephant": 4}, {"dog": 2, "run": 5}]).toarray()
    array([[ 0.,  0., -4., -1.,  0.,  0.,  0.,  0.,  0.,  2.],
           [ 0.,  0.,  0., -2., -5.,  0.,  0.,  0.,  0.,  0.]])

    """

    def __init__(self, n_features: int = 2**20, *, alternate_sign: bool = True) -> None:
        self._n_features = _validate.integer("n_features", n_features, low=1)
        self._alternate_sign = _validate.flag("alternate_sign", alternate_sign)

    @property
    def n_features(self) -> int:
        return self._n_features

    @property
    def alternate_sign(self) -> bool:
        return self._alternate_sign

    def _hashed(self, rows: list[Any]) -> Arrays:
        """Supplied by kfng.FeatureHasher and kfng.reference.FeatureHasher."""
        raise NotImplementedError

    def transform(self, rows: Any) -> HashedRows:
        """Sparse rows (n, n_features), for `update_many`, `predict` and `from_rows`; one row, for `update`, too.

        Parameters
        ----------
        rows : iterable
            Of each row a dict of names and values, or an iterable of names, which count 1, and of pairs (name, value). Names
            are text or bytes. A value is a number (0: as if it were not there), or a text: `{"city": "Rome"}` is the name
            "city=Rome" with the value 1.

        Returns
        -------
        HashedRows
            An object in the layout of scipy's CSR.

        Raises
        ------
        DtypeError
            Naming the row and the feature.
        """
        if isinstance(rows, (str, bytes, Mapping)):
            raise DtypeError(argument="rows", expected="an iterable of rows", got=f"one {type(rows).__name__}")
        return HashedRows(*self._hashed(rows if type(rows) is list else list(rows)), self._n_features)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FeatureHasherBase) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[int, bool]:
        return self._n_features, self._alternate_sign

    def __repr__(self) -> str:
        return f"FeatureHasher({self._n_features}{'' if self._alternate_sign else ', alternate_sign=False'})"


def plain(rows: list[Any]) -> list[Pairs]:
    """All rows as pairs of bytes and floats; what is neither is named."""
    return [list(_pairs(f"rows[{i}]", row)) for i, row in enumerate(rows)]


def _pairs(argument: str, row: Any) -> Iterator[tuple[bytes, float]]:
    for name, value in _items(argument, row):
        if isinstance(value, str):  # the two joined as text, whatever the name is: so does scikit-learn
            yield _bytes(argument, f"{name}={value}"), 1.0
        else:
            yield _bytes(argument, name), _number(f"{argument}[{name!r}]", value)


def _items(argument: str, row: Any) -> Iterable[tuple[Any, Any]]:
    if isinstance(row, Mapping):
        return row.items()
    if isinstance(row, (str, bytes)) or not isinstance(row, Iterable):
        expected = "a dict, or an iterable of names or of pairs (name, value)"
        raise DtypeError(argument=argument, expected=expected, got=shown(row))
    return [_pair(argument, item) for item in row]


def _pair(argument: str, item: Any) -> tuple[Any, Any]:
    if isinstance(item, (str, bytes)):
        return item, 1.0
    if isinstance(item, (tuple, list)) and len(item) == 2:
        return item[0], item[1]
    raise DtypeError(argument=argument, expected="names, or pairs (name, value)", got=shown(item))


def _bytes(argument: str, name: Any) -> bytes:
    if isinstance(name, bytes):
        return bytes(name)
    if isinstance(name, str):
        try:
            return name.encode()
        except UnicodeEncodeError:
            pass
    raise DtypeError(argument=argument, expected="names that are bytes or Unicode text", got=shown(name))


def _number(argument: str, value: Any) -> float:
    try:
        if isinstance(value, (bytes, complex, np.complexfloating)):
            raise TypeError
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise DtypeError(argument=argument, expected="a number or a text", got=shown(value)) from None
