"""Files that are not there, cannot be read, or are not what they should be; places that cannot be written."""

from __future__ import annotations

import errno
import os
import pickle

import numpy as np
import pytest
from boundary.filters import bits, fed

from kfng import errors


@pytest.fixture
def saved(impl, tmp_path):
    path = tmp_path / "filter.kfng"
    fed(impl, "two_outputs").save(path)
    return path


def fails(impl, path, *kinds):
    with pytest.raises(errors.CheckpointError) as caught:
        impl.load(path)
    assert isinstance(caught.value, kinds)
    assert isinstance(caught.value, errors.KfngError)
    for field in ("argument", "expected", "got"):
        assert getattr(caught.value, field) is not None, field
    return caught.value


def test_missing(impl, tmp_path):
    error = fails(impl, tmp_path / "nowhere.kfng", errors.UnreadableError)
    assert isinstance(error, FileNotFoundError)
    assert isinstance(error, OSError)
    assert "nowhere.kfng" in str(error)


def test_a_pickled_error_is_the_same(impl, tmp_path):
    """With what it has of an OSError."""
    error = fails(impl, tmp_path / "nowhere.kfng", errors.UnreadableError)
    again = pickle.loads(pickle.dumps(error))
    names = ("errno", "strerror", "filename", "argument", "expected", "got", "row", "args")
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert error.errno == errno.ENOENT
    assert [getattr(again, name) for name in names] == [getattr(error, name) for name in names]


def test_a_folder(impl, tmp_path):
    error = fails(impl, tmp_path, errors.UnreadableError)
    assert isinstance(error, OSError)


@pytest.mark.parametrize("path", [None, 3.5, [], object()], ids=["none", "float", "list", "object"])
def test_no_path(impl, path):
    flt = fed(impl, "gaussian")
    with pytest.raises(TypeError):
        impl.load(path)
    with pytest.raises(TypeError):
        flt.save(path)


def test_str_bytes_and_path_objects(impl, saved):
    flt = impl.load(saved)
    for path in (str(saved), os.fsencode(saved)):
        assert bits(impl.load(path)) == bits(flt)
        flt.save(path)


def test_truncated_everywhere(impl, saved):
    """Each length from nothing to all but the last byte."""
    data = saved.read_bytes()
    short = saved.with_name("short.kfng")
    for length in [*range(64), *range(64, len(data), 61), len(data) - 1]:
        short.write_bytes(data[:length])
        fails(impl, short, errors.TruncatedError, errors.BadMagicError)


def test_too_long(impl, saved):
    saved.write_bytes(saved.read_bytes() + b"\0")
    fails(impl, saved, errors.TruncatedError, errors.BadDigestError)


def test_every_flipped_byte(impl, saved):
    data = saved.read_bytes()
    for i in [*range(24), *range(24, len(data), 97), len(data) - 1]:
        saved.write_bytes(data[:i] + bytes([data[i] ^ 0x10]) + data[i + 1 :])
        fails(impl, saved, errors.CheckpointError)
    saved.write_bytes(data)
    impl.load(saved)


@pytest.mark.parametrize(
    "data",
    [
        b"PK\x03\x04" + bytes(200),
        b"\x93NUMPY\x01\x00" + bytes(200),
        pickle.dumps(list(range(100))),
        b"{}" * 100,
        bytes(1000),
    ],
    ids=["zip", "npy", "pickle", "json", "zeros"],
)
def test_foreign(impl, tmp_path, data):
    path = tmp_path / "foreign"
    path.write_bytes(data)
    fails(impl, path, errors.BadMagicError)


def test_a_damaged_pickle(impl):
    function, (data,) = fed(impl, "gaussian").__reduce__()
    for broken in (b"", data[:-1], data[:40], b"\0" * len(data), data[:100] + b"\xff" + data[101:]):
        with pytest.raises(errors.CheckpointError):
            function(broken)


def test_a_failed_load_does_not_touch_the_file(impl, saved):
    data = saved.read_bytes()[:-3]
    saved.write_bytes(data)
    fails(impl, saved, errors.TruncatedError)
    assert saved.read_bytes() == data
    assert [path.name for path in saved.parent.iterdir()] == ["filter.kfng"]


def test_a_save_that_fails_changes_nothing(impl, tmp_path):
    flt = fed(impl, "gaussian")
    before = bits(flt)
    for path in (tmp_path / "no" / "such" / "folder.kfng", tmp_path / ("x" * 300), tmp_path):
        with pytest.raises(OSError):  # noqa: PT011
            flt.save(path)
    assert bits(flt) == before
    assert list(tmp_path.iterdir()) == []


def test_the_file_before_is_kept(impl, tmp_path):
    path = tmp_path / "filter.kfng"
    flt = fed(impl, "gaussian")
    flt.save(path)
    first = bits(flt)
    flt.update([1.0, 2.0, 3.0], 1.0)
    flt.save(path)
    assert bits(impl.load(path)) == bits(flt)
    assert bits(impl.load(f"{path}.prev")) == first


def set_state_cases(state):
    """Impossible states, by the name that the error must give."""
    for name, array in state.items():
        yield name, {name: array.astype(np.float64 if array.dtype == np.float32 else np.float32)}
        yield name, {name: np.append(array, 0.0)}
        if array.size:
            yield name, {name: np.full_like(array, np.nan)}
    yield "counters", {"counters": state["counters"] - 1e6}
    yield "counters", {"counters": state["counters"] + 0.5}
    yield "noise", {"noise": -state["noise"]}
    yield "y_stats", {"y_stats": -np.abs(state["y_stats"]) - 1.0}


def test_an_impossible_state_is_refused_and_changes_nothing(impl):
    flt = fed(impl, "learned")
    before, state = bits(flt), flt._state()
    for name, wrong in set_state_cases(state):
        with pytest.raises(errors.BadValueError) as caught:
            flt._set_state(state | wrong)
        assert caught.value.argument == name
        assert caught.value.expected is not None
        assert bits(flt) == before
    spread = "D" if "D" in state else "P"
    for wrong in ({spread: -state[spread]}, {"more": np.zeros(3)}):
        with pytest.raises(errors.BadValueError):
            flt._set_state(state | wrong)
    with pytest.raises(errors.BadValueError):
        flt._set_state({name: array for name, array in state.items() if name != "theta"})
    assert bits(flt) == before
    flt._set_state(state)
    assert bits(flt) == before
