"""Models with a hidden state and gradient rules: kfng against its reference, and files that cross over."""

import numpy as np
import pytest
from problems_recurrent import HIDDEN
from tolerances import PARITY, relative_error

RUN = [name for name, problem in HIDDEN.items() if problem.forward is None]
POSTERIOR = [name for name in RUN if not any(word in name for word in ("sgd", "adam"))]
RECURRENT = [name for name in RUN if "recurrent" in HIDDEN[name].tags]
FEW = [name for name in RECURRENT if name.startswith(("gaussian-2-", "poisson-"))][::2]


def assert_same_state(flt, other, tolerance):
    """Counters exactly, everything else that is saved, and the covariance, relatively."""
    state, target = flt._state(), other._state()
    factors = {"U", "D", "P"}
    assert set(state) - factors == set(target) - factors
    assert state["counters"].tolist() == target["counters"].tolist()
    for name in set(target) - factors:
        assert relative_error(state[name], target[name]) < tolerance, name
    if not flt.settings.rule.gradient:
        assert relative_error(flt._covariance(), other._covariance()) < tolerance


def assert_same_traces(traces, targets, tolerance, keys=("z", "C", "a", "b", "flags", "prediction", "std", "nll")):
    for trace, target in zip(traces, targets, strict=True):
        for key in keys:
            assert relative_error(getattr(trace, key), getattr(target, key)) < tolerance, key


@pytest.mark.parametrize("name", RUN)
def test_many(both, name):
    """Traces and final state of `update_many` in three pieces."""
    (flt, traces), (other, targets) = (HIDDEN[name].run_many(impl, 3) for impl in both)
    assert_same_traces(traces, targets, PARITY["float64"])
    assert_same_state(flt, other, PARITY["float64"])


@pytest.mark.parametrize("name", [name for name in HIDDEN if name not in RUN] + FEW[::3])
def test_one_by_one(both, name):
    """A loop of `update`, or of `condition` with the partials of a model that lives elsewhere."""
    (flt, steps), (other, targets) = (HIDDEN[name].run(impl) for impl in both)
    assert_same_state(flt, other, PARITY["float64"])
    for key in ("prediction", "std", "nll", "skipped", "clipped"):
        mine, others = (np.array([getattr(step, key) for step in run]) for run in (steps, targets))
        assert relative_error(mine, others) < PARITY["float64"], key


@pytest.mark.parametrize("law", ["gaussian", "categorical", "poisson", "each-2"])
def test_a_cell_run_elsewhere_is_the_cell(impl, law):
    """The same RNN through `condition` and through `update`."""
    elsewhere, inside = HIDDEN[f"{law}-elsewhere"], HIDDEN["gaussian-rnn-plain"]
    flt, _ = elsewhere.run(impl)
    _, family, options = elsewhere.components(impl)
    model = impl.RNN(elsewhere.cell.n_inputs, elsewhere.cell.n_units, elsewhere.cell.n_outputs)
    twin = impl.Filter(model, family, **options)
    rows = elsewhere.rows
    twin.update_many(rows.U, rows.Y, weight=rows.weight, dt=rows.dt, offset=rows.offset)
    assert inside.rows is not rows or law == "gaussian"
    assert_same_state(flt, twin, PARITY["float64"])


@pytest.mark.parametrize("name", FEW)
def test_float32(both, name):
    """kfng in float32 against the reference in float64."""
    (flt, traces), (_, targets) = (HIDDEN[name].run_many(both[0], dtype="float32"), HIDDEN[name].run_many(both[1]))
    assert flt.state.dtype == flt.influence.dtype == np.float32
    assert_same_traces(traces, targets, PARITY["float32"], ("prediction", "std"))


@pytest.mark.parametrize("name", FEW)
def test_states_cross_over(both, name):
    """Half of the rows in one implementation, the state handed over, the other half in the other."""
    problem = HIDDEN[name]
    half = len(problem.rows) // 2
    whole, _ = problem.run_many(both[1])
    for first, second in (both, both[::-1]):
        flt, heir = problem.filter(first), problem.filter(second)
        for part, own in ((slice(0, half), flt), (slice(half, None), heir)):
            columns = {name: getattr(problem.rows, name)[part] for name in ("weight", "dt", "offset")}
            own.update_many(problem.rows.U[part], problem.rows.Y[part], **columns)
            if own is flt:
                heir._set_state(flt._state())
        assert_same_state(heir, whole, PARITY["float64"])


