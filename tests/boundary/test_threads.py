"""num_threads and KFNG_NUM_THREADS: checked when a filter is made, without a trace in its bits, its files or its children."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from boundary.filters import bits, make, refused

import kfng
from kfng.errors import ParameterError

VARIABLE = "KFNG_NUM_THREADS"


@pytest.mark.parametrize("text", ["0", "-1", "2.5", "two", "1025", "10000000000000", "0x2", "²", "1 2"])
def test_a_bad_variable_is_refused_when_a_filter_is_made(impl, text, monkeypatch):
    flt = make(impl, "gaussian")
    monkeypatch.setenv(VARIABLE, text)
    with refused(ParameterError, VARIABLE):
        make(impl, "gaussian")
    make(impl, "gaussian", num_threads=2)  # the argument wins, and the variable is not read
    flt.update([0.0, 0.0, 0.0], 1.0)  # made before


@pytest.mark.parametrize(("text", "threads"), [("3", 3), (" 2 ", 2), ("", 1), ("  ", 1), ("1024", 1024), (None, 1)])
def test_the_variable_counts_where_there_is_no_argument(impl, text, threads, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    if text is not None:
        monkeypatch.setenv(VARIABLE, text)
    flt = make(impl, "gaussian")
    assert flt.settings.threads == threads
    assert flt.settings.num_threads is None  # so that a file does not carry one machine's variable to another
    assert "num_threads" not in repr(flt)
    assert make(impl, "gaussian", num_threads=5).settings.threads == 5


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("d", [1000, 1037])
def test_the_same_bits(d, dtype):
    """That threads are used here, and their passes, are counted by the tests in Rust."""
    rng = np.random.default_rng(0)
    U, Y = rng.normal(size=(40, d)), rng.normal(size=40)
    Y[7] = np.nan
    found = []
    for threads in (1, 2, 7):
        model, rule = kfng.Linear(d, intercept=False), kfng.Fading(0.01)
        flt = kfng.Filter(model, kfng.Gaussian(None), rule=rule, num_threads=threads, dtype=dtype)
        trace = flt.update_many(U, Y)
        flt.update(U[0], 1.0)
        found.append((bits(flt), trace.prediction.tobytes(), trace.std.tobytes(), trace.nll.tobytes()))
    assert found[0] == found[1] == found[2]


FORK = """
import multiprocessing, os, threading, warnings
import numpy as np, kfng
warnings.simplefilter("ignore", DeprecationWarning)  # fork beside a thread, which is the point
U, Y = np.random.default_rng(0).normal(size=(64, 1100)), np.ones(64)

def made():
    flt = kfng.Filter(kfng.Linear(1100), kfng.Gaussian(), num_threads=2)
    flt.update_many(U, Y)
    return flt

def child(_):
    flt.update_many(U, Y)  # used before the fork
    return flt.theta.tobytes(), made().theta.tobytes()

flt, other, stop = made(), made(), threading.Event()
def busy():
    while not stop.is_set():
        other.update_many(U, Y, trace=False)
thread = threading.Thread(target=busy)  # its threads are alive at the fork
thread.start()
pid = os.fork()
if pid == 0:
    child(0)
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
with multiprocessing.get_context("fork").Pool(2) as pool:
    found = pool.map(child, range(2), chunksize=1)
stop.set()
thread.join()
fresh = made().theta.tobytes()
flt.update_many(U, Y)
assert found == [(flt.theta.tobytes(), fresh)] * 2
print("survived")
"""


def test_a_child_of_a_process_with_busy_threads_learns():
    done = subprocess.run([sys.executable, "-c", FORK], capture_output=True, text=True, timeout=120, check=False)
    assert (done.stdout, done.returncode) == ("survived\n", 0), done.stderr


def test_interrupted_by_a_signal():
    """With threads as without: a KeyboardInterrupt comes between pieces and leaves whole rows."""
    n, d = 100_000, 1000
    U, Y = np.broadcast_to(np.random.default_rng(0).normal(size=(1, d)), (n, d)), np.ones(n)
    flt, twin = (kfng.Filter(kfng.Linear(d), kfng.Gaussian(), num_threads=t) for t in (2, 1))

    def ring(*_):
        rung.append(time.perf_counter())
        raise KeyboardInterrupt

    rung = []
    before = signal.signal(signal.SIGALRM, ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        with pytest.raises(KeyboardInterrupt):
            flt.update_many(U, Y, trace=False)
        raised = time.perf_counter()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
    done = flt.health()["n_seen"]
    assert 0 < done < n
    assert raised - rung[0] < 2.0
    twin.update_many(U[:done], Y[:done], trace=False)
    assert bits(flt) == bits(twin)
