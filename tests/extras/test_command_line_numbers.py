"""Numbers in text as people write them: never levels of a category in silence, and numbers where the command says how."""

import io

import numpy as np
import polars as pl
import pytest
from extras.test_command_line import refused, run

import kfng
from kfng._cli.marks import PLAIN, Style, looks_like

N = 120


def us(x):
    return f"{x:,.1f}"


def german(x):
    return us(x).translate(str.maketrans(",.", ".,"))


def piped(monkeypatch, text):
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


def rows():
    """a up to thousands, p in percent, y."""
    rng = np.random.default_rng(0)
    a, p = rng.gamma(2, 1500, N).round(1), rng.uniform(0, 100, N).round(1)
    return a, p, (a / 1000 + p / 10 + rng.normal(size=N)).round(3)


STYLES = {
    "us": (lambda a, p, y: f'"{us(a)}",{p} %,{y}', ",", ["--ignore", ",%"]),
    "german": (lambda a, p, y: f"{german(a)};{german(p)};{german(y)}", ";", ["--decimal-comma", "--ignore", "."]),
}


def file(tmp_path, style):
    """A file in this style, and the same with plain numbers."""
    write, separator, options = STYLES[style]
    lines = [separator.join("apy")] + [write(*row) for row in zip(*rows(), strict=True)]
    path, plain = tmp_path / "styled.csv", tmp_path / "plain.csv"
    path.write_text("\n".join(lines) + "\n")
    a, p, y = rows()
    pl.DataFrame({"a": a, "p": p, "y": y if style == "us" else [float(f"{x:.1f}") for x in y]}).write_csv(plain)
    return path, plain, options


@pytest.mark.parametrize("style", STYLES)
def test_numbers_are_read_as_they_are_written(style, tmp_path, capsys, monkeypatch):
    path, plain, options = file(tmp_path, style)
    run("fit", path, "--target", "y", *options, "--out", tmp_path / "m.kfng")
    run("fit", plain, "--target", "y", "--out", tmp_path / "plain.kfng")
    flt, want = (kfng.load(tmp_path / name) for name in ("m.kfng", "plain.kfng"))
    assert flt.settings.feature_names == want.settings.feature_names == ("a", "p")
    assert np.array_equal(flt.theta, want.theta)
    capsys.readouterr()
    predictions = []
    for data, how in ((path, options), (plain, [])):
        run("predict", tmp_path / "plain.kfng", data, *how)
        predictions.append(capsys.readouterr().out)
    assert predictions[0] == predictions[1]
    assert predictions[0].count("\n") == N + 1
    for data, how in ((path, options), (plain, [])):  # row by row
        piped(monkeypatch, data.read_text())
        run("predict", tmp_path / "plain.kfng", "-", *how)
        assert capsys.readouterr().out == predictions[0]
        piped(monkeypatch, data.read_text())
        run("fit", "-", "--target", "y", *how, "--out", tmp_path / "piped.kfng")
        assert np.array_equal(kfng.load(tmp_path / "piped.kfng").theta, want.theta)
        capsys.readouterr()


@pytest.mark.parametrize(("style", "says"), [("us", "--ignore ,"), ("german", "--decimal-comma")])
def test_without_a_word_they_are_refused_and_the_way_is_named(style, says, tmp_path, capsys):
    path, plain, _ = file(tmp_path, style)
    said = refused(capsys, "fit", path, "--target", "y")
    assert says in said
    assert "reads like a number" in said
    run("fit", plain, "--target", "y", "--out", tmp_path / "m.kfng")
    capsys.readouterr()
    assert "reads like a number" in refused(capsys, "predict", tmp_path / "m.kfng", path)
    if style == "us":  # who asks for levels gets them
        run("fit", path, "--target", "y", "--categorical", "a", "--drop", "p", "--out", tmp_path / "m.kfng")
        assert len(kfng.load(tmp_path / "m.kfng").settings.feature_names) > 100


@pytest.mark.parametrize(
    ("texts", "remedy"),
    [
        (["1,234", "12", "3,000,000.5"], "--ignore ,"),
        (["1,234", "5,678"], "--ignore , (or --decimal-comma)"),
        (["1,5", "2", "0,25"], "--decimal-comma"),
        (["1.234,5", "17,25"], "--decimal-comma --ignore ."),
        (["12 %", "7.5%"], "--ignore %"),
        (["12,5 %", "7%"], "--decimal-comma --ignore %"),
        (["$1,200.50", "$7"], "--ignore '$,'"),
        (["1.200,50 €", "7 €"], "--decimal-comma --ignore '€.'"),
        (["£12", "£1,300"], "--ignore '£,'"),
        (["1 234", "12"], '--ignore " \'"'),
        (["1", "2.5", "-"], None),
        (["red", "1,5", "blue"], None),
        (["A1", "12-b"], None),
        (["1,2,3", "4,5"], None),
        (["-", "?"], None),
    ],
    ids=str,
)
def test_what_reads_like_numbers(texts, remedy):
    found = looks_like(pl.Series(texts * 4))
    assert (None if found is None else found[1]) == remedy
    if remedy is not None:
        words = remedy.replace(" (or --decimal-comma)", "").replace("--decimal-comma", "").split(maxsplit=1)
        style = Style(words[1].strip("'\"") if len(words) > 1 else "", "--decimal-comma" in remedy.partition("(")[0])
        assert style.numbers(pl.Series(texts)).null_count() == 0
        assert PLAIN.numbers(pl.Series(texts)).null_count() > 0


@pytest.mark.parametrize("marks", ["3", "a", "-", ".", "+"])
def test_marks_that_are_part_of_a_number(marks, tmp_path, capsys):
    _, plain, _ = file(tmp_path, "us")
    assert "--ignore" in refused(capsys, "fit", plain, "--target", "y", f"--ignore={marks}")


def test_a_pipe_knows_what_says_nothing(tmp_path, capsys, monkeypatch):
    """As in a file a mark without letters and digits is a number that is missing; a word is not."""
    _, plain, _ = file(tmp_path, "us")
    run("fit", plain, "--target", "y", "--out", tmp_path / "m.kfng")
    capsys.readouterr()
    piped(monkeypatch, "a,p\n1000,5\n-,5\n?,5\n1000,5\n")
    run("predict", tmp_path / "m.kfng", "-")
    lines = capsys.readouterr().out.split()
    assert lines[2:4] == ["1,,", "2,,"]
    assert lines[1].partition(",")[2] == lines[4].partition(",")[2] != ","
    piped(monkeypatch, "a,p\n1000,5\nnone,5\n")
    assert "row 2: column 'a': expected numbers" in refused(capsys, "predict", tmp_path / "m.kfng", "-")


@pytest.mark.parametrize("end", ["csv", "parquet"])
def test_a_file_of_names_has_predictions_of_names(end, tmp_path, capsys):
    _, plain, _ = file(tmp_path, "us")
    run("fit", plain, "--target", "y", "--out", tmp_path / "m.kfng")
    (tmp_path / "none.csv").write_text("a,p\n")
    run("predict", tmp_path / "m.kfng", tmp_path / "none.csv", "--out", tmp_path / f"out.{end}")
    found = pl.read_csv(tmp_path / "out.csv") if end == "csv" else pl.read_parquet(tmp_path / "out.parquet")
    assert found.columns == ["row", "prediction", "std"]
    assert len(found) == 0
    capsys.readouterr()
    run("predict", tmp_path / "m.kfng", tmp_path / "none.csv")
    assert capsys.readouterr().out == "row,prediction,std\n"
