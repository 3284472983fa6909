"""`kfng.river`: the same posteriors as rows in an array, features and classes that come and go, life among river's tools."""

import copy
import datetime
import pickle
import threading
import tracemalloc

import numpy as np
import pytest

import kfng

try:
    import pandas as pd
    from river import datasets, evaluate, linear_model, metrics, preprocessing, stream
    from sklearn.linear_model import BayesianRidge
except ImportError as error:
    pytest.fail(f"the extra river is not installed: {error}", pytrace=False)

from kfng.river import Classifier, Regressor
from kfng.sklearn import OnlineClassifier, OnlineRegressor

EXACT = 1e-9
NAMES = ["a", "b", "c", 4]


def rows(n=200, family="gaussian", seed=0):
    """x as dicts, the same as an array in the order of NAMES, and y; raw numbers of any scale and mean."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 4))
    z = X @ [0.6, -0.4, 0.3, 0.1]
    y = {
        "gaussian": lambda: 1000 + 20 * (z + 0.5 * rng.normal(size=n)),
        "poisson": lambda: rng.poisson(np.exp(z)).astype(float),
        "negative_binomial": lambda: rng.poisson(np.exp(z) * rng.gamma(2, 0.5, size=n)).astype(float),
        "gamma": lambda: np.exp(z) * rng.gamma(3, 1 / 3, size=n),
        "two": lambda: np.where(rng.random(n) < 1 / (1 + np.exp(-3 * z)), "yes", "no"),
        "three": lambda: np.array(["u", "v", "w"])[
            np.argmax(np.outer(z, [-2, 0, 3]) + rng.gumbel(size=(n, 3)), axis=1)
        ],
    }[family]()
    X = X * [1.0, 1e-4, 300.0, 5.0] + [0.0, 1.0, 2013.0, -50.0]
    return [dict(zip(NAMES, x, strict=True)) for x in X.tolist()], X, y.tolist()


def model_of(family, **more):
    return Classifier(**more) if family in ("two", "three") else Regressor(family, **more)


FAMILIES = ["gaussian", "poisson", "negative_binomial", "gamma", "two", "three"]


def learn(model, xs, ys):
    for x, y in zip(xs, ys, strict=True):
        model.learn_one(x, y)
    return model


def answers(model, xs):
    """(n, m)."""
    if isinstance(model, Regressor):
        found = [model.predict_one(x, with_dist=True) for x in xs]
        return np.array([[one.mu, one.sigma] for one in found])
    return np.array([[model.predict_proba_one(x).get(label, 0.0) for label in model.classes] for x in xs])


# -- the same as rows in an array


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("n", [10, 200])
def test_it_is_the_estimator_for_arrays(family, n):
    """From 32 rows on and before: the same level, scale, prior and posterior."""
    xs, X, y = rows(family=family)
    own = learn(model_of(family), xs[:n], y[:n])
    if family in ("two", "three"):
        classes = list(dict.fromkeys(y))
        index = np.array([classes.index(label) for label in y])
        its = OnlineClassifier().partial_fit(X[:n], index[:n], classes=np.arange(len(classes))).predict_proba(X)
    else:
        its = np.column_stack(OnlineRegressor(family).partial_fit(X[:n], y[:n]).predict(X, return_std=True))
    order = sorted(range(4), key=lambda i: (type(NAMES[i]).__name__, str(NAMES[i])))
    assert own.features == tuple(NAMES[i] for i in order)
    assert np.allclose(answers(own, xs), its, rtol=EXACT)


def test_it_is_bayesian_ridge():
    """With the noise and the prior that BayesianRidge found, about the means of rows that are all held."""
    xs, X, y = rows(31)
    batch = BayesianRidge().fit((X - X.mean(axis=0)) / X.std(axis=0), y)
    own = learn(Regressor(dispersion=1 / batch.alpha_, prior_variance=1 / batch.lambda_ / np.var(y)), xs, y)
    weights = own.filter.parameters["weight"][0]
    sd = np.sqrt(np.diagonal(batch.sigma_))
    order = [NAMES.index(name) for name in own.features]
    mine = (weights * X.std(axis=0)[order])[np.argsort(order)]
    assert np.max(np.abs(mine - batch.coef_) / sd) < EXACT


@pytest.mark.parametrize("family", FAMILIES)
def test_predictions_are_those_of_the_filter(family):
    xs, _, y = rows(family=family)
    model = learn(model_of(family), xs, y)
    frame = pd.DataFrame(xs, index=range(7, 207))
    if family in ("two", "three"):
        many = model.predict_proba_many(frame)
        assert list(many.columns) == list(model.classes)
        one = [list(model.predict_proba_one(x).values()) for x in xs]
        assert model.predict_many(frame).tolist() == [model.predict_one(x) for x in xs]
    else:
        many, one = model.predict_many(frame), [model.predict_one(x) for x in xs]
        draws = model.filter.predict_quantiles(model._learner.rows(list(frame.columns), frame.to_numpy()), [0.1, 0.9])
        assert model.predict_interval_one(xs[3], 0.8) == pytest.approx(tuple(draws[3]), rel=1e-12)
    assert list(many.index) == list(frame.index)
    assert np.allclose(many, one, rtol=1e-12)


def test_nothing_learned_nothing_known():
    assert Regressor().predict_one({"a": 1.0}) == 0.0
    assert Regressor().filter is None
    assert Classifier().predict_proba_one({"a": 1.0}) == {}
    assert Classifier().predict_one({"a": 1.0}) is None
    assert Regressor().predict_many(pd.DataFrame({"a": [1.0]})).tolist() == [0.0]
    one = learn(Classifier(), [{"a": 1.0}], ["x"])
    assert one.predict_proba_one({"a": 1.0}) == {"x": 1.0}


# -- features that come and go


def growing(seed=1):
    """From row 100 on a feature more, from row 150 on two; some rows without some."""
    xs, _, y = rows(300, seed=seed)
    rng = np.random.default_rng(seed)
    for i, x in enumerate(xs):
        if i >= 100:
            x["new"] = 3.0 + rng.random()
        if i >= 150:
            x |= {"late": rng.normal(), ("t", 1): float(rng.integers(0, 2))}
        if i % 7 == 0:
            del x["b"]
    return xs, y


@pytest.mark.parametrize("family", ["gaussian", "two"])
def test_a_new_feature_enters_with_its_prior_and_the_rest_stays(family):
    xs, _, y = rows(family=family)
    model = learn(model_of(family), xs, y)
    before = model.filter.copy()
    by_hand = before.add_features(1, prior_variance=before.settings.belief.prior_diagonal(5)[-1] / 8.0**2)
    x = {**xs[0], "new": 8.0}
    model.learn_one(x, y[0])
    u = np.append([x[name] for name in model.features[:4]] - model._learner.center[:4], 8.0)
    by_hand.update(u, y[0] if family == "gaussian" else float(model.classes.index(y[0])))
    assert model.filter._to_bytes() == by_hand._to_bytes()
    assert model.features[4] == "new"
    assert model.filter is not before


def test_units_of_a_new_feature_play_no_part():
    xs, y = growing()
    other = [{name: value * (1e5 if name == "new" else 1) for name, value in x.items()} for x in xs]
    one, two = (learn(Regressor(), rows, y) for rows in (xs, other))
    assert np.allclose(answers(one, xs), answers(two, other), rtol=1e-8)
    assert one.features == two.features
    control = learn(Regressor(), [{k: v for k, v in x.items() if k != "new"} for x in xs], y)
    assert not np.allclose(answers(one, xs), answers(control, xs), rtol=1e-5)


def test_a_vanished_feature_is_zero():
    xs, _, y = rows()
    zeros = [{name: 0.0 if i % 3 == 0 and name == "c" else v for name, v in x.items()} for i, x in enumerate(xs)]
    gone = [{name: value for name, value in x.items() if value != 0.0} for x in zeros]
    assert sum(len(x) for x in gone) < sum(len(x) for x in zeros)
    one, two = learn(Regressor(), zeros, y), learn(Regressor(), gone, y)
    assert one.filter._to_bytes() == two.filter._to_bytes()
    assert one.predict_one(zeros[0]) == one.predict_one(gone[0])


def test_a_feature_that_is_zero_is_not_there_yet():
    xs, _, y = rows()
    model = learn(Regressor(), xs, y)
    model.learn_one({**xs[0], "new": 0.0}, y[0])
    assert len(model.features) == 4
    learn(model, [{}], [y[0]])
    assert len(model.features) == 4


def test_new_features_help():
    """What y owes to the late features is found."""
    xs, y = growing()
    y = [value + 30.0 * x.get("late", 0.0) for x, value in zip(xs, y, strict=True)]
    model = learn(Regressor(), xs, y)
    weights = dict(zip(model.features, model.filter.parameters["weight"][0], strict=True))
    sd = dict(zip(model.features, model.filter.std(), strict=False))
    assert abs(weights["late"] - 30.0) < 4 * sd["late"] < 6.0


def test_a_filter_that_was_handed_out_stays():
    xs, _, y = rows()
    model = learn(Regressor(), xs, y)
    for name in ("new", "newer"):
        held = model.filter
        theta = held.theta.copy()
        learn(model, [{**xs[0], name: 8.0}], [y[0]])
        assert np.array_equal(held.theta, theta)
        assert len(model.filter.theta) == len(theta) + 1
    unseen = model._learner.flt
    model._shown = False
    learn(model, [{**xs[0], "newest": 8.0}], [y[0]])
    with pytest.raises(kfng.UnsupportedError, match="took over"):  # what was not handed out is used up
        _ = unseen.theta


@pytest.mark.parametrize("family", ["gaussian", "two"])
def test_threads_predict_while_features_come(family):
    xs, _, y = rows(family=family)
    model = learn(model_of(family), xs, y)
    failed, made, whole = [], [], threading.Event()

    def predict():
        while not whole.is_set():
            try:
                made.append(answers(model, xs[:2]))
            except Exception as error:
                failed.append(error)

    threads = [threading.Thread(target=predict) for _ in range(2)]
    for thread in threads:
        thread.start()
    for i in range(100):
        learn(model, [{**xs[i], f"new{i}": 1.0}], [y[i]])
        if i % 10 == 0 and family == "gaussian":  # a row that is refused with its feature
            with pytest.raises(kfng.KfngError):
                model.learn_one({**xs[i], "bad": 1.0}, y[i], w=-1.0)
    whole.set()
    for thread in threads:
        thread.join()
    assert len(made) > 10
    assert not failed
    assert len(model.features) == 104


def test_a_row_with_a_new_feature_asks_for_no_memory_of_the_size_of_p():
    rng = np.random.default_rng(0)
    names = [f"x{i}" for i in range(1000)]
    rows = [dict(zip(names, rng.normal(size=1000).tolist(), strict=True)) for _ in range(32)]
    model = learn(Regressor(), rows, rng.normal(size=32).tolist())

    def peak(i):
        tracemalloc.start()
        model.learn_one({**rows[0], f"new{i}": 1.0}, 0.5)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    # The prior of an intercept far from the middle of the rows is (p, p), but this one is centred: of variances.
    assert model._learner.flt.settings.belief.prior_variance.ndim == 1
    whole = 8 * 1000 * 1000 // 2
    assert max(peak(i) for i in range(5)) < whole / 8
    _ = model.filter  # the control: to keep what was handed out takes a copy of it
    assert peak(5) > whole


# -- frames of rows


@pytest.mark.parametrize("cuts", [[], [10], [31], [32], [99, 101, 180], range(1, 300)], ids=str)
def test_learn_many_is_learn_one_bit_for_bit(cuts):
    xs, y = growing()
    one = learn(Regressor(), xs, y)
    many = Regressor()
    for piece in np.split(np.arange(300), cuts):
        if len(piece):
            many.learn_many(pd.DataFrame([xs[i] for i in piece]).fillna(0.0), pd.Series([y[i] for i in piece]))
    assert many.features == one.features
    assert many.filter._to_bytes() == one.filter._to_bytes()


@pytest.mark.parametrize("cuts", [[], [40], [99, 101], range(1, 200)], ids=str)
def test_learn_many_of_classes(cuts):
    xs, _, y = rows(family="three")
    y = [label if i > 60 or label != "w" else "u" for i, label in enumerate(y)]
    y[150] = "x"
    one = learn(Classifier(), xs, y)
    assert len(one.classes) == 4
    many = Classifier()
    for piece in np.split(np.arange(200), cuts):
        if len(piece):
            many.learn_many(pd.DataFrame([xs[i] for i in piece]), pd.Series([y[i] for i in piece]))
    assert many.classes == one.classes
    assert many.filter._to_bytes() == one.filter._to_bytes()


def test_weights():
    xs, _, y = rows()
    weight = np.random.default_rng(3).integers(0, 3, 200).astype(float)
    one, many, twice = Regressor(), Regressor(), Regressor()
    for x, value, w in zip(xs, y, weight, strict=True):
        one.learn_one(x, value, w=w)
    many.learn_many(pd.DataFrame(xs), pd.Series(y), weight)
    assert one.filter._to_bytes() == many.filter._to_bytes()
    learn(twice, xs, y)
    assert not np.allclose(answers(one, xs), answers(twice, xs), rtol=1e-6)
    routed = Regressor()
    evaluate.progressive_val_score(
        [(x, value, {"w": w}) for x, value, w in zip(xs, y, weight, strict=True)], routed, metrics.MAE()
    )
    assert routed.filter._to_bytes() == one.filter._to_bytes()


# -- classes on the fly


def test_a_third_class_after_two():
    """What was known of two classes stays; the new one starts as one not seen in so many rows."""
    xs, _, y = rows(family="two")
    model = learn(Classifier(), xs, y)
    before = np.array([list(model.predict_proba_one(x).values()) for x in xs])
    twin = copy.deepcopy(model)
    twin._classes["maybe"] = 2
    twin._learner = twin._ready(twin._learner)
    after = np.array([list(twin.predict_proba_one(x).values()) for x in xs])
    assert np.allclose(after[:, :2] / after[:, :2].sum(axis=1, keepdims=True), before, rtol=1e-10)
    assert after[:, 2].max() < 0.02
    model.learn_one(xs[0], "maybe")
    assert isinstance(model.filter.settings.family, kfng.Categorical)
    assert list(model.predict_proba_one(xs[0])) == [*dict.fromkeys(y), "maybe"]
    model.learn_one(xs[1], "maybe")
    assert model.predict_proba_one(xs[0])["maybe"] > after[0, 2]


def test_classes_that_come_late_are_learned():
    """Seven classes of image segments, one coming in after the other: in the end nearly as good as known from the start."""
    rows = list(datasets.ImageSegments().take(2310))
    rows = sorted(rows[:700], key=lambda row: str(row[1])) + rows[700:]  # one class at a time, then all
    score = metrics.Accuracy()
    model = Classifier()
    for i, (x, y) in enumerate(rows):
        if i >= 1000:
            score.update(y, model.predict_one(x))
        model.learn_one(x, y)
    assert len(model.classes) == 7
    assert score.get() > 0.85


# -- among river's tools


@pytest.mark.parametrize("delay", [None, 1, 50])
def test_progressive_validation_with_delay(delay):
    data = [({**x, "moment": float(i)}, y) for i, (x, y) in enumerate(datasets.Phishing().take(1000))]
    when = {} if delay is None else {"moment": "moment", "delay": delay}
    score, its = (
        evaluate.progressive_val_score(data, model, metrics.Accuracy(), **when).get()
        for model in (Classifier(), preprocessing.StandardScaler() | linear_model.LogisticRegression())
    )
    assert score > 0.85
    assert score > its - 0.02


def test_better_than_a_step_size():
    """Raw numbers, no scaler: river's linear regression needs one."""
    score, its = (
        evaluate.progressive_val_score(datasets.TrumpApproval(), model, metrics.MAE()).get()
        for model in (Regressor(half_life=200), preprocessing.StandardScaler() | linear_model.LinearRegression())
    )
    assert score < its / 2


