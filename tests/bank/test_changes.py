"""Saves of what has changed: the bank as it was saved, to the bit, at any moment; and a typed error for what is none."""

from __future__ import annotations

import re
import subprocess
import sys
import time

import numpy as np
import pytest
from bank.banks import bits, make, stream

from kfng import checkpoint

SETTINGS = {
    "plain": {},
    "float32": {"dtype": "float32"},
    "most keys": {"max_keys": 30},
}


def bases(folder):
    return sorted(path.name for path in folder.iterdir() if ".base-" in path.name)


def header(path):
    return checkpoint.peek(path)


def step(bank, i, rng):
    """Something happens to few keys."""
    names = [int(key) if i % 2 else str(key) for key in rng.integers(0, 60, 3)]
    bank.update(names, rng.normal(size=(3, 3)), rng.normal(size=3))
    if i % 3 == 0:
        bank.drop(list(rng.permutation(np.array(bank.keys(), dtype=object))[:2]))
    if i % 5 == 0:
        bank.share_prior()
    if i % 4 == 0:
        X = rng.normal(size=(2, 3))
        X[1, 0] = np.nan
        bank.update([*bank.keys()[:1], names[0]], X, np.ones(2), on_bad_row="skip")


@pytest.mark.parametrize("name", SETTINGS)
def test_a_bank_is_as_it_was_saved(impl, name, tmp_path):
    rng = np.random.default_rng(0)
    bank, path = make(impl, **SETTINGS[name]), tmp_path / "bank.kfng"
    bank.update([str(i) for i in range(30)], *stream(30)[1:])
    seen = set()
    for i in range(16):
        step(bank, i, rng)
        bank.save(path, incremental=True)
        twin = impl.load(path)
        assert (bits(twin), twin.keys(), repr(twin)) == (bits(bank), bank.keys(), repr(bank))
        assert [prior.theta.tobytes() for prior in twin._priors[-1:]] == [bank._priors[-1].theta.tobytes()]
        seen.add(header(path)["base"]["file"])
        if i % 4 == 3:
            bank = twin  # which goes on with the base
    assert 1 < len(seen) < 12, "some saves have written all keys, some only changes"
    assert len(bases(tmp_path)) <= 2
    assert {file.name for file in tmp_path.iterdir()} == {"bank.kfng", "bank.kfng.prev", *bases(tmp_path)}


def test_times_are_kept(impl, tmp_path):
    bank, path = make(impl), tmp_path / "bank.kfng"
    bank.update(np.arange(20), np.ones((20, 3)), np.ones(20))
    bank.save(path, incremental=True)
    for when in (3.0, 5.0):
        bank.update([4, 30], np.ones((2, 3)), np.ones(2), time=[when, when + 1])
        bank.update([4], np.ones((1, 3)), np.ones(1), time=[when + 0.5])
        bank.save(path, incremental=True)
        twin = impl.load(path)
        for one in (bank, twin):
            one.update([4, 5, 30], np.ones((3, 3)), np.ones(3), time=[9.0, 9.0, 9.0])
        assert bits(twin) == bits(bank)
        with pytest.raises(impl.ParameterError):
            twin.update([30], np.ones((1, 3)), np.ones(1), time=[8.0])
        bank = impl.load(path)


def test_only_changes_are_written(impl, tmp_path):
    bank, path, n = make(impl), tmp_path / "bank.kfng", 300
    bank.update(np.arange(n), np.ones((n, 3)), np.ones(n))
    bank.save(path, incremental=True)
    (base,) = bases(tmp_path)
    before = (tmp_path / base).read_bytes()
    bank.update([5, 7, 5], np.ones((3, 3)), np.ones(3))
    bank.drop([8])
    bank.save(path, incremental=True)
    assert bases(tmp_path) == [base]
    assert (tmp_path / base).read_bytes() == before
    assert path.stat().st_size < len(before) / 10
    with checkpoint.stored(path) as found:
        assert found["keys.int"].tolist() == [5, 7]
        assert found["gone.int"].tolist() == [8]
    bank.update(np.arange(n), np.ones((n, 3)), np.ones(n))
    bank.save(path, incremental=True)
    assert len(bases(tmp_path)) == 2, "the file before it needs the older one"
    assert header(path)["base"]["file"] != base == header(tmp_path / "bank.kfng.prev")["base"]["file"]
    bank.save(path, incremental=True)
    assert base not in bases(tmp_path)


def test_a_whole_save_stands_alone(impl, tmp_path):
    bank, path = make(impl), tmp_path / "bank.kfng"
    bank.update(np.arange(50), np.ones((50, 3)), np.ones(50))
    bank.save(path, incremental=True)
    bank.save(tmp_path / "whole.kfng")
    bank.update([1], np.ones((1, 3)), np.ones(1))
    bank.save(path, incremental=True)
    assert len(bases(tmp_path)) == 1
    (tmp_path / bases(tmp_path)[0]).unlink()
    assert len(impl.load(tmp_path / "whole.kfng")) == 50
    with pytest.raises(FileNotFoundError, match=r"base-") as caught:
        impl.load(path)
    assert isinstance(caught.value, impl.UnreadableError)
    bank.save(path, incremental=True)  # another base, for that one is not there
    assert bits(impl.load(path)) == bits(bank)


