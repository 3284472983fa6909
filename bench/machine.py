"""What the run ran on, and what is measured once a run: import times and installed sizes."""

import importlib.metadata
import importlib.util
import io
import os
import platform
import re
import statistics
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from peers.base import Peer

IMPORT_ROUNDS = 11


def about(peers: Iterable[type[Peer]]) -> dict[str, Any]:
    """Versions, processor, load: everything that a reader of the figures needs."""
    cpu = re.search(r"model name\s*: (.*)", _read("/proc/cpuinfo"))
    flags = set(_read("/proc/cpuinfo").split())
    return {
        "versions": {peer.distribution: _version(peer.distribution) for peer in peers},
        "python": platform.python_version(),
        "processor": cpu[1] if cpu else platform.processor(),
        "machine": platform.machine(),
        "simd": [name for name, flag in (("AVX-512", "avx512f"), ("AVX2", "avx2")) if flag in flags],
        "cores": os.cpu_count(),
        "load_at_start": os.getloadavg()[0],
        "date": time.strftime("%Y-%m-%d"),
    }


def _read(path: str) -> str:
    return Path(path).read_text() if Path(path).exists() else ""


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return __import__("kfng").__version__ if distribution == "kfng" else None


def import_times(modules: Iterable[str], clock: str, rounds: int = IMPORT_ROUNDS) -> dict[str, dict[str, float]]:
    """Median seconds of `import module` in a new process, interleaved; the first round, which may write .pyc files, is left out."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    timer = {"wall": "perf_counter", "cpu": "process_time"}[clock]
    wanted = dict.fromkeys(["numpy", "kfng", *modules])
    wanted = [name for name in wanted if importlib.util.find_spec(name.partition(".")[0])]
    seconds: dict[str, list[float]] = {name: [] for name in wanted}
    for i in range(rounds + 1):
        for name in wanted:
            if i > 3 and seconds[name] and seconds[name][0] > 1:
                continue  # three times is enough for what takes seconds
            code = f"from time import {timer} as now; start = now(); import {name}; print(now() - start)"
            answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
            if answer.returncode == 0 and i > 0:
                seconds[name].append(float(answer.stdout.splitlines()[-1]))
    own = statistics.median(seconds["numpy"])
    medians = {name: statistics.median(found) for name, found in seconds.items() if found}
    return {name: {"seconds": value, "ratio_to_numpy": value / own} for name, value in medians.items()}


def sizes(distributions: Iterable[str]) -> dict[str, dict[str, float]]:
    """MB of files of each distribution, alone and with everything that it requires; kfng's wheel as pip would get it."""
    found: dict[str, dict[str, float]] = {}
    for name in dict.fromkeys(distributions):
        needed = _closure(name)
        if needed:
            own = {part: _size(part) for part in needed}
            found[name] = {"own_mb": own[name] / 1e6, "with_dependencies_mb": sum(own.values()) / 1e6}
    if "kfng" in found:
        found["kfng"]["wheel_mb"] = _wheel_size() / 1e6
    return found


def _kfng_files() -> list[Path]:
    """The package's own files: an editable install does not list them."""
    spec = importlib.util.find_spec("kfng")
    assert spec is not None
    assert spec.origin is not None
    return [f for f in Path(spec.origin).parent.rglob("*") if f.is_file() and "__pycache__" not in f.parts]


def _size(name: str) -> int:
    if name == "kfng":
        return sum(f.stat().st_size for f in _kfng_files())
    files = [Path(str(f.locate())) for f in importlib.metadata.files(name) or []]
    return sum(f.stat().st_size for f in files if f.is_file() and f.suffix != ".pyc")


def _wheel_size() -> int:
    """A wheel is a zip archive of the package: make one in memory."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in _kfng_files():
            archive.write(file)
    return len(buffer.getvalue())


def _closure(name: str) -> set[str]:
    """The distribution and all that it requires here; empty if it is not installed."""
    from packaging.requirements import Requirement  # comes with pytest

    found: set[str] = set()
    waiting = [name]
    while waiting:
        current = waiting.pop()
        if current in found:
            continue
        if current == "kfng":
            requires: list[str] | None = ["numpy"]
        else:
            try:
                requires = importlib.metadata.requires(current)
            except importlib.metadata.PackageNotFoundError:
                continue
        found.add(current)
        for text in requires or []:
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name.lower().replace("_", "-"))
    return found
