//! What has changed since a moment: keys that were written since, and keys of then that are gone. What a save of changes writes.

use super::keys::Keys;
use super::{Bank, Key};
use crate::error::Error;
use crate::field::push;
use crate::scalar::Scalar;

/// Since a moment.
#[derive(Debug)]
pub(super) struct Since {
    /// Keys from this serial number on are newer.
    next: u64,
    gone: Vec<Name>,
}

/// A key that is gone.
#[derive(Debug)]
enum Name {
    Int(i64),
    Text(String),
}

impl Since {
    /// The keys of these slots go; those that have none are passed over. On an error nothing has changed.
    pub(super) fn leave(&mut self, keys: &Keys, slots: &[u32]) -> Result<(), Error> {
        let before = self.gone.len();
        let mut note = || {
            for &slot in slots {
                if let Some(key) = keys.key(slot).filter(|_| keys.serial(slot) < self.next) {
                    push(&mut self.gone, name(key)?)?;
                }
            }
            Ok(())
        };
        let noted = note();
        if noted.is_err() {
            self.gone.truncate(before);
        }
        noted
    }
}

fn name(key: Key<'_>) -> Result<Name, Error> {
    match key {
        Key::Int(x) => Ok(Name::Int(x)),
        Key::Text(text) => {
            let mut own = String::new();
            let room = own.try_reserve_exact(text.len());
            room.map_err(|_| Error::Memory(text.len()))?;
            own.push_str(text);
            Ok(Name::Text(own))
        }
    }
}

impl<T: Scalar> Bank<T> {
    /// This is the moment.
    pub fn mark(&mut self) {
        let (next, gone) = (self.keys.next_serial(), Vec::new());
        self.since = Some(Since { next, gone });
        self.store.clear();
    }

    /// Slots of living keys that were written or made since the moment, in the order of their first appearance; without one, since the beginning.
    pub fn changed(&self) -> Result<Vec<u32>, Error> {
        let mut live = self.keys.live()?;
        live.retain(|&slot| self.store.slab().written(slot));
        Ok(live)
    }

    /// Keys that were there at the moment and were removed since; one may be there again, as a new key.
    pub fn gone(&self) -> impl Iterator<Item = Key<'_>> {
        let gone = self.since.iter().flat_map(|since| &since.gone);
        gone.map(|name| match name {
            Name::Int(x) => Key::Int(*x),
            Name::Text(text) => Key::Text(text),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Bank, Key};
    use crate::small_tests::{KALMAN, gaussian, spec};

    #[test]
    fn what_was_written_made_or_removed_is_known() {
        let (spec, arrays) = spec::<f64>(4, 3, &gaussian("0.5"), KALMAN, false);
        let mut bank = Bank::<f64>::new(&spec, &arrays, 1).unwrap();
        let slot = |bank: &mut Bank<f64>, key: Key<'_>| {
            let hash = bank.ask(key);
            bank.find(key, hash)
                .unwrap_or_else(|| bank.make(key, hash).unwrap())
        };
        let old: Vec<_> = (0..5).map(|x| slot(&mut bank, Key::Int(x))).collect();
        let text = slot(&mut bank, Key::Text("a"));
        assert_eq!(bank.changed().unwrap().len(), 6);
        bank.mark();
        assert!(bank.changed().unwrap().is_empty() && bank.gone().next().is_none());
        bank.refuse(&old[2..3]).unwrap();
        bank.remove(&[old[4], text]).unwrap();
        let young = slot(&mut bank, Key::Text("b"));
        bank.remove(&[young]).unwrap(); // neither then nor now
        let again = slot(&mut bank, Key::Int(4));
        assert_eq!(bank.changed().unwrap(), [old[2], again]);
        let gone: Vec<_> = bank.gone().collect();
        assert_eq!(gone, [Key::Int(4), Key::Text("a")]);
    }
}
