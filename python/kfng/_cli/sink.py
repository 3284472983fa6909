"""Where predictions go: a file of CSV, JSON lines or Parquet, by its suffix, written as they come."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from .trouble import Trouble, polars


def sink(path: str | None) -> Sink:
    if path is None:
        return Sink()
    suffix = Path(path).suffix.lower()
    kinds: dict[str, Any] = {
        ".csv": CsvSink,
        ".jsonl": JsonSink,
        ".ndjson": JsonSink,
        ".parquet": ParquetSink,
        ".pq": ParquetSink,
    }
    if suffix not in kinds:
        raise Trouble(f"expected a file for predictions that ends in .csv, .jsonl or .parquet, got {path!r}")
    return kinds[suffix](path)


class Sink:
    """Nowhere."""

    def put(self, table: Any) -> None:
        pass

    def close(self, whole: bool = True) -> None:
        """The file is complete, or what was written is to be left as it is."""


class _TextSink(Sink):
    def __init__(self, path: str) -> None:
        self._file, self._first = open(path, "wb"), True  # noqa: SIM115 (closed by close)

    def put(self, table: Any) -> None:
        self._write(table)
        self._first = False

    def _write(self, table: Any) -> None:
        raise NotImplementedError

    def close(self, whole: bool = True) -> None:
        self._file.close()


class CsvSink(_TextSink):
    def _write(self, table: Any) -> None:
        table.write_csv(self._file, include_header=self._first)


class JsonSink(_TextSink):
    def _write(self, table: Any) -> None:
        table.write_ndjson(self._file)


class ParquetSink(Sink):
    """In pieces beside the file, which become one in the end: polars writes a Parquet file only as a whole."""

    def __init__(self, path: str) -> None:
        self._path, self._pieces = path, 0
        folder = os.path.dirname(os.path.abspath(path))
        self._folder = tempfile.TemporaryDirectory(prefix=".kfng-", dir=folder)

    def put(self, table: Any) -> None:
        table.write_parquet(self._piece(self._pieces))
        self._pieces += 1

    def _piece(self, i: int) -> str:
        return os.path.join(self._folder.name, f"{i:08d}.parquet")

    def close(self, whole: bool = True) -> None:
        try:
            if whole and self._pieces:
                polars().scan_parquet([self._piece(i) for i in range(self._pieces)]).sink_parquet(self._path)
        finally:
            self._folder.cleanup()
