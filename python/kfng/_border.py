"""From what a caller hands in to rows the kernels can trust: one set of rules for kfng and its reference.

A row is (u, y, weight, dt, offset). y NaN means missing: time passes, nothing is learned, and a bad u does not matter
(`blank`: the row is then the column h = 0 and its prediction is NaN); a weight of 0 does the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._settings import Settings
from ._validate import listed, real_array
from .errors import (
    DtypeError,
    KfngError,
    NonFiniteError,
    ParameterError,
    ShapeError,
    UnknownNameError,
    UnsupportedError,
    shown,
)

if TYPE_CHECKING:
    from ._clock import Clock

CHUNK_BYTES = 1 << 20


class NoTime(float):
    """The default of `dt`, where it has to be told from a 1 that was given."""


NO_TIME = NoTime(1.0)


def need_time(settings: Settings, dt: Any) -> None:
    """Where time is in seconds, a row says how many there were."""
    if (dt is None or dt is NO_TIME) and settings.rule.seconds:
        expected = "seconds since the row before, for a half-life with a unit"
        raise ParameterError(argument="dt", expected=expected, got="none")


LIBRARIES = frozenset(
    ("pandas", "polars", "pyarrow", "narwhals", "modin", "cudf", "dask", "duckdb", "ibis", "pyspark", "sqlframe")
)
"""What narwhals makes tables of; of those that compute later it says so."""


def is_table(value: Any) -> bool:
    """A table with named columns, which `_tables` reads; found out without importing anything."""
    cls = type(value)
    if cls is np.ndarray or not hasattr(cls, "columns"):
        return False
    return any(base.__module__.partition(".")[0] in LIBRARIES for base in cls.__mro__)


def is_sparse(value: Any) -> bool:
    """Rows of scipy.sparse, or others with their attributes; found out without importing anything."""
    if isinstance(value, (np.ndarray, Pieces, list, tuple)):
        return False
    return all(hasattr(value, name) for name in ("indptr", "indices", "data", "shape")) or hasattr(value, "tocsr")


class Pieces:
    """Inputs (n, d) that stand where an array does, and become one slice by slice."""

    shape: tuple[int, int]

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> NDArray[Any]:
        raise NotImplementedError


def no_target(target: Any) -> None:
    """Of rows that are no table."""
    if target is not None:
        raise ParameterError(argument="target", expected="None, where rows are no table", got=shown(target))


def matrix_width(argument: str, U: Any) -> int:
    """d of rows (n, d)."""
    if is_sparse(U):
        return int(U.shape[-1])
    shape = real_array(argument, U).shape
    if len(shape) != 2:
        raise ShapeError(argument=argument, expected="(n, d)", got=shape)
    return shape[1]


class Row(NamedTuple):
    """One row, checked: u (d,) in the filter's dtype, or a `_sparse.Part`, y (y_width,), offset (k,)."""

    u: Any
    y: NDArray[np.float64]
    weight: float
    dt: float
    offset: NDArray[np.float64]
    blank: bool


class Block(NamedTuple):
    """m rows: U (m, d) in the filter's dtype, or a `_sparse.Part`, Y (m, y_width), weight (m,), dt (m,), offset (m, k), blank (m,)."""

    U: Any
    Y: NDArray[np.float64]
    weight: NDArray[np.float64]
    dt: NDArray[np.float64]
    offset: NDArray[np.float64]
    blank: NDArray[np.bool_]


class Given(NamedTuple):
    """One row whose model lives elsewhere: output z (k,) and jacobian dz (k, p), of a recurrent model h_theta (k, p).

    A recurrent model's row also has h_s (k, n), the state s' (n,), f_s (n, n) and f_theta (n, p).
    """

    output: NDArray[np.float64]
    jacobian: NDArray[Any]
    y: NDArray[np.float64]
    weight: float
    dt: float
    blank: bool
    h_s: NDArray[Any] | None = None
    state: NDArray[Any] | None = None
    f_s: NDArray[Any] | None = None
    f_theta: NDArray[Any] | None = None


