"""StateFilter and JointEkf refuse what is wrong by name, and are afterwards as they were before, bit for bit."""

import numpy as np
import pytest

from kfng import reference

N, K = 3, 2
GOOD = {"state": np.ones(N), "transition": np.eye(N), "output": np.zeros(K), "jacobian": np.ones((K, N))}


def state_filter(impl, **options):
    return impl.StateFilter(N, K, impl.Gaussian(0.5), **options)


def refused(impl, flt, call, error, argument):
    before = flt.state, flt.cov(), flt.health()
    with pytest.raises(getattr(impl.errors, error)) as caught:
        call()
    assert caught.value.argument == argument, str(caught.value)
    assert caught.value.expected is not None
    assert (flt.state == before[0]).all()
    assert (flt.cov() == before[1]).all()
    after = flt.health()
    assert {name: x for name, x in after.items() if name != "mean_nis"} == {
        name: x for name, x in before[2].items() if name != "mean_nis"
    }
    return caught.value


BAD_ROWS = {
    "y too short": ({"y": [1.0]}, "ShapeError", "y"),
    "y of words": ({"y": ["a", "b"]}, "DtypeError", "y"),
    "y infinite": ({"y": [np.inf, 0.0]}, "NonFiniteError", "y"),
    "state of another length": ({"state": np.ones(N + 1)}, "ShapeError", "state"),
    "state NaN": ({"state": [0.0, np.nan, 0.0]}, "NonFiniteError", "state"),
    "state of objects": ({"state": [None, 0, 0]}, "DtypeError", "state"),
    "transition not square": ({"transition": np.ones((N, N + 1))}, "ShapeError", "transition"),
    "transition infinite": ({"transition": np.full((N, N), np.inf)}, "NonFiniteError", "transition"),
    "transition complex": ({"transition": np.eye(N) * 1j}, "DtypeError", "transition"),
    "output of another length": ({"output": np.ones(K + 1)}, "ShapeError", "output"),
    "output NaN": ({"output": [np.nan, 0.0]}, "NonFiniteError", "output"),
    "jacobian transposed": ({"jacobian": np.ones((N, K))}, "ShapeError", "jacobian"),
    "jacobian NaN": ({"jacobian": np.full((K, N), np.nan)}, "NonFiniteError", "jacobian"),
    "no transition": ({"transition": None}, "ParameterError", "transition"),
    "no jacobian": ({"jacobian": None}, "ParameterError", "jacobian"),
    "weight negative": ({"weight": -1.0}, "ParameterError", "weight"),
    "weight a word": ({"weight": "a"}, "DtypeError", "weight"),
    "dt negative": ({"dt": -1.0}, "ParameterError", "dt"),
    "dt NaN": ({"dt": np.nan}, "NonFiniteError", "dt"),
    "noise of another shape": ({"noise": np.eye(N + 1)}, "ShapeError", "noise"),
    "noise negative": ({"noise": -1.0}, "ParameterError", "noise"),
    "noise indefinite": ({"noise": np.eye(N) * 3 - 2}, "NotPositiveDefiniteError", "noise"),
    "noise asymmetric": ({"noise": np.eye(N) + np.triu(np.ones((N, N)), 1)}, "NotPositiveDefiniteError", "noise"),
    "overflow": ({"transition": np.eye(N) * 1e200}, "NonFiniteError", "u"),
}


@pytest.mark.parametrize("name", BAD_ROWS)
def test_bad_rows_change_nothing(impl, name):
    change, error, argument = BAD_ROWS[name]
    flt = state_filter(impl)
    flt.update([0.1, -0.2], **GOOD)
    refused(impl, flt, lambda: flt.update(**({"y": [0.0, 1.0]} | GOOD | change)), error, argument)
    flt.update([0.1, -0.2], **GOOD)


