"""Keys of a bank outside it: copied to another bank, written to a file, read from one.

In a file (checkpoint.py), for K keys of which m are whole numbers, and q priors besides the bank's own:

    keys.kind (K,) u1, 0 a whole number, 1 text;  keys.int (m,) i8;  keys.text u1, UTF-8, and keys.offsets (K-m+1,) i8
    state.NAME (K, ...): the arrays of each key's filter;  prior (K,) i8, of its prior: 0 the bank's own
    priors.theta (q, p), priors.variance (q, p), priors.noise (q, m) f8;  last (K,) f8 or i8 and last.known (K,) u1 with time stamps
    used (K,) i8 with max_keys: the order in which keys were used, 0 the longest ago
"""

from __future__ import annotations

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

    AnyBank = TypeVar("AnyBank", bound=BankBase)

Slots = NDArray[np.int64]


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
    known = [_prior_index(bank, prior) for prior in new.priors]
    prior = np.array([len(bank._priors) if index is None else index for index in known], dtype=np.int64)
    added = [i for i in np.unique(new.prior).tolist() if known[i] is None]
    if added:
        current = bank._priors[-1]
        for i in added:
            prior[i] = len(bank._priors)
            bank._set_prior(new.priors[i])
        bank._set_prior(current)
    slots = bank._append(keys, new.sections, prior[new.prior])
    if new.kind is not None:
        bank._last_times(new.kind)[slots] = new.last
    else:
        bank._forget_times(slots)
    if bank._recency is not None:
        bank._recency.use(slots)
    return slots


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
def encoded(bank: BankBase) -> list[Any]:
    """The parts of a file, taken in one moment."""
    from . import __version__, checkpoint

    with bank._lock:
        slots = bank._live()
        new, recency = records(bank, slots), bank._recency
        arrays: dict[str, NDArray[Any]] = {f"spec.{name}": part for name, part in bank.settings.arrays().items()}
        arrays |= _key_arrays(bank._keys_at(slots))
        arrays |= {f"state.{name}": array for name, array in new.sections.items()}
        arrays["prior"] = new.prior
        arrays["priors.theta"] = np.array([s.theta for s in new.priors[1:]]).reshape(-1, bank.settings.p)
        variances = [s.belief.prior_diagonal(s.p) for s in new.priors[1:]]
        arrays["priors.variance"] = np.array(variances).reshape(-1, bank.settings.p)
        m = bank.settings.family.noise_scales(bank.settings.k)
        arrays["priors.noise"] = np.array([noise_scale(s) for s in new.priors[1:]]).reshape(len(variances), m)
        if new.kind is not None:
            known = ~np.isnan(new.last) if new.kind == "number" else new.last != NONE[new.kind]
            arrays["last"], arrays["last.known"] = np.where(known, new.last, 0), known.astype(np.uint8)
        if recency is not None:
            arrays["used"] = np.argsort(np.argsort(recency._grown()[slots], kind="stable"), kind="stable")
        about = {"keys": len(slots), "time": new.kind, "max_keys": bank.max_keys, "evict_to": bank.evict_to}
        header = {"library": __version__, "object": "Bank", "spec": bank.spec(), "bank": about}
    return checkpoint.parts(header, arrays)


def decoded(cls: type[AnyBank], header: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> AnyBank:
    """A bank from a file of unknown origin."""
    about = header.get("bank")
    if not isinstance(about, dict) or set(about) != {"keys", "time", "max_keys", "evict_to"}:
        raise BadHeaderError(argument="bank", expected="keys, time, max_keys and evict_to", got=repr(about)[:80])
    spec, state = under(arrays, "spec."), under(arrays, "state.")
    rest = {name: array for name, array in arrays.items() if not name.startswith(("spec.", "state."))}
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
        new, current = _read_records(bank, rest, state, kind, len(keys))
    except CheckpointError:
        raise
    except (KfngError, TypeError) as error:
        raise BadHeaderError(argument="spec", expected="settings of a bank", got=str(error)) from error
    slots = put(bank, keys, new)
    if not same_prior(bank._priors[-1], current):
        bank._set_prior(current)
    if bank._recency is not None:
        order = np.argsort(_array(rest, "used", np.int64, (len(keys),)), kind="stable")
        bank._recency.use(slots[order])
        bank._recency.fit()
    return bank


def _key_arrays(keys: list[Any]) -> dict[str, NDArray[Any]]:
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
        distinct = len(np.unique(numbers))
    else:
        bounds = offsets.tolist()
        try:
            words = iter([text[i:j].decode() for i, j in zip(bounds, bounds[1:], strict=False)])
        except UnicodeDecodeError as error:
            raise BadValueError(argument="keys.text", expected="UTF-8", got=str(error)[:80]) from None
        whole = iter(numbers.tolist())
        keys = [next(words) if kind else next(whole) for kind in kinds.tolist()]
        distinct = len(set(keys))
    _need("keys", distinct == len(kinds), "different keys")
    return keys


def _read_records(
    bank: BankBase, arrays: dict[str, NDArray[Any]], state: dict[str, NDArray[Any]], kind: str | None, n: int
) -> tuple[Records, Settings]:
    """The records, and the newest prior."""
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
    for name, array in state.items():
        _need(f"state.{name}", array.ndim > 0 and len(array) == n, f"({n}, ...)", array.shape)
    last = np.zeros(0)
    if kind is not None:
        known = _array(arrays, "last.known", np.uint8, (n,)) != 0
        last = np.where(known, _array(arrays, "last", KIND[kind], (n,)), np.asarray(NONE[kind], dtype=KIND[kind]))
    return Records(state, prior, priors, kind, last), priors[-1]


def _array(arrays: dict[str, NDArray[Any]], name: str, dtype: Any, shape: tuple[Any, ...]) -> NDArray[Any]:
    array = arrays[name]
    _need(name, array.dtype == np.dtype(dtype), np.dtype(dtype).name, array.dtype)
    _need(name, array.shape == shape, str(shape), array.shape)
    return array


def _need(name: str, holds: bool, expected: str, got: Any = None) -> None:
    if not holds:
        raise BadValueError(argument=name, expected=expected, got=got)
