"""`python bench/science/page.py` puts the tables of the last run into docs/science.md and docs/robust.md, between their markers."""

from pathlib import Path

from report import OUTPUT

DOCS = Path(__file__).parents[2] / "docs"
PAGES = {
    DOCS / "science.md": ("schedules", "regret", "uci_style", "memory", "mackey_glass", "motion", "calibration"),
    DOCS / "robust.md": ("robust",),
}


def main() -> None:
    for page, stems in PAGES.items():
        fill(page, stems)


def fill(page: Path, stems: tuple[str, ...]) -> None:
    text = page.read_text()
    for stem in stems:
        tables = OUTPUT / f"{stem}.md"
        if tables.exists():
            begin, end = f"<!-- {stem}:begin -->", f"<!-- {stem}:end -->"
            before, rest = text.split(begin)
            text = f"{before}{begin}\n{tables.read_text()}{end}{rest.split(end)[1]}"
    page.write_text(text)


if __name__ == "__main__":
    main()
