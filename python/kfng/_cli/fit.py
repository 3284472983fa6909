"""`kfng fit`: one pass over the rows of a file or of a pipe."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

import kfng

from . import marks, pipe, recipe
from .inspect import coefficients_table, count
from .learner import MOST_LEVELS, Learner, too_many
from .roles import Roles, roles_of
from .scores import Scores
from .sink import Sink, sink
from .source import source
from .trouble import Trouble, polars, tabulator

FIRST_ROWS = 32
COMPLETE_ROWS = 8
"""Of these with all of their features, at least: level and scale come from them."""


def add(commands: Any) -> None:
    """The command's arguments."""
    fit = commands.add_parser("fit", help="fit a model to a table in one pass, each row predicted before it is used")
    fit.add_argument("data", help="a .csv, .tsv, .jsonl or .parquet file, or - for CSV or JSON lines from a pipe")
    fit.add_argument("--target", required=True, metavar="COLUMN", help="what is predicted")
    fit.add_argument("--features", metavar="A,B", help="what it is predicted from (default: all other columns)")
    fit.add_argument("--drop", metavar="A,B", help="columns that are no features")
    fit.add_argument(
        "--categorical", metavar="A,B", help="columns of codes with a coefficient each (text is always so)"
    )
    fit.add_argument("--key", metavar="COLUMN", help="a model of its own for each value of this column")
    fit.add_argument("--weight", metavar="COLUMN", help="weights of rows")
    fit.add_argument("--offset", metavar="COLUMN", help="added to the linear predictor")
    fit.add_argument("--time", metavar="COLUMN", help="when each row was: numbers or dates")
    fit.add_argument(
        "--family", choices=recipe.FAMILIES, default="gaussian", help="law of the target (default: gaussian)"
    )
    fit.add_argument(
        "--dispersion", type=float, metavar="X", help="of the family; the gaussian's variance, else learned"
    )
    fit.add_argument(
        "--classes",
        type=classes,
        metavar="K|A,B",
        help="categorical: classes 0..K-1 (default: of the first rows), or the labels that the target has",
    )
    fit.add_argument(
        "--model", default="linear", metavar="M", help="linear, mlp:32, mlp:32,16, rnn:16, gru:16, lstm:16"
    )
    fit.add_argument("--belief", choices=("full", "diagonal"), default="full", help="covariances, or variances alone")
    fading = fit.add_mutually_exclusive_group()
    fading.add_argument("--forgetting", type=float, metavar="X", help="share that old rows lose at each row")
    fading.add_argument("--half-life", type=_half_life, metavar="H", help="in rows, or of --time: 50, 7d, 12h")
    marks.add(fit)
    fit.add_argument("--dtype", choices=("float64", "float32"), default="float64")
    fit.add_argument("--seed", type=count, default=0, help="of a network's first weights")
    fit.add_argument("--max-levels", type=count, default=MOST_LEVELS, metavar="N", help="of a category (default: 1000)")
    fit.add_argument(
        "--strict", action="store_true", help="stop at a row with a missing input instead of leaving it out"
    )
    fit.add_argument("--out", metavar="FILE", help="save the model here")
    fit.add_argument("--predictions", metavar="FILE", help="each row's prediction: .csv, .jsonl or .parquet")
    fit.add_argument("--report", metavar="FILE", help="write a page of HTML about the pass")
    fit.add_argument("--top", type=count, default=20, metavar="N", help="coefficients shown, 0 for all (default: 20)")
    fit.set_defaults(run=run, about=lambda options: options.data)


def classes(text: str) -> int | tuple[str, ...]:
    """Their number, or their labels."""
    labels = tuple(label.strip() for label in text.split(","))
    if len(labels) < 2:
        return count(text)
    if len(set(labels)) < len(labels) or "" in labels:
        raise argparse.ArgumentTypeError("expected labels that differ")
    return labels


