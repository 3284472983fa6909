"""The processes of the peers, and one whole run of the bench on a small case."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cases import BY_NAME
from comparison import Comparison
from peers import PEERS
from peers.base import Peer
from workers import Unable, Worker, Workers

ROOT = Path(__file__).parents[2]
CASE = BY_NAME["stream-linear-p4"].tiny()


@pytest.fixture
def workers(tmp_path):
    found = Workers(tmp_path / "peers.log")
    yield found
    found.stop()


def test_comparison_measures_checks_and_says_who_cannot(workers):
    comparison = Comparison(CASE, workers, ["kfng", "NumPy three-liner", "JAX jitted step"], 0.001, 3)
    for _ in range(3):
        comparison.round()
    found = comparison.result()["contenders"]
    assert found["JAX jitted step"] == {"status": "does not do this"}
    for name in ("kfng", "NumPy three-liner"):
        assert found[name]["status"] == "measured"
        assert found[name]["agrees"]
        assert found[name]["rounds"] == 3
    assert found["kfng"]["ratio"] == 1.0
    assert found["NumPy three-liner"]["theta_error"] < 1e-7


def test_comparison_finds_a_wrong_theta(workers, monkeypatch):
    """The process is asked for its theta; one that is off by one part in a thousand is no result."""
    comparison = Comparison(CASE, workers, ["kfng", "NumPy three-liner"], 0.001, 1)
    comparison.round()
    ask = Worker.ask

    def wrong(self, request, *arguments):
        answer = ask(self, request, *arguments)
        return (
            (answer[0] * 1.001, answer[1]) if request == "finish" and "three-liner" in self.process.args[2] else answer
        )

    monkeypatch.setattr(Worker, "ask", wrong)
    found = comparison.result()["contenders"]
    assert found["NumPy three-liner"]["status"] == "wrong theta"
    assert found["kfng"]["status"] == "measured"


def test_not_installed_is_said(workers):
    class Absent(Peer):
        name, rank, module = "absent", 99, "no_such_module_at_all"

        @classmethod
        def can(cls, case):
            return True

    with pytest.raises(Unable, match="^not installed$"):
        workers.ready(Absent, CASE, 0.001)


def test_a_process_that_fails_or_dies_is_said_and_started_again(workers):
    worker, _ = workers.ready(PEERS["kfng"], CASE, 0.001)
    with pytest.raises(Unable, match="failed: AttributeError"):
        worker.ask("no_such_request")
    assert worker.ask("turn") > 0
    worker.process.kill()
    worker.process.wait()
    with pytest.raises(Unable, match="^failed: "):
        worker.ask("turn")
    again, rows = workers.ready(PEERS["kfng"], CASE, 0.001)
    assert again is not worker
    assert rows > 0


def test_whole_run(tmp_path):
    """`make bench CASE=... PEER=...` with few rounds."""
    path = tmp_path / "found.json"
    options = ["--case", "stream-linear-p4", "--peer", "three", "--rounds", "3", "--turn", "0.001", "--json", str(path)]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "bench",
        "-q",
        "-o",
        "addopts=--import-mode=importlib",
        "--benchmark-quiet",
    ]
    # a run of its own, of which the workers of this one know nothing: pytest-benchmark disables itself where it sees them
    alone = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")}
    done = subprocess.run([*command, *options], cwd=ROOT, env=alone, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (row,) = json.loads(path.read_text())["cases"]
    assert set(row["contenders"]) == {"kfng", "NumPy three-liner"}
    assert all(found["status"] == "measured" for found in row["contenders"].values())
    assert "stream, linear, p = 4" in done.stdout
