"""What an installed kfng must do at the least, with nothing but NumPy beside it: `python smoke.py`, from any folder.

`tools/wheels.py` runs it with the wheels it built. It is no test of the numbers, but of the build: that the extension loads, that
compiled kfng and its reference agree, that files go to and fro, and that nothing but NumPy is imported.
"""

import importlib.metadata
import platform
import sys
import tempfile
from pathlib import Path

import numpy as np

import kfng


def main() -> None:
    outside = {"matplotlib", "pandas", "polars", "river", "scipy", "sklearn", "tabulate", "tqdm", "jax", "torch"}
    assert not outside & set(sys.modules), outside & set(sys.modules)
    assert kfng.__version__ == importlib.metadata.version("kfng")
    assert Path(kfng.__file__).with_name("py.typed").exists()

    rng = np.random.default_rng(0)
    U = rng.normal(size=(300, 20)) * np.logspace(-2, 2, 20)
    z = U @ (0.3 * rng.normal(size=20) / np.logspace(-2, 2, 20))
    for family, y in {
        kfng.Gaussian(variance=None): z + rng.normal(size=300),
        kfng.Bernoulli(): (rng.random(300) < 1 / (1 + np.exp(-z))).astype(float),
        kfng.Poisson(): rng.poisson(np.exp(z)).astype(float),
    }.items():
        ends = []
        for implementation in (kfng, kfng.reference):
            flt = implementation.Filter.from_rows(U[:50], y[:50], kfng.Linear(20), family)
            flt.update_many(U[50:], y[50:])
            ends.append((flt.theta, flt.std(), flt.predict(U[:5])))
        for compiled, plain in zip(*ends, strict=True):
            assert np.abs(compiled / plain - 1).max() < 1e-8, (family, compiled, plain)

    bank = kfng.Bank(kfng.Linear(20), kfng.Gaussian(1.0), num_threads=2)
    bank.update(np.arange(300) % 7, U, z)
    network = kfng.Filter.from_rows(U[:50], z[:50], kfng.GRU(20, 4, 1), kfng.Gaussian(variance=None), dtype="float32")
    network.update_many(U[50:], z[50:])
    with tempfile.TemporaryDirectory() as folder:
        for thing in (bank, network):
            path = Path(folder, "saved.kfng")
            thing.save(path)
            again = kfng.load(path)
            assert again.health() == thing.health()
    print(
        f"kfng {kfng.__version__} works: Python {platform.python_version()}, NumPy {np.__version__}, {platform.machine()}"
    )


if __name__ == "__main__":
    main()