def test_pipelines_and_delay_by_hand():
    model = preprocessing.StandardScaler() | Regressor()
    for x, y in datasets.TrumpApproval().take(300):
        model.learn_one(x, y)
    assert 30 < model.predict_one(x) < 50
    assert model["Regressor"].filter.n_updates == 300
    answered = [i for i, _, y in stream.simulate_qa(datasets.TrumpApproval().take(50), None, 5) if y is not None]
    assert len(answered) == 50


def test_half_life_follows_a_change():
    xs, _, y = rows(600)
    y = [value if i < 300 else 2000 - value for i, value in enumerate(y)]
    errors = [
        np.abs([learned.predict_one(x) - value for x, value in zip(xs[500:], y[500:], strict=True)]).mean()
        for learned in (learn(Regressor(half_life=h), xs[:500], y[:500]) for h in (None, 60))
    ]
    assert errors[1] < 0.8 * errors[0]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("n", [20, 100])
def test_a_pickle_learns_on(family, n):
    xs, _, y = rows(family=family)
    model = learn(model_of(family), xs[:n], y[:n])
    twins = [pickle.loads(pickle.dumps(model)), copy.deepcopy(model)]
    whole = answers(learn(model, xs[n:], y[n:]), xs)
    for twin in twins:
        assert np.array_equal(answers(learn(twin, xs[n:], y[n:]), xs), whole)


