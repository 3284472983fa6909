"""The container of a saved filter: it gives back what it was given, and anything else is a typed error."""

import errno
import hashlib
import json
import os
import random
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from kfng import checkpoint, errors

HEADER = {"spec": {"model": "Linear", "rate": 0.1, "names": ["a", "ü", "\ud800"]}, "counters": [1, 2], "none": None}
ARRAYS = {
    "theta": np.array([1.0, -0.0, 1e-310, 1e308]),
    "belief": np.arange(6, dtype=np.float32).reshape(2, 3),
    "clock": np.array(3.5),
    "empty": np.zeros((0, 4)),
}
SMALL = checkpoint.encode({"v": "1"}, {"t": np.array([1.5, 2.5], dtype=np.float32)})


def sealed(text, payload, *, version=1, magic=checkpoint.MAGIC):
    """A file with a valid digest and these parts."""
    body = magic + struct.pack("<II", version, len(text)) + text + struct.pack("<Q", len(payload)) + payload
    return body + hashlib.sha256(body).digest()


def with_layout(layout, payload):
    return sealed(json.dumps({"layout": layout}).encode(), payload)


def decode_fields(data):
    """Decode; every refusal must be a checkpoint error that says which field."""
    try:
        return checkpoint.decode(data)
    except errors.CheckpointError as error:
        refusal = error
    assert refusal.argument is not None
    assert refusal.expected is not None
    assert refusal.got is not None
    assert len(str(refusal)) < 1000
    return None


# ------------------------------------------------------------------------------------------------------------ bytes


def test_round_trip_keeps_every_bit():
    header, arrays = checkpoint.decode(checkpoint.encode(HEADER, ARRAYS))
    assert header == HEADER
    assert list(arrays) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert (arrays[name].dtype, arrays[name].shape) == (array.dtype, array.shape)
        assert arrays[name].tobytes() == array.tobytes()
        assert arrays[name].flags.writeable


def test_layout_on_disk_is_as_documented():
    data = checkpoint.encode({"a": 1}, {"x": np.array([[2.0]])})
    text = b'{"a":1,"layout":[["x","<f8",[1,1]]]}'
    assert data == sealed(text, struct.pack("<d", 2.0))


@pytest.mark.parametrize("array", [np.arange(8.0)[::2], np.arange(6.0).reshape(2, 3).T, np.arange(3, dtype=">f8")])
def test_any_memory_layout_is_stored_in_c_order(array):
    stored = checkpoint.decode(checkpoint.encode({}, {"x": array}))[1]["x"]
    assert np.array_equal(stored, array)
    assert stored.flags.c_contiguous
    assert stored.dtype.isnative


def test_non_finite_values_need_permission():
    arrays = {"x": np.array([1.0, np.nan])}
    with pytest.raises(errors.BadValueError):
        checkpoint.encode({}, arrays)
    data = checkpoint.encode({}, arrays, allow_nonfinite=True)
    with pytest.raises(errors.BadValueError):
        checkpoint.decode(data)
    assert np.isnan(checkpoint.decode(data, allow_nonfinite=True)[1]["x"][1])


@pytest.mark.parametrize(
    "header",
    [
        {"layout": []},
        {"x": float("nan")},
        {"x": (1, 2)},
        {1: 2},
        {"x": object()},
        {"x": "a" * (1 << 20)},
        {"x": [0] * 200_000},
    ],
)
def test_a_header_that_json_would_change_is_refused(header):
    with pytest.raises(errors.BadHeaderError):
        checkpoint.encode(header, {})


@pytest.mark.parametrize(
    "array",
    [
        np.arange(3, dtype=np.int32),
        np.zeros(2, dtype=complex),
        np.zeros(2, dtype=np.float16),
        np.zeros(2, dtype=bool),
        ["a"],
    ],
)
def test_four_dtypes_are_stored(array):
    with pytest.raises(errors.DtypeError):
        checkpoint.encode({}, {"x": array})


