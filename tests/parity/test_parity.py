"""kfng against its reference: every problem, every entry point, and files that cross over."""

import ast
import inspect
from pathlib import Path

import numpy as np
import pytest
from problems import CROSSED, LINEAR, PROBLEMS, ROUGH
from tolerances import PARITY, covariance_error, relative_error, theta_error

import kfng
from kfng.reference import filter as reference_filter
from kfng.reference import noise, step, windup
from kfng.reference.belief import full

ALL = PROBLEMS | CROSSED | {name: problem for name, (problem, _) in ROUGH.items()}
ROWS_OF_INPUTS = [*LINEAR, *CROSSED]
POSTERIOR = [name for name in ROWS_OF_INPUTS if "no posterior" not in ALL[name].tags]


def assert_same_state(flt, other, tolerance):
    """theta and P in posterior standard deviations, counters exactly, everything else relatively."""
    P = other._covariance()
    assert theta_error(flt.theta, other.theta, P) < tolerance
    assert covariance_error(flt._covariance(), P) < tolerance
    state, target = flt._state(), other._state()
    assert state["counters"].tolist() == target["counters"].tolist()
    for name in {"clock", "evidence", "gauges", "noise", "y_stats", "turns", "turn", "robust", "coverage"} & set(
        target
    ):
        assert relative_error(state[name], target[name]) < tolerance, name


def columns(steps):
    """What the Steps of one run say, as arrays."""
    names = ("prediction", "std", "nll", "nll_plugin", "skipped", "clipped", "robust_weight")
    return {name: np.array([getattr(step, name) for step in steps]) for name in names}


@pytest.mark.parametrize("name", ALL)
def test_one_by_one(both, name):
    """Steps and final state of a loop of `update` or `condition`."""
    problem = ALL[name]
    (flt, steps), (other, targets) = (problem.run(impl) for impl in both)
    assert_same_state(flt, other, PARITY["float64"])
    for key, values in columns(targets).items():
        assert relative_error(columns(steps)[key], values) < PARITY["float64"], key


@pytest.mark.parametrize("pieces", [1, 7])
@pytest.mark.parametrize("name", [name for name in ALL if ALL[name].forward is None])
def test_many(both, name, pieces):
    """Traces and final state of `update_many`, in one piece and in several."""
    (flt, traces), (other, targets) = (ALL[name].run_many(impl, pieces) for impl in both)
    assert_same_state(flt, other, PARITY["float64"])
    for trace, target in zip(traces, targets, strict=True):
        for key in ("z", "C", "a", "b", "flags", *columns([])):
            assert relative_error(getattr(trace, key), getattr(target, key)) < PARITY["float64"], key


@pytest.mark.parametrize("name", POSTERIOR)
def test_evidence_and_nll(both, name):
    (flt, traces), (other, targets) = (ALL[name].run_many(impl, evidence=True) for impl in both)
    assert_same_state(flt, other, PARITY["float64"])
    assert flt.log_evidence == pytest.approx(other.log_evidence, rel=PARITY["float64"])
    assert relative_error(traces[0].nll, targets[0].nll) < PARITY["float64"]


@pytest.mark.parametrize("name", ROWS_OF_INPUTS)
def test_float32(both, name):
    """kfng in float32 against the reference in float64; the outputs are float32."""
    (flt, traces), (other, targets) = (
        ALL[name].run_many(both[0], dtype="float32"),
        ALL[name].run_many(both[1]),
    )
    P = other._covariance()
    assert theta_error(flt.theta, other.theta, P) < PARITY["float32"]
    assert covariance_error(flt._covariance(), P) < PARITY["float32"]
    assert flt.theta.dtype == np.float32
    assert traces[0].prediction.dtype == np.float32
    assert relative_error(traces[0].std, targets[0].std) < PARITY["float32"]


