"""docs/reliability.md from docs/reliability.json: no figure in the page comes from anywhere else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from release.promises import ELSEWHERE, PROMISES

ROOT = Path(__file__).resolve().parents[2]
JSON, PAGE = ROOT / "docs" / "reliability.json", ROOT / "docs" / "reliability.md"


def shown(value: float | None) -> str:
    if value is None:
        return ""
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:.2g}" if abs(value) < 1e-2 or abs(value) >= 1e6 else f"{value:.3g}"


def table(head: list[str], lines: list[list[str]]) -> str:
    rows = ["| " + " | ".join(line) + " |" for line in (head, *lines)]
    return "\n".join([rows[0], "|" + "---|" * len(head), *rows[1:]])


def figures_of(name: str, entry: dict[str, Any]) -> str:
    lines = [
        [
            figure["what"],
            shown(figure["value"]),
            "" if figure["bound"] is None else f"<= {shown(figure['bound'])}",
            "" if figure["bound"] is None else "yes" if figure["holds"] else "**no**",
        ]
        for figure in entry["figures"]
    ]
    size = f"{entry['size']} size, commit {entry['commit']}"
    body = table(["figure", "measured", "asked", "holds"], lines)
    return f"### {name}: {entry['promise']}\n\nRan at {size}.\n\n{body}\n"


def render(results: dict[str, Any]) -> str:
    """The page."""
    checks = results["checks"]
    failing = [name for name, entry in checks.items() if not all(f["holds"] for f in entry["figures"])]
    small = [name for name, entry in checks.items() if entry["size"] != "full"]
    bounds = sum(f["bound"] is not None for entry in checks.values() for f in entry["figures"])
    lead = f"{len(checks)} checks with {bounds} bounds; "
    lead += "all hold." if not failing else f"these do not hold: {', '.join(failing)}."
    if small:
        lead += f" Run at the small size only: {', '.join(small)}."
    about, commits = results["about"], sorted({entry["commit"] for entry in checks.values()})
    promises = [[str(number), text, tests] for number, (text, tests) in enumerate(PROMISES, 1)]
    elsewhere = [[name, text, "<br>".join(f"`{test}`" for test in tests)] for name, text, tests in ELSEWHERE]
    return f"""# Reliability

What kfng promises, and what was measured when each promise was tried. `make release-check` wrote every figure of this page
(`docs/reliability.json` has them unrounded); `make test` runs the same checks at small sizes, and fails if one does not hold or
if this page is not what the figures say.

```
make release-check                  # all of it, hours; goes on where it was stopped
make release-check CHECK='K*'       # checkpoints alone
make release-check SIZE=small       # minutes
```

Ran on commit {", ".join(commits)}, {about["processor"]}, Python {about["python"]}, NumPy {about["numpy"]}. {lead}

## The promises

"sd" is a posterior standard deviation, rho = h'Ph/R of a row, kappa the condition number of E[hh'].

{table(["", "promise", "checks"], promises)}

## Figures

{chr(10).join(figures_of(name, entry) for name, entry in checks.items())}
## Tests that run every time

These have no size: `make test` runs all that there is.

{table(["", "what", "where"], elsewhere)}

## What is not promised

- 1e-6 sd of theta after 1e6 rows whose columns are alike to one part in ten million (kappa 1e14), although it is promised: it is
  missed where many rows (a seventh in N2) have exactly no difference of such columns: what they change of an entry
  near 1 of the factor U is below half a unit of float64 and is lost, every time the same way. Without such rows roundings are
  independent and make about 2^-53 sqrt(kappa n) sd. U in more digits would take twice the memory and more time in every filter.
  The filter says when it is there: `min_pivot_ratio` of `health()` is then below 1e-12, with a warning in its repr.
  Where columns have a large part in common, subtract it before they are given to the filter; a scale alone does no harm.
- Free-threaded builds of Python: none was tried. The extension does not declare itself free of the GIL, so such a build
  turns the GIL on when kfng is imported.
- A daemon thread that is inside a function of NumPy or Python called by kfng for more than two seconds while the interpreter
  ends may still abort the process (CPython before 3.14).
- A child forked while another thread of its parent is inside a call on an object cannot use that same object, whose state is half done
  there: an `UnsupportedError` says so. All others are as they were (X4). Forks that do not go through Python are not seen.
- The fuzzer (M1) ran for a few minutes in all, not for weeks, on one machine, and not on the binding or on `StateFilter` and `JointEkf`.
- Memory that runs out (M5) is tried by a limit on the process, and in the core by refusing each request of 1 KB or more in turn. Requests
  of Python, NumPy and the binding are not refused in turn, nor are the text of a specification and the eigenvectors of a dense Q.
- `kfng.reference` has P dense, for every line to be its equation, and so loses digits where rho is large, all of them from 1e16 on:
  there it may refuse a row as an overflow that kfng takes. Promises 1 to 4 are kfng's.
- Power cuts are simulated from the calls that a save makes, on a file system that keeps what was synced; no plug was pulled.
"""


def write(results: dict[str, Any]) -> None:
    JSON.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(render(results), encoding="utf-8")
