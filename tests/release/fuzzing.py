"""M1: coverage-guided fuzzing of the Rust core (folder fuzz/), which needs cargo-fuzz and a nightly toolchain.

Small looks at what is committed alone: `cargo test` runs those inputs (rust/kfng-core/tests/corpus.rs). Full runs the fuzzer.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import tomllib
from pathlib import Path

from release.check import Figure, check

FUZZ = Path(__file__).resolve().parents[2] / "fuzz"
TARGETS = [entry["name"] for entry in tomllib.loads((FUZZ / "Cargo.toml").read_text())["bin"]]


def fuzz(target: str, seconds: int, folder: Path) -> tuple[int, int, int]:
    """Inputs run, edges reached, and whether one made the core panic or a sanitizer speak; it is then in fuzz/artifacts."""
    found = folder / target
    found.mkdir()
    command = ["cargo", "+nightly", "fuzz", "run", "--fuzz-dir", ".", target, str(found), f"corpus/{target}"]
    limits = [f"-max_total_time={seconds}", "-max_len=600", "-len_control=0", "-timeout=20", "-print_final_stats=1"]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("CARGO_PROFILE_")}
    done = subprocess.run(
        [*command, "--", *limits], cwd=FUZZ, env=environment, capture_output=True, text=True, check=False
    )
    executed = re.search(r"stat::number_of_executed_units: (\d+)", done.stderr)
    edges = re.findall(r"\bcov: (\d+)", done.stderr)
    if done.returncode or executed is None:
        print(done.stderr[-4000:])
    if executed is None:
        raise RuntimeError(f"the fuzzer did not run: {target}")
    return int(executed[1]), int(edges[-1]), int(done.returncode != 0)


@check(
    "M1",
    "coverage-guided fuzzing of the core: specifications and states, rows, banks, laws; no panic, and what must be equal is, to the bit",
    small={"seconds": 0},
    full={"seconds": 120},
)
def fuzzing(seconds: int) -> list[Figure]:
    sizes = {target: len(list((FUZZ / "corpus" / target).iterdir())) for target in TARGETS}
    figures = [
        Figure("inputs that are kept, and run by cargo test", sum(sizes.values())),
        Figure("targets with fewer than ten", sum(size < 10 for size in sizes.values()), 0),
    ]
    if seconds == 0:
        return figures
    with tempfile.TemporaryDirectory() as folder:
        for target in TARGETS:
            # what it begins with: random bytes, of which the kept inputs are few
            executed, edges, crashed = fuzz(target, seconds, Path(folder))
            figures += [
                Figure(f"{target}: inputs run, {seconds} s", executed),
                Figure(f"{target}: edges of the code reached", edges),
                Figure(f"{target}: crashes", crashed, 0),
            ]
    shutil.rmtree(FUZZ / "coverage", ignore_errors=True)
    return figures