def test_a_base_that_is_another_is_refused(impl, tmp_path):
    path = tmp_path / "bank.kfng"
    for seed in (0, 1):
        bank = make(impl)
        bank.update(np.arange(20) + seed, np.ones((20, 3)), np.ones(20))
        bank.save(path, incremental=True)
        if seed == 0:
            data = (tmp_path / bases(tmp_path)[0]).read_bytes()
    base = tmp_path / header(path)["base"]["file"]
    base.write_bytes(data)
    with pytest.raises(impl.BadDigestError):
        impl.load(path)
    base.write_bytes(data[:-1])
    with pytest.raises(impl.CheckpointError):
        impl.load(path)
    bank.update([1], np.ones((1, 3)), np.ones(1))
    bank.save(path, incremental=True)
    assert bits(impl.load(path)) == bits(bank)


def altered(path, change):
    with checkpoint.stored(path) as found:
        head, arrays = found.header, dict(found)
    change(head, arrays)
    path.write_bytes(checkpoint.encode(head, arrays))


def put(name, value):
    return lambda head, arrays: arrays.__setitem__(name, np.array(value, dtype=arrays[name].dtype))


HOSTILE = {
    "no base": lambda head, arrays: head.pop("base"),
    "a base elsewhere": lambda head, arrays: head["base"].__setitem__("file", "../bank.kfng.base-0123456789abcdef"),
    "a base that is no name": lambda head, arrays: head["base"].__setitem__("file", 3),
    "a digest that is none": lambda head, arrays: head["base"].__setitem__("digest", "00"),
    "another number of keys": lambda head, arrays: head["base"].__setitem__("keys", 3),
    "other settings": lambda head, arrays: head["spec"].__setitem__("iterations", 2),
    "max_keys": lambda head, arrays: head["bank"].__setitem__("max_keys", 3),
    "gone and never there": put("gone.int", [99]),
    "gone keys without numbers": put("gone.int", []),
    "new keys first": put("keys.int", [99, 5]),
    "a key twice": put("keys.int", [5, 5]),
    "theta of another shape": lambda head, arrays: arrays.__setitem__("state.theta", np.zeros((2, 1))),
    "negative counters": lambda head, arrays: arrays["state.counters"].fill(-1.0),
    "no gone keys": lambda head, arrays: arrays.pop("gone.kind"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_changes(impl, name, tmp_path):
    bank, path = make(impl), tmp_path / "bank.kfng"
    bank.update(np.arange(20), np.ones((20, 3)), np.ones(20))
    bank.save(path, incremental=True)
    bank.drop([3])
    bank.update([5, 40], np.ones((2, 3)), np.ones(2))
    bank.save(path, incremental=True)
    altered(path, lambda head, arrays: None)
    assert bits(impl.load(path)) == bits(bank)
    altered(path, HOSTILE[name])
    with pytest.raises(impl.CheckpointError):
        impl.load(path)


def test_a_save_that_fails_leaves_the_file(impl, tmp_path, monkeypatch):
    bank, path = make(impl), tmp_path / "bank.kfng"
    bank.update(np.arange(20), np.ones((20, 3)), np.ones(20))
    bank.save(path, incremental=True)
    saved = bits(bank)

    def full(*_):
        raise OSError(28, "no space")

    for keys in ([1], np.arange(20)):  # changes; a new base
        bank.update(keys, np.ones((len(keys), 3)), np.ones(len(keys)))
        with monkeypatch.context() as patch:
            patch.setattr(checkpoint._write, "_write_new", full)
            with pytest.raises(OSError, match="no space"):
                bank.save(path, incremental=True)
        assert bits(impl.load(path)) == saved
    bank.save(path, incremental=True)
    assert bits(impl.load(path)) == bits(bank)
    with pytest.raises(impl.ParameterError, match="incremental"):
        bank.save(path, incremental=1)


KILLED = """
import importlib, sys
import numpy as np
impl = importlib.import_module(sys.argv[1])
bank = impl.Bank(impl.Linear(3), impl.Gaussian(variance=None))
n = int(sys.argv[3])
bank.update(np.arange(n), np.ones((n, 3)), np.ones(n))
bank.save(sys.argv[2], incremental=True)
print("first", flush=True)
for i in range(10**9):
    few = n // 4 if i % 5 else n
    bank.update(np.arange(few), np.ones((few, 3)), np.ones(few))
    bank.save(sys.argv[2], incremental=True)
"""


def test_a_kill_during_a_save_leaves_files_that_load(impl, tmp_path):
    path, n = tmp_path / "bank.kfng", 4000 if impl.__name__ == "kfng" else 200
    rng = np.random.default_rng(0)
    for _ in range(5):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, impl.__name__, str(path), str(n)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout.readline() == "first\n"
        time.sleep(rng.uniform(0.0, 0.3))
        process.kill()
        process.communicate()
        bank = impl.load(path)
        assert len(bank) == n
        counts = bank.n_updates(np.arange(n))
        assert np.ptp(counts[: n // 4]) == 0 == np.ptp(counts[n // 4 :]), "half of an update"
    bank.update([0], np.ones((1, 3)), np.ones(1))
    bank.save(path, incremental=True)
    left = {file.name for file in tmp_path.iterdir() if not re.fullmatch(r"\.kfng-.*\.tmp", file.name)}
    assert left <= {"bank.kfng", "bank.kfng.prev", *bases(tmp_path)}
    assert len(bases(tmp_path)) <= 2