# -- what is refused


@pytest.mark.parametrize("n", [10, 100], ids=["held", "started"])
@pytest.mark.parametrize(
    ("change", "y"),
    [
        ({"a": np.nan}, 1.0),
        ({"a": "red"}, 1.0),
        ({"b": None}, 1.0),
        ({"new": np.inf}, 1.0),
        ({"new": "red"}, 1.0),
        ({"new": 2.0}, -1.0),
        ({}, -1.0),
        ({}, "x"),
        ({}, [1.0, 2.0]),
    ],
    ids=str,
)
def test_a_bad_row_changes_nothing(n, change, y):
    xs, _, ys = rows(family="poisson")
    model = learn(Regressor("poisson"), xs[:n], ys[:n])
    before = pickle.dumps(model)
    with pytest.raises(kfng.KfngError):
        model.learn_one({**xs[0], **change}, y)
    assert pickle.dumps(model) == before


@pytest.mark.parametrize("n", [10, 100], ids=["held", "started"])
def test_a_bad_row_of_a_new_class_changes_nothing(n):
    xs, _, ys = rows(family="two")
    model = learn(Classifier(), xs[:n], ys[:n])
    before = pickle.dumps(model)
    for x, w in (({**xs[0], "a": np.nan}, 1.0), (xs[0], -1.0)):
        with pytest.raises(kfng.KfngError):
            model.learn_one(x, "maybe", w=w)
        assert pickle.dumps(model) == before


