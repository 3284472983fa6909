"""robust= as an argument, on its way through files and copies, and what of it is reported and counted."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from boundary.filters import bits, refused

from kfng.errors import ParameterError, UnknownNameError, UnsupportedError

POLICIES = ("imq", "student", "winsor")


def rows(k=1, n=200, seed=0):
    rng = np.random.default_rng(seed)
    U = rng.normal(size=(n, 3))
    Y = U @ rng.normal(size=(3, k)) + rng.normal(size=(n, k))
    Y[7::10] += 30.0
    Y[::23, 0] = np.nan
    return U, Y if k > 1 else Y[:, 0]


def make(impl, robust, k=1, variance=1.0, d=3, **options):
    return impl.Filter(impl.Linear(d, k), impl.Gaussian(variance), robust=robust, **options)


@pytest.mark.parametrize("name", POLICIES)
def test_a_name_is_the_policy_with_its_defaults(impl, name):
    policy = {"imq": impl.Imq(), "student": impl.Student(), "winsor": impl.Winsor()}[name]
    flt = make(impl, name)
    assert flt.settings.robust == policy
    assert flt.spec()["robust"] == policy.spec()
    assert f"robust={policy!r}" in repr(flt)
    assert make(impl, policy).spec() == flt.spec()
    assert "robust" not in make(impl, None).spec()


def test_what_is_no_policy(impl):
    with refused(UnknownNameError, "robust"):
        make(impl, "huber")
    with refused(ParameterError, "robust") as caught:
        make(impl, impl.Imq)
    assert "instance" in str(caught.value)
    with refused(ParameterError, "robust"):
        make(impl, 4.0)


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf, "4", None, True])
@pytest.mark.parametrize(("name", "field"), [("Imq", "threshold"), ("Student", "dof"), ("Winsor", "sd")])
def test_thresholds_are_positive_numbers(impl, name, field, value):
    with refused(ParameterError, field):
        getattr(impl, name)(**{field: value})


@pytest.mark.parametrize("name", POLICIES)
def test_where_no_weight_is_known(impl, name):
    for family in (impl.Bernoulli(), impl.Poisson(), impl.Gamma(3.0), impl.NegativeBinomial(2.0)):
        with refused(UnsupportedError, "robust"):
            impl.Filter(impl.Linear(3), family, robust=name)
    with refused(UnsupportedError, "robust"):
        make(impl, name, iterations=3)
    with refused(UnsupportedError, "robust"):
        make(impl, name, iterations="implicit")
    recurrent = impl.RNN(3, 2, 1)
    with refused(UnsupportedError, "robust"):
        impl.Filter(recurrent, impl.Gaussian(), rule=impl.SGD(0.1), robust=name)
    flt = impl.Filter(recurrent, impl.Gaussian(), robust=name)
    flt.update([0.1, 0.2, 0.3], 1e4)
    assert flt.health()["n_updates"] == 1


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("variance", [1.0, None, "each"])
@pytest.mark.parametrize(("k", "d"), [(1, 3), (1, 40), (2, 3)])
@pytest.mark.parametrize("name", POLICIES)
def test_bits_do_not_depend_on_how_rows_are_cut(impl, name, k, d, variance, dtype):
    U, Y = rows(k)
    U = np.hstack([U] * (d // 3) + [U[:, : d % 3]])
    one, many, chunks = (make(impl, name, k, variance, d, dtype=dtype, rule=impl.Fading(0.01)) for _ in range(3))
    steps = [one.update(u, y) for u, y in zip(U, Y, strict=True)]
    trace = many.update_many(U, Y)
    pieces = [chunks.update_many(U[a:b], Y[a:b]) for a, b in ((0, 1), (1, 60), (60, 63), (63, 200))]
    assert bits(one) == bits(many) == bits(chunks)
    weights = np.array([step.robust_weight for step in steps])
    assert (weights == trace.robust_weight).all()
    assert (weights == np.concatenate([piece.robust_weight for piece in pieces])).all()
    assert weights.min() < 0.3
    assert trace[3:60].robust_weight.tolist() == weights[3:60].tolist()
    assert pickle.loads(pickle.dumps(trace)).robust_weight.tolist() == weights.tolist()


@pytest.mark.parametrize("name", POLICIES)
def test_saved_and_copied(impl, name, tmp_path):
    U, Y = rows()
    flt = make(impl, name)
    flt.update_many(U[:100], Y[:100])
    flt.save(tmp_path / "a.kfng")
    twins = [impl.load(tmp_path / "a.kfng"), pickle.loads(pickle.dumps(flt)), flt.copy()]
    target = flt.update_many(U[100:], Y[100:]).robust_weight.tolist()
    for twin in twins:
        assert twin.settings.robust == flt.settings.robust
        assert twin.update_many(U[100:], Y[100:]).robust_weight.tolist() == target
        assert bits(twin) == bits(flt)


@pytest.mark.parametrize("name", POLICIES)
def test_weights_and_their_count(impl, name):
    """1 for what taught nothing and for other filters; health() counts what was cut, or counted for less than half."""
    U, Y = rows()
    flt, plain = make(impl, name), make(impl, None)
    trace = flt.update_many(U, Y)
    assert (plain.update_many(U, Y).robust_weight == 1).all()
    assert plain.update(U[0], 1.0).robust_weight == 1.0
    assert (trace.robust_weight[np.isnan(Y)] == 1).all()
    least = 1.0 if name == "winsor" else 0.5
    low = int((trace.robust_weight < least).sum())
    assert 15 <= low <= 25
    counter, other = ("winsorised", "downweighted") if name == "winsor" else ("downweighted", "winsorised")
    assert flt.health()[counter] == low
    assert flt.health()[other] == 0
    assert plain.health()["winsorised"] == plain.health()["downweighted"] == 0
    assert flt.update(U[1], np.nan).robust_weight == 1.0
    assert flt.update(U[1], 99.0, weight=0.0).robust_weight == 1.0
    assert flt.update(U[1], 1e5).robust_weight < 0.01
    assert flt.health()[counter] == low + 1


@pytest.mark.parametrize("name", POLICIES)
def test_a_refused_row_changes_nothing(impl, name):
    U, Y = rows()
    flt = make(impl, name)
    flt.update_many(U, Y)
    before = bits(flt)
    with pytest.raises(ValueError, match="overflow"):
        flt.update(U[0], 1e300)
    assert bits(flt) == before


def test_merge_refuses_other_policies(impl):
    U, Y = rows()
    filters = [make(impl, robust) for robust in ("imq", "imq", "student", None)]
    for flt in filters:
        flt.update_many(U, Y)
    merged = impl.merge(filters[:2])
    assert merged.health()["downweighted"] == 2 * filters[0].health()["downweighted"]
    for other in filters[2:]:
        with refused(UnsupportedError, "robust"):
            impl.merge([filters[0], other])


@pytest.mark.parametrize("name", POLICIES)
def test_a_bank_is_its_filters(impl, name):
    U, Y = rows()
    keys = np.arange(len(U)) % 3
    bank = impl.Bank(impl.Linear(3), impl.Gaussian(), robust=name)
    trace = bank.update(keys, U, Y)
    filters = [make(impl, name) for _ in range(3)]
    for i, (u, y) in enumerate(zip(U, Y, strict=True)):
        assert filters[keys[i]].update(u, y).robust_weight == trace.robust_weight[i]
    for key in range(3):
        assert bits(bank[key]) == bits(filters[key])
    names = ("winsorised", "downweighted")
    assert {n: bank.health()[n] for n in names} == {n: sum(f.health()[n] for f in filters) for n in names}


@pytest.mark.parametrize("variance", [1.0, None, "each"])
@pytest.mark.parametrize(("k", "d"), [(1, 3), (1, 40), (2, 3)])
def test_rows_that_winsor_leaves_alone_are_the_ordinary_filter(impl, k, d, variance):
    """To the bit; the control: with a bound that acts they are not."""
    U, Y = rows(k)
    U = np.hstack([U] * (d // 3) + [U[:, : d % 3]])
    flt, plain, cut = (make(impl, policy, k, variance, d) for policy in (impl.Winsor(1e6), None, impl.Winsor(3.0)))
    for each in (flt, plain, cut):
        each.update_many(U, Y)
    states = [bits(each) for each in (flt, plain, cut)]
    assert [state.pop("robust", None) is not None for state in states] == [True, False, True]
    assert states[0] == states[1] != states[2]
