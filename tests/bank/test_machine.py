"""Whatever is done to a bank, in whatever order: it stays the dict of filters that it stands for, bit for bit."""

from __future__ import annotations

import pickle
import tempfile
from pathlib import Path

import numpy as np
import pytest
from bank.banks import bits_of, same_rows
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

NAMES = [0, 1, "0", "1", -7, 2**62, "", "ключ", "a\0b", 5, 6, "x", "y", 8, 9]
MOST = 4
keys_of = st.lists(st.sampled_from(NAMES), max_size=9)
some_of = st.lists(st.sampled_from(NAMES), unique=True, max_size=6)
seeds = st.integers(0, 2**32 - 1)
RULES = {
    "kalman": lambda impl: impl.Kalman(),
    "fading": lambda impl: impl.Fading(0.05),
    "towards": lambda impl: impl.Fading(0.1, towards="prior"),
}


class Machine(RuleBasedStateMachine):
    """`filters` is every key's filter; with `max_keys` `live` says which of them are in memory, oldest use first."""

    impl = None

    @initialize(rule=st.sampled_from(list(RULES)), room=st.sampled_from(["all", "drop", "file"]))
    def start(self, rule, room):
        impl = self.impl
        self.folder, self.room = Path(tempfile.mkdtemp()), room
        options = {"rule": RULES[rule](impl)}
        self.new = lambda: impl.Filter._from_settings(self.bank._priors[-1])
        more = (
            {}
            if room == "all"
            else {"max_keys": MOST} | ({"evict_to": self.folder / "keys.sqlite"} if room == "file" else {})
        )
        self.bank = impl.Bank(impl.Linear(2), impl.Gaussian(variance=None), **options, **more)
        self.plain = impl.Bank(impl.Linear(2), impl.Gaussian(variance=None), **options)
        self.filters, self.order, self.uses = {}, [], {}

    # -- the model
    def use(self, key):
        """Before a row of this key: it is in memory then, and another one may not be any more."""
        if key not in self.order:
            if self.room != "all" and len(self.order) == MOST:
                self.leave(min(self.order, key=lambda other: self.uses[other]))
            self.filters.setdefault(key, None)
            if self.filters[key] is None:
                self.filters[key] = self.new()
            self.order.append(key)
        self.uses[key] = max(self.uses.values(), default=0) + 1
        return self.filters[key]

    def leave(self, key):
        self.order.remove(key)
        if self.room == "drop":
            del self.filters[key]

    # -- what is done
    def rows(self, n, seed):
        rng = np.random.default_rng(seed)
        y = rng.normal(size=n)
        y[rng.random(n) < 0.1] = np.nan
        return (
            rng.normal(size=(n, 2)),
            y,
            {"weight": rng.choice([0.0, 0.5, 1.0], n), "dt": rng.choice([0.0, 1.0, 2.5], n)},
        )

    @rule(keys=keys_of, seed=seeds)
    def update(self, keys, seed):
        X, y, columns = self.rows(len(keys), seed)
        trace = self.bank.update(keys, X, y, **columns)
        rows = []
        for i, key in enumerate(keys):
            part = {name: column[i : i + 1] for name, column in columns.items()}
            rows.append(self.use(key).update_many(X[i : i + 1], y[i : i + 1], **part))
        assert len(trace) == len(keys)
        assert not rows or same_rows(trace, rows)

    @rule(keys=keys_of, seed=seeds, at=st.integers(0, 8))
    def a_row_that_fails(self, keys, seed, at):
        if at >= len(keys):
            return
        X, y, columns = self.rows(len(keys), seed)
        X[at], y[at], columns["weight"][at] = (1e200 if seed % 2 else np.nan), 1.0, 1.0
        with pytest.raises(self.impl.NonFiniteError) as caught:
            self.bank.update(keys, X, y, **columns)
        assert (caught.value.row, caught.value.argument, len(caught.value.trace)) == (at, "X", at)
        for i, key in enumerate(keys[:at]):
            part = {name: column[i : i + 1] for name, column in columns.items()}
            self.use(key).update_many(X[i : i + 1], y[i : i + 1], **part)

    @rule(seed=seeds)
    def panel(self, seed):
        X, y, columns = self.rows(len(self.order), seed)
        trace = self.bank.update_panel(X, y, **columns)
        rows = []
        for i, key in enumerate(list(self.order)):
            part = {name: column[i : i + 1] for name, column in columns.items()}
            rows.append(self.use(key).update_many(X[i : i + 1], y[i : i + 1], **part))
        assert not rows or same_rows(trace, rows)

    @rule(count=st.integers(1, 40), seed=seeds)
    def grow(self, count, seed):
        self.update([f"new {seed} {i}" for i in range(count)], seed)

    @rule(keys=some_of)
    def drop(self, keys):
        there = [key for key in keys if key in self.filters]
        if len(there) < len(keys):
            with pytest.raises(KeyError):
                self.bank.drop(keys)
        self.bank.drop(there)
        for key in there:
            del self.filters[key]
            if key in self.order:
                self.order.remove(key)

    @rule(keys=some_of)
    def export_and_absorb(self, keys):
        there = [key for key in keys if key in self.filters]
        other = self.bank.export(there)
        assert other.keys() == there
        assert all(bits_of(other[key]) == bits_of(self.filters[key]) for key in there)
        if there:
            with pytest.raises(self.impl.ParameterError):
                self.bank.absorb(other)
        kept = {key: self.filters[key] for key in there}
        self.drop(there)
        self.bank.absorb(other)
        for key in there:
            self.filters[key] = kept[key]
            self.order.append(key)
            self.uses[key] = max(self.uses.values(), default=0) + 1
        while self.room != "all" and len(self.order) > MOST:
            self.leave(min(self.order, key=lambda other: self.uses[other]))

    @rule()
    def save_and_load(self):
        self.bank.save(self.folder / "bank.kfng")
        self.bank = self.impl.load(self.folder / "bank.kfng")

    @precondition(lambda self: self.room != "file")
    @rule(way=st.sampled_from(["pickle", "copy"]))
    def twin(self, way):
        self.bank = pickle.loads(pickle.dumps(self.bank)) if way == "pickle" else self.bank.copy()

    @rule()
    def share_prior(self):
        taught = [key for key in self.order if self.filters[key].n_updates]
        if len(taught) < 2:
            with pytest.raises(self.impl.ParameterError):
                self.bank.share_prior()
        else:
            self.bank.share_prior()

    # -- what holds
    @invariant()
    def is_a_dict_of_filters(self):
        bank = self.bank
        assert bank.keys() == self.order
        assert len(bank) == len(self.order)
        for key, flt in self.filters.items():
            assert key in bank
            assert bits_of(bank[key]) == bits_of(flt)
            assert bank[key].settings.theta.tobytes() == flt.settings.theta.tobytes()
            assert bank[key].settings.belief == flt.settings.belief
            assert bank[key].settings.family == flt.settings.family
        known = list(self.filters)
        assert bank.theta(known).tobytes() == np.array([self.filters[key].theta for key in known]).tobytes()
        unknown = [key for key in NAMES if key not in self.filters]
        assert not any(key in bank for key in unknown)
        assert (bank.predict(unknown, np.ones((len(unknown), 2))) == self.new().predict([[1.0, 1.0]])).all()
        counts = sum(self.filters[key].n_updates for key in self.order)
        assert bank.health()["n_updates"] == counts
        assert bank.keys() == self.order, "reading changed the bank"


def test_any_order_of_anything(impl):
    machine = type("MachineOf", (Machine,), {"impl": impl})
    run_state_machine_as_test(
        machine, settings=settings(settings.get_profile("bank"), max_examples=20, stateful_step_count=10)
    )