@pytest.mark.parametrize(
    "options",
    [
        {"family": "cauchy"},
        {"warmup": 0},
        {"belief": "x"},
        {"half_life": "7 parsecs"},
        {"forgetting": 2.0},
        {"prior_variance": -1},
    ],
    ids=str,
)
def test_settings_that_make_no_sense(options):
    with pytest.raises(kfng.KfngError):
        Regressor(**options)


def test_frames_that_make_no_sense():
    frame = pd.DataFrame({"a": [1.0, 2.0]})
    for X, y in (([[1.0]], [1.0]), (pd.DataFrame({"a": ["x"]}), [1.0]), (frame, [1.0])):
        with pytest.raises(kfng.KfngError):
            Regressor().learn_many(X, y)
    with pytest.raises(kfng.KfngError):
        Classifier().learn_many(frame, ["x"])
    with pytest.raises(kfng.KfngError):
        Regressor().learn_many(frame, [1.0, 2.0], [1.0, 2.0, 3.0])


# -- what is missing


def with_holes(X, seed=3):
    rng = np.random.default_rng(seed)
    X = np.where(rng.random(X.shape) < 0.1, np.nan, X)
    gap = [None, np.nan]
    return X, [{name: gap[i % 2] if v != v else v for name, v in zip(NAMES, x, strict=True)} for i, x in enumerate(X.tolist())]  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("policy", ["mean", "skip"])
