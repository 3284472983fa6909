"""How numbers are written in text: with commas between thousands, a decimal comma, units; and what says that there is none."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from .trouble import Trouble, polars

MOST = 0.8
"""Share of the texts of a column that reads like numbers, from which on nobody means levels."""
MOST_MARKS = 0.2
"""Share of the values in a column of numbers that may say something else."""
HINTS = (
    (r"[-+]?(\d{1,3}(,\d{3})+|\d+)(\.\d+)?", "--ignore ,"),
    (r"[-+]?\d+(,\d+)?", "--decimal-comma"),
    (r"[-+]?(\d{1,3}(\.\d{3})+|\d+)(,\d+)?", "--decimal-comma --ignore ."),
    (r"[-+]?\d+(\.\d+)? ?%?", "--ignore %"),
    (r"[-+]?\d+(,\d+)? ?%?", "--decimal-comma --ignore %"),
    (r"[-+]?\$? ?[-+]?(\d{1,3}(,\d{3})+|\d+)(\.\d+)?", "--ignore '$,'"),
    (r"[-+]?€? ?[-+]?(\d{1,3}(,\d{3})+|\d+)(\.\d+)?( ?€)?", "--ignore '€,'"),
    (r"[-+]?(\d{1,3}(\.\d{3})+|\d+)(,\d+)?( ?€)?", "--decimal-comma --ignore '€.'"),
    (r"[-+]?£? ?[-+]?(\d{1,3}(,\d{3})+|\d+)(\.\d+)?", "--ignore '£,'"),
    (r"[-+]?\d{1,3}( \d{3})*(\.\d+)?", '--ignore " \'"'),
)
"""Texts, and the options that read them."""


class Style(NamedTuple):
    """What of the text of a number is left out before it is read, and whether its comma is a point."""

    ignore: str = ""
    decimal_comma: bool = False

    @classmethod
    def of(cls, options: Any) -> Style:
        ignore = options.ignore or ""
        if any(mark.isalnum() or mark in "+-" for mark in ignore) or (options.decimal_comma and "," in ignore):
            expected = "marks that are no part of a number, as --ignore %,"
            raise Trouble(f"--ignore: expected {expected}, got {ignore!r}")
        if "." in ignore and not options.decimal_comma:
            raise Trouble("--ignore .: the point is that of decimals, unless with --decimal-comma")
        return cls(ignore, bool(options.decimal_comma))

    def numbers(self, said: Any) -> Any:
        """Of a series of texts, null where a text is no number."""
        for mark in self.ignore:
            said = said.str.replace_all(mark, "", literal=True)
        if self.decimal_comma:
            said = said.str.replace_all(".", "no number", literal=True).str.replace(",", ".", literal=True)
        return said.str.strip_chars().cast(polars().Float64, strict=False)

    def number(self, text: str) -> float | None:
        """Of one text, None where it says nothing."""
        said = polars().Series([text])
        found = self.numbers(said)[0]
        if found is None and not says_nothing(said)[0]:
            raise ValueError(text)
        return None if found is None else float(found)


PLAIN = Style()


def add(command: Any) -> None:
    """The options of a command."""
    command.add_argument(
        "--ignore", metavar="MARKS", help="marks left out of numbers in text: , reads 1,234 and %% reads 12 %%"
    )
    command.add_argument("--decimal-comma", action="store_true", help="numbers in text have a decimal comma: 1,5")


def says_nothing(said: Any) -> Any:
    """Which texts have no letter and no digit, as - and ?, and so mean that there is nothing."""
    return ~said.str.contains(r"[\p{L}\p{N}]")


def marks_of(sample: Any, names: Iterable[str], style: Style, text: bool) -> dict[str, tuple[str, ...]]:
    """Of these columns those of text most of which is numbers, and what the rest says; in a file of text those of numbers, too, if a style is asked for."""
    pl, found = polars(), {}
    for name in names:
        if sample.schema[name] == pl.String and sample[name].null_count() < len(sample):
            said = sample[name].drop_nulls()
            said = said.filter(said.str.strip_chars() != "")
            rest = said.filter(style.numbers(said).is_null())
            if len(said) and len(rest) <= MOST_MARKS * len(said):
                found[name] = tuple(sorted(rest.unique().to_list()))
        elif text and style != PLAIN and sample.schema[name].is_numeric():
            found[name] = ()
    return found


def looks_like(said: Any) -> tuple[str, str] | None:
    """Of a column of text that is read by people as numbers one that is written otherwise, and the options that read it."""
    said = said.drop_nulls().str.strip_chars()
    said = said.filter(~says_nothing(said))
    for pattern, remedy in HINTS:
        fits = said.str.contains(f"^({pattern})$")
        if len(said) and fits.sum() >= MOST * len(said):
            written = said.filter(fits & PLAIN.numbers(said).is_null())
            if not len(written):
                return None
            either = remedy == "--ignore ," and said.filter(fits).str.contains(r"^[-+]?\d+(,\d{3})?$").all()
            return written[0], f"{remedy} (or --decimal-comma)" if either else remedy
    return None