@pytest.mark.parametrize("name", ALL)
def test_states_cross_over(both, name):
    """Half of the rows in one implementation, the state handed over, the other half in the other."""
    problem, half = ALL[name], len(ALL[name].rows) // 2
    whole, _ = problem.run(both[1])
    for first, second in (both, both[::-1]):
        flt, heir = problem.filter(first), problem.filter(second)
        for i in range(half):
            problem.step(flt, i)
        heir._set_state(flt._state())
        for i in range(half, len(problem.rows)):
            problem.step(heir, i)
        assert_same_state(heir, whole, PARITY["float64"])


@pytest.mark.parametrize("name", POSTERIOR)
def test_reading(both, name):
    """predict, its covariance, and the posterior's figures."""
    problem = ALL[name]
    (flt, _), (other, _) = (problem.run_many(impl) for impl in both)
    U = problem.rows.U[:9]
    for options in ({"return_std": True}, {"return_cov": True}, {"return_std": True, "include_noise": False}):
        for values, targets in zip(flt.predict(U, **options), other.predict(U, **options), strict=True):
            assert relative_error(values, targets) < PARITY["float64"]
    for figure in ("std", "cov", "precision"):
        assert relative_error(getattr(flt, figure)(), getattr(other, figure)()) < 10 * PARITY["float64"]
    assert relative_error(flt.sample(5, seed=1), other.sample(5, seed=1)) < PARITY["float64"]
    assert set(flt.health()) == set(other.health())
    assert {key: value.shape for key, value in flt.parameters.items()} == {
        k: v.shape for k, v in other.parameters.items()
    }


@pytest.mark.parametrize("name", ROWS_OF_INPUTS)
def test_kfng_does_not_lean_on_the_reference(both, name, monkeypatch):
    """The same figures with every numeric function of the reference's filter made to raise."""
    other, _ = ALL[name].run_many(both[1])

    def refuse(*args, **kwargs):
        raise AssertionError("the reference was called")

    silenced, modules = 0, (full, noise, step, windup, reference_filter)
    numeric = {module.__name__ for module in modules}
    with monkeypatch.context() as patch:
        for module in modules:
            for key, value in vars(module).copy().items():
                if inspect.isfunction(value) and value.__module__ in numeric:
                    patch.setattr(module, key, refuse)
                    silenced += 1
        patch.setattr(type(other), "_run", refuse)
        patch.setattr(type(other), "_predict", refuse)
        for component in (type(other.settings.model), type(other.settings.family)):
            for key in ("forward", "score", "factor"):
                if hasattr(component, key):
                    patch.setattr(component, key, refuse)
        flt, traces = ALL[name].run_many(both[0])
        step_ = ALL[name].step(flt.copy(), 0)
        flt.predict(ALL[name].rows.U)
    assert silenced > 15
    assert np.isfinite(step_.std).all()
    assert len(traces[0]) == len(ALL[name].rows)
    assert_same_state(flt, other, PARITY["float64"])


def test_the_reference_never_imports_the_core():
    """No module of the reference, nor of the Python it shares with kfng, names `_core`; kfng itself does."""
    package = Path(kfng.__file__).parent
    naming = {path for path in package.rglob("*.py") if "_core" in imported(path)}
    assert {path.name for path in naming} == {"__init__.py", "_bank.py", "_filter.py", "_hasher.py", "_joint.py"}
    assert not any("reference" in path.parts for path in naming)


def imported(path):
    """Every name that a module imports, or imports from."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import | ast.ImportFrom):
            parts = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
            names |= {piece for part in parts for piece in part.split(".")}
    return names


def test_same_names(both):
    """What the reference offers, kfng offers, and the components are the very same classes."""
    kfng, reference = both
    assert set(reference.__all__) <= set(kfng.__all__)
    own = {"Bank", "FeatureHasher", "Filter", "Mixture", "StateFilter", "JointEkf"}  # written twice, on one base
    for name in own:
        ours, theirs = getattr(kfng, name), getattr(reference, name)
        assert ours is not theirs
        assert ours.__bases__[0] is theirs.__bases__[0]
    for name in set(reference.__all__) - own - {"load"}:
        assert getattr(kfng, name) is getattr(reference, name)
    public = [key for key in dir(reference.Filter) if not key.startswith("_")]
    assert set(public) <= set(dir(kfng.Filter))
