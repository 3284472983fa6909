"""Files of rows, read in batches whose size does not depend on the file's: CSV, JSON lines and Parquet, by polars.

Text is cut at ends of rows into blocks of about 2 MB, each of which polars reads; types are those of the first block.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from .trouble import Trouble, one_line, polars

BLOCK = 1 << 21
ROWS = 1 << 15
"""Rows of a batch of a Parquet file."""
MISSING = ["NA", "N/A", "n/a", "#N/A", "null", "NULL", "None", "nan", "NaN", "NAN"]
SUFFIXES = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}


def source(path: str) -> Source:
    """By suffix."""
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise Trouble(
            f"expected a file whose name ends in .csv, .tsv, .jsonl or .parquet, or - for a pipe, got {suffix!r}"
        )
    return {"csv": Csv, "jsonl": JsonLines, "parquet": Parquet}[SUFFIXES[suffix]](path)


def is_text(path: str) -> bool:
    """Whether numbers are text in this file."""
    return SUFFIXES.get(Path(path).suffix.lower()) == "csv"


class Source:
    """A file of rows."""

    unit, unit_scale = "B", True

    def __init__(self, path: str) -> None:
        self.path, self.pl = path, polars()
        self.total: int | None = os.stat(path).st_size
        self.done = 0
        """Of `total`, for a progress bar."""

    def sample(self) -> Any:
        """The first rows, with the types that they seem to have."""
        raise NotImplementedError

    def batches(self, schema: dict[str, Any]) -> Iterator[Any]:
        """Tables of these columns and types, in order."""
        raise NotImplementedError


class _Text(Source):
    """Rows between ends of lines."""

    def _read(self, block: bytes, schema: dict[str, Any] | None = None) -> Any:
        raise NotImplementedError

    def _head(self, file: BinaryIO) -> None:
        """Read what comes before the first row."""

    def sample(self) -> Any:
        with open(self.path, "rb") as file:
            self._head(file)
            block = next(self._blocks(file), b"")
        frame = self._table(block, 1)
        if not frame.width:
            raise Trouble("the file has no columns")
        return frame

    def batches(self, schema: dict[str, Any]) -> Iterator[Any]:
        row = 0
        with open(self.path, "rb") as file:
            self._head(file)
            for block in self._blocks(file):
                frame = self._table(block, row + 1, schema)
                self.done, row = file.tell(), row + len(frame)
                if len(frame):
                    yield frame

    def _table(self, block: bytes, row: int, schema: dict[str, Any] | None = None) -> Any:
        """Of the rows from `row` on."""
        try:
            return self._read(block, schema)
        except (self.pl.exceptions.PolarsError, RuntimeError) as error:
            raise Trouble(f"in the rows from {row:,} on: {one_line(error)}") from None

    def _blocks(self, file: BinaryIO) -> Iterator[bytes]:
        rest = b""
        while piece := file.read(BLOCK):
            rest += piece
            cut = self._end(rest)
            if cut:
                yield rest[:cut]
                rest = rest[cut:]
        if rest.strip():
            yield rest

    def _end(self, text: bytes) -> int:
        """Where the last whole row ends, 0 where none does."""
        return text.rfind(b"\n") + 1


class Csv(_Text):
    """With a line of names; the separator is the one of , ; tab that the names have."""

    def _head(self, file: BinaryIO) -> None:
        line = file.readline()
        while line.count(b'"') % 2 and (more := file.readline()):
            line += more
        line = line.removeprefix(b"\xef\xbb\xbf").rstrip(b"\r\n")
        if not line.strip():
            raise Trouble("the file has no line of names")
        self._separator = max(",;\t", key=lambda mark: line.count(mark.encode()))
        import csv

        names = [name.strip() for name in next(csv.reader([line.decode()], delimiter=self._separator))]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise Trouble(f"the column {twice[0]!r} comes twice")
        text = io.StringIO(newline="")
        csv.writer(text, delimiter=self._separator, lineterminator="").writerow(names)
        self._names = text.getvalue().encode()

    def _end(self, text: bytes) -> int:
        """Not inside quotes."""
        cut = text.rfind(b"\n") + 1
        while cut and text.count(b'"', 0, cut) % 2:
            cut = text.rfind(b"\n", 0, cut - 1) + 1
        return cut

    def _read(self, block: bytes, schema: dict[str, Any] | None = None) -> Any:
        text = io.BytesIO(self._names + b"\n" + block)
        options: dict[str, Any] = {"separator": self._separator, "null_values": MISSING, "try_parse_dates": True}
        if schema is None:
            return self.pl.read_csv(text, infer_schema_length=None, **options)
        frame = self.pl.read_csv(text, columns=list(schema), schema_overrides=schema, infer_schema_length=0, **options)
        return frame.select(list(schema))


class JsonLines(_Text):
    def _read(self, block: bytes, schema: dict[str, Any] | None = None) -> Any:
        if not block.strip():
            return self.pl.DataFrame(schema=schema)
        if schema is None:
            return self.pl.read_ndjson(io.BytesIO(block), infer_schema_length=None)
        return self.pl.read_ndjson(io.BytesIO(block), schema=schema).select(list(schema))


class Parquet(Source):
    unit, unit_scale = "row", True

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._scan = self.pl.scan_parquet(path)
        self.total = int(self._scan.select(self.pl.len()).collect().item())

    def sample(self) -> Any:
        return self._scan.head(10_000).collect()

    def batches(self, schema: dict[str, Any]) -> Iterator[Any]:
        wanted = self._scan.select(self.pl.col(name).cast(kind) for name, kind in schema.items())
        for start in range(0, self.total or 0, ROWS):
            frame = wanted.slice(start, ROWS).collect()
            self.done += len(frame)
            yield frame