@pytest.mark.parametrize("name", FEW)
def test_files_cross_over(both, name):
    """What one implementation has written the other reads, and resumes."""
    problem = HIDDEN[name]
    for first, second in (both, both[::-1]):
        flt, _ = problem.run_many(first)
        heir = second.Filter._from_bytes(flt._to_bytes())
        assert_same_state(heir, flt, PARITY["float64"])
        for own in (flt, heir):
            own.update(problem.rows.U[0], problem.rows.y(1))
        assert_same_state(heir, flt, PARITY["float64"])


@pytest.mark.parametrize("name", FEW)
def test_sequences(both, name):
    """`lengths=` and `reset_state`, with an empty sequence among them."""
    rows, filters = HIDDEN[name].rows, []
    columns = {name: getattr(rows, name) for name in ("weight", "dt", "offset")}
    for impl in both:
        flt = HIDDEN[name].filter(impl)
        flt.update_many(rows.U, rows.Y, **columns, lengths=[15, 0, 20, len(rows) - 35])
        flt.reset_state(np.linspace(-0.2, 0.3, flt.settings.n))
        flt.update(rows.U[0], rows.y(0))
        filters.append(flt)
    assert_same_state(*filters, PARITY["float64"])


@pytest.mark.parametrize("name", [name for name in RECURRENT if name in POSTERIOR][::3])
def test_reading(both, name):
    """What is read of the state, the influence and the joint covariance; prediction; forecasts."""
    (flt, _), (other, _) = (HIDDEN[name].run_many(impl) for impl in both)
    U = HIDDEN[name].rows.U[:5]
    for values, targets in zip(flt.predict(U, return_cov=True), other.predict(U, return_cov=True), strict=True):
        assert relative_error(values, targets) < PARITY["float64"]
    for values, targets in zip(flt.forecast(U), other.forecast(U), strict=True):
        assert relative_error(values, targets) < PARITY["float64"]
    assert relative_error(flt.joint_cov(), other.joint_cov()) < PARITY["float64"]
    for figure in ("state", "influence", "initial_state", "theta"):
        assert relative_error(getattr(flt, figure), getattr(other, figure)) < PARITY["float64"]
    for figure in ("std", "cov"):
        assert relative_error(getattr(flt, figure)(), getattr(other, figure)()) < PARITY["float64"]
    mine, others = flt.health(), other.health()
    assert set(mine) == set(others)
    for key in ("influence_max", "spectral_radius", "residual_autocorrelation", "restarts"):
        assert relative_error(mine[key], others[key]) < PARITY["float64"], key


@pytest.mark.parametrize("correction", [True, False])
@pytest.mark.parametrize("variance", [0.5, "each"])
def test_forecast_feeds_back(both, variance, correction):
    """Predictions as the next inputs, from a row of which one output was missing."""
    rng, results = np.random.default_rng(3), []
    Y = np.cumsum(rng.normal(size=(60, 2)), axis=0) / 5
    Y[-1, 0] = np.nan
    for impl in both:
        options = {"belief": impl.Full(0.3), "sensitivity": impl.RTRL(correction)}
        flt = impl.Filter(impl.GRU(2, 5, 2), impl.Gaussian(variance=variance), **options)
        flt.update_many(np.nan_to_num(Y[:-1]), Y[1:])
        results.append(flt.forecast(steps=6))
    for values, targets in zip(*results, strict=True):
        assert values.shape == (6, 2)
        assert relative_error(values, targets) < PARITY["float64"]


@pytest.mark.parametrize("limit", [2.0, 1e8, None])
def test_exploding_influence(both, limit):
    """A linear recurrence beyond 1: rows of ds start again at the bound, and both count the same."""
    filters = []
    for impl in both:
        model = impl.LinearStateSpace(2, 3, 1)
        theta = model.initial_theta(1)
        model.split(theta)["weight_hh"][:] = 1.6 * np.eye(3) + 0.1
        guards = impl.Guards(influence=limit)
        flt = impl.Filter(model, impl.Gaussian(1.0), theta=theta, guards=guards, belief=impl.Full(1e-8))
        rng = np.random.default_rng(0)
        flt.update_many(rng.normal(size=(40, 2)), np.full(40, np.nan))
        filters.append(flt)
    assert_same_state(*filters, PARITY["float64"])
    restarts = filters[0].health()["restarts"]
    assert restarts > 0 if limit == 2.0 else restarts >= 0
