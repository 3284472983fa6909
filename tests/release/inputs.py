"""M: whatever a caller hands in is the numbers in it, or a typed error; and memory that runs out is a MemoryError."""

from __future__ import annotations

import contextlib
import datetime
import gc
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from boundary.filters import bits
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from release.check import Figure, check
from tolerances import PARITY, covariance_error, theta_error

import kfng
from kfng import errors, reference

# ------------------------------------------------------------------------------------------------ M2, a state machine

ROWS = st.integers(0, 2**32 - 1)
LAWS = {
    "gaussian": lambda impl: impl.Gaussian(0.5),
    "learned": lambda impl: impl.Gaussian(None),
    "bernoulli": lambda impl: impl.Bernoulli(),
    "poisson": lambda impl: impl.Poisson(),
}
PACES = {
    "kalman": lambda impl: impl.Kalman(),
    "fading": lambda impl: impl.Fading(0.05),
    "towards": lambda impl: impl.Fading(0.1, towards="prior"),
    "walk": lambda impl: impl.ProcessNoise(1e-3),
    "gradient": lambda impl: impl.NaturalGradient(0.05),
}


class FilterMachine(RuleBasedStateMachine):
    """kfng and its reference, and a kfng that takes every row alone and is never copied: equal, and equal to the bit."""

    sequences = steps = 0

    @initialize(law=st.sampled_from(list(LAWS)), pace=st.sampled_from(list(PACES)), d=st.integers(1, 5))
    def start(self, law: str, pace: str, d: int) -> None:
        type(self).sequences += 1
        if (law, pace) == ("learned", "gradient"):
            law = "gaussian"  # that rule wants a known variance
        self.d, self.law = d, law
        self.times = [0.0, 1.0] if pace == "gradient" else [0.0, 1.0, 7.0]
        self.new = lambda impl: impl.Filter(impl.Linear(d), LAWS[law](impl), rule=PACES[pace](impl))
        self.flt, self.slow, self.other = self.new(kfng), self.new(kfng), self.new(reference)

    def rows(self, n: int, seed: int) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        rng = np.random.default_rng(seed)
        y = rng.poisson(1.0, size=n).astype(float) if self.law == "poisson" else rng.random(n).round()
        y[rng.random(n) < 0.2] = np.nan
        more = {
            "weight": rng.choice([0.0, 1.0, 2.5], size=n),
            "dt": rng.choice(self.times, size=n),
            "offset": 0.3 * rng.normal(size=n),
        }
        return rng.normal(size=(n, self.d)), y, more

    @rule(n=st.integers(1, 12), seed=ROWS, one_by_one=st.booleans())
    def learn(self, n: int, seed: int, one_by_one: bool) -> None:
        U, y, more = self.rows(n, seed)
        for flt, single in ((self.flt, one_by_one), (self.slow, True), (self.other, False)):
            if single:
                for i in range(n):
                    flt.update(U[i], y[i], **{name: float(x[i]) for name, x in more.items()})
            else:
                flt.update_many(U, y, **more)

    @rule(seed=ROWS, what=st.sampled_from(["u", "weight", "y", "shape"]))
    def refuse(self, seed: int, what: str) -> None:
        U, y, _ = self.rows(1, seed)
        u, arguments, y_0 = U[0], {}, 1.0
        if what == "u":
            u[0] = np.inf
        elif what == "weight":
            arguments = {"weight": -1.0}
        elif what == "y":
            y_0 = np.inf
        else:
            u = np.ones(self.d + 1)
        for flt in (self.flt, self.slow, self.other):
            before = bits(flt)
            try:
                flt.update(u, y_0, **arguments)
            except errors.KfngError:
                assert bits(flt) == before
            else:
                raise AssertionError("not refused")

    @rule(way=st.sampled_from(["copy", "pickle", "file", "reference"]))
    def move(self, way: str) -> None:
        if way == "copy":
            self.flt = self.flt.copy()
        elif way == "pickle":
            self.flt = pickle.loads(pickle.dumps(self.flt))
        else:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "m.kfng"
                if way == "file":
                    self.flt.save(path)
                    self.flt = kfng.load(path)
                else:
                    self.flt.save(path)
                    self.other = reference.load(path)

    @rule()
    def reset(self) -> None:
        self.flt, self.slow, self.other = self.new(kfng), self.new(kfng), self.new(reference)

    @rule(seed=ROWS)
    def read(self, seed: int) -> None:
        U = self.rows(3, seed)[0]
        (mean, std), (other, spread) = (flt.predict(U, return_std=True) for flt in (self.flt, self.other))
        np.testing.assert_allclose(mean, other, rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(std, spread, rtol=1e-7)

    @invariant()
    def equal(self) -> None:
        if not hasattr(self, "flt"):
            return
        type(self).steps += 1
        assert bits(self.flt) == bits(self.slow)
        P = self.other._covariance()
        assert theta_error(self.flt.theta, self.other.theta, P) < PARITY["float64"]
        assert covariance_error(self.flt._covariance(), P) < PARITY["float64"]


@check(
    "M2",
    "any order of update, update_many, predict, refusals, copies, files, pickles and resets: the reference's numbers, one row's bits",
    small={"sequences": 30, "length": 15},
    full={"sequences": 2000, "length": 30},
)
def state_machine(sequences: int, length: int) -> list[Figure]:
    FilterMachine.sequences = FilterMachine.steps = 0
    options = settings(
        max_examples=sequences,
        stateful_step_count=length,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(FilterMachine, settings=options)  # raises where they differ
    return [
        Figure("sequences", FilterMachine.sequences),
        Figure("states compared", FilterMachine.steps),
        Figure("sequences fewer than asked for", max(sequences - FilterMachine.sequences, 0), 0),
    ]


# ------------------------------------------------------------------------------------- M3, dtype x layout x entry point

REAL = ("f8", "f4", "f2", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?", ">f8", ">f4", ">i4", "g")
NUMBERS_AS_OBJECTS = ("O float", "O int")
"""Taken as lists, where they are plain numbers; arrays of objects are refused."""
REFUSED = ("c16", "c8", "U3", "S3", "M8[s]", "m8[s]", "V8", "record", "O text", "O None", "O list")
"""What is no real number: DtypeError whatever the layout."""


def _subclass(A: np.ndarray) -> np.ndarray:
    return A.view(type("Sub", (np.ndarray,), {}))


def _unaligned(A: np.ndarray) -> np.ndarray:
    if A.dtype.hasobject:
        return A
    raw = np.zeros(A.nbytes + 1, dtype=np.uint8)
    view = raw[1:].view(A.dtype).reshape(A.shape)
    view[...] = A
    return view


def _locked(A: np.ndarray) -> np.ndarray:
    A = A.copy()
    A.setflags(write=False)
    return A


LAYOUTS: dict[str, Callable[[np.ndarray], Any]] = {
    "C": lambda A: np.array(A, order="C"),
    "F": lambda A: np.array(A, order="F"),
    "strided": lambda A: np.repeat(A, 2, axis=-1)[..., ::2],
    "reversed": lambda A: np.ascontiguousarray(A[::-1])[::-1],
    "read-only": _locked,
    "unaligned": _unaligned,
    "subclass": _subclass,
    "list": lambda A: A.tolist(),
}

D = 3


def entries() -> dict[str, tuple[tuple[int, ...], Callable[[Any], Any]]]:
    """Where an array may come in: its shape, and a call that uses it and returns what can be compared bit by bit."""

    def new() -> Any:
        return kfng.Filter(kfng.Linear(D), kfng.Gaussian(0.5))

    def after(call: Callable[[Any], Any]) -> Any:
        flt = new()
        call(flt)
        return bits(flt)

    U, y = np.ones((4, D)), np.ones(4)
    return {
        "update u": ((D,), lambda A: after(lambda flt: flt.update(A, 1.0))),
        "update_many U": ((4, D), lambda A: after(lambda flt: flt.update_many(A, y))),
        "update_many Y": ((4,), lambda A: after(lambda flt: flt.update_many(U, A))),
        "update_many weight": ((4,), lambda A: after(lambda flt: flt.update_many(U, y, weight=A))),
        "update_many dt": ((4,), lambda A: after(lambda flt: flt.update_many(U, y, dt=A))),
        "update_many offset": ((4,), lambda A: after(lambda flt: flt.update_many(U, y, offset=A))),
        "predict U": ((4, D), lambda A: new().predict(A).tobytes()),
        "theta": ((D + 1,), lambda A: bits(kfng.Filter(kfng.Linear(D), kfng.Gaussian(), theta=A))),
        "from_rows U0": ((4, D), lambda A: bits(kfng.Filter.from_rows(A, y, kfng.Linear(D), kfng.Gaussian(1.0)))),
    }


def of_dtype(kind: str, shape: tuple[int, ...]) -> np.ndarray:
    """0 and 1, in a pattern, as this dtype; or things that are no real numbers."""
    base = (np.arange(int(np.prod(shape))) % 2).reshape(shape)
    if kind.startswith("O "):
        values = {"float": 1.0, "int": 1, "text": "a", "None": None, "list": [1.0]}
        A = np.empty(shape, dtype=object)
        for at in np.ndindex(shape):
            one = values[kind[2:]]
            A[at] = type(one)(base[at]) if kind in ("O float", "O int") else one
        return A
    if kind == "V8":
        return np.zeros(shape, dtype="V8")
    if kind == "record":
        return np.zeros(shape, dtype=[("a", "f8"), ("b", "i4")])
    if kind == "M8[s]":
        return np.full(shape, datetime.datetime(2020, 1, 1), dtype="M8[s]")
    if kind == "U3":
        return np.full(shape, "one")
    if kind == "S3":
        return np.full(shape, b"one")
    return base.astype(kind)


@check(
    "M3",
    "every dtype in every layout at every entry point: the bits of the same numbers in float64, or a DtypeError",
    small={"every": 3},
    full={"every": 1},
)
def arrays(every: int) -> list[Figure]:
    cells = taken = refused = wrong = untyped = shapes = 0
    for entry, (shape, call) in entries().items():
        expected = call(of_dtype("f8", shape))
        for kind in REAL + NUMBERS_AS_OBJECTS + REFUSED:
            for layout, lay in LAYOUTS.items():
                cells += 1
                real = kind in REAL or (kind in NUMBERS_AS_OBJECTS and layout == "list")
                if cells % every:
                    continue
                if not real and layout == "list" and kind[0] not in "cU":
                    A: Any = lay(of_dtype("U3", shape))
                else:
                    A = lay(of_dtype(kind, shape))
                try:
                    got = call(A)
                except errors.DtypeError:
                    refused += 1
                    if real:
                        wrong += 1
                        print(f"{entry}, {kind}, {layout}: refused")
                except errors.KfngError as error:
                    wrong += 1
                    print(f"{entry}, {kind}, {layout}: {error}")
                except BaseException as error:
                    print(f"{entry}, {kind}, {layout}: {type(error).__name__}: {error}")
                    untyped += 1
                else:
                    taken += 1
                    if not real or got != expected:
                        wrong += 1
                        print(f"{entry}, {kind}, {layout}: taken")
        for bad in (shape[1:] or (), (*shape, 2), (0,), tuple(n + 1 for n in shape)):
            shapes += 1
            try:
                call(np.ones(bad))
            except errors.KfngError:
                pass
            except BaseException as error:
                print(f"{entry}, shape {bad}: {type(error).__name__}: {error}")
                untyped += 1
    return [
        Figure("cells in the table", cells),
        Figure("cells tried", cells // every),
        Figure("taken", taken),
        Figure("refused", refused),
        Figure("wrong shapes tried", shapes),
        Figure("cells whose outcome is not that of the table", wrong, 0),
        Figure("errors of no type of kfng", untyped, 0),
    ]


# --------------------------------------------------------------------------------------------- M4, M5, M9: memory

HOSTILE = """
import resource, sys
import numpy as np
import kfng
from kfng import errors
limit = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
outcomes = []
def attempt(call):
    try:
        call()
        outcomes.append("done")
    except (errors.KfngError, MemoryError) as error:
        outcomes.append(type(error).__name__)
sizes = [0, 1, 2**15, 2**16, 2**20, 2**24, 2**31 - 1, 2**31, 2**32, 2**40, 2**62, 2**63 - 1, 2**64, 2**70]
for n in sizes:
    for k in (1, 2**16, 2**31 - 1, 2**62):
        attempt(lambda: kfng.Filter(kfng.Linear(n, k), kfng.Gaussian()))
        attempt(lambda: kfng.Filter(kfng.External(n, k), kfng.Gaussian(None)))
    attempt(lambda: kfng.Filter(kfng.Linear(n), kfng.Gaussian(), belief=kfng.Diagonal(1.0)))
    attempt(lambda: kfng.Filter(kfng.MLP([n, n, 1]), kfng.Gaussian()))
    attempt(lambda: kfng.Filter(kfng.RNN(n, n, 1), kfng.Gaussian()))
    attempt(lambda: kfng.Bank(kfng.Linear(n), kfng.Gaussian()))
flt = kfng.Filter(kfng.Linear(3), kfng.Gaussian())
for shape in ((2**40, 3), (2**20, 2**20), (2**60, 1), (1, 2**60), (2**33, 3)):
    U = np.broadcast_to(np.float32(0), shape)
    attempt(lambda: flt.update_many(U, np.zeros(3)))
    attempt(lambda: flt.predict(U))
attempt(lambda: flt.sample(2**62, seed=0))
attempt(lambda: flt.sample(2**26, seed=0))
flt.update(np.ones(3), 1.0)
print(len(outcomes), outcomes.count("done"))
"""


def run(script: str, *arguments: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, timeout=600, check=False
    )
    return done.returncode, done.stdout, done.stderr


@check(
    "M4",
    "sizes chosen to break allocators, in a process of 2 GB: typed errors or MemoryErrors",
    small={"limit": 2 << 30},
    full={"limit": 2 << 30},
)
def hostile_sizes(limit: int) -> list[Figure]:
    status, out, err = run(HOSTILE, str(limit))
    if status:
        print(err[-2000:])
        return [Figure("exit status of the process", abs(status), 0)]
    tried, done = map(int, out.split())
    return [
        Figure("sizes tried", tried),
        Figure("of them small enough to be made", done),
        Figure("exit status of the process", abs(status), 0),
    ]


SCARCE = """
import resource, sys
import numpy as np
import kfng
d, room = int(sys.argv[1]), int(sys.argv[2])
U, y = np.ones((200, d)), np.ones(200)
def work():
    flt = kfng.Filter(kfng.Linear(d), kfng.Gaussian(None))
    flt.update(U[0], 1.0)
    flt.update_many(U, y)
    flt.cov(); flt.copy(); flt.predict(U, return_std=True)
    return flt
flt = work()  # everything has been used once
before = {k: v.tobytes() for k, v in flt._state().items()}
with open("/proc/self/statm") as file:
    used = int(file.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + room, resource.RLIM_INFINITY))
outcome = "done"
try:
    work()
except MemoryError:
    outcome = "memory"
reads = "done"
try:
    flt.cov()
    flt.copy()
except MemoryError:
    reads = "memory"
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
same = all(v.tobytes() == before[k] for k, v in flt._state().items())
print(outcome, reads, same)
"""


@check(
    "M5",
    "memory that runs out somewhere in a filter's life is a MemoryError, and leaves other filters as they were",
    small={"rooms": 8},
    full={"rooms": 300},
)
def scarce_memory(rooms: int) -> list[Figure]:
    outcomes = {"done": 0, "memory": 0}
    ended = changed = 0
    for i in range(rooms):
        room = int(1.4 * 8 * 900**2 * 4 * i / rooms) // 4096 * 4096
        status, out, err = run(SCARCE, "900", str(room))
        if status:
            ended += 1
            print(room, status, err[-300:])
            continue
        outcome, _, same = out.split()
        outcomes[outcome] += 1
        changed += same != "True"
    return [
        Figure("limits tried, from none to enough for all", rooms),
        Figure("that ended in a MemoryError", outcomes["memory"]),
        Figure("that had enough", outcomes["done"]),
        Figure("processes that ended otherwise", ended, 0),
        Figure("other filters changed", changed, 0),
    ]


def resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


@check(
    "M9",
    "filters and banks that are made, used and dropped leave nothing behind",
    small={"cycles": 600},
    full={"cycles": 100_000},
)
def leaks(cycles: int) -> list[Figure]:
    U, y = np.ones((20, 6)), np.ones(20)

    def cycle() -> None:
        flt = kfng.Filter(kfng.Linear(6), kfng.Gaussian(None), rule=kfng.Fading(0.01))
        flt.update_many(U, y)
        step = flt.update(U[0], 1.0)
        float(step.prediction), step.nll
        flt.predict(U, return_std=True)
        twin = pickle.loads(pickle.dumps(flt))
        with contextlib.suppress(errors.KfngError):
            twin.update(U[0], np.inf)
        bank = kfng.Bank(kfng.Linear(6), kfng.Gaussian(None))
        bank.update(np.arange(20), U, y)

    for _ in range(300):
        cycle()
    gc.collect()
    size, blocks = resident(), sys.getallocatedblocks()
    for _ in range(cycles):
        cycle()
    gc.collect()
    grown, more = resident() - size, sys.getallocatedblocks() - blocks
    return [
        Figure("cycles", cycles),
        Figure("growth of the process, bytes a cycle", grown / cycles, 16 if cycles >= 50_000 else 4000),
        Figure("blocks of Python left, a cycle", more / cycles, 0.01 if cycles >= 50_000 else 2.0),
    ]