def _half_life(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def run(options: Any) -> None:
    if options.data == "-":
        pipe.fit(options)
        return
    rows = source(options.data)
    tabulator()
    sample = rows.sample()
    roles = roles_of(sample, options)
    for name in roles.categories:
        if sample[name].n_unique() - bool(sample[name].null_count()) > options.max_levels:
            raise too_many(name, options.max_levels)
    roles.tell()
    out, scores, whole = sink(options.predictions), Scores(options.report is not None), False
    try:
        batches: Iterator[Any] = map(roles.coded, _bar(rows, rows.batches(roles.schema(sample))))
        held, batches = first_rows(batches, roles)
        learner = begin(options, roles, held)
        for traces_of_batch, table in _passes(learner, held, batches):
            put(out, scores, roles, traces_of_batch, table, unscored=table is held)
        whole = True
    finally:
        out.close(whole)
    keep(learner, scores, options)
    for line in closing(learner, scores, options):
        print(line)


def _passes(learner: Learner, held: Any, batches: Iterator[Any]) -> Iterator[tuple[list[Any], Any]]:
    yield learner.learn(held), held
    for table in batches:
        yield learner.learn(table), table


# -- starting


def first_rows(batches: Iterator[Any], roles: Roles) -> tuple[Any, Iterator[Any]]:
    """The rows up to the 32nd with a target, and on until 8 of them are complete; and an iterator over all others."""
    held: list[Any] = []
    taught = complete = 0
    for table in batches:
        known = np.cumsum(table[roles.target].is_not_null().to_numpy())
        whole = np.cumsum(roles.complete(table))
        stop = 1 + max(
            int(np.searchsorted(taught + known, FIRST_ROWS)), int(np.searchsorted(complete + whole, COMPLETE_ROWS))
        )
        held.append(table[:stop])
        if stop <= len(table):
            return polars().concat(held), _behind(table[stop:], batches)
        taught, complete = taught + int(known[-1]), complete + int(whole[-1])
    if not held:
        raise Trouble("there are no rows")
    return polars().concat(held), iter(())


def enough(roles: Roles, table: Any) -> bool:
    """Whether rows that have their targets are complete ones, too."""
    return int(roles.complete(table).sum()) >= COMPLETE_ROWS


def _behind(rest: Any, batches: Iterator[Any]) -> Iterator[Any]:
    if len(rest):
        yield rest
    yield from batches


def begin(options: Any, roles: Roles, held: Any) -> Learner:
    if not roles.complete(held).any():
        emptiest = max(roles.features, key=lambda name: int(held[name].null_count()))
        if not held[roles.target].null_count() < len(held):
            raise Trouble(f"column {roles.target!r}: no row has a target")
        raise Trouble(f"no row has its target and all features: {emptiest!r} is missing most often (--drop {emptiest})")
    return Learner.start(
        recipe.start(options, roles, held), roles, options.strict, options.max_levels, options.data == "-"
    )


# -- what comes of a batch


def put(out: Sink, scores: Scores, roles: Roles, traces: list[Any], table: Any, *, unscored: bool) -> None:
    """Predictions of a batch to the file and into the sums; of the first rows there are none, since they set the prior."""
    at = 0
    for trace in traces:
        part = table[at : at + len(trace)]
        at += len(trace)
        out.put(predictions(roles, trace, part, unscored=unscored, start=scores.rows))
        y = np.asarray(part[roles.target].cast(polars().Float64).fill_null(float("nan")).to_numpy())
        scores.put(trace, y, np.full(len(y), np.nan) if unscored else single(trace.prediction))


def single(prediction: Any) -> Any:
    """One number for each row: of probabilities of classes the likeliest class."""
    if prediction.ndim == 1:
        return prediction
    return np.where(np.isfinite(prediction).all(axis=1), np.nan_to_num(prediction).argmax(axis=1), np.nan)


def predictions(roles: Roles, trace: Any, table: Any, *, unscored: bool, start: int) -> Any:
    columns: dict[str, Any] = {"row": np.arange(start, start + len(trace))}
    if roles.key is not None:
        columns[roles.key] = table[roles.key]
    said = table[roles.target]
    columns[str(roles.target)] = said if roles.labels is None else roles.label(said.fill_null(float("nan")))
    made = {"prediction": single(trace.prediction)} | spread(trace.prediction, trace.std) | {"nll": trace.nll}
    if unscored:
        made = {name: np.full(len(trace), np.nan) for name in made}
    return labelled(roles, columns, made)


def labelled(roles: Roles, columns: dict[str, Any], made: dict[str, Any]) -> Any:
    """A table of columns and numbers, with the label of the likeliest class where there are labels."""
    pl = polars()
    if roles.labels is not None:
        likeliest = made["prediction"]
        if "std" in made:  # the probability of the second class
            likeliest = np.where(np.isnan(likeliest), np.nan, likeliest > 0.5)
        columns = columns | {"class": pl.Series(roles.label(likeliest), dtype=pl.String)}
    return pl.DataFrame(columns | made).with_columns(pl.col(list(made)).cast(pl.Float64).fill_nan(None))


def spread(prediction: Any, std: Any) -> dict[str, Any]:
    """The deviation, or the probability of each class."""
    if prediction.ndim == 1:
        return {"std": std}
    return {f"p{j}": prediction[:, j] for j in range(prediction.shape[1])}


# -- the end


def keep(learner: Learner, scores: Scores, options: Any) -> None:
    """The files that say what was learned."""
    if options.out is not None:
        learner.save(options.out)
    if options.report is not None:
        title = f"{options.target} of {'a pipe' if options.data == '-' else os.path.basename(options.data)}"
        kfng.report(learner.model, scores.summary, path=options.report, title=title)


def closing(learner: Learner, scores: Scores, options: Any) -> Iterator[str]:
    tabulate = tabulator()
    yield from coefficients_table(learner.model, options.top)
    yield ""
    yield tabulate(list(scores.lines()), tablefmt="plain", disable_numparse=True, colalign=("left", "right"))
    for what, path in (("model", options.out), ("predictions", options.predictions), ("report", options.report)):
        if path is not None:
            yield f"{what}: {path}"


def _bar(rows: Any, batches: Iterator[Any]) -> Iterator[Any]:
    """Progress on stderr where somebody is looking."""
    if not sys.stderr.isatty():
        yield from batches
        return
    try:
        from tqdm import tqdm
    except ImportError:
        yield from batches
        return
    with tqdm(total=rows.total, unit=rows.unit, unit_scale=rows.unit_scale, leave=False) as bar:
        for table in batches:
            yield table
            bar.update(rows.done - bar.n)
