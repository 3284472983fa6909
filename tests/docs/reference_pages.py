"""What the reference pages of the site list, and what kfng exports; read without Sphinx, and without the extras."""

import ast
import re
from pathlib import Path

from docs.documents import ROOT

import kfng

PAGES = ROOT / "docs" / "api"
PACKAGE = Path(kfng.__file__).parent
DIRECTIVE = re.compile(r"^\.\. (?P<what>currentmodule|auto\w+):: (?P<name>\S+)$", re.MULTILINE)
NOT_LISTED = {"kfng.cli", "kfng.reference"}
"""The command has a page of its own; the reference has the names of kfng."""
RETURNED = {
    "kfng._trace.Step",
    "kfng._trace.Trace",
    "kfng._mixture_trace.MixtureStep",
    "kfng._mixture_trace.MixtureTrace",
    "kfng._hashing.HashedRows",
}
"""Listed, for that is what methods return; nobody makes one."""


def listed(pages=None):
    """The qualified names on the pages."""
    names = []
    for page in sorted(PAGES.glob("*.md")) if pages is None else pages:
        module = ""
        for found in DIRECTIVE.finditer(page if isinstance(page, str) else page.read_text(encoding="utf-8")):
            if found["what"] == "currentmodule":
                module = found["name"]
            else:
                names.append(found["name"] if found["name"].startswith("kfng.") else f"{module}.{found['name']}")
    return names


def exported():
    """The qualified names of every public module, from its `__all__`."""
    names = {f"kfng.{name}" for name in kfng.__all__} - {"kfng.__version__", "kfng.errors", "kfng.reference"}
    for path in sorted([*PACKAGE.glob("*.py"), *PACKAGE.glob("*/__init__.py")]):
        stem = path.parent.name if path.name == "__init__.py" else path.stem
        module = f"kfng.{stem}"
        if path.parent == PACKAGE and path.name == "__init__.py" or stem.startswith("_") or module in NOT_LISTED:
            continue
        names |= {f"{module}.{name}" for name in _all(path)}
    return names


def _all(path):
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and [getattr(target, "id", "") for target in node.targets] == ["__all__"]:
            return ast.literal_eval(node.value)
    raise AssertionError(f"{path.name} has no __all__: a public module says what it exports, or begins with _")


def home(name):
    """One name for what two modules export: kfng.ShapeError is kfng.errors.ShapeError."""
    last = name.rsplit(".", 1)[1]
    if last in kfng.errors.__all__:
        return f"kfng.errors.{last}"
    return f"kfng.{last}" if name == f"kfng.schedules.{last}" else name
