"""What a mixture refuses, by name; files, copies and what is read from it."""

import pickle
from copy import copy, deepcopy

import numpy as np
import pytest
from mixture.mixtures import KINDS, bits, make, stream


def linear(impl, d=3, k=1, family=None, **options):
    return impl.Filter(impl.Linear(d, k), family or impl.Gaussian(), **options)


BAD = {
    "nothing": (lambda impl: impl.Mixture([]), "ParameterError", "filters"),
    "one filter, no list": (lambda impl: impl.Mixture(linear(impl)), "ParameterError", "filters"),
    "a number": (lambda impl: impl.Mixture(3), "ParameterError", "filters"),
    "a model": (lambda impl: impl.Mixture([impl.Linear(3)]), "ParameterError", "filters[0]"),
    "half a spec": (lambda impl: impl.Mixture([linear(impl), {"model": 1}]), "ParameterError", "filters[1]"),
    "names": (lambda impl: impl.Mixture({1: linear(impl)}), "ParameterError", "filters"),
    "inputs": (lambda impl: impl.Mixture([linear(impl), linear(impl, 2)]), "ShapeError", "filters[1]"),
    "outputs": (lambda impl: impl.Mixture([linear(impl), linear(impl, 3, 2)]), "ShapeError", "filters[1]"),
    "classes": (
        lambda impl: impl.Mixture([linear(impl, 3, 3, impl.Categorical(3)), linear(impl, 3, 4, impl.Categorical(4))]),
        "ShapeError", "filters[1]",
    ),
    "kinds of density": (
        lambda impl: impl.Mixture([linear(impl), linear(impl, 3, 1, impl.Poisson())]), "UnsupportedError", "filters[1]",
    ),
    "elsewhere": (
        lambda impl: impl.Mixture([impl.Filter(impl.External(3, 1), impl.Gaussian())]), "UnsupportedError", "filters[0]",
    ),
    "prior negative": (lambda impl: impl.Mixture([linear(impl)] * 2, prior=[1, -1]), "ParameterError", "prior"),
    "prior too short": (lambda impl: impl.Mixture([linear(impl)] * 2, prior=[1]), "ShapeError", "prior"),
    "prior NaN": (lambda impl: impl.Mixture([linear(impl)], prior=[np.nan]), "NonFiniteError", "prior"),
    "prior of words": (lambda impl: impl.Mixture([linear(impl)], prior=["a"]), "DtypeError", "prior"),
    "forgetting of one": (lambda impl: impl.Mixture([linear(impl)], forgetting=1.0), "ParameterError", "forgetting"),
    "forgetting of words": (lambda impl: impl.Mixture([linear(impl)], forgetting="a"), "ParameterError", "forgetting"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_settings_are_named(impl, name):
    make_it, error, argument = BAD[name]
    with pytest.raises(getattr(impl, error)) as caught:
        make_it(impl)
    assert caught.value.argument == argument, str(caught.value)
    assert caught.value.expected is not None
    assert caught.value.got is not None


def test_a_filter_of_the_other_kind(both):
    for mine, other in (both, both[::-1]):
        with pytest.raises(mine.ParameterError) as caught:
            mine.Mixture([linear(other)])
        assert caught.value.argument == "filters[0]"


CALLS = {
    "rows too wide": (lambda m: m.update_many(np.ones((4, 2)), np.ones(4)), "ShapeError", "U"),
    "y too short": (lambda m: m.update_many(np.ones((4, 3)), np.ones(3)), "ShapeError", "Y"),
    "y of words": (lambda m: m.update_many(np.ones((1, 3)), ["a"]), "DtypeError", "Y"),
    "weights too short": (lambda m: m.update_many(np.ones((4, 3)), np.ones(4), weight=[1.0]), "ShapeError", "weight"),
    "bad rows": (
        lambda m: m.update_many(np.ones((4, 3)), np.ones(4), on_bad_row="x"),
        "UnknownNameError",
        "on_bad_row",
    ),
    "a trace": (lambda m: m.update_many(np.ones((4, 3)), np.ones(4), trace=1), "ParameterError", "trace"),
    "progress": (lambda m: m.update_many(np.ones((4, 3)), np.ones(4), progress=1), "ParameterError", "progress"),
    "lengths": (lambda m: m.update_many(np.ones((4, 3)), np.ones(4), lengths=[4]), "UnsupportedError", "lengths"),
    "a state": (lambda m: m.reset_state(), "UnsupportedError", "reset_state"),
    "both": (lambda m: m.predict(np.ones((1, 3)), return_std=True, return_cov=True), "ParameterError", "return_cov"),
    "a prediction's width": (lambda m: m.predict(np.ones((1, 4))), "ShapeError", "U"),
    "a row of words": (lambda m: m.update(["a", "b", "c"], 1.0), "DtypeError", "u"),
    "dt None": (lambda m: m.update([1.0, 2.0, 3.0], 1.0, dt=None), "DtypeError", "dt"),
}


@pytest.mark.parametrize("name", CALLS)
def test_bad_calls_change_nothing(impl, name):
    call, error, argument = CALLS[name]
    mixture = make(impl, "half-lives")
    mixture.update_many(*stream("half-lives")[:2], trace=False)
    before = bits(mixture)
    with pytest.raises(getattr(impl, error)) as caught:
        call(mixture)
    assert caught.value.argument == argument, str(caught.value)
    assert bits(mixture) == before


def test_time_in_seconds(impl):
    filters = [linear(impl, rule=impl.Fading(half_life=h)) for h in (10, "1d")]
    mixture = impl.Mixture(filters)
    for call in (lambda: mixture.update(np.ones(3), 1.0), lambda: mixture.update_many(np.ones((2, 3)), np.ones(2))):
        before = bits(mixture)
        with pytest.raises(impl.ParameterError) as caught:
            call()
        assert caught.value.argument == "dt"
        assert bits(mixture) == before
    mixture.update(np.ones(3), 1.0, dt=3600.0)


@pytest.mark.parametrize("kind", KINDS)
def test_files_and_copies(both, tmp_path, kind):
    for impl, other in (both, both[::-1]):
        mixture = make(impl, kind, forgetting=0.01, prior=np.arange(1.0, 1 + len(make(impl, kind).weights)))
        U, Y, weight, dt = stream(kind)
        mixture.update_many(U[:30], Y[:30], weight=weight[:30], dt=dt[:30])
        mixture.save(tmp_path / "mixture.kfng")
        twins = [impl.load(tmp_path / "mixture.kfng"), pickle.loads(pickle.dumps(mixture)), mixture.copy(),
                 copy(mixture), deepcopy(mixture)]  # fmt: skip
        mixture.update_many(U[30:], Y[30:], weight=weight[30:], dt=dt[30:])
        for twin in twins:
            assert type(twin) is impl.Mixture
            twin.update_many(U[30:], Y[30:], weight=weight[30:], dt=dt[30:])
            assert bits(twin) == bits(mixture)
            assert twin.names == mixture.names
        theirs = other.load(tmp_path / "mixture.kfng")
        assert type(theirs) is other.Mixture
        assert type(theirs.best) is other.Filter


def test_the_filters_are_copies(impl):
    flt = linear(impl)
    mixture = impl.Mixture([flt])
    flt.update(np.ones(3), 5.0)
    mixture.filters[0].update(np.ones(3), 5.0)
    mixture.best.update(np.ones(3), 5.0)
    mixture.weights[0] = 0.0
    assert mixture.n_updates == 0
    assert mixture.filters[0].n_updates == 0
    assert mixture.weights.tolist() == [1.0]


def test_names(impl):
    filters = [linear(impl, rule=impl.Fading(half_life=h)) for h in (5, 50)]
    assert impl.Mixture(filters).names == ("rule=Fading(half_life=5.0)", "rule=Fading(half_life=50.0)")
    assert impl.Mixture({"short": filters[0], "long": filters[1]}).names == ("short", "long")
    assert impl.Mixture([filters[0], filters[0]]).names == ("0", "1")
    mixed = impl.Mixture([linear(impl), linear(impl, family=impl.Gaussian(None)), linear(impl)])
    assert mixed.names == ("0: Gaussian()", "Gaussian(variance=None)", "2: Gaussian()")


def test_specs_stand_for_filters(impl):
    filters = [linear(impl, rule=impl.Fading(half_life=h)) for h in (5, 50)]
    mixture, twin = impl.Mixture([flt.spec() for flt in filters]), impl.Mixture(filters)
    for each in (mixture, twin):
        each.update(np.ones(3), 1.0)
    assert bits(mixture) == bits(twin)
    assert twin.spec()["filters"] == [flt.spec() for flt in filters]


def test_health(impl):
    mixture = make(impl, "half-lives")
    assert mixture.health()["effective"] == pytest.approx(3.0)
    mixture.update_many(*stream("half-lives")[:2])
    health = mixture.health()
    assert list(health["weights"]) == list(mixture.names)
    assert sum(health["weights"].values()) == pytest.approx(1.0)
    assert 1.0 <= health["effective"] < 3.0
    assert health["filters"][mixture.names[0]] == mixture.filters[0].health()


def test_traces_are_pickled(impl):
    mixture = make(impl, "half-lives")
    trace = mixture.update_many(*stream("half-lives")[:2])
    twin = pickle.loads(pickle.dumps(trace))
    for name in ("prediction", "std", "nll", "weights", "nlls"):
        np.testing.assert_array_equal(getattr(twin, name), getattr(trace, name))
    with pytest.raises(TypeError):
        trace[0]


DAMAGED = {
    "no filters": (lambda header, arrays: header.pop("filters"), "BadHeaderError", "filters"),
    "a name too few": (lambda header, arrays: header.update(names=["a"]), "BadHeaderError", "names"),
    "forgetting": (lambda header, arrays: header.update(forgetting=1), "BadHeaderError", "forgetting"),
    "scores": (lambda header, arrays: arrays.update(scores=np.ones(2)), "BadValueError", "scores"),
    "no sums": (lambda header, arrays: arrays.pop("sums"), "BadHeaderError", "layout"),
    "another array": (lambda header, arrays: arrays.update(more=np.ones(2)), "BadHeaderError", "layout"),
    "a filter's array": (lambda header, arrays: arrays.update({"0.state.theta": np.ones(2)}), "BadValueError", None),
    "filters that do not fit": (
        lambda header, arrays: header["filters"][0].update(model={"kind": "Linear", "n_features": 3, "n_outputs": 2}),
        "CheckpointError", None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGED)
def test_files_of_unknown_origin(impl, name):
    from kfng import checkpoint

    damage, error, argument = DAMAGED[name]
    header, arrays = checkpoint.decode(make(impl, "half-lives")._to_bytes())
    impl.Mixture._from_file(header, arrays)
    damage(header, arrays)
    with pytest.raises(getattr(impl, error)) as caught:
        impl.Mixture._from_file(header, arrays)
    assert argument is None or caught.value.argument == argument, str(caught.value)
    with pytest.raises(impl.BadHeaderError):
        impl.Mixture._from_bytes(linear(impl)._to_bytes())
