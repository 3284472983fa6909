"""T31: a diagonal belief V takes a row as the dense filter with the prior diag(V) does, then keeps a diagonal of the result.

    J = diag(1/V) + A A',  theta <- theta + J^-1 g;   V <- 1/diag(J) ('precision') or diag(J^-1) ('covariance')

with all outputs at once; kfng's form is S = I + A'VA and theta + V(g - A S^-1 A'V g). V_new g overshoots by p/2, outputs
one after another give another gain. Source: arXiv 1703.00209 with J_{t-1} diagonal.
"""

import pickle

import numpy as np
import pytest
from theory.literal import error, judge, learned_from
from theory.streams import NAMES, assert_quiet, stream

from kfng import errors
from kfng._settings import AXES
from kfng.reference.belief import Diagonal

TOLERANCE = 1e-12
LAM = 0.01
PROJECTIONS = ["precision", "covariance"]


@pytest.fixture
def registered(monkeypatch):
    """The name as files will know it."""
    monkeypatch.setitem(AXES["belief"], "Diagonal", Diagonal)


def dense(rows, projection, lam, control):
    """theta_t (n, p) and V_t (n, p), with matrices."""
    theta, V, thetas, variances = rows.theta_0, np.diagonal(rows.prior), [], []
    for t in range(len(rows.U)):
        V = V / (1 - lam) ** rows.dt[t]
        g, F = learned_from(rows, t, theta)
        J = np.diag(1 / V) + F
        new = {"precision": 1 / np.diagonal(J), "covariance": np.diagonal(np.linalg.inv(J))}
        if control == "V_new g":
            theta = theta + new[projection] * g
        elif control == "V_old g":
            theta = theta + V * g
        else:
            theta = theta + np.linalg.solve(J, g)
        V = new[projection if control != "the other projection" else PROJECTIONS[1 - PROJECTIONS.index(projection)]]
        thetas.append(theta)
        variances.append(V)
    return np.array(thetas), np.array(variances)


# every control bites for every family and model in NAMES
@pytest.mark.parametrize("control", [None, "V_new g", "V_old g", "the other projection"])
@pytest.mark.parametrize("projection", PROJECTIONS)
@pytest.mark.parametrize("name", NAMES)
def test_the_block_update_of_a_diagonal_prior(impl, guards, name, projection, control):
    rows = stream(name)
    flt = rows.filter(impl, guards, belief=Diagonal(np.diagonal(rows.prior), projection), rule=impl.Fading(LAM))
    theta, variances = [], []
    for t in range(len(rows.U)):
        rows.feed(flt, t)
        theta.append(flt.theta)
        variances.append(flt.std() ** 2 / (flt.noise_variance[0] if rows.learned else 1.0))
    assert_quiet(flt)
    exact, V = dense(rows, projection, LAM, control)
    judge(error(theta, exact), TOLERANCE, control=control is not None)
    if control in (None, "the other projection"):
        judge(error(variances, V), TOLERANCE, control=control is not None)


# with one output there is nothing to take apart
@pytest.mark.parametrize("outputs", ["at once", "one after another"])
@pytest.mark.parametrize("projection", PROJECTIONS)
def test_outputs_are_fused_at_once(impl, projection, outputs):
    rng = np.random.default_rng(3)
    flt = impl.Filter(impl.External(5, 3), impl.Gaussian(0.3), belief=Diagonal(2.0, projection))
    dz, y = rng.normal(size=(3, 5)), rng.normal(size=3)
    J = np.eye(5) / 2 + dz.T @ dz / 0.3
    V = {"precision": 1 / np.diagonal(J), "covariance": np.diagonal(np.linalg.inv(J))}[projection]
    if outputs == "at once":
        flt.condition(y, np.zeros(3), dz)
    else:
        for j in range(3):
            flt.condition(np.where(np.arange(3) == j, y, np.nan), dz @ flt.theta, dz, dt=float(j == 0))
    judge(error(flt.theta, np.linalg.solve(J, dz.T @ y / 0.3)), TOLERANCE, control=outputs != "at once")
    if projection == "covariance":  # precisions add in any order
        judge(error(flt.std() ** 2, V), TOLERANCE, control=outputs != "at once")


@pytest.mark.parametrize("p", [2, 10, 100])
def test_how_far_the_new_variance_times_the_score_overshoots(impl, p):
    """p parameters that explain one output alike: V_new g is (1 + p)/2 times the step."""
    flt = impl.Filter(impl.Linear(p, intercept=False), impl.Gaussian(), belief=Diagonal(1.0))
    signs = np.resize([1.0, -1.0], p)
    flt.update(signs, 1.0)
    assert error(flt.theta, signs / (1 + p)) < TOLERANCE
    assert error(flt.std() ** 2 * signs, (1 + p) / 2 * flt.theta) < TOLERANCE


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_one_parameter_is_the_full_belief(impl, projection):
    rows = np.random.default_rng(1).normal(size=(30, 2))
    filters = [
        impl.Filter(impl.Linear(1, intercept=False), impl.Bernoulli(), belief=belief, rule=impl.Fading(0.05))
        for belief in (impl.Full(3.0), Diagonal(3.0, projection))
    ]
    traces = [flt.update_many(rows[:, :1], rows[:, 1] > 0) for flt in filters]
    for part in ("z", "C", "std", "nll_plugin"):
        assert error(getattr(traces[1], part), getattr(traces[0], part)) < TOLERANCE
    assert error(filters[1].cov(), filters[0].cov()) < TOLERANCE


