"""`kfng fit` and `kfng predict` do what the calls do, on files of any length and on pipes."""

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import kfng
import kfng.reference
from kfng.cli import main

N = 400
FORMATS = ("csv", "jsonl", "parquet")


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    year, x = rng.normal(2000.0, 3.0, N), rng.normal(size=N)
    carrier = rng.choice(["UA", "AA", "B6"], N).tolist()
    plane = rng.integers(0, 4, N)
    y = 0.5 * year + 2 * x + np.array([{"UA": 1.0, "AA": -1.0, "B6": 4.0}[c] for c in carrier]) + rng.normal(size=N)
    return pl.DataFrame({"year": year, "x": x, "carrier": carrier, "plane": plane, "y": y})


def write(table, path):
    {".csv": table.write_csv, ".jsonl": table.write_ndjson, ".parquet": table.write_parquet}[path.suffix](path)
    return str(path)


def read(path):
    return {".csv": pl.read_csv, ".jsonl": pl.read_ndjson, ".parquet": pl.read_parquet}[path.suffix](path)


def run(*arguments):
    assert main([str(argument) for argument in arguments]) == 0


def refused(capsys, *arguments):
    """The one line on stderr."""
    capsys.readouterr()
    assert main([str(argument) for argument in arguments]) == 2
    said = capsys.readouterr()
    assert said.err.startswith("kfng: ")
    assert said.err.count("\n") == 1
    return said.err


# -- fit


@pytest.mark.parametrize("form", FORMATS)
def test_fit_predict_inspect(rows, form, tmp_path, capsys):
    data = write(rows, tmp_path / f"rows.{form}")
    model, out, again = tmp_path / "model.kfng", tmp_path / f"fit.{form}", tmp_path / f"predict.{form}"
    run("fit", data, "--target", "y", "--drop", "plane", "--out", model, "--predictions", out)
    text = capsys.readouterr().out
    for part in ("6 parameters, 400 rows learned", "carrier=B6", "RMSE", "mean log density", str(model)):
        assert part in text, part
    for impl in (kfng, kfng.reference):
        flt = impl.load(model)
        assert flt.settings.feature_names == ("year", "x", "carrier=AA", "carrier=B6", "carrier=UA")
        assert flt.n_updates == N
    weight = dict(zip(flt.settings.feature_names, flt.parameters["weight"][0], strict=True))
    assert weight["x"] == pytest.approx(2.0, abs=0.2)
    assert weight["year"] == pytest.approx(0.5, abs=0.06)
    assert weight["carrier=B6"] - weight["carrier=AA"] == pytest.approx(5.0, abs=0.5)
    made = read(out)
    assert made.columns == ["row", "y", "prediction", "std", "nll"]
    assert made["row"].to_list() == list(range(N))
    assert made["prediction"].null_count() == 32
    late = made.filter(pl.col("row") >= 200)
    assert ((late["prediction"] - late["y"]) / late["std"]).std() == pytest.approx(1.0, abs=0.2)
    run("predict", model, data, "--out", again)
    mean, std = kfng.load(model).predict(rows, return_std=True)
    assert read(again)["prediction"].to_numpy() == pytest.approx(mean, rel=1e-12)
    assert read(again)["std"].to_numpy() == pytest.approx(std, rel=1e-12)
    run("inspect", model)
    assert "carrier=B6" in capsys.readouterr().out


def test_predictions_are_those_before_each_row(rows, tmp_path, capsys):
    """The same settings, stepped by hand, predict the same; the control, predicting after the row, does not."""
    data = write(rows, tmp_path / "rows.parquet")
    run(
        "fit",
        data,
        "--target",
        "y",
        "--features",
        "year,x",
        "--predictions",
        tmp_path / "p.parquet",
        "--out",
        tmp_path / "m.kfng",
    )
    settings = kfng.load(tmp_path / "m.kfng").settings
    flt, late = kfng.Filter._from_settings(settings), []
    trace = flt.update_many(rows, target="y")
    made = read(tmp_path / "p.parquet")[32:]
    for name in ("prediction", "std", "nll"):
        assert made[name].to_numpy() == pytest.approx(getattr(trace, name)[32:], rel=1e-9), name
    flt = kfng.Filter._from_settings(settings)
    for row in rows.iter_rows(named=True):
        u = [row["year"], row["x"]]
        flt.update(u, row["y"])
        late.append(flt.predict([u])[0])
    assert np.abs(made["prediction"].to_numpy() - late[32:]).max() > 1e-3


