"""Blocks of rows that another framework linearised, with NumPy as the framework (`kfng._learner`)."""

import numpy as np
import pytest

import kfng
from kfng import _learner, errors, reference
from kfng._learner import Learner

SIZES = [3, 4, 2]
MODEL = reference.MLP(SIZES)
P, K = MODEL.n_parameters, MODEL.outputs
R = 0.3
TOLERANCE = 1e-10


class Numpy(Learner):
    """Rows are arrays; z and dz are those of the reference's network."""

    calls = 0

    def _rows(self, U):
        return np.asarray(U, dtype=float)

    def _one(self, u):
        return np.asarray(u, dtype=float)[None]

    def _count(self, rows):
        return len(rows)

    def _part(self, rows, start, stop):
        return rows[start:stop]

    def _finite(self, rows):
        return bool(np.isfinite(rows).all())

    def _linearise(self, theta, rows):
        self.calls += 1
        with np.errstate(invalid="ignore"):
            Z, dZ = zip(*(MODEL.forward(np.asarray(theta, dtype=float), u) for u in rows), strict=True)
        return np.array(Z), np.array(dZ)

    def _evaluate(self, theta, rows):
        return self._linearise(theta, rows)[0]


def rows(n=40, seed=0):
    rng = np.random.default_rng(seed)
    U = rng.normal(size=(n, 3))
    return U, np.column_stack([np.sin(2 * U[:, 0]), U[:, 1] * U[:, 2]]) + 0.3 * rng.normal(size=(n, K))


def learner(impl, block=1, family=None, **options):
    family = impl.Gaussian(R) if family is None else family
    return Numpy(impl.Filter(impl.External(P, K), family, theta=MODEL.initial_theta(1), **options), block)


def test_rows_one_by_one_are_the_network(impl):
    U, Y = rows()
    own, other = impl.Filter(impl.MLP(SIZES), impl.Gaussian(R), theta=MODEL.initial_theta(1)), learner(impl)
    trace, expected = other.update_many(U, Y, dt=2.0, offset=0.1), own.update_many(U, Y, dt=2.0, offset=0.1)
    assert other.calls == len(U)
    assert np.abs(own.theta - other.filter.theta).max() < TOLERANCE
    for name in ("prediction", "std", "nll", "nll_plugin"):
        assert np.abs(getattr(trace, name) - getattr(expected, name)).max() < TOLERANCE
    assert np.abs(trace.quantiles([0.1, 0.9]) - expected.quantiles([0.1, 0.9])).max() < TOLERANCE
    step, wanted = other.update(U[0], Y[1], weight=0.5, offset=1.0), own.update(U[0], Y[1], weight=0.5, offset=1.0)
    assert np.abs(step.prediction - wanted.prediction).max() < TOLERANCE
    assert np.abs(own.cov() - other.filter.cov()).max() < TOLERANCE
    assert other.n_updates == len(U) + 1


@pytest.mark.parametrize("frozen", [False, True])
def test_a_block_is_one_regression_on_its_jacobians(impl, frozen):
    """Each block against the textbook's joint update of all its rows. Control: z of later rows left where it was."""
    U, Y = rows()
    block = 8
    flt = learner(impl, block)
    if frozen:
        flt.filter = Still(flt.filter)
    trace = flt.update_many(U, Y, trace=not frozen)
    theta, cov = MODEL.initial_theta(1), np.eye(P)
    for start in range(0, len(U), block):
        part = slice(start, start + block)
        Z, dZ = (np.array(x) for x in zip(*(MODEL.forward(theta, u) for u in U[part]), strict=True))
        H = dZ.reshape(-1, P)
        gain = np.linalg.solve(H @ cov @ H.T + R * np.eye(len(H)), H @ cov).T
        theta, cov = theta + gain @ (Y[part] - Z).ravel(), cov - gain @ H @ cov
    error = np.abs(flt.filter.theta - theta).max()
    assert error > 1000 * TOLERANCE if frozen else error < TOLERANCE
    assert np.abs(flt.filter.cov() - cov).max() < TOLERANCE or frozen
    if trace is not None:
        assert trace.nll.shape == (len(U),)


class Still:
    """A filter whose theta seems not to move within a block."""

    def __init__(self, flt):
        self.__dict__.update(flt=flt, theta=flt.theta, left=8)

    def __getattr__(self, name):
        return getattr(self.flt, name)

    def condition(self, *arguments, **options):
        step = self.flt.condition(*arguments, **options)
        self.left -= 1
        if not self.left:
            self.__dict__.update(theta=self.flt.theta, left=8)
        return step


