"""Joint and state filters go through files: they go on bit for bit, either implementation reads the other's, damage is named."""

import pickle

import numpy as np
import pytest
from tolerances import PARITY, covariance_error

from kfng import checkpoint, reference

F = np.array([[1.0, 0.3], [-0.3, 0.9]])
H = np.array([[1.0, 0.2]])
Q = np.array([[0.2, 0.1], [0.1, 0.3]])
MODEL = reference.RNN(2, 3, 1)
RULES = {"noise": lambda impl: impl.ProcessNoise(Q), "fading": lambda impl: impl.Fading(half_life=20)}


def state_filter(impl, dtype, rule="noise"):
    own = {"state_prior": 2 * Q, "transition": F, "jacobian": H, "rule": RULES[rule](impl)}
    return impl.StateFilter(2, 1, impl.Gaussian(covariance=[[0.5]]), dtype=dtype, **own)


def joint_filter(impl, dtype):
    settings = {"state_prior": 0.1, "state_noise": 0.02, "parameter_noise": 1e-4, "every": 3, "forgetting": 0.01}
    return impl.JointEkf(MODEL, impl.Bernoulli(), prior_variance=0.05, dtype=dtype, seed=7, **settings)


def feed(flt, seed):
    rng = np.random.default_rng(seed)
    Y = np.where(rng.random(10) < 0.2, np.nan, rng.integers(2, size=10).astype(float))
    args = (rng.normal(size=(10, 2)), Y) if hasattr(flt, "theta") else (Y,)
    return flt.update_many(*args, dt=rng.uniform(0.5, 1.5, 10))


MAKERS = {
    "state": state_filter,
    "state, fading": lambda impl, dtype: state_filter(impl, dtype, "fading"),
    "joint": joint_filter,
}


@pytest.mark.parametrize("dtype", PARITY)
@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("how", ["file", "pickle"])
def test_a_loaded_filter_goes_on_bit_for_bit(impl, maker, dtype, how, tmp_path):
    flt = MAKERS[maker](impl, dtype)
    feed(flt, 0)
    if how == "file":
        flt.save(tmp_path / "joint.kfng")
        twin = impl.load(tmp_path / "joint.kfng")
    else:
        twin = pickle.loads(pickle.dumps(flt))
    assert type(twin) is type(flt)
    assert repr(twin) == repr(flt)
    assert twin.health() == flt.health()
    one, two = feed(flt, 1), feed(twin, 1)
    for name in ("prediction", "std", "nll"):
        assert np.array_equal(getattr(one, name), getattr(two, name), equal_nan=True), name
    assert (flt._covariance() == twin._covariance()).all()
    assert (flt.state == twin.state).all()
    assert twin.health() == flt.health()


@pytest.mark.parametrize("dtype", PARITY)
@pytest.mark.parametrize("maker", MAKERS)
def test_either_implementation_reads_the_others_file(both, maker, dtype, tmp_path):
    for mine, other in (both, both[::-1]):
        flt = MAKERS[maker](mine, dtype)
        feed(flt, 0)
        flt.save(tmp_path / "joint.kfng")
        twin = other.load(tmp_path / "joint.kfng")
        feed(flt, 1)
        feed(twin, 1)
        assert covariance_error(twin._covariance(), flt._covariance()) < 10 * PARITY[dtype]
        assert twin.health()["n_updates"] == flt.health()["n_updates"]


BAD = {
    "a variance below 0": lambda header, arrays: arrays | {"state.D": -arrays["state.D"]},
    "no state": lambda header, arrays: {name: x for name, x in arrays.items() if name != "state.x"},
    "a longer state": lambda header, arrays: arrays | {"state.x": np.zeros(99)},
    "counts of halves": lambda header, arrays: arrays | {"counts": arrays["counts"] + 0.5},
    "something more": lambda header, arrays: arrays | {"more": np.zeros(1)},
    "an argument nobody knows": lambda header, arrays: header["arguments"].update(more=1) or arrays,
    "an argument without its array": lambda header, arrays: {
        name: x for name, x in arrays.items() if name != "argument.transition"
    },
    "a rule that is none": lambda header, arrays: header["arguments"].update(rule={"kind": "Magic"}) or arrays,
    "a guard that is a number": lambda header, arrays: header["arguments"].update(guards=3) or arrays,
    "another object": lambda header, arrays: header.update(object="JointEkf") or arrays,
    "no object": lambda header, arrays: header.update(object="os.system") or arrays,
}


@pytest.mark.parametrize("damage", BAD)
def test_a_file_that_is_wrong_is_refused(impl, damage, tmp_path):
    path = tmp_path / "state.kfng"
    flt = state_filter(impl, "float64")
    feed(flt, 0)
    flt.save(path)
    header, arrays = checkpoint.decode(path.read_bytes())
    if "state.P" in arrays and damage == "a variance below 0":
        arrays = arrays | {"state.P": -arrays["state.P"]}
    else:
        arrays = BAD[damage](header, arrays)
    path.write_bytes(checkpoint.encode(header, arrays))
    with pytest.raises(impl.errors.CheckpointError):
        impl.load(path)


def test_a_filters_file_is_no_pickle_of_another(impl, tmp_path):
    """`load` reads all kinds; one class reads its own."""
    flt = impl.Filter(impl.Linear(2), impl.Gaussian(1.0))
    flt.save(tmp_path / "filter.kfng")
    assert type(impl.load(tmp_path / "filter.kfng")) is impl.Filter
    state_filter(impl, "float64").save(tmp_path / "state.kfng")
    with pytest.raises(impl.errors.BadHeaderError) as caught:
        impl.Filter._from_bytes((tmp_path / "state.kfng").read_bytes())
    assert caught.value.argument == "object"
