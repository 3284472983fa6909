"""Every page of the site is in exactly one list of pages: what `make docs` would say after minutes is said here at once."""

import re

from docs.documents import DOCUMENTS, ROOT

TOCTREE = re.compile(r"^```\{toctree\}\n(.*?)^```$", re.MULTILINE | re.DOTALL)
DOCS = ROOT / "docs"


def entries(page, text):
    """The pages that the toctrees of a page name, as paths under docs without their ending."""
    lines = [line.strip() for tree in TOCTREE.findall(text) for line in tree.splitlines()]
    names = [re.sub(r".*<(.+)>$", r"\1", line) for line in lines if line and not line.startswith(":")]
    return [(page.parent / name).resolve().relative_to(DOCS.resolve()).as_posix() for name in names]


def test_every_page_is_in_one_toctree():
    named = [entry for page in DOCUMENTS for entry in entries(page, page.read_text(encoding="utf-8"))]
    pages = {page.relative_to(DOCS).with_suffix("").as_posix() for page in DOCUMENTS}
    assert sorted(named) == sorted(pages - {"index"})


def test_a_toctree_is_read_as_sphinx_reads_it():
    text = "```{toctree}\n:hidden:\n\nbank\nFrom others <../migrate/index>\n```\n"
    assert entries(DOCS / "api" / "index.md", text) == ["api/bank", "migrate/index"]
