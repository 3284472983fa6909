"""Features in other units: the same posterior in other coordinates, and learning that goes on as if they had always been so."""

import numpy as np
import pytest
from tolerances import CONTROL, THEOREM, covariance_error, relative_error, theta_error

import kfng
from kfng import errors

D, N, TOLERANCE = 3, 120, 1e-9
CENTER, SCALE = np.array([12.0, -0.3, 400.0]), np.array([0.5, 3.0, 70.0])
BARE = kfng.Guards(windup=None)
FILTERS = {
    "kalman": lambda impl, **how: impl.Filter(impl.Linear(D), impl.Gaussian(0.3), **how),
    "learned": lambda impl, **how: impl.Filter(impl.Linear(D), impl.Gaussian(None), **how),
    "fading": lambda impl, **how: impl.Filter(
        impl.Linear(D), impl.Gaussian(0.3), rule=impl.Fading(0.02), guards=BARE, **how
    ),
    "logit": lambda impl, **how: impl.Filter(
        impl.Linear(D), impl.Bernoulli(), rule=impl.Fading(half_life=50), guards=BARE, **how
    ),
    "outputs": lambda impl, **how: impl.Filter(impl.Linear(D, 2), impl.Gaussian(0.3), **how),
    "classes": lambda impl, **how: impl.Filter(impl.Linear(D, 3), impl.Categorical(3), **how),
    "robust": lambda impl, **how: impl.Filter(impl.Linear(D), impl.Gaussian(0.3), robust="student", **how),
    "gradient": lambda impl, **how: impl.Filter(
        impl.Linear(D), impl.Gaussian(0.3), rule=impl.NaturalGradient(0.03), **how
    ),
    "network": lambda impl, **how: impl.Filter(impl.MLP([D, 4, 1]), impl.Gaussian(0.3), **how),
}
NOISE = {"kalman": 1e-3, "outputs": np.linspace(1e-4, 1e-3, 8)}


def rows(flt, seed=0):
    """Raw features at CENTER with deviations SCALE, and y of the filter's family."""
    rng = np.random.default_rng(seed)
    U = CENTER + SCALE * rng.normal(size=(N, D))
    z = ((U - CENTER) / SCALE) @ np.array([0.8, 0.1, -0.4]) + 0.3
    family, k = type(flt.settings.family).__name__, flt.settings.k
    y = {
        "Gaussian": z + 0.5 * rng.normal(size=N),
        "Bernoulli": (rng.random(N) < 1 / (1 + np.exp(-z))).astype(float),
        "Categorical": rng.integers(0, 3, N).astype(float),
    }[family]
    return U, np.column_stack([y, -y]) if family == "Gaussian" and k == 2 else y


def matrix(flt, center, scale):
    """A (p, p), written out."""
    p, k = flt.settings.p, 4 if isinstance(flt.settings.model, type(kfng.MLP([1, 1]))) else flt.settings.k
    A = np.eye(p)
    for j in range(k):
        for i in range(D):
            A[j * D + i, j * D + i] = scale[i]
            A[k * D + j, j * D + i] = center[i]
    return A


@pytest.mark.parametrize("name", FILTERS)
def test_it_is_the_same_function_in_other_coordinates(impl, name):
    """Control: the biases, or the covariances, stay behind."""
    flt = FILTERS[name](impl)
    U, y = rows(flt)
    flt.update_many((U - CENTER) / SCALE + 0.5, y)
    before = flt._to_bytes()
    center, scale = np.array([0.4, -3.0, 0.0]), np.array([2.0, 0.3, 1e4])
    moved = flt.change_units(center=center, scale=scale)
    assert flt._to_bytes() == before
    A, P = matrix(flt, center, scale), flt.cov()
    assert theta_error(moved.theta, A @ flt.theta, A @ P @ A.T) < THEOREM
    assert covariance_error(moved.cov(), A @ P @ A.T) < THEOREM
    still = matrix(flt, 0 * center, scale)
    assert theta_error(moved.theta, still @ flt.theta, A @ P @ A.T) > CONTROL * THEOREM
    assert covariance_error(moved.cov(), still @ P @ still.T) > CONTROL * THEOREM
    X = np.random.default_rng(1).normal(size=(20, D))
    for a, b in zip(flt.predict(X, return_std=True), moved.predict((X - center) / scale, return_std=True), strict=True):
        assert relative_error(a, b) < 1e-11
    back = moved.change_units(center=-center / scale, scale=1 / scale)
    assert theta_error(back.theta, flt.theta, P) < 1e-11
    assert covariance_error(back.cov(), P) < 1e-11
    assert type(moved)._from_bytes(moved._to_bytes())._to_bytes() == moved._to_bytes()


