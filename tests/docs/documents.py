"""The code of a document: its fenced python blocks."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted(path for path in (ROOT / "docs").rglob("*.md") if "_build" not in path.parts)
ADAPTERS = [ROOT / "docs" / name for name in ("sklearn.md", "river.md", "jax.md", "torch.md", "tables.md")]
"""Documents whose sessions need an extra: `make test-extras` runs them."""
FENCE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CELL = re.compile(r"^```\{code-cell\}[^\n]*\n((?::[^\n]*\n)*)(.*?)^```$", re.MULTILINE | re.DOTALL)
NOTEBOOK = "---\nfile_format: mystnb\nkernelspec:\n  name: python3\n---\n"
"""How a page begins whose cells run while the site is built: without it they would not even be shown."""
NOTEBOOKS = [document for document in DOCUMENTS if CELL.search(document.read_text(encoding="utf-8"))]
PICTURE = "picture"
"""The tag of cells that need matplotlib."""


def name(document):
    return document.relative_to(ROOT).as_posix()


def blocks(document):
    """(line before the block, its text) for each python block."""
    text = document.read_text(encoding="utf-8")
    return [(text.count("\n", 0, found.start(1)), found.group(1)) for found in FENCE.finditer(text)]


def cells(document):
    """(line before the code, the code) for each cell of a notebook, those with a picture left out."""
    text = document.read_text(encoding="utf-8")
    found = [cell for cell in CELL.finditer(text) if PICTURE not in cell.group(1)]
    return [(text.count("\n", 0, cell.start(2)), cell.group(2)) for cell in found]


def run_cells(document, impl):
    """What the cells of a notebook leave behind."""
    space = {"__name__": "page"}
    for line, code in cells(document):
        source = "\n" * line + of_implementation(code, impl)
        exec(compile(source, str(document), "exec"), space)
    return space


def sessions(document):
    """The document with everything blank but its >>> blocks: line numbers stay."""
    lines: list[str] = []
    for start, block in blocks(document):
        if ">>>" in block:
            lines += [""] * (start - len(lines)) + block.splitlines()
    return "\n".join(lines) + "\n"


def of_implementation(source, impl):
    """The same script with the one import swapped."""
    if impl.__name__ == "kfng":
        return source
    source = re.sub(r"^((?:>>> )?)import numpy as np, kfng$", r"\1import numpy as np; import kfng", source, flags=re.M)
    return re.sub(r"import kfng$", "from kfng import reference as kfng", source, flags=re.M)
