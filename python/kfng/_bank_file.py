"""A bank in a file, in the format of checkpoint, for K keys of which m are whole numbers, and q priors besides the bank's own:

    keys.kind (K,) u1, 0 a whole number, 1 text;  keys.int (m,) i8;  keys.text u1, UTF-8, and keys.offsets (K-m+1,) i8
    state.NAME (K, ...): the arrays of each key's filter;  prior (K,) i8, of its prior: 0 the bank's own
    priors.theta (q, p), priors.variance (q, p), priors.noise (q, m) f8;  last (K,) f8 or i8 and last.known (K,) u1 with time stamps
    used (K,) i8 with max_keys: the order in which keys were used, 0 the longest ago

_bank_changes.py: what a file of changes has besides.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from . import _keys
from ._bank_copy import Records, priors_here, put
from ._bank_prior import noise_scale, same_prior, with_prior
from ._keys import Column
from ._load import under
from ._settings import Settings
from ._stamps import KIND, NONE
from .errors import BadHeaderError, BadValueError, CheckpointError, KfngError, ParameterError

if TYPE_CHECKING:
    from ._bank_parts import BankParts
    from .checkpoint import Stored

    AnyBank = TypeVar("AnyBank", bound=BankParts)
    Arrays = Stored | dict[str, NDArray[Any]]

Slots = NDArray[np.int64]
AT_ONCE = 1 << 12
"""Keys whose states are written or read together."""
NAMES = {
    "keys.kind",
    "keys.int",
    "keys.text",
    "keys.offsets",
    "prior",
    "priors.theta",
    "priors.variance",
    "priors.noise",
}
"""Arrays that are always there."""


# -- writing
def encoded(bank: BankParts) -> Iterator[memoryview]:
    """A file, part after part. The bank does not change meanwhile: threads that would update it wait."""
    from . import checkpoint

    with bank._lock:
        yield from checkpoint.stream(*contents(bank, bank._live()))


def contents(bank: BankParts, slots: Slots) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and arrays of these keys, which must not change until the arrays have been written; `used` is of all."""
    from . import __version__, checkpoint

    recency = bank._recency
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
        used = recency._grown()[bank._live()]
        arrays["used"] = np.argsort(np.argsort(used, kind="stable"), kind="stable")
    about = {"keys": len(slots), "time": bank._time_kind, "max_keys": bank.max_keys, "evict_to": bank.evict_to}
    return {"library": __version__, "object": "Bank", "spec": bank.spec(), "bank": about}, arrays


def _states(bank: BankParts, slots: Slots, name: str) -> Iterator[NDArray[Any]]:
    """One array of the keys' states, of so many keys at once."""
    for start in range(0, len(slots), AT_ONCE):
        yield bank._sections(slots[start : start + AT_ONCE], (name,))[name]


def _prior_arrays(bank: BankParts) -> dict[str, NDArray[Any]]:
    p, m = bank.settings.p, bank.settings.family.noise_scales(bank.settings.k)
    priors = bank._priors[1:]
    return {
        "priors.theta": np.array([s.theta for s in priors]).reshape(-1, p),
        "priors.variance": np.array([s.belief.prior_diagonal(p) for s in priors]).reshape(-1, p),
        "priors.noise": np.array([noise_scale(s) for s in priors]).reshape(len(priors), m),
    }


# -- reading
class Found(NamedTuple):
    """Keys of a file of unknown origin with all that it says of them; their states are still there, under the names `states`."""

    keys: Column
    about: dict[str, Any]
    records: Records
    small: dict[str, NDArray[Any]]
    states: list[str]
    arrays: Arrays


def decoded(cls: type[AnyBank], header: dict[str, Any], arrays: Arrays) -> AnyBank:
    """The bank in a file of unknown origin."""
    about = _about(header)
    spec = {name.removeprefix("spec."): arrays[name] for name in arrays if name.startswith("spec.")}
    try:
        bank = cls._made(Settings.from_spec(header.get("spec"), spec), about["max_keys"], about["evict_to"])
    except CheckpointError:
        raise
    except (KfngError, TypeError) as error:
        raise _no_settings(error) from error
    found = read(bank, header, arrays)
    add(bank, found, slice(0, len(found.keys)), np.zeros(len(found.keys), dtype=np.int64))
    need("keys", bank._count() == len(found.keys), "different keys")
    finish(bank, found)
    return bank


def read(bank: BankParts, header: dict[str, Any], arrays: Arrays, also: frozenset[str] = frozenset()) -> Found:
    """All but the states, checked; `also`: names of more arrays."""
    from .checkpoint import Stored

    about = _about(header)
    states = [name for name in arrays if name.startswith("state.")]
    small = {name: arrays[name] for name in arrays if not name.startswith(("state.", "spec."))}
    kind = about["time"]
    expected = NAMES | also | ({"last", "last.known"} if kind is not None else set())
    expected |= {"used"} if about["max_keys"] is not None else set()
    if set(small) != expected or kind not in (None, *KIND):
        raise BadHeaderError(argument="layout", expected=sorted(expected), got=sorted(small))
    try:
        keys = read_keys(small, about["keys"])
        records = _read_records(bank, small, kind, len(keys))
        for name in states:
            shape = arrays.shape(name) if isinstance(arrays, Stored) else arrays[name].shape
            need(name, len(shape) > 0 and shape[0] == len(keys), f"({len(keys)}, ...)", shape)
    except CheckpointError:
        raise
    except (KfngError, TypeError) as error:
        raise _no_settings(error) from error
    return Found(keys, about, records, small, states, arrays)


