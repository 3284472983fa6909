"""At most `max_keys` keys: the one used longest ago makes room, is dropped or goes to a file and comes back as it was."""

from __future__ import annotations

import sqlite3

import numpy as np
import pytest
from bank.banks import bits, bits_of, make, refused, stream

ROW = np.ones((1, 3)), np.ones(1)


def test_the_key_used_longest_ago_is_dropped(impl):
    bank = make(impl, max_keys=3)
    bank.update(["a", "b", "c", "a"], np.ones((4, 3)), np.ones(4))
    bank.update(["d"], *ROW)
    assert bank.keys() == ["a", "c", "d"]
    bank.update(["b"], *ROW)
    assert bank.keys() == ["a", "d", "b"]
    assert bank.n_updates(["a", "b"]).tolist() == [2, 1]
    with refused(impl.UnknownKeyError, "keys", bank, row=0):
        bank.theta(["c"])
    assert (bank.max_keys, bank.evict_to, len(bank)) == (3, None, 3)


@pytest.mark.parametrize("pieces", [1, 3, 200])
@pytest.mark.parametrize("most", [1, 2, 7, 19])
def test_it_does_not_depend_on_batches(impl, most, pieces, tmp_path):
    """With a file every key is, at every row, what it would be without a limit."""
    keys, X, y = stream(200, keys=20)
    plain, bank = make(impl), make(impl, max_keys=most, evict_to=tmp_path / "keys.sqlite")
    dropping, one_by_one = make(impl, max_keys=most), make(impl, max_keys=most)
    whole = plain.update(keys, X, y)
    found, dropped = [], []
    for part in np.array_split(np.arange(200), pieces):
        found.append(bank.update(keys[part], X[part], y[part]).prediction)
        dropped.append(dropping.update(keys[part], X[part], y[part]).prediction)
        assert len(bank) <= most
    assert np.array_equal(np.concatenate(found), whole.prediction)
    each = [one_by_one.update(keys[i : i + 1], X[i : i + 1], y[i : i + 1]).prediction[0] for i in range(200)]
    assert np.array_equal(np.concatenate(dropped), each)
    assert bits(dropping) == bits(one_by_one)
    assert bank.keys() == dropping.keys()
    for key in plain:
        assert bits_of(bank[key]) == bits_of(plain[key])


def test_keys_in_the_file_are_read_there(impl, tmp_path):
    keys, X, y = stream(60, keys=6)
    plain, bank = make(impl), make(impl, max_keys=2, evict_to=tmp_path / "keys.sqlite")
    for one in (plain, bank):
        one.update(keys, X, y)
    every, before = plain.keys(), bank.keys()
    assert len(bank) == 2
    assert all(key in bank for key in every)
    assert np.array_equal(bank.theta(every), plain.theta(every))
    assert np.array_equal(bank.std(every), plain.std(every))
    assert bank.n_updates(every).tolist() == plain.n_updates(every).tolist()
    assert np.array_equal(bank.predict(every, X[:6]), plain.predict(every, X[:6]))
    assert bits(bank.export(every)) == bits(plain)
    assert bank.keys() == before
    bank.drop(every[:3])
    assert not any(key in bank for key in every[:3])
    with refused(impl.ParameterError, "other", bank):
        bank.absorb(plain.export(every[-1:]))


def test_a_failed_row_displaces_nobody(impl, tmp_path):
    for more in ({}, {"evict_to": tmp_path / "keys.sqlite"}):
        bank = make(impl, max_keys=3, **more)
        bank.update(["a", "b", "c"], np.ones((3, 3)), np.ones(3))
        for bad in (1e200, np.nan):
            with refused(impl.NonFiniteError, "X", bank, row=0):
                bank.update(["d", "e"], [[bad] * 3, [1.0] * 3], np.ones(2))
        with pytest.raises(impl.NonFiniteError):
            bank.update(["d", "e"], [[1.0] * 3, [1e200] * 3], np.ones(2))
        assert bank.keys() == ["b", "c", "d"]


