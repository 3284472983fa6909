"""What a row leaves behind: `Step` for one, `Trace` for many. Densities are computed when asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from . import _validate
from ._settings import Settings
from .errors import ParameterError, ShapeError, UnsupportedError

Float = NDArray[np.float64]
SKIPPED, CLIPPED = 1, 2
_COMPUTED = ("prediction", "std", "nll", "nll_plugin")


class Seen(NamedTuple):
    """Rows as they were reported: z (n, k), C (n, k, k), y (n, y_width), a and b (n, m)."""

    z: Float
    C: Float
    y: Float
    a: Float
    b: Float


class Likelihood(Protocol):
    """What the rows seen say of y; independent of any filter's state, and of whether rows come alone or together."""

    def nll(self, seen: Seen) -> Float: ...

    def plugin_nll(self, seen: Seen) -> Float: ...

    def mean(self, seen: Seen) -> Float: ...

    def std(self, seen: Seen) -> Float: ...

    def quantiles(self, seen: Seen, q: list[float]) -> Float: ...


class _Computed:
    """The likelihood of a trace that was pickled: all it says was computed before; there is nothing else."""

    def _refuse(self, *arguments: Any) -> Float:
        raise UnsupportedError(argument="trace", expected="the trace before it was pickled", got="a pickled trace")

    nll = plugin_nll = mean = std = quantiles = _refuse


BLOCK = 4096
"""Quantiles asked for at once: bounds memory, and lets signals through."""


