"""Levels of a category that come while rows stream: of banks and networks too, from files and from pipes."""

import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from extras.test_command_line import piped, read, refused, run, write

import kfng

N = 300
MODELS = {
    "bank": ["--key", "plane"],
    "mlp": ["--model", "mlp:3"],
    "rnn": ["--model", "rnn:2"],
    "gru": ["--model", "gru:2"],
}
MODEL = pytest.mark.parametrize("model", MODELS)


def table_of(levels=("AA", "B6", "UA")):
    """HA comes at row 150, ZZ at 220."""
    rng = np.random.default_rng(0)
    carrier = rng.choice(levels, N).tolist()
    carrier[150:] = rng.choice([*levels, "HA"], N - 150).tolist()
    carrier[150], carrier[220], carrier[260] = "HA", "ZZ", "ZZ"
    x = rng.normal(size=N)
    effect = {name: 3.0 * i for i, name in enumerate(sorted(set(carrier)))}
    y = 2 * x + np.array([effect[name] for name in carrier]) + rng.normal(size=N)
    return pl.DataFrame({"x": x, "carrier": carrier, "plane": rng.integers(0, 3, N), "y": y})


def fit(model):
    drop = [] if model == "bank" else ["--drop", "plane"]
    return ["--target", "y", *MODELS[model], *drop]


@MODEL
def test_a_level_gets_its_own_weights_at_its_row(model, tmp_path, capsys):
    """File and pipe end in the same model, which is the one that grows by hand."""
    table = table_of()
    data = write(table, tmp_path / "rows.csv")
    run("fit", data, *fit(model), "--out", tmp_path / "file.kfng", "--predictions", tmp_path / "p.parquet")
    piped(["fit", "-", *fit(model), "--out", str(tmp_path / "pipe.kfng")], table.write_csv())
    one, other = (kfng.load(tmp_path / name) for name in ("file.kfng", "pipe.kfng"))
    assert one.settings.feature_names == ("x", "carrier=AA", "carrier=B6", "carrier=UA", "carrier=HA", "carrier=ZZ")
    assert one.settings.spec() == other.settings.spec()
    keys = [sorted(one)] if model == "bank" else []
    numbers = (lambda m: m.theta(*keys)) if model == "bank" else (lambda m: m.theta)
    assert (numbers(one) == numbers(other)).all()
    # up to the row of the first new level it is the model of a shorter file, which then grows
    run("fit", write(table[:150], tmp_path / "short.csv"), *fit(model), "--out", tmp_path / "short.kfng")
    grown = kfng.load(tmp_path / "short.kfng")
    prior = grown.settings.belief.prior_diagonal(grown.settings.p)
    weights = next(iter(grown.settings.model.split(prior).values()))[:, 1:]
    grown = grown.add_features(1, names=["carrier=HA"], prior_variance=np.median(weights, axis=1))
    U = np.column_stack([table["x"], *(table["carrier"] == name for name in ("AA", "B6", "UA", "HA"))])[150:220]
    y = table["y"].to_numpy()[150:220]
    if model == "bank":
        trace = grown.update(table["plane"].to_list()[150:220], U, y)
    else:
        trace = grown.update_many(U, y)
    made = read(tmp_path / "p.parquet")
    assert made["prediction"][150:220].to_numpy() == pytest.approx(trace.prediction, rel=1e-12)
    assert made["std"][150:220].to_numpy() == pytest.approx(trace.std, rel=1e-12)


@MODEL
def test_a_level_that_the_model_does_not_know_is_predicted(model, tmp_path, capsys):
    """By file and by pipe; its weights are what their prior says, so less is known than of a level that was there."""
    run("fit", write(table_of(), tmp_path / "rows.csv"), *fit(model), "--out", tmp_path / "m.kfng")
    before = (tmp_path / "m.kfng").read_bytes()
    new = pl.DataFrame({"x": [0.0] * 3, "carrier": ["AA", "QQ", None], "plane": [0, 0, 0]})
    key = ["--key", "plane"] if model == "bank" else []
    run("predict", tmp_path / "m.kfng", write(new, tmp_path / "new.csv"), *key, "--out", tmp_path / "p.csv")
    said = read(tmp_path / "p.csv")
    assert said["prediction"].is_null().to_list() == [False, False, True]
    assert said["std"][1] > said["std"][0]
    out, _ = piped(["predict", str(tmp_path / "m.kfng"), "-", *key], new.write_csv())
    assert pl.read_csv(out.encode())["std"].to_list()[:2] == pytest.approx(said["std"].to_list()[:2], rel=1e-12)
    assert (tmp_path / "m.kfng").read_bytes() == before


@pytest.mark.parametrize("model", ["linear", "bank", "mlp"])
def test_more_levels_than_there_may_be(model, tmp_path, capsys):
    """A file is refused; in a pipe all further levels are one, and `predict` knows it."""
    table = table_of()
    how = ["--target", "y", "--drop", "plane"] if model == "linear" else fit(model)
    data = write(table, tmp_path / "rows.csv")
    assert "max-levels" in refused(capsys, "fit", data, *how, "--max-levels", 3)
    saved = str(tmp_path / "m.kfng")
    out, err = piped(["fit", "-", *how, "--max-levels", "3", "--out", saved], table.write_csv())
    assert out.count("\n") == N + 1
    assert err.count("(other)") >= 1
    assert err.count("more than 3 levels") == 1
    flt = kfng.load(saved)
    assert flt.settings.feature_names == ("x", "carrier=AA", "carrier=B6", "carrier=UA", "carrier=(other)")
    key = ["--key", "plane"] if model == "bank" else []
    new = pl.DataFrame({"x": [0.0] * 2, "carrier": ["QQ", "HA"], "plane": [0, 0]})
    run("predict", saved, write(new, tmp_path / "new.csv"), *key, "--out", tmp_path / "p.csv")
    said = read(tmp_path / "p.csv")
    assert said["prediction"][0] == said["prediction"][1]
    exact = [0.0, 0.0, 0.0, 0.0, 1.0]
    mean = flt.predict([0], [exact]) if model == "bank" else flt.predict([exact])
    assert said["prediction"][0] == pytest.approx(mean[0], rel=1e-12)


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "how", [["--drop", "note", "--key", "k"], ["--drop", "note,k", "--model", "mlp:4"]], ids=["bank", "network"]
)
def test_ten_times_the_rows_take_no_more_memory(how, tmp_path):
    rng, n, peaks = np.random.default_rng(3), 60_000, []
    levels = rng.choice([f"level{i}" for i in range(12)], n)
    numbers = {
        "x": rng.normal(size=n).round(4),
        "c": levels,
        "k": rng.integers(0, 50, n),
        "y": rng.normal(size=n).round(4),
    }
    table = pl.DataFrame(numbers | {"note": ["-" * 150] * n})  # some pieces of the file even where it is short
    for name, times in (("short", 1), ("long", 10)):
        data = write(pl.concat([table] * times, rechunk=True), tmp_path / f"{name}.csv")
        code = (
            "import resource, sys; from kfng.cli import main; assert main(sys.argv[1:]) == 0; "
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
        )
        clean = "import subprocess, sys; sys.exit(subprocess.call(sys.argv[1:]))"  # a peak begins at the parent's
        done = subprocess.run(
            [sys.executable, "-c", clean, sys.executable, "-c", code, "fit", data, "--target", "y", *how],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        peaks.append(int(done.stdout.split()[-1]))
        assert f"{times * n:,}" in done.stdout
    assert peaks[1] < 1.1 * peaks[0], peaks
