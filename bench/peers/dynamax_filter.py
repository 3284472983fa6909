"""dynamax: its filters with a constant state, compiled, only the last mean kept; nonlinear problems by its EKF integrals."""

import numpy as np
from cases import Case

from peers.base import Peer, stream


class Dynamax(Peer):
    name, rank = "dynamax", 53
    module, distribution = "dynamax.linear_gaussian_ssm", "dynamax"

    goes_on = False

    @classmethod
    def can(cls, case: Case) -> bool:
        return stream(case) and not case.problem.diagonal and case.problem.kind != "rnn"

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        import jax

        jax.config.update("jax_enable_x64", case.dtype == "float64")
        self.jax = jax
        self.last_mean = jax.jit(self._linear if self.problem.kind == "linear" else self._nonlinear)

    def prepare(self, X, Y):
        if self.problem.kind == "softmax":  # all classes but the last: with it their covariance would be singular
            Y = np.eye(self.problem.k, dtype=X.dtype)[Y.astype(int)][:, :-1]
        return self.jax.device_put((X, Y.reshape(len(Y), -1)))

    def reset(self) -> None:
        eye, dtype = np.eye(self.problem.p), self.case.dtype
        prior = self.problem.theta_0().astype(dtype), (eye * self.problem.prior_variance).astype(dtype)
        self.prior = self.jax.device_put(prior)
        self.mean = None

    def run(self, rows) -> None:
        self.mean = self.jax.block_until_ready(self.last_mean(*self.prior, *rows))

    def theta(self) -> np.ndarray:
        return np.asarray(self.mean)

    def _linear(self, mean, cov, X, Y):
        import jax.numpy as jnp
        from dynamax.linear_gaussian_ssm.inference import lgssm_filter, make_lgssm_params

        eye = jnp.eye(len(mean), dtype=X.dtype)
        params = make_lgssm_params(mean, cov, eye, 0 * eye, X[:, None, :], jnp.eye(1, dtype=X.dtype))
        return lgssm_filter(params, Y).filtered_means[-1]

    def _nonlinear(self, mean, cov, X, Y):
        import jax.numpy as jnp
        from dynamax.generalized_gaussian_ssm import ParamsGGSSM
        from dynamax.generalized_gaussian_ssm.inference import EKFIntegrals, conditional_moments_gaussian_filter

        emission_mean, emission_cov = self._moments()
        params = ParamsGGSSM(
            initial_mean=mean,
            initial_covariance=cov,
            dynamics_function=lambda theta, x: theta,
            dynamics_covariance=jnp.zeros_like(cov),
            emission_mean_function=emission_mean,
            emission_cov_function=emission_cov,
        )
        return conditional_moments_gaussian_filter(params, EKFIntegrals(), Y, inputs=X).filtered_means[-1]

    def _moments(self):
        """E[y | theta, x] and Cov[y | theta, x]."""
        import jax
        import jax.numpy as jnp

        from peers.jax_by_hand import network

        K, d = self.problem.k, self.problem.d
        if self.problem.kind == "mlp":
            return (lambda th, x: network(th, x, K)[None]), (lambda th, x: jnp.eye(1, dtype=x.dtype))

        def mean(th, x):
            if self.problem.kind == "logistic":
                return jax.nn.sigmoid(x @ th)[None]
            return jax.nn.softmax(th.reshape(K, d) @ x)[:-1]

        def cov(th, x):
            m = mean(th, x)
            return jnp.diag(m) - jnp.outer(m, m)

        return mean, cov
