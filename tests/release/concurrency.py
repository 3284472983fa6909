"""X: threads, forks, re-entrant calls and the end of the interpreter."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading

import numpy as np
from release.check import Figure, check
from together import HANG, run_all

import kfng


def same_bits(flt, other) -> bool:
    return flt._to_bytes() == other._to_bytes()


@check(
    "X1",
    "threads on one filter end in the bits of the same rows one after the other",
    small={"threads": 8, "each": 60},
    full={"threads": 8, "each": 5000},
)
def threads_on_one_filter(threads: int, each: int) -> list[Figure]:
    flt, serial = (kfng.Filter(kfng.Linear(20), kfng.Gaussian(None)) for _ in range(2))
    u = np.linspace(-1, 1, 20)

    def work() -> None:
        for i in range(each):
            if i % 4 == 3:
                flt.update_many([u] * 5, [1.0] * 5)
            else:
                flt.update(u, 1.0)
            if i % 8 == 0:
                flt.predict([u])
                flt.copy()

    run_all([work] * threads)
    rows = threads * sum(5 if i % 4 == 3 else 1 for i in range(each))
    serial.update_many([u] * rows, [1.0] * rows)
    return [
        Figure("threads", threads),
        Figure("rows", rows),
        Figure("rows lost or taken twice", abs(flt.n_updates - rows), 0),
        Figure("ends that differ in a bit", not same_bits(flt, serial), 0),
    ]


@check(
    "X3",
    "threads with keys of their own on one bank: each key is its own filter, to the bit",
    small={"threads": 16, "each": 10},
    full={"threads": 16, "each": 1000},
)
def threads_on_one_bank(threads: int, each: int) -> list[Figure]:
    bank = kfng.Bank(kfng.Linear(3), kfng.Gaussian(None))
    rng = np.random.default_rng(3)
    U, y = rng.normal(size=(threads, each, 7, 3)), rng.normal(size=(threads, each, 7))
    keys = [[f"{t}-{i % 3}" for i in range(7)] for t in range(threads)]

    def work(t: int) -> None:
        for i in range(each):
            bank.update(keys[t], U[t, i], y[t, i])

    run_all([lambda t=t: work(t) for t in range(threads)])
    different = 0
    for t in range(threads):
        for j in range(3):
            twin = kfng.Filter(kfng.Linear(3), kfng.Gaussian(None))
            rows = [k for k in range(7) if k % 3 == j]
            twin.update_many(U[t][:, rows].reshape(-1, 3), y[t][:, rows].ravel())
            mine = bank[f"{t}-{j}"]
            different += not all(a.tobytes() == mine._state()[name].tobytes() for name, a in twin._state().items())
    return [
        Figure("threads", threads),
        Figure("batches of each", each),
        Figure("keys that differ from their filter in a bit", different, 0),
    ]


CHILDREN = """
import multiprocessing, os, sys, threading, warnings
import numpy as np
import kfng
warnings.simplefilter("ignore", DeprecationWarning)
U, Y = np.ones((50, 40)), np.ones(50)

def work(flt):
    flt.update_many(U, Y)
    return flt.n_updates, flt.theta.tobytes()

if __name__ == "__main__":
    method, n = sys.argv[1], int(sys.argv[2])
    flt = kfng.Filter(kfng.Linear(40), kfng.Gaussian(), num_threads=2)
    flt.update_many(U, Y)
    expected = work(flt.copy())
    if method == "os.fork":
        stop = threading.Event()
        busy = kfng.Filter(kfng.Linear(40), kfng.Gaussian())
        def learn():
            while not stop.is_set():
                busy.update_many(U, Y, trace=False)
        other = threading.Thread(target=learn)
        other.start()
        wrong = 0
        for _ in range(n):
            child = os.fork()
            if child == 0:
                os._exit(0 if work(flt) == expected else 3)
            wrong += os.waitpid(child, 0)[1] != 0
        stop.set()
        other.join()
        print(wrong)
    else:
        wrong = 0
        with multiprocessing.get_context(method).Pool(2, maxtasksperchild=1 if method == "fork" else 20) as pool:
            wrong = sum(answer != expected for answer in pool.map(work, [flt] * n, chunksize=1))
        print(wrong)
