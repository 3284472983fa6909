"""standardize='running': the scaler moves with the data and the filter goes with it; what is learned is the same."""

import pickle

import numpy as np
import pytest

import kfng

try:
    from sklearn.base import clone
except ImportError as error:
    pytest.fail(f"the extra sklearn is not installed: {error}", pytrace=False)

from tolerances import covariance_error, relative_error, theta_error

from kfng.sklearn import OnlineClassifier, OnlineRegressor

EXACT, CONTROL = 1e-9, 1000.0
D, N = 3, 400
CASES = {
    "gaussian": lambda **how: OnlineRegressor(**how),
    "known noise": lambda **how: OnlineRegressor(dispersion=100.0, half_life=300, **how),
    "poisson": lambda **how: OnlineRegressor("poisson", **how),
    "two": lambda **how: OnlineClassifier(forgetting=1e-3, **how),
    "three": lambda **how: OnlineClassifier(**how),
    "no intercept": lambda **how: OnlineRegressor(fit_intercept=False, **how),
    "mlp": lambda **how: OnlineRegressor(model="mlp", hidden=(4,), random_state=0, dispersion=100.0, **how),
    "as it is": lambda **how: OnlineRegressor(warmup=0, dispersion=100.0, **how),
}


def rows(name="gaussian", seed=0):
    """Features that wander off and widen, so that their mean and deviation move."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(N, D)) * np.linspace(1, 4, N)[:, None] + np.linspace(0, 8, N)[:, None] * [1, 0, -1]
    z = 0.1 * X @ [0.6, -0.4, 0.3] + 0.5
    y = {
        "poisson": lambda: rng.poisson(np.exp(z)),
        "two": lambda: (rng.random(N) < 1 / (1 + np.exp(-z))).astype(int),
        "three": lambda: np.argmax(np.outer(z, [-1, 0, 2]) + rng.gumbel(size=(N, 3)), axis=1),
    }.get(name, lambda: 1000 + 20 * (z + 0.5 * rng.normal(size=N)))()
    scales = np.array([1.0, 1e-3, 300.0]) if name != "as it is" else np.array([1.0, 0.5, 2.0])
    return X * scales + scales * [0, 3, 7], y


def learned(model, X, y, cuts=(50, 51, 250)):
    classes = {"classes": np.unique(y)} if isinstance(model, OnlineClassifier) else {}
    for part in np.split(np.arange(len(X)), cuts):
        model.partial_fit(X[part], y[part], **classes)
    return model


def means(model, X):
    return model.predict_proba(X) if isinstance(model, OnlineClassifier) else model.predict(X)


@pytest.mark.parametrize("moves", [True, False])
@pytest.mark.parametrize("name", CASES)
def test_it_is_learning_from_rows_standardised_beforehand(name, moves, monkeypatch):
    """By the final scaler, from the corresponding prior. Control: the scaler moves, and the filter stays."""
    seen = []
    take = kfng.Filter.change_units

    def change(flt, *, center, scale):
        seen.append(scale)
        return take(flt, center=center, scale=scale) if moves else flt

    X, y = rows(name)
    monkeypatch.setattr(kfng.Filter, "change_units", change)
    running = learned(CASES[name](standardize="running"), X, y)
    monkeypatch.undo()
    assert len(seen) >= 3
    assert (np.abs(running.center_).max() > 0) == (name != "no intercept")
    # a filter of the same prior that has learned nothing yet, taken to the final coordinates
    recipe = running._stream.recipe
    if recipe.warmup:
        first = recipe.running(X[:32], np.asarray(y[:32], dtype=float), np.ones(32), np.ones(32))
        start, scaler = kfng.Filter._from_settings(first[0].settings), first[1]
        center, scale = scaler.center, scaler.scale
    else:
        start, center, scale = recipe.fresh(D)[0], np.zeros(D), np.ones(D)
    m, s = running.center_, running.scale_
    beforehand = start.change_units(center=(m - center) / scale, scale=s / scale)
    beforehand.update_many((X - m) / s, y)
    P, flt = beforehand.cov(), running.filter_
    Q = (X - m) / s
    error = max(
        theta_error(flt.theta, beforehand.theta, P),
        covariance_error(flt.cov(), P),
        relative_error(flt.predict(Q), beforehand.predict(Q)),
    )
    assert error < EXACT if moves else error > CONTROL * EXACT


@pytest.mark.parametrize("name", CASES)
def test_it_predicts_what_it_does_without(name):
    """And says the same of the coefficients, which are in the units of the data by both."""
    X, y = rows(name)
    running, first = (learned(CASES[name](standardize=how), X, y) for how in ("running", None))
    assert relative_error(means(running, X), means(first, X)) < 1e-8
    if name != "mlp":
        for part in ("coef_", "coef_std_"):
            assert np.allclose(getattr(running, part), getattr(first, part), rtol=1e-7)
        assert np.allclose(running.intercept_, first.intercept_, rtol=1e-7)
    assert (first.scale_ == 1).all()
    assert not np.allclose(running.scale_, 1)


@pytest.mark.parametrize("name", CASES)
def test_how_rows_are_cut_makes_no_difference_and_files_neither(name):
    X, y = rows(name)
    one = learned(CASES[name](standardize="running"), X, y, ())
    other = learned(CASES[name](standardize="running"), X, y, (1, 20, 33, 34, 35, 90, 300))
    assert one.filter_._to_bytes() == other.filter_._to_bytes()
    assert one.center_.tobytes() == other.center_.tobytes()
    assert one.scale_.tobytes() == other.scale_.tobytes()
    twin = pickle.loads(pickle.dumps(learned(clone(one), X[:200], y[:200], (50,))))
    twin.partial_fit(X[200:], y[200:])
    assert twin.filter_._to_bytes() == one.filter_._to_bytes()


def test_the_scaler_is_the_mean_and_deviation_of_the_rows_so_far():
    X, y = rows()
    weight = np.random.default_rng(0).integers(0, 3, N).astype(float)
    model = OnlineRegressor(standardize="running").partial_fit(X, y, sample_weight=weight)
    scaler = model._stream._made.scaler
    mean = np.average(X, axis=0, weights=weight)
    spread = np.sqrt(np.average((X - mean) ** 2, axis=0, weights=weight))
    first, second = scaler.sums / scaler.weight
    assert np.allclose(scaler.center + scaler.scale * first, mean, rtol=1e-12)
    assert np.allclose(scaler.scale * np.sqrt(second - first**2), spread, rtol=1e-12)
    assert (np.abs(model.center_ - mean) <= 0.25 * spread).all()
    assert (np.abs(np.log(model.scale_ / spread)) <= np.log(1.5)).all()


def test_features_that_do_not_move_and_ones_that_are_missing():
    X, y = rows()
    X[:, 1] = 2015.0
    model = OnlineRegressor(standardize="running", missing="mean").partial_fit(X, y)
    assert model.scale_[1] == 1.0
    assert model.center_[1] == 2015.0
    gone = X.copy()
    gone[np.random.default_rng(0).random(X.shape) < 0.2] = np.nan
    for missing in ("mean", "skip"):
        model = OnlineRegressor(standardize="running", missing=missing).partial_fit(gone, y)
        other = OnlineRegressor(missing=missing).partial_fit(gone, y)
        assert relative_error(model.predict(gone), other.predict(gone)) < 1e-8


def test_what_it_is_not_for():
    sparse = pytest.importorskip("scipy.sparse")
    X, y = rows()
    for how in ({"standardize": "always"}, {"standardize": "running", "belief": "diagonal"}):
        with pytest.raises(kfng.KfngError) as caught:
            OnlineRegressor(**how).fit(X, y)
        assert caught.value.argument == "standardize"
    with pytest.raises(kfng.UnsupportedError):
        OnlineRegressor(standardize="running").fit(sparse.csr_array(X), y)
    model = OnlineRegressor(standardize="running").fit(X, y)
    assert np.array_equal(model.predict(sparse.csr_array(X)), model.predict(X))
    with pytest.raises(kfng.UnsupportedError):
        model.partial_fit(sparse.csr_array(X), y)
