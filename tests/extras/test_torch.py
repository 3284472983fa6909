"""`kfng.torch`: `make test-extras`. What it shares with other frameworks is tested in tests/test_learner.py."""

import io

import numpy as np
import pytest

import kfng
from kfng import errors

try:
    import torch
    from torch import nn
except ImportError as error:
    pytest.fail(f"the extra torch is not installed: {error}", pytrace=False)

from kfng.torch import KalmanOptimizer, filter_for

TOLERANCE = 1e-8


@pytest.fixture(autouse=True)
def seeded():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(before)


def network(*sizes):
    layers = [part for i, o in zip(sizes[:-1], sizes[1:], strict=True) for part in (nn.Linear(i, o), nn.Tanh())]
    return nn.Sequential(*layers[:-1])


def flat(module):
    return nn.utils.parameters_to_vector(module.parameters()).detach().double().numpy().copy()


def state(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def same(module, before):
    return all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def rows(n=120):
    rng = np.random.default_rng(0)
    U = rng.normal(size=(n, 2))
    return U, U[:, 0] * U[:, 1] + 0.3 * rng.normal(size=n)


@pytest.mark.parametrize("wrong", [False, True])
@pytest.mark.parametrize(
    ("sizes", "family", "label"),
    [
        ((2, 8, 1), kfng.Gaussian(0.1), lambda y: y),
        ((2, 6, 5, 1), kfng.Bernoulli(), lambda y: (y > 0) * 1.0),
        ((2, 6, 3), kfng.Categorical(3), lambda y: np.digitize(y, [-0.5, 0.5])),
    ],
)
def test_one_row_at_a_time_is_the_networks_own_filter(sizes, family, label, wrong):
    """Control: the gradient of one layer 1 % too large."""
    U, y = rows()
    y, net = label(y), network(*sizes)
    theta = flat(net)
    learner = filter_for(Louder(net) if wrong else net, family=family)
    own = kfng.Filter(kfng.MLP(list(sizes)), family, theta=theta)
    trace, expected = learner.update_many(U, torch.from_numpy(y)), own.update_many(U, y)
    error = np.abs(own.theta - learner.filter.theta).max()
    if wrong:
        assert error > 1000 * TOLERANCE
        return
    assert error < TOLERANCE
    assert np.abs(trace.nll - expected.nll).max() < TOLERANCE
    assert np.abs(own.cov() - learner.filter.cov()).max() < TOLERANCE
    assert (flat(net) == learner.filter.theta).all()
    for got, wanted in zip(learner.predict(U, return_std=True), own.predict(U, return_std=True), strict=True):
        assert np.abs(got - wanted).max() < TOLERANCE
    std = torch.cat([part.ravel() for part in learner.std().values()]).numpy()
    assert np.abs(std - own.std()).max() < TOLERANCE
    step, wanted = learner.update(torch.from_numpy(U[0]), y[0]), own.update(U[0], y[0])
    assert abs(step.nll - wanted.nll) < TOLERANCE
    assert (flat(net) == learner.filter.theta).all()


class Louder(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, u):
        z = self.net(u)
        return 1.01 * z - 0.01 * z.detach()


class TwoInputs(nn.Module):
    """z (n,) of numbers x and an index i."""

    def __init__(self):
        super().__init__()
        self.table, self.scale = nn.Embedding(4, 3), nn.Parameter(torch.ones(3))

    def forward(self, x, i):
        return (x * self.scale * self.table(i)).sum(-1)


def convolutions():
    return nn.Sequential(
        nn.Conv2d(1, 3, 3, stride=2), nn.BatchNorm2d(3), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(27, 4)
    )


def test_single_rows_and_blocks_have_the_same_jacobian():
    module = convolutions()
    learner = filter_for(module, family=kfng.Categorical(4))
    images = learner._rows(torch.randn(5, 1, 8, 8))
    theta = learner.filter.theta
    Z, dZ = learner._linearise(theta, images)
    for i in range(5):
        z, dz = learner._linearise(theta, learner._part(images, i, i + 1))
        assert np.abs(z[0] - Z[i]).max() < 1e-12
        assert np.abs(dz[0] - dZ[i]).max() < 1e-12
    step = 1e-6 * np.random.default_rng(0).normal(size=len(theta))
    up, down = learner._evaluate(theta + step, images), learner._evaluate(theta - step, images)
    assert np.abs((up - down) / 2 - dZ @ step).max() < 1e-4 * np.abs(step).max()
    module.eval()
    with torch.no_grad():
        assert np.abs(module(images[0][0]).numpy() - Z).max() < 1e-12


def test_a_module_in_training_runs_as_in_eval_and_stays_as_it_was():
    module = convolutions()
    with torch.no_grad():
        for _ in range(3):
            module(torch.randn(16, 1, 8, 8))  # so that the buffers say something
    module[3].eval()
    modes = [layer.training for layer in module.modules()]
    buffers = {name: buffer.clone() for name, buffer in module.named_buffers()}
    learner = filter_for(module, family=kfng.Categorical(4))
    images, labels = torch.randn(6, 1, 8, 8), torch.arange(6) % 4
    learner.update_many(images, labels, block=3)
    assert [layer.training for layer in module.modules()] == modes
    assert all(torch.equal(buffer, buffers[name]) for name, buffer in module.named_buffers())
    module.eval()
    with torch.no_grad():
        shown = torch.softmax(module(images), 1).numpy()
    assert np.abs(learner.predict(images) - shown).max() < 1e-12


def test_several_inputs():
    module = TwoInputs()
    x, i, y = torch.randn(20, 3), torch.arange(20) % 3, np.linspace(-1, 1, 20)
    unused = module.table.weight[3].clone()
    learner, keyed = filter_for(module, family=kfng.Gaussian(0.1)), filter_for(TwoInputs(), family=kfng.Gaussian(0.1))
    keyed.module.load_state_dict(module.state_dict())
    keyed = filter_for(keyed.module, family=kfng.Gaussian(0.1))
    learner.update_many((x, i), y)
    keyed.update_many({"i": i, "x": x}, y)
    assert (learner.filter.theta == keyed.filter.theta).all()
    learner.update((x[0], i[0]), 0.0)
    assert learner.predict((x, i)).shape == (20,)
    assert torch.equal(module.table.weight[3], unused)  # the prior of what no row spoke of
    assert not torch.equal(module.table.weight[:3], TwoInputs().table.weight[:3])


@pytest.mark.parametrize(
    ("parameters", "names"),
    [
        (None, ["0.weight", "0.bias", "4.weight", "4.bias"]),
        ("last", ["4.weight", "4.bias"]),
        ("4.bias", ["4.bias"]),
        (["4", "0.bias"], ["0.bias", "4.weight", "4.bias"]),
        (lambda name, parameter: parameter.ndim == 1, ["0.bias", "2.weight", "2.bias", "4.bias"]),
        ("parameters", ["4.weight", "4.bias"]),
    ],
)
def test_which_parameters_learn(parameters, names):
    module = nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 1))
    module[2].requires_grad_(False)
    parameters = list(module[4].parameters()) if parameters == "parameters" else parameters
    before = state(module)
    learner = filter_for(module, family=kfng.Gaussian(0.1), parameters=parameters)
    learner.update_many(*rows(10))
    assert learner.names == names
    assert list(learner.params) == names
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name]) == (name not in names), name
    for name, value in learner.params.items():
        assert torch.equal(value, module.state_dict()[name])