def quantiles(settings: Settings, likelihood: Likelihood, seen: Seen, q: Any, name: str) -> Float:
    """Quantiles of y of the rows seen, (n, len(q)), or (n, k, len(q)) for k > 1 outputs, asked for as `name`."""
    levels = np.atleast_1d(_validate.real_array("q", q))
    if levels.ndim != 1:
        raise ShapeError(argument="q", expected="(m,)", got=levels.shape)
    if not ((levels >= 0) & (levels <= 1)).all():
        raise ParameterError(argument="q", expected="numbers in [0, 1]", got=levels.tolist())
    if not settings.rule.has_posterior:
        raise UnsupportedError(
            argument=name, expected="a rule with a posterior covariance", got=repr(settings.rule)[:80]
        )
    if not settings.family.has_quantiles:
        raise UnsupportedError(argument=name, expected="a family of ordered y", got=repr(settings.family))
    n, width = len(seen.z), math.prod(settings.mean_shape)
    out = np.empty((n, width, len(levels)))
    rows = max(1, BLOCK // max(1, width * len(levels)))
    for start in range(0, n, rows):
        part = slice(start, start + rows)
        block = Seen(*(values[part] for values in seen))
        out[part] = likelihood.quantiles(block, levels.tolist()).reshape(len(block.z), width, len(levels))
    return out.reshape((n, *settings.mean_shape, len(levels)))


@dataclass(eq=False, repr=False)
class Trace:
    """The rows of one `update_many`: for each the prediction made before its y was used, and how it fared.

    z (n, k), C (n, k, k): output in link coordinates and its covariance; Y (n, y_width); a, b (n, m): the learned noise.
    """

    settings: Settings
    likelihood: Likelihood
    z: Float
    C: Float
    Y: Float
    a: Float
    b: Float
    flags: NDArray[np.uint8]
    trust: Float | None = None
    """(n,) with a robust filter."""

    def __len__(self) -> int:
        return len(self.z)

    @cached_property
    def prediction(self) -> NDArray[Any]:
        """E(y) of each row before y was used, (n,) or (n, k), in the filter's dtype; NaN where u was bad."""
        mean = self._shaped(self.likelihood.mean(self._seen()))
        if mean.dtype == self.settings.float:
            return mean
        with np.errstate(over="ignore", invalid="ignore"):
            return mean.astype(self.settings.float)

    @cached_property
    def std(self) -> Float:
        """Predictive standard deviation of y, theta integrated out to first order, shaped as `prediction`."""
        return self._shaped(self.likelihood.std(self._seen()))

    @cached_property
    def nll(self) -> Float:
        """-log predictive density of y, theta integrated out, (n,); NaN where y is missing."""
        return self.likelihood.nll(self._seen())

    @cached_property
    def nll_plugin(self) -> Float:
        """-log density of y at the mean theta, (n,)."""
        return self.likelihood.plugin_nll(self._seen())

    def quantiles(self, q: Any) -> Float:
        """Predictive quantiles of each row's y before it was used, theta integrated out: (n, len(q)), or (n, k, len(q)).

        Computed at each call, unlike the rest. As `Filter.predict_quantiles`: of counts the smallest whole number whose
        probability of not being exceeded reaches the level; NaN where u was bad.

        Parameters
        ----------
        q : (m,) in [0, 1]
            The levels.

        Raises
        ------
        ShapeError, DtypeError, ParameterError (q outside [0, 1])
        UnsupportedError
            The family has no quantiles, the rule no posterior, or the trace was pickled.
        """
        return quantiles(self.settings, self.likelihood, self._seen(), q, "quantiles")

    @property
    def skipped(self) -> NDArray[np.bool_]:
        """Rows that taught nothing: y missing, weight 0, or refused by on_bad_row="skip"."""
        return (self.flags & SKIPPED) != 0

    @property
    def clipped(self) -> NDArray[np.bool_]:
        """Rows whose step of theta was shortened by the step clip."""
        return (self.flags & CLIPPED) != 0

    @property
    def robust_weight(self) -> Float:
        """What each row counted for with a robust filter, (n,); 1 where nothing was changed, and with every other filter.

        With `Imq` and `Student` the multiplier of the row's log-likelihood, with `Winsor` that of its innovation.
        """
        return np.ones(len(self)) if self.trust is None else self.trust

    def _seen(self) -> Seen:
        return Seen(self.z, self.C, self.Y, self.a, self.b)

    def _shaped(self, values: Float) -> Float:
        return values.reshape((len(self), *self.settings.mean_shape))

    def __getitem__(self, rows: slice) -> Trace:
        """The rows of a slice as a Trace of their own."""
        if not isinstance(rows, slice):
            raise TypeError("a Trace takes a slice; its arrays take indices")
        parts: tuple[Any, ...] = (self.z, self.C, self.Y, self.a, self.b, self.flags, self.trust)
        own: list[Any] = [None if part is None else part[rows] for part in parts]
        taken = Trace(self.settings, self.likelihood, *own)
        known = {name: self.__dict__[name][rows] for name in _COMPUTED if name in self.__dict__}
        taken.__dict__.update(known)
        return taken

    def __getstate__(self) -> dict[str, Any]:
        _ = self.prediction, self.std, self.nll, self.nll_plugin
        return self.__dict__ | {"likelihood": _Computed()}

    def __repr__(self) -> str:
        skipped, clipped = int(self.skipped.sum()), int(self.clipped.sum())
        return f"<Trace of {len(self)} rows, {skipped} skipped, {clipped} clipped>"


class TraceBuilder:
    """Collects the pieces that an implementation returns into arrays that were made once."""

    def __init__(self, settings: Settings, likelihood: Likelihood, Y: Float) -> None:
        n, k, m = len(Y), settings.k, settings.family.noise_scales(settings.k)
        shapes = ((n, k), (n, k, k), (n, m), (n, m))
        numbers = (np.full(shape, np.nan) for shape in shapes)
        self._parts: tuple[Any, ...] = (*numbers, np.full(n, SKIPPED, dtype=np.uint8))
        if settings.robust is not None:
            self._parts += (np.ones(n),)
        self._settings, self._likelihood, self._Y = settings, likelihood, Y

    def put(self, start: int, *out: Any) -> None:
        """What an implementation reports of rows from `start` on: z, C, a, b, flags, and with a robust filter the weights."""
        self.put_at(slice(start, start + len(out[0])), *out)

    def put_at(self, rows: NDArray[np.int64] | slice, *out: Any) -> None:
        """As `put`, for rows that are not in a row."""
        for part, values in zip(self._parts, out, strict=True):
            part[rows] = values

    def trace(self, stop: int) -> Trace:
        """The rows before `stop`."""
        z, C, *rest = self._parts
        parts: tuple[Any, ...] = (z, C, np.array(self._Y), *rest)
        return Trace(self._settings, self._likelihood, *(part[:stop] for part in parts))


class Step:
    """One row's prediction, made after its time step and before its y was used, and how the row fared."""

    __slots__ = ("_trace",)

    def __init__(
        self, settings: Settings, likelihood: Likelihood, z: Float, C: Float, y: Float, a: Float, b: Float, flags: int,
        trust: float = 1.0,
    ) -> None:  # fmt: skip
        row: tuple[Any, ...] = (z, C, y, a, b, np.uint8(flags), trust)
        self._trace = Trace(settings, likelihood, *(np.asarray(part)[None] for part in row))

    @property
    def prediction(self) -> Any:
        """E(y), shaped as the family's mean: a number, (k,) or (K,)."""
        return self._trace.prediction[0]

    @property
    def std(self) -> Any:
        """Predictive standard deviation of y, shaped as `prediction`."""
        return self._trace.std[0]

    @property
    def nll(self) -> float:
        """-log predictive density of y, theta integrated out; NaN where y is missing."""
        return float(self._trace.nll[0])

    @property
    def nll_plugin(self) -> float:
        """-log density of y at the mean theta."""
        return float(self._trace.nll_plugin[0])

    @property
    def skipped(self) -> bool:
        """True where nothing was learned (y missing, or weight 0)."""
        return bool(self._trace.skipped[0])

    @property
    def clipped(self) -> bool:
        """True where the step of theta was shortened by the step clip."""
        return bool(self._trace.clipped[0])

    @property
    def _seen(self) -> tuple[Any, ...]:
        """What a trace keeps of the row: z (k,), C (k, k), a, b (m,), its flags, and of a robust filter what it counted for."""
        row = self._trace
        robust = () if row.settings.robust is None else (self.robust_weight,)
        return row.z[0], row.C[0], row.a[0], row.b[0], int(row.flags[0]), *robust

    @property
    def robust_weight(self) -> float:
        """What the row counted for with a robust filter; 1 where nothing was changed, and with every other filter."""
        return float(self._trace.robust_weight[0])

    def __repr__(self) -> str:
        return f"Step(prediction={self.prediction}, std={self.std}, skipped={self.skipped}, clipped={self.clipped})"
