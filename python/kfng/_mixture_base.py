"""A mixture of filters, written once for kfng and for its reference."""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterable, Mapping
from time import perf_counter
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from . import _border, _forks, _progress, _validate
from ._clock import Moment
from ._copied import Pickled
from ._evidence import Evidence
from ._filter_base import FilterBase
from ._mixture_rows import Rows, Run, TraceBuilders
from ._mixture_settings import default_names, parsed, prior_weights, require_fit
from ._mixture_trace import MixtureStep, MixtureTrace, mixed_mean, mixed_std
from ._mixture_undo import Replay, Undo
from ._trace import Seen
from .errors import KfngError, NonFiniteError, ParameterError, UnsupportedError

Float = NDArray[np.float64]


class MixtureBase(Pickled):
    """Several filters of the same y, weighted by how well each has predicted it: model choice without a second pass.

    Every filter learns from every row. Its weight is its prior weight times the densities that it gave, before using them, to
    the y that came: Bayesian model averaging. With `forgetting` old rows count less, so that the mixture can change its mind
    (dynamic model averaging, Raftery, Kárný and Ettler 2010, Technometrics 52).

    Parameters
    ----------
    filters : list of filters, or dict of them by name
        They are copied. Models, families, rules, beliefs, priors may differ; the numbers in a row u and in a y may not, and
        families of counts or classes do not mix with those of real numbers, whose densities are of another kind. What
        `Filter.spec()` says of a filter may stand for it, if that has no arrays.
    prior : (m,) of numbers > 0, optional
        Weights before the first row, by default all equal.
    forgetting : number in [0, 1), default 0
        Share of the evidence of all rows so far that a unit of time takes away: rows longer ago than 1/forgetting hardly count.

    Raises
    ------
    ParameterError, ShapeError, DtypeError, NonFiniteError, UnsupportedError
    """

    _kind = "Mixture"
    _filter_type: ClassVar[type[FilterBase]]

    _filters: tuple[FilterBase, ...]
    _evidence: Evidence
    _given_names: tuple[str, ...] | None
    _undo: Undo
    _lock: threading.RLock
    _when: Moment | None
    """When the last row was, of those that came with a time."""

    def __new__(cls, filters: Any, *, prior: Any = None, forgetting: float = 0.0) -> Self:
        found, names = parsed(cls._filter_type, filters)
        weights = prior_weights(prior, len(found))
        a = _validate.number("forgetting", forgetting, "a number in [0, 1)", 0.0, 1.0, ends="[)")
        require_fit([flt.settings for flt in found])
        return cls._made([flt.copy() for flt in found], names, Evidence.start(weights, a))

    def __init__(self, *args: Any, **options: Any) -> None:
        """Everything is set up in `__new__`, so that subclasses may have an `__init__` of their own."""

    @classmethod
    def _made(
        cls, filters: Iterable[Any], names: tuple[str, ...] | None, evidence: Evidence, when: Moment | None = None
    ) -> Self:
        self = object.__new__(cls)
        self._filters, self._evidence, self._when = tuple(filters), evidence, when
        self._given_names = names
        self._undo, self._lock = Undo(self._filters), _forks.lock(self)
        return self

    # -- learning
    def update(
        self,
        u: Any,
        y: Any,
        *,
        weight: Any = 1.0,
        dt: Any = _border.NO_TIME,
        offset: Any = 0.0,
        time: Any = None,
    ) -> MixtureStep:
        """One row: every filter predicts it, then learns from it, and the weights move.

        Arguments and errors are those of `Filter.update`; where a filter refuses the row, all are as before it.

        Parameters
        ----------
        u, y, weight, dt, offset, time
            As for `Filter.update`.
        """
        options = {"weight": weight, "offset": offset} | ({} if dt is _border.NO_TIME else {"dt": dt})
        with self._lock:
            waited = None if time is None else self._waits(time, dt is _border.NO_TIME)
            dts = None if waited is None else [passed for passed, _ in waited]
            learn = _learner(u, y, options, dts)
            self._undo.before(1)
            steps: list[Any] = []
            try:
                for i, flt in enumerate(self._filters):
                    steps.append(learn(flt, i))
                w = _border.scalar("weight", weight)
                passed = dts[-1] if dts else 1.0 if dt is _border.NO_TIME else _border.scalar("dt", dt)
                weighed = self._evidence.weigh_one([step.nll for step in steps], w, passed)
            except BaseException as error:
                if steps or not isinstance(error, KfngError):
                    self._undo.back()
                raise
            self._undo.after(1, lambda: _one_more(u, y, options, dts))
            self._evidence = weighed.after
            if waited is not None:
                self._now_is([moment for _, moment in waited])
        return MixtureStep(steps, weighed.weights, float(weighed.nll[0]))

    def _waits(self, time: Any, alone: bool) -> list[tuple[float, Moment]]:
        from ._mixture_clock import waits

        return waits(self._filters, self._when, time, alone)

    def _now_is(self, moments: list[Moment]) -> None:
        """When the last row was, for each filter and for the evidence."""
        *own, self._when = moments
        for flt, moment in zip(self._filters, own, strict=True):
            flt._when = moment

    def update_many(
        self,
        U: Any,
        Y: Any = None,
        *,
        target: Any = None,
        weight: Any = None,
        dt: Any = None,
        offset: Any = None,
        time: Any = None,
        progress: _progress.Given = None,
        on_bad_row: str = "raise",
        trace: bool = True,
        lengths: Any = None,
    ) -> MixtureTrace | None:
        """One pass over rows in order; the same bits as a loop of `update`.

        Parameters
        ----------
        U, Y, target, weight, dt, offset, time, progress
            As for `Filter.update_many`. With `time` each filter waits since its own last row that had one, the evidence since
            the mixture's; the unit of time of its `forgetting` is then that of the numbers, of dates a second.
        on_bad_row : 'raise' or 'skip'
            'skip' leaves a row that some filter refuses out of all of them, and all count it.
        trace : bool, default True
            False returns None.
        lengths : (m,) of integers >= 0, optional
            The rows are so many sequences, and before each of them the filters that have a state start it again.

        Returns
        -------
        MixtureTrace or None

        Raises
        ------
        ShapeError, DtypeError
            Before any row is used.
        NonFiniteError, ParameterError
            At a row that a filter refuses; `error.row` is its index, `error.trace` the rows applied before it, which stay
            applied to all filters, and no filter has used that row or any after it.
        """
        skip = _validate.choice("on_bad_row", on_bad_row, ("raise", "skip")) == "skip"
        _validate.flag("trace", trace)
        rows = Rows([flt.settings for flt in self._filters], U, Y, target, weight, dt, offset, lengths, time)
        builders = TraceBuilders(self._filters, self.names, rows) if trace else None
        with self._lock, _progress.Progress(progress, len(rows)) as report:
            if time is not None:
                from ._mixture_clock import Clocks

                rows.clocks = Clocks(self._filters, self._when, rows.time, dt, len(rows))
            if not len(rows) and len(rows.starts):
                self._reset()
            start, size = 0, 64
            while start < len(rows):
                begun = perf_counter()
                stop, error = self._piece(rows.run(start, size, skip), rows, builders)
                if error is None and not skip:
                    error = rows.fault(stop)
                if error is not None and not (skip and isinstance(error, NonFiniteError)):
                    error.row, error.trace = stop, builders.trace(stop) if builders else None
                    raise error
                if error is not None or rows.bad(stop, skip):
                    self._refuse()
                    stop += 1
                if progress:
                    self._lock.release()  # whoever listens may wait for another thread that reads the mixture
                    try:
                        report(stop)
                    finally:
                        self._lock.acquire()
                size = _progress.next_size(stop - start, perf_counter() - begun)
                start = stop
        return builders.trace(len(rows)) if builders else None

    def _piece(self, run: Run, rows: Rows, builders: TraceBuilders | None) -> tuple[int, KfngError | None]:
        """Rows of a run by all filters; or, where one refuses a row, those before it, and the error. Returns where it stopped."""
        count = run.stop - run.start
        if count == 0 and run.lengths is None:
            return run.stop, None
        self._undo.before(count)
        traces: list[Any] = []
        try:
            for i, flt in enumerate(self._filters):
                traces.append(rows.learn(flt, i, run))
            nll = np.stack([trace.nll for trace in traces])
            weighed = self._evidence.weigh(nll, rows.weight[run.rows], rows.dt(run))
        except BaseException as error:
            self._undo.back()
            if not isinstance(error, KfngError) or error.row is None:
                raise
            shorter = run.up_to(run.start + error.row)
            stop, earlier = self._piece(shorter, rows, builders)
            return stop, earlier or error
        self._undo.after(count, lambda: rows.again(run))
        self._evidence = weighed.after
        if rows.clocks is not None and count:
            self._now_is(rows.clocks.took(run.stop - 1))
        if builders is not None:
            builders.put(run.start, traces, weighed)
        return run.stop, None

    def _refuse(self) -> None:
        self._undo.forget()
        for flt in self._filters:
            flt._refuse(1)

    # -- prediction at the present time
    def predict(
        self,
        U: Any,
        *,
        return_std: bool = False,
        return_cov: bool = False,
        include_noise: bool = True,
        offset: Any = 0.0,
    ) -> Any:
        """Mean of y for rows U (n, d) by the present weights; nothing changes.

        Arguments, shapes and errors are those of `Filter.predict`. Standard deviations and covariances are those within the
        filters and between them (the law of total variance).

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
        """
        if _validate.flag("return_std", return_std) and _validate.flag("return_cov", return_cov):
            raise ParameterError(argument="return_cov", expected="at most one of return_std and return_cov", got="both")
        _validate.flag("return_cov", return_cov)
        options = {"include_noise": include_noise, "offset": offset}
        with self._lock:
            found = [flt.predict(U, return_std=return_std, return_cov=return_cov, **options) for flt in self._filters]
            weights = self.weights
        with np.errstate(over="ignore", invalid="ignore"):
            if not (return_std or return_cov):
                return _mean(weights, found)
            means, spreads = [mean for mean, _ in found], [spread for _, spread in found]
            column = np.broadcast_to(weights[:, None], (len(weights), len(means[0])))
            centre = mixed_mean(column, means)
            if return_std:
                return _mean(weights, means), mixed_std(column, centre, means, spreads)
            away = [(np.asarray(mean, dtype=np.float64) - centre).reshape(len(mean), -1) for mean in means]
            parts = [C + d[:, :, None] * d[:, None, :] for C, d in zip(spreads, away, strict=True)]
            return _mean(weights, means), mixed_mean(column, parts)

    def predict_quantiles(self, U: Any, q: Any, *, offset: Any = 0.0) -> Float:
        """Quantiles of y of the mixture's law for rows U (n, d), by the present weights: as `Filter.predict_quantiles`.

        Parameters
        ----------
        U : (n, d)
        q : (m,) in [0, 1]
            The levels.
        offset : number, (n,) or (n, k), default 0
            Added to z.
        """
        from ._law import Law, mixed_quantiles

        laws = []
        with self._lock:
            for flt in self._filters:
                z, C, a, b = flt._outputs(U, offset)
                nothing = np.full((len(z), flt.settings.y_width), np.nan)
                laws.append(Law(flt.settings, flt._likelihood, Seen(z, C, nothing, a, b)))
            weights = np.broadcast_to(self.weights, (len(laws[0].seen.z), len(laws)))
        return mixed_quantiles(laws, weights, q, "predict_quantiles")

    # -- reading
    @property
    def weights(self) -> Float:
        """Probability of each filter after the rows so far, (m,)."""
        return self._evidence.weights

    @property
    def names(self) -> tuple[str, ...]:
        """Of the filters: as given, else the settings in which they differ."""
        return self._given_names or default_names([flt.settings for flt in self._filters])

    @property
    def filters(self) -> tuple[Any, ...]:
        """Copies of the filters as they are now."""
        with self._lock:
            return tuple(flt.copy() for flt in self._filters)

    @property
    def best(self) -> Any:
        """A copy of the filter of the largest weight."""
        with self._lock:
            return self._filters[int(np.argmax(self.weights))].copy()

    @property
    def n_updates(self) -> int:
        """Rows that taught something."""
        return max(flt.n_updates for flt in self._filters)

    @property
    def log_evidence(self) -> float:
        """Sum over the used rows of the mixture's weighted log predictive density (prequential)."""
        return float(self._evidence.sums[-1])

    @property
    def log_evidences(self) -> Float:
        """The same sum for each filter, (m,); all rows count alike, whatever `forgetting` is."""
        return self._evidence.sums[:-1].copy()

    def health(self) -> dict[str, Any]:
        """weights by name, effective (1/sum of their squares: 1 where one filter has all the weight), and each filter's `health`."""
        with self._lock:
            w = self.weights
            return {
                "weights": dict(zip(self.names, w.tolist(), strict=True)),
                "effective": float(1 / np.sum(w**2)),
                "log_evidence": self.log_evidence,
                "filters": {name: flt.health() for name, flt in zip(self.names, self._filters, strict=True)},
            }

    def reset_state(self) -> None:
        """Start another sequence: as `Filter.reset_state()` of every filter that has a state; the weights stay.

        Raises
        ------
        UnsupportedError
            None of them has one.
        """
        if all(flt.settings.sensitivity is None for flt in self._filters):
            raise UnsupportedError(argument="reset_state", expected="a recurrent model", got="none in the mixture")
        with self._lock:
            self._reset()

    def _reset(self) -> None:
        self._undo.forget()
        for flt in self._filters:
            if flt.settings.sensitivity is not None:
                flt._reset_state(None)

    # -- saving and copying
    def spec(self) -> dict[str, Any]:
        """Names, prior, forgetting and the filters' settings as plain JSON values."""
        prior = np.exp(self._evidence.log_prior)
        filters = [flt.spec() for flt in self._filters]
        return {
            "names": list(self.names),
            "prior": prior.tolist(),
            "forgetting": self._evidence.forgetting,
            "filters": filters,
        }

    def save(self, path: Any) -> None:
        """Write the mixture to a file, as `Filter.save` does.

        Parameters
        ----------
        path : str or os.PathLike

        Raises
        ------
        OSError, UnsupportedError
        """
        from . import checkpoint

        checkpoint.write(path, self._to_bytes())

    def _to_bytes(self) -> bytes:
        from . import _mixture_file

        with self._lock:
            return _mixture_file.encode(self)

    @classmethod
    def _from_file(cls, header: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Self:
        from . import _mixture_file

        return cls._made(*_mixture_file.decode(cls._filter_type, header, arrays))

    def copy(self) -> Self:
        """An independent mixture in the same state."""
        with self._lock:
            return self._made([flt.copy() for flt in self._filters], self._given_names, self._evidence, self._when)

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}: {w:.3g}" for name, w in zip(self.names, self.weights, strict=True))
        return f"<Mixture of {len(self._filters)} filters, weights {shown}>"


def _learner(u: Any, y: Any, options: dict[str, Any], dts: list[float] | None) -> Replay:
    if dts is None:
        return lambda flt, i: flt.update(u, y, **options)  # type: ignore[attr-defined]
    return lambda flt, i: flt.update(u, y, **options, dt=dts[i])  # type: ignore[attr-defined]


def _one_more(u: Any, y: Any, options: dict[str, Any], dts: list[float] | None) -> Replay:
    u = dict(u) if isinstance(u, Mapping) else copy.deepcopy(u) if _border.is_sparse(u) else np.array(u)
    y, options = _kept(y), {name: _kept(value) for name, value in options.items()}
    return _learner(u, y, options, dts)


def _kept(value: Any) -> Any:
    return value if isinstance(value, (int, float)) else np.array(value)


def _mean(weights: Float, means: list[Any]) -> Any:
    """In the dtype of the filters."""
    column = np.broadcast_to(weights[:, None], (len(weights), len(means[0])))
    return mixed_mean(column, means).astype(np.result_type(*means), copy=False)