def test_the_last_layer_is_bayesian_regression_on_what_comes_before():
    U, y = rows()
    net = network(2, 8, 1)
    features = torch.tanh(net[0](torch.from_numpy(U))).detach().numpy()
    start = flat(net[2])
    filter_for(net, family=kfng.Gaussian(0.1), parameters="last").update_many(U, y)
    X = np.column_stack([features, np.ones(len(U))])
    theta = np.linalg.solve(X.T @ X / 0.1 + np.eye(9), X.T @ y / 0.1 + start)
    assert np.abs(flat(net[2]) - theta).max() < 1e-10


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 0.5)])
def test_the_module_keeps_its_dtype(dtype, tolerance):
    U, y = rows(50)
    net = network(2, 8, 1)
    other = network(2, 8, 1)
    other.load_state_dict(net.state_dict())
    net.to(dtype), other.to(dtype).double()
    narrow, wide = filter_for(net, family=kfng.Gaussian(0.1)), filter_for(other, family=kfng.Gaussian(0.1))
    narrow.update_many(U, y)
    wide.update_many(U, y)
    assert all(parameter.dtype == dtype for parameter in net.parameters())
    assert narrow.filter.theta.dtype == np.float64
    assert 0 < np.abs(narrow.filter.theta - wide.filter.theta).max() < tolerance
    assert (flat(net) == torch.from_numpy(narrow.filter.theta).to(dtype).double().numpy()).all()
    own = filter_for(other, family=kfng.Gaussian(0.1), dtype="float32")
    own.update_many(U, y)
    assert (flat(other) == own.filter.theta).all()


