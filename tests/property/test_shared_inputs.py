"""Several outputs of one row of inputs, fused together as multiples of them: equal to the reference, the same bits in any pieces."""

import numpy as np
import pytest
from property.streams import bits

import kfng
import kfng.reference


def make(impl, d, k, dtype="float64", lam=0.02):
    return impl.Filter(
        impl.Linear(d, k),
        impl.Categorical(k),
        belief=impl.Full(1 / d),
        rule=impl.Fading(lam),
        dtype=dtype,
        evidence=True,
    )


def rows(d, k, n=40):
    rng = np.random.default_rng(d * k)
    U, Y = rng.normal(size=(n, d)), rng.integers(0, k, n).astype(float)
    Y[5] = np.nan
    return U, Y


@pytest.mark.parametrize(("d", "k"), [(15, 3), (16, 2), (17, 3), (23, 5), (33, 4), (16, 15), (16, 16), (40, 2)])
def test_equal_to_the_reference(d, k):
    U, Y = rows(d, k)
    own, exact = make(kfng, d, k), make(kfng.reference, d, k)
    trace, other = own.update_many(U, Y), exact.update_many(U, Y)
    for name in ("z", "C", "nll"):
        np.testing.assert_allclose(getattr(trace, name), getattr(other, name), rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(own.theta, exact.theta, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(own.cov(), exact.cov(), rtol=1e-9, atol=1e-12)
    assert own.log_evidence == pytest.approx(exact.log_evidence, rel=1e-10)
    assert own.health()["rho_max"] == pytest.approx(exact.health()["rho_max"], rel=1e-9)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("d", "k"), [(17, 3), (33, 10)])
def test_the_same_bits_in_any_pieces(d, k, dtype):
    U, Y = rows(d, k)
    whole, pieces, single = (make(kfng, d, k, dtype) for _ in range(3))
    whole.update_many(U, Y)
    for part in np.split(np.arange(40), [1, 4, 20]):
        pieces.update_many(U[part], Y[part])
    for u, y in zip(U, Y, strict=True):
        single.update(u, y)
    assert bits(whole) == bits(pieces) == bits(single)
    assert (np.linalg.eigvalsh(whole.cov()) > 0).all()
