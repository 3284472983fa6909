"""`kfng predict`: a saved model's predictions for the rows of a file or of a pipe."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

import kfng

from .._bank_base import BankBase
from .._filter_base import FilterBase
from . import marks, pipe
from .fit import _bar, classes, labelled, single, spread
from .learner import Learner
from .roles import Roles, roles_for
from .sink import CsvSink, Sink, sink
from .source import source
from .trouble import Trouble, polars


def add(commands: Any) -> None:
    """The command's arguments."""
    predict = commands.add_parser("predict", help="predict the rows of a table with a saved model")
    predict.add_argument("model", help="a file written by kfng fit --out, or by a filter's save")
    predict.add_argument("data", help="a .csv, .tsv, .jsonl or .parquet file, or - for CSV or JSON lines from a pipe")
    predict.add_argument("--out", metavar="FILE", help=".csv, .jsonl or .parquet (default: CSV on the screen)")
    predict.add_argument("--key", metavar="COLUMN", help="of a bank: which model each row is for")
    predict.add_argument("--offset", metavar="COLUMN", help="added to the linear predictor")
    predict.add_argument(
        "--classes", type=classes, metavar="A,B", help="labels of the classes in their order (default: the model's own)"
    )
    marks.add(predict)
    predict.set_defaults(run=run, about=lambda options: options.data, weight=None, time=None)


def run(options: Any) -> None:
    model = load(options.model)
    if options.data == "-":
        pipe.predict(model, options)
        return
    rows = source(options.data)
    sample = rows.sample()
    roles = roles_for(model.settings, sample, options)
    learner, schema = Learner(model, roles), roles.schema(sample)
    if roles.key is not None and all(isinstance(key, str) for key in model):
        schema[roles.key] = polars().String
    out: Sink = Screen() if options.out is None else sink(options.out)
    whole, start = False, 0
    try:
        for table in _bar(rows, rows.batches(schema)):
            out.put(made(roles, *learner.predict(roles.numbered(table)), table, start))
            start += len(table)
        if not start:  # a file of names alone
            table = polars().DataFrame(schema=schema)
            out.put(made(roles, *learner.predict(roles.numbered(table)), table, 0))
        whole = True
    finally:
        out.close(whole)


def load(path: str) -> Any:
    try:
        model = kfng.load(path)
    except (kfng.KfngError, OSError) as error:
        raise Trouble(f"{path}: {' '.join(str(error).split())}") from None
    if not isinstance(model, (FilterBase, BankBase)):
        raise Trouble(f"{path}: a {type(model).__name__} does not predict rows of a table")
    return model


def made(roles: Roles, mean: Any, std: Any, table: Any, start: int) -> Any:
    columns: dict[str, Any] = {"row": np.arange(start, start + len(mean))}
    if roles.key is not None:
        columns[roles.key] = table[roles.key]
    return labelled(roles, columns, {"prediction": single(mean)} | spread(mean, std))


class Screen(CsvSink):
    """Standard output."""

    def __init__(self) -> None:
        self._first = True

    def _write(self, table: Any) -> None:
        sys.stdout.write(table.write_csv(include_header=self._first))

    def close(self, whole: bool = True) -> None:
        sys.stdout.flush()