def test_a_linear_model_does_not_mind_blocks(impl, monkeypatch):
    monkeypatch.setattr(f"{__name__}.MODEL", reference.Linear(3, 2))
    U, Y = rows()
    thetas = []
    for block in (1, 7, 100):
        flt = Numpy(impl.Filter(impl.External(8, 2), impl.Gaussian(R)), block)
        flt.update_many(U, Y)
        thetas.append(flt.filter.theta)
    assert np.abs(thetas[0] - thetas[1]).max() < TOLERANCE
    assert np.abs(thetas[0] - thetas[2]).max() < TOLERANCE


@pytest.mark.parametrize("seed", range(3))
def test_blocks_are_an_approximation_that_costs_early(impl, seed):
    """theta of a network is not unique: what counts is how well rows are predicted before they are learned from."""
    U, Y = rows(400, seed)
    single, blocks, late = learner(impl), learner(impl), learner(impl)
    one, all_blocks = single.update_many(U, Y), blocks.update_many(U, Y, block=32)
    late.update_many(U[:200], Y[:200])
    then_blocks = late.update_many(U[200:], Y[200:], block=32)
    assert blocks.calls == 13
    assert all_blocks[:200].nll.mean() - one[:200].nll.mean() > 0.15
    assert abs(then_blocks.nll.mean() - one[200:].nll.mean()) < 0.05


def test_prediction_is_that_of_the_network(impl, monkeypatch):
    """In pieces too: a Jacobian of one row fills the memory there is."""
    monkeypatch.setattr(_learner, "PREDICTED_BYTES", 8 * K * P)
    U, Y = rows()
    own, other = impl.Filter(impl.MLP(SIZES), impl.Gaussian(R), theta=MODEL.initial_theta(1)), learner(impl)
    own.update_many(U, Y)
    other.update_many(U, Y)
    calls = other.calls
    for options in (
        {"return_std": True},
        {"return_cov": True, "include_noise": False},
        {"return_std": True, "offset": [1, 2]},
    ):
        for got, expected in zip(other.predict(U, **options), own.predict(U, **options), strict=True):
            assert np.abs(got - expected).max() < TOLERANCE
    assert other.calls == calls + 3 * len(U)
    assert np.abs(other.predict(U) - own.predict(U)).max() < TOLERANCE
    assert np.abs(other.predict_quantiles(U, 0.9) - own.predict_quantiles(U, 0.9)).max() < TOLERANCE
    assert other.predict(U[:0]).shape == (0, K)
    with pytest.raises(errors.ParameterError):
        other.predict(U, return_std=True, return_cov=True)


def test_z_is_clamped_as_the_filters(impl):
    U, _ = rows()
    y = np.arange(len(U)) % 2
    own = impl.Filter(impl.MLP(SIZES), impl.Categorical(2), theta=100 * MODEL.initial_theta(1))
    other = Numpy(impl.Filter(impl.External(P, K), impl.Categorical(2), theta=own.theta), 1)
    expected, got = own.update_many(U, y), other.update_many(U, y)
    assert own.health()["clamped"]
    assert np.abs(got.nll - expected.nll).max() < 1e-9
    for a, b in zip(own.predict(U, return_std=True), other.predict(U, return_std=True), strict=True):
        assert np.abs(a - b).max() < 1e-9


@pytest.mark.parametrize("block", [1, 4])
def test_a_bad_row_stops_and_names_itself(impl, block):
    U, Y = rows(10)
    for argument, spoil in (("u", U), ("y", Y)):
        wrong = np.array(spoil)
        wrong[6, 0] = np.inf
        flt, before = learner(impl, block), learner(impl, block)
        before.update_many(U[:6], Y[:6])
        with pytest.raises(errors.NonFiniteError) as caught:
            flt.update_many(wrong if argument == "u" else U, wrong if argument == "y" else Y)
        assert (caught.value.argument, caught.value.row, len(caught.value.trace)) == (argument, 6, 6)
        assert (flt.filter.theta == before.filter.theta).all()
        assert (flt.filter.cov() == before.filter.cov()).all()


def test_bad_rows_are_skipped_and_counted(impl):
    U, Y = rows(20)
    keep = np.ones(20, dtype=bool)
    keep[[3, 7]] = False
    bad_U, bad_Y = U.copy(), Y.copy()
    bad_U[3], bad_Y[7] = np.nan, np.inf
    flt, wanted = learner(impl), learner(impl)
    trace = flt.update_many(bad_U, bad_Y, on_bad_row="skip")
    wanted.update_many(U[keep], Y[keep])
    assert (flt.filter.theta == wanted.filter.theta).all()
    assert flt.filter.health()["skipped"] == 2
    assert (np.flatnonzero(trace.skipped) == [3, 7]).all()


