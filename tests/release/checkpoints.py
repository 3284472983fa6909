"""K: whatever happens while a file is written or read, a load gives a whole state or a typed error."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import pickle
import random
import signal
import struct
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from release.check import Figure, check

import kfng
from kfng import checkpoint, errors

GOLDEN = Path(__file__).parent / "golden"


def a_filter(n: int = 5, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    flt = kfng.Filter(kfng.Linear(2), kfng.Gaussian(None), rule=kfng.Fading(0.01))
    flt.update_many(rng.normal(size=(n, 2)), rng.normal(size=n))
    return flt


def a_bank(n: int = 5, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    bank = kfng.Bank(kfng.Linear(1), kfng.Gaussian(1.0))
    bank.update(["a", "b", "a", "c", "b"][:n], rng.normal(size=(n, 1)), rng.normal(size=n))
    return bank


def a_state_filter(n: int = 5, seed: int = 0) -> Any:
    F, Q = np.array([[1.0, 0.3], [-0.3, 0.9]]), np.array([[0.2, 0.1], [0.1, 0.3]])
    flt = kfng.StateFilter(
        2, 1, kfng.Gaussian(0.5), state_prior=2 * Q, transition=F, jacobian=[[1.0, 0.2]], rule=kfng.ProcessNoise(Q)
    )
    flt.update_many(np.random.default_rng(seed).normal(size=n))
    return flt


MAKERS: dict[str, Callable[..., Any]] = {"Filter": a_filter, "Bank": a_bank}


def content(made: Any) -> bytes:
    """Everything that a load must give back."""
    with tempfile.TemporaryDirectory() as folder:
        made.save(Path(folder) / "m.kfng")
        return (Path(folder) / "m.kfng").read_bytes()


def bytes_of(path: Path) -> bytes | None:
    """What a load of the path gives, as the bytes of its state; None where it is refused by a typed error."""
    try:
        return content(kfng.load(path))
    except errors.CheckpointError:
        return None


CALLS = ("open", "write", "fsync", "close", "link", "replace", "unlink")


class Interposed:
    """The os calls of a save, each with `before(index, name, args)` and `after(index, name, args)`."""

    def __init__(self, before: Callable[..., None], after: Callable[..., None] | None = None) -> None:
        self.before, self.after, self.count = before, after, 0
        self.real = {name: getattr(os, name) for name in CALLS}

    def __enter__(self) -> Interposed:
        for name in CALLS:
            setattr(os, name, self.wrapped(name))
        return self

    def __exit__(self, *exception: object) -> None:
        for name, real in self.real.items():
            setattr(os, name, real)

    def wrapped(self, name: str) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            index, self.count = self.count, self.count + 1
            self.before(index, name, args)
            result = self.real[name](*args, **options)
            if self.after is not None:
                self.after(index, name, args, result)
            return result

        return call


def in_a_child(work: Callable[[], None]) -> int:
    """Its exit status, negative for a signal."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        except BaseException:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def folders() -> Iterator[Path]:
    while True:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)


