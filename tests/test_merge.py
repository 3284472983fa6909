"""merge: filters that learned apart know together what one filter of all rows knows; what they shared counts once.

Exact for linear Gaussian models, with a known or a learned noise variance, whatever the split.
"""

import numpy as np
import pytest
from theory.literal import error, judge
from theory.streams import partly_missing, stream

TOLERANCE = 1e-10
NAMES = ["linear-gaussian", "linear-covariance_2", "linear-covariance_3", "linear-learned", "linear-learned_2"]


@pytest.fixture(params=["no_guards", "default_guards"])
def guards(request):
    return request.param


def fed(rows, flt, which):
    for t in which:
        rows.feed(flt, t)
    return flt


def everything(flt):
    """theta, covariance and precision, noise variance and its degrees of freedom."""
    noise = [np.atleast_1d(np.asarray(x, dtype=float)).ravel() for x in flt.noise_variance]
    noise = [x[np.isfinite(x)] for x in noise]
    return np.concatenate([flt.theta, flt.cov().ravel(), *noise])


# the control bites for all: the prior counted once for each filter
@pytest.mark.parametrize("prior", ["counted once", "counted m times"])
@pytest.mark.parametrize("pieces", [1, 2, 5])
@pytest.mark.parametrize("name", NAMES)
def test_as_if_one_filter_had_seen_all(impl, guards, name, pieces, prior):
    rows = partly_missing(stream(name, n=50), seed=2)
    whole = fed(rows, rows.filter(impl, guards), range(50))
    split = np.random.default_rng(pieces).permutation(50)
    parts = [fed(rows, rows.filter(impl, guards), piece) for piece in np.array_split(split, pieces)]
    before = [part._state() for part in parts]
    merged = impl.merge(parts)
    theta, cov, control = merged.theta, merged.cov(), prior == "counted m times" and pieces > 1
    if control:
        J = sum(part.precision() for part in parts)
        theta, cov = np.linalg.solve(J, sum(part.precision() @ part.theta for part in parts)), np.linalg.inv(J)
        judge(error(theta, whole.theta), TOLERANCE, control=True)
        judge(error(cov, whole.cov()), TOLERANCE, control=True)
        return
    assert error(everything(merged), everything(whole)) <= TOLERANCE
    assert error(merged.precision(), whole.precision()) <= TOLERANCE
    for name in ("n_seen", "n_updates", "missing", "skipped", "clipped", "clamped", "windup", "floored"):
        assert merged.health()[name] == whole.health()[name]
    assert error(merged._state()["clock"], whole._state()["clock"]) <= TOLERANCE
    y_stats = merged._state()["y_stats"]
    assert y_stats.size == 0 or error(y_stats, whole._state()["y_stats"]) <= TOLERANCE
    for part, state in zip(parts, before, strict=True):
        assert all(np.array_equal(array, state[key]) for key, array in part._state().items())


@pytest.mark.parametrize("name", NAMES)
def test_copies_of_one_filter(impl, name):
    """What the copies learned together before is `prior`, counted once; without it, twice (the control)."""
    rows = stream(name, n=45)
    start = fed(rows, rows.filter(impl), range(15))
    one, two = fed(rows, start.copy(), range(15, 30)), fed(rows, start.copy(), range(30, 45))
    whole = fed(rows, start.copy(), range(15, 45))
    assert error(everything(impl.merge([one, two], prior=start)), everything(whole)) <= TOLERANCE
    assert impl.merge([one, two], prior=start).n_updates == 45
    judge(error(everything(impl.merge([one, two])), everything(whole)), TOLERANCE, control=True)


def test_a_merged_filter_learns_on(impl):
    rows = stream("linear-learned", n=40)
    whole = fed(rows, rows.filter(impl), range(40))
    parts = [fed(rows, rows.filter(impl), piece) for piece in (range(10), range(10, 25))]
    assert error(everything(fed(rows, impl.merge(parts), range(25, 40))), everything(whole)) <= TOLERANCE
    assert error(everything(impl.merge(iter([whole]))), everything(whole)) <= TOLERANCE
    assert error(everything(impl.merge([rows.filter(impl)] * 3)), everything(rows.filter(impl))) <= TOLERANCE


