"""`kfng.sklearn`: the posteriors of scikit-learn's batch fits, no matter how rows come, and life among its tools."""

import io
import pickle
import subprocess
import sys

import numpy as np
import pytest

import kfng
from kfng.checkpoint import MAGIC

try:
    import joblib
    import pandas as pd
    import sklearn
    from scipy.sparse import coo_array, csc_matrix, csr_array, csr_matrix
    from sklearn.base import clone
    from sklearn.feature_extraction import FeatureHasher
    from sklearn.linear_model import BayesianRidge, LogisticRegression
    from sklearn.metrics import get_scorer
    from sklearn.model_selection import GridSearchCV, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
except ImportError as error:
    pytest.fail(f"the extra sklearn is not installed: {error}", pytrace=False)

from kfng.sklearn import OnlineClassifier, OnlineRegressor

EXACT, CONTROL = 1e-9, 1000.0
D = 4
SCALES = np.array([1.0, 1e-4, 300.0, 5.0])
MEANS = np.array([0.0, 1.0, 2013.0, -50.0])


def rows(n=200, family="gaussian", seed=0):
    """Raw rows: features of any scale, and of means far from 0."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, D))
    z = X @ [0.6, -0.4, 0.3, 0.0] + 0.5
    y = {
        "gaussian": lambda: 1000 + 20 * (z + 0.5 * rng.normal(size=n)),
        "poisson": lambda: rng.poisson(np.exp(z)),
        "negative_binomial": lambda: rng.poisson(np.exp(z) * rng.gamma(2, 0.5, size=n)),
        "gamma": lambda: np.exp(z) * rng.gamma(3, 1 / 3, size=n),
        "two": lambda: np.where(rng.random(n) < 1 / (1 + np.exp(-2 * z)), "yes", "no"),
        "three": lambda: np.argmax(np.outer(z, [-1, 0, 2]) + rng.gumbel(size=(n, 3)), axis=1) * 10,
    }[family]()
    return X * SCALES + MEANS, y


CASES = {
    "gaussian": (OnlineRegressor(), "gaussian"),
    "known noise": (OnlineRegressor(dispersion=100.0, half_life=50), "gaussian"),
    "prior": (OnlineRegressor(warmup=0), "gaussian"),
    "diagonal": (OnlineRegressor(belief="diagonal"), "gaussian"),
    "mlp": (OnlineRegressor(model="mlp", hidden=(5,), random_state=0), "gaussian"),
    "float32": (OnlineRegressor(dtype="float32"), "gaussian"),
    "poisson": (OnlineRegressor("poisson"), "poisson"),
    "negative_binomial": (OnlineRegressor("negative_binomial", dispersion=0.5), "negative_binomial"),
    "gamma": (OnlineRegressor("gamma", dispersion=1 / 3), "gamma"),
    "binary": (OnlineClassifier(), "two"),
    "multinomial": (OnlineClassifier(), "three"),
    "mlp classifier": (OnlineClassifier(model="mlp", hidden=(5,), random_state=0), "three"),
}


@pytest.fixture(params=CASES)
def case(request):
    """An estimator and its rows X, y."""
    estimator, family = CASES[request.param]
    return clone(estimator), *rows(family=family)


def learn(estimator, X, y, weight, cuts):
    """`partial_fit` in pieces."""
    more = {"classes": np.unique(y)} if isinstance(estimator, OnlineClassifier) else {}
    for piece in np.split(np.arange(len(y)), cuts):
        if len(piece):
            estimator.partial_fit(X[piece], y[piece], sample_weight=weight[piece], **more)
    return estimator


def answers(estimator, X):
    return estimator.predict_proba(X) if isinstance(estimator, OnlineClassifier) else np.array(
        estimator.predict(X, return_std=True)
    )  # fmt: skip


# -- posteriors of batch fits


def ridge(prior_variance=None):
    X, y = rows(300)
    X, y = (X - X.mean(axis=0)) / X.std(axis=0), (y - y.mean()) / y.std()
    batch = BayesianRidge(fit_intercept=False).fit(X, y)
    own = OnlineRegressor(
        dispersion=1 / batch.alpha_,
        prior_variance=prior_variance or 1 / batch.lambda_,
        warmup=0,
        fit_intercept=False,
    ).fit(X, y)
    sd = np.sqrt(np.diagonal(batch.sigma_))
    return batch, own, sd


def test_fit_is_bayesian_ridge():
    batch, own, sd = ridge()
    assert np.max(np.abs(own.coef_ - batch.coef_) / sd) < EXACT
    assert np.max(np.abs(own.filter_.cov() - batch.sigma_) / np.outer(sd, sd)) < EXACT
    X = rows(20, seed=1)[0] / SCALES
    for mine, its in zip(own.predict(X, return_std=True), batch.predict(X, return_std=True), strict=True):
        assert np.max(np.abs(mine - its) / np.abs(its)) < EXACT


def test_another_prior_is_another_posterior():
    """The control."""
    batch, own, sd = ridge(0.01)
    assert np.max(np.abs(own.coef_ - batch.coef_) / sd) > CONTROL * EXACT


def test_raw_rows_have_the_posterior_of_scale_free_priors():
    """In closed form: about the mean, weights N(0, V/var(x_j)), intercept N(mean of y, V)."""
    X, y = rows(300)
    own = OnlineRegressor(dispersion=90.0).fit(X, y)
    x, V = X - X.mean(axis=0), y.var()
    J = x.T @ x / 90.0 + np.diag(X.var(axis=0) / V)
    P = np.linalg.inv(J)
    w, sd = P @ (x.T @ (y - y.mean()) / 90.0), np.sqrt(np.diagonal(P))
    assert np.max(np.abs(own.coef_ - w) / sd) < EXACT
    assert np.max(np.abs(own.coef_std_ / sd - 1)) < EXACT
    assert abs(own.intercept_ - (y.mean() - X.mean(axis=0) @ w)) < EXACT * abs(own.intercept_)


def test_shapes_of_coefficients():
    for family, model, weights, levels in (
        ("gaussian", OnlineRegressor(), (D,), ()),
        ("two", OnlineClassifier(), (1, D), (1,)),
        ("three", OnlineClassifier(), (3, D), (3,)),
    ):
        X, y = rows(family=family)
        model.fit(X, y)
        assert model.coef_.shape == model.coef_std_.shape == weights
        assert np.shape(model.intercept_) == levels
        z = X @ np.atleast_2d(model.coef_).T + model.intercept_
        if family == "gaussian":
            assert np.allclose(z[:, 0], model.predict(X), rtol=1e-12)
        else:
            z = np.column_stack([np.zeros(len(X)), z]) if family == "two" else z
            p = np.exp(z - z.max(axis=1, keepdims=True))
            assert np.allclose(p / p.sum(axis=1, keepdims=True), model.predict_proba(X), rtol=1e-9)
    network = OnlineRegressor(model="mlp", hidden=(3,))
    for name in ("coef_", "coef_std_", "intercept_"):
        assert not hasattr(network, name)
        assert not hasattr(network.fit(*rows()), name)


@pytest.mark.parametrize("seed", [3, 4, 5])
@pytest.mark.parametrize("iterations", [1, 3])
def test_fit_is_nearly_logistic_regression(iterations, seed):
    """One pass against the mode of the same posterior, C = the prior variance: within 0.25 posterior standard deviations.

    Control: a tenth of the rows fewer leads further away.
    """
    X, y = rows(3000, "two", seed=seed)
    X = (X - MEANS) / SCALES
    batch = LogisticRegression(C=4.0, fit_intercept=False, tol=1e-10).fit(X, y)
    own = OnlineClassifier(prior_variance=4.0, warmup=0, fit_intercept=False, iterations=iterations).fit(X, y)
    p = batch.predict_proba(X)[:, 1]
    P = np.linalg.inv((X.T * (p * (1 - p))) @ X + np.eye(D) / 4.0)
    sd = np.sqrt(np.diagonal(P))
    assert np.max(np.abs(own.coef_ - batch.coef_) / sd) < 0.25
    fewer = clone(own).fit(X[300:], y[300:])
    assert np.max(np.abs(fewer.coef_ - batch.coef_) / sd) > 0.25
    assert np.max(np.abs(own.coef_std_ / sd - 1)) < 0.1
    assert list(own.classes_) == list(batch.classes_)


# -- rows in any pieces


def test_pieces_make_no_difference(case):
    estimator, X, y = case
    weight = np.random.default_rng(5).integers(0, 3, size=len(X)).astype(float)
    whole = answers(learn(estimator, X, y, weight, []), X)
    for cuts in (range(1, len(X)), [5], [3, 40, 41, 130], [31], [32], [33]):
        pieces = learn(clone(estimator), X, y, weight, cuts)
        assert np.array_equal(answers(pieces, X), whole)
    swapped = np.r_[1, 0, 2 : len(X)]
    assert not np.array_equal(answers(learn(clone(estimator), X[swapped], y[swapped], weight[swapped], []), X), whole)


def test_predictions_before_the_start_are_those_of_what_is_held(case):
    estimator, X, y = case
    weight = np.ones(len(X))
    classes = len(np.unique(y[:9])) == len(np.unique(y))
    assert classes or not isinstance(estimator, OnlineClassifier)
    held = learn(clone(estimator), X[:9], y[:9], weight, [4])
    assert np.array_equal(answers(held, X), answers(clone(estimator).fit(X[:9], y[:9]), X))


def test_rows_of_weight_0_are_not_there(case):
    estimator, X, y = case
    if getattr(estimator, "half_life", None):
        estimator.set_params(half_life=None)  # time passes with every row
    weight = (np.random.default_rng(6).random(len(X)) < 0.5).astype(float)
    some = weight > 0
    with_them = learn(clone(estimator), X, y, weight, [20])
    without = learn(clone(estimator), X[some], y[some], weight[some], [3])
    assert np.allclose(answers(with_them, X), answers(without, X), rtol=1e-12, atol=0)


def test_weight_2_is_two_rows_for_the_gaussian_alone():
    X, y = rows()
    twice = np.repeat(X, 2, axis=0), np.repeat(y, 2)
    two = OnlineRegressor().fit(X, y, sample_weight=np.full(len(X), 2.0))
    assert np.allclose(two.predict(X), OnlineRegressor().fit(*twice).predict(X), rtol=1e-11, atol=0)
    X, y = rows(family="poisson")
    twice = np.repeat(X, 2, axis=0), np.repeat(y, 2)
    two = OnlineRegressor("poisson").fit(X, y, sample_weight=np.full(len(X), 2.0))
    difference = np.abs(two.predict(X) / OnlineRegressor("poisson").fit(*twice).predict(X) - 1)
    assert 1e-8 < difference.max() < 0.05


def test_fit_starts_afresh(case):
    estimator, X, y = case
    once = answers(clone(estimator).fit(X, y), X)
    assert np.array_equal(answers(estimator.fit(X[::-1], y[::-1]).fit(X, y), X), once)


# -- among scikit-learn's tools


def test_a_pickle_is_the_checkpoint_and_learns_on(case):
    estimator, X, y = case
    weight = np.ones(len(X))
    learn(estimator, X[:100], y[:100], weight, [])
    data = pickle.dumps(estimator)
    assert MAGIC in data
    file = io.BytesIO()
    joblib.dump(estimator, file)
    file.seek(0)
    for twin in (pickle.loads(data), joblib.load(file)):
        assert np.array_equal(answers(twin, X), answers(estimator, X))
        learn(twin, X[100:], y[100:], weight, [])
        assert np.array_equal(answers(twin, X), answers(learn(clone(estimator), X, y, weight, []), X))


def test_held_rows_are_in_the_pickle():
    X, y = rows()
    held = pickle.loads(pickle.dumps(OnlineRegressor().partial_fit(X[:20], y[:20])))
    whole = OnlineRegressor().partial_fit(X, y)
    assert np.array_equal(held.partial_fit(X[20:], y[20:]).predict(X), whole.predict(X))


def test_grid_search_in_a_pipeline_with_routed_weights():
    X, y = rows(family="two")
    weight = np.where(y == "yes", 3.0, 1.0)
    with sklearn.config_context(enable_metadata_routing=True):
        pipe = make_pipeline(
            StandardScaler().set_fit_request(sample_weight=False),
            OnlineClassifier().set_fit_request(sample_weight=True),
        )
        grid = {"onlineclassifier__prior_variance": [1e-6, 1.0], "onlineclassifier__iterations": [1, 2]}
        score = get_scorer("neg_log_loss").set_score_request(sample_weight=True)
        found = GridSearchCV(pipe, grid, cv=3, scoring=score).fit(X, y, sample_weight=weight)
        plain = clone(found.best_estimator_).fit(X, y)
    assert found.best_params_["onlineclassifier__prior_variance"] == 1.0
    share = [(model.predict_proba(X)[:, 1]).mean() for model in (found.best_estimator_, plain)]
    assert share[0] > share[1] + 0.1


def test_cross_validation_in_processes():
    X, y = rows(family="poisson")
    alone = cross_val_score(OnlineRegressor("poisson"), X, y, cv=4)
    assert np.array_equal(cross_val_score(OnlineRegressor("poisson"), X, y, cv=4, n_jobs=2), alone)
    assert alone.mean() > 0.2


def test_names_of_a_data_frame():
    X, y = rows()
    frame = pd.DataFrame(X, columns=list("abcd"))
    model = OnlineRegressor().fit(frame, y)
    assert list(model.feature_names_in_) == list("abcd")
    assert np.array_equal(model.predict(frame), OnlineRegressor().fit(X, y).predict(X))
    with pytest.raises(ValueError, match="feature names"):
        model.partial_fit(frame[list("badc")], y)


def test_return_std_through_a_pipeline():
    X, y = rows()
    mean, std = make_pipeline(StandardScaler(), OnlineRegressor()).fit(X, y).predict(X, return_std=True)
    assert mean.shape == std.shape == y.shape


# -- how sure it is


@pytest.mark.parametrize("family", ["gaussian", "poisson", "negative_binomial", "gamma"])
def test_intervals_hold_what_they_promise_and_draws_have_the_moments(family):
    dispersion = {"negative_binomial": 0.5, "gamma": 1 / 3}.get(family)
    X, y = rows(2000, family)
    model = OnlineRegressor(family, dispersion=dispersion).partial_fit(X[:1000], y[:1000])
    low, high = model.predict_interval(X[1000:], 0.8).T
    inside = np.mean((low <= y[1000:]) & (y[1000:] <= high))
    assert inside > 0.77  # intervals of counts hold more
    assert inside < 0.83 or family in ("poisson", "negative_binomial")
    draws = model.sample_y(X[:5], 20000, random_state=1)
    mean, std = model.predict(X[:5], return_std=True)
    assert draws.shape == (5, 20000)
    assert np.max(np.abs(draws.mean(axis=1) - mean) / std) < 0.05
    assert np.max(np.abs(draws.std(axis=1) / std - 1)) < 0.06
    assert np.array_equal(draws, model.sample_y(X[:5], 20000, random_state=1))


@pytest.mark.parametrize("family", ["two", "three"])
def test_draws_of_classes_have_their_probabilities(family):
    X, y = rows(1000, family)
    model = OnlineClassifier().fit(X, y)
    draws = model.sample_y(X[:5], 20000, random_state=1)
    shares = np.array([[np.mean(row == label) for label in model.classes_] for row in draws])
    assert np.max(np.abs(shares - model.predict_proba(X[:5]))) < 0.03


def test_draws_of_one_call_share_their_parameters():
    """What is not known of the parameters moves rows together; the noise moves each alone."""
    X, y = rows(40)
    model = OnlineRegressor().fit(X, y)
    x = np.repeat(X[:1] + 5 * SCALES, 2, axis=0)
    together = np.corrcoef(model.sample_y(x, 5000))[0, 1]
    std, bare = (
        model.filter_.predict(x - model.center_, return_std=True, include_noise=on)[1][0] for on in (True, False)
    )
    assert abs(together - (bare / std) ** 2) < 0.05
    assert together > 0.3


def test_half_life_follows_a_change():
    X, y = rows(2000)
    y = np.where(np.arange(2000) < 1000, y, 2000 - y)
    late = slice(1900, 2000)
    errors = [
        np.std(y[late] - OnlineRegressor(half_life=h).partial_fit(X[:1900], y[:1900]).predict(X[late]))
        for h in (None, 100)
    ]
    assert errors[1] < 0.7 * errors[0]


# -- what is refused


def test_classes_are_those_of_the_first_call():
    X, y = rows(family="three")
    model = OnlineClassifier()
    with pytest.raises(ValueError, match="classes must be passed"):
        model.partial_fit(X, y)
    model.partial_fit(X, y, classes=[0, 10, 20])
    before = model.predict_proba(X)
    with pytest.raises(ValueError, match="not among classes"):
        model.partial_fit(X[:1], [30])
    with pytest.raises(ValueError, match="not the same"):
        model.partial_fit(X[:1], [10], classes=[0, 10])
    assert np.array_equal(model.predict_proba(X), before)


@pytest.mark.parametrize(
    "options",
    [
        {"family": "cauchy"},
        {"family": "poisson", "dispersion": 2.0},
        {"dispersion": -1.0},
        {"model": "tree"},
        {"belief": "none"},
        {"hidden": 5},
        {"forgetting": 0.1, "half_life": 3},
        {"half_life": "7 parsecs"},
        {"half_life": "7d"},  # without times
        {"warmup": -1},
        {"prior_variance": 0.0},
        {"dtype": "int8"},
        {"family": kfng.Categorical(3)},
        {"family": kfng.Gamma(2.0), "dispersion": 2.0},
    ],
    ids=str,
)
def test_settings_that_make_no_sense(options):
    X, y = rows()
    with pytest.raises(kfng.KfngError):
        OnlineRegressor(**options).fit(X, np.abs(y))


def test_counts_are_not_negative():
    X, y = rows(family="poisson")
    model = OnlineRegressor("poisson").partial_fit(X, y)
    before = model.predict(X)
    with pytest.raises(ValueError, match=">= 0"):
        model.partial_fit(X, y - 1)
    assert np.array_equal(model.predict(X), before)


def test_components_of_kfng_are_families():
    X, y = rows(family="gamma")
    named = OnlineRegressor("gamma", dispersion=0.5).fit(X, y)
    assert np.array_equal(OnlineRegressor(kfng.Gamma(2.0)).fit(X, y).predict(X), named.predict(X))


def test_import_kfng_does_not_import_it():
    source = "import sys, kfng; print([m for m in ('sklearn', 'river', 'pandas', 'scipy') if m in sys.modules])"
    said = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


# -- what is missing


def holes(X, share=0.1, seed=7):
    return np.where(np.random.default_rng(seed).random(X.shape) < share, np.nan, X)


def filled(X, weight, first=32):
    """By the definition, row by row: the mean of the rows before, in the first rows the mean of all of these."""
    U, there = X.copy(), ~np.isnan(X)
    held = int(np.flatnonzero(np.cumsum(weight > 0) == first)[0]) + 1
    for i, j in zip(*np.nonzero(~there), strict=True):
        seen = slice(0, held if i < held else i)
        U[i, j] = np.average(X[seen, j][there[seen, j]], weights=weight[seen][there[seen, j]])
    return U


def test_the_running_mean_stands_for_what_is_missing(case):
    estimator, X, y = case
    X, weight = holes(X), np.random.default_rng(5).integers(0, 3, size=len(X)).astype(float)
    estimator.set_params(missing="mean", warmup=32)
    whole = learn(clone(estimator), X, y, weight, [])
    U = filled(X, weight)
    its = learn(clone(estimator).set_params(missing="raise"), U, y, weight, [])
    rows, sd = U[X.shape[0] // 2 :], np.abs(answers(its, U)).max()
    tolerance = (1e-3 if estimator.dtype == "float32" else EXACT) * sd
    assert np.max(np.abs(answers(whole, rows) - answers(its, rows))) < tolerance
    zeros = learn(clone(estimator).set_params(missing="raise"), np.nan_to_num(X), y, weight, [])  # the control
    assert np.max(np.abs(answers(zeros, rows) - answers(its, rows))) > CONTROL * EXACT * sd
    for cuts in (range(1, len(X)), [3, 40, 41, 130]):
        assert np.array_equal(answers(learn(clone(estimator), X, y, weight, cuts), X), answers(whole, X))
    means = np.average(np.nan_to_num(X), axis=0, weights=weight[:, None] * ~np.isnan(X))
    last = np.where(np.isnan(X), means, X)
    assert np.allclose(answers(whole, X), answers(whole, last), rtol=1e-9, atol=0)


def test_rows_with_something_missing_teach_nothing(case):
    estimator, X, y = case
    X, weight = holes(X), np.ones(len(X))
    estimator.set_params(missing="skip")
    skipped = learn(clone(estimator), X, y, weight, [])
    whole = ~np.isnan(X).any(axis=1)
    zero = learn(clone(estimator).set_params(missing="raise"), np.nan_to_num(X), y, weight * whole, [])
    assert np.array_equal(answers(skipped, X[whole]), answers(zero, X[whole]))
    assert np.isfinite(answers(skipped, X)).all()
    pieces = learn(clone(estimator), X, y, weight, range(1, len(X)))
    assert np.array_equal(answers(pieces, X), answers(skipped, X))


def test_missing_numbers_are_refused_unless_asked_for():
    X, y = rows()
    model = OnlineRegressor().fit(X, y)
    before = model.predict(X)
    with pytest.raises(ValueError, match="NaN"):
        model.partial_fit(holes(X), y)
    with pytest.raises(ValueError, match="infinity"):
        OnlineRegressor(missing="mean").fit(np.where(np.isnan(holes(X)), np.inf, X), y)
    with pytest.raises(kfng.UnknownNameError):
        OnlineRegressor(missing="median").fit(X, y)
    assert np.array_equal(model.predict(X), before)


# -- sparse rows


def texts(n=400, d=2**12, seed=0):
    """Tokens of rows, some of which say something of y."""
    rng = np.random.default_rng(seed)
    words = [[f"w{j}" for j in rng.integers(0, 300, size=8)] for _ in range(n)]
    z = np.array([sum({"w1": 2, "w2": -2, "w3": 3, "w4": -3}.get(w, 0) for w in (*row, *row[:2])) for row in words])
    y = np.where(rng.random(n) < 1 / (1 + np.exp(-2 * z)), "yes", "no")
    for row, label in zip(words, y, strict=True):
        row += ["good"] * (label == "yes") + ["bad"] * (label == "no" and rng.random() < 0.5)
    return words, y


@pytest.mark.parametrize("half_life", [None, 300])
def test_hashed_words_are_learned_sparse(half_life):
    words, y = texts()
    hasher = FeatureHasher(n_features=2**20, input_type="string")
    X = hasher.transform(words)
    model = OnlineClassifier(belief="diagonal", half_life=half_life)
    for start in range(0, 300, 20):
        model.partial_fit(X[start : start + 20], y[start : start + 20], classes=["no", "yes"])
    assert model.score(X[300:], y[300:]) > 0.8 > np.mean(y[300:] == "yes") + 0.1
    assert model.filter_.n_updates == 300
    assert not model.center_.any()
    pipe = make_pipeline(hasher, OnlineClassifier(belief="diagonal")).fit(words[:300], y[:300])
    assert pipe.score(words[300:], y[300:]) > 0.8
    assert pipe[-1].coef_.shape == (1, 2**20)


@pytest.mark.parametrize("belief", ["full", "diagonal"])
@pytest.mark.parametrize("name", ["gaussian", "poisson", "two", "three"])
def test_sparse_rows_in_any_form_and_in_any_pieces(belief, name):
    X, y = rows(family=name)
    X = np.where(np.random.default_rng(1).random((len(X), 4)) < 0.4, X, 0.0)
    estimator = OnlineClassifier(belief=belief) if name in ("two", "three") else OnlineRegressor(name, belief=belief)
    weight = np.random.default_rng(5).integers(0, 3, size=len(X)).astype(float)
    whole = answers(learn(clone(estimator), csr_array(X), y, weight, []), csr_array(X))
    for cuts in ([5], [3, 40, 41, 130], [31, 32, 33]):
        assert np.array_equal(answers(learn(clone(estimator), csr_array(X), y, weight, cuts), csr_array(X)), whole)
    for form in (csc_matrix, coo_array, csr_matrix):
        own = clone(estimator).fit(form(X), y, sample_weight=weight)
        its = clone(estimator).fit(csr_array(X), y, sample_weight=weight)
        assert np.array_equal(answers(own, form(X)), answers(its, X))
    mixed = learn(clone(estimator), X, y, weight, []).partial_fit(csr_array(X), y)
    dense = learn(clone(estimator), X, y, weight, []).partial_fit(X, y)
    assert np.allclose(answers(mixed, csr_array(X)), answers(dense, X), rtol=1e-12, atol=0)


def test_what_is_missing_in_sparse_rows():
    X, y = rows()
    X = np.where(np.random.default_rng(1).random((len(X), 4)) < 0.4, X, 0.0)
    X[50, 1] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        OnlineRegressor().fit(csr_array(X), y)
    with pytest.raises(kfng.UnsupportedError, match="sparse"):
        OnlineRegressor(missing="mean").fit(csr_array(X), y)
    skipped = OnlineRegressor(missing="skip").fit(csr_array(X), y)
    its = OnlineRegressor().fit(csr_array(np.nan_to_num(X)), y, sample_weight=np.arange(len(X)) != 50)
    assert np.array_equal(skipped.predict(csr_array(X)), its.predict(np.nan_to_num(X)))


# -- time


def test_time_between_rows_is_forgetting():
    """Rows at any times are those of the filter with their dt, 0 for the first."""
    X, y = rows()
    plain = OnlineRegressor(half_life=30.0).partial_fit(X, y)
    time = np.cumsum(np.random.default_rng(0).exponential(size=len(X)))
    own = OnlineRegressor(half_life=30.0)
    for part in (slice(0, 3), slice(3, 40), slice(40, len(X))):
        own.partial_fit(X[part], y[part], time=time[part])
    center = np.average(X[:32], axis=0, weights=np.ones(32))
    dt = np.diff(time, prepend=time[0])
    options = {"rule": kfng.Fading(half_life=30.0)}
    flt = kfng.Filter.from_rows(X[:32] - center, y[:32], kfng.Linear(D, 1), kfng.Gaussian(None), dt=dt[:32], **options)
    flt.update_many(X[32:] - center, y[32:], dt=dt[32:])
    assert np.array_equal(own.predict(X), flt.predict(X - center))
    assert np.max(np.abs(own.predict(X) - plain.predict(X))) > 1e-6  # the control


def test_dates_and_a_half_life_in_days():
    X, y = rows()
    days = np.cumsum(np.random.default_rng(0).exponential(size=len(X)))
    dates = np.datetime64("2026-01-01T00:00:00", "us") + (days * 86_400_000_000).astype("m8[us]")
    own = OnlineRegressor(half_life="30d").fit(X, y, time=pd.Series(dates))
    its = OnlineRegressor(half_life=30.0).fit(X, y, time=days)
    assert np.allclose(own.predict(X), its.predict(X), rtol=1e-9)
    for wrong in (None, dates[::-1], days, dates[:-1], np.where(np.arange(len(X)) == 5, np.datetime64("NaT"), dates)):
        before = own.predict(X)
        with pytest.raises(kfng.KfngError):
            own.partial_fit(X, y, time=wrong)
        assert np.array_equal(own.predict(X), before)


def test_times_are_routed():
    X, y = rows()
    time = np.cumsum(np.random.default_rng(0).exponential(size=len(X)))
    with sklearn.config_context(enable_metadata_routing=True):
        own = OnlineRegressor(half_life=20.0).set_fit_request(time=True, sample_weight=False)
        pipe = make_pipeline(StandardScaler(), own).fit(X, y, time=time)
    its = make_pipeline(StandardScaler(), OnlineRegressor(half_life=20.0)).fit(X, y, onlineregressor__time=time)
    assert np.array_equal(pipe.predict(X), its.predict(X))
    assert not np.allclose(pipe.predict(X), pipe.fit(X, y).predict(X), rtol=1e-9)