def kill(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@check(
    "K1",
    "kill -9 while saving: a load gives the state of this save or of the one before",
    small={"random_kills": 60},
    full={"random_kills": 2000},
)
def killed_while_saving(random_kills) -> list[Figure]:
    torn = steps = 0
    room = folders()
    for made in MAKERS.values():
        states = [made(n, seed=n) for n in (3, 4, 5)]
        known = [content(state) for state in states]
        at = 0
        while True:
            path = next(room) / "m.kfng"
            states[0].save(path)
            states[1].save(path)

            def save(at=at, path=path, states=states) -> None:
                step, late = divmod(at, 2)
                before = after = lambda *_: None
                if late:

                    def after(index, *_):
                        return index == step and kill()
                else:

                    def before(index, *_):
                        return index == step and kill()

                with Interposed(before, after):
                    states[2].save(path)

            ended = in_a_child(save)
            torn += bytes_of(path) not in known[1:]
            torn += bytes_of(path.with_name("m.kfng.prev")) not in known[:2]
            if ended == 0:
                break  # the save has fewer steps
            steps += 1
            at += 1
    generator, older = random.Random(1), 0
    for i in range(random_kills):
        made = MAKERS["Bank" if i % 2 else "Filter"]
        path = next(room) / "m.kfng"
        states = [made(n, seed=n) for n in (3, 4, 5)]
        known = [content(state) for state in states]
        done = path.with_name("done")
        states[0].save(path)
        done.write_bytes(bytes(8))

        def save_for_ever(path=path, done=done, states=states) -> None:
            fd = os.open(done, os.O_WRONLY)
            for j in range(1, 10**9):
                states[j % 3].save(path)
                os.pwrite(fd, struct.pack("<q", j), 0)

        child = os.fork()
        if child == 0:
            try:
                save_for_ever()
            finally:
                os._exit(1)
        time.sleep(generator.uniform(0, 0.012))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        j = struct.unpack("<q", done.read_bytes())[0]
        found = bytes_of(path)
        torn += found not in known
        older += found not in (known[j % 3], known[(j + 1) % 3])
    return [
        Figure("kills at a step of a save, before and after each", steps),
        Figure("kills at a random time", random_kills),
        Figure("files torn", torn, 0),
        Figure("files older than the last save that had returned", older, 0),
    ]


class Disk:
    """What a power cut may leave: data that was not synced is lost, whole or in part, and so are names that were not.

    A name may stand for anything it stood for since the folder was last synced, each name by itself.
    """

    def __init__(self) -> None:
        self.data: dict[int, tuple[bytes, bool]] = {}  # inode -> content, synced
        self.names: dict[str, list[int | None]] = {}  # name -> inodes since the folder was synced, the last one now
        self.open: dict[int, int | None] = {}  # descriptor -> inode, None for the folder
        self.inodes = 0

    def after(self, index: int, name: str, args: tuple[Any, ...], result: Any) -> None:
        if name == "open":
            path = os.fsdecode(args[0])
            if args[1] & os.O_CREAT:
                self.inodes += 1
                self.data[self.inodes] = (b"", False)
                self.point(path, self.inodes)
                self.open[result] = self.inodes
            else:
                self.open[result] = None
        elif name == "write":
            inode = self.open[args[0]]
            assert inode is not None
            self.data[inode] = (self.data[inode][0] + bytes(args[1][:result]), False)
        elif name == "fsync":
            inode = self.open[args[0]]
            if inode is None:
                self.names = {key: history[-1:] for key, history in self.names.items()}
            else:
                self.data[inode] = (self.data[inode][0], True)
        elif name == "link":
            self.point(args[1], self.names[args[0]][-1])
        elif name == "replace":
            self.point(args[1], self.names[args[0]][-1])
            self.point(args[0], None)
        elif name == "unlink":
            self.point(args[0], None)

    def point(self, path: str, inode: int | None) -> None:
        self.names.setdefault(path, [None]).append(inode)

    def images(self, path: str) -> set[bytes | None]:
        """Every content that the name may have after a cut now."""
        found: set[bytes | None] = set()
        for inode in self.names.get(path, [None]):
            if inode is None:
                found.add(None)
            else:
                content, synced = self.data[inode]
                found |= {content} if synced else {content[:cut] for cut in {0, len(content) // 2, len(content)}}
        return found


@check(
    "K2",
    "power lost at any step of a save: the file is whole, and after the save has returned it is the new one",
    small={"saves": 3},
    full={"saves": 200},
)
def power_loss(saves) -> list[Figure]:
    cuts = images = torn = lost = 0
    for made in MAKERS.values():
        with tempfile.TemporaryDirectory() as folder:
            path, disk = str(Path(folder).resolve() / "m.kfng"), Disk()
            old: bytes | None = None
            for n in range(saves):
                state = made(5, seed=n)
                new = content(state)

                def look(index, name, args, result, old=old, new=new, path=path, disk=disk) -> None:
                    nonlocal cuts, images, torn
                    disk.after(index, name, args, result)
                    cuts += 1
                    after = disk.images(path)
                    images += len(after)
                    torn += len(after - {old, new})

                with Interposed(lambda *_: None, look):
                    state.save(path)
                lost += disk.images(path) != {new}
                old = new
    return [
        Figure("cuts", cuts),
        Figure("images looked at", images),
        Figure("images whose file is neither the old nor the new one", torn, 0),
        Figure("saves that had returned and could still be lost", lost, 0),
    ]


@check(
    "K3",
    "every flipped bit and every truncation of three small files is a typed error",
    small={"through_a_file": 37},
    full={"through_a_file": 1},
)
def flipped_bits(through_a_file) -> list[Figure]:
    flips = cuts = accepted = untyped = 0
    for made in (a_filter, a_bank, a_state_filter):
        good = content(made())
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "m.kfng"
            for i in range(8 * len(good)):
                data = bytearray(good)
                data[i // 8] ^= 1 << i % 8
                outcome = tried(bytes(data), path if i % through_a_file == 0 else None)
                flips, accepted, untyped = flips + 1, accepted + (outcome == "taken"), untyped + (outcome == "untyped")
            for i in range(len(good)):
                outcome = tried(good[:i], path if i % through_a_file == 0 else None)
                cuts, accepted, untyped = cuts + 1, accepted + (outcome == "taken"), untyped + (outcome == "untyped")
    return [
        Figure("flipped bits", flips),
        Figure("truncations", cuts),
        Figure("damaged files that were taken", accepted, 0),
        Figure("errors that were no CheckpointError", untyped, 0),
    ]


def tried(data: bytes, path: Path | None) -> str:
    """'taken', 'refused' by a CheckpointError, or 'untyped'; through a file where a path is given."""
    try:
        if path is None:
            checkpoint.decode(data)
        else:
            path.write_bytes(data)
            kfng.load(path)
    except errors.CheckpointError:
        return "refused"
    except BaseException:
        return "untyped"
    return "taken"


def sealed(text: bytes, payload: bytes) -> bytes:
    """A file with a valid digest."""
    body = checkpoint.MAGIC + struct.pack("<II", 1, len(text)) + text + struct.pack("<Q", len(payload)) + payload
    return body + hashlib.sha256(body).digest()


HOSTILE = (None, True, -1, 0, 1, 2, 3, 2**31 - 1, 2**53, 2**64, -(2**63), 1e308, -0.0, 1e-320, "", "x", "Filter", "Bank", "float64",
           "nan", [], {}, [[]], [1, 2, 3], {"name": "Linear"}, "\ud800")  # fmt: skip


def mutated(rng: random.Random, node: Any) -> Any:
    """A JSON value with one thing in it changed, dropped, doubled or put elsewhere."""
    if isinstance(node, dict) and node and rng.random() < 0.85:
        key = rng.choice(list(node))
        what = rng.random()
        if what < 0.1:
            return {k: v for k, v in node.items() if k != key}
        if what < 0.2:
            return node | {rng.choice(("x", "theta", "variance", key + "_")): rng.choice(HOSTILE)}
        return node | {key: mutated(rng, node[key])}
    if isinstance(node, list) and node and rng.random() < 0.85:
        i = rng.randrange(len(node))
        what = rng.random()
        if what < 0.15:
            return node[:i] + node[i + 1 :]
        if what < 0.3:
            return [*node, rng.choice(node)]
        return [*node[:i], mutated(rng, node[i]), *node[i + 1 :]]
    if isinstance(node, int) and not isinstance(node, bool) and rng.random() < 0.3:
        return node + rng.choice((-1, 1, 7))
    return rng.choice(HOSTILE)


def damaged_payload(rng: random.Random, payload: bytes) -> bytes:
    data = bytearray(payload)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(data) // 8) * 8
        data[at : at + 8] = struct.pack(
            "<d", rng.choice((0.0, -1.0, 1e308, -1e308, 5e-324, float("nan"), float("inf"), 1e16, rng.gauss(0, 1)))
        )
    return bytes(data)


def use(made: Any) -> None:
    """What was taken must work: a row and a reading, or typed errors."""
    try:
        if isinstance(made, kfng.StateFilter):
            made.update(1.0)
        elif isinstance(made, kfng.Bank):
            made.update([1], np.ones((1, made.settings.model.inputs)), [1.0])
            made.predict([1], np.ones((1, made.settings.model.inputs)))
        else:
            made.update(np.ones(made.settings.model.inputs), 1.0)
            made.predict(np.ones((1, made.settings.model.inputs)))
        repr(made)
    except errors.KfngError:
        pass


@check(
    "K4",
    "hostile files with a valid digest are typed errors or sound objects, soon and in little memory",
    small={"files": 400},
    full={"files": 50_000},
)
def hostile_files(files) -> list[Figure]:
    rng = random.Random(4)
    taken = refused = untyped = 0
    slowest = largest = 0.0
    originals = []
    for made in (a_filter, a_bank, a_state_filter):
        data = content(made())
        (length,) = struct.unpack_from("<I", data, 12)
        originals.append((json.loads(data[16 : 16 + length]), data[24 + length : -32]))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.kfng"
        for header, payload in originals:  # what is imported at the first load
            path.write_bytes(sealed(json.dumps(header).encode(), payload))
            use(kfng.load(path))
        tracemalloc.start()
        for _ in range(files):
            header, payload = rng.choice(originals)
            if rng.random() < 0.8:
                for _ in range(rng.randint(1, 3)):
                    header = mutated(rng, header)
            if rng.random() < 0.4:
                payload = damaged_payload(rng, payload)
            path.write_bytes(sealed(json.dumps(header).encode(), payload))
            tracemalloc.reset_peak()
            before, begun = tracemalloc.get_traced_memory()[0], time.process_time()
            try:
                loaded = kfng.load(path)
                slowest = max(slowest, time.process_time() - begun)
                taken += 1
                use(loaded)
            except errors.CheckpointError:
                slowest = max(slowest, time.process_time() - begun)
                refused += 1
            except BaseException:
                untyped += 1
            largest = max(largest, tracemalloc.get_traced_memory()[1] - before)
        tracemalloc.stop()
    return [
        Figure("files", files),
        Figure("refused by a CheckpointError", refused),
        Figure("taken, and used afterwards", taken),
        Figure("anything else", untyped, 0),
        Figure("most memory that Python held for one, in MB", largest / 1e6, 64),
        Figure("slowest load, in ms of processor time", slowest * 1e3, 50 if files >= 50_000 else None),
    ]


@check(
    "K5",
    "an error of the operating system at any call of a save: memory and disk are as they were",
    small={"kinds": ("Filter", "Bank")},
    full={"kinds": ("Filter", "Bank")},
)
def failing_calls(kinds) -> list[Figure]:
    faults = changed = untyped = 0
    room = folders()
    for kind in kinds:
        at = 0
        while True:
            path = next(room) / "m.kfng"
            MAKERS[kind](3).save(path)
            MAKERS[kind](4).save(path)
            made = MAKERS[kind](5)
            memory, disk = content(made), {p.name: p.read_bytes() for p in path.parent.iterdir()}

            def fail(index, name, args, at=at) -> None:
                if index == at:
                    if name == "close":
                        calls.real["close"](*args)
                    raise OSError(28, f"injected into {name}")

            raised = False
            with Interposed(fail) as calls:
                try:
                    made.save(path)
                except OSError:
                    raised = True
                except BaseException:
                    untyped += 1
            if calls.count <= at:
                break
            faults += 1
            after = {p.name: p.read_bytes() for p in path.parent.iterdir()}
            changed += content(made) != memory
            if raised:
                changed += after != disk
            else:  # the new file is in place, only a spare name could not be removed
                changed += after["m.kfng"] != memory
            at += 1
    return [
        Figure("calls that failed", faults),
        Figure("changed states or files", changed, 0),
        Figure("errors other than OSError", untyped, 0),
    ]


@check(
    "K6",
    "several processes save to one path while others load it: every load gives a whole state",
    small={"loads": 150},
    full={"loads": 20_000},
)
def savers_and_readers(loads) -> list[Figure]:
    states = [a_filter(n, seed=n) for n in range(3, 9)]
    known = {content(state) for state in states}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.kfng"
        states[0].save(path)
        savers = []
        for i in range(2):
            child = os.fork()
            if child == 0:
                try:
                    while True:
                        for state in states[i::2]:
                            state.save(path)
                finally:
                    os._exit(1)
            savers.append(child)
        torn = stopped = 0
        try:
            for _ in range(loads):
                torn += bytes_of(path) not in known
        finally:
            for child in savers:
                os.kill(child, signal.SIGKILL)
                stopped += os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != -signal.SIGKILL
    return [
        Figure("loads beside two savers", loads),
        Figure("loads that gave no whole state", torn, 0),
        Figure("savers that failed", stopped, 0),
    ]


@check(
    "K7",
    "a stream cut anywhere and resumed from a file or a pickle ends in the same bits",
    small={"cuts": 60},
    full={"cuts": 1000},
)
def resumed(cuts) -> list[Figure]:
    rng, different = np.random.default_rng(7), 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.kfng"
        for i in range(cuts):
            n, p = int(rng.integers(2, 200)), int(rng.integers(1, 12))
            U, y = rng.normal(size=(n, p)), rng.random(n).round()
            y[rng.random(n) < 0.1] = np.nan
            family = (kfng.Gaussian(None), kfng.Bernoulli(), kfng.Poisson(), kfng.Gaussian(0.3))[i % 4]
            rule = (kfng.Kalman(), kfng.Fading(0.03), kfng.Fading(0.03, towards="prior"), kfng.ProcessNoise(1e-3))[
                i // 4 % 4
            ]
            belief = kfng.Diagonal(1.0) if i % 7 == 3 else kfng.Full(1.0)
            flt, twin = (
                kfng.Filter(kfng.Linear(p), family, rule=rule, belief=belief, dtype=("float64", "float32")[i % 2])
                for _ in range(2)
            )
            cut = int(rng.integers(0, n + 1))
            twin.update_many(U, y)
            flt.update_many(U[:cut], y[:cut])
            if i % 3:
                flt.save(path)
                flt = kfng.load(path)
            else:
                flt = pickle.loads(pickle.dumps(flt))
            flt.update_many(U[cut:], y[cut:])
            different += flt._to_bytes() != twin._to_bytes()
    return [Figure("cuts", cuts), Figure("that ended in other bits", different, 0)]


@check(
    "K8",
    "the files of every format version are read, and what they hold is what it was",
    small={"folder": GOLDEN},
    full={"folder": GOLDEN},
)
def golden_files(folder) -> list[Figure]:
    wrong = files = 0
    for path in sorted(folder.glob("*.b64")):
        files += 1
        expected = json.loads(path.with_suffix(".json").read_text())
        with tempfile.TemporaryDirectory() as room:
            copy = Path(room) / "m.kfng"
            copy.write_bytes(base64.b64decode(path.read_text()))
            made = kfng.load(copy)
        flt = made if expected["key"] is None else made[expected["key"]]
        wrong += flt.theta.tolist() != expected["theta"]
        flt.update(expected["u"], expected["y"])
        wrong += bool(np.max(np.abs(flt.theta - expected["theta_after"])) > 1e-12)
    return [Figure("files", files), Figure("formats without one", 2 - files, 0), Figure("wrong figures", wrong, 0)]