def test_tied_parameters_are_one():
    net = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3))
    net[2].weight = net[0].weight
    U = torch.randn(30, 3)
    learner = filter_for(net, family=kfng.Gaussian(0.1), outputs=3)
    assert learner.names == ["0.weight", "0.bias", "2.bias"]
    learner.update_many(U, U.numpy())
    assert torch.equal(net[0].weight, net[2].weight)
    assert np.abs(learner.predict(U) - net(U).detach().numpy()).max() < 1e-12
    with pytest.raises(errors.ParameterError):
        filter_for(net, family=kfng.Gaussian(0.1), outputs=3, parameters=["0.weight", "2.weight"])


@pytest.mark.parametrize(
    ("error", "argument", "make"),
    [
        (errors.ParameterError, "module", lambda net: filter_for(lambda u: u, family=kfng.Gaussian())),
        (errors.ParameterError, "parameters", lambda net: filter_for(net, family=kfng.Gaussian(), parameters=["0", "0.bias"])),
        (errors.ParameterError, "parameters", lambda net: filter_for(net, family=kfng.Gaussian(), parameters=[])),
        (errors.ParameterError, "parameters", lambda net: filter_for(net, family=kfng.Gaussian(), parameters=3)),
        (errors.ParameterError, "parameters", lambda net: filter_for(net, family=kfng.Gaussian(), parameters=[3])),
        (errors.UnknownNameError, "parameters", lambda net: filter_for(net, family=kfng.Gaussian(), parameters=["head"])),
        (errors.UnknownNameError, "parameters", lambda net: filter_for(net, family=kfng.Gaussian(), parameters=[nn.Parameter(torch.ones(1))])),
        (errors.DtypeError, "parameters", lambda net: filter_for(nn.Linear(2, 1, dtype=torch.complex128), family=kfng.Gaussian())),
        (errors.UnsupportedError, "module", lambda net: filter_for(nn.LazyLinear(1), family=kfng.Gaussian())),
        (errors.ShapeError, "family", lambda net: filter_for(net, family=kfng.Bernoulli(), outputs=2)),
        (errors.ParameterError, "block", lambda net: filter_for(net, family=kfng.Gaussian(), block=0)),
        (errors.ParameterError, "family", lambda net: filter_for(net, family=nn.MSELoss())),
    ],
)  # fmt: skip
def test_what_cannot_learn(error, argument, make):
    net = network(2, 4, 1)
    before = state(net)
    with pytest.raises(error) as caught:
        make(net)
    assert caught.value.argument == argument
    assert same(net, before)