@pytest.mark.parametrize("n", [20, 200])
def test_what_is_missing_is_as_in_arrays(family, policy, n):
    _, X, y = rows(family=family)
    X, xs = with_holes(X)
    own = learn(model_of(family, missing=policy), xs[:n], y[:n])
    if family in ("two", "three"):
        index = np.array([own.classes.index(label) for label in y[:n]])
        its = OnlineClassifier(missing=policy).partial_fit(X[:n], index, classes=np.arange(len(own.classes)))
        its = its.predict_proba(X)
    else:
        its = OnlineRegressor(family, missing=policy).partial_fit(X[:n], y[:n])
        its = np.column_stack(its.predict(X, return_std=True))
    assert np.max(np.abs(answers(own, xs) - its)) < EXACT * np.abs(its).max()
    zeros = learn(model_of(family), [{k: v if v == v and v is not None else 0.0 for k, v in x.items()} for x in xs[:n]], y[:n])  # fmt: skip
    assert np.max(np.abs(answers(zeros, xs[:0] + [x for x in xs if None not in x.values() and all(v == v for v in x.values())]) - its[~np.isnan(X).any(axis=1)])) > 1000 * EXACT * np.abs(its).max()  # fmt: skip
    frame = pd.DataFrame(X, columns=NAMES)
    many = model_of(family, missing=policy)
    for part in (slice(0, 13), slice(13, n)):
        many.learn_many(frame[:n][part], pd.Series(y[:n])[part])
    assert np.array_equal(answers(many, xs), answers(own, xs))
    predicted = many.predict_proba_many(frame) if family in ("two", "three") else many.predict_many(frame)
    found = answers(own, xs) if family in ("two", "three") else answers(own, xs)[:, 0]
    assert np.allclose(predicted.to_numpy(), found, rtol=1e-12, atol=0)


