"""Where predictions go: a file of CSV, JSON lines or Parquet, by its suffix, written as they come."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from .trouble import Trouble


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
    """A group of rows for each batch, by pyarrow: polars writes a Parquet file only as a whole. It has its name when it is whole."""

    def __init__(self, path: str) -> None:
        try:
            import pyarrow.parquet
        except ImportError:
            raise Trouble('writing Parquet needs pyarrow: pip install "kfng[cli]"') from None
        self._open = pyarrow.parquet.ParquetWriter
        self._path, self._part = path, f"{path}.part"
        self._writer: Any = None

    def put(self, table: Any) -> None:
        arrow = table.to_arrow()
        if self._writer is None:
            self._writer = self._open(self._part, arrow.schema)
        self._writer.write_table(arrow)

    def close(self, whole: bool = True) -> None:
        if self._writer is None:
            return
        self._writer.close()
        if whole:
            os.replace(self._part, self._path)
        else:
            os.remove(self._part)
