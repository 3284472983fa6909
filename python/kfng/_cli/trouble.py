"""What goes wrong for the user's sake rather than by kfng's fault: one line on stderr, and exit code 2."""

from __future__ import annotations

from typing import Any


class Trouble(Exception):
    """A message for the user."""


def tabulator(hint: str = "") -> Any:
    try:
        from tabulate import tabulate
    except ImportError:
        raise Trouble(f'the table needs tabulate: pip install "kfng[cli]"{hint}') from None
    return tabulate


def polars() -> Any:
    try:
        import narwhals  # noqa: F401
        import polars as pl
    except ImportError as error:
        raise Trouble(f'reading tables needs {error.name}: pip install "kfng[cli]"') from None
    return pl


def one_line(error: BaseException) -> str:
    """An error's first sentence: libraries explain themselves at length."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
