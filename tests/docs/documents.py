"""The code of a document: its fenced python blocks."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted(path for path in (ROOT / "docs").rglob("*.md") if "_build" not in path.parts)
ADAPTERS = [ROOT / "docs" / name for name in ("sklearn.md", "river.md")]
"""Documents whose sessions need an extra: `make test-extras` runs them."""
FENCE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def name(document):
    return document.relative_to(ROOT).as_posix()


def blocks(document):
    """(line before the block, its text) for each python block."""
    text = document.read_text(encoding="utf-8")
    return [(text.count("\n", 0, found.start(1)), found.group(1)) for found in FENCE.finditer(text)]


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
