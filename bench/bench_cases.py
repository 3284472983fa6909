"""Every case of cases.py with every peer of peers/; pytest-benchmark drives the rounds."""

import pytest
from cases import ALONG
from comparison import Comparison
from peers import PEERS
from table import line
from workers import Unable

ALONG_SECONDS = 3.0


def test_case(case, names, workers, results, benchmark, say, pytestconfig):
    """All contenders interleaved; what they have learned is what kfng has."""
    rounds = pytestconfig.getoption("--rounds")
    clock = pytestconfig.getoption("--clock") if case.threads == 1 else "wall"
    comparison = Comparison(case, workers, names, pytestconfig.getoption("--turn"), rounds, clock)
    benchmark.pedantic(comparison.round, rounds=rounds, iterations=1)
    row = comparison.result()
    benchmark.extra_info.update(row)
    results["cases"].append(row)
    say(line(row))
    wrong = {n: c["theta_error"] for n, c in row["contenders"].items() if c.get("agrees") is False}
    assert not wrong, f"theta is not that of kfng: {wrong}"


@pytest.mark.parametrize("name", ["kfng", "NumPy three-liner"])
def test_cost_along_the_stream(name, workers, results, pytestconfig):
    """The cost of a row against the number of rows so far, for the picture that shows it is flat."""
    try:
        worker, _ = workers.ready(PEERS[name], ALONG, 0.05, pytestconfig.getoption("--clock"))
        found = worker.ask("along", ALONG_SECONDS)
    except Unable as reason:
        found = {"status": str(reason)}
    results.setdefault("along", {"case": ALONG.name})[name] = found
    assert "seconds" in found, found


def test_imports(results, say, pytestconfig):
    """Seconds to import kfng and its peers, each in a new process; NumPy's own is the measure."""
    from machine import import_times

    results["imports"] = import_times((peer.module for peer in PEERS.values()), pytestconfig.getoption("--clock"))
    say("imports: " + ", ".join(f"{k} {1000 * v['seconds']:.0f} ms" for k, v in results["imports"].items()))


def test_sizes(results, say):
    """MB on disk of kfng and its peers, alone and with all they need; of kfng also the size of its wheel."""
    from machine import sizes

    results["sizes"] = sizes(peer.distribution for peer in PEERS.values())
    say("sizes: " + ", ".join(f"{k} {v['own_mb']:.1f} MB" for k, v in results["sizes"].items()))