def test_a_missing_number_is_refused_unless_asked_for():
    xs, _, y = rows()
    model = learn(Regressor(), xs, y)
    before = answers(model, xs)
    for gap in (None, np.nan, pd.NA):
        with pytest.raises(kfng.KfngError):
            model.learn_one({**xs[0], "a": gap}, y[0])
    assert np.array_equal(answers(model, xs), before)
    mean = learn(Regressor(missing="mean"), xs, y)
    plain = mean.predict_one({**xs[0], "a": np.mean([x["a"] for x in xs])})
    assert mean.predict_one({**xs[0], "a": pd.NA}) == pytest.approx(plain, rel=1e-12)
    with pytest.raises(kfng.UnknownNameError):
        Regressor(missing="median")


def test_a_feature_that_comes_without_a_value_is_not_there_yet():
    xs, _, y = rows()
    model = learn(Regressor(missing="mean"), xs, y)
    model.learn_one({**xs[0], "new": None}, y[0])
    assert "new" not in model.features
    model.learn_one({**xs[0], "new": 3.0}, y[0])
    model.learn_one({**xs[0], "new": np.nan}, y[0])
    assert model.features[-1] == "new"
    assert model.predict_one({**xs[0], "new": None}) == model.predict_one({**xs[0], "new": 3.0})


# -- time


@pytest.mark.parametrize("family", ["gaussian", "two"])
def test_time_is_as_in_arrays(family):
    xs, X, y = rows(family=family)
    time = np.cumsum(np.random.default_rng(0).exponential(size=len(xs)))
    own, dated, plain = (
        model_of(family, half_life=30.0),
        model_of(family, half_life="30d"),
        model_of(family, half_life=30.0),
    )
    start = datetime.datetime(2026, 1, 1)
    for x, target, t in zip(xs, y, time.tolist(), strict=True):
        own.learn_one(x, target, t=t)
        dated.learn_one(x, target, t=start + datetime.timedelta(days=t))
        plain.learn_one(x, target)
    if family == "two":
        index = np.array([own.classes.index(label) for label in y])
        its = OnlineClassifier(half_life=30.0).partial_fit(X, index, classes=[0, 1], time=time).predict_proba(X)
    else:
        its = np.column_stack(OnlineRegressor(half_life=30.0).partial_fit(X, y, time=time).predict(X, return_std=True))
    scale = np.abs(its).max()
    assert np.max(np.abs(answers(own, xs) - its)) < EXACT * scale
    assert np.max(np.abs(answers(dated, xs) - its)) < 1e-8 * scale  # whole microseconds
    assert np.max(np.abs(answers(plain, xs) - its)) > 1e-5 * scale  # the control


def test_times_that_make_no_sense():
    xs, _, y = rows()
    model = Regressor(half_life=30.0)
    for i, (x, target) in enumerate(zip(xs, y, strict=True)):
        model.learn_one(x, target, t=float(i))
    before = answers(model, xs)
    for t in (3.0, np.nan, datetime.datetime(2026, 1, 1), "noon", None):
        with pytest.raises(kfng.KfngError):
            model.learn_one(xs[0], y[0], t=t)
    assert np.array_equal(answers(model, xs), before)
    with pytest.raises(kfng.ParameterError):
        Regressor(half_life="7d").learn_one(xs[0], y[0])


@pytest.mark.parametrize("n", [2, 3, 39, 41])
def test_few_plain_numbers_are_summed_without_arrays(n):
    """To rounding what the filter predicts; numbers of another kind, or none, go the long way."""
    rng = np.random.default_rng(n)
    names = [f"x{j}" for j in range(n)]
    xs = [dict(zip(names, row, strict=True)) for row in (rng.normal(size=(80, n)) * 10 + 500).tolist()]
    model = learn(Regressor(), xs, rng.normal(size=80).tolist())
    x = xs[0]
    expected = model.predict_one(x, with_dist=True).mu
    assert model.predict_one(x) == pytest.approx(expected, rel=EXACT, abs=EXACT)
    assert model.predict_one({**x, "x1": x["x1"] + 1}) != pytest.approx(expected, rel=EXACT, abs=EXACT)
    turned = dict(reversed(x.items()))
    assert model.predict_one(turned) == pytest.approx(expected, rel=EXACT, abs=EXACT)
    kinds = {**x, "x0": np.float64(x["x0"]), "x1": np.float32(503.25)}
    plain = {**x, "x1": 503.25}
    assert model.predict_one(kinds) == pytest.approx(model.predict_one(plain), rel=EXACT, abs=EXACT)
    with pytest.raises(kfng.DtypeError):
        model.predict_one({**x, "x1": "many"})