def test_times_and_priors_come_back_too(impl, tmp_path):
    path = tmp_path / "keys.sqlite"
    keys, X, y = stream(90, keys=9)
    time = np.arange(90.0)
    rule = impl.Fading(0.05, towards="prior")
    plain, bank = make(impl, rule=rule), make(impl, rule=rule, max_keys=4, evict_to=path)
    for one in (plain, bank):
        one.update(keys[:30], X[:30], y[:30], time=time[:30])
    bank._set_prior(plain._priors[0])  # of four keys it would not be the prior of nine
    plain.share_prior()
    bank._set_prior(plain._priors[-1])
    fresh = keys[30:] + 5
    for one in (plain, bank):
        one.update(fresh, X[30:], y[30:], time=time[30:])
    for key in plain:
        assert bits_of(bank[key]) == bits_of(plain[key])
        assert bank[key].settings.belief == plain[key].settings.belief
    with refused(impl.ParameterError, "time", bank, row=0):
        bank.update([int(keys[0])], *ROW, time=[-1.0])
    again = make(impl, rule=rule, max_keys=4, evict_to=path)
    gone = [key for key in plain if key not in bank.keys()]  # noqa: SIM118
    assert gone
    again.update(gone, X[: len(gone)], y[: len(gone)], time=100.0 + time[: len(gone)])
    plain.update(gone, X[: len(gone)], y[: len(gone)], time=100.0 + time[: len(gone)])
    for key in gone:
        assert bits_of(again[key]) == bits_of(plain[key])


def test_keys_of_every_kind_come_back(impl, tmp_path):
    bank = make(impl, max_keys=1, evict_to=tmp_path / "keys.sqlite")
    keys = [1, "1", "", "ключ", "a\0b", "a", 2**63 - 1, -(2**63), "'; DROP TABLE keys; --"]
    for _ in range(2):
        bank.update(keys, np.ones((len(keys), 3)), np.ones(len(keys)))
    assert bank.n_updates(keys).tolist() == [2] * len(keys)


def test_save_and_load_go_on_with_the_file(impl, tmp_path):
    keys, X, y = stream(120, keys=12)
    plain, bank = make(impl), make(impl, max_keys=5, evict_to=tmp_path / "keys.sqlite")
    for one in (plain, bank):
        one.update(keys[:60], X[:60], y[:60])
    bank.save(tmp_path / "bank.kfng")
    order = bank.keys()
    bank = impl.load(tmp_path / "bank.kfng")
    assert (bank.max_keys, bank.keys()) == (5, order)
    for one in (plain, bank):
        one.update(keys[60:], X[60:], y[60:])
    for key in plain:
        assert bits_of(bank[key]) == bits_of(plain[key])


def test_two_banks_cannot_share_a_file(impl, tmp_path):
    import pickle

    bank = make(impl, max_keys=5, evict_to=tmp_path / "keys.sqlite")
    for call in (bank.copy, lambda: pickle.dumps(bank)):
        with refused(impl.UnsupportedError, "evict_to", bank):
            call()
    assert bank.export([]).evict_to is None


def test_files_that_are_none(impl, tmp_path):
    text = tmp_path / "text"
    text.write_text("no database " * 1000)
    for path in (text, tmp_path, tmp_path / "none" / "keys.sqlite"):
        with refused(impl.UnreadableError, "evict_to"):
            make(impl, max_keys=5, evict_to=path)
    assert text.read_text() == "no database " * 1000
    make(impl, max_keys=5, evict_to=tmp_path / "keys.sqlite")
    with refused(impl.UnsupportedError, "evict_to"):
        make(impl, max_keys=5, evict_to=tmp_path / "keys.sqlite", rule=impl.Fading(0.1))


def test_a_damaged_record_is_a_typed_error(impl, tmp_path):
    bank = make(impl, max_keys=1, evict_to=tmp_path / "keys.sqlite")
    bank.update(["a", "b"], np.ones((2, 3)), np.ones(2))
    with sqlite3.connect(tmp_path / "keys.sqlite") as db:
        for damage in (b"", b"\xff" * 400, "text", 7):
            db.execute("UPDATE keys SET state = ?", (damage,))
            db.commit()
            with pytest.raises(impl.CheckpointError):
                bank.theta(["a"])
            with pytest.raises(impl.CheckpointError):
                bank.update(["a"], *ROW)
            assert bank.keys() == ["b"]


def test_absorbing_more_than_there_is_room_for(impl):
    bank = make(impl, max_keys=3)
    bank.update(["a", "b"], np.ones((2, 3)), np.ones(2))
    other = make(impl)
    other.update(["c", "d"], np.ones((2, 3)), np.ones(2))
    bank.absorb(other)
    assert bank.keys() == ["b", "c", "d"]


def test_a_panel_larger_than_the_bank(impl):
    bank = make(impl, max_keys=3)
    trace = bank.update_panel(np.ones((5, 3)), np.ones(5), keys=list("abcde"))
    assert len(trace) == 5
    assert bank.keys() == ["c", "d", "e"]