@pytest.mark.parametrize(
    ("error", "argument", "call"),
    [
        (errors.ShapeError, "output", lambda net, U, y: filter_for(net, family=kfng.Gaussian(), outputs=2).update_many(U, np.c_[y, y])),
        (errors.ShapeError, "output", lambda net, U, y: filter_for(net, family=kfng.Categorical(3)).update(U[0], 1)),
        (errors.ShapeError, "output", lambda net, U, y: filter_for(nn.Sequential(net, nn.Flatten(0), nn.Unflatten(0, (1, 1, 1))), family=kfng.Gaussian()).update(U[0], 1)),
        (errors.DtypeError, "output", lambda net, U, y: filter_for(Pair(net), family=kfng.Gaussian()).update(U[0], 1)),
        (errors.ShapeError, "U", lambda net, U, y: filter_for(net, family=kfng.Gaussian()).update_many((U, U[:3]), y)),
        (errors.DtypeError, "U", lambda net, U, y: filter_for(net, family=kfng.Gaussian()).update_many(["a"], y[:1])),
        (errors.NonFiniteError, "u", lambda net, U, y: filter_for(net, family=kfng.Gaussian()).update(np.nan * U[0], 1)),
        (errors.NonFiniteError, "jacobian", lambda net, U, y: filter_for(Root(net), family=kfng.Gaussian()).update(U[0], 1)),
        (errors.NonFiniteError, "jacobian", lambda net, U, y: KalmanOptimizer(Root(net), family=kfng.Gaussian()).step(U, y)),
        (errors.NonFiniteError, "y", lambda net, U, y: KalmanOptimizer(net, family=kfng.Gaussian()).step(U, np.where(y == y[7], np.inf, y))),
        (errors.ShapeError, "Y", lambda net, U, y: KalmanOptimizer(net, family=kfng.Gaussian()).step(U, y[:3])),
    ],
)  # fmt: skip
def test_after_an_error_all_is_as_before(error, argument, call):
    """In float32 too, which does not hold the filter's theta."""
    net = network(2, 4, 1).float()
    before = state(net)
    with pytest.raises(error) as caught:
        call(net, *rows(12))
    assert caught.value.argument == argument
    assert same(net, before)


class Pair(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, u):
        return self.net(u), u


class Root(Pair):
    """sqrt(0) has an infinite derivative."""

    def forward(self, u):
        return torch.sqrt(torch.abs(self.net(u)) * 0)


def test_a_bad_row_leaves_those_before_it_in_filter_and_module():
    U, y = rows(12)
    U[7] = np.inf
    net, other = network(2, 4, 1), network(2, 4, 1)
    other.load_state_dict(net.state_dict())
    with pytest.raises(errors.NonFiniteError) as caught:
        filter_for(net, family=kfng.Gaussian()).update_many(U, y)
    filter_for(other, family=kfng.Gaussian()).update_many(U[:7], y[:7])
    assert caught.value.row == 7
    assert len(caught.value.trace) == 7
    assert same(net, other.state_dict())


def test_a_batch_is_learned_whole_or_not_at_all():
    U, y = rows(64)
    net, other = network(2, 4, 1), network(2, 4, 1)
    other.load_state_dict(net.state_dict())
    optimizer = KalmanOptimizer(net, family=kfng.Gaussian(0.1))
    learner = filter_for(other, family=kfng.Gaussian(0.1), block=32)
    optimizer.step(U[:32], y[:32])
    before, cov, health = state(net), optimizer.filter.cov(), optimizer.filter.health()
    bad = y[32:].copy()
    bad[20] = np.inf
    with pytest.raises(errors.NonFiniteError) as caught:
        optimizer.step(U[32:], bad)
    assert caught.value.row == 20
    assert same(net, before)
    assert (optimizer.filter.cov() == cov).all()
    assert optimizer.filter.health() == health
    trace = optimizer.step(torch.from_numpy(U[32:]), torch.from_numpy(y[32:]))
    expected = learner.update_many(U, y)
    assert (trace.nll == expected.nll[32:]).all()
    assert same(net, other.state_dict())


def test_batches_of_single_rows():
    U, y = rows(64)
    net, other = network(2, 4, 1), network(2, 4, 1)
    other.load_state_dict(net.state_dict())
    KalmanOptimizer(net, family=kfng.Gaussian(0.1), block=1).step(U, y)
    filter_for(other, family=kfng.Gaussian(0.1)).update_many(U, y)
    assert same(net, other.state_dict())
    KalmanOptimizer(net, family=kfng.Gaussian(0.1)).step(U[:0], y[:0])
    assert same(net, other.state_dict())


