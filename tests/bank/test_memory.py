"""What a key costs."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from bank.banks import make

KEYS = 100_000


def grown_by(bank, keys):
    """Bytes that one more key takes, over many."""
    X, y = np.ones((len(keys), 8)), np.ones(len(keys))
    before = bank.nbytes
    bank.update(keys, X, y, trace=False)
    return (bank.nbytes - before) / len(keys)


def test_what_a_key_costs(impl):
    """Linear(8) with intercept, noise learned: 640 bytes in float64, its place in the table and spare room included, the key apart."""
    if impl.__name__ != "kfng":
        assert grown_by(make(impl, d=8), np.arange(50)) > 500
        return
    bank = make(impl, d=8)
    bank.update([-1], np.ones((1, 8)), np.ones(1))
    each = grown_by(bank, np.arange(KEYS))
    assert 560 < bank._record_nbytes() <= 640
    assert bank._record_nbytes() + 8 < each <= 640 + 8
    narrow = make(impl, d=8, dtype="float32")
    assert grown_by(narrow, np.arange(KEYS)) < each - 200


GROWN = """
import sys
import numpy as np
import kfng

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

bank = kfng.Bank(kfng.Linear(8), kfng.Gaussian(variance=None))
X, y = np.ones((10_000, 8)), np.ones(10_000)
for start in range(0, int(sys.argv[1]) + 10_000, 10_000):
    if start == 10_000:
        before = resident(), bank.nbytes
    bank.update(np.arange(start, start + 10_000), X, y, trace=False)
print(resident() - before[0], bank.nbytes - before[1])
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks Linux how much memory the process has")
def test_nbytes_is_what_the_process_takes():
    """Within a twentieth, over so many keys that the rest of the process does not matter."""
    run = subprocess.run([sys.executable, "-c", GROWN, str(2 * KEYS)], check=True, capture_output=True, text=True)
    resident, counted = map(int, run.stdout.split())
    assert 0.95 * counted < resident < 1.05 * counted
    assert resident <= 2 * KEYS * (640 + 8 + 16), "with what the allocator adds"


def test_a_time_is_eight_bytes_more(impl):
    n = 2000
    bank, timed = make(impl), make(impl)
    bank.update(np.arange(n), np.ones((n, 3)), np.ones(n), trace=False)
    timed.update(np.arange(n), np.ones((n, 3)), np.ones(n), time=np.zeros(n), trace=False)
    assert 8 * n <= timed.nbytes - bank.nbytes <= 1.5 * 8 * n


@pytest.mark.parametrize("trace", [True, False])
def test_updating_keys_that_are_there_takes_no_memory(impl, trace):
    bank = make(impl)
    keys = np.arange(300)
    bank.update(keys, np.ones((300, 3)), np.ones(300))
    before = bank.nbytes
    for _ in range(3):
        bank.update(keys, np.ones((300, 3)), np.ones(300), trace=trace)
    assert bank.nbytes == before


def test_dropped_keys_make_room_for_others(impl):
    bank = make(impl)
    for generation in range(5):
        keys = np.arange(500) + 1000 * generation
        bank.update(keys, np.ones((500, 3)), np.ones(500))
        if generation == 1:
            size = bank.nbytes
        bank.drop(keys)
    assert len(bank) == 0
    assert bank.nbytes <= 1.1 * size
