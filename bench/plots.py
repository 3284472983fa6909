"""Two pictures for docs/performance.md: `python bench/plots.py [results.json]`."""

import json
import sys
from pathlib import Path
from typing import Any

from peers import PEERS
from table import RESULTS, ROOT

DOCS = ROOT / "docs"


def speed_series(
    results: dict[str, Any], problem: str = "linear", dtype: str = "float64"
) -> dict[str, list[tuple[int, float]]]:
    """For every contender of the streams (p, rows/s), by p."""
    rows = [
        row
        for row in results["cases"]
        if (row["work"], row["problem"], row["dtype"], row["threads"]) == ("stream", problem, dtype, 1)
    ]
    series: dict[str, list[tuple[int, float]]] = {}
    for row in sorted(rows, key=lambda row: row["p"]):
        for name, found in row["contenders"].items():
            if found["status"] == "measured":
                series.setdefault(name, []).append((row["p"], found["rows_per_s"]))
    return series


def draw_speed(results: dict[str, Any], path: Path) -> None:
    """Rows per second against p, with what the hardware allows."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(12, 5), sharey=True)
    names = [name for name in PEERS if not name.startswith(("kfng", "limit"))]
    palette = [
        "tab:blue",
        "tab:orange",
        "tab:green",
        "tab:cyan",
        "tab:purple",
        "tab:brown",
        "tab:olive",
        "navy",
        "goldenrod",
    ]
    color = {name: palette[i % len(palette)] for i, name in enumerate(names)}
    for axis, problem in zip(axes, ("linear", "logistic"), strict=True):
        for name, points in speed_series(results, problem).items():
            style = {"marker": "o", "markersize": 3} | (
                {} if name.startswith(("kfng", "limit")) else {"color": color[name]}
            )
            if name.startswith("limit"):
                style = {"linestyle": "--", "color": "black" if "multiply" in name else "gray"}
            elif name == "kfng.reference":
                style |= {"color": "tab:gray"}
            elif name == "kfng":
                style |= {"linewidth": 3, "color": "tab:red"}
            elif name.startswith("kfng,"):
                style |= {"linewidth": 2, "color": "tab:pink"}
            axis.plot(*zip(*points, strict=True), label=name, **style)
        axis.set(xscale="log", yscale="log", xlabel="parameters p", title=f"{problem} stream, float64, one thread")
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("rows per second")
    known = {name: line for axis in axes for line, name in zip(*axis.get_legend_handles_labels(), strict=True)}
    figure.legend(known.values(), known, loc="center right", fontsize=8)
    figure.tight_layout(rect=(0, 0, 0.8, 1))
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def draw_flat(results: dict[str, Any], path: Path) -> None:
    """The cost of a row against the number of rows before it."""
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(7, 4))
    for name, found in results["along"].items():
        if name != "case" and "seconds" in found:
            axis.plot(found["rows"], [1e6 * s for s in found["seconds"]], label=name, marker="o", markersize=3)
    axis.set(
        xlabel="rows learned",
        ylabel="µs a row",
        yscale="log",
        title=f"cost along a stream ({results['along']['case']})",
    )
    axis.set_xscale("log")
    axis.grid(alpha=0.3)
    axis.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def main() -> None:
    import matplotlib

    matplotlib.use("Agg")
    results = json.loads(Path(sys.argv[1] if len(sys.argv) > 1 else RESULTS).read_text())
    draw_speed(results, DOCS / "performance_speed.png")
    if "along" in results:
        draw_flat(results, DOCS / "performance_flat.png")


if __name__ == "__main__":
    main()
