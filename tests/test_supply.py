"""What kfng needs: NumPy alone where it runs; everything that a developer installs is locked by hashes."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def name_of(requirement):
    return re.match(r"[A-Za-z0-9._-]+", requirement)[0].lower().replace("_", "-")


def test_numpy_alone_is_needed_to_run():
    assert [name_of(requirement) for requirement in PROJECT["dependencies"]] == ["numpy"]
    script = (
        "import kfng, sys; print(*sorted({m.partition('.')[0] for m in sys.modules} - set(sys.stdlib_module_names)))"
    )
    before = subprocess.run(
        [sys.executable, "-c", script.replace("kfng", "numpy", 1)], capture_output=True, text=True, check=True
    )
    after = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert set(after.stdout.split()) - set(before.stdout.split()) == {"kfng"}


def test_modules_need_no_import_of_their_own():
    script = "import kfng; print(kfng.diagnostics.coverage.__module__)\ntry: kfng.nothing\nexcept AttributeError: print('no')"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["kfng.diagnostics", "no"]


def locked():
    """name -> number of hashes, of requirements-dev.txt."""
    found = {}
    for line in (ROOT / "requirements-dev.txt").read_text().splitlines():
        if line and not line.startswith(("#", " ")):
            name = name_of(line)
            assert "==" in line
            found.setdefault(name, 0)
        elif line.strip().startswith("--hash=sha256:"):
            found[name] += 1
    return found


def test_what_tests_and_checks_need_is_locked_by_hashes():
    hashes = locked()
    assert all(hashes.values())
    wanted = {name_of(r) for extra in ("test", "check") for r in PROJECT["optional-dependencies"][extra]}
    assert wanted | {"numpy", "maturin"} <= set(hashes)
    assert "http" not in (ROOT / "requirements-dev.txt").read_text()