def test_the_same_model_of_every_format_and_batch(rows, tmp_path, monkeypatch, capsys):
    from kfng._cli import source

    states = []
    for form, block, batch in (
        ("parquet", 1 << 21, 50),
        ("parquet", 1 << 21, 1 << 16),
        ("csv", 700, 1),
        ("csv", 1 << 21, 1),
        ("jsonl", 900, 1),
    ):
        monkeypatch.setattr(source, "BLOCK", block)
        monkeypatch.setattr(source, "ROWS", batch)
        data = write(rows, tmp_path / f"rows.{form}")
        run("fit", data, "--target", "y", "--drop", "plane", "--half-life", 100, "--out", tmp_path / "m.kfng")
        states.append(kfng.load(tmp_path / "m.kfng").theta)
    assert all((state == states[0]).all() for state in states[1:])


@pytest.mark.filterwarnings("ignore::kfng.errors.FarOffWarning")  # the control
def test_a_feature_far_from_zero_needs_no_scaler(rows, tmp_path, capsys):
    """The intercept's prior is about a row of mean features. The control: `from_rows` alone, whose prior is about zeros."""
    moved = rows.with_columns(year=pl.col("year") + 1e5)
    thetas = []
    for table in (rows, moved):
        run(
            "fit",
            write(table, tmp_path / "r.parquet"),
            "--target",
            "y",
            "--features",
            "year,x",
            "--out",
            tmp_path / "m.kfng",
        )
        thetas.append(kfng.load(tmp_path / "m.kfng").theta)
    assert thetas[1][:2] == pytest.approx(thetas[0][:2], rel=1e-5)
    slopes = []
    for table in (rows.with_columns(year=pl.col("year") - 2000), rows):
        flt = kfng.Filter.from_rows(
            table[:32], target="y", model=kfng.Linear, family=kfng.Gaussian(variance=None), feature_names=["year", "x"]
        )
        flt.update_many(table[32:], target="y")
        slopes.append(flt.theta[0])
    assert abs(slopes[1] - slopes[0]) > 0.1


def test_new_levels_get_a_coefficient(rows, tmp_path, capsys):
    """Wherever batches are cut: row by row from a pipe, or all at once."""
    late = rows.with_columns(carrier=pl.when(pl.col("plane") == 3).then(pl.lit("HA")).otherwise("carrier"))
    table = pl.concat([rows[:50], late[50:]])
    run(
        "fit",
        write(table, tmp_path / "rows.csv"),
        "--target",
        "y",
        "--drop",
        "plane",
        "--half-life",
        50,
        "--out",
        tmp_path / "a.kfng",
    )
    piped(
        ["fit", "-", "--target", "y", "--drop", "plane", "--half-life", "50", "--out", str(tmp_path / "b.kfng")],
        table.write_csv(),
    )
    one, other = (kfng.load(tmp_path / name) for name in ("a.kfng", "b.kfng"))
    assert one.settings.feature_names[-1] == "carrier=HA"
    assert one.settings.spec() == other.settings.spec()
    assert (one.theta == other.theta).all()
    contrast = np.zeros(7)
    contrast[[2, 5]] = -1, 1  # of HA and AA: levels and intercept together are known no better than the prior says
    assert np.sqrt(contrast @ one.cov() @ contrast) < 0.5
    new = write(pl.DataFrame({"year": [2000.0], "x": [0.0], "carrier": ["ZZ"]}), tmp_path / "new.csv")
    run("predict", tmp_path / "a.kfng", new, "--out", tmp_path / "p.csv")
    known = write(pl.DataFrame({"year": [2000.0], "x": [0.0], "carrier": ["AA"]}), tmp_path / "known.csv")
    run("predict", tmp_path / "a.kfng", known, "--out", tmp_path / "q.csv")
    assert read(tmp_path / "p.csv")["std"][0] > 2 * read(tmp_path / "q.csv")["std"][0]
    assert "max-levels" in refused(capsys, "fit", tmp_path / "rows.csv", "--target", "y", "--max-levels", 3)


