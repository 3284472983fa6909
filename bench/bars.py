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
LIMIT = "limit: multiply-add"


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
    *(Bar(f"stream-rnn-p{p}", SCAN, asked) for p, asked in ((370, 4), (1250, 7), (4546, 5))),
    *(Bar(f"bank-keyed-linear-p8-{keys}keys-2threads", "polars-ols", 8) for keys in (1000, 100_000)),
    *(Bar(f"panel-linear-p{p}-10000keys", "JAX vmap", 3) for p in (4, 16)),
    *(Bar(f"stream-linear-p{p}-f32", "kfng, float64", 1.6, ("kfng",)) for p in (500, 1000, 2000)),
    Bar("import of kfng", "NumPy's own", 1.3, at_most=True),
    Bar("wheel of kfng", "2 MB", 1.0, at_most=True),
]

NOT_MEASURED = {
    "AVX2 path at 0.45 of AVX-512 and more": "needs a machine with AVX-512; `cargo run --release --example ud_speed` compares the paths",
}

PASS_ALONE = (
    "a row alone passes over U in place and takes the dots of a block along while it updates the one before: some 3.7 ns for 16 entries "
    "of U from the second and third cache, 2.9 ns with all of it in the first, where loads and stores bound it"
)

# What holds back a bar that was missed: shown only where a run misses it. By the case's name, or the start of several.
WHY: dict[str, str] = {
    "call-linear": "of some 3,000 instructions of a call at p = 10 (callgrind) 1,026 are the row; the rest reads arguments, takes the lock, "
    "and makes the Step",
    "stream-linear-p4": "46 ns of a row are its step, 461 instructions (callgrind); the rest is what the border does once a row or a batch",
    "stream-linear-p10": "106 ns of a row are its step, 919 instructions (callgrind): turning tiles of U for its dots and the chain of alphas lead "
    "them; compiled loops of others have no guards, counters or report, and may keep everything in registers",
    "stream-linear-p1000-f32": "not known: p = 500 and 2,000 reach it in the same run, by little",
    "stream-linear-p": "without AVX-512 the sweep of a wave is bound by loads and stores: 3.1 ns for 16 entries of U at best, 3.8 to "
    "4.2 ns as it is",
    "stream-logistic-p100": "one pass a row, since weights depend on theta; blocks of rows gain only where U is far larger than the caches, about p = 2,000",
    "stream-logistic-p": PASS_ALONE,
    "stream-softmax": "nine columns and the score in one sweep of U, for which the machine can do two vector products of four numbers a "
    "cycle: 20 products an entry of the triangle are as many operations as the others' product of matrices has on the whole square",
    "stream-mlp": f"nine tenths of a row are its pass; {PASS_ALONE}",
    "stream-diagonal": "one pass a row, in place; what is left is the memory: the row from where the caller has it, which alone is two "
    "fifths of the time, and theta, the variances and the row once more from the cache; with double numbers a division each besides",
    "bank-keyed": "keys that come often stay in lanes while their rows of a piece last, which several threads share; what one thread does alone "
    "is as much again: copying and checking the rows, memory for what is reported, looking keys up",
    "panel-linear": "filters lie side by side from the first panel on; half of a row of four parameters is its step with counters and checks, "
    "the rest the reading, copying and checking of X and y, the memory of what is reported, and the first panel, in which the keys are made",
    "import of kfng": "some forty small modules, a third to half a millisecond each",
    "stream-rnn": "three quarters of a row are the columns of its outputs through the covariance, which share a read of U but no sweep "
    "over it (one sweep for both was slower with two outputs), and a tenth to a fifth the product of f_s and the influence; JAX's way "
    "is the fastest of six that were tried, see `matrix form in JAX` for the one of textbooks; the bars come from a machine with AVX-512",
}


def _reason(case: str) -> str | None:
    """The entry of that very name, or of the longest start of it that does not cut a number."""
    starts = [
        start
        for start in WHY
        if case.startswith(start) and not (start[-1:].isdigit() and case[len(start) :][:1].isdigit())
    ]
    return WHY[max(starts, key=len)] if starts else None


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


def shares(bar: Bar, results: dict[str, Any]) -> tuple[float, float] | None:
    """What kfng reaches, and what the bar asks, as shares of the machine's multiply-adds; None where the run has no such limit."""
    row = next((row for row in results["cases"] if row["case"] == bar.case), None)
    value, limit = measured(bar, results), row and row["contenders"].get(LIMIT)
    if value is None or row is None or not limit or limit["status"] != "measured":
        return None
    than = row["contenders"][bar.than]["rows_per_s"] / limit["rows_per_s"]
    return value * than, bar.asked * than


def reached(bar: Bar, value: float) -> bool:
    return value <= bar.asked if bar.at_most else value >= bar.asked


def table(results: dict[str, Any]) -> str:
    """Asked, measured, reached?; then a line for each reason."""
    titles = {row["case"]: title(row) for row in results["cases"]}
    rows: list[list[str]] = []
    because: dict[str, list[str]] = {}
    unexplained: list[str] = []
    for bar in BARS:
        value = measured(bar, results)
        verdict = "not measured" if value is None else "yes" if reached(bar, value) else "**no**"
        asked = f"{'≤' if bar.at_most else '≥'} {bar.asked:g}x"
        shown = "" if value is None else f"{value:.1f}x" if value >= 2 else f"{value:.2f}x"
        share = shares(bar, results)
        of_limit = [f"{100 * x:.0f} %" for x in share] if share else ["", ""]
        rows.append([titles.get(bar.case, bar.case), bar.than, asked, shown, verdict, *of_limit])
        if verdict == "**no**":
            missed = f"{titles.get(bar.case, bar.case)}, against {bar.than}"
            reason = _reason(bar.case)
            if reason:
                because.setdefault(reason, []).append(missed)
            else:
                unexplained.append(missed)
    why = [f"- {'; '.join(missed)}: {reason}." for reason, missed in because.items()]
    if unexplained:
        why.append(f"- Not explained yet, {len(unexplained)}: {'; '.join(unexplained)}.")
    held = sum(row[4] == "yes" for row in rows)
    beyond = sum(bool(share := shares(bar, results)) and share[1] > 1 for bar in BARS)
    parts = [
        tabulated(
            ["work", "against", "asked", "measured", "reached", "kfng: of the limit", "asked: of the limit"],
            rows,
            "github",
        ),
        f"{held} of {len(rows)} bars reached; {beyond} ask for more than this machine's limit. The limit: the 3p² operations of each "
        "output of a row at the speed of a product of matrices (NumPy's BLAS, in the same rounds), which no pass of this form can "
        f"exceed. {_note(results)}",
        *(["What holds back those that were missed:\n\n" + "\n".join(why)] if why else []),
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
