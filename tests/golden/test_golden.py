"""Three filters whose every figure is kept as text: what they said when it was last read and approved, they say today.

A change of behaviour shows here as a diff to read: `make golden` rewrites the files, on purpose. The figures of both
implementations are compared with the same file.
"""

from __future__ import annotations

import math
import pathlib

import numpy as np
import pytest

FOLDER = pathlib.Path(__file__).parent
DIGITS = 12
TOLERANCE = 1e-9
"""Another processor rounds another way: fused multiply-add, width of the vectors, exp and log of its library. A hundred
rows of condition ~1e3 turn that into some 1e-13; four digits are left for a processor we have not seen."""
ROWS = 100


def flights(impl):
    """Learned variance, first rows, half-life, gaps, weights: the job of the demo."""
    rng = np.random.default_rng(1)
    U = np.column_stack([rng.exponential(20, ROWS), rng.uniform(100, 2500, ROWS), rng.integers(0, 2, ROWS)])
    y = 0.9 * U[:, 0] - 0.004 * U[:, 1] + 3 * U[:, 2] + rng.normal(0, 12, ROWS)
    y[::9] = np.nan
    start = 20
    flt = impl.Filter.from_rows(
        U[:start], y[:start], impl.Linear(3), impl.Gaussian(None), rule=impl.Fading(half_life=60), evidence=True
    )
    return flt, flt.update_many(
        U[start:], y[start:], weight=np.linspace(0.5, 1.5, ROWS - start), dt=rng.exponential(1.0, ROWS - start)
    )


def clicks(impl):
    """A binary stream under forgetting with two columns that are silent at first: clip, wind-up guard, offsets."""
    rng = np.random.default_rng(2)
    U = rng.normal(size=(ROWS, 5))
    U[: ROWS // 2, 3:] = 0.0
    y = (rng.random(ROWS) < 1 / (1 + np.exp(2 - 3 * U[:, 0]))).astype(np.float64)
    flt = impl.Filter(
        impl.Linear(5),
        impl.Bernoulli(),
        rule=impl.Fading(0.05),
        belief=impl.Full(4.0),
        guards=impl.Guards(step_clip=1.0),
    )
    return flt, flt.update_many(U, y, offset=0.1 * rng.normal(size=ROWS))


def sensors(impl):
    """Three outputs with correlated noise, entries missing one by one."""
    rng = np.random.default_rng(3)
    R = np.array([[1.0, 0.5, 0.0], [0.5, 2.0, -0.3], [0.0, -0.3, 0.5]])
    U = rng.normal(size=(ROWS, 2))
    Y = U @ rng.normal(size=(2, 3)) + rng.normal(size=(ROWS, 3)) @ np.linalg.cholesky(R).T
    Y[rng.random((ROWS, 3)) < 0.2] = np.nan
    flt = impl.Filter(impl.Linear(2, 3), impl.Gaussian(covariance=R), evidence=True)
    return flt, flt.update_many(U, Y)


FILTERS = {made.__name__: made for made in (flights, clicks, sensors)}


def lines(flt, trace):
    """Name and numbers of everything worth keeping, a line each."""
    yield "filter", repr(flt)
    learned = type(flt.settings.family).__name__ == "Gaussian"
    for i in range(0, len(trace), 3):
        row = [*np.atleast_1d(trace.prediction[i]), *np.atleast_1d(trace.std[i]), trace.nll_plugin[i], trace.nll[i]]
        yield f"row {i}{' skipped' * bool(trace.skipped[i])}{' clipped' * bool(trace.clipped[i])}", row
    for name, part in flt.parameters.items():
        yield name, part.ravel()
    yield "std", flt.std()
    yield "cov[0]", flt.cov()[0]
    for name, value in flt.health().items():
        yield name, [value]
    if learned:
        yield "noise_variance", np.ravel(flt.noise_variance[0])
        yield "log_evidence", [flt.log_evidence]
    if learned:
        yield "quantiles", flt.predict_quantiles(np.ones((1, flt.settings.model.inputs)), [0.05, 0.5, 0.95]).ravel()
    yield "sample", flt.sample(1, seed=4).ravel()


def written(flt, trace):
    rows = []
    for name, values in lines(flt, trace):
        text = values if isinstance(values, str) else " ".join(f"{float(x):.{DIGITS}g}" for x in values)
        rows.append(f"{name}: {text}\n")
    return "".join(rows)


def difference(line, other):
    """What differs between two lines, None where they agree."""
    (name, _, values), (other_name, _, others) = line.partition(": "), other.partition(": ")
    if name != other_name:
        return f"expected {name!r}, got {other_name!r}"
    if name == "filter":
        old, new = (text.translate(str.maketrans("([,=)]", "      ")).split() for text in (values, others))
    else:
        old, new = values.split(), others.split()
    if len(old) != len(new):
        return f"{name}: expected {values}, got {others}"
    for x, y in zip(old, new, strict=True):
        try:
            close = float(y) == pytest.approx(float(x), rel=TOLERANCE, abs=TOLERANCE / 100, nan_ok=True)
        except ValueError:
            close = x == y
        if not close:
            return f"{name}: expected {values}, got {others}"
    return None


@pytest.mark.parametrize("name", FILTERS)
def test_as_it_was(impl, name, request):
    path = FOLDER / f"{name}.txt"
    text = written(*FILTERS[name](impl))
    if request.config.getoption("--rewrite-golden"):
        if impl.__name__ == "kfng":
            path.write_text(text, encoding="utf-8")
        return
    kept = path.read_text(encoding="utf-8").splitlines()
    now = text.splitlines()
    assert len(kept) == len(now)
    different = [d for d in map(difference, kept, now) if d]
    assert not different, "\n".join(different)


def test_every_file_has_its_filter():
    assert {path.stem for path in FOLDER.glob("*.txt")} == set(FILTERS)


@pytest.mark.parametrize("name", FILTERS)
def test_the_comparison_sees_a_digit(name):
    """The control: each number of each line, changed in its ninth digit or turned into NaN, is told apart."""
    kept = (FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    assert not any(map(difference, kept, kept))
    changed = 0
    for line in kept[1:]:
        title, _, values = line.partition(": ")
        numbers = values.split()
        for i, x in enumerate(numbers):
            if x == "nan" or float(x) == 0:
                continue
            for wrong in (repr(math.copysign(abs(float(x)) * (1 + 3e-9) + 1e-10, float(x))), "nan", "inf"):
                other = f"{title}: {' '.join([*numbers[:i], wrong, *numbers[i + 1 :]])}"
                assert difference(line, other), line
                changed += 1
    assert changed > 300