def test_every_flipped_bit_is_a_typed_error():
    for i in range(8 * len(SMALL)):
        data = bytearray(SMALL)
        data[i // 8] ^= 1 << i % 8
        assert decode_fields(bytes(data)) is None


def test_every_truncation_and_extension_is_a_typed_error():
    for i in range(len(SMALL)):
        with pytest.raises(errors.TruncatedError):
            checkpoint.decode(SMALL[:i])
    with pytest.raises(errors.TruncatedError):
        checkpoint.decode(SMALL + b"\0")


def test_bytes_like_objects_are_accepted_and_others_are_not():
    for kind in (bytes, bytearray, memoryview):
        assert checkpoint.decode(kind(SMALL))[0] == {"v": "1"}
    for other in ("text", None, 3):
        with pytest.raises(errors.DtypeError):
            checkpoint.decode(other)


@pytest.mark.parametrize("version", [0, 2, 2**32 - 1])
def test_another_format_is_a_version_error_unless_the_file_is_damaged(version):
    data = sealed(b"a format yet to come", b"", version=version)
    with pytest.raises(errors.VersionError):
        checkpoint.decode(data)
    with pytest.raises(errors.BadDigestError):
        checkpoint.decode(data[:-1] + bytes([data[-1] ^ 1]))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff{}",
        b"\xef\xbb\xbf{}",
        b'{"layout":[],"x":NaN}',
        b'{"layout":[],"x":-Infinity}',
        b'{"layout":[],"x":1e999}',
        b'{"layout":[],"layout":[]}',
        b'{"layout":[],"x":{"a":1,"a":1}}',
        b'{"layout":[],"x":' + b"[" * 65 + b"]" * 65 + b"}",
        b"[" * 90_000,
        b'{"a":' * 40_000,
        b'{"layout":[],"x":' + b"9" * 1_000_000 + b"}",
        b'{"layout":[' + b"{}," * 300_000 + b"{}]}",
    ],
)
def test_hostile_headers(text):
    start = time.perf_counter()
    with pytest.raises(errors.BadHeaderError):
        checkpoint.decode(sealed(text, b""))
    assert time.perf_counter() - start < 0.5  # a hang limit: ten times the 50 ms promised


@pytest.mark.parametrize(
    "layout",
    [
        None,
        {},
        [[]],
        ["abc"],
        [["x", "<f8", [1]]],
        [["x", "<f8", [2]], ["x", "<f8", [0]]],
        [["x", "<f8", [2, True]]],
        [["x", "<f8", [2.0]]],
        [["x", "<f8", [-1, -2]]],
        [["x", "<f8", 2]],
        [["x", "<i4", [4]]],
        [["x", "|O", [2]]],
        [["x", ["<f8"], [2]]],
        [["", "<f8", [2]]],
        [[3, "<f8", [2]]],
        [["x", "<f8", [2**32, 2**32]]],
        [["x", "<f8", [0, 2**62]]],
        [["x", "<f8", [2**62, 0]]],
        [["x", "<f8", [10**400]]],
        [["x", "<f8", [2] + [1] * 40]],
        [["x", "<f8", [2]], ["y", "<f8", [1]]],
        [[str(i), "<f8", [0]] for i in range(5000)],
    ],
)
def test_hostile_layouts(layout):
    with pytest.raises(errors.BadHeaderError):
        checkpoint.decode(with_layout(layout, bytes(16)))


