"""`python bench/science/page.py` puts the tables of the last run into docs/science.md, each between its markers."""

from pathlib import Path

from report import OUTPUT

STEMS = ("schedules", "regret", "uci_style", "memory", "mackey_glass", "motion", "calibration")
PAGE = Path(__file__).parents[2] / "docs" / "science.md"


def main() -> None:
    text = PAGE.read_text()
    for stem in STEMS:
        tables = OUTPUT / f"{stem}.md"
        if tables.exists():
            begin, end = f"<!-- {stem}:begin -->", f"<!-- {stem}:end -->"
            before, rest = text.split(begin)
            text = f"{before}{begin}\n{tables.read_text()}{end}{rest.split(end)[1]}"
    PAGE.write_text(text)


if __name__ == "__main__":
    main()