"""


@check(
    "X4",
    "children by fork (also while another thread learns), forkserver and spawn: they learn the same bits, none hangs",
    small={"forks": 20, "pooled": 6},
    full={"forks": 300, "pooled": 300},
)
def children(forks: int, pooled: int) -> list[Figure]:
    import tempfile
    from pathlib import Path

    figures = []
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "children.py"
        script.write_text(CHILDREN)
        for method, n in (("os.fork", forks), ("fork", pooled), ("forkserver", pooled), ("spawn", min(pooled, 60))):
            try:
                done = subprocess.run(
                    [sys.executable, str(script), method, str(n)],
                    capture_output=True,
                    text=True,
                    timeout=HANG + 10 * n,
                    check=False,
                )
                wrong = int(done.stdout) if done.returncode == 0 else n
                if done.returncode:
                    print(done.stderr[-2000:])
            except subprocess.TimeoutExpired:
                wrong = n
            figures += [
                Figure(f"{method}: pieces of work in children", n),
                Figure(f"{method}: wrong or hanging", wrong, 0),
            ]
    return figures


@check(
    "X6",
    "the interpreter may end while daemon threads learn and read",
    small={"runs": 3},
    full={"runs": 600},
)
def ends(runs: int) -> list[Figure]:
    from boundary.test_concurrency import EXIT, EXIT_BUSY

    failures = 0
    for i in range(runs):
        script = EXIT_BUSY if i % 2 == 0 else EXIT
        done = subprocess.run(
            [sys.executable, "-c", script, "kfng"], capture_output=True, text=True, timeout=10 * HANG, check=False
        )
        failures += (done.returncode, done.stdout, done.stderr) != (0, "leaving\n", "")
    return [Figure("runs", runs), Figure("that ended in anything but silence", failures, 0)]


class Reentrant:
    """A number that uses the filter while it is being read, and when it is dropped."""

    def __init__(self, flt, value: float, log: list[str]) -> None:
        self.flt, self.value, self.log = flt, value, log

    def __float__(self) -> float:
        self.log.append("float")
        self.flt.update([0.0, 0.0], 0.5)
        return self.value

    def __del__(self) -> None:
        self.log.append("del")
        self.flt.predict([[1.0, 1.0]])


@check(
    "X8",
    "objects that use the filter while it reads them, or when they are dropped: no deadlock, nothing half done",
    small={"rounds": 30},
    full={"rounds": 5000},
)
def reentrant(rounds: int) -> list[Figure]:
    flt = kfng.Filter(kfng.Linear(2), kfng.Gaussian(None), rule=kfng.Fading(0.01))
    log: list[str] = []
    bad = 0

    def work() -> None:
        nonlocal bad
        for i in range(rounds):
            with contextlib.suppress(kfng.errors.DtypeError):
                flt.update([Reentrant(flt, 1.0, log), 2.0], 1.0)
            with contextlib.suppress(kfng.errors.DtypeError):
                flt.update_many([[Reentrant(flt, 1.0, log), 2.0]] * 3, [1.0] * 3)
            flt.update_many(np.ones((5, 2)), np.ones(5), progress=lambda done, total: flt.update([1.0, 1.0], 0.5))
            bad += not np.isfinite(flt.theta).all()
            if i % 10 == 0:
                flt.copy()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(HANG + rounds)
    return [
        Figure("rounds", rounds),
        Figure("times that such an object was asked or dropped", len(log)),
        Figure("deadlocks", thread.is_alive(), 0),
        Figure("states that were not finite", bad, 0),
    ]