def test_beside_another_optimizer():
    """The body by SGD on its loss, the head by the filter: each leaves the other's parameters alone."""
    U, y = (torch.from_numpy(part) for part in rows(64))
    net = network(2, 8, 1)
    head = KalmanOptimizer(net, family=kfng.Gaussian(0.1), parameters="last")
    body = torch.optim.SGD([p for name, p in net.named_parameters() if name not in head.names], lr=0.05)
    for start in range(0, 64, 16):
        part = slice(start, start + 16)
        loss = ((net(U[part])[:, 0] - y[part]) ** 2).mean()
        head.zero_grad()
        body.zero_grad()
        loss.backward()
        first = net[0].weight.clone()
        head.step(U[part], y[part])
        assert torch.equal(net[0].weight, first)
        last = net[2].weight.clone()
        body.step()
        assert torch.equal(net[2].weight, last)
        assert not torch.equal(net[0].weight, first)
    with torch.no_grad():
        assert np.abs(head.learner.predict(U) - net(U)[:, 0].numpy()).max() < 1e-12
    assert net[2].weight.grad is not None
    head.zero_grad(set_to_none=False)
    assert not net[2].weight.grad.any()
    head.zero_grad()
    assert net[2].weight.grad is None


def test_states_go_through_torch_save():
    U, y = rows(64)
    net, other = network(2, 4, 1), network(2, 4, 1)
    optimizer, twin = (KalmanOptimizer(module, family=kfng.Gaussian(0.1)) for module in (net, other))
    optimizer.step(U[:32], y[:32])
    file = io.BytesIO()
    torch.save({"net": net.state_dict(), "kalman": optimizer.state_dict()}, file)
    file.seek(0)
    saved = torch.load(file, weights_only=True)
    other.load_state_dict(saved["net"])
    twin.load_state_dict(saved["kalman"])
    for each in (optimizer, twin):
        each.step(U[32:], y[32:])
    assert same(net, other.state_dict())
    assert (optimizer.filter.cov() == twin.filter.cov()).all()
    before, damaged = state(net), saved["kalman"]["filter"].clone()
    damaged[len(damaged) // 2] ^= 1
    for wrong, error in [
        ({"parameters": optimizer.names}, errors.ParameterError),
        (saved["kalman"] | {"parameters": ["0.weight"]}, errors.ParameterError),
        (saved["kalman"] | {"filter": damaged}, errors.CheckpointError),
        (KalmanOptimizer(network(2, 5, 1), family=kfng.Gaussian()).state_dict(), errors.ShapeError),
    ]:
        with pytest.raises(error):
            optimizer.load_state_dict(wrong)
        assert same(net, before)


def test_files_and_what_others_wrote(tmp_path):
    U, y = rows(20)
    net = network(2, 4, 1)
    learner = filter_for(net, family=kfng.Gaussian(0.1))
    learner.update_many(U, y)
    learner.save(tmp_path / "model.kfng")
    after = state(net)
    learner.update_many(U, y)
    learner.load(tmp_path / "model.kfng")
    assert same(net, after)
    with torch.no_grad():
        net[0].weight.zero_()
    learner.write_back()
    assert same(net, after)
    assert isinstance(kfng.load(tmp_path / "model.kfng"), kfng.Filter)


def test_many_parameters_with_variances_alone():
    net = network(20, 4000, 3)
    learner = filter_for(net, family=kfng.Categorical(3), belief=kfng.Diagonal(0.01))
    U = torch.randn(8, 20)
    trace = learner.update_many(U, torch.arange(8) % 3, block=4)
    assert learner.filter.settings.p == 96003
    assert np.isfinite(trace.nll).all()
    mean, std = learner.predict(U, return_std=True)
    assert mean.shape == std.shape == (8, 3)
    assert learner.filter.theta.shape == (96003,)


def test_the_real_packages_are_not_hidden():
    import kfng.jax
    import kfng.torch

    assert torch.__name__ == "torch"
    assert kfng.torch.__name__ == "kfng.torch"
    assert kfng.jax.__name__ == "kfng.jax"
    assert not hasattr(kfng.torch, "Tensor")
