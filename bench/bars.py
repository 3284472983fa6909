"""The bars: what was asked of kfng before it was written, what a run measured, and what holds back what was missed.

`python bench/bars.py [results.json]` puts the table into docs/performance.md. To add a bar, add a line to `BARS`.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from table import RESULTS, ROOT, between, tabulated, title

PAGE = ROOT / "docs" / "performance.md"
BLAS, NUMPY, SCAN, STEP = "scipy.blas", "NumPy three-liner", "JAX lax.scan", "JAX jitted step"


@dataclass(frozen=True)
class Bar:
    """kfng (or its variant `by`, where faster) is to be `asked` times as fast as `than` in this case."""

    case: str
    than: str
    asked: float
    by: tuple[str, ...] = ("kfng", "kfng, deterministic=False")
    at_most: bool = False  # the figure is to stay below


def _row(case: str, numpy: float | None, blas: float | None, jax: float | None, scan: str = SCAN) -> list[Bar]:
    return [Bar(case, than, asked) for than, asked in ((NUMPY, numpy), (BLAS, blas), (scan, jax)) if asked is not None]


BARS = [
    *_row("call-linear-p4", 30, 20, 45, STEP),
    *_row("call-linear-p10", 25, 18, 40, STEP),
    Bar("stream-linear-p4", NUMPY, 90),
    *_row("stream-linear-p10", 60, 45, 8),
    *_row("stream-linear-p100", 14, 5, 2.5),
    *_row("stream-linear-p500", 12, 2.5, 4),
    *_row("stream-linear-p1000", 15, 2.2, 2.5),
    *_row("stream-linear-p2000", 18, 2.5, 3.5),
    *_row("stream-logistic-p100", 12, 4, 2),
    *_row("stream-logistic-p1000", 12, 1.5, 1.5),
    *_row("stream-softmax-p640", 5, None, 5),
    *_row("stream-mlp-p501", 10, None, 3),
    *_row("stream-mlp-p2001", 12, None, 2.5),
    *_row("stream-diagonal-linear-p10000", 4, None, 4),
    *_row("stream-diagonal-linear-p100000", 6, None, 4),
    *(Bar(f"stream-rnn-p{p}", SCAN, asked) for p, asked in ((353, 4), (1217, 7), (4481, 5))),
    *(Bar(f"stream-linear-p{p}-f32", "kfng, float64", 1.6, ("kfng",)) for p in (500, 1000, 2000)),
    Bar("import of kfng", "NumPy's own", 1.3, at_most=True),
    Bar("wheel of kfng", "2 MB", 1.0, at_most=True),
]

NOT_MEASURED = {
    "bank, keyed, p = 8: 8x polars-ols on 2 threads": "no case yet: comes with `kfng.Bank`",
    "panel, 10,000 × 4 / × 16: 3x / 3x JAX vmap": "no case yet: comes with `kfng.Bank`",
    "AVX2 path at 0.45 of AVX-512 and more": "needs a machine with AVX-512; `cargo run --release --example ud_speed` compares the paths",
}

# What holds back a bar that was missed: shown only where a run misses it. A prefix of the case's name is enough.
WHY: dict[str, str] = {}


def measured(bar: Bar, results: dict[str, Any]) -> float | None:
    """The figure of a run, None if the run does not have it."""
    if bar.case == "import of kfng":
        return results.get("imports", {}).get("kfng", {}).get("ratio_to_numpy")
    if bar.case == "wheel of kfng":
        size = results.get("sizes", {}).get("kfng", {}).get("wheel_mb")
        return None if size is None else size / 2
    row = next((row for row in results["cases"] if row["case"] == bar.case), None)
    than = row and row["contenders"].get(bar.than)
    if not than or than["status"] != "measured":
        return None
    own = [c["rows_per_s"] for name in bar.by if (c := row["contenders"].get(name)) and c["status"] == "measured"]
    return max(own) / than["rows_per_s"] if own else None


def reached(bar: Bar, value: float) -> bool:
    return value <= bar.asked if bar.at_most else value >= bar.asked


def table(results: dict[str, Any]) -> str:
    """Asked, measured, reached?; then a line for each reason."""
    titles = {row["case"]: title(row) for row in results["cases"]}
    rows, why, unexplained = [], [], []
    for bar in BARS:
        value = measured(bar, results)
        verdict = "not measured" if value is None else "yes" if reached(bar, value) else "**no**"
        asked = f"{'≤' if bar.at_most else '≥'} {bar.asked:g}x"
        shown = "" if value is None else f"{value:.1f}x" if value >= 2 else f"{value:.2f}x"
        rows.append([titles.get(bar.case, bar.case), bar.than, asked, shown, verdict])
        if verdict == "**no**":
            missed = f"{titles.get(bar.case, bar.case)}, against {bar.than}"
            reason = next((text for start, text in WHY.items() if bar.case.startswith(start)), None)
            if reason:
                why.append(f"- {missed}: {reason}.")
            else:
                unexplained.append(missed)
    if unexplained:
        why.append(f"- Not explained yet, {len(unexplained)}: {'; '.join(unexplained)}.")
    held = sum(row[-1] == "yes" for row in rows)
    parts = [
        tabulated(["work", "against", "asked", "measured", "reached"], rows, "github"),
        f"{held} of {len(rows)} bars reached. {_note(results)}",
        *(["What holds back those that were missed:\n\n" + "\n".join(dict.fromkeys(why))] if why else []),
        "Bars without a figure:\n\n" + "\n".join(f"- {bar}: {reason}." for bar, reason in NOT_MEASURED.items()),
    ]
    return "\n\n".join(parts)


def _note(results: dict[str, Any]) -> str:
    about = results["about"]
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items() if version)
    return (
        f"{about['processor']} ({', '.join(about['simd']) or about['machine']}), load {about['load_at_start']:.1f} when the run "
        f"began; {about['rounds']} rounds of {1000 * about['turn']:.0f} ms a contender"
        f"{', time of the processor' if about.get('clock') == 'cpu' else ''}; Python {about['python']}, {versions}; "
        f"{about['date']}."
    )


def main() -> None:
    results = json.loads(Path(sys.argv[1] if len(sys.argv) > 1 else RESULTS).read_text())
    between(PAGE, "bars", table(results))
    from table import text

    between(PAGE, "all", f"```\n{text(results)}\n```")


if __name__ == "__main__":
    main()
