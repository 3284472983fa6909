"""The table of a run; `python bench/table.py [results.json]` puts a part of it into the README between its markers."""

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "bench" / "output" / "results.json"
VARIANTS = ("kfng", "kfng, prediction read", "kfng, deterministic=False", "kfng, float64", "kfng, one thread")
README_CASES = (
    *("call-linear-p4", "call-linear-p10", "call-linear-p100", "stream-linear-p10", "stream-linear-p100"),
    *("stream-linear-p1000", "stream-linear-p2000", "stream-logistic-p100", "stream-logistic-p1000"),
    *("stream-softmax-p640", "stream-mlp-p501", "stream-mlp-p2001", "stream-diagonal-linear-p10000"),
)
README_PEERS = ("NumPy three-liner", "scipy.blas", "JAX", "river", "dynamax")


def peers(results: dict[str, Any]) -> list[str]:
    """Columns: whatever ran or should have run in some case, the two of JAX as one."""
    found = {name for row in results["cases"] for name in row["contenders"]} - set(VARIANTS)
    order = {name: None for row in results["cases"] for name in row["contenders"] if name in found}
    return list(dict.fromkeys("JAX" if name.startswith("JAX") else name for name in order))


def contender(row: dict[str, Any], peer: str) -> dict[str, Any]:
    """The figures of a column in this case; of JAX's, the one that does this work."""
    names = ("JAX lax.scan", "JAX jitted step", "JAX vmap") if peer == "JAX" else (peer,)
    found = [row["contenders"][name] for name in names if name in row["contenders"]]
    return next((c for c in found if c["status"] != "does not do this"), found[0] if found else {"status": "not run"})


def cell(row: dict[str, Any], peer: str, variant: str = "kfng") -> str:
    """How many times faster kfng is; or a word for why there is no figure."""
    found, own = contender(row, peer), row["contenders"].get(variant, {})
    if found["status"] == "measured" and own.get("status") == "measured":
        ratio = own["rows_per_s"] / found["rows_per_s"] if variant != "kfng" else found["ratio"]
        return f"{ratio:.1f}x" if ratio < 99.5 else f"{ratio:,.0f}x"
    words = {
        "does not do this": "·",
        "not installed": "not inst.",
        "measured": "-",
        "wrong theta": "WRONG",
        "not run": "",
    }
    return words.get(found["status"], "failed")


def title(row: dict[str, Any]) -> str:
    """'stream, linear, p = 100, float32'."""
    parts = [row["work"], row["problem"], f"p = {row['p']:,}"]
    parts += ["float32"] if row["dtype"] == "float32" else []
    parts += [f"{row['keys']:,} keys"] if row.get("keys") else []
    return ", ".join(parts + ([f"{row['threads']} threads"] if row["threads"] > 1 else []))


def lines(row: dict[str, Any], columns: list[str]) -> list[list[str]]:
    """One line for kfng and one for each of its variants."""
    table = []
    for variant in VARIANTS:
        own = row["contenders"].get(variant)
        if own is None or own["status"] == "does not do this":
            continue
        start = title(row) if variant == "kfng" else f"  {variant.removeprefix('kfng, ')}"
        if own["status"] != "measured":
            table.append([start, own["status"][:40], "", "", *("" for _ in columns)])
            continue
        figures = [f"{own['rows_per_s']:,.0f}", f"{100 * own['spread']:.0f} %", f"{own.get('peak_mb', 0):.0f}"]
        table.append([start, *figures, *(cell(row, peer, variant) for peer in columns)])
    return table


def tabulated(headers: list[str], rows: list[list[str]], style: str) -> str:
    from tabulate import tabulate  # of the extra `bench`

    align = ["left"] + ["right"] * (len(headers) - 1)
    return tabulate(rows, headers=headers, tablefmt=style, disable_numparse=True, colalign=align if rows else None)


def text(results: dict[str, Any], style: str = "simple") -> str:
    """The whole table of a run."""
    columns = peers(results)
    rows = [entry for row in results["cases"] for entry in lines(row, columns)]
    return tabulated(["", "kfng, rows/s", "spread", "MB", *columns], rows, style)


def line(row: dict[str, Any]) -> str:
    """A case in one line, while the bench runs."""
    own = row["contenders"].get("kfng", {"status": "not run"})
    speed = f"{own['rows_per_s']:>12,.0f} rows/s" if own["status"] == "measured" else own["status"]
    others = [peer for peer in peers({"cases": [row]}) if cell(row, peer) != "·"]
    return f"{row['case']:<34}{speed}   " + "  ".join(f"{peer} {cell(row, peer)}" for peer in others)


def legend(results: dict[str, Any]) -> str:
    """What the table says, and every peer without a figure with its reason."""
    reasons = {
        f"{row['case']}: {name}: {found['status']}"
        for row in results["cases"]
        for name, found in row["contenders"].items()
        if found["status"] not in ("measured", "does not do this", "not installed")
    }
    missing = {n for row in results["cases"] for n, c in row["contenders"].items() if c["status"] == "not installed"}
    about = results["about"]
    parts = [
        "Columns: how many times faster kfng is, medians of interleaved rounds; limits: above 1 is above that limit. Spread: "
        "interquartile range over median. MB: peak resident memory of kfng's process with its rows. ·: does not do this.",
        f"Load of the machine {about['load_at_start']:.1f} at the start"
        + (f", {about['load_at_end']:.1f} at the end." if "load_at_end" in about else "."),
    ]
    parts += [f"Not installed: {', '.join(sorted(missing))}."] if missing else []
    return "\n".join(parts + sorted(reasons))


def readme_block(results: dict[str, Any]) -> str:
    """The part of the table that the README has, and what it says about it."""
    by_name = {row["case"]: row for row in results["cases"]}
    rows = [by_name[name] for name in README_CASES if name in by_name]
    table = [[title(row), *lines(row, [])[0][1:3], *(cell(row, peer) for peer in README_PEERS)] for row in rows]
    versions = results["about"]["versions"]
    named = ", ".join(
        f"{name} {versions[name]}" for name in ("numpy", "scipy", "jax", "river", "dynamax") if versions.get(name)
    )
    note = (
        f"Columns: how many times faster kfng is. float64, one thread, medians of interleaved rounds on one core; kfng "
        f"{versions['kfng']} with guards, predictions and their sd, its peers computing θ and P alone, to the same θ ({named}, "
        f"{results['about']['processor']}, {' and '.join(results['about']['simd']) or results['about']['machine']}). "
        f"·: does not do this. Printed by `make bench`; all cases, limits and bars: [docs/performance.md](docs/performance.md)."
    )
    return f"{tabulated(['', 'kfng, rows/s', 'spread', *README_PEERS], table, 'github')}\n\n{note}"


def between(page: Path, marker: str, block: str) -> None:
    """Replace what is between the two markers of a page."""
    begin, end = f"<!-- {marker}:begin -->", f"<!-- {marker}:end -->"
    before, rest = page.read_text().split(begin)
    page.write_text(f"{before}{begin}\n{block}\n{end}{rest.split(end)[1]}")


def main() -> None:
    results = json.loads(Path(sys.argv[1] if len(sys.argv) > 1 else RESULTS).read_text())
    between(ROOT / "README.md", "bench", readme_block(results))


if __name__ == "__main__":
    main()