@pytest.mark.parametrize("moves", [True, False])
@pytest.mark.parametrize("name", [*FILTERS, "noise kalman", "noise outputs"])
def test_learning_with_a_running_scaler_is_learning_with_the_final_one_beforehand(impl, name, moves):
    """The prior is fixed in raw units. Control: the scaler moves, the filter does not."""
    noise, name = ("noise" in name), name.rpartition(" ")[2]
    rule = {"rule": impl.ProcessNoise(NOISE[name])} if noise else {}
    flt = FILTERS[name](impl, **rule)
    U, y = rows(flt)
    at = [(np.zeros(D), np.ones(D))]
    for stop in (40, 90, N):
        at.append((U[:stop].mean(axis=0), U[:stop].std(axis=0)))
    A = matrix(flt, *at[-1])
    Q = {"rule": impl.ProcessNoise(A @ np.diag(np.broadcast_to(NOISE[name], len(A))) @ A.T)} if noise else {}
    beforehand = FILTERS[name](impl, belief=impl.Full(A @ A.T), theta=A @ flt.settings.theta, **Q)
    beforehand.update_many((U - at[-1][0]) / at[-1][1], y)
    done = 0
    for (m, s), (m_new, s_new), stop in zip(at, at[1:], (5, 40, 90), strict=False):
        flt.update_many((U[done:stop] - m) / s, y[done:stop])
        if moves:
            flt = flt.change_units(center=(m_new - m) / s, scale=s_new / s)
        done = stop
    flt.update_many((U[done:] - at[-1][0]) / at[-1][1], y[done:])
    P = beforehand.cov()
    error = max(
        theta_error(flt.theta, beforehand.theta, P),
        covariance_error(flt.cov(), P),
        relative_error(flt.predict((U - at[-1][0]) / at[-1][1]), beforehand.predict((U - at[-1][0]) / at[-1][1])),
    )
    assert error < TOLERANCE if moves else error > CONTROL * TOLERANCE
    if moves:
        assert covariance_error(flt.settings.belief.prior(len(A)), A @ A.T) < THEOREM


@pytest.mark.parametrize("scale", [SCALE, SCALE[[1, 2, 0]]])
@pytest.mark.parametrize("how", ["diagonal", "covariance", "towards", "no intercept"])
def test_scale_alone_is_exact_where_a_shift_is_refused(impl, how, scale):
    """Control: the filter that saw the features in other units from the start has them in a wrong order."""

    def made(V, **more):
        options = {
            "diagonal": {"belief": impl.Diagonal(V)},
            "covariance": {"belief": impl.Diagonal(V, projection="covariance")},
            "towards": {"belief": impl.Full(V), "rule": impl.Fading(0.02, towards="prior")},
            "no intercept": {"belief": impl.Full(V)},
        }[how]
        return impl.Filter(impl.Linear(D, intercept=how != "no intercept"), impl.Gaussian(0.3), **options)

    flt = made(2.0)
    U, y = rows(flt)
    U -= CENTER
    variances = 2.0 * np.append(SCALE**2, 1.0)[: flt.settings.p]
    beforehand = made(variances)
    beforehand.update_many(U / SCALE, y)
    flt.update_many(U[:80], y[:80])
    flt = flt.change_units(scale=scale)
    flt.update_many(U[80:] / scale, y[80:])
    P = beforehand.cov()
    error = max(theta_error(flt.theta, beforehand.theta, P), covariance_error(flt.cov(), P))
    assert error < TOLERANCE if (scale == SCALE).all() else error > CONTROL * TOLERANCE
    with pytest.raises(errors.UnsupportedError) as caught:
        flt.change_units(center=1.0)
    assert caught.value.argument == "center"


def test_far_off_features_lose_nothing(impl):
    """A year: centred, moved to the years themselves and back, the belief is what it was; float32 as well."""
    for dtype, tolerance in (("float64", 1e-7), ("float32", None)):
        flt = impl.Filter(impl.Linear(1), impl.Gaussian(1.0), dtype=dtype)
        t = np.linspace(-3, 3, 50)
        flt.update_many(t[:, None], 0.5 * t + 1)
        raw = flt.change_units(center=-2015.0)
        assert np.all(np.linalg.eigvalsh(raw.cov()) > 0)
        if tolerance is not None:
            assert covariance_error(raw.change_units(center=2015.0).cov(), flt.cov()) < tolerance
            assert relative_error(raw.predict(t[:, None] + 2015), flt.predict(t[:, None])) < 1e-10


def test_what_cannot_be_asked(impl):
    flt = FILTERS["kalman"](impl)
    before = flt._to_bytes()
    wrong = {
        "scale": [0.0, -1.0, np.nan, [1.0, 2.0], 1e200, 1e-200, "wide"],
        "center": [np.inf, [1.0, 2.0], 1e200, None],
    }
    for argument, values in wrong.items():
        for value in values:
            with pytest.raises(errors.KfngError) as caught:
                flt.change_units(**{argument: value})
            assert caught.value.argument in (argument, "scale"), value
    assert flt._to_bytes() == before
    for other in (
        impl.Filter(impl.RNN(2, 3, 1), impl.Gaussian()),
        impl.Filter(impl.External(3, 1), impl.Gaussian()),
        impl.Filter(impl.Linear(2), impl.Gaussian(), rule=impl.SGD(0.1)),
    ):
        with pytest.raises(errors.UnsupportedError):
            other.change_units(scale=2.0)


def test_names_times_and_robust_policies_come_along(impl):
    flt = impl.Filter(
        impl.Linear(2), impl.Gaussian(0.5), feature_names=["a", "b"], rule=impl.Fading(half_life="7d"), robust="imq"
    )
    flt.update_many(np.ones((2, 2)), [1.0, 2.0], time=np.array(["2024-01-01", "2024-01-03"], dtype="M8[D]"))
    moved = flt.change_units(center=[1.0, 2.0], scale=3.0)
    assert moved.settings.feature_names == ("a", "b")
    assert moved.settings.robust == flt.settings.robust
    assert moved._when == flt._when
    assert moved.health()["n_updates"] == 2
    assert flt.add_features(1, names=["c"]).settings.robust == flt.settings.robust
