"""The table of the last run; `python bench/table.py` writes it into the README between its markers."""

import json
from pathlib import Path

from tabulate import tabulate

ROOT = Path(__file__).parent.parent


def text(rows: list[dict], style: str = "simple") -> str:
    """One line a case: rows/s of kfng, and how many times faster that is than each peer."""
    peers = [name for name in rows[0] if name not in ("work", "p", "kfng")]
    table = []
    for row in rows:
        line = [row["work"], row["p"], f"{row['kfng']['rows_per_s']:,.0f}", f"± {100 * row['kfng']['spread']:.0f} %"]
        table.append(line + [f"{row[peer]['ratio']:.1f}x" for peer in peers if peer in row])
    headers = ["work", "p", "kfng, rows/s", "spread", *(f"faster than {peer}" for peer in peers)]
    return tabulate(
        table,
        headers=headers,
        tablefmt=style,
        disable_numparse=True,
        colalign=["left"] + ["right"] * (len(headers) - 1),
    )


def write_readme() -> None:
    results = json.loads((ROOT / "bench" / "output" / "results.json").read_text())
    about = results["about"]
    note = (
        f"Linear Gaussian rows, {about['dtype']}, {about['threads']} thread, medians of interleaved runs, spread = interquartile range; "
        f"kfng {about['kfng']} with guards, predictions and predictive sd, its peers computing θ and P alone "
        f"(NumPy {about['numpy']}, Python {about['python']}, {about['machine']}). Printed by `make bench`."
    )
    block = f"<!-- bench:begin -->\n{text(results['rows'], 'github')}\n\n{note}\n<!-- bench:end -->"
    readme = (ROOT / "README.md").read_text()
    before, rest = readme.split("<!-- bench:begin -->")
    (ROOT / "README.md").write_text(before + block + rest.split("<!-- bench:end -->")[1])


if __name__ == "__main__":
    write_readme()
