"""T11: scalar updates one after another are the block update of a row with k outputs,

    S = I + A'PA,  P <- P - P A S^-1 A'P,  theta <- theta + P_new g,

when the point of linearisation stays and the residual is updated linearly, e_j - A_j'dtheta: z_j = z_j(theta) + dz_j dtheta.
Correlated noise is whitened first, y -> L'y with L L' = R^-1. And dtheta = P_new g for every family: what the core does
with a singular L is to fuse g last, with Fisher weight 0. Sources: arXiv 1703.00209; Bierman's sequential form, textbooks.
"""

import numpy as np
import pytest
from theory.literal import error, judge, learned_from
from theory.streams import LEARNED, NAMES, assert_quiet, run, stream

TOLERANCE = 1e-12
LAM = 0.01
SEVERAL = [name for name in NAMES if name[-1] in "23"]


def one_after_another(impl, guards, rows, residual):
    """Each row as k rows of one observed output; time passes with the first."""
    k, p = rows.model.k, rows.model.p
    family = impl.Gaussian(**LEARNED) if rows.learned else impl.Gaussian()
    settings = {"belief": impl.Full(rows.prior), "theta": rows.theta_0, "rule": impl.Fading(LAM)}
    settings["guards"] = impl.Guards.none() if guards == "no_guards" else impl.Guards()
    flt = impl.Filter(impl.External(p, k), family, **settings)
    whiten = np.linalg.inv(np.linalg.cholesky(rows.law.R))
    thetas, covariances, noise = [], [], []
    for t, u in enumerate(rows.U):
        start = flt.theta
        for j in range(k):
            here = flt.theta if residual == "relinearised" else start
            z, dz = whiten @ (rows.model.output(here, u) + rows.offset[t]), whiten @ rows.model.jacobian(here, u)
            if residual == "updated linearly":
                z = z + dz @ (flt.theta - start)
            y = np.where(np.arange(k) == j, whiten @ rows.Y[t], np.nan)
            flt.condition(y, z, dz, weight=rows.weight[t], dt=rows.dt[t] if j == 0 else 0.0)
        thetas.append(flt.theta)
        covariances.append(rows.covariance(flt))
        noise.append(flt.noise_variance if rows.learned else (1.0, 1.0))
    assert_quiet(flt)
    return np.array(thetas), np.array(covariances), np.array(noise)


# bites for all of SEVERAL, except that a linear model relinearised is the same model
@pytest.mark.parametrize("residual", ["updated linearly", "not updated", "relinearised"])
@pytest.mark.parametrize("name", SEVERAL)
def test_scalar_updates_are_the_block_update(impl, guards, name, residual):
    rows = stream(name)
    theta, P = run(rows, impl, guards, impl.Fading(LAM))
    theta_1, P_1, noise = one_after_another(impl, guards, rows, residual)
    control = residual == "not updated" or (residual == "relinearised" and name.startswith("external"))
    judge(error(theta_1, theta), TOLERANCE, control=control)
    if name.startswith("external") or not control:
        judge(error(P_1, P), TOLERANCE, control=control)
    if rows.learned:  # mean and degrees of freedom of sigma², which count the same squares
        flt = rows.filter(impl, guards, rule=impl.Fading(LAM))
        for t in range(len(rows.U)):
            rows.feed(flt, t)
        judge(error(noise[-1], np.array(flt.noise_variance)), TOLERANCE, control=control)


# both controls bite for every family and model in NAMES
@pytest.mark.parametrize("step", ["P_new g", "P_old g", "(P - P F P) g"])
@pytest.mark.parametrize("name", NAMES)
def test_the_step_is_the_new_covariance_times_the_score(impl, guards, name, step):
    rows = stream(name)
    theta, P = run(rows, impl, guards, impl.Kalman())
    before, P_old = np.concatenate([rows.theta_0[None], theta[:-1]]), np.concatenate([rows.prior[None], P[:-1]])
    expected = []
    for t in range(len(theta)):
        g, F = learned_from(rows, t, before[t])
        used = {"P_new g": P[t], "P_old g": P_old[t], "(P - P F P) g": P_old[t] - P_old[t] @ F @ P_old[t]}[step]
        expected.append(used @ g)
    judge(error(theta - before, np.array(expected)), TOLERANCE, control=step != "P_new g")
