"""kfng.river with standardize='running': the same model in coordinates that follow the rows, features that appear among them."""

import pickle

import numpy as np
import pytest
from tolerances import CONTROL, relative_error

import kfng

try:
    import pandas as pd

    from kfng.river import Regressor
except ImportError as error:
    pytest.fail(f"the extra river is not installed: {error}", pytrace=False)

N, EXACT = 300, 1e-8


def rows(seed=0):
    """Features that wander off and widen; `late` comes after 120 rows."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(N, 3)) * np.linspace(1, 4, N)[:, None] + np.linspace(0, 8, N)[:, None] * [1, 0, -1]
    X = X * [1.0, 1e-3, 300.0] + [0, 3e-3, 2100]
    y = 1000 + 20 * (X @ [0.6, -400, 1e-3] + 0.5 * rng.normal(size=N))
    table = [dict(zip("abc", x, strict=True)) for x in X.tolist()]
    for i in range(120, N):
        table[i]["late"] = float(50 + rng.normal())
    return table, y.tolist()


def learned(table, y, **how):
    model = Regressor(**how)
    for x, target in zip(table, y, strict=True):
        model.learn_one(x, target)
    return model


@pytest.mark.parametrize("moves", [True, False])
@pytest.mark.parametrize("how", [{}, {"half_life": 400, "dispersion": 100.0}, {"missing": "mean"}])
def test_it_is_the_model_without(how, moves, monkeypatch):
    """Control: the scaler moves, and the filter stays."""
    table, y = rows()
    first, seen, take = learned(table, y, **how), [], kfng.Filter.change_units

    def change(flt, *, center, scale):
        seen.append(center)
        return take(flt, center=center, scale=scale) if moves else flt

    monkeypatch.setattr(kfng.Filter, "change_units", change)
    running = learned(table, y, standardize="running", **how)
    assert len(seen) >= 4
    found, wanted = (
        [(m.predict_one(x), m.predict_one(x, with_dist=True).sigma) for x in table] for m in (running, first)
    )
    error = relative_error(found, wanted)
    assert error < EXACT if moves else error > CONTROL * EXACT
    assert running.features == first.features


def test_frames_copies_and_what_it_is_not_for():
    table, y = rows()
    model = learned(table, y, standardize="running")
    frame = pd.DataFrame(table).fillna(0.0)
    twin = Regressor(standardize="running")
    twin.learn_many(frame[:150], pd.Series(y[:150]))
    twin = pickle.loads(pickle.dumps(twin))
    twin.learn_many(frame[150:], pd.Series(y[150:]))
    assert twin.filter._to_bytes() == model.filter._to_bytes()
    assert model.clone().standardize == "running"
    assert np.allclose(model.predict_many(frame), [model.predict_one(x) for x in table], rtol=1e-12)
    for wrong in ({"standardize": "always"}, {"standardize": "running", "belief": "diagonal"}):
        with pytest.raises(kfng.KfngError) as caught:
            Regressor(**wrong)
        assert caught.value.argument == "standardize"
