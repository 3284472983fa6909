"""Files as they are: what `kfng fit` makes of columns that no model would like to have."""

import numpy as np
import polars as pl
import pytest
from extras.test_command_line import FORMATS, piped, read, refused, run, write

import kfng
from kfng.cli import main

N = 300


def plain():
    rng = np.random.default_rng(0)
    x, kind = rng.normal(size=N), rng.choice(["a", "b"], N)
    return pl.DataFrame({"x": x, "kind": kind, "y": 2 * x + (kind == "a") + rng.normal(size=N)})


def learned(table, tmp_path, *more, form="csv"):
    """theta and names of what is learned of a table, and of the one without the column z."""
    run("fit", write(table, tmp_path / f"rows.{form}"), "--target", "y", *more, "--out", tmp_path / "m.kfng")
    return kfng.load(tmp_path / "m.kfng")


LEFT_OUT = {
    "empty": lambda n: pl.Series("z", [None] * n, dtype=pl.String),
    "dates": lambda n: pl.Series("z", np.datetime64("2024-01-01", "us") + np.arange(n) * np.timedelta64(1, "h")),
    "own": lambda n: pl.Series("z", [f"id{i}" for i in range(n)]),
}


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("why", LEFT_OUT)
def test_columns_that_are_no_features(why, form, tmp_path, capsys):
    """They are named, and the model is the one without them; `--features` takes them where it can."""
    table = plain()
    want = learned(table, tmp_path)
    capsys.readouterr()
    flt = learned(table.with_columns(LEFT_OUT[why](N)), tmp_path, form=form)
    assert flt.settings.feature_names == want.settings.feature_names
    assert flt.theta == pytest.approx(want.theta, rel=1e-12)
    said = capsys.readouterr().err
    assert said.startswith("kfng: no features, since")
    assert said.rstrip().endswith(": z")
    rows = table.with_columns(LEFT_OUT[why](N))[:40]
    if why == "own":
        asked = learned(rows, tmp_path, "--categorical", "z")
        assert "z=id39" in asked.settings.feature_names
    elif why == "empty":
        said = refused(capsys, "fit", write(rows, tmp_path / "r.csv"), "--target", "y", "--features", "x,z")
        assert "'z' is missing" in said


@pytest.mark.parametrize("mark", ["-", "?", "nan", "NaN", "#N/A", "", " "])
@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_numbers_among_which_is_text(mark, form, tmp_path, capsys):
    """They are numbers that are missing there: the model of a file that has nothing in these places."""
    table, z = plain(), np.random.default_rng(1).normal(size=N).round(3).tolist()
    gone = set(range(3, N, 20))
    want = learned(table.with_columns(z=pl.Series([None if i in gone else v for i, v in enumerate(z)])), tmp_path)
    capsys.readouterr()
    marked = table.with_columns(z=pl.Series([mark if i in gone else str(v) for i, v in enumerate(z)]))
    flt = learned(marked, tmp_path, form=form)
    assert flt.settings.feature_names == want.settings.feature_names
    assert (flt.theta == want.theta).all()
    told = ("-", "?") if form == "csv" else ("-", "?", "#N/A")
    assert ("read as missing" in capsys.readouterr().err) == (mark in told)
    if form == "csv" and mark == "?":
        run("predict", tmp_path / "m.kfng", tmp_path / "rows.csv", "--out", tmp_path / "p.csv")
        assert read(tmp_path / "p.csv")["prediction"].null_count() == len(gone)
        piped(["fit", "-", "--target", "y", "--out", str(tmp_path / "pipe.kfng")], marked.write_csv())
        assert kfng.load(tmp_path / "pipe.kfng").theta == pytest.approx(want.theta, rel=1e-12)


def test_text_that_comes_later_in_a_column_of_numbers(tmp_path, capsys):
    """What the first piece of the file does not have is an error, not a number that is missing."""
    table = plain()
    z = ["-" if i % 30 == 0 else "1.5" for i in range(N)]
    long = pl.concat([table.with_columns(z=pl.Series(z), note=pl.lit("." * 900))] * 10)
    long = long.with_columns(z=pl.when(pl.int_range(pl.len()) == 2900).then(pl.lit("oops")).otherwise("z"))
    assert main(["fit", write(long, tmp_path / "r.csv"), "--target", "y", "--drop", "note"]) == 2
    told, said = capsys.readouterr().err.splitlines()
    assert "'-' there is read as missing" in told
    assert "column 'z': expected numbers, got 'oops'" in said


def test_the_first_rows_have_something_missing(tmp_path, capsys):
    """They are held until some are complete; where none is, the column at fault is named."""
    table = plain()
    flt = learned(table.with_columns(x=pl.when(pl.int_range(pl.len()) < 60).then(None).otherwise("x")), tmp_path)
    assert flt.n_updates == N - 60
    assert "x" in flt.settings.feature_names
    late = table.with_columns(y=pl.when(pl.int_range(pl.len()) < 200).then(None).otherwise("y"))
    assert learned(late, tmp_path).n_updates == 100
    piped(["fit", "-", "--target", "y", "--out", str(tmp_path / "p.kfng")], late.write_csv())
    assert kfng.load(tmp_path / "p.kfng").n_updates == 100
    none = table.with_columns(y=pl.lit(None, dtype=pl.Float64))
    assert "no row has a target" in refused(capsys, "fit", write(none, tmp_path / "r.csv"), "--target", "y")


def test_names_with_spaces_around_them(tmp_path):
    table = plain()
    text = table.write_csv().replace(",", ", ")
    (tmp_path / "spaced.csv").write_text(text)
    run("fit", tmp_path / "spaced.csv", "--target", "y", "--drop", "kind", "--out", tmp_path / "a.kfng")
    want = learned(table, tmp_path, "--drop", "kind")
    assert (kfng.load(tmp_path / "a.kfng").theta == want.theta).all()


def test_columns_that_do_no_harm(tmp_path, capsys):
    """Constant, huge as a time stamp in nanoseconds, yes or no: predictions stay as good as without."""
    table = plain()
    rng = np.random.default_rng(2)
    columns = {
        "constant": np.full(N, 5.0),
        "nothing": np.zeros(N),
        "stamp": 1_700_000_000_000_000_000 + np.arange(N) * 60_000_000_000,
        "flag": rng.random(N) < 0.5,
        "maybe": pl.Series([None if i % 50 == 7 else bool(i % 3) for i in range(N)]),
        "one": ["k"] * N,
    }
    for name, column in columns.items():
        run("fit", write(table.with_columns(pl.Series(name, column)), tmp_path / "r.csv"), "--target", "y")
        rmse = float(capsys.readouterr().out.split("RMSE")[1].split()[0])
        assert rmse < 1.1, (name, rmse)


def test_too_many_levels_are_refused_before_anything_is_learned(tmp_path, capsys):
    """Each of them comes twice: it is no identifier, and there are more than the default allows."""
    table = pl.DataFrame({"x": np.arange(2600.0), "plane": [f"N{i // 2}" for i in range(2600)], "y": np.arange(2600.0)})
    data = write(table, tmp_path / "r.csv")
    out = tmp_path / "p.csv"
    said = refused(capsys, "fit", data, "--target", "y", "--predictions", out)
    assert "'plane' has more than 1,000 levels: --drop plane" in said
    assert not out.exists()
    run("fit", data, "--target", "y", "--drop", "plane")
