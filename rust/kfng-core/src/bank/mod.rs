//! A bank: one filter for each of very many keys, of one specification.
//!
//! ```text
//! key ─▶ index ─▶ slot ─▶ record (slab) ─▶ workspace filter ─▶ step ─▶ record
//! ```
//!
//! Each key's state has the bits of a `Filter` that was fed the key's rows one at a time, whatever the order of keys, the pieces that rows come in,
//! and the number of threads. index.rs, keys.rs: keys and slots · slab.rs: where records lie · record.rs: what is in one · run.rs: rows ·
//! rows.rs: rows shared out among threads · read.rs: what can be read · saved.rs: states by named arrays.

use crate::error::{Error, fault};
use crate::field::Arrays;
use crate::filter::{Filter, Sizes};
use crate::linalg::threads;
use crate::model::Output;
use crate::scalar::Scalar;
use crate::spec::Spec;

mod index;
mod keys;
mod read;
mod record;
mod rows;
mod run;
mod saved;
mod slab;

pub use keys::Key;
use keys::Keys;
use record::Plan;
use slab::{STRIPES, Slab};

/// One filter for each key.
#[derive(Debug)]
pub struct Bank<T> {
    keys: Keys,
    slab: Slab,
    plan: Plan,
    /// Of each prior, a workspace for each thread.
    work: Vec<Vec<Filter<T>>>,
    /// Of each prior, the record of a key that starts.
    fresh: Vec<Box<[f64]>>,
    sizes: Sizes,
    threads: usize,
    scratch: rows::Scratch,
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
        let plan = Plan::new(&filter);
        let mut bank = Bank {
            keys: Keys::default(),
            slab: Slab::new(plan.words),
            sizes: filter.sizes,
            plan,
            work: Vec::new(),
            fresh: Vec::new(),
            threads: if threads::pay(filter.sizes.p) {
                1 // the passes themselves are shared out
            } else {
                threads.clamp(1, STRIPES)
            },
            scratch: rows::Scratch::default(),
        };
        bank.take_prior(filter, spec, arrays)?;
        Ok(bank)
    }

    /// Keys made from now on start at the prior of this specification, which differs from the bank's in nothing else.
    pub fn add_prior(&mut self, spec: &Spec, arrays: &Arrays) -> Result<(), Error> {
        let filter = Filter::<T>::new(spec.clone(), arrays)?;
        if Plan::new(&filter).words != self.plan.words {
            let expected = "the settings of the bank, but for theta and the prior variance";
            return Err(Error::Shape(fault("prior", expected, "others")));
        }
        self.take_prior(filter, spec, arrays)
    }

    fn take_prior(&mut self, filter: Filter<T>, spec: &Spec, arrays: &Arrays) -> Result<(), Error> {
        let mut record = crate::field::filled(self.plan.words)?;
        self.plan.pack(&filter.state, &mut record);
        let mut work = vec![filter];
        for _ in 1..self.threads {
            work.push(Filter::new(spec.clone(), arrays)?);
        }
        self.fresh.push(record.into());
        self.work.push(work);
        Ok(())
    }

    /// p, d, k and the like.
    pub fn sizes(&self) -> Sizes {
        self.sizes
    }

    /// A workspace, for what it knows of family and rule.
    pub fn filter(&self) -> &Filter<T> {
        &self.work[0][0]
    }

    /// Threads that a call can use.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// The slot of a key, where it is known; asks ahead for what comes `next`.
    #[inline]
    pub fn find(&self, key: Key<'_>) -> Option<u32> {
        self.keys.find(key, self.keys.hash(key))
    }

    /// The slot of a key, and whether it was made now, at the newest prior. On an error nothing has changed.
    #[inline]
    pub fn find_or_make(&mut self, key: Key<'_>) -> Result<(u32, bool), Error> {
        let hash = self.keys.hash(key);
        match self.keys.find(key, hash) {
            Some(slot) => Ok((slot, false)),
            None => self
                .make(key, hash, self.fresh.len() - 1)
                .map(|slot| (slot, true)),
        }
    }

    fn make(&mut self, key: Key<'_>, hash: u64, prior: usize) -> Result<u32, Error> {
        let slot = self.keys.insert(key, hash, prior as u32)?;
        if let Err(error) = self.slab.reach(slot) {
            self.keys.remove(slot);
            return Err(error);
        }
        self.slab.get_mut(slot).copy_from_slice(&self.fresh[prior]);
        Ok(slot)
    }

    /// Asks for what `find` of the key reads first.
    #[inline(always)]
    pub fn prefetch(&self, key: Key<'_>) {
        self.keys.prefetch(key, self.keys.hash(key));
    }

    /// Forgets keys; slots that have none are passed over.
    pub fn remove(&mut self, slots: &[u32]) {
        for &slot in slots {
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
    pub fn live(&self) -> Vec<u32> {
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
        (self.slab.bytes(), self.keys.bytes())
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