def test_after_from_rows(impl):
    """Copies start from one level and scale; filters with levels of their own have no common prior."""
    rng = np.random.default_rng(0)
    U, y = rng.normal(size=(60, 2)) * [1.0, 1e4] + [0.0, 3e4], rng.normal(size=60) * 10 + 500
    first = impl.Filter.from_rows(U[:20], y[:20], impl.Linear(2), impl.Gaussian(None))
    one, two, whole = first.copy(), first.copy(), first.copy()
    one.update_many(U[20:40], y[20:40])
    two.update_many(U[40:], y[40:])
    whole.update_many(U[20:], y[20:])
    assert error(everything(impl.merge([one, two], prior=first)), everything(whole)) <= TOLERANCE
    other = impl.Filter.from_rows(U[20:], y[20:], impl.Linear(2), impl.Gaussian(None))
    with pytest.raises(impl.UnsupportedError):
        impl.merge([first, other])


def test_of_glms_it_is_an_approximation(impl):
    """Close to one pass, not equal: each path is linearised at its own theta."""
    rows = stream("linear-bernoulli", n=200)
    whole = fed(rows, rows.filter(impl), range(200))
    merged = impl.merge([fed(rows, rows.filter(impl), range(100)), fed(rows, rows.filter(impl), range(100, 200))])
    distance = np.max(np.abs(merged.theta - whole.theta) / whole.std())
    assert TOLERANCE < distance < 1


def test_in_single_precision(impl):
    rows = stream("linear-gaussian", n=40)
    whole = fed(rows, rows.filter(impl, dtype="float32"), range(40))
    merged = impl.merge([fed(rows, rows.filter(impl, dtype="float32"), piece) for piece in (range(20), range(20, 40))])
    assert merged.theta.dtype == np.float32
    assert error(everything(merged), everything(whole)) <= 1e-5


@pytest.mark.parametrize(
    ("argument", "change"),
    [
        ("model", lambda impl: {"model": impl.Linear(2, intercept=False)}),
        ("family", lambda impl: {"family": impl.Gaussian(2.0)}),
        ("belief", lambda impl: {"belief": impl.Full(2.0)}),
        ("rule", lambda impl: {"rule": impl.Fading(0.1)}),
        ("rule", lambda impl: {"rule": impl.NaturalGradient(0.1)}),
        ("dtype", lambda impl: {"dtype": "float32"}),
        ("theta", lambda impl: {"theta": [0.0, 0.0, 1.0]}),
        ("feature_names", lambda impl: {"feature_names": ["a", "b"]}),
        ("evidence", lambda impl: {"evidence": True}),
    ],
)
def test_settings_that_differ_are_named(impl, argument, change):
    arguments = {"model": impl.Linear(2), "family": impl.Gaussian()}
    one, two = impl.Filter(**arguments), impl.Filter(**(arguments | change(impl)))
    for models, prior in (([one, two], None), ([one], two)):
        with pytest.raises(impl.UnsupportedError) as caught:
            impl.merge(models, prior=prior)
        assert caught.value.argument == argument


@pytest.mark.parametrize(("argument", "change"), [("rule", "Fading"), ("rule", "ProcessNoise")])
def test_forgetting_is_refused(impl, argument, change):
    flt = impl.Filter(impl.Linear(2), impl.Gaussian(), rule=getattr(impl, change)(0.1))
    with pytest.raises(impl.UnsupportedError) as caught:
        impl.merge([flt, flt.copy()])
    assert caught.value.argument == argument


def test_a_variance_of_each_output_is_refused(impl):
    """Each row's share of b took the variance before it as known: no sum over filters gives what one pass would."""
    flt = impl.Filter(impl.Linear(2, 2), impl.Gaussian("each"))
    with pytest.raises(impl.UnsupportedError) as caught:
        impl.merge([flt, flt.copy()])
    assert caught.value.argument == "family"


def test_what_is_no_filter(impl):
    flt = impl.Filter(impl.Linear(2), impl.Gaussian())
    for models, prior, argument in (
        ([], None, "models"),
        ([flt, 1], None, "models"),
        (3, None, "models"),
        ([flt], 0, "prior"),
    ):
        with pytest.raises(impl.ParameterError) as caught:
            impl.merge(models, prior=prior)
        assert caught.value.argument == argument


def test_a_prior_that_knows_more(impl):
    rows = stream("linear-gaussian", n=40)
    start = fed(rows, rows.filter(impl), range(40))
    models = [fed(rows, rows.filter(impl), range(3)) for _ in range(3)]
    with pytest.raises(impl.NotPositiveDefiniteError) as caught:
        impl.merge(models, prior=start)
    assert caught.value.argument == "prior"