def test_a_key_makes_a_bank(rows, tmp_path, capsys):
    data = write(rows, tmp_path / "rows.csv")
    run(
        "fit",
        data,
        "--target",
        "y",
        "--key",
        "plane",
        "--features",
        "x",
        "--out",
        tmp_path / "b.kfng",
        "--predictions",
        tmp_path / "p.csv",
    )
    assert "4 keys" in capsys.readouterr().out
    bank = kfng.load(tmp_path / "b.kfng")
    assert sorted(bank.keys()) == [0, 1, 2, 3]
    assert int(bank.n_updates(bank.keys()).sum()) == N
    twin = kfng.Bank._made(bank.settings)
    trace = twin.update(rows["plane"].to_list(), rows.select("x").to_numpy(), rows["y"].to_numpy())
    made = read(tmp_path / "p.csv")
    assert made["plane"].to_list() == rows["plane"].to_list()
    assert made["nll"][32:].to_numpy() == pytest.approx(trace.nll[32:], rel=1e-6)
    run("predict", tmp_path / "b.kfng", data, "--key", "plane", "--out", tmp_path / "q.csv")
    mean = bank.predict(rows["plane"].to_list(), rows.select("x").to_numpy())
    assert read(tmp_path / "q.csv")["prediction"].to_numpy() == pytest.approx(mean, rel=1e-6)
    assert "--key" in refused(capsys, "predict", tmp_path / "b.kfng", data)
    # categories: levels of the first rows, then in the order in which they come
    run(
        "fit",
        data,
        "--target",
        "y",
        "--key",
        "carrier",
        "--categorical",
        "plane",
        "--features",
        "x",
        "--out",
        tmp_path / "c.kfng",
    )
    assert kfng.load(tmp_path / "c.kfng").settings.feature_names == ("x", "plane=0", "plane=1", "plane=2", "plane=3")


@pytest.mark.parametrize(
    ("family", "model"),
    [("bernoulli", "linear"), ("categorical", "linear"), ("poisson", "linear"), ("negative-binomial", "linear"),
     ("gamma", "linear"), ("gaussian", "mlp:4"), ("gaussian", "mlp:4,3"), ("gaussian", "rnn:3"), ("gaussian", "gru:2"),
     ("gaussian", "lstm:2")],
)  # fmt: skip
def test_families_and_models(rows, family, model, tmp_path, capsys):
    y = {
        "bernoulli": (rows["x"] > 0).cast(pl.Int64),
        "categorical": pl.Series(np.digitize(rows["x"], [-0.5, 0.5])),
        "poisson": pl.Series(np.random.default_rng(1).poisson(np.exp(rows["x"].to_numpy()))),
        "negative-binomial": pl.Series(np.random.default_rng(1).poisson(np.exp(rows["x"].to_numpy()))),
        "gamma": rows["x"].exp(),
    }.get(family, rows["y"])
    data = write(rows.with_columns(y=y), tmp_path / "rows.csv")
    run("fit", data, "--target", "y", "--features", "x,carrier", "--family", family, "--model", model, "--belief",
        "diagonal" if model == "mlp:4" else "full", "--out", tmp_path / "m.kfng", "--predictions", tmp_path / "p.jsonl")  # fmt: skip
    said = capsys.readouterr().out
    made = read(tmp_path / "p.jsonl")
    assert made["prediction"][32:].null_count() == 0
    if family == "categorical":
        assert {"p0", "p1", "p2"} <= set(made.columns)
        right = float(said.split("right")[1].split("%")[0])
        assert right > 70
    run("predict", tmp_path / "m.kfng", data)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == N + 1


def test_what_else_is_said_of_rows(rows, tmp_path, capsys):
    """Weights, offsets and dates, as of `update_many`."""
    when = np.datetime64("2024-01-01", "us") + np.cumsum(np.random.default_rng(2).integers(0, 90_000, N)).astype(
        "m8[s]"
    )
    table = rows.with_columns(w=pl.Series(np.linspace(0.5, 2, N)), o=pl.col("x"), t=pl.Series(when))
    for form in ("parquet", "csv"):
        data = write(table, tmp_path / f"rows.{form}")
        run(
            "fit",
            data,
            "--target",
            "y",
            "--features",
            "year",
            "--weight",
            "w",
            "--offset",
            "o",
            "--time",
            "t",
            "--half-life",
            "7d",
            "--out",
            tmp_path / "m.kfng",
        )
        flt = kfng.load(tmp_path / "m.kfng")
        twin = kfng.Filter._from_settings(flt.settings)
        twin.update_many(table, target="y", weight="w", offset="o", time="t")
        assert (twin.theta == flt.theta).all()
        assert flt._when == twin._when
    capsys.readouterr()
    run("fit", data, "--target", "y", "--features", "year")
    run("fit", data, "--target", "y")
    assert "dates: t" in capsys.readouterr().err
    run("predict", tmp_path / "m.kfng", data, "--offset", "o", "--out", tmp_path / "p.parquet")
    assert read(tmp_path / "p.parquet")["prediction"].to_numpy() == pytest.approx(
        flt.predict(table, offset="o"), rel=1e-9
    )