def row(settings: Settings, u: Any, y: Any, weight: Any, dt: Any, offset: Any, sparse: bool = False) -> Row:
    """Check the arguments of `update`; raise the error that names what is wrong. `sparse`: a sparse row stays so."""
    need_time(settings, dt)
    block = Block(
        _one_u(settings, u, sparse),
        _one_y(settings, y)[None, :],
        np.array([scalar("weight", weight)]),
        np.array([scalar("dt", dt)]),
        offsets(settings, offset, None)[None, :],
        np.zeros(1, dtype=bool),
    )
    block, bad = vet(settings, block)
    if bad.any():
        raise fault(settings, block, 0)
    u = block.U[0] if isinstance(block.U, np.ndarray) else block.U
    return Row(u, block.Y[0], float(block.weight[0]), float(block.dt[0]), block.offset[0], bool(block.blank[0]))


def _one_u(settings: Settings, u: Any, sparse: bool) -> Any:
    """U (1, d) of one row, or a `_sparse.Part`."""
    d = inputs(settings)
    if is_sparse(u):
        rows = matrix(settings, "u", u)
        if len(rows) != 1:
            raise ShapeError(argument="u", expected=f"one row (1, {d})", got=(len(rows), d))
        if sparse:
            return rows.part(0, 1, settings.float)  # type: ignore[attr-defined]
        with np.errstate(over="ignore"):
            return np.ascontiguousarray(rows[0:1].astype(settings.float))
    u = real_array("u", in_order(settings, u) if isinstance(u, Mapping) else u, settings.float)
    if u.shape != (d,):
        raise ShapeError(argument="u", expected=(d,), got=u.shape)
    return u[None, :]


def given(
    settings: Settings,
    y: Any,
    output: Any,
    jacobian: Any,
    weight: Any,
    dt: Any,
    state: Any = None,
    transition: Any = None,
) -> Given:
    """Check the arguments of `condition`."""
    need_time(settings, dt)
    k, p = settings.k, settings.p
    output = real_array("output", output)
    if output.shape != (k,) and not (k == 1 and output.shape == ()):
        raise ShapeError(argument="output", expected=(k,), got=output.shape)
    memory = _memory(settings, jacobian, state, transition)
    if memory is not None:
        jacobian = jacobian[1]
    jacobian = real_array("jacobian", jacobian, settings.float)
    if jacobian.shape != (k, p) and not (k == 1 and jacobian.shape == (p,)):
        raise ShapeError(argument="jacobian", expected=(k, p), got=jacobian.shape)
    output, jacobian = output.reshape(k), jacobian.reshape(k, p)
    one = np.ones(1)
    probe = Block(
        np.zeros((1, 0)), _one_y(settings, y)[None, :], one * scalar("weight", weight), one * scalar("dt", dt),
        np.zeros((1, k)), np.zeros(1, dtype=bool),
    )  # fmt: skip
    probe, bad = vet(settings, probe)
    if bad.any():
        raise fault(settings, probe, 0)
    y, w, time = probe.Y[0], float(probe.weight[0]), float(probe.dt[0])
    parts = {"output": [output], "jacobian": [jacobian]}
    if memory is not None:
        parts |= {"jacobian": [jacobian, memory[0]], "state": [memory[1]], "transition": list(memory[2:])}
    wrong = [name for name, arrays in parts.items() if not all(np.isfinite(array).all() for array in arrays)]
    if wrong and not (w == 0 or settings.family.missing(probe.Y)[0]):
        raise NonFiniteError(argument=wrong[0], expected="finite numbers", got="nan or inf")
    if wrong:
        output, jacobian = np.zeros(k), np.zeros_like(jacobian)
        memory = None if memory is None else tuple(np.zeros_like(part) for part in memory)
    row = Given(output, np.ascontiguousarray(jacobian), y, w, time, bool(wrong))
    return row if memory is None else row._replace(h_s=memory[0], state=memory[1], f_s=memory[2], f_theta=memory[3])


