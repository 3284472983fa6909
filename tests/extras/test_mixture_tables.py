"""A mixture takes tables as a filter does, each filter by its own names. `make test-extras`."""

import numpy as np
import polars
import pytest

import kfng


def test_a_table_is_its_arrays():
    rng = np.random.default_rng(0)
    table = polars.DataFrame({name: rng.normal(size=200) for name in ("a", "b", "y", "w")}).with_columns(
        w=polars.lit(0.5)
    )
    filters = [
        kfng.Filter(kfng.Linear(2), kfng.Gaussian(None), feature_names=names, rule=rule)
        for names, rule in ((["a", "b"], kfng.Kalman()), (["b", "a"], kfng.Fading(half_life=10)))
    ]
    mixture = kfng.Mixture(filters)
    trace = mixture.update_many(table, target="y", weight="w", on_bad_row="skip")
    for flt, columns, own in zip(filters, (["a", "b"], ["b", "a"]), trace.traces, strict=True):
        alone = flt.update_many(table[columns].to_numpy(), table["y"].to_numpy(), weight=0.5)
        np.testing.assert_array_equal(own.prediction, alone.prediction)
    means = [
        flt.predict(table[columns].to_numpy()) for flt, columns in zip(filters, (["a", "b"], ["b", "a"]), strict=True)
    ]
    np.testing.assert_allclose(mixture.predict(table), np.average(means, axis=0, weights=mixture.weights), rtol=1e-12)
    assert mixture.predict_quantiles(table[:3], [0.1, 0.9]).shape == (3, 2)
    times = np.datetime64("2024-03-01", "us") + np.arange(200) * np.timedelta64(90, "m")
    twin = mixture.copy()
    mixture.update_many(table.with_columns(polars.Series("when", times)), target="y", time="when")
    twin.update_many(table, target="y", time=times)
    assert mixture._to_bytes() == twin._to_bytes()
    before = mixture._to_bytes()
    with pytest.raises(kfng.UnknownNameError):
        mixture.update_many(table.drop("b"), target="y")
    with pytest.raises(kfng.ParameterError):
        mixture.update_many(np.zeros((3, 2)), np.zeros(3), target="y")
    assert mixture._to_bytes() == before