def test_missing_values(rows, tmp_path, capsys):
    x, y, carrier = rows["x"].to_list(), rows["y"].to_list(), rows["carrier"].to_list()
    x[50] = y[60] = carrier[70] = None
    table = rows.with_columns(x=pl.Series(x), y=pl.Series(y), carrier=pl.Series(carrier))
    for form in FORMATS:
        data = write(table, tmp_path / f"rows.{form}")
        run("fit", data, "--target", "y", "--out", tmp_path / "m.kfng", "--predictions", tmp_path / "p.csv")
        said = capsys.readouterr().out
        assert kfng.load(tmp_path / "m.kfng").n_updates == N - 3
        assert said.split("without a target")[1].split()[0] == "1"
        assert said.split("a value is missing")[1].split()[0] == "2"
        made = read(tmp_path / "p.csv")
        assert made.filter(pl.col("prediction").is_null())["row"].to_list() == [*range(32), 50, 70]
        assert "row" in refused(capsys, "fit", data, "--target", "y", "--strict")
    run("predict", tmp_path / "m.kfng", data, "--out", tmp_path / "q.csv")
    assert read(tmp_path / "q.csv").filter(pl.col("prediction").is_null())["row"].to_list() == [50, 70]
    keys = rows.with_columns(plane=pl.Series([None, *rows["plane"].to_list()[1:]]))
    run(
        "fit",
        write(keys, tmp_path / "keys.csv"),
        "--target",
        "y",
        "--key",
        "plane",
        "--features",
        "x",
        "--out",
        tmp_path / "b.kfng",
    )
    bank = kfng.load(tmp_path / "b.kfng")
    assert int(bank.n_updates(bank.keys()).sum()) == N - 1


def test_text_as_others_write_it(rows, tmp_path, capsys):
    """Another separator, quotes around ends of lines, a mark of byte order, NA, a target of true and false."""
    text = (
        '\ufeff"a;b";"c";y\n'
        + "".join(
            f'{i % 7},5;"two\nlines";{i % 3}\n'
            if False
            else f'{i % 7}.5;"{"x" if i % 2 else "two" + chr(10) + "lines"}";{i % 3}\n'
            for i in range(60)
        )
        + "NA;x;1\n"
    )
    (tmp_path / "rows.csv").write_text(text, encoding="utf-8")
    run("fit", tmp_path / "rows.csv", "--target", "y", "--out", tmp_path / "m.kfng")
    flt = kfng.load(tmp_path / "m.kfng")
    assert flt.settings.feature_names == ("a;b", "c=two\nlines", "c=x")
    assert flt.n_updates == 60
    table = rows.with_columns(y=rows["x"] > 0)
    run("fit", write(table, tmp_path / "flags.csv"), "--target", "y", "--features", "x", "--family", "bernoulli")


def test_a_report(rows, tmp_path, capsys):
    run("fit", write(rows, tmp_path / "rows.csv"), "--target", "y", "--report", tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "carrier=B6" in page
    assert "y of rows.csv" in page


# -- what is refused


def test_one_line_and_exit_code_2(rows, tmp_path, capsys):
    data = write(rows, tmp_path / "rows.csv")
    for said, arguments in {
        "no column 'z'": ("fit", data, "--target", "z"),
        "no column 'q'": ("fit", data, "--target", "y", "--features", "x,q"),
        "such as": ("fit", data, "--target", "carrier"),
        "mlp:32": ("fit", data, "--target", "y", "--model", "tree"),
        "something else": ("fit", data, "--target", "y", "--features", "x,y"),
        "No such file": ("fit", tmp_path / "none.csv", "--target", "y"),
        ".parquet": ("fit", tmp_path / "rows.xlsx", "--target", "y"),
        "forgetting": ("fit", data, "--target", "y", "--forgetting", "2"),
        "half-life": ("fit", data, "--target", "y", "--half-life", "7d"),
        "expected": ("fit", data, "--target", "y", "--half-life", "soon"),
        "complete row": ("fit", data, "--target", "y", "--family", "bernoulli"),
        "ends in": ("fit", data, "--target", "y", "--predictions", tmp_path / "p.xlsx"),
        "no model": ("predict", tmp_path / "no model.kfng", data),
    }.items():
        line = refused(capsys, *arguments)
        assert said in line, (said, line)
    refused(capsys, "fit", data, "--target", "y", "--key", "plane", "--out", tmp_path / "no folder" / "b.kfng")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "names.csv").write_text("x,y\n")
    (tmp_path / "twice.csv").write_text("x,x\n1,2\n")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 no PAR1")
    (tmp_path / "broken.jsonl").write_text('{"x": 1, "y": 2}\n{"x": \n')
    for name in ("empty.csv", "names.csv", "twice.csv", "broken.parquet", "broken.jsonl"):
        refused(capsys, "fit", tmp_path / name, "--target", "y")
    assert "twice" in refused(capsys, "fit", tmp_path / "twice.csv", "--target", "x")


