"""progress=: nothing, a bar on stderr, or a callable that hears of all rows in order."""

from __future__ import annotations

import sys
import threading

import numpy as np
import pytest
from boundary.filters import bits, fed, make, refused, stream
from together import HANG

from kfng.errors import NonFiniteError, UnsupportedError

N = 200


def test_none_and_false_are_silent(impl, capfd):
    flt, (U, Y) = make(impl, "gaussian"), stream("gaussian", N)
    flt.update_many(U, Y, progress=None)
    flt.update_many(U, Y, progress=False)
    assert capfd.readouterr() == ("", "")


def test_true_draws_a_bar_that_reaches_the_end(impl, capfd):
    flt, (U, Y) = make(impl, "gaussian"), stream("gaussian", N)
    flt.update_many(U, Y, progress=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert "100%" in err
    assert "200" in err


def test_a_callable_hears_how_many_of_how_many(impl):
    flt, (U, Y) = make(impl, "gaussian"), stream("gaussian", N)
    heard, counted = [], []

    def listen(done, total):
        heard.append((done, total))
        counted.append(flt.n_updates)

    flt.update_many(U, Y, progress=listen)
    done = [d for d, _ in heard]
    assert {total for _, total in heard} == {N}
    assert done == sorted(set(done))
    assert done[-1] == N
    assert len(done) >= 2  # the first piece is small
    assert counted == done  # what is reported has happened


def test_reporting_changes_no_bit(impl, capfd):
    U, Y = stream("fading", N)
    plain = make(impl, "fading")
    plain.update_many(U, Y)
    for progress in (True, lambda done, total: None):
        flt = make(impl, "fading")
        flt.update_many(U, Y, progress=progress)
        assert bits(flt) == bits(plain)


def test_a_callable_that_raises_leaves_the_reported_prefix(impl):
    flt, twin, (U, Y) = make(impl, "gaussian"), make(impl, "gaussian"), stream("gaussian", N)
    seen = []

    def stop(done, total):
        seen.append(done)
        raise ZeroDivisionError("enough")

    with pytest.raises(ZeroDivisionError, match="enough"):
        flt.update_many(U, Y, progress=stop)
    twin.update_many(U[: seen[0]], Y[: seen[0]])
    assert bits(flt) == bits(twin)
    flt.update_many(U[seen[0] :], Y[seen[0] :])
    twin.update_many(U[seen[0] :], Y[seen[0] :])
    assert bits(flt) == bits(twin)


def test_a_callable_that_raises_in_a_mixture(impl):
    """So too, in all its filters and their weights."""
    U, Y = stream("gaussian", N)

    def mixture():
        return impl.Mixture([make(impl, "gaussian"), make(impl, "fading")])

    def all_bits(mixture):
        return mixture.weights.tobytes(), [bits(one) for one in mixture.filters]

    one, twin, heard = mixture(), mixture(), []

    def stop(done, total):
        heard.append(done)
        if len(heard) == 2:
            raise ZeroDivisionError("enough")

    with pytest.raises(ZeroDivisionError, match="enough"):
        one.update_many(U, Y, progress=stop)
    twin.update_many(U[: heard[-1]], Y[: heard[-1]])
    assert 0 < heard[-1] <= N
    assert all_bits(one) == all_bits(twin)


def test_a_callable_may_use_the_filter(impl):
    """Reading it, copying it, even updating it: no lock is held while the callable runs."""
    flt, (U, Y) = make(impl, "gaussian"), stream("gaussian", N)
    calls = []

    def use(done, total):
        calls.append((flt.predict(U[:1]), flt.copy().n_updates, flt.update(U[0], Y[0]).prediction))

    flt.update_many(U, Y, progress=use)
    assert flt.n_updates == N + len(calls)


def test_a_callable_may_wait_for_a_thread_that_reads_the_mixture(impl):
    U, Y = stream("gaussian", N)
    mixture = impl.Mixture([make(impl, "gaussian"), make(impl, "fading")])
    calls = []

    def use(done, total):
        thread = threading.Thread(target=lambda: mixture.predict(U[:1]), daemon=True)
        thread.start()
        thread.join(HANG)
        calls.append(thread.is_alive())
        mixture.update(U[0], Y[0])

    mixture.update_many(U, Y, progress=use)
    assert calls
    assert not any(calls)
    assert mixture.filters[0].n_updates == N + len(calls)


def test_a_bar_is_closed_after_an_error(impl, capfd):
    flt, (U, Y) = make(impl, "gaussian"), stream("gaussian", N)
    U[150] = np.nan
    with pytest.raises(NonFiniteError):
        flt.update_many(U, Y, progress=True)
    assert capfd.readouterr().err.endswith("\n")


def test_without_tqdm_a_bar_is_refused_by_name(impl, monkeypatch):
    flt = fed(impl, "gaussian")
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with refused(UnsupportedError, "progress", flt):
        flt.update_many(*stream("gaussian"), progress=True)


def test_no_rows_at_all(impl, capfd):
    flt, heard = make(impl, "gaussian"), []
    flt.update_many(np.zeros((0, 3)), [], progress=lambda *how: heard.append(how))
    flt.update_many(np.zeros((0, 3)), [], progress=True)
    assert heard == []
