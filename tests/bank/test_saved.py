"""Files, pickles and copies of banks: the same bits, across implementations too, and a typed error for what is none."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import time

import numpy as np
import pytest
from bank.banks import bits, fed, like, make, refused, stream

from kfng import checkpoint, errors, reference

MIXED = [1, "1", "", "ключ", 2**62, -5, "a\0b"]


def mixed(impl, **more):
    bank = make(impl, **more)
    n = 70
    bank.update([MIXED[i % 7] for i in range(n)], *stream(n)[1:])
    return bank


def as_file(bank, impl, folder):
    bank.save(folder / "bank.kfng")
    return impl.load(folder / "bank.kfng")


WAYS = {
    "copy": lambda bank, impl, folder: bank.copy(),
    "copy.copy": lambda bank, impl, folder: copy.copy(bank),
    "deepcopy": lambda bank, impl, folder: copy.deepcopy(bank),
    "pickle": lambda bank, impl, folder: pickle.loads(pickle.dumps(bank)),
    "file": as_file,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_twins_are_equal_and_independent(impl, way, dtype, tmp_path):
    for bank in (
        mixed(impl, dtype=dtype, rule=impl.Fading(0.1, towards="prior")),
        like(impl, impl.Filter(impl.Linear(3), impl.Bernoulli(), belief=impl.Diagonal(np.arange(1.0, 5)), dtype=dtype)),
        like(
            impl,
            impl.Filter(
                impl.Linear(3), impl.Gaussian(1.0), rule=impl.Adam(0.1), theta=[1.0, 0.1, 1 / 3, 0.0], dtype=dtype
            ),
        ),
        make(impl, dtype=dtype, max_keys=4),
    ):
        bank.update(["z", 1], np.ones((2, 3)), np.ones(2))
        if bank.settings.rule.has_posterior:
            bank.share_prior()
            bank.update(["young"], np.ones((1, 3)), np.ones(1))
        twin = WAYS[way](bank, impl, tmp_path)
        assert type(twin) is type(bank)
        assert (bits(twin), twin.keys(), repr(twin)) == (bits(bank), bank.keys(), repr(bank))
        assert twin["z"].settings.spec() == bank["z"].settings.spec()
        before = bits(bank)
        for _ in range(2):
            for one in (bank, twin):
                one.update(["z", "newest", 1], np.full((3, 3), 0.5), np.ones(3))
            assert bits(bank) == bits(twin)
            assert bank.keys() == twin.keys()
        assert bits(bank) != before


def test_an_empty_bank(impl, tmp_path):
    for way in WAYS.values():
        twin = way(make(impl), impl, tmp_path)
        assert len(twin) == 0
        assert twin.update(["a"], np.ones((1, 3)), np.ones(1)) is not None


def test_files_cross_between_implementations(impl, tmp_path):
    import kfng

    other = reference if impl is kfng else kfng
    bank = mixed(impl, rule=impl.Fading(0.05))
    bank.share_prior()
    bank.update(["young"], np.ones((1, 3)), np.ones(1))
    bank.save(tmp_path / "bank.kfng")
    twin = other.load(tmp_path / "bank.kfng")
    assert type(twin) is other.Bank
    assert twin.keys() == bank.keys()
    np.testing.assert_array_equal(twin.theta(bank.keys()), bank.theta(bank.keys()))
    np.testing.assert_allclose(twin.std(bank.keys()), bank.std(bank.keys()), rtol=1e-12)
    for one in (bank, twin):
        one.update(["young", 1, "x"], np.ones((3, 3)), np.ones(3))
    np.testing.assert_allclose(twin.theta(bank.keys()), bank.theta(bank.keys()), rtol=1e-10, atol=1e-12)


def test_a_filter_is_no_bank(impl, tmp_path):
    flt = impl.Filter(impl.Linear(1), impl.Gaussian())
    flt.save(tmp_path / "filter.kfng")
    assert type(impl.load(tmp_path / "filter.kfng")) is impl.Filter
    with pytest.raises(impl.BadHeaderError):
        impl.Bank._from_bytes(flt._to_bytes())
    with pytest.raises(impl.BadHeaderError):
        impl.Filter._from_bytes(b"".join(pickled(make(impl))))


def pickled(bank):
    return [bank.__reduce__()[1][0]]


def altered(bank, change, part="arrays"):
    """The file of a bank with something in it changed, and its digest right."""
    header, arrays = checkpoint.decode(pickled(bank)[0])
    change(header if part == "header" else arrays)
    return checkpoint.encode(header, arrays, allow_nonfinite=True)


def put(name, index, value):
    def change(arrays):
        arrays[name] = arrays[name].copy()
        arrays[name][index] = value

    return change


def as_dtype(name, dtype):
    return lambda arrays: arrays.__setitem__(name, arrays[name].astype(dtype))


def cut(name):
    return lambda arrays: arrays.__setitem__(name, arrays[name][:-1])


HOSTILE = {
    "a key twice": put("keys.int", 0, 2**62),
    "a kind of key": put("keys.kind", 0, 2),
    "fewer kinds": cut("keys.kind"),
    "fewer whole numbers": cut("keys.int"),
    "fewer offsets": cut("keys.offsets"),
    "offsets that fall": put("keys.offsets", 1, 10**6),
    "no text": cut("keys.text"),
    "no UTF-8": put("keys.text", 1, 0xFF),
    "a prior that is none": put("prior", 0, 5),
    "a negative prior": put("prior", 0, -1),
    "priors of another dtype": as_dtype("prior", np.float64),
    "priors of variance 0": put("priors.variance", (0, 0), 0.0),
    "fewer priors": cut("priors.variance"),
    "no noise in a prior": put("priors.noise", (0, 0), 0.0),
    "fewer noises": cut("priors.noise"),
    "theta nan": put("state.theta", (0, 0), np.nan),
    "counters": put("state.counters", (0, 0), -1.0),
    "noise": put("state.noise", (0, 1, 0), -1.0),
    "fewer states": cut("state.theta"),
    "theta of another dtype": as_dtype("state.theta", np.float32),
    "no theta": lambda arrays: arrays.pop("state.theta"),
    "another array": lambda arrays: arrays.__setitem__("more", np.zeros(1)),
    "another state": lambda arrays: arrays.__setitem__("state.more", np.zeros(len(MIXED))),
    "a number": lambda arrays: arrays.__setitem__("state.theta", np.array(1.0)),
    "priors that are a number": lambda arrays: arrays.__setitem__("priors.theta", np.array(1.0)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_arrays(impl, name):
    bank = mixed(impl)
    bank.share_prior()
    with pytest.raises(impl.CheckpointError):
        impl.Bank._from_bytes(altered(bank, HOSTILE[name]))


@pytest.mark.parametrize(
    "change",
    [
        lambda header: header.pop("bank"),
        lambda header: header.__setitem__("bank", 3),
        lambda header: header["bank"].__setitem__("keys", 2**40),
        lambda header: header["bank"].__setitem__("keys", "7"),
        lambda header: header["bank"].__setitem__("time", "moon"),
        lambda header: header["bank"].__setitem__("time", []),
        lambda header: header["bank"].__setitem__("max_keys", -1),
        lambda header: header["bank"].__setitem__("evict_to", 7),
        lambda header: header["bank"].__setitem__("more", 7),
        lambda header: header["spec"].__setitem__("model", {"kind": "Linear"}),
        lambda header: header.__setitem__("spec", None),
    ],
)
def test_hostile_headers(impl, change):
    with pytest.raises(impl.CheckpointError):
        impl.Bank._from_bytes(altered(mixed(impl), change, "header"))


def test_any_flipped_byte_is_a_typed_error(impl):
    data = pickled(fed(impl, n=10))[0]
    for i in np.random.default_rng(0).integers(0, len(data), 300).tolist():
        damaged = bytearray(data)
        damaged[i] ^= 0x10
        with pytest.raises(errors.CheckpointError):
            impl.Bank._from_bytes(bytes(damaged))


def test_a_save_that_fails_leaves_the_file(impl, tmp_path):
    path = tmp_path / "bank.kfng"
    bank = fed(impl)
    bank.save(path)
    before = path.read_bytes()
    with pytest.raises(OSError, match="."):
        bank.save(tmp_path)
    with pytest.raises(OSError, match="."):
        bank.save(tmp_path / "none" / "bank.kfng")
    assert path.read_bytes() == before
    bank.update(["later"], np.ones((1, 3)), np.ones(1))
    bank.save(path)
    assert (tmp_path / "bank.kfng.prev").read_bytes() == before


KILLED = """
import importlib, sys
import numpy as np
impl = importlib.import_module(sys.argv[1])
bank = impl.Bank(impl.Linear(3), impl.Gaussian(variance=None))
n = int(sys.argv[3])
bank.update(np.arange(n), np.ones((n, 3)), np.ones(n))
bank.save(sys.argv[2])
print("first", flush=True)
while True:
    bank.update_panel(np.ones((n, 3)), np.ones(n))
    bank.save(sys.argv[2])
"""


def test_a_kill_during_a_save_leaves_a_file_that_loads(impl, tmp_path):
    path, n = tmp_path / "bank.kfng", 20_000 if impl.__name__ == "kfng" else 300
    rng = np.random.default_rng(0)
    for _ in range(4):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, impl.__name__, str(path), str(n)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout.readline() == "first\n"
        time.sleep(rng.uniform(0.0, 0.2))
        process.kill()
        process.communicate()
        bank = impl.load(path)
        assert len(bank) == n
        counts = bank.n_updates(bank.keys())
        assert (counts == counts[0]).all(), "half of a panel"
    left = {file.name for file in tmp_path.iterdir() if not file.name.startswith(".kfng-")}
    assert left == {"bank.kfng", "bank.kfng.prev"}


def test_paths(impl):
    bank = fed(impl)
    with refused(impl.DtypeError, "path", bank):
        bank.save(3)
