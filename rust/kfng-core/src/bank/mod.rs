//! A bank: one filter for each of very many keys, of one specification.
//!
//! ```text
//! key ─▶ index ─▶ slot ─▶ record (slab) ─▶ workspace filter ─▶ step ─▶ record
//! ```
//!
//! Each key's state has the bits of a `Filter` that was fed the key's rows one at a time, whatever the order of keys, the pieces that rows come in,
//! and the number of threads. index.rs, keys.rs: keys and slots · slab.rs: where records lie · store.rs: how they lie · record.rs: what is in one · take.rs: rows in order · run.rs,
//! rows.rs: shared out among threads · lanes.rs: keys that come often · panel.rs: a row of every key · read.rs: what can be read · saved.rs: states by named arrays · changes.rs: what has changed since a save.

use crate::error::{Error, fault};
use crate::field::{Arrays, push};
use crate::filter::{Filter, Sizes};
use crate::linalg::threads;
use crate::model::Output;
use crate::scalar::Scalar;
use crate::small::Small;
use crate::small::abreast::Abreast;
use crate::spec::Spec;

mod changes;
mod index;
mod keys;
mod lanes;
mod panel;
mod read;
mod record;
mod rows;
mod run;
mod saved;
mod slab;
mod store;
mod take;
#[cfg(test)]
mod tests;

pub use keys::Key;
use keys::Keys;
use record::Plan;
use slab::STRIPES;
use store::Store;

/// One filter for each key.
#[derive(Debug)]
pub struct Bank<T> {
    keys: Keys,
    store: Store<T>,
    plan: Plan,
    /// Of each thread.
    work: Vec<Workspace<T>>,
    /// Of each prior, the record of a key that starts.
    fresh: Vec<Box<[f64]>>,
    sizes: Sizes,
    scratch: rows::Scratch,
    since: Option<changes::Since>,
}

/// What one thread works with.
#[derive(Debug)]
struct Workspace<T> {
    /// Of each prior.
    filters: Vec<Filter<T>>,
    /// For small filters side by side.
    room: Option<Abreast<T>>,
}

impl<T: Scalar> Bank<T> {
    /// An empty bank whose calls use at most so many threads.
    pub fn new(spec: &Spec, arrays: &Arrays, threads: usize) -> Result<Self, Error> {
        let refuse =
            |argument, expected, got: &str| Err(Error::Unsupported(fault(argument, expected, got)));
        if spec.model.state() != Some(0) {
            return refuse("model", "a model without a state", "a recurrent one");
        }
        if spec.model.inputs().is_none() {
            return refuse("model", "a model of inputs", "one that lives elsewhere");
        }
        if spec.rule.is_called() {
            return refuse("rule", "a rule without functions of the user's", "one");
        }
        let filter = Filter::<T>::new(spec.clone(), arrays)?;
        let plan = Plan::new(&filter)?;
        let threads = if threads::pay(filter.sizes.p) {
            1 // the passes themselves are shared out
        } else {
            threads.clamp(1, STRIPES)
        };
        let small = filter.small.as_ref();
        let room = || Ok::<_, Error>(small.map(Small::side_by_side).transpose()?.flatten());
        let tile = room()?.map_or(1, |room| room.n());
        let mut bank = Bank {
            keys: Keys::default(),
            store: Store::new(&plan, tile)?,
            sizes: filter.sizes,
            plan,
            work: Vec::new(),
            fresh: Vec::new(),
            scratch: rows::Scratch::default(),
            since: None,
        };
        for _ in 0..threads {
            let filters = Vec::new();
            let room = room()?;
            push(&mut bank.work, Workspace { filters, room })?;
        }
        bank.take_prior(filter, spec, arrays)?;
        Ok(bank)
    }

    /// Keys made from now on start at the prior of this specification, which differs from the bank's in nothing else.
    pub fn add_prior(&mut self, spec: &Spec, arrays: &Arrays) -> Result<(), Error> {
        let filter = Filter::<T>::new(spec.clone(), arrays)?;
        if Plan::new(&filter)?.words != self.plan.words {
            let expected = "the settings of the bank, but for theta and the prior variance";
            return Err(Error::Shape(fault("prior", expected, "others")));
        }
        self.take_prior(filter, spec, arrays)
    }

