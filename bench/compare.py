"""Two runs side by side: `python bench/compare.py old.json new.json`. Says what changed by more than its noise.

The machine may have been faster or slower as a whole: `kfng, corrected` is the change of kfng's speed over the median change
of the peers of the same case, which nobody has touched.
"""

import json
import statistics
import sys
from pathlib import Path
from typing import Any

from table import tabulated

HEADERS = ["case", "kfng, old", "kfng, new", "new / old", "peers, new / old", "kfng, corrected", ""]


def speeds(row: dict[str, Any]) -> dict[str, float]:
    return {name: c["rows_per_s"] for name, c in row["contenders"].items() if c["status"] == "measured"}


def compare(old: dict[str, Any], new: dict[str, Any]) -> list[dict[str, Any]]:
    """One entry for every case and variant of kfng that both runs have."""
    before = {row["case"]: row for row in old["cases"]}
    found = []
    for row in new["cases"]:
        if row["case"] not in before:
            continue
        past, present = speeds(before[row["case"]]), speeds(row)
        shared = [name for name in present if name in past]
        drifts = [present[name] / past[name] for name in shared if not name.startswith(("kfng", "limit"))]
        drift = statistics.median(drifts) if drifts else None
        for name in shared:
            if name.startswith("kfng") and name != "kfng.reference":
                change = present[name] / past[name]
                noise = sum(r["contenders"][name]["spread"] for r in (before[row["case"]], row)) / 2
                corrected = change / drift if drift else None
                found.append(
                    {
                        "case": row["case"] + name.removeprefix("kfng"),
                        "old": past[name],
                        "new": present[name],
                        "change": change,
                        "drift": drift,
                        "corrected": corrected,
                        "verdict": _verdict(corrected or change, noise),
                    }
                )
    return found


def _verdict(change: float, noise: float) -> str:
    if abs(change - 1) <= max(noise, 0.05):
        return ""
    return "faster" if change > 1 else "SLOWER"


def text(entries: list[dict[str, Any]]) -> str:
    def number(value: float | None) -> str:
        return "-" if value is None else f"{value:.2f}"

    rows = [
        [
            e["case"],
            f"{e['old']:,.0f}",
            f"{e['new']:,.0f}",
            *(number(e[k]) for k in ("change", "drift", "corrected")),
            e["verdict"],
        ]
        for e in entries
    ]
    return tabulated(HEADERS, rows, "simple")


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    old, new = (json.loads(Path(path).read_text()) for path in sys.argv[1:])
    for key, value in old["about"]["versions"].items():
        if new["about"]["versions"].get(key) != value:
            print(f"{key}: {value} then, {new['about']['versions'].get(key)} now")
    if old["about"]["processor"] != new["about"]["processor"]:
        print("two different processors: only ratios to peers can be compared")
    print(text(compare(old, new)))


if __name__ == "__main__":
    main()