def _mutate(rng, text, payload):
    """One hostile change of a header's text or of the payload."""
    text, payload = bytearray(text), bytearray(payload)
    pieces = [
        b"NaN",
        b"1e999",
        b"[[[[",
        b"-1",
        b"18446744073709551616",
        b'"',
        b"\\ud800",
        b"true",
        b'"layout":',
        b"\0",
        b"\xff",
        b"{}",
        b",",
        b"0",
    ]
    for _ in range(rng.randint(1, 4)):
        kind, at = rng.randrange(5), rng.randrange(len(text) or 1)
        if kind == 0 and text:
            text[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            text[at:at] = rng.choice(pieces)
        elif kind == 2:
            del text[at : at + rng.randint(1, 12)]
        elif kind == 3:
            text[at : at + 1] = rng.choice(pieces)
        elif payload:
            payload[rng.randrange(len(payload))] = rng.choice((0, 0x7F, 0xF0, 0xFF))
    if rng.random() < 0.2:
        payload = payload[: rng.randrange(len(payload) + 1)]
    return bytes(text), bytes(payload)


def test_hostile_files_with_a_valid_digest():
    rng = random.Random(0)
    data = checkpoint.encode(HEADER, ARRAYS)
    (length,) = struct.unpack_from("<I", data, 12)
    text, payload = data[16 : 16 + length], data[24 + length : -32]
    outcomes = {True: 0, False: 0}
    for _ in range(2000):
        hostile = sealed(*_mutate(rng, text, payload))
        start = time.perf_counter()
        decoded = decode_fields(hostile)
        assert time.perf_counter() - start < 0.5  # a hang limit: ten times the 50 ms promised
        outcomes[decoded is None] += 1
        if decoded is not None:
            assert sum(a.nbytes for a in decoded[1].values()) <= len(hostile)
            assert all(np.isfinite(a).all() for a in decoded[1].values())
    assert min(outcomes.values()) > 20  # both ends were reached


# ------------------------------------------------------------------------------------------------------------- file


def contents(folder):
    return {p.name: p.read_bytes() for p in Path(folder).iterdir()}


def test_write_keeps_the_previous_file(tmp_path):
    path = tmp_path / "model.kfng"
    for data in (b"one", b"two", b"three"):
        checkpoint.write(path, data)
    assert contents(tmp_path) == {"model.kfng": b"three", "model.kfng.prev": b"two"}


def test_read_gives_the_bytes_and_takes_str_and_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    checkpoint.write("model.kfng", SMALL)
    assert checkpoint.read("model.kfng") == checkpoint.read(tmp_path / "model.kfng") == SMALL


def test_a_symbolic_link_stays_one(tmp_path):
    (tmp_path / "real").mkdir()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "real" / "model.kfng")
    checkpoint.write(link, SMALL)
    assert link.is_symlink()
    assert contents(tmp_path / "real") == {"model.kfng": SMALL}


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_permissions_are_not_widened(tmp_path):
    path = tmp_path / "model.kfng"
    checkpoint.write(path, b"one")
    path.chmod(0o600)
    checkpoint.write(path, b"two")
    assert path.stat().st_mode & 0o777 == 0o600


def test_unreadable_paths(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        checkpoint.read(tmp_path / "nothing")
    assert isinstance(caught.value, errors.UnreadableError)
    assert caught.value.errno == errno.ENOENT
    with pytest.raises(IsADirectoryError) as caught:
        checkpoint.read(tmp_path)
    assert isinstance(caught.value, errors.UnreadableError)
    (tmp_path / "other").write_bytes(b"PK\3\4 and so on")
    with pytest.raises(errors.BadMagicError):
        checkpoint.read(tmp_path / "other")
    (tmp_path / "long").write_bytes(SMALL)
    with pytest.raises(errors.UnreadableError):
        checkpoint.read(tmp_path / "long", max_bytes=10)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="POSIX")
def test_pipes_and_devices_are_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero"):
        with pytest.raises(errors.UnreadableError):
            checkpoint.read(path)


def test_a_forbidden_file_is_a_permission_error(tmp_path, monkeypatch):
    """The system's answer is stood in for: a superuser may read everything."""
    (tmp_path / "secret").write_bytes(SMALL)

    def forbidden(*args, **options):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", forbidden)
    with pytest.raises(PermissionError) as caught:
        checkpoint.read(tmp_path / "secret")
    assert isinstance(caught.value, errors.UnreadableError)


@pytest.mark.parametrize(
    ("path", "kind"), [(3, errors.DtypeError), (None, errors.DtypeError), ("", ValueError), ("a\0b", ValueError)]
)
def test_paths_that_are_none(path, kind):
    with pytest.raises(kind):
        checkpoint.read(path)
    with pytest.raises(kind):
        checkpoint.write(path, SMALL)


