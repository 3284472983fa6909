"""kfng.river with standardize='running': the same model in coordinates that follow the rows, features that appear among them."""

import pickle

import numpy as np
import pytest
from tolerances import CONTROL, covariance_error, relative_error, theta_error

import kfng

try:
    import pandas as pd

    from kfng.river import Classifier, Regressor
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


# -- classes

SAME = 1e-9
CLASSES = {"two": 2, "three": 3, "a third that comes later": 3, "a third and a fourth": 4}


def labelled(name):
    """Features that wander off and widen, and classes by name; with `late` classes not all in the first rows."""
    rng = np.random.default_rng(4)
    X = rng.normal(size=(N, 3)) * np.linspace(1, 4, N)[:, None] + np.linspace(0, 8, N)[:, None] * [1, 0, -1]
    k = CLASSES[name]
    z = (0.4 * X @ rng.normal(size=(3, k)) + rng.gumbel(size=(N, k))).argmax(axis=1)
    if name.startswith("a third"):
        z[:130] %= 2
    if k == 4:
        z[(z == 3) & (np.arange(N) < 200)] = 2
        z[:130] %= 2
    X = X * [1.0, 1e-3, 300.0] + [0, 3e-3, 2100]
    return X, ["abcd"[code] for code in z]


def taught(table, y, **how):
    model = Classifier(**how)
    for x, label in zip(table, y, strict=True):
        model.learn_one(x, label)
    return model


def moving(monkeypatch, moves):
    """`change_units` counted, or left out."""
    seen, take = [], kfng.Filter.change_units

    def change(flt, *, center, scale):
        seen.append(center)
        return take(flt, center=center, scale=scale) if moves else flt

    monkeypatch.setattr(kfng.Filter, "change_units", change)
    return seen


@pytest.mark.parametrize("moves", [True, False])
@pytest.mark.parametrize("name", ["two", "three"])
def test_a_classifier_is_one_of_rows_standardised_beforehand(name, moves, monkeypatch):
    """By the final scaler, from the corresponding prior. Control: the scaler moves, and the filter stays."""
    X, y = labelled(name)
    seen = moving(monkeypatch, moves)
    model = taught([dict(zip("abc", x, strict=True)) for x in X.tolist()], y, standardize="running")
    monkeypatch.undo()
    assert len(seen) >= 3
    scaler, codes = model._learner.scaler, [model.classes.index(label) for label in y]
    start = model.filter
    if not moves:  # the prior goes where the scaler went, the filter's own did not
        first = Classifier(standardize="running", warmup=32)
        for x, label in zip(X[:32].tolist(), y[:32], strict=True):
            first.learn_one(dict(zip("abc", x, strict=True)), label)
        was = first._learner.scaler
        start = first.filter.change_units(
            center=(scaler.center - was.center) / was.scale, scale=scaler.scale / was.scale
        )
    beforehand = kfng.Filter._from_settings(start.settings)
    beforehand.update_many(scaler.seen(X), codes)
    errors = (
        theta_error(model.filter.theta, beforehand.theta, beforehand.cov()),
        covariance_error(model.filter.cov(), beforehand.cov()),
    )
    assert max(errors) < SAME if moves else min(errors) > CONTROL * SAME


@pytest.mark.parametrize("moves", [True, False])
@pytest.mark.parametrize("how", [{}, {"half_life": 400}, {"missing": "mean"}])
@pytest.mark.parametrize("name", CLASSES)
def test_a_classifier_is_the_one_without(name, how, moves, monkeypatch):
    """Features and classes that come later among them. Control: the scaler moves, and the filter stays."""
    X, y = labelled(name)
    table = [dict(zip("abc", x, strict=True)) for x in X.tolist()]
    for x in table[120:]:
        x["late"] = 50 + x["b"]
    plain = taught(table, y, **how)
    seen = moving(monkeypatch, moves)
    running = taught(table, y, standardize="running", **how)
    assert len(seen) >= 3
    found, wanted = (np.array([list(m.predict_proba_one(x).values()) for x in table]) for m in (running, plain))
    assert found.shape == (N, CLASSES[name])
    error = np.abs(found - wanted).max()
    assert error < SAME if moves else error > CONTROL * SAME
    assert running.features == plain.features


def test_a_classifier_in_frames_and_copies():
    X, y = labelled("a third and a fourth")
    frame = pd.DataFrame(X, columns=list("abc"))
    model = taught(frame.to_dict("records"), y, standardize="running")
    twin = Classifier(standardize="running")
    twin.learn_many(frame[:180], pd.Series(y[:180]))
    twin = pickle.loads(pickle.dumps(twin))
    twin.learn_many(frame[180:], pd.Series(y[180:]))
    assert twin.filter._to_bytes() == model.filter._to_bytes()
    each = [list(model.predict_proba_one(x).values()) for x in frame.to_dict("records")]
    assert np.allclose(model.predict_proba_many(frame), each, rtol=1e-12, atol=1e-15)
    assert model.clone().standardize == "running"
    for wrong in ({"standardize": "always"}, {"standardize": "running", "belief": "diagonal"}):
        with pytest.raises(kfng.KfngError) as caught:
            Classifier(**wrong)
        assert caught.value.argument == "standardize"