def test_a_failed_pass_leaves_no_model_and_no_pieces(rows, tmp_path, capsys):
    table = rows.with_columns(y=pl.when(pl.int_range(N) == 300).then(-1.0).otherwise(1.0))
    data = write(table, tmp_path / "rows.csv")
    refused(
        capsys,
        "fit",
        data,
        "--target",
        "y",
        "--family",
        "poisson",
        "--strict",
        "--out",
        tmp_path / "m.kfng",
        "--predictions",
        tmp_path / "p.parquet",
    )
    assert sorted(os.listdir(tmp_path)) == ["rows.csv"]


# -- pipes


def start(arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "kfng.cli", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def piped(arguments, text):
    with start(arguments) as process:
        out, err = process.communicate(text)
        assert process.returncode == 0, err
    return out, err


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_each_row_is_answered_before_the_next_is_sent(rows, form, tmp_path):
    """A pipe that waits for every answer: whoever buffers hangs. The answers are those of the file."""
    lines = (rows.write_csv() if form == "csv" else rows.write_ndjson()).splitlines(keepends=True)
    head = lines[:1] if form == "csv" else []
    run(
        "fit",
        write(rows, tmp_path / f"rows.{form}"),
        "--target",
        "y",
        "--drop",
        "plane",
        "--predictions",
        tmp_path / "file.csv",
    )
    expected = read(tmp_path / "file.csv")
    answers = []
    with start(["fit", "-", "--target", "y", "--drop", "plane", "--out", str(tmp_path / "m.kfng")]) as process:
        watch = threading.Timer(60, process.kill)
        watch.start()
        process.stdin.writelines([*head, *lines[len(head) : len(head) + 32]])
        process.stdin.flush()
        answers += [process.stdout.readline() for _ in range(32 + len(head))]
        for line in lines[len(head) + 32 : len(head) + 80]:
            process.stdin.write(line)
            process.stdin.flush()
            answers.append(process.stdout.readline())
        process.stdin.close()
        assert process.wait() == 0
        watch.cancel()
        assert "RMSE" in process.stderr.read()
    if form == "csv":
        found = list(csv.DictReader(io.StringIO("".join(answers))))
    else:
        found = [json.loads(line) for line in answers]
    assert len(found) == 80
    for name in ("prediction", "std", "nll"):
        assert [row[name] for row in found[:32]] == ["" if form == "csv" else None] * 32
        numbers = np.array([float(row[name]) for row in found[32:]])
        assert numbers == pytest.approx(expected[name][32:80].to_numpy(), rel=1e-9)
    assert kfng.load(tmp_path / "m.kfng").n_updates == 80


def test_predict_from_a_pipe(rows, tmp_path):
    run("fit", write(rows, tmp_path / "rows.csv"), "--target", "y", "--out", tmp_path / "m.kfng")
    mean = kfng.load(tmp_path / "m.kfng").predict(rows)
    out, _ = piped(["predict", str(tmp_path / "m.kfng"), "-"], rows.drop("y").write_csv())
    assert pl.read_csv(io.StringIO(out))["prediction"].to_numpy() == pytest.approx(mean, rel=1e-9)
    out, _ = piped(["predict", str(tmp_path / "m.kfng"), "-"], rows.write_ndjson())
    assert [json.loads(line)["prediction"] for line in out.splitlines()] == pytest.approx(mean, rel=1e-9)


def test_a_bank_from_a_pipe(rows, tmp_path):
    out, _ = piped(
        ["fit", "-", "--target", "y", "--key", "plane", "--features", "x", "--out", str(tmp_path / "b.kfng")],
        rows.write_csv(),
    )
    run(
        "fit",
        write(rows, tmp_path / "rows.csv"),
        "--target",
        "y",
        "--key",
        "plane",
        "--features",
        "x",
        "--out",
        tmp_path / "f.kfng",
    )
    one, other = kfng.load(tmp_path / "b.kfng"), kfng.load(tmp_path / "f.kfng")
    assert one.keys() == other.keys()
    assert (one.theta(one.keys()) == other.theta(other.keys())).all()
    assert len(out.splitlines()) == N + 1


def test_pipes_that_are_refused(rows):
    for text in ("", "x,y\n", "x,y\n1,2,3\n", '{"x": 1, "y"\n', "[1, 2]\n", "a,b\n1,2\n"):
        with start(["fit", "-", "--target", "y"]) as process:
            _, err = process.communicate(text)
            assert process.returncode == 2, text
            assert err.count("\n") == 1, err
    with start(["fit", "-", "--target", "y", "--features", "x"]) as process:
        _, err = process.communicate(rows.write_csv() + "2000,oops,AA,1,3\n")
        assert process.returncode == 2
        assert f"row {N + 1}: column 'x'" in err


def test_an_interrupt_saves_what_was_learned(rows, tmp_path):
    lines = rows.write_csv().splitlines(keepends=True)[:61]
    with start(["fit", "-", "--target", "y", "--out", str(tmp_path / "m.kfng")]) as process:
        process.stdin.writelines(lines)
        process.stdin.flush()
        answers = [process.stdout.readline() for _ in lines]
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
    assert len(answers) == 61
    assert kfng.load(tmp_path / "m.kfng").n_updates == 60


# -- memory


@pytest.mark.timeout(600)
@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_ten_times_the_rows_take_no_more_memory(form, tmp_path):
    rng = np.random.default_rng(3)
    n = 300_000
    table = pl.DataFrame(
        {
            "x": rng.normal(size=n).round(4),
            "z": rng.normal(size=n).round(4),
            "c": rng.choice(["a", "b", "c"], n),
            "y": rng.normal(size=n).round(4),
        }
    )
    peaks = []
    for name, times in (("short", 1), ("long", 10)):
        data = write(pl.concat([table] * times, rechunk=True), tmp_path / f"{name}.{form}")
        code = (
            "import resource, sys; from kfng.cli import main; assert main(sys.argv[1:]) == 0; "
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
        )
        clean = "import subprocess, sys; sys.exit(subprocess.call(sys.argv[1:]))"  # a peak begins at the parent's
        done = subprocess.run(
            [sys.executable, "-c", clean, sys.executable, "-c", code, "fit", data, "--target", "y", "--predictions", str(tmp_path / f"{name}-p.parquet")],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        peaks.append(int(done.stdout.split()[-1]))
        assert pl.scan_parquet(tmp_path / f"{name}-p.parquet").select(pl.len()).collect().item() == times * n
    assert peaks[1] < 1.1 * peaks[0], peaks


# -- the page


def test_the_commands_of_the_page_run(tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "command_line.md").read_text(encoding="utf-8")
    commands = re.findall(r"^\$ (.*)$", page, flags=re.MULTILINE)
    assert len(commands) >= 7
    rng = np.random.default_rng(4)
    table = pl.DataFrame(
        {
            "delay_out": rng.gamma(1.0, 15.0, 300),
            "carrier": rng.choice(["AA", "B6"], 300),
            "minutes": rng.normal(120.0, 30.0, 300),
        }
    )
    table.with_columns(delay=pl.col("delay_out") - 0.05 * pl.col("minutes")).write_csv(tmp_path / "flights.csv")
    shim = tmp_path / "kfng"
    shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m kfng.cli "$@"\n')
    shim.chmod(0o755)
    paths = os.pathsep.join(str(Path(path).resolve()) for path in sys.path if path)
    place = os.environ | {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": paths}
    for command in commands:
        done = subprocess.run(["sh", "-c", command], cwd=tmp_path, env=place, capture_output=True, text=True)
        assert done.returncode == 0, (command, done.stderr)
    made = {path.name for path in tmp_path.iterdir()}
    assert {"model.kfng", "bank.kfng", "predictions.parquet", "delays.csv", "report.html"} <= made
    options = set(re.findall(r"--[a-z-]+", page)) - {"--help"}
    said = "".join(main_help(name) for name in ("fit", "predict"))
    assert not [option for option in options if option not in said]


def main_help(command):
    return subprocess.run([sys.executable, "-m", "kfng.cli", command, "--help"], capture_output=True, text=True).stdout
