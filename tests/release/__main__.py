"""`python -m release [--check 'K*'] [--size full]`: runs what has not run on this commit, then writes the page.

Results are kept in .release-check, one file for each check, size and commit: a run that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import platform
import re
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import numpy as np
from release import check, page

KEPT = page.ROOT / ".release-check"


def commit() -> str:
    """The commit of the sources; with a + where what is built or run differs from it."""

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=page.ROOT, capture_output=True, text=True, check=True).stdout

    changed = git("status", "--porcelain", "--untracked-files=no", "--", "rust", "python", "tests", "Cargo.lock")
    return git("rev-parse", "--short=10", "HEAD").strip() + ("+" if changed else "")


def about() -> dict[str, str]:
    cpuinfo = Path("/proc/cpuinfo")
    cpu = re.search(r"model name\s*: (.*)", cpuinfo.read_text()) if cpuinfo.exists() else None
    return {
        "processor": cpu[1] if cpu else platform.machine(),
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def measured(entry: check.Check, size: str, at: str) -> dict[str, Any]:
    figures = [
        {"what": f.what, "value": float(f.value), "bound": f.bound, "holds": bool(f.holds)} for f in entry.figures(size)
    ]
    return {"promise": entry.promise, "size": size, "commit": at, "figures": figures}


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="release", description=__doc__)
    parser.add_argument("--check", default="*", help="a pattern of names, as 'K*'")
    parser.add_argument("--size", default="full", choices=check.SIZES)
    parser.add_argument("--page", action="store_true", help="write the page from what is there, run nothing")
    options = parser.parse_args(arguments)
    at, failed = commit(), False
    checks = check.load_all()
    KEPT.mkdir(exist_ok=True)
    for name, entry in checks.items():
        kept = KEPT / f"{name}-{options.size}-{at}.json"
        if options.page or not fnmatch.fnmatch(name, options.check or "*") or kept.exists():
            continue
        begun = time.perf_counter()
        try:
            result = measured(entry, options.size, at)
        except Exception:
            traceback.print_exc()
            print(f"{name}: did not run", flush=True)
            failed = True
            continue
        kept.write_text(json.dumps(result, indent=1))
        holds = all(f["holds"] for f in result["figures"])
        failed |= not holds
        print(f"{name}: {'holds' if holds else 'DOES NOT HOLD'}, {time.perf_counter() - begun:.0f} s", flush=True)
    page.write(collected(checks))
    return int(failed)


def collected(checks: dict[str, check.Check]) -> dict[str, Any]:
    """Of each check the newest result, the full size before the small; what has not run here is as the page has it."""
    before = json.loads(page.JSON.read_text(encoding="utf-8"))["checks"] if page.JSON.exists() else {}
    found: dict[str, Any] = {}
    for name in checks:
        if name in before:
            found[name] = before[name]
        kept = sorted(KEPT.glob(f"{name}-*.json"), key=lambda path: path.stat().st_mtime)
        small = [] if before.get(name, {}).get("size") == "full" else [p for p in kept if "-small-" in p.name]
        for path in small + [p for p in kept if "-full-" in p.name]:
            found[name] = json.loads(path.read_text())
    return {"about": about(), "checks": found}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