def _memory(settings: Settings, jacobian: Any, state: Any, transition: Any) -> tuple[NDArray[Any], ...] | None:
    """h_s, s', f_s and f_theta of a recurrent model that lives elsewhere; None for other models, which have none."""
    for name, value in (("state", state), ("transition", transition)):
        if settings.sensitivity is None and value is not None:
            raise ParameterError(argument=name, expected="None (the model has no state)", got=type(value).__name__)
        if settings.sensitivity is not None and value is None:
            raise ParameterError(argument=name, expected="what the next state is, with its partials", got="None")
    if settings.sensitivity is None:
        return None
    jacobian = _pair("jacobian", jacobian, "(h_s, h_theta)")
    transition = _pair("transition", transition, "(f_s, f_theta)")
    n, k, p = settings.n, settings.k, settings.p
    shapes = (("jacobian", jacobian[0], (k, n)), ("state", state, (n,)), ("transition", transition[0], (n, n)),
              ("transition", transition[1], (n, p)))  # fmt: skip
    parts = []
    for name, value, shape in shapes:
        part = real_array(name, value, settings.float)
        if part.shape != shape and not (name == "jacobian" and k == 1 and part.shape == (n,)):
            raise ShapeError(argument=name, expected=shape, got=part.shape)
        parts.append(np.ascontiguousarray(part.reshape(shape)))
    return tuple(parts)


def _pair(argument: str, value: Any, expected: str) -> list[Any]:
    found = listed(value) if isinstance(value, (tuple, list)) else None
    if found is None or len(found) != 2:
        got = type(value).__name__ if found is None else f"{len(found)} of them"
        raise ShapeError(argument=argument, expected=f"a pair {expected}", got=got)
    return found


