"""What is made of results: tables, bars, and two runs compared, on two small runs written here."""

import copy
import json

import bars
import compare
import pytest
import table


def contender(speed, ratio, status="measured", spread=0.02):
    return {"status": status, "rows_per_s": speed, "spread": spread, "ratio": ratio, "peak_mb": 50.0}


def run():
    contenders = {
        "kfng": contender(200_000.0, 1.0),
        "kfng, deterministic=False": contender(400_000.0, 0.5),
        "NumPy three-liner": contender(20_000.0, 10.0),
        "scipy.blas": contender(50_000.0, 4.0),
        "JAX lax.scan": {"status": "not installed"},
        "JAX jitted step": {"status": "does not do this"},
        "river": {"status": "failed: ValueError: no"},
        "dynamax": contender(1000.0, 200.0, status="wrong theta"),
    }
    case = {"case": "stream-logistic-p100", "work": "stream", "problem": "logistic", "p": 100}
    versions = {"kfng": "0.1.0", "numpy": "2.0"}
    about = {"versions": versions, "processor": "some", "simd": ["AVX2"], "machine": "x86_64", "python": "3.11"}
    return {
        "about": about | {"load_at_start": 0.1, "load_at_end": 0.2, "rounds": 3, "turn": 0.05, "date": "today"},
        "imports": {"kfng": {"seconds": 0.2, "ratio_to_numpy": 1.25}},
        "sizes": {"kfng": {"wheel_mb": 0.9}},
        "cases": [case | {"dtype": "float64", "threads": 1, "contenders": contenders}],
    }


def test_table_has_a_cell_for_everybody():
    columns = table.peers(run())
    assert columns == ["NumPy three-liner", "scipy.blas", "JAX", "river", "dynamax"]
    default, reordered = table.lines(run()["cases"][0], columns)
    assert default == [
        "stream, logistic, p = 100",
        *("200,000", "2 %", "50"),
        *("10.0x", "4.0x", "not inst.", "failed", "WRONG"),
    ]
    assert reordered[1] == "400,000"
    assert reordered[4:6] == ["20.0x", "8.0x"]


def test_legend_names_what_failed_and_what_is_not_installed():
    legend = table.legend(run())
    assert "Not installed: JAX lax.scan." in legend
    assert "river: failed: ValueError: no" in legend
    assert "dynamax: wrong theta" in legend


def test_a_line_while_it_runs_and_the_readme_block():
    row = run()["cases"][0]
    assert "stream-logistic-p100" in table.line(row)
    block = table.readme_block(run())
    assert "| stream, logistic, p = 100 |" in block
    assert "10.0x" in block


def test_between_markers(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- a:begin -->\nold\n<!-- a:end -->\nafter\n")
    table.between(page, "a", "new")
    assert page.read_text() == "before\n<!-- a:begin -->\nnew\n<!-- a:end -->\nafter\n"


def test_bars_take_the_best_variant_and_say_what_was_missed(monkeypatch):
    results = run()
    asked = {(bar.than, bar.case): bar for bar in bars.BARS}
    numpy, blas = (asked[than, "stream-logistic-p100"] for than in ("NumPy three-liner", "scipy.blas"))
    assert bars.measured(numpy, results) == pytest.approx(20.0)
    assert bars.reached(numpy, 20.0)
    assert bars.measured(blas, results) == pytest.approx(8.0)
    assert bars.measured(asked["JAX lax.scan", "stream-logistic-p100"], results) is None
    results["cases"][0]["contenders"]["kfng, deterministic=False"]["rows_per_s"] = (
        100_000.0  # now the default is faster
    )
    assert bars.measured(numpy, results) == pytest.approx(10.0)
    monkeypatch.setattr(bars, "WHY", {"stream-logistic": "the reason"})
    text = bars.table(results)
    assert "- stream, logistic, p = 100, against NumPy three-liner: the reason." in text
    assert "3 of " in text  # scipy.blas, import, wheel
    monkeypatch.setattr(bars, "WHY", {})
    assert "Not explained yet, 1: stream, logistic, p = 100, against NumPy three-liner." in bars.table(results)


def test_bars_beyond_the_machine_are_counted():
    results = run()
    numpy = next(bar for bar in bars.BARS if (bar.case, bar.than) == ("stream-logistic-p100", "NumPy three-liner"))
    assert bars.shares(numpy, results) is None
    contenders = results["cases"][0]["contenders"]
    contenders[bars.LIMIT] = contender(800_000.0, 0.25)
    assert bars.shares(numpy, results) == (pytest.approx(0.5), pytest.approx(0.3))
    assert "0 ask for more" in bars.table(results)
    contenders[bars.LIMIT] = contender(220_000.0, 0.9)  # asked: 240,000 of one, 200,000 of the other
    assert "1 ask for more" in bars.table(results)


def test_bars_of_import_and_wheel_are_upper_limits():
    imports, wheel = bars.BARS[-2:]
    assert bars.measured(imports, run()) == 1.25
    assert bars.reached(imports, 1.25)
    assert not bars.reached(imports, 1.31)
    assert bars.measured(wheel, run()) == pytest.approx(0.45)


def test_every_bar_is_about_a_case_that_is_measured():
    from cases import BY_NAME
    from peers import PEERS

    for bar in bars.BARS[:-2]:
        assert PEERS[bar.than].can(BY_NAME[bar.case]), bar


@pytest.mark.parametrize(
    ("kfng", "peers", "verdict"),
    [(1.0, 1.0, ""), (1.5, 1.0, "faster"), (0.5, 0.5, ""), (1.0, 2.0, "SLOWER"), (1.04, 1.0, "")],
)
def test_compare_corrects_for_the_machine(kfng, peers, verdict):
    old, new = run(), copy.deepcopy(run())
    for name, found in new["cases"][0]["contenders"].items():
        if "rows_per_s" in found:
            found["rows_per_s"] *= kfng if name.startswith("kfng") else peers
    default, reordered = compare.compare(old, new)
    assert default["verdict"] == reordered["verdict"] == verdict
    assert default["corrected"] == pytest.approx(kfng / peers)
    assert "stream-logistic-p100, deterministic=False" in compare.text([default, reordered])


def test_compare_from_files(tmp_path, capsys, monkeypatch):
    paths = [tmp_path / "old.json", tmp_path / "new.json"]
    new = run()
    new["about"]["versions"]["numpy"] = "2.1"
    for path, results in zip(paths, (run(), new), strict=True):
        path.write_text(json.dumps(results))
    monkeypatch.setattr("sys.argv", ["compare.py", *map(str, paths)])
    compare.main()
    printed = capsys.readouterr().out
    assert "numpy: 2.0 then, 2.1 now" in printed
    assert "stream-logistic-p100" in printed
