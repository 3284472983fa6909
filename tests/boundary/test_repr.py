"""Components are values: equal when their settings are, hashable, picklable, and their repr can be pasted back."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from boundary.filters import KINDS, bits, fed, make

from kfng._settings import AXES
from kfng.reference.rule.schedule import SCHEDULES
from kfng.reference.sensitivity import SENSITIVITIES

COMPONENTS = [
    "Linear(3)",
    "Linear(3, 2, False)",
    "Linear(n_features=0)",
    "Linear(n_features=4, intercept=False)",
    "External(13, 2)",
    "MLP([3, 1])",
    "MLP((3, 4, 2), activation='relu')",
    "Gaussian()",
    "Gaussian(0.1)",
    "Gaussian(variance=1e-300)",
    "Gaussian(None)",
    "Gaussian(None, prior_dof=5, prior_scale=1/3)",
    "Gaussian(covariance=[[1.0, 0.1], [0.1, 1/3]])",
    "Bernoulli()",
    "Poisson()",
    "Gaussian('each')",
    "GaussianMeanVariance()",
    "Binomial()",
    "Binomial(trials=5)",
    "Categorical(3)",
    "NegativeBinomial(1/3)",
    "Gamma(shape=2)",
    "Full()",
    "Full(2)",
    "Full(0.1)",
    "Full([1.0, 2.0, 1/3])",
    "Full([[1.0, 0.1], [0.1, 1/3]])",
    "Diagonal()",
    "Diagonal(0.1, 'covariance')",
    "Diagonal([1.0, 2.0, 1/3])",
    "Kalman()",
    "Fading(0.1)",
    "Fading(0)",
    "Fading(half_life=7)",
    "Fading(forgetting=1/3)",
    "Fading(0.1, towards='prior')",
    "NaturalGradient(0.1)",
    "NaturalGradient(1/3, 0.1)",
    "NaturalGradient(InverseTime(1.5, 1.5), Power(1, 0.7))",
    "InverseTime(1, 1/3)",
    "Power(0.1, exponent=0.5)",
    "ProcessNoise(0.1)",
    "ProcessNoise([0.1, 0.0, 1/3], every=3)",
    "ProcessNoise([[1.0, 0.1], [0.1, 1/3]])",
    "Guards()",
    "Guards.none()",
    "Guards(step_clip=0.1, z_clamp=None, windup=3, r_floor=0)",
    "Guards(influence=None)",
    "RNN(2, 3, 1)",
    "RNN(2, 2, 1, 'relu', mask=[[1, 0], [1, 1]], input_center=[0.1, 1/3], input_scale=[1, 2])",
    "GRU(2, 3, 1)",
    "LSTM(2, 3, 1, input_scale=[1/3, 1])",
    "LinearStateSpace(2, 3, 1, input_center=[1/3, 1])",
    "LRU(2, 3, 1)",
    "ExternalRecurrent(5, 2, 1)",
    "RTRL()",
    "RTRL(False)",
    "SnAp(2)",
    "SnAp(1, state_correction=False)",
    "DiagonalRTRL()",
    "UORO(seed=3)",
    "SGD(1/3)",
    "SGD(InverseTime(1, 2))",
    "Adam(0.1, beta1=0.8)",
    "Point()",
]


def build(impl, text):
    return eval(text, dict(vars(impl)))


@pytest.mark.parametrize("text", COMPONENTS)
def test_pasted_back(impl, text):
    component = build(impl, text)
    again = build(impl, repr(component))
    assert again == component
    assert hash(again) == hash(component)
    assert repr(again) == repr(component)
    assert "np." not in repr(component)
    for twin in (copy.copy(component), copy.deepcopy(component), pickle.loads(pickle.dumps(component))):
        assert twin == component
        assert type(twin) is type(component)


def test_every_component_is_in_the_list(impl):
    names = {name for axis in (*AXES.values(), SCHEDULES, SENSITIVITIES) for name in axis}
    assert {text.partition("(")[0].partition(".")[0] for text in COMPONENTS} == names
    assert all(hasattr(impl, name) for name in names)


def test_different_settings_are_different(impl):
    made = [build(impl, text) for text in COMPONENTS]
    different = {repr(component): component for component in made}
    assert len(different) == len(COMPONENTS)  # no two of them are the same value
    for text, component in different.items():
        assert [other for other in made if other == component] == [component], text
    assert len(set(made)) == len(made)
    assert impl.Linear(3) != 3
    assert impl.Linear(3) != "Linear(n_features=3)"
    assert impl.Kalman() != impl.Bernoulli()


def test_equal_settings_are_equal_whatever_they_were_given_as(impl):
    assert impl.Gaussian(2) == impl.Gaussian(2.0) == impl.Gaussian(np.float32(2)) == impl.Gaussian(variance=np.int64(2))
    assert impl.Full([1, 2]) == impl.Full(np.array([1.0, 2.0])) == impl.Full((1.0, 2.0))
    assert impl.Linear(np.int8(3), np.uint64(1)) == impl.Linear(3)
    assert impl.Gaussian(covariance=np.asfortranarray([[2, 1], [1, 3]])) == impl.Gaussian(
        covariance=[[2.0, 1.0], [1.0, 3.0]]
    )
    assert impl.Guards(step_clip=1) == impl.Guards(step_clip=1.0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_filter_pasted_back_is_the_fresh_filter(impl, kind):
    options = {"dtype": "float32", "theta": np.arange(8 if kind == "two_outputs" else 4) / 3, "feature_names": ["a", "b", "c"],
               "belief": impl.Full(0.3), "seed": 5, "num_threads": 2, "guards": impl.Guards(windup=3.0)}  # fmt: skip
    for settings in ({}, options):
        fresh = make(impl, kind, **settings)
        assert "Filter(" in repr(fresh)
        again = build(impl, repr(fed(impl, kind, **settings)))
        assert type(again) is impl.Filter
        assert bits(again) == bits(fresh)
        assert again.spec() == fresh.spec()


def test_step_and_trace_say_what_they_are(impl):
    flt = make(impl, "gaussian")
    step = flt.update([0.5, 1.0, 2.0], 1.0)
    assert repr(step).startswith("Step(")
    for name in ("prediction", "std", "skipped", "clipped"):
        assert name in repr(step)
    trace = flt.update_many(np.ones((3, 3)), [1.0, np.nan, 2.0])
    assert repr(trace) == "<Trace of 3 rows, 1 skipped, 0 clipped>"


def test_components_are_the_same_classes_in_both():
    import kfng
    from kfng import reference

    for axis in AXES.values():
        for name, cls in axis.items():
            assert getattr(kfng, name) is getattr(reference, name) is cls
