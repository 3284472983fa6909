"""What `kfng.jax` and `kfng.torch` share: a model of another framework, learned by a filter in blocks of rows.

A framework gives z and dz of several rows at one theta. Within a block all rows are linearised at the theta theta_b of its
start: row i is learned from with z_i + dz_i (theta - theta_b), that is, exactly as rows of the linear model with these
Jacobians. With block=1 each row is linearised where theta stands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import _border, _progress, _validate
from ._filter import Filter
from ._trace import Seen, Trace, TraceBuilder, quantiles
from .errors import KfngError, NonFiniteError, ShapeError, UnsupportedError, shown
from .reference.family import Family
from .reference.model import External

Float = NDArray[np.float64]
Linearised = tuple[Float, NDArray[Any]]
PREDICTED_BYTES, PREDICTED_ROWS = 1 << 25, 4096


def filter_of(p: int, theta: Float, family: Any, outputs: int | None, options: dict[str, Any]) -> Filter:
    """A filter of an external model with the family's own number of outputs, or `outputs`, or 1."""
    if outputs is None and isinstance(family, Family):
        outputs = family.outputs_needed()
    outputs = 1 if outputs is None else _validate.integer("outputs", outputs, low=1)
    given = {name: value for name, value in options.items() if value is not None}
    return Filter(External(p, outputs), family, theta=theta, **given)


def output_shape(shape: tuple[int, ...], k: int) -> tuple[int, ...]:
    """(k,), which is what one row's output has to be; a number will do for k = 1."""
    if shape != (k,) and not (k == 1 and shape == ()):
        hint = "" if k > 1 else " (outputs=k says that there are k)"
        raise ShapeError(argument="output", expected=f"({k},) for one row{hint}", got=shape)
    return (k,)


