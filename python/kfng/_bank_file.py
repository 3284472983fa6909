"""Keys of a bank outside it: copied to another bank, written to a file, read from one.

In a file (checkpoint.py), for K keys of which m are whole numbers, and q priors besides the bank's own:

    keys.kind (K,) u1, 0 a whole number, 1 text;  keys.int (m,) i8;  keys.text u1, UTF-8, and keys.offsets (K-m+1,) i8
    state.NAME (K, ...): the arrays of each key's filter;  prior (K,) i8, of its prior: 0 the bank's own
    priors.theta (q, p), priors.variance (q, p), priors.noise (q, m) f8;  last (K,) f8 or i8 and last.known (K,) u1 with time stamps
    used (K,) i8 with max_keys: the order in which keys were used, 0 the longest ago
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from . import _keys
from ._bank_prior import noise_scale, same_prior, with_prior
from ._keys import Column
from ._load import under
from ._settings import AXES, Settings
from ._stamps import KIND, NONE
from .errors import (
    BadHeaderError,
    BadValueError,
    CheckpointError,
    KfngError,
    ParameterError,
    UnsupportedError,
)

if TYPE_CHECKING:
    from ._bank_base import BankBase
    from .checkpoint import Stored

    AnyBank = TypeVar("AnyBank", bound=BankBase)

    Arrays = Stored | dict[str, NDArray[Any]]

Slots = NDArray[np.int64]
AT_ONCE = 1 << 12
"""Keys whose states are written or read together."""


class Records(NamedTuple):
    """All that a bank knows of K keys but the keys: states stacked, `prior` (K,) an index of `priors`, last times."""

    sections: dict[str, NDArray[Any]]
    prior: Slots
    priors: list[Settings]
    kind: str | None
    last: NDArray[Any]


def records(bank: BankBase, slots: Slots) -> Records:
    kind = bank._time_kind
    last = np.zeros(0) if kind is None else bank._last_times(kind)[slots]
    return Records(bank._sections(slots), bank._prior_of(slots), list(bank._priors), kind, last)


def put(bank: BankBase, keys: Column, new: Records) -> Slots:
    """Add keys that are not there, in order; all or none."""
    slots = bank._append(keys, new.sections, _priors_here(bank, new))
    if new.kind is not None:
        bank._last_times(new.kind)[slots] = new.last
    else:
        bank._forget_times(slots)
    if bank._recency is not None:
        bank._recency.use(slots)
    return slots


def _priors_here(bank: BankBase, new: Records) -> Slots:
    """Each key's prior among those of the bank, which are made where they are not there."""
    known = [_prior_index(bank, prior) for prior in new.priors]
    prior = np.array([len(bank._priors) if index is None else index for index in known], dtype=np.int64)
    added = [i for i in np.unique(new.prior).tolist() if known[i] is None]
    if added:
        current = bank._priors[-1]
        for i in added:
            prior[i] = len(bank._priors)
            bank._set_prior(new.priors[i])
        bank._set_prior(current)
    return prior[new.prior]


def _prior_index(bank: BankBase, prior: Settings) -> int | None:
    return next((i for i, own in enumerate(bank._priors) if same_prior(own, prior)), None)


def transfer(bank: BankBase, slots: Slots, other: BankBase, keys: Column) -> None:
    """Copies of these keys for an empty bank of the same settings, whose new keys start as here."""
    put(other, keys, records(bank, slots))
    if not same_prior(other._priors[-1], bank._priors[-1]):
        other._set_prior(bank._priors[-1])


def absorb(bank: BankBase, other: Any) -> None:
    if not isinstance(other, type(bank)):
        raise ParameterError(argument="other", expected="a bank of the same kind", got=type(other).__name__)
    first, second = sorted((bank, other), key=id)
    with first._lock, second._lock:
        _same_settings(bank.settings, other.settings)
        slots = other._live()
        names = _keys.column(other._keys_at(slots))
        with bank._reading(names) as here:
            if (here >= 0).any():
                key = _keys.values(names)[int(np.argmax(here >= 0))]
                raise ParameterError(argument="other", expected="keys that are not here", got=repr(key)[:80])
        new = records(other, slots)
        if None not in (bank._time_kind, new.kind) and bank._time_kind != new.kind:
            raise UnsupportedError(argument="time", expected=f"{bank._time_kind}s in both", got=f"{new.kind}s")
        put(bank, names, new)
        if bank._recency is not None:
            bank._recency.fit()


