"""Checks the Rust tree: every crate has a reason in ARCHITECTURE.md, a licence and a source that deny.toml allows, one version.

`python tools/rust_tree.py`, part of `make check`. It reads what `cargo metadata --locked` and `cargo tree` print, on no network
once the crates are there. Advisories are `cargo deny`'s business: it takes the same deny.toml.
"""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def cargo(*arguments: str) -> str:
    return subprocess.run(["cargo", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def allowed(expression: str, licences: set[str]) -> bool:
    """Whether an SPDX expression can be satisfied with these licences; `/` is an old way to write OR."""

    def term(text: str) -> bool:
        text = text.strip()
        if text.startswith("(") and text.endswith(")"):
            text = text[1:-1]
        return any(part.strip() in licences for part in re.split(r"\s+OR\s+|/", text))

    return all(term(part) for part in re.split(r"\s+AND\s+", expression))


def main() -> int:
    rules = tomllib.loads((ROOT / "deny.toml").read_text())
    licences, skipped = set(rules["licenses"]["allow"]), {entry["crate"] for entry in rules["bans"].get("skip", [])}
    printed = cargo(
        "tree", "--locked", "--workspace", "--all-features", "--target", "all", "-e", "normal", "--prefix", "none"
    )
    used = {tuple(line.split()[:2]) for line in printed.splitlines() if line.strip()}
    tree = {(name, version.removeprefix("v")) for name, version in used}
    table = (ROOT / "ARCHITECTURE.md").read_text().partition("\n## Crates\n")[2].partition("\n## ")[0]
    listed = {
        name for line in re.findall(r"^\| ([a-z0-9_, -]+) \|", table, re.MULTILINE) for name in re.split(r",\s*", line)
    } - {"crate"}
    own = {"kfng-core", "kfng-py"}
    faults = []
    names = [name for name, _ in tree]
    faults += [f"{name}: no reason in ARCHITECTURE.md" for name in sorted(set(names) - listed - own)]
    faults += [f"{name}: in ARCHITECTURE.md, not in the tree" for name in sorted(listed - set(names))]
    for name in sorted(set(names)):
        versions = sorted(version for other, version in tree if other == name)
        if len([v for v in versions if f"{name}@{v}" not in skipped]) > 1:
            faults.append(f"{name}: {len(versions)} versions, {', '.join(versions)}")
    for package in json.loads(cargo("metadata", "--locked", "--format-version", "1"))["packages"]:
        name, version = package["name"], package["version"]
        if (name, version) not in tree or name in own:
            continue
        if not allowed(package["license"] or "none", licences):
            faults.append(f"{name}: licence {package['license']}")
        if not (package["source"] or "").startswith("registry+"):
            faults.append(f"{name}: source {package['source']}")
    for fault in faults:
        print(fault)
    print(f"{len(set(names) - own)} crates, {len(faults)} faults")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
