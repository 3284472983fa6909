"""A script that swaps one import for the other prints the same numbers."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

IMPORTS = {"kfng": "import kfng", "reference": "from kfng import reference as kfng"}
NUMBER = re.compile(r"[-+]?(?:\d+\.\d*|\.\d+|\d+)(?:[eE][-+]?\d+)?|nan|inf")
SCRIPT = """
import sys
import numpy as np

np.set_printoptions(precision=12)
rng = np.random.default_rng(5)
U = rng.normal(size=(300, 4)) * [1, 1e3, 1e-3, 1]
w = np.array([0.5, -1e-3, 2e2, 0.0])
z = U @ w + 0.3
sets = {
    "learned": (kfng.Gaussian(None), z + 0.3 * rng.normal(size=300)),
    "bernoulli": (kfng.Bernoulli(), (rng.random(300) < 1 / (1 + np.exp(-z))).astype(float)),
    "poisson": (kfng.Poisson(), rng.poisson(np.exp(np.clip(z, -3, 3))).astype(float)),
}
for name, (family, y) in sets.items():
    y[7:300:31] = np.nan
    for rule in (kfng.Kalman(), kfng.Fading(0.01), kfng.Fading(half_life=40)):
        flt = kfng.Filter.from_rows(U[:30], y[:30], kfng.Linear(4), family, rule=rule)
        print(flt)
        trace = flt.update_many(U[30:], y[30:], dt=np.linspace(0.5, 1.5, 270), weight=np.linspace(1, 2, 270))
        print(name, rule, len(trace), trace.prediction[::50], trace.std[::50], trace.nll_plugin[::50])
        step = flt.update(U[0], y[0], offset=0.1)
        print(step.prediction, step.std, step.skipped, step.clipped)
        print(flt.theta, flt.std(), flt.parameters)
        print(*(array for array in flt.predict(U[:3], return_std=True)))
        print(flt.sample(2, seed=3))
        print({key: value for key, value in flt.health().items()})
        if name == "learned":
            print(flt.noise_variance, flt.predict_quantiles(U[:2], [0.05, 0.5, 0.95]), trace.nll[::50])
        try:
            flt.update(U[0], np.inf)
        except kfng.KfngError as error:
            print(type(error).__name__, error)
        flt.save(sys.argv[1])
        print(kfng.load(sys.argv[1]).n_updates)
"""


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """What each import prints."""
    result = {}
    for name, line in IMPORTS.items():
        path = tmp_path_factory.mktemp("script") / "filter.kfng"
        command = [sys.executable, "-W", "error", "-c", f"{line}\n{SCRIPT}", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
        assert done.returncode == 0, done.stderr
        result[name] = done.stdout
    return result


def test_the_same_text(printed):
    words = [NUMBER.sub("#", " ".join(text.split())) for text in printed.values()]
    squeezed = [re.sub(r"\s*([\[\],])\s*", r"\1", text) for text in words]
    assert squeezed[0] == squeezed[1]
    assert len(printed["kfng"]) > 5000


def test_the_same_numbers(printed):
    numbers = [[float(number) for number in NUMBER.findall(text)] for text in printed.values()]
    assert len(numbers[0]) == len(numbers[1]) > 500
    assert numbers[0] == pytest.approx(numbers[1], rel=1e-9, abs=1e-10, nan_ok=True)
