"""Benches: kfng beside its peers in one run, interleaved; medians and spread; nothing here asserts a time, only ratios."""

import one_thread  # noqa: F401  isort: skip  (before NumPy is imported)
import json
import platform
from pathlib import Path

import pytest
from timing import Comparison

OUTPUT = Path(__file__).parent / "output" / "results.json"


@pytest.fixture(scope="session")
def comparisons(request):
    """Comparisons of this run; a table and a JSON file are made of them at the end."""
    found: list[Comparison] = []
    request.config.stash[KEY] = found
    return found


KEY = pytest.StashKey[list]()


def pytest_terminal_summary(terminalreporter, config):
    found = config.stash.get(KEY, [])
    if not found or config.getoption("benchmark_disable"):
        return
    from table import text  # tabulate is an extra

    terminalreporter.write_line("")
    terminalreporter.write_line(text([comparison.row() for comparison in found]))
    import numpy

    import kfng

    OUTPUT.parent.mkdir(exist_ok=True)
    about = {"kfng": kfng.__version__, "numpy": numpy.__version__, "python": platform.python_version()}
    about |= {"machine": platform.machine(), "threads": 1, "dtype": "float64"}
    OUTPUT.write_text(json.dumps({"about": about, "rows": [comparison.row() for comparison in found]}, indent=1) + "\n")
    terminalreporter.write_line(f"written to {OUTPUT.relative_to(Path.cwd())}; bench/table.py puts it into the README")