class Rows:
    """The arguments of `update_many`, checked as a whole; `block(i, j)` gives checked rows i..j, converted piece by piece."""

    def __init__(
        self,
        settings: Settings,
        U: Any,
        Y: Any,
        weight: Any,
        dt: Any,
        offset: Any,
        names: tuple[str, str] = ("U", "Y"),
    ) -> None:
        self._settings = settings
        self._U = matrix(settings, names[0], U)
        n = len(self._U)
        self._Y = many_y(settings, names[1], Y, n)
        self._weight = per_row("weight", weight, n)
        self._dt = per_row("dt", dt, n)
        self._offset = offsets(settings, 0.0 if offset is None else offset, n)
        self.clock: Clock | None = None
        self.sparse = False
        """Whether blocks of sparse rows stay so."""
        exact = type(U) is np.ndarray and U.dtype == settings.float and U.dtype.isnative
        self._bare = exact and U.flags.c_contiguous and U.flags.aligned
        self._row_bytes = 8 * (self._U.shape[1] + self._Y.shape[1] + settings.k + 2)

    def __len__(self) -> int:
        return len(self._U)

    @property
    def U(self) -> NDArray[Any]:
        """(n, d), as given."""
        return self._U

    @property
    def Y(self) -> NDArray[np.float64]:
        return self._Y

    @property
    def dt(self) -> NDArray[np.float64]:
        """(n,)."""
        return self._dt

    @property
    def offset(self) -> NDArray[np.float64]:
        """(n, k)."""
        return self._offset

    @property
    def weight(self) -> NDArray[np.float64]:
        """(n,)."""
        return self._weight

    def largest_block(self, bare: bool = False) -> int:
        """Rows in about a megabyte; any number of `bare` or sparse ones."""
        return len(self._U) if (bare and self._bare) or self.sparse else self.rows_in(CHUNK_BYTES)

    def rows_in(self, size: int) -> int:
        """Rows in about so many bytes."""
        return max(16, size // self._row_bytes)

    def block(self, start: int, stop: int, bare: bool = False) -> tuple[Block, NDArray[np.bool_]]:
        """Rows start..stop as owned arrays, and which of them are bad.

        `bare`: the caller's own U where it has the right type and layout, and not looked at, for one who copies and checks each row.
        """
        rows = slice(start, stop)
        if bare and self._bare:
            block = self._owned(self._U[rows], rows)
            if _all_fine(block._replace(U=block.Y)):
                return vet(self._settings, block, inputs=False)
        if self.sparse:
            U: Any = self._U.part(start, stop, self._settings.float)  # type: ignore[attr-defined]
        else:
            with np.errstate(over="ignore"):  # too large for float32 becomes inf and is refused as such
                U = self._U[rows].astype(self._settings.float, order="C", subok=False)
        block, bad = vet(self._settings, self._owned(U, rows))
        if self.clock is not None:
            block, bad = block._replace(dt=self.clock.passed(start, bad)), self.clock.bad
        return block, bad

    def fault(self, block: Block, start: int, i: int) -> KfngError:
        """The error of row i of a block that starts at row `start`."""
        late = None if self.clock is None else self.clock.fault(start, i)
        return fault(self._settings, block, i) if late is None else late

    def _owned(self, U: NDArray[Any], rows: slice) -> Block:
        parts = (self._Y, self._weight, self._dt, self._offset)
        Y, weight, dt, offset = (np.array(part[rows], order="C", copy=True) for part in parts)
        return Block(U, Y, weight, dt, offset, np.zeros(len(U), dtype=bool))


def vet(settings: Settings, block: Block, inputs: bool = True) -> tuple[Block, NDArray[np.bool_]]:
    """Blank the rows whose bad u does not matter; say which rows are bad. Without `inputs` all but U has been seen to be fine."""
    if not inputs or _all_fine(
        block
    ):  # as nearly always; row by row costs as much as learning from a row of few features does
        bad = settings.family.invalid(block.Y) | ~settings.rule.accepts(block.dt)
        return block._replace(blank=np.zeros(len(bad), dtype=bool)), bad
    with np.errstate(invalid="ignore"):
        whole = isinstance(block.U, np.ndarray)
        fine = np.isfinite(block.U).all(axis=1) if whole else ~block.U.bad_rows()
        teaches = ~settings.family.missing(block.Y) & (block.weight != 0)
        blank = ~fine & ~teaches
        bad = ~fine & teaches
        bad |= np.isinf(block.Y).any(axis=1) | settings.family.invalid(block.Y)
        bad |= ~np.isfinite(block.offset).all(axis=1)
        for values in (block.weight, block.dt):
            bad |= ~(np.isfinite(values) & (values >= 0))
        bad |= ~settings.rule.accepts(block.dt)
    if blank.any() and not whole:
        block = block._replace(U=block.U.blanked(blank))
    elif blank.any():  # into new memory: a single row may be the caller's own
        block = block._replace(U=np.where(blank[:, None], block.U.dtype.type(0), block.U))
    return block._replace(blank=blank), bad


def _all_fine(block: Block) -> bool:
    """Whether every number is finite and no weight or time negative."""
    U = block.U if isinstance(block.U, np.ndarray) else block.U.data
    numbers = (U, block.Y, block.offset, block.weight, block.dt)
    return all(np.isfinite(x).all() for x in numbers) and bool((block.weight >= 0).all() and (block.dt >= 0).all())


def fault(settings: Settings, block: Block, i: int) -> KfngError:
    """The error of row i of a block, which `vet` found bad."""
    for argument in ("weight", "dt"):
        value = float(getattr(block, argument)[i])
        if not math.isfinite(value):
            return NonFiniteError(argument=argument, expected="a finite number >= 0", got=value)
        if value < 0:
            return ParameterError(argument=argument, expected="a finite number >= 0", got=value)
    if not settings.rule.accepts(block.dt[i : i + 1])[0]:
        return ParameterError(argument="dt", expected=settings.rule.times_text(), got=float(block.dt[i]))
    y = block.Y[i]
    if np.isinf(y).any():
        return NonFiniteError(argument="y", expected="a finite number, or NaN for a missing one", got=_show(y))
    if settings.family.invalid(block.Y[i : i + 1])[0]:
        return ParameterError(argument="y", expected=settings.family.range_text(), got=_show(y))
    if not np.isfinite(block.offset[i]).all():
        return NonFiniteError(argument="offset", expected="finite numbers", got=_show(block.offset[i]))
    if isinstance(block.U, np.ndarray):
        column = int(np.flatnonzero(~np.isfinite(block.U[i]))[0])
        value = block.U[i, column]
    else:
        column, value = block.U.bad_entry(i)
    name = "" if settings.feature_names is None else f" ({settings.feature_names[column]})"
    got = f"{value} in column {column}{name}"
    return NonFiniteError(argument="u", expected="finite numbers", got=got)


def overflow() -> NonFiniteError:
    """Finite input so large that the step is not; the state is as before."""
    return NonFiniteError(argument="u", expected="a row that does not overflow", got="overflow")


def inputs(settings: Settings) -> int:
    d = settings.model.inputs
    if d is None:
        raise UnsupportedError(argument="model", expected="condition(y, output, jacobian)", got=shown(settings.model))
    return d


def in_order(settings: Settings, u: Mapping[Any, Any]) -> list[Any]:
    """The values of a row that comes by name, in the order of `feature_names`; every name once and no other."""
    names = settings.feature_names
    if settings.categories:
        from ._tables import indicators

        u = indicators(settings, u)
    if names is None:
        expected = "an array; a dict needs a filter with feature_names"
        raise DtypeError(argument="u", expected=expected, got=type(u).__name__)
    for name in names:
        if name not in u:
            raise UnknownNameError(argument="u", expected="every name of feature_names", got=f"no {name!r}")
    for name in u:
        if name not in names:
            raise UnknownNameError(argument="u", expected=f"one of {list(names)}", got=shown(name))
    return [u[name] for name in names]


def matrix(settings: Settings, argument: str, U: Any) -> NDArray[Any]:
    """Rows (n, d) of real numbers, of any dtype and layout (not converted yet)."""
    d = inputs(settings)
    if isinstance(U, Pieces):
        return U  # type: ignore[return-value]
    if is_sparse(U):
        from ._sparse import Csr

        return Csr(argument, U, d)  # type: ignore[return-value]
    if isinstance(U, Mapping) or (isinstance(U, (list, tuple)) and isinstance(next(iter(U), None), Mapping)):
        raise DtypeError(argument=argument, expected=f"an array (n, {d}); only `update` takes a dict", got="dicts")
    array = U if isinstance(U, np.ndarray) and U.dtype.kind in "biuf" else real_array(argument, U)
    if array.ndim != 2 or array.shape[1] != d:
        raise ShapeError(argument=argument, expected=f"(n, {d})", got=array.shape)
    return array


def scalar(argument: str, value: Any) -> float:
    if type(value) is float:
        return value
    array = real_array(argument, value)
    if array.ndim:
        raise ShapeError(argument=argument, expected="a number", got=array.shape)
    return float(array)


def offsets(settings: Settings, offset: Any, n: int | None) -> NDArray[np.float64]:
    """Offsets of z: (k,) for one row, (n, k) for n rows; a number counts for all."""
    k, array = settings.k, real_array("offset", offset)
    if n is None:
        shapes, expected = [(), (k,)], f"a number or ({k},)"
        target: tuple[int, ...] = (k,)
    else:
        shapes, expected = (
            [(), (n, k)] + ([(n,)] if k == 1 else [(k,)]),
            f"a number, {(n,) if k == 1 else (k,)} or {(n, k)}",
        )
        target = (n, k)
    if array.shape not in shapes:
        raise ShapeError(argument="offset", expected=expected, got=array.shape)
    return np.broadcast_to(array.reshape(target) if array.size == math.prod(target) and array.ndim else array, target)


def _one_y(settings: Settings, y: Any) -> NDArray[np.float64]:
    width, array = settings.y_width, real_array("y", y)
    if array.shape != (width,) and not (width == 1 and array.shape == ()):
        raise ShapeError(argument="y", expected="a number" if width == 1 else (width,), got=array.shape)
    return array.reshape(width)


def many_y(settings: Settings, argument: str, Y: Any, n: int) -> NDArray[np.float64]:
    width, array = settings.y_width, real_array(argument, Y)
    if array.shape != (n, width) and not (width == 1 and array.shape == (n,)):
        raise ShapeError(argument=argument, expected=(n,) if width == 1 else (n, width), got=array.shape)
    return array.reshape(n, width)


def lengths(value: Any, n: int) -> list[int]:
    """Lengths of sequences that make up n rows."""
    expected = f"integers >= 0 that sum to {n}"
    array = np.asarray(value)
    if array.size == 0 and array.ndim == 1:
        array = array.astype(np.int64)
    if array.dtype.kind not in "iu":
        raise DtypeError(argument="lengths", expected=expected, got=f"dtype {array.dtype}")
    if array.ndim != 1:
        raise ShapeError(argument="lengths", expected="(m,)", got=array.shape)
    sizes: list[int] = array.tolist()
    if min(sizes, default=0) < 0 or sum(sizes) != n:
        smallest = min(sizes, default=0)
        raise ParameterError(argument="lengths", expected=expected, got=smallest if smallest < 0 else sum(sizes))
    return sizes


def per_row(argument: str, value: Any, n: int) -> NDArray[np.float64]:
    array = real_array(argument, 1.0 if value is None else value)
    if array.shape not in ((), (n,)):
        raise ShapeError(argument=argument, expected=f"a number or ({n},)", got=array.shape)
    return np.broadcast_to(array, (n,))


def _show(y: NDArray[Any]) -> Any:
    return float(y[0]) if len(y) == 1 else y.tolist()