BAD_SETTINGS = {
    "no state": (lambda impl: impl.StateFilter(0, 1, impl.Gaussian()), "ParameterError", "n_state"),
    "too much state": (lambda impl: impl.StateFilter(10**6, 1, impl.Gaussian()), "ParameterError", "n_state"),
    "half an output": (lambda impl: impl.StateFilter(2, 1.5, impl.Gaussian()), "ParameterError", "n_outputs"),
    "a family's name": (lambda impl: impl.StateFilter(2, 1, "Gaussian"), "ParameterError", "family"),
    "outputs of the family": (lambda impl: impl.StateFilter(2, 2, impl.Poisson()), "ShapeError", "family"),
    "outputs of R": (lambda impl: impl.StateFilter(2, 3, impl.Gaussian(covariance=np.eye(2))), "ShapeError", "family"),
    "a learned noise": (lambda impl: impl.StateFilter(2, 1, impl.Gaussian(None)), "UnsupportedError", "family"),
    "a noise of each": (lambda impl: impl.StateFilter(2, 1, impl.Gaussian("each")), "UnsupportedError", "family"),
    "towards the prior": (
        lambda impl: state_filter(impl, rule=impl.Fading(0.1, towards="prior")), "UnsupportedError", "rule",
    ),
    "a learning rate": (lambda impl: state_filter(impl, rule=impl.NaturalGradient(0.1)), "UnsupportedError", "rule"),
    "now and then": (lambda impl: state_filter(impl, rule=impl.ProcessNoise(1.0, every=2)), "UnsupportedError", "rule"),
    "Q of another size": (lambda impl: state_filter(impl, rule=impl.ProcessNoise([1.0])), "ShapeError", "Q"),
    "state": (lambda impl: state_filter(impl, state=[1.0]), "ShapeError", "state"),
    "prior negative": (lambda impl: state_filter(impl, state_prior=-1.0), "ParameterError", "state_prior"),
    "prior infinite": (lambda impl: state_filter(impl, state_prior=np.inf), "NonFiniteError", "state_prior"),
    "prior shape": (lambda impl: state_filter(impl, state_prior=np.eye(2)), "ShapeError", "state_prior"),
    "prior indefinite": (
        lambda impl: state_filter(impl, state_prior=np.eye(N) * 3 - 2), "NotPositiveDefiniteError", "state_prior",
    ),
    "transition": (lambda impl: state_filter(impl, transition=np.eye(2)), "ShapeError", "transition"),
    "jacobian": (lambda impl: state_filter(impl, jacobian=np.eye(N)), "ShapeError", "jacobian"),
    "dtype": (lambda impl: state_filter(impl, dtype="int8"), "DtypeError", "dtype"),
    "guards": (lambda impl: state_filter(impl, guards=1.0), "ParameterError", "guards"),
    "no recurrent model": (lambda impl: impl.JointEkf(impl.Linear(2), impl.Gaussian()), "UnsupportedError", "model"),
    "no model": (lambda impl: impl.JointEkf("RNN", impl.Gaussian()), "ParameterError", "model"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_SETTINGS)
def test_bad_settings_are_named(impl, name):
    make, error, argument = BAD_SETTINGS[name]
    with pytest.raises(getattr(impl.errors, error)) as caught:
        make(impl)
    assert caught.value.argument == argument, str(caught.value)


def test_a_missing_y_needs_no_output(impl):
    flt = state_filter(impl, rule=impl.ProcessNoise(0.5))
    step = flt.update([np.nan, np.nan], np.ones(N), 2 * np.eye(N))
    assert step.skipped
    assert np.isnan(step.prediction).all()
    assert (flt.state == 1).all()
    assert np.allclose(flt.cov(), 4.5 * np.eye(N), rtol=1e-15)
    bad = flt.update([np.nan, np.nan], np.ones(N), np.eye(N), [np.nan, 0.0], np.full((K, N), np.inf))
    assert bad.skipped
    assert np.isnan(bad.prediction).all()
    assert np.allclose(flt.cov(), 5.0 * np.eye(N), rtol=1e-15)
    assert flt.health()["missing"] == 2


def test_a_linear_model_needs_no_values(impl):
    F, H = np.triu(np.ones((N, N))), np.ones((K, N)) * [[1.0], [2.0]]
    plain, given = state_filter(impl, transition=F, jacobian=H, state=np.ones(N)), state_filter(impl, state=np.ones(N))
    plain.update([1.0, 2.0])
    given.update([1.0, 2.0], F @ np.ones(N), F, H @ (F @ np.ones(N)), H)
    assert (plain.state == given.state).all()
    assert (plain.cov() == given.cov()).all()


def test_a_sequence_stops_at_its_bad_row(impl):
    flt = impl.StateFilter(1, 1, impl.Poisson(), transition=[[1.0]], jacobian=[[1.0]])
    twin = flt.copy()
    with pytest.raises(impl.ParameterError) as caught:
        flt.update_many([1.0, 2.0, -1.0, 3.0])
    assert caught.value.row == 2
    assert len(caught.value.trace) == 2
    twin.update_many([1.0, 2.0])
    assert (flt.state == twin.state).all()
    with pytest.raises(impl.UnsupportedError):
        state_filter(impl).update_many(np.zeros((3, K)))
    for Y in (np.zeros((3, 2)), 1.0):
        refused(impl, flt, lambda Y=Y: flt.update_many(Y), "ShapeError", "Y")
    refused(impl, flt, lambda: flt.update_many([1.0, 2.0], dt=[1.0]), "ShapeError", "dt")


def test_what_is_read_is_a_copy(impl):
    flt = state_filter(impl)
    for read in (lambda: flt.state, flt.cov):
        array = read()
        array[:] = 7.0
        assert (read() != 7.0).any()


def test_settings_are_not_shared_with_the_caller(impl):
    F = np.eye(N)
    flt = state_filter(impl, transition=F, jacobian=np.ones((K, N)), state=np.ones(N))
    F[:] = 0.0
    flt.update([np.nan, np.nan])
    assert (flt.state == 1).all()


def joint_ekf(impl, **options):
    return impl.JointEkf(reference.LinearStateSpace(2, N, K), impl.Gaussian(0.5), **options)


BAD_INPUTS = {
    "u too long": ({"u": [1.0, 2.0, 3.0]}, "ShapeError", "u"),
    "u NaN": ({"u": [1.0, np.nan]}, "NonFiniteError", "u"),
    "y too long": ({"y": [0.0, 1.0, 2.0]}, "ShapeError", "y"),
    "y infinite": ({"y": [np.inf, 0.0]}, "NonFiniteError", "y"),
    "weight": ({"weight": -1.0}, "ParameterError", "weight"),
    "dt": ({"dt": np.inf}, "NonFiniteError", "dt"),
    "offset": ({"offset": np.ones(K + 1)}, "ShapeError", "offset"),
    "overflow": ({"u": [1e308, 1e308]}, "NonFiniteError", "u"),
}


@pytest.mark.parametrize("name", BAD_INPUTS)
def test_bad_inputs_change_nothing(impl, name):
    change, error, argument = BAD_INPUTS[name]
    flt = joint_ekf(impl, state_noise=0.1, parameter_noise=0.01, every=3)
    flt.update([0.1, -0.2], [0.3, 0.4])
    theta = flt.theta
    refused(impl, flt, lambda: flt.update(**({"u": [0.1, 0.2], "y": [0.0, 1.0]} | change)), error, argument)
    assert (flt.theta == theta).all()
    flt.update([0.1, -0.2], [0.3, 0.4])


BAD_PARTS = {
    "no state": ({"state": None}, "ParameterError", "state"),
    "no transition": ({"transition": None}, "ParameterError", "transition"),
    "half a transition": ({"transition": np.eye(N)}, "ShapeError", "transition"),
    "half a jacobian": ({"jacobian": np.ones((K, N))}, "ShapeError", "jacobian"),
    "f_theta": ({"transition": (np.eye(N), np.ones((N, 5)))}, "ShapeError", "transition"),
    "h_theta": ({"jacobian": (np.ones((K, N)), np.ones((K, 5)))}, "ShapeError", "jacobian"),
    "state NaN": ({"state": [0.0, np.nan, 0.0]}, "NonFiniteError", "state"),
    "output": ({"output": np.ones(K + 1)}, "ShapeError", "output"),
}


@pytest.mark.parametrize("name", BAD_PARTS)
def test_bad_parts_of_a_model_elsewhere_change_nothing(impl, name):
    change, error, argument = BAD_PARTS[name]
    flt = impl.JointEkf(reference.ExternalRecurrent(4, N, K), impl.Gaussian(0.5), state_noise=0.1)
    good = {"y": [0.0, 1.0], "output": np.zeros(K), "jacobian": (np.ones((K, N)), np.ones((K, 4))), "state": np.ones(N)}
    good["transition"] = np.eye(N), np.ones((N, 4))
    flt.condition(**good)
    refused(impl, flt, lambda: flt.condition(**(good | change)), error, argument)
    flt.condition(**good)
    with pytest.raises(impl.UnsupportedError):
        flt.update([1.0], [0.0, 1.0])


BAD_JOINTS = {
    "theta": ({"theta": [1.0]}, "ShapeError", "theta"),
    "prior_variance": ({"prior_variance": 0.0}, "ParameterError", "prior_variance"),
    "prior_variance shape": ({"prior_variance": np.eye(2)}, "ShapeError", "prior_variance"),
    "state_noise": ({"state_noise": -1.0}, "ParameterError", "state_noise"),
    "state_noise indefinite": ({"state_noise": np.eye(N) * 3 - 2}, "NotPositiveDefiniteError", "state_noise"),
    "parameter_noise": ({"parameter_noise": np.nan}, "NonFiniteError", "parameter_noise"),
    "state_prior": ({"state_prior": np.eye(2)}, "ShapeError", "state_prior"),
    "forgetting": ({"forgetting": 1.0}, "ParameterError", "forgetting"),
    "every": ({"every": 0}, "ParameterError", "every"),
    "seed": ({"seed": -1}, "ParameterError", "seed"),
    "dtype": ({"dtype": "int8"}, "DtypeError", "dtype"),
}


@pytest.mark.parametrize("name", BAD_JOINTS)
def test_bad_settings_of_a_joint_filter_are_named(impl, name):
    change, error, argument = BAD_JOINTS[name]
    with pytest.raises(getattr(impl.errors, error)) as caught:
        joint_ekf(impl, **change)
    assert caught.value.argument == argument, str(caught.value)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_row_without_inputs_lets_time_alone_pass(impl, dtype):
    flt = joint_ekf(impl, state_noise=0.5, state_prior=1.0, dtype=dtype)
    flt.update([0.1, 0.2], [0.3, 0.4])
    before, state = flt.joint_cov(), flt.state
    step = flt.update([np.nan, 1.0], [np.nan, np.nan], dt=2.0)
    assert np.isnan(step.prediction).all()
    assert (flt.state == state).all()
    before[:N, :N] += np.eye(N)
    assert np.allclose(flt.joint_cov(), before, rtol=1e-6 if dtype == "float32" else 1e-13, atol=1e-7)
    assert flt.theta.dtype == dtype


@pytest.mark.panics
def test_a_fault_is_an_error_and_the_last_one():
    import kfng

    flt = state_filter(kfng)
    with pytest.raises(kfng.InternalError):
        flt._kernel._core._panic()
    with pytest.raises(kfng.InternalError):
        flt.update([0.0, 1.0], **GOOD)