class Learner:
    """Learns the parameters of a model of another framework, row by row or in blocks; see `filter_for`.

    Attributes
    ----------
    filter : kfng.Filter
        What does the learning, of the model `External`: its `theta`, `cov()`, `health()`, `noise_variance` and so on.
    block : int
        So many rows are linearised together.
    """

    if TYPE_CHECKING:  # supplied by a framework

        def _rows(self, U: Any) -> Any: ...
        def _one(self, u: Any) -> Any: ...
        def _count(self, rows: Any) -> int: ...
        def _part(self, rows: Any, start: int, stop: int) -> Any: ...
        def _finite(self, rows: Any) -> bool: ...
        def _linearise(self, theta: NDArray[Any], rows: Any) -> Linearised: ...
        def _evaluate(self, theta: NDArray[Any], rows: Any) -> Float: ...

    def __init__(self, flt: Filter, block: int) -> None:
        self.filter, self.block = flt, _validate.integer("block", block, low=1)

    # -- learning
    def update(self, u: Any, y: Any, *, weight: Any = 1.0, dt: Any = _border.NO_TIME, offset: Any = 0.0) -> Any:
        """One row, linearised where theta stands: let time pass, predict, then learn from y.

        Parameters
        ----------
        u
            The inputs of one row, without a row axis.
        y : number or (k,)
            NaN is missing: time passes, nothing is learned.
        weight, dt, offset
            As for `kfng.Filter.update`.

        Returns
        -------
        Step
            `prediction`, `std`, `nll` of the row before y was used.

        Raises
        ------
        ShapeError, DtypeError, ParameterError, NonFiniteError
            The filter and the model are then as they were before.
        """
        settings = self.filter.settings
        _border.need_time(settings, dt)
        y, weight, dt, offset = (self._numbers(part) for part in (y, weight, dt, offset))
        shift = _border.offsets(settings, offset, None)
        rows = self._one(u)
        Z, dZ = self._linearise(self.filter.theta, rows)
        step = self._condition(rows, 0, y, Z[0] + shift, dZ[0], weight, dt)
        self._learned()
        return step

    def update_many(
        self,
        U: Any,
        Y: Any,
        *,
        weight: Any = None,
        dt: Any = None,
        offset: Any = None,
        block: int | None = None,
        progress: _progress.Given = None,
        on_bad_row: str = "raise",
        trace: bool = True,
    ) -> Trace | None:
        """One pass over rows in order: each is predicted, then learned from.

        Parameters
        ----------
        U
            Inputs with a leading row axis.
        Y : (n,) or (n, k)
            NaN is missing: time passes, nothing is learned.
        weight, dt, offset, progress, on_bad_row, trace
            As for `kfng.Filter.update_many`.
        block : int, optional
            So many rows are linearised at one theta, in place of the learner's own `block`.

        Returns
        -------
        Trace or None

        Raises
        ------
        ShapeError, DtypeError
            Before any row is used.
        NonFiniteError, ParameterError
            At a bad row; `error.row` is its index, `error.trace` the rows applied before it, which stay applied.
        """
        try:
            return self._pass(
                U,
                Y,
                weight=weight,
                dt=dt,
                offset=offset,
                block=block,
                progress=progress,
                on_bad_row=on_bad_row,
                trace=trace,
            )
        finally:
            self._learned()

    def _pass(
        self,
        U: Any,
        Y: Any,
        *,
        weight: Any = None,
        dt: Any = None,
        offset: Any = None,
        block: int | None = None,
        progress: _progress.Given = None,
        on_bad_row: str = "raise",
        trace: bool = True,
    ) -> Trace | None:
        """`update_many`, of the filter alone."""
        _validate.choice("on_bad_row", on_bad_row, ("raise", "skip"))
        _validate.flag("trace", trace)
        size = self.block if block is None else _validate.integer("block", block, low=1)
        settings = self.filter.settings
        _border.need_time(settings, dt)
        rows = self._rows(U)
        n = self._count(rows)
        given = _Given(settings, n, *(self._numbers(part) for part in (Y, weight, dt, offset)))
        builder = TraceBuilder(settings, self.filter._likelihood, given.rows.Y) if trace else None
        with _progress.Progress(progress, n) as report:
            for start in range(0, n, size):
                stop = min(start + size, n)
                try:
                    self._block(self._part(rows, start, stop), given, start, builder, on_bad_row == "skip")
                except KfngError as error:
                    if error.row is not None and builder:
                        error.trace = builder.trace(error.row)
                    raise
                report(stop)
        return builder.trace(n) if builder else None

    def _block(self, rows: Any, given: _Given, start: int, builder: TraceBuilder | None, skip: bool) -> None:
        """Rows linearised at one theta, learned from one by one."""
        theta_b = self.filter.theta
        Z, dZ = self._linearise(theta_b, rows)
        for i, (z, dz) in enumerate(zip(Z, dZ, strict=True)):
            row = start + i
            error = given.fault(row)
            if error is None:
                z = z + given.rows.offset[row]
                if i:
                    with np.errstate(all="ignore"):  # of a missing row it may be anything
                        z = z + dz @ (self.filter.theta - theta_b)
                y, w, dt = given.rows.Y[row], float(given.rows.weight[row]), float(given.rows.dt[row])
                try:
                    step = self._condition(rows, i, y, z, dz, w, dt)
                except KfngError as refused:
                    error = refused
            if error is None:
                if builder:
                    builder.put(row, *(np.asarray(part)[None] for part in step._seen))
            elif skip and (given.bad[row] or isinstance(error, NonFiniteError)):
                self.filter._refuse(1)
            else:
                error.row = row
                raise error

    def _condition(self, rows: Any, i: int, y: Any, z: Float, dz: NDArray[Any], weight: Any, dt: Any) -> Any:
        """Row i of `rows`, whose z and dz are given."""
        time = {} if dt is _border.NO_TIME else {"dt": dt}
        try:
            return self.filter.condition(y, z, dz, weight=weight, **time)
        except NonFiniteError as error:
            if error.argument in ("output", "jacobian") and not self._finite(self._part(rows, i, i + 1)):
                raise NonFiniteError(argument="u", expected="finite numbers", got="nan or inf") from None
            raise

    def _learned(self) -> None:
        """The filter has moved on, or may have."""

    def _numbers(self, value: Any) -> Any:
        """Something that NumPy reads."""
        return value

    # -- prediction
    def predict(
        self,
        U: Any,
        *,
        return_std: bool = False,
        return_cov: bool = False,
        include_noise: bool = True,
        offset: Any = 0.0,
    ) -> Any:
        """Mean of y for rows U at the present time; nothing changes.

        Parameters
        ----------
        U : (n, d)
        return_std : bool, default False
            Give the standard deviations as well.
        return_cov : bool, default False
            Give the covariances instead.
        include_noise : bool, default True
            With the noise of y, or of its mean alone.
        offset : number, (n,) or (n, k), default 0
            Added to z.

        Returns
        -------
        mean : (n,) or (n, k)
        std : the same shape, with `return_std`
        cov : (n, m, m) over the m entries of one y, with `return_cov`
            Both include the noise of y unless `include_noise=False`; theta is integrated out to first order.

        Raises
        ------
        ShapeError, DtypeError, NonFiniteError, ParameterError (both flags)
        """

        def outputs(spread: bool) -> tuple[Float, Float, Float, Float]:
            seen = self._outputs(U, offset, spread)
            return seen.z, seen.C, seen.a, seen.b

        return self.filter._predicted(outputs, return_std, return_cov, include_noise)

    def predict_quantiles(self, U: Any, q: Any, *, offset: Any = 0.0) -> Float:
        """Quantiles of y for rows U, theta integrated out: (n, len(q)), or (n, k, len(q)) for k > 1 outputs.

        Parameters
        ----------
        U : (n, d)
        q : (m,) in [0, 1]
            The levels.
        offset : number, (n,) or (n, k), default 0
            Added to z.

        Raises
        ------
        ShapeError, DtypeError, NonFiniteError, ParameterError (q outside [0, 1]), UnsupportedError (the family has none)
        """
        seen = self._outputs(U, offset, True)
        return quantiles(self.filter.settings, self.filter._likelihood, seen, q, "predict_quantiles")

    def _outputs(self, U: Any, offset: Any, spread: bool) -> Seen:
        """z, C (0 unless `spread`) and the reported noise of rows U, in pieces whose Jacobians take at most some 32 MB."""
        settings, theta = self.filter.settings, self.filter.theta
        rows = self._rows(U)
        n, k = self._count(rows), settings.k
        shift = _border.offsets(settings, self._numbers(offset), n)
        z, C = np.zeros((n, k)), np.zeros((n, k, k))
        size = min(PREDICTED_ROWS, max(1, PREDICTED_BYTES // (8 * k * settings.p))) if spread else PREDICTED_ROWS
        for start in range(0, n, size):
            part = slice(start, min(start + size, n))
            some = self._part(rows, start, part.stop)
            if spread:
                z[part], dZ = self._linearise(theta, some)
                C[part] = self.filter._spread(np.ascontiguousarray(dZ, dtype=np.float64))
            else:
                z[part] = self._evaluate(theta, some)
        z += shift
        for i in np.flatnonzero(~(np.isfinite(z).all(axis=1) & np.isfinite(C).all(axis=(1, 2)))).tolist():
            name = "output" if self._finite(self._part(rows, i, i + 1)) else "U"
            error = NonFiniteError(argument=name, expected="finite numbers", got="nan or inf")
            error.row = i
            raise error
        limit = settings.z_clamp
        a, b = self.filter._noise()
        noise = (np.broadcast_to(part, (n, len(part))) for part in (a, b))
        nothing = np.full((n, settings.y_width), np.nan)
        return Seen(z if limit is None else settings.family.clamp(z, limit), C, nothing, *noise)

    # -- reading and files
    @property
    def n_updates(self) -> int:
        """Rows that taught something."""
        return self.filter.n_updates

    def save(self, path: Any) -> None:
        """Write the filter to a file, as `kfng.Filter.save`; `kfng.load` reads it. The model itself is not in it.

        Parameters
        ----------
        path : str or os.PathLike
        """
        self.filter.save(path)

    def load(self, path: Any) -> None:
        """Go on from the filter in a file.

        Parameters
        ----------
        path : str or os.PathLike

        Raises
        ------
        CheckpointError
            The file is damaged or no file of kfng.
        ShapeError, UnsupportedError
            It holds something else than a filter of so many parameters and outputs; nothing has changed then.
        """
        from ._load import load

        self._adopt(load("kfng", path))

    def _adopt(self, flt: Any) -> None:
        own = self.filter.settings.model
        if not isinstance(flt, Filter):
            raise UnsupportedError(argument="path", expected="a filter", got=type(flt).__name__)
        if flt.settings.model != own:
            raise ShapeError(argument="path", expected=repr(own), got=shown(flt.settings.model))
        self.filter = flt
        self._learned()

    def __repr__(self) -> str:
        settings = self.filter.settings
        name = type(self).__name__
        return (
            f"<{name} of {settings.p} parameters, {settings.family!r}, block={self.block}, n_updates={self.n_updates}>"
        )


class _Given:
    """What comes with rows besides their inputs, checked."""

    def __init__(self, settings: Any, n: int, Y: Any, weight: Any, dt: Any, offset: Any) -> None:
        self._settings = settings
        parts = (
            _border.many_y(settings, "Y", Y, n),
            _border.per_row("weight", weight, n),
            _border.per_row("dt", dt, n),
            _border.offsets(settings, 0.0 if offset is None else offset, n),
        )
        Y, weight, dt, offset = (np.array(part, order="C") for part in parts)
        none = _border.Block(np.zeros((n, 0)), Y, weight, dt, offset, np.zeros(n, dtype=bool))
        self.rows, self.bad = _border.vet(settings, none)

    def fault(self, row: int) -> KfngError | None:
        return _border.fault(self._settings, self.rows, row) if self.bad[row] else None