@pytest.mark.parametrize("projection", PROJECTIONS)
@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
def test_variances_stay_positive(impl, projection, size):
    """1 - V_i (A S^-1 A')_ii rounds to 0 where a row says 1e20 times what was known."""
    flt = impl.Filter(impl.Linear(4), impl.Gaussian(1e-10 * size), belief=Diagonal(1e10 * size, projection))
    for u in np.random.default_rng(2).normal(size=(20, 4)):
        flt.update(u, size * u.sum())
        assert (flt.std() > 0).all()


def learned(impl, **options):
    rng = np.random.default_rng(4)
    U = rng.normal(size=(40, 3))
    flt = impl.Filter(impl.Linear(3), impl.Gaussian(variance=None), belief=Diagonal([1.0, 2.0, 3.0, 4.0]), **options)
    flt.update_many(U, U @ [1.0, -1.0, 0.5] + 0.3 * rng.normal(size=40))
    return flt


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_readings(impl, dtype):
    flt = learned(impl, dtype=dtype)
    V = flt._state()["V"]
    assert V.shape == (4,)
    assert V.dtype == dtype
    variance = V.astype(float) * flt.noise_variance[0]
    assert error(flt.std() ** 2, variance) < TOLERANCE
    assert np.array_equal(flt.cov(), np.diag(np.diagonal(flt.cov())))
    assert error(np.diagonal(flt.cov()), variance) < TOLERANCE
    assert error(flt.precision() @ flt.cov(), np.eye(4)) < TOLERANCE
    assert flt.health()["min_pivot_ratio"] == 1.0
    draws = flt.sample(20000, seed=0)
    assert np.array_equal(draws, flt.sample(20000, seed=0))
    assert error(np.cov(draws.T), flt.cov()) < 0.1


def test_a_matrix_of_many_parameters_is_refused(impl):
    """Everything else works in O(p)."""
    p = 100_001
    flt = impl.Filter(impl.Linear(p - 1), impl.Gaussian(), belief=Diagonal())
    flt.update(np.ones(p - 1), 1.0)
    assert flt.std().shape == (p,)
    assert flt.sample(2, seed=0).shape == (2, p)
    assert flt.health()["n_updates"] == 1
    for method in (flt.cov, flt.precision):
        with pytest.raises(errors.ParameterError, match="100001 parameters"):
            method()


def test_copies_and_files(impl, registered, tmp_path):
    flt = learned(impl)
    flt.save(tmp_path / "filter.kfng")
    for twin in (flt.copy(), pickle.loads(pickle.dumps(flt)), impl.load(tmp_path / "filter.kfng")):
        assert twin.settings.belief == flt.settings.belief
        for name, part in flt._state().items():
            assert np.array_equal(part, twin._state()[name])
        assert twin.update([1.0, 2.0, 3.0], 0.5).nll == flt.copy().update([1.0, 2.0, 3.0], 0.5).nll


@pytest.mark.parametrize("V", [np.array([1.0, -1.0, 1.0, 1.0]), np.ones(3), np.full(4, np.nan), np.ones(4, dtype="f")])
def test_states_that_are_none(impl, V):
    flt = learned(impl)
    with pytest.raises(errors.BadValueError) as caught:
        flt._set_state(flt._state() | {"V": V})
    assert caught.value.argument == "V"


def test_component():
    assert eval(repr(Diagonal(2.0, "covariance"))) == Diagonal(2, projection="covariance")
    assert repr(Diagonal()) == "Diagonal()"
    assert Diagonal([1.0, 2.0]) == Diagonal(np.array([1, 2]))
    assert Diagonal() != Diagonal(projection="covariance")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"prior_variance": np.eye(2)}, errors.ShapeError),
        ({"prior_variance": [1.0, 0.0]}, errors.ParameterError),
        ({"prior_variance": np.inf}, errors.NonFiniteError),
        ({"projection": "variance"}, errors.UnknownNameError),
        ({"projection": None}, errors.UnknownNameError),
    ],
)
def test_components_that_are_none(arguments, error):
    with pytest.raises(error):
        Diagonal(**arguments)


def test_settings_that_do_not_fit(impl):
    with pytest.raises(errors.ShapeError):
        impl.Filter(impl.Linear(3), impl.Gaussian(), belief=Diagonal(np.ones(3)))
    from kfng.reference.rule import ProcessNoise

    with pytest.raises(errors.UnsupportedError):
        impl.Filter(impl.Linear(2), impl.Gaussian(), belief=Diagonal(), rule=ProcessNoise(np.eye(3)))


@pytest.mark.parametrize("guard", [4.0, None])
def test_the_windup_guard_takes_a_variance_back_to_its_prior(impl, guard):
    prior = np.array([0.5, 2.0, 1.0])
    flt = impl.Filter(
        impl.Linear(2),
        impl.Gaussian(),
        belief=Diagonal(prior),
        rule=impl.Fading(0.05),
        guards=impl.Guards(windup=guard),
    )
    largest = 0.0
    for x in np.random.default_rng(5).normal(size=200):
        flt.update([x, 0.0], x)
        largest = max(largest, np.max(flt.std() ** 2 / prior))
    assert (largest <= 4.0) == (guard is not None)
    assert (flt.health()["windup"] > 0) == (guard is not None)
