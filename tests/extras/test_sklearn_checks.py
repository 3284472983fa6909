"""The checks of scikit-learn for estimators, all of them, on every form of the two estimators: `make test-extras`.

The one exception is one of principle: a row of weight 2 is not the same as two rows where a row is linearised at the
parameters that the row before it left, or where the order of rows counts. For the linear Gaussian model it is the same,
and there is no exception.
"""

import pytest

try:
    from sklearn.utils.estimator_checks import parametrize_with_checks
except ImportError as error:
    pytest.fail(f"the extra sklearn is not installed: {error}", pytrace=False)

from kfng.sklearn import OnlineClassifier, OnlineRegressor

EXACT = [
    OnlineRegressor(),
    OnlineRegressor(dispersion=0.5),
    OnlineRegressor(warmup=0),
    OnlineRegressor(fit_intercept=False),
    OnlineRegressor(missing="mean"),
]
LINEARISED = [
    OnlineRegressor("poisson"),
    OnlineRegressor("negative_binomial", dispersion=0.3),
    OnlineRegressor("gamma"),
    OnlineRegressor(model="mlp", hidden=(8,)),
    OnlineRegressor(belief="diagonal"),
    OnlineRegressor(half_life=500),
    OnlineClassifier(),
    OnlineClassifier(iterations=3),
    OnlineClassifier(model="mlp", hidden=(8,)),
    OnlineClassifier(belief="diagonal"),
    OnlineClassifier(missing="mean"),
    OnlineClassifier(missing="skip"),
]
CHECKS = ("check_sample_weight_equivalence_on_dense_data", "check_sample_weight_equivalence_on_sparse_data")
WEIGHTS = "a row of weight 2 is not two rows: the second is linearised where the first one led"


def exceptions(estimator):
    exact = any(str(estimator) == str(one) for one in EXACT)
    return {} if exact else dict.fromkeys(CHECKS, WEIGHTS)


@parametrize_with_checks([*EXACT, *LINEARISED], expected_failed_checks=exceptions)
def test_checks(estimator, check):
    check(estimator)
