"""What the reproductions share: which kfng runs, tables with a caption, and where pictures and tables are kept."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

OUTPUT = Path(__file__).parent / "output"


def parser(description: str) -> argparse.ArgumentParser:
    """The options that every reproduction has."""
    options = argparse.ArgumentParser(description=description.splitlines()[0])
    options.add_argument("--reference", action="store_true", help="run kfng.reference (NumPy) instead of kfng")
    return options


def implementation(reference: bool) -> ModuleType:
    """kfng, or its reference, which has the same names."""
    import kfng

    return kfng.reference if reference else kfng


def name(impl: ModuleType) -> str:
    """'kfng 0.1.0' or 'kfng.reference 0.1.0', for captions."""
    import kfng

    return f"{impl.__name__} {kfng.__version__}"


class Report:
    """Prints what is said and keeps it, as Markdown, in output/<stem>.md."""

    def __init__(self, stem: str) -> None:
        self._stem, self._parts = stem, list[str]()

    def table(self, headers: Sequence[str], rows: Sequence[Sequence[Any]], caption: str) -> None:
        """Cells are printed as they are given; the first column is left-aligned."""
        from tabulate import tabulate  # of the extra `science`

        align = ["left"] + ["right"] * (len(headers) - 1)
        text = tabulate(rows, headers=headers, tablefmt="github", disable_numparse=True, colalign=align)
        self.text(f"{text}\n\n{caption}")

    def text(self, text: str) -> None:
        print(text, end="\n\n")
        self._parts.append(text)

    def picture(self) -> Path:
        """Where the picture goes."""
        OUTPUT.mkdir(exist_ok=True)
        return OUTPUT / f"{self._stem}.png"

    def save(self) -> None:
        OUTPUT.mkdir(exist_ok=True)
        (OUTPUT / f"{self._stem}.md").write_text("\n\n".join(self._parts) + "\n")


def pyplot() -> ModuleType:
    """matplotlib without a display, imported only where something is drawn."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot
