"""`kfng inspect` prints every kind of file, and says in one line what is wrong with another."""

import json
import subprocess
import sys

import numpy as np
import pytest

import kfng
from kfng.cli import main


def saved(path, kind):
    rng = np.random.default_rng(0)
    U, Y = rng.normal(size=(20, 2)), rng.normal(size=20)
    if kind == "Filter":
        flt = kfng.Filter(kfng.Linear(2), kfng.Gaussian(variance=None), feature_names=["age", "size"])
    elif kind == "JointEkf":
        flt = kfng.JointEkf(kfng.RNN(2, 2, 1), kfng.Gaussian(0.5), state_noise=0.1)
    else:
        flt = kfng.StateFilter(2, 1, kfng.Gaussian(0.5), transition=np.eye(2), jacobian=[[1.0, 0.0]])
    flt.update_many(Y) if kind == "StateFilter" else flt.update_many(U, Y)
    flt.save(path)
    return flt


NAMES = {
    "Filter": ["age", "size", "intercept"],
    "JointEkf": ["state[0]", "state[1]", "weight_ih[0, 0]", "bias_out[0]"],
    "StateFilter": ["state[0]", "state[1]"],
}


@pytest.mark.parametrize("kind", NAMES)
def test_inspect_prints_every_kind_of_file(kind, tmp_path, capsys):
    path = tmp_path / "model.kfng"
    flt = saved(path, kind)
    assert main(["inspect", str(path)]) == 0
    text = capsys.readouterr().out
    for name in (*NAMES[kind], "20 rows learned", "n_seen", "mean_nis", "float64"):
        assert name in text, name
    assert main(["inspect", str(path), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["n_updates"] == 20
    assert report["bytes"] == path.stat().st_size
    rows = {row["name"]: row for row in report["coefficients"]}
    first = flt.theta[0] if kind == "Filter" else flt.state[0]
    assert rows[NAMES[kind][0]]["estimate"] == first
    assert rows[NAMES[kind][0]]["z"] == pytest.approx(first / rows[NAMES[kind][0]]["sd"], rel=1e-12)
    if kind == "JointEkf":
        assert len(rows) == flt.state.size + flt.theta.size
        assert rows["bias_out[0]"]["sd"] == pytest.approx(flt.std()[-1], rel=1e-12)


def test_inspect_prints_a_mixture(tmp_path, capsys):
    """Its weights, and its best filter."""
    path, rng = tmp_path / "model.kfng", np.random.default_rng(0)
    U = rng.normal(size=(40, 2))
    filters = {f"sd {sd}": kfng.Filter(kfng.Linear(2), kfng.Gaussian(sd**2)) for sd in (1.0, 3.0)}
    mixture = kfng.Mixture(filters, forgetting=0.01)
    mixture.update_many(U, U[:, 0] + rng.normal(size=40))
    mixture.save(path)
    assert main(["inspect", str(path)]) == 0
    text = capsys.readouterr().out
    for name in ("sd 1.0", "weight of sd 3.0", "weight[0, 1]", "40 rows learned", "effective"):
        assert name in text, name
    assert main(["inspect", str(path), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["settings"]["best of the mixture"] == "sd 1.0"
    assert report["settings"]["weight of sd 3.0"] == mixture.weights[1]
    assert report["coefficients"][0]["estimate"] == mixture.best.theta[0]


@pytest.mark.parametrize("content", [b"", b"no checkpoint at all", None])
def test_another_file_is_one_line_and_2(content, tmp_path, capsys):
    path = tmp_path / "other.kfng"
    if content is not None:
        path.write_bytes(content)
    assert main(["inspect", str(path)]) == 2
    seen = capsys.readouterr()
    assert seen.out == ""
    assert seen.err.startswith(f"kfng: {path}: ")
    assert seen.err.count("\n") == 1


def test_inspect_prints_a_bank_and_one_of_its_keys(tmp_path, capsys):
    path = tmp_path / "bank.kfng"
    rng = np.random.default_rng(1)
    bank = kfng.Bank(kfng.Linear(2), kfng.Gaussian(variance=None))
    bank.update(["a", 7, "a", "b"], rng.normal(size=(4, 2)), rng.normal(size=4))
    bank.save(path)
    assert main(["inspect", str(path)]) == 0
    text = capsys.readouterr().out
    for part in ("3 keys, 3 parameters, 4 rows learned", "mean over keys", "weight[0, 1]", "intercept"):
        assert part in text, part
    assert main(["inspect", str(path), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["coefficients"]
    assert [row["estimate"] for row in rows] == bank.theta(["a", 7, "b"]).mean(axis=0).tolist()
    for key, name in (("a", "a"), (7, "7")):
        assert main(["inspect", str(path), "--key", name, "--json"]) == 0
        report = json.loads(capsys.readouterr().out)
        assert [row["estimate"] for row in report["coefficients"]] == bank[key].theta.tolist()
    assert main(["inspect", str(path), "--key", "c"]) == 2
    assert "c" in capsys.readouterr().err
    kfng.Bank(kfng.Linear(2), kfng.Gaussian(1.0)).save(path)
    assert main(["inspect", str(path)]) == 0
    assert "0 keys" in capsys.readouterr().out


def test_a_key_is_for_banks(tmp_path, capsys):
    saved(tmp_path / "filter.kfng", "Filter")
    assert main(["inspect", str(tmp_path / "filter.kfng"), "--key", "a"]) == 2
    assert "bank" in capsys.readouterr().err


def test_the_package_runs_as_a_module():
    done = subprocess.run([sys.executable, "-m", "kfng", "--version"], capture_output=True, text=True, check=True)
    assert kfng.__version__ in done.stdout