def _about(header: dict[str, Any]) -> dict[str, Any]:
    about = header.get("bank")
    if not isinstance(about, dict) or set(about) != {"keys", "time", "max_keys", "evict_to"}:
        raise BadHeaderError(argument="bank", expected="keys, time, max_keys and evict_to", got=repr(about)[:80])
    return about


def _no_settings(error: Exception) -> BadHeaderError:
    return BadHeaderError(argument="spec", expected="settings of a bank", got=str(error))


def pieces(found: Found, rows: slice) -> Iterator[tuple[slice, dict[str, NDArray[Any]]]]:
    """The states of some keys, so many at once."""
    from .checkpoint import Stored

    arrays = found.arrays
    for start in range(rows.start, max(rows.stop, rows.start + 1), AT_ONCE):
        part = slice(start, min(start + AT_ONCE, rows.stop))
        read = {
            name: arrays.rows(name, part) if isinstance(arrays, Stored) else arrays[name][part] for name in found.states
        }
        yield part, under(read, "state.")


def add(bank: BankParts, found: Found, rows: slice, slots: Slots) -> None:
    """Make some keys of a file, and note their slots; stops at one that is there."""
    new = found.records
    prior = priors_here(bank, new)
    priors = list(bank._priors)
    bank._reserve(0 if isinstance(found.keys, list) else rows.stop - rows.start)
    for part, sections in pieces(found, rows):
        some = Records(sections, prior[part], priors, new.kind, new.last[part])
        try:
            slots[part] = put(bank, _keys.taken(found.keys, part), some)
        except ParameterError:
            return


def finish(bank: BankParts, found: Found) -> None:
    """What is about all keys: the newest prior, and which were used when."""
    current = found.records.priors[-1]
    if not same_prior(bank._priors[-1], current):
        bank._set_prior(current)
    if bank._recency is not None:
        live = bank._live()
        order = np.argsort(_array(found.small, "used", np.int64, (len(live),)), kind="stable")
        bank._recency.use(live[order])
        bank._recency.fit()


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


def read_keys(arrays: dict[str, NDArray[Any]], count: Any, of: str = "keys") -> Column:
    """Keys of a file; that they differ is seen when they are made."""
    kinds = _array(arrays, f"{of}.kind", np.uint8, (count,))
    m = int((kinds == 0).sum())
    numbers = _array(arrays, f"{of}.int", np.int64, (m,))
    offsets = _array(arrays, f"{of}.offsets", np.int64, (len(kinds) - m + 1,))
    text = _array(arrays, f"{of}.text", np.uint8, (int(offsets[-1]),)).tobytes()
    need(f"{of}.kind", bool((kinds <= 1).all()), "0 or 1")
    need(f"{of}.offsets", bool(offsets[0] == 0 and (np.diff(offsets) >= 0).all()), "offsets that do not fall, from 0")
    if m == len(kinds):
        keys: Column = numbers
    else:
        bounds = offsets.tolist()
        try:
            words = iter([text[i:j].decode() for i, j in zip(bounds, bounds[1:], strict=False)])
        except UnicodeDecodeError as error:
            raise BadValueError(argument=f"{of}.text", expected="UTF-8", got=str(error)[:80]) from None
        whole = iter(numbers.tolist())
        keys = [next(words) if kind else next(whole) for kind in kinds.tolist()]
    return keys


def _read_records(bank: BankParts, arrays: dict[str, NDArray[Any]], kind: str | None, n: int) -> Records:
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
    need("prior", bool(((prior >= 0) & (prior <= q)).all()), f"indices up to {q}")
    last = np.zeros(0)
    if kind is not None:
        known = _array(arrays, "last.known", np.uint8, (n,)) != 0
        last = np.where(known, _array(arrays, "last", KIND[kind], (n,)), np.asarray(NONE[kind], dtype=KIND[kind]))
    return Records({}, prior, priors, kind, last)


def _array(arrays: dict[str, NDArray[Any]], name: str, dtype: Any, shape: tuple[Any, ...]) -> NDArray[Any]:
    array = arrays[name]
    need(name, array.dtype == np.dtype(dtype), np.dtype(dtype).name, array.dtype)
    need(name, array.shape == shape, str(shape), array.shape)
    return array


def need(name: str, holds: bool, expected: str, got: Any = None) -> None:
    if not holds:
        raise BadValueError(argument=name, expected=expected, got=got)
