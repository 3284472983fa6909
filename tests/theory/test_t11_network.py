"""T11 with a network: the outputs of a row taken one after another, with the network linearised once, are the block update.

    z_j = z_j(theta_0) + dz_j (theta - theta_0), theta_0 that before the row

Controls: the residual as it was before the row; the network linearised anew for each output. Source: Bierman, textbooks.
"""

import numpy as np
import pytest
from theory.literal import error, judge

TOLERANCE = 1e-12
R = np.array([[0.5, 0.1, -0.1], [0.1, 0.8, 0.2], [-0.1, 0.2, 0.6]])


# both controls bite for both activations
@pytest.mark.parametrize("residual", ["updated linearly", "not updated", "relinearised"])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_outputs_one_after_another(impl, activation, residual):
    rng, model = np.random.default_rng(7), impl.MLP([2, 5, 4, 3], activation)
    U, Y, weight = rng.normal(size=(40, 2)), rng.normal(size=(40, 3)), rng.uniform(0.5, 1.5, 40)
    options = {"theta": model.initial_theta(2), "rule": impl.Fading(0.01)}
    block = impl.Filter(model, impl.Gaussian(covariance=R), **options)
    single = impl.Filter(impl.External(model.n_parameters, 3), impl.Gaussian(), **options)
    whiten = np.linalg.inv(np.linalg.cholesky(R))
    thetas, covariances = [], []
    for u, y, w in zip(U, Y, weight, strict=True):
        block.update(u, y, weight=w)
        start = single.theta
        for j in range(3):
            z, dz = model.forward(single.theta if residual == "relinearised" else start, u)
            if residual == "updated linearly":
                z = z + dz @ (single.theta - start)
            y_j = np.where(np.arange(3) == j, whiten @ y, np.nan)
            single.condition(y_j, whiten @ z, whiten @ dz, weight=w, dt=float(j == 0))
        thetas.append((single.theta, block.theta))
        covariances.append((single.cov(), block.cov()))
    for pairs in (thetas, covariances):
        one, exact = np.array(pairs).swapaxes(0, 1)
        judge(error(one, exact), TOLERANCE, control=residual != "updated linearly")
