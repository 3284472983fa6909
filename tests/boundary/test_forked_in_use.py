"""A child that is forked while another thread is inside a call on an object: it uses the object as it was, or is told; it never waits."""

import contextlib
import os
import threading
import time
import warnings

import numpy as np
import pytest

import kfng
import kfng.reference
from kfng.errors import UnsupportedError

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
FORKS = 8


def _filter(k):
    return k.Filter(k.Linear(3), k.Gaussian(variance=None))


def _subjects(k, n):
    """Of each kind an object, and a call on it."""
    flt, bank, parts = _filter(k), k.Bank(k.Linear(3), k.Gaussian(variance=None)), k.Mixture([_filter(k), _filter(k)])
    joint = k.JointEkf(k.RNN(3, 3, 1), k.Gaussian(0.5))
    state = k.StateFilter(3, 2, k.Gaussian(0.5), transition=np.eye(3), jacobian=np.ones((2, 3)))
    X, y, few = np.ones((n, 3)), np.ones(n), n // 50 + 5
    return {
        "filter": lambda: flt.update_many(X, y, trace=False),
        "bank": lambda: bank.update(np.arange(n) % 50, X, y, trace=False),
        "mixture": lambda: parts.update_many(X, y, trace=False),
        "joint": lambda: joint.update_many(np.ones((few, 3)), np.ones(few)),
        "state": lambda: state.update_many(np.ones((few, 2))),
    }


def _child(call) -> int:
    """A fork's exit status: 0 done, 3 told, 4 something else."""
    child = os.fork()
    if child == 0:
        try:
            call()
        except UnsupportedError as error:
            os._exit(3 if "forked" in str(error) else 4)
        except BaseException:
            os._exit(4)
        os._exit(0)
    begun = time.monotonic()
    while time.monotonic() < begun + 20:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return -9


@contextlib.contextmanager
def _busy(call):
    """While another thread does nothing else."""
    stop = threading.Event()

    def learn() -> None:
        while not stop.is_set():
            call()

    thread = threading.Thread(target=learn)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads, which is what is tried
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


@pytest.mark.parametrize("kind", ["filter", "bank", "mixture", "joint", "state"])
@pytest.mark.parametrize("implementation", [kfng, kfng.reference], ids=["kfng", "reference"])
def test_child_of_a_busy_parent(implementation, kind):
    call = _subjects(implementation, 20_000 if implementation is kfng else 300)[kind]
    call()
    found = []
    with _busy(call):
        for i in range(FORKS):
            time.sleep(0.003 * (i % 5))
            found.append(_child(call))
    assert set(found) <= {0, 3}, found
    assert 3 in found, "no fork met a call: nothing was tried"
    call()  # the parent goes on


def test_child_finds_other_objects_free():
    """Of an object that no thread was using the child has the use, whatever happens to others."""
    free = _filter(kfng)
    with _busy(_subjects(kfng, 20_000)["bank"]):
        found = [_child(lambda: free.update(np.ones(3), 1.0)) for _ in range(FORKS)]
    assert found == [0] * FORKS
