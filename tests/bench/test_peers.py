"""Every case at a tiny size: kfng, its reference and every peer that is installed learn the same theta."""

import importlib.util

import numpy as np
import pytest
from cases import BY_NAME, CALL, CASES, KEYED, PANEL, STREAM, Case
from contender import Contender, error, tolerance
from peers import PEERS
from peers.numpy_by_hand import ThreeLiner

ROWS = 40
MEASURED = {
    CALL: {"NumPy three-liner", "JAX jitted step"},
    STREAM: {"NumPy three-liner", "JAX lax.scan"},
    KEYED: {"polars-ols"},
    PANEL: {"JAX vmap"},
}
"""What each work is measured against."""
ELSEWHERE = {"JAX lax.scan", "JAX jitted step"}  # not installed where tests run


def tiny_cases():
    """One of each kind: work, problem, dtype; sizes that are the same when tiny are not repeated."""
    return sorted({case.tiny() for case in CASES if case.threads == 1}, key=lambda case: (case.name, case.dtype))


def installed():
    return [p for p in PEERS.values() if importlib.util.find_spec(p.module.partition(".")[0])]


def pieces(peer, case, rows=ROWS):
    X, Y = case.problem.rows(rows, case.dtype)
    return peer.prepare(X, Y)


def learned(peer, case):
    peer.reset()
    peer.run(pieces(peer, case))
    return np.asarray(peer.theta(), np.float64)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the libraries that peers bring
@pytest.mark.parametrize("case", tiny_cases(), ids=lambda case: case.name)
def test_all_learn_the_same(case):
    own = PEERS["kfng"](case)
    expected = learned(own, case)
    assert np.any(expected != np.tile(case.problem.theta_0(), max(1, case.keys)))
    assert own.filter.health()["clipped"] == own.filter.health()["clamped"] == 0  # peers have no guards
    others = [peer for peer in installed() if peer.name != "kfng" and peer.has_theta and peer.does(case)]
    assert {"kfng.reference", *MEASURED[case.work]} - {"JAX vmap", "polars-ols", *ELSEWHERE} <= {p.name for p in others}
    for peer in others:
        assert error(learned(peer(case), case), expected) <= tolerance(case), peer.name


@pytest.mark.parametrize("case", [case for case in tiny_cases() if not case.keys], ids=lambda case: case.name)
def test_control_one_operation_changed_is_found(case):
    """The three-liner with a decay of 1 % a row: a wrong peer, or a wrong kfng, does not pass."""
    peer = ThreeLiner(case)
    peer.reset()
    for row in pieces(peer, case):
        peer.run([row])
        peer.P *= 1.01
    assert error(peer.theta(), learned(PEERS["kfng"](case), case)) > 2 * tolerance(case)


@pytest.mark.parametrize("case", [case for case in tiny_cases() if case.keys], ids=lambda case: case.name)
def test_control_a_row_of_another_key_is_found(case, monkeypatch):
    expected = learned(PEERS["kfng"](case), case)
    monkeypatch.setattr(Case, "key_of", lambda self, rows: np.arange(rows)[::-1] % self.keys)
    assert error(learned(PEERS["kfng"](case), case), expected) > 2 * tolerance(case)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_case_has_what_it_is_measured_against(case):
    able = {name for name, peer in PEERS.items() if peer.does(case)}
    beyond = {"polars-ols"} if case.keys > 100_000 else set()  # minutes a turn
    assert {"kfng", *MEASURED[case.work]} - beyond <= able
    assert case.problem.rows(3, case.dtype)[0].dtype == case.dtype
    assert len(case.problem.theta_0()) == case.problem.p


def test_names_are_unique_and_sizes_as_announced():
    assert len(BY_NAME) == len(CASES)
    assert {case.problem.p for case in CASES if case.problem.kind == "mlp"} == {501, 2001}
    assert BY_NAME["stream-softmax-p640"].problem.p == 640


@pytest.mark.parametrize("work", [CALL, STREAM])
def test_contender_counts_what_it_learns(work):
    """theta after a turn is theta after its rows, however often it goes round the data."""
    case = Case(work, BY_NAME["stream-linear-p4"].problem)
    contender = Contender(PEERS["kfng"], case, 1e-4)
    assert contender.turn() > 0
    timed = contender.theta()
    np.testing.assert_array_equal(contender.theta_after(contender.rows), timed)
    twice = contender.theta_after(2 * len(contender.X))
    assert contender.peer.filter.n_updates == 2 * len(contender.X)
    assert np.any(twice != timed)


def test_limits_do_some_work():
    case = BY_NAME["stream-linear-p100"]
    for name in ("limit: multiply-add", "limit: one pass over the triangle"):
        contender = Contender(PEERS[name], case, 1e-3)
        assert contender.turn() > 0
        assert contender.theta() is None
