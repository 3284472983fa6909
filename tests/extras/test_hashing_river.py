"""`hashing=` of the models for river: the model of the hashed columns, whatever the names are."""

import pickle

import numpy as np
import pytest

import kfng

try:
    import pandas as pd
    from sklearn.feature_extraction import FeatureHasher

    from kfng.river import Classifier, Regressor
except ImportError as error:
    pytest.fail(f"the extras sklearn and river are not installed: {error}", pytrace=False)

COLUMNS = 16
MODELS = pytest.mark.parametrize("model", [Regressor, Classifier])


def stream(n=120, seed=0):
    """Rows of numbers and words, new ones all the time, and a number that depends on them."""
    rng = np.random.default_rng(seed)
    for i in range(n):
        x = {"a": float(rng.normal()), "day": str(i % 7), f"new{i // 10}": float(rng.normal()), 3: float(i % 2)}
        yield x, 2.0 * x["a"] - (x["day"] == "3") + 0.1 * rng.normal()


def target(model, y):
    return y if model is Regressor else y > 0


def columns_of(x):
    row = FeatureHasher(COLUMNS).transform([{str(name): value for name, value in x.items()}])
    row.sum_duplicates()
    return dict(zip(row.indices.tolist(), row.data.tolist(), strict=True))


def taught(model, see=lambda x: x, **options):
    found = model(**options)
    for x, y in stream():
        found.learn_one(see(x), target(model, y))
    return found


@MODELS
def test_the_model_of_the_columns(model):
    hashed, plain = taught(model, hashing=COLUMNS), taught(model, columns_of)
    other = taught(model, lambda x: {(i + 1) % COLUMNS: value for i, value in columns_of(x).items()})
    assert set(hashed.features) <= set(range(COLUMNS))
    assert len(hashed.features) > 10
    assert hashed.features == plain.features != other.features
    assert np.allclose(hashed.filter.theta, plain.filter.theta, rtol=1e-10, atol=1e-12)
    for x, _ in stream(20, seed=1):
        if model is Regressor:
            assert hashed.predict_one(x) == pytest.approx(plain.predict_one(columns_of(x)), rel=1e-9)
            assert hashed.predict_interval_one(x) == pytest.approx(plain.predict_interval_one(columns_of(x)), rel=1e-9)
        else:
            assert hashed.predict_proba_one(x) == pytest.approx(plain.predict_proba_one(columns_of(x)), rel=1e-9)


@MODELS
def test_frames_and_copies(model):
    rng = np.random.default_rng(2)
    X = pd.DataFrame(rng.normal(size=(80, 5)), columns=list("vwxyz"))
    y = pd.Series(X["v"] - 2 * X["w"])
    y = y if model is Regressor else y > 0
    one, many = model(hashing=7), model(hashing=7)
    for x, label in zip(X.to_dict("records"), y, strict=True):
        one.learn_one(x, label)
    many.learn_many(X, y)
    assert np.array_equal(one.filter.theta, many.filter.theta)
    again = pickle.loads(pickle.dumps(one))
    singly = [one.predict_one(x) for x in X.to_dict("records")]
    assert list(again.predict_many(X)) == pytest.approx(singly, rel=1e-12)
    assert one.clone().hashing == 7


@MODELS
@pytest.mark.parametrize("hashing", [0, -1, 2.5, "many", True])
def test_what_is_no_number_of_columns(model, hashing):
    with pytest.raises(kfng.ParameterError, match="hashing"):
        model(hashing=hashing)


@MODELS
def test_gaps_have_no_column(model):
    with pytest.raises(kfng.ParameterError, match="hashing"):
        model(hashing=8, missing="mean")


def test_a_refused_row_changes_nothing():
    model = taught(Regressor, hashing=COLUMNS)
    before = model.filter.theta.copy()
    for bad in ({"a": np.nan}, {"a": [1.0]}):
        with pytest.raises((kfng.NonFiniteError, kfng.DtypeError)):
            model.learn_one(bad, 1.0)
    assert np.array_equal(before, model.filter.theta)