def test_writing_onto_a_folder_or_into_none_fails_cleanly(tmp_path):
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "folder", tmp_path / "nowhere" / "model.kfng"):
        with pytest.raises(OSError, match="folder|nowhere"):
            checkpoint.write(path, SMALL)
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]


def test_file_systems_without_hard_links_get_a_copy(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", lambda a, b: refuse() if os.path.exists(a) else os.stat(a))
    path = tmp_path / "model.kfng"
    for data in (b"one", b"two", b"three"):
        checkpoint.write(path, data)
    assert contents(tmp_path) == {"model.kfng": b"three", "model.kfng.prev": b"two"}


class Faults:
    """Wraps the os calls of a save; the call with index `at` (or every one from there on) fails with EIO."""

    NAMES = ("open", "write", "fsync", "close", "link", "replace", "unlink")

    def __init__(self, monkeypatch, at, *, lasting=False):
        self.count = 0
        for name in self.NAMES:
            monkeypatch.setattr(os, name, self._wrap(name, getattr(os, name), at, lasting))

    def _wrap(self, name, real, at, lasting):
        def call(*args, **kwargs):
            index, self.count = self.count, self.count + 1
            if index == at or (lasting and index > at):
                if name == "close":
                    real(*args)  # Linux closes the descriptor also when it reports an error
                raise OSError(errno.EIO, f"injected into {name}")
            return real(*args, **kwargs)

        return call


@pytest.mark.parametrize("saves", [0, 1, 2])
@pytest.mark.parametrize("lasting", [False, True])
def test_an_error_in_any_call_leaves_the_old_files(tmp_path, saves, lasting):
    """Single faults: the folder is as it was. Lasting ones: still a whole file at the path, though not a clean folder."""
    at = 0
    while True:
        folder = tmp_path / str(at)
        folder.mkdir()
        path = folder / "model.kfng"
        for i in range(saves):
            checkpoint.write(path, b"old %d" % i)
        before = contents(folder)
        with pytest.MonkeyPatch.context() as patch:
            faults = Faults(patch, at, lasting=lasting)
            try:
                checkpoint.write(path, b"new")
                raised = None
            except OSError as error:
                raised = error.errno
        after = contents(folder)
        if faults.count <= at:
            break  # the fault lies beyond the last call
        assert raised in (None, errno.EIO)
        if raised is None:
            assert after["model.kfng"] == b"new"  # only the removal of a spare name failed
        elif lasting:
            assert after.get("model.kfng", b"new") in (b"new", before.get("model.kfng", b"new"))
            assert saves == 0 or "model.kfng" in after
        else:
            assert after == before
        at += 1
    assert at > 8


def test_a_short_write_is_continued(tmp_path, monkeypatch):
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, bytes(data[:7])))
    checkpoint.write(tmp_path / "model.kfng", SMALL)
    assert checkpoint.read(tmp_path / "model.kfng") == SMALL


SAVER = """
import sys
import numpy as np
from kfng import checkpoint
for i in range(10**9):
    data = checkpoint.encode({"i": i}, {"x": np.full(3000, float(i))})
    checkpoint.write(sys.argv[1], data)
    sys.stdout.write(f"{i}\\n")
    sys.stdout.flush()
"""


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_a_killed_save_leaves_a_file_that_loads(tmp_path):
    """Also not older than the last save that was reported done."""
    path = tmp_path / "model.kfng"
    rng = random.Random(1)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    for _ in range(30):
        child = subprocess.Popen([sys.executable, "-c", SAVER, str(path)], stdout=subprocess.PIPE, env=environment)
        first = child.stdout.readline()
        time.sleep(rng.uniform(0, 0.03))
        child.send_signal(signal.SIGKILL)
        lines = (first + child.stdout.read()).splitlines()
        child.stdout.close()
        child.wait()
        header, arrays = checkpoint.decode(checkpoint.read(path))
        assert (arrays["x"] == header["i"]).all()
        assert header["i"] >= int(lines[-1])
        checkpoint.decode(checkpoint.read(f"{path}.prev") if header["i"] else checkpoint.read(path))
