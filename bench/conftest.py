"""`make bench`: kfng beside its peers in one run. Prints one table, writes one JSON file; asserts thetas, never a time."""

import one_thread  # noqa: F401  isort: skip  (before NumPy is imported)
import json
import os
from fnmatch import fnmatch
from pathlib import Path

import pytest
from cases import BY_NAME, CASES, Case
from peers import PEERS
from workers import Workers

OUTPUT = Path(__file__).parent / "output"
RESULTS = pytest.StashKey[dict]()


def pytest_addoption(parser):
    group = parser.getgroup("kfng bench")
    group.addoption(
        "--case", default="", help="only cases whose name matches, comma-separated: 'call-*', stream-mlp-p501"
    )
    group.addoption(
        "--peer", default="", help="only these peers (and kfng), comma-separated, any part of a name: jax,numpy"
    )
    group.addoption("--rounds", type=int, default=11, help="rounds of every case")
    group.addoption("--turn", type=float, default=0.05, help="seconds of a contender's turn in a round")
    group.addoption(
        "--clock", choices=("wall", "cpu"), default="wall", help="cpu: for busy machines; one-thread cases only"
    )
    group.addoption(
        "--json", default=None, help="where results go (default output/results.json; a part: output/part.json)"
    )


def patterns(config, name: str) -> list[str]:
    return [part.strip() for part in config.getoption(name).split(",") if part.strip()]


def chosen_cases(config) -> list[Case]:
    wanted = patterns(config, "--case") or ["*"]
    return [case for case in CASES if any(fnmatch(case.name, pattern) for pattern in wanted)]


def chosen_peers(config) -> list[str]:
    """kfng and what was asked for; kfng's variants unless only some peers were."""
    wanted = patterns(config, "--peer")
    found = [name for name in PEERS if any(part.lower() in name.lower() for part in wanted)] if wanted else list(PEERS)
    return [name for name in PEERS if name in ("kfng", *found)] if found else []


def pytest_configure(config):
    if not chosen_cases(config):
        raise pytest.UsageError(f"no case is called {config.getoption('--case')!r}; there are {', '.join(BY_NAME)}")
    if not chosen_peers(config):
        raise pytest.UsageError(f"no peer is called {config.getoption('--peer')!r}; there are {', '.join(PEERS)}")


def pytest_generate_tests(metafunc):
    if "case" in metafunc.fixturenames:
        cases = chosen_cases(metafunc.config)
        metafunc.parametrize("case", cases, ids=[case.name for case in cases])


def pytest_collection_modifyitems(config, items):
    """Asked for some cases, measure nothing else."""
    if patterns(config, "--case"):
        items[:] = [item for item in items if "case" in getattr(item, "fixturenames", ())]


@pytest.fixture(scope="session")
def names(pytestconfig) -> list[str]:
    """The contenders of this run."""
    return chosen_peers(pytestconfig)


@pytest.fixture(scope="session")
def workers():
    found = Workers(OUTPUT / "peers.log")
    yield found
    found.stop()


@pytest.fixture(scope="session")
def results(request) -> dict:
    """What this run has found; written when it ends."""
    from machine import about

    found = {"about": about(PEERS.values()), "cases": []}
    found["about"] |= {name: request.config.getoption(f"--{name}") for name in ("rounds", "turn", "clock")}
    request.config.stash[RESULTS] = found
    return found


@pytest.fixture
def say(request):
    """Print a line at once."""
    plugins = request.config.pluginmanager
    capture, writer = plugins.get_plugin("capturemanager"), plugins.get_plugin("terminalreporter")

    def print_line(line: str) -> None:
        with capture.global_and_fixture_disabled():
            writer.write_line(line)

    return print_line


def pytest_terminal_summary(terminalreporter, config):
    found = config.stash.get(RESULTS, None)
    if not found or not (found["cases"] or "imports" in found) or config.getoption("benchmark_disable"):
        return
    from table import legend, text  # tabulate is an extra

    part = bool(patterns(config, "--case") or patterns(config, "--peer"))
    path = Path(config.getoption("--json") or OUTPUT / ("part.json" if part else "results.json"))
    found["about"]["load_at_end"] = os.getloadavg()[0]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=1) + "\n")
    terminalreporter.write_line("")
    terminalreporter.write_line(text(found))
    terminalreporter.write_line(legend(found))
    terminalreporter.write_line(f"written to {os.path.relpath(path)}")