def _same_settings(mine: Settings, other: Settings) -> None:
    for name in (*AXES, "iterations", "dtype", "feature_names", "categories"):
        ours, its = getattr(mine, name), getattr(other, name)
        if ours != its:
            raise UnsupportedError(argument=name, expected=f"the same in both: {ours!r:.80}", got=repr(its)[:80])
    if not np.array_equal(mine.theta, other.theta):
        raise UnsupportedError(argument="theta", expected="the same theta_0 in both", got="another")


# -- files
def encoded(bank: BankBase) -> Iterator[memoryview]:
    """A file, part after part. The bank does not change meanwhile: threads that would update it wait."""
    from . import __version__, checkpoint

    with bank._lock:
        slots, recency = bank._live(), bank._recency
        arrays: dict[str, Any] = {f"spec.{name}": part for name, part in bank.settings.arrays().items()}
        arrays |= bank._key_arrays(slots) | {"prior": bank._prior_of(slots)} | _prior_arrays(bank)
        for name, part in bank._sections(slots[:0]).items():
            shape = (len(slots), *part.shape[1:])
            arrays[f"state.{name}"] = checkpoint.Pieces(part.dtype, shape, partial(_states, bank, slots, name))
        if bank._time_kind is not None:
            last = bank._last_times(bank._time_kind)[slots]
            known = ~np.isnan(last) if bank._time_kind == "number" else last != NONE[bank._time_kind]
            arrays["last"], arrays["last.known"] = np.where(known, last, 0), known.astype(np.uint8)
        if recency is not None:
            arrays["used"] = np.argsort(np.argsort(recency._grown()[slots], kind="stable"), kind="stable")
        about = {"keys": len(slots), "time": bank._time_kind, "max_keys": bank.max_keys, "evict_to": bank.evict_to}
        header = {"library": __version__, "object": "Bank", "spec": bank.spec(), "bank": about}
        yield from checkpoint.stream(header, arrays)


def _states(bank: BankBase, slots: Slots, name: str) -> Iterator[NDArray[Any]]:
    """One array of the keys' states, of so many keys at once."""
    for start in range(0, len(slots), AT_ONCE):
        yield bank._sections(slots[start : start + AT_ONCE], (name,))[name]


def _prior_arrays(bank: BankBase) -> dict[str, NDArray[Any]]:
    p, m = bank.settings.p, bank.settings.family.noise_scales(bank.settings.k)
    priors = bank._priors[1:]
    return {
        "priors.theta": np.array([s.theta for s in priors]).reshape(-1, p),
        "priors.variance": np.array([s.belief.prior_diagonal(p) for s in priors]).reshape(-1, p),
        "priors.noise": np.array([noise_scale(s) for s in priors]).reshape(len(priors), m),
    }


def decoded(cls: type[AnyBank], header: dict[str, Any], arrays: Arrays) -> AnyBank:
    """A bank from a file of unknown origin; the states of its keys are read so many at once."""
    from .checkpoint import Stored

    about = header.get("bank")
    if not isinstance(about, dict) or set(about) != {"keys", "time", "max_keys", "evict_to"}:
        raise BadHeaderError(argument="bank", expected="keys, time, max_keys and evict_to", got=repr(about)[:80])
    states = [name for name in arrays if name.startswith("state.")]
    small = {name: arrays[name] for name in arrays if not name.startswith("state.")}
    spec = under(small, "spec.")
    rest = {name: array for name, array in small.items() if not name.startswith("spec.")}
    kind = about["time"]
    expected = {
        "keys.kind",
        "keys.int",
        "keys.text",
        "keys.offsets",
        "prior",
        "priors.theta",
        "priors.variance",
        "priors.noise",
    }
    expected |= ({"last", "last.known"} if kind is not None else set()) | (
        {"used"} if about["max_keys"] is not None else set()
    )
    if set(rest) != expected or kind not in (None, *KIND):
        raise BadHeaderError(argument="layout", expected=sorted(expected), got=sorted(rest))
    try:
        bank = cls._made(Settings.from_spec(header.get("spec"), spec), about["max_keys"], about["evict_to"])
        keys = _read_keys(rest, about["keys"])
        new = _read_records(bank, rest, kind, len(keys))
        for name in states:
            shape = arrays.shape(name) if isinstance(arrays, Stored) else arrays[name].shape
            _need(name, len(shape) > 0 and shape[0] == len(keys), f"({len(keys)}, ...)", shape)
    except CheckpointError:
        raise
    except (KfngError, TypeError) as error:
        raise BadHeaderError(argument="spec", expected="settings of a bank", got=str(error)) from error
    current, prior = new.priors[-1], _priors_here(bank, new)
    priors, slots = list(bank._priors), np.zeros(len(keys), dtype=np.int64)
    for start in range(0, len(keys), AT_ONCE):
        rows = slice(start, start + AT_ONCE)
        part = {name: arrays.rows(name, rows) if isinstance(arrays, Stored) else arrays[name][rows] for name in states}
        some = Records(under(part, "state."), prior[rows], priors, kind, new.last[rows])
        try:
            slots[rows] = put(bank, _keys.taken(keys, rows), some)
        except ParameterError:
            break
    _need("keys", bank._count() == len(keys), "different keys")
    if not same_prior(bank._priors[-1], current):
        bank._set_prior(current)
    if bank._recency is not None:
        order = np.argsort(_array(rest, "used", np.int64, (len(keys),)), kind="stable")
        bank._recency.use(slots[order])
        bank._recency.fit()
    return bank