def test_missing_rows_teach_nothing_whatever_their_input(impl):
    U, Y = rows(20)
    U[5], Y[5] = np.inf, np.nan
    flt, wanted = learner(impl, 4), learner(impl, 4)
    flt.update_many(U, Y)
    U[5] = 0.0
    wanted.update_many(U, Y)
    assert (flt.filter.theta == wanted.filter.theta).all()
    assert flt.n_updates == 19


def test_time_passes_and_rows_weigh(impl):
    U, Y = rows(30)
    options = {"rule": impl.Fading(0.01)}
    own = impl.Filter(impl.MLP(SIZES), impl.Gaussian(R), theta=MODEL.initial_theta(1), **options)
    other = learner(impl, **options)
    weight, dt = np.linspace(0, 2, 30), np.linspace(0, 3, 30)
    own.update_many(U, Y, weight=weight, dt=dt)
    done = []
    other.update_many(U, Y, weight=weight, dt=dt, progress=lambda i, n: done.append((i, n)))
    assert np.abs(own.theta - other.filter.theta).max() < TOLERANCE
    assert done == [(i + 1, 30) for i in range(30)]


@pytest.mark.parametrize(
    ("error", "argument", "call"),
    [
        (errors.ShapeError, "Y", lambda flt, U, Y: flt.update_many(U, Y[:, :1])),
        (errors.ShapeError, "weight", lambda flt, U, Y: flt.update_many(U, Y, weight=[1.0])),
        (errors.ShapeError, "offset", lambda flt, U, Y: flt.update_many(U, Y, offset=[1.0])),
        (errors.ShapeError, "offset", lambda flt, U, Y: flt.update(U[0], Y[0], offset=[1.0])),
        (errors.ShapeError, "y", lambda flt, U, Y: flt.update(U[0], 1.0)),
        (errors.NonFiniteError, "u", lambda flt, U, Y: flt.update(U[0] * np.nan, Y[0])),
        (errors.NonFiniteError, "U", lambda flt, U, Y: flt.predict(U * np.nan)),
        (errors.ParameterError, "block", lambda flt, U, Y: flt.update_many(U, Y, block=0)),
        (errors.ParameterError, "weight", lambda flt, U, Y: flt.update(U[0], Y[0], weight=-1.0)),
        (errors.UnknownNameError, "on_bad_row", lambda flt, U, Y: flt.update_many(U, Y, on_bad_row="drop")),
    ],
)
def test_wrong_arguments_change_nothing(impl, error, argument, call):
    U, Y = rows(10)
    flt = learner(impl)
    flt.update_many(U, Y)
    before = flt.filter.theta, flt.filter.cov(), flt.filter.health()
    with pytest.raises(error) as caught:
        call(flt, U, Y)
    assert caught.value.argument == argument
    assert (flt.filter.theta == before[0]).all()
    assert (flt.filter.cov() == before[1]).all()
    assert flt.filter.health() == before[2]


def test_seconds_have_no_default(impl):
    U, Y = rows(5)
    flt = learner(impl, rule=impl.Fading(half_life="1h"))
    for call in (lambda: flt.update(U[0], Y[0]), lambda: flt.update_many(U, Y)):
        with pytest.raises(errors.ParameterError) as caught:
            call()
        assert caught.value.argument == "dt"
    flt.update(U[0], Y[0], dt=60.0)
    assert flt.n_updates == 1


def test_files(tmp_path):
    U, Y = rows(20)
    flt, other = learner(kfng), learner(kfng)
    flt.update_many(U[:10], Y[:10])
    flt.save(tmp_path / "model.kfng")
    other.load(tmp_path / "model.kfng")
    flt.update_many(U[10:], Y[10:])
    other.update_many(U[10:], Y[10:])
    assert (flt.filter.theta == other.filter.theta).all()
    kfng.Filter(kfng.External(P + 1, K), kfng.Gaussian(R)).save(tmp_path / "other.kfng")
    with pytest.raises(errors.ShapeError):
        other.load(tmp_path / "other.kfng")
    assert (flt.filter.theta == other.filter.theta).all()
    assert repr(flt) == "<Numpy of 26 parameters, Gaussian(variance=0.3), block=1, n_updates=20>"


def test_the_number_of_outputs():
    theta = np.zeros(3)
    assert _learner.filter_of(3, theta, kfng.Gaussian(), None, {}).settings.k == 1
    assert _learner.filter_of(3, theta, kfng.Categorical(4), None, {"belief": None}).settings.k == 4
    assert _learner.filter_of(3, theta, kfng.Gaussian(), 2, {}).settings.k == 2
    with pytest.raises(errors.ShapeError) as caught:
        _learner.filter_of(3, theta, kfng.Bernoulli(), 2, {})
    assert caught.value.argument == "family"
    with pytest.raises(errors.ShapeError) as caught:
        _learner.output_shape((3,), 1)
    assert "outputs=k" in str(caught.value)
    assert _learner.output_shape((), 1) == (1,)
