"""The census of conftest.py sees what it is there for: a test that catches a panic, or whose child crashes, does not pass."""

import os
import subprocess
import sys
from pathlib import Path

CASES = """
import subprocess, sys
import pytest
import kfng

def panic():
    flt = kfng.StateFilter(1, 1, kfng.Gaussian(1.0), state_prior=1.0, transition=[[1.0]], jacobian=[[1.0]], rule=kfng.ProcessNoise([[1.0]]))
    with pytest.raises(kfng.InternalError):
        flt._kernel._core._panic()

def test_panic():
    panic()

@pytest.mark.panics
def test_panic_on_purpose():
    panic()

def test_crash():
    subprocess.run([sys.executable, "-c", "import os, resource; resource.setrlimit(resource.RLIMIT_CORE, (0, 0)); os.abort()"], check=False)

def test_kill():
    subprocess.run([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"], check=False)

def test_quiet():
    subprocess.run([sys.executable, "-c", "pass"], check=True)
"""


def test_what_it_sees(tmp_path):
    (tmp_path / "test_cases.py").write_text(CASES)
    paths = [str(Path(__file__).parent), *(p for p in sys.path if p)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "conftest", "-c", os.devnull, "--rootdir", ".", "-q", "test_cases.py"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "test_panic: the core panicked" in done.stdout
    assert "test_crash: a child was ended by signal 6" in done.stdout
    assert "2 failed, 3 passed" in done.stdout