def key_arrays(keys: list[Any]) -> dict[str, NDArray[Any]]:
    kinds = np.array([type(key) is str for key in keys], dtype=np.uint8)
    texts = [key.encode() for key in keys if type(key) is str]
    offsets = np.zeros(len(texts) + 1, dtype=np.int64)
    np.cumsum([len(text) for text in texts], out=offsets[1:])
    return {
        "keys.kind": kinds,
        "keys.int": np.array([key for key in keys if type(key) is int], dtype=np.int64),
        "keys.text": np.frombuffer(b"".join(texts), dtype=np.uint8),
        "keys.offsets": offsets,
    }


def _read_keys(arrays: dict[str, NDArray[Any]], count: Any) -> Column:
    kinds = _array(arrays, "keys.kind", np.uint8, (count,))
    m = int((kinds == 0).sum())
    numbers = _array(arrays, "keys.int", np.int64, (m,))
    offsets = _array(arrays, "keys.offsets", np.int64, (len(kinds) - m + 1,))
    text = _array(arrays, "keys.text", np.uint8, (int(offsets[-1]),)).tobytes()
    _need("keys.kind", bool((kinds <= 1).all()), "0 or 1")
    _need("keys.offsets", bool(offsets[0] == 0 and (np.diff(offsets) >= 0).all()), "offsets that do not fall, from 0")
    if m == len(kinds):
        keys: Column = numbers
    else:
        bounds = offsets.tolist()
        try:
            words = iter([text[i:j].decode() for i, j in zip(bounds, bounds[1:], strict=False)])
        except UnicodeDecodeError as error:
            raise BadValueError(argument="keys.text", expected="UTF-8", got=str(error)[:80]) from None
        whole = iter(numbers.tolist())
        keys = [next(words) if kind else next(whole) for kind in kinds.tolist()]
    return keys


def _read_records(bank: BankBase, arrays: dict[str, NDArray[Any]], kind: str | None, n: int) -> Records:
    """The records but for the states; the newest prior is the last."""
    p = bank.settings.p
    q = len(arrays["priors.theta"]) if arrays["priors.theta"].ndim else 0
    theta = _array(arrays, "priors.theta", np.float64, (q, p))
    variance = _array(arrays, "priors.variance", np.float64, (q, p))
    noise = _array(arrays, "priors.noise", np.float64, (q, bank.settings.family.noise_scales(bank.settings.k)))
    try:
        triples = zip(theta, variance, noise, strict=True)
        priors = [bank.settings, *(with_prior(bank.settings, *triple) for triple in triples)]
    except KfngError as error:
        raise BadValueError(argument="priors.variance", expected="a prior of the bank", got=str(error)[:80]) from error
    prior = _array(arrays, "prior", np.int64, (n,))
    _need("prior", bool(((prior >= 0) & (prior <= q)).all()), f"indices up to {q}")
    last = np.zeros(0)
    if kind is not None:
        known = _array(arrays, "last.known", np.uint8, (n,)) != 0
        last = np.where(known, _array(arrays, "last", KIND[kind], (n,)), np.asarray(NONE[kind], dtype=KIND[kind]))
    return Records({}, prior, priors, kind, last)


def _array(arrays: dict[str, NDArray[Any]], name: str, dtype: Any, shape: tuple[Any, ...]) -> NDArray[Any]:
    array = arrays[name]
    _need(name, array.dtype == np.dtype(dtype), np.dtype(dtype).name, array.dtype)
    _need(name, array.shape == shape, str(shape), array.shape)
    return array


def _need(name: str, holds: bool, expected: str, got: Any = None) -> None:
    if not holds:
        raise BadValueError(argument=name, expected=expected, got=got)
