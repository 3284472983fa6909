"""Threads on one bank, forks, signals: nothing hangs, nothing is half done."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from bank.banks import bits, make
from together import HANG, run_all


def rows(seed, n=400):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 3)), rng.normal(size=n)


@pytest.mark.parametrize("workers", [2, 16])
@pytest.mark.parametrize("threads", [1, 2])
def test_threads_with_keys_of_their_own(impl, workers, threads):
    """Every order of their calls ends in the same bits."""
    n = 400 if impl.__name__ == "kfng" else 40
    bank, twin = make(impl, num_threads=threads), make(impl)

    def work(i):
        X, y = rows(i, n)
        for part in np.array_split(np.arange(n), 5):
            bank.update(np.arange(n)[part] % 7 + 100 * i, X[part], y[part])

    run_all([lambda i=i: work(i) for i in range(workers)])
    for i in range(workers):
        twin.update(np.arange(n) % 7 + 100 * i, *rows(i, n))
    assert dict(sorted(bits(bank).items())) == dict(sorted(bits(twin).items()))


def test_readers_beside_a_writer_see_whole_updates(impl):
    bank = make(impl)
    bank.update_panel(np.ones((50, 3)), np.ones(50), keys=np.arange(50))
    done = threading.Event()
    seen = []

    def write():
        for i in range(20):
            bank.update_panel(np.ones((50, 3)), np.ones(50))
            if i % 5 == 0:
                bank.update([f"other {i}"], np.ones((1, 3)), np.ones(1))
                bank.drop([f"other {i}"])
            while len(seen) <= i // 10:  # a reader comes between, however fast rows are
                time.sleep(0)
        done.set()

    def read():
        while not done.is_set():
            twin = bank.copy()
            seen.append(set(twin.n_updates(np.arange(50)).tolist()))
            bank.predict(np.arange(50), np.ones((50, 3)), return_std=True)
            bank.health(), bank.keys(), len(bank), bank.nbytes, bank[3], 7 in bank

    run_all([write, read, read])
    assert len(seen) > 1
    assert all(len(counts) == 1 for counts in seen)
    assert bank.n_updates([0]).tolist() == [21]


SCRIPT = """
import importlib, multiprocessing, os, sys, warnings
import numpy as np
warnings.simplefilter("ignore", DeprecationWarning)  # fork in a process with threads, which is the point
impl = importlib.import_module(sys.argv[1])
bank = impl.Bank(impl.Linear(3), impl.Gaussian(variance=None), num_threads=2)
n = int(sys.argv[2])
keys, X, y = np.arange(n) % 50, np.ones((n, 3)), np.ones(n)
bank.update(keys, X, y)

def work(bank):
    bank.update(keys, X, y)
    return bank.theta(keys[:50]).tobytes()

