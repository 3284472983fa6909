"""What a release says of itself is one thing in all places; `make wheels` checks the rest."""

import re
import tomllib
from pathlib import Path

import kfng

ROOT = Path(__file__).resolve().parents[1]
VERSION = tomllib.loads((ROOT / "Cargo.toml").read_text(encoding="utf-8"))["workspace"]["package"]["version"]


def test_one_version():
    cited = re.findall(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)
    assert cited == [VERSION] == [kfng.__version__]


def test_the_changelog_begins_with_what_is_coming_or_this_version():
    heads = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert heads[0] == "Unreleased" or heads[0].split()[0] == VERSION


def test_the_workflow_uses_nobody_elses_actions():
    """They would run with the right to publish."""
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    used = re.findall(r"uses: (\S+)", text)
    assert used
    assert all(action.startswith("actions/") for action in used)


def test_the_workflow_builds_what_the_release_waits_for():
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    jobs = re.findall(r"^  ([a-z-]+):$", text[text.index("jobs:") :], re.MULTILINE)
    waits = re.search(r"needs: \[(.+)\]", text[text.index("  release:") :])
    assert set(waits[1].split(", ")) == set(jobs) - {"release"}
