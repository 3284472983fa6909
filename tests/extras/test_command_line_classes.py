"""Targets that are text: `--classes A,B` says which classes there are, to `kfng fit` and to `kfng predict`."""

import numpy as np
import polars as pl
import pytest
from extras.test_command_line import FORMATS, piped, read, refused, run, write

import kfng

N, LABELS = 300, {"bernoulli": ("ham", "spam"), "categorical": ("tea", "coffee", "milk")}
FAMILY = pytest.mark.parametrize("family", LABELS)


def table_of(family, text=True):
    """A target that is text, and the same as numbers of classes; three are missing."""
    labels, rng = LABELS[family], np.random.default_rng(0)
    X = rng.normal(size=(N, len(labels)))
    codes = (3 * X + rng.gumbel(size=X.shape)).argmax(axis=1)
    target = [labels[code] if text else int(code) for code in codes]
    for row in (5, 60, 61):
        target[row] = None
    return pl.DataFrame({f"x{j}": X[:, j] for j in range(len(labels))} | {"kind": target})


@FAMILY
@pytest.mark.parametrize("form", FORMATS)
def test_labels_are_the_numbers_of_their_classes(family, form, tmp_path, capsys):
    labels = LABELS[family]
    found, theta = {}, {}
    for name, text in (("labels", True), ("numbers", False)):
        data = write(table_of(family, text), tmp_path / f"{name}.{form}")
        model, out = tmp_path / f"{name}.kfng", tmp_path / f"{name}.out.{form}"
        classes = ["--classes", ",".join(labels)] if text else []
        run("fit", data, "--target", "kind", "--family", family, *classes, "--out", model, "--predictions", out)
        found[name], theta[name] = read(out), kfng.load(model).theta
        run("predict", model, data, "--out", tmp_path / f"{name}.predict.{form}")  # the labels are in the file
        assert kfng.load(model).settings.class_names == (labels if text else None)
    assert np.array_equal(theta["labels"], theta["numbers"])
    table, numbers = found["labels"], found["numbers"]
    assert table["kind"].to_list() == table_of(family)["kind"].to_list()
    assert table["prediction"].to_list() == numbers["prediction"].to_list()
    likeliest = numbers["prediction"] > 0.5 if family == "bernoulli" else numbers["prediction"]
    assert table["class"].to_list() == [None if i is None else labels[int(i)] for i in likeliest]
    assert table["class"].null_count() == 32 + 1  # the first rows with a target, and the one without among them
    said = read(tmp_path / f"labels.predict.{form}")
    assert "class" not in read(tmp_path / f"numbers.predict.{form}").columns
    right = (said["class"] == table["kind"]).mean()
    assert 0.7 < right < 1.0


@FAMILY
def test_from_a_pipe(family):
    data = table_of(family).drop_nulls()
    classes = ["--target", "kind", "--family", family, "--classes", ",".join(LABELS[family])]
    out, _ = piped(["fit", "-", *classes], data.write_csv())
    answers = pl.read_csv(out.encode())
    assert answers["kind"].to_list() == data["kind"].to_list()
    assert set(answers["class"].drop_nulls().unique()) == set(LABELS[family])


@FAMILY
def test_a_saved_model_says_them(family, tmp_path, capsys):
    """Through a pipe, of a bank, in `inspect`, and not where others are given."""
    labels = LABELS[family]
    data = (
        table_of(family)
        .drop_nulls()
        .with_columns(pl.Series("shop", ["north", "south"]).sample(N - 3, with_replacement=True, seed=0))
    )
    rows, bank, model = write(data, tmp_path / "rows.csv"), tmp_path / "bank.kfng", tmp_path / "model.kfng"
    fit = ["--target", "kind", "--family", family, "--classes", ",".join(labels)]
    piped(["fit", "-", *fit, "--drop", "shop", "--out", str(model)], data.write_csv())
    run("fit", rows, *fit, "--key", "shop", "--out", bank)
    capsys.readouterr()
    wanted = data["kind"].to_list()
    for made, key in ((model, []), (bank, ["--key", "shop"])):
        assert kfng.load(made).settings.class_names == labels
        out, _ = piped(["predict", str(made), "-", *key], data.write_csv())
        assert 0.7 < (pl.read_csv(out.encode())["class"] == pl.Series(wanted)).mean() < 1.0
        run("inspect", made)
        assert labels[0] in capsys.readouterr().out
    other = [label.upper() for label in labels]
    run("predict", model, rows, "--classes", ",".join(other), "--out", tmp_path / "other.csv")
    assert set(read(tmp_path / "other.csv")["class"]) == set(other)


def test_what_is_refused(tmp_path, capsys):
    data = write(table_of("bernoulli"), tmp_path / "rows.csv")
    fit = ["fit", data, "--target", "kind"]
    for family, classes, said in [
        ("gaussian", [], "--family bernoulli --classes ham,spam"),
        ("bernoulli", ["--classes", "ham,eggs"], "'spam' is none of the classes ham, eggs"),
        ("bernoulli", ["--classes", "ham,spam,eggs"], "has 2 classes"),
        ("poisson", ["--classes", "ham,spam"], "--classes is for"),
    ]:
        assert said in refused(capsys, *fit, "--family", family, *classes)
    model = tmp_path / "model.kfng"
    run(*fit, "--family", "bernoulli", "--classes", "ham,spam", "--out", model)
    for classes in ("a,b,c", "2"):
        assert "--classes" in refused(capsys, "predict", model, data, "--classes", classes)