    fn take_prior(&mut self, filter: Filter<T>, spec: &Spec, arrays: &Arrays) -> Result<(), Error> {
        let mut record = crate::field::filled(self.plan.words)?;
        self.plan.pack(&filter.state, &mut record);
        let mut filters = Vec::new();
        push(&mut filters, filter)?;
        for _ in 1..self.work.len() {
            push(&mut filters, Filter::new(spec.clone(), arrays)?)?;
        }
        for work in &mut self.work {
            let room = work.filters.try_reserve(1);
            room.map_err(|_| Error::Memory(size_of::<Filter<T>>()))?;
        }
        push(&mut self.fresh, record.into())?;
        for (work, filter) in self.work.iter_mut().zip(filters) {
            work.filters.push(filter);
        }
        Ok(())
    }

    /// p, d, k and the like.
    pub fn sizes(&self) -> Sizes {
        self.sizes
    }

    /// A workspace, for what it knows of family and rule.
    pub fn filter(&self) -> &Filter<T> {
        &self.work[0].filters[0]
    }

    /// Threads that a call can use.
    pub fn threads(&self) -> usize {
        self.work.len()
    }

    /// The hash of a key, for `find` and `make`; asks for what `find` reads first.
    #[inline(always)]
    pub fn ask(&self, key: Key<'_>) -> u64 {
        let hash = self.keys.hash(key);
        self.keys.prefetch(key, hash);
        hash
    }

    /// Asks for what `find` reads next, a while after `ask`.
    #[inline(always)]
    pub fn ask_name(&self, key: Key<'_>, hash: u64) {
        self.keys.prefetch_name(key, hash);
    }

    /// Makes room in the table for so many integers more, which then need not be found room for one by one.
    pub fn reserve(&mut self, ints: usize) -> Result<(), Error> {
        self.keys.reserve(ints)
    }

    /// The slot of a key with its hash, where it is known.
    #[inline]
    pub fn find(&self, key: Key<'_>, hash: u64) -> Option<u32> {
        self.keys.find(key, hash)
    }

    /// The slot of a key with its hash that is not there yet, at the newest prior. On an error nothing has changed.
    pub fn make(&mut self, key: Key<'_>, hash: u64) -> Result<u32, Error> {
        self.make_at(key, hash, self.fresh.len() - 1)
    }

    fn make_at(&mut self, key: Key<'_>, hash: u64, prior: usize) -> Result<u32, Error> {
        self.store.reach(self.keys.next()?)?;
        let slot = self.keys.insert(key, hash, prior as u32)?;
        let record = self.store.record_mut(slot);
        record.copy_from_slice(&self.fresh[prior]);
        Ok(slot)
    }

    /// Forgets keys; slots that have none are passed over. On an error nothing has changed.
    pub fn remove(&mut self, slots: &[u32]) -> Result<(), Error> {
        if let Some(since) = &mut self.since {
            since.leave(&self.keys, slots)?;
        }
        self.unmake(slots.iter().copied());
        Ok(())
    }

    /// The same of keys that were made since the moment of `mark`, if there was one: it cannot fail.
    pub fn unmake(&mut self, slots: impl Iterator<Item = u32>) {
        for slot in slots {
            if self.keys.lives(slot) {
                self.keys.remove(slot);
            }
        }
    }

    /// Living keys.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Slots of living keys in the order of their first appearance.
    pub fn live(&self) -> Result<Vec<u32>, Error> {
        self.keys.live()
    }

    /// The key of a slot.
    pub fn key(&self, slot: u32) -> Option<Key<'_>> {
        self.keys.key(slot)
    }

    /// The largest slot there ever was, and one.
    pub fn capacity(&self) -> usize {
        self.keys.capacity()
    }

    /// The prior that the key of a slot started at.
    pub fn prior(&self, slot: u32) -> u32 {
        self.keys.prior(slot) as u32
    }

    /// Bytes of the records, and of the keys.
    pub fn bytes(&self) -> (usize, usize) {
        (self.store.bytes(), self.keys.bytes())
    }

    /// Bytes of what a key needs besides its name: its record, and its place in the order.
    pub fn record_bytes(&self) -> usize {
        8 * self.plan.words + keys::SLOT_BYTES
    }

    /// The error of slots that have no key.
    fn check(&self, slots: &[u32]) -> Result<(), Error> {
        if slots.iter().all(|&slot| self.keys.lives(slot)) {
            return Ok(());
        }
        Err(Error::Parameter(fault(
            "keys",
            "keys of the bank",
            "others",
        )))
    }
}