child = os.fork()
if child == 0:
    work(bank)
    os._exit(0 if bank.n_updates([0]).tolist() == [2 * (n // 50)] else 3)
_, status = os.waitpid(child, 0)
assert status == 0, status
mine = work(bank.copy())
with multiprocessing.get_context("fork").Pool(2) as pool:
    assert pool.map(work, [bank] * 4, chunksize=1) == [mine] * 4
print("survived", bank.n_updates([0]).tolist())
"""


def test_fork_after_use(impl):
    n = 20_000 if impl.__name__ == "kfng" else 500
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT, impl.__name__, str(n)],
        capture_output=True,
        text=True,
        timeout=2 * HANG,
        check=False,
    )
    assert done.stdout == f"survived [{n // 50}]\n", done.stderr
    assert done.returncode == 0


FORK_WHILE = """
import importlib, os, sys, threading, time, warnings
import numpy as np
warnings.simplefilter("ignore", DeprecationWarning)
impl = importlib.import_module(sys.argv[1])
bank = impl.Bank(impl.Linear(3), impl.Gaussian(variance=None), num_threads=2)
other = bank.copy()
n, stop = int(sys.argv[2]), threading.Event()
def learn():
    while not stop.is_set():
        bank.update(np.arange(n) % 50, np.ones((n, 3)), np.ones(n), trace=False)
thread = threading.Thread(target=learn)
thread.start()
for _ in range(5):
    child = os.fork()
    if child == 0:
        other.update(np.arange(n) % 50, np.ones((n, 3)), np.ones(n), trace=False)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert status == 0
stop.set()
thread.join()
print("done")
"""


def test_a_fork_while_another_thread_learns(impl):
    """The child has banks of its own that nobody was at work on."""
    done = subprocess.run(
        [sys.executable, "-c", FORK_WHILE, impl.__name__, "20000" if impl.__name__ == "kfng" else "100"],
        capture_output=True,
        text=True,
        timeout=HANG,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


def test_interrupted_by_a_signal(impl):
    """A KeyboardInterrupt leaves every key after some number of whole rows, all rows before some row applied."""
    n = 3_000_000 if impl.__name__ == "kfng" else 500
    bank, twin = make(impl), make(impl)
    keys = np.arange(n) % 10
    X, y = np.broadcast_to(np.ones(3), (n, 3)), np.broadcast_to(np.float64(1.0), n)

    def ring(*_):
        raise KeyboardInterrupt

    def learn():
        while True:
            bank.update(keys, X, y, trace=False)

    before = signal.signal(signal.SIGALRM, ring)
    try:
        bank.update(keys, X, y, trace=False)
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        with pytest.raises(KeyboardInterrupt):
            learn()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
    seen = bank.health()["n_seen"]
    assert seen > n
    for start in range(0, seen, n):
        twin.update(keys[: min(n, seen - start)], X[: min(n, seen - start)], y[: min(n, seen - start)], trace=False)
    assert bits(bank) == bits(twin)


def test_an_array_that_changes_during_the_call(impl):
    n = 20_000 if impl.__name__ == "kfng" else 1_000
    bank, X, keys, stop = make(impl), np.ones((n, 3)), np.arange(n) % 9, threading.Event()

    def scribble():
        while not stop.is_set():
            X[:] = np.nan
            keys[:] = 3
            X[:] = 1.0

    def learn():
        bank.update(keys, X, np.ones(n), on_bad_row="skip")
        stop.set()

    run_all([scribble, learn])
    assert bank.health()["n_seen"] <= n
    assert np.isfinite(bank.theta(bank.keys())).all()


def test_everything_at_once(impl, tmp_path):
    """Learning, reading, saving, loading, dropping, exporting and absorbing: every key is its own filter afterwards, or is gone."""
    n, rounds = (200, 12) if impl.__name__ == "kfng" else (30, 4)
    bank, path, stop = make(impl, num_threads=2), tmp_path / "bank.kfng", threading.Event()
    bank.update(["steady"], np.ones((1, 3)), np.ones(1))
    bank.save(path)
    learners = 3

    def learn(i):
        X, y = rows(i, n)
        for part in np.array_split(np.arange(n), rounds):
            bank.update(part % 5 + 100 * i, X[part], y[part])
            bank.predict(part % 5 + 100 * i, X[part], return_std=True)

    def come_and_go():
        for i in range(rounds):
            bank.update([f"gone {i}", "steady"], np.ones((2, 3)), np.ones(2))
            bank.drop([f"gone {i}"])

    def exchange():
        for i in range(rounds):
            other = make(impl)
            other.update([f"absorbed {i}"], *rows(i, 1))
            bank.absorb(other)
            taken = bank.export([f"absorbed {i}"])
            assert bits(taken) == bits(other)

    def keep():
        while not stop.is_set():
            bank.save(path)
            kept = impl.load(path)
            assert {key for key in kept if str(key).startswith("absorbed")} <= {f"absorbed {i}" for i in range(rounds)}
            assert np.isfinite(kept.theta(kept.keys())).all()

    def done_after(work):
        work()
        finished.append(work)
        if len(finished) == learners + 2:
            stop.set()

    finished: list = []
    jobs = [*(lambda i=i: learn(i) for i in range(learners)), come_and_go, exchange]
    run_all([*(lambda job=job: done_after(job) for job in jobs), keep])
    twin = make(impl)
    for i in range(learners):
        twin.update(np.arange(n) % 5 + 100 * i, *rows(i, n))
    twin.update(["steady"] * (rounds + 1), np.ones((rounds + 1, 3)), np.ones(rounds + 1))
    for i in range(rounds):
        twin.update([f"absorbed {i}"], *rows(i, 1))
    assert dict(sorted(bits(bank).items(), key=str)) == dict(sorted(bits(twin).items(), key=str))


def test_interrupted_while_it_saves(impl, tmp_path):
    """A KeyboardInterrupt at any time in a save: the file is the old bank or the new one, and the bank is as it was."""
    n = 3_000 if impl.__name__ == "kfng" else 50
    path, bank = tmp_path / "bank.kfng", make(impl)
    bank.update(np.arange(n), np.ones((n, 3)), np.ones(n), trace=False)
    begun = time.perf_counter()
    bank.save(path)
    lasts = time.perf_counter() - begun

    def ring(*_):
        raise KeyboardInterrupt

    before, rung, saved = signal.signal(signal.SIGALRM, ring), 0, 1
    try:
        for i in range(8):
            bank.update([0], np.ones((1, 3)), np.ones(1))
            theta = bank.theta(bank.keys()).tobytes()
            try:
                signal.setitimer(signal.ITIMER_REAL, lasts * (i + 0.5) / 8)
                bank.save(path)
                signal.setitimer(signal.ITIMER_REAL, 0.0)
            except KeyboardInterrupt:
                rung += 1
            seen = impl.load(path).n_updates([0])[0]
            assert seen in (saved, i + 2)
            saved = seen
            assert bank.theta(bank.keys()).tobytes() == theta
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
    assert rung
    bank.save(path)
    some = bank.export(list(range(0, n, n // 10)))
    assert bits(impl.load(path).export(some.keys())) == bits(some)
