//! Keys and their slots: integers and texts, in the order of their first appearance.

use super::index::{Index, MOST};
use crate::error::{Error, fault};

/// A key as it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key<'a> {
    /// 1.
    Int(i64),
    /// "1", which is another key.
    Text(&'a str),
}

/// A key as it is kept.
#[derive(Clone, Copy, Debug)]
enum Name {
    Free,
    Int(i64),
    /// Where it lies among all texts.
    Text {
        start: u64,
        len: u32,
    },
}

/// What is known of a slot apart from its record.
#[derive(Clone, Copy, Debug)]
struct Slot {
    /// Counts the keys: the order of their appearance.
    serial: u64,
    name: Name,
    prior: u32,
}

/// Bytes of a slot, its key apart.
pub const SLOT_BYTES: usize = size_of::<Slot>() - size_of::<Name>();

/// All keys.
#[derive(Debug, Default)]
pub struct Keys {
    ints: Index,
    texts: Index,
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// UTF-8, one behind the other.
    arena: Vec<u8>,
    /// Bytes of the arena that belong to keys that are gone.
    dead: usize,
    next_serial: u64,
}

impl Keys {
    /// Living keys.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The largest slot there ever was, and one.
    pub fn capacity(&self) -> usize {
        self.slots.len()
    }

    /// Whether the slot has a key.
    #[inline(always)]
    pub fn lives(&self, slot: u32) -> bool {
        let slot = self.slots.get(slot as usize);
        slot.is_some_and(|slot| !matches!(slot.name, Name::Free))
    }

    /// The prior that the key started at.
    #[inline(always)]
    pub fn prior(&self, slot: u32) -> usize {
        self.slots[slot as usize].prior as usize
    }

    fn text(&self, start: u64, len: u32) -> &[u8] {
        &self.arena[start as usize..][..len as usize]
    }

    /// Hash of a key, in the table of its kind.
    #[inline(always)]
    pub fn hash(&self, key: Key<'_>) -> u64 {
        match key {
            Key::Int(x) => self.ints.hash_int(x),
            Key::Text(text) => self.texts.hash_text(text.as_bytes()),
        }
    }

    /// Asks for what `find` reads first.
    #[inline(always)]
    pub fn prefetch(&self, key: Key<'_>, hash: u64) {
        match key {
            Key::Int(_) => self.ints.prefetch(hash),
            Key::Text(_) => self.texts.prefetch(hash),
        }
    }

    /// The slot of a key with its hash.
    #[inline(always)]
    pub fn find(&self, key: Key<'_>, hash: u64) -> Option<u32> {
        match key {
            Key::Int(_) => self.ints.find(hash, |_| true),
            Key::Text(text) => self
                .texts
                .find(hash, |slot| match self.slots[slot as usize].name {
                    Name::Text { start, len } => self.text(start, len) == text.as_bytes(),
                    _ => false,
                }),
        }
    }

    /// A slot for a key that is not there yet; on an error nothing has changed.
    pub fn insert(&mut self, key: Key<'_>, hash: u64, prior: u32) -> Result<u32, Error> {
        let out = |bytes: usize| move |_| Error::Memory(bytes);
        let slot = match self.free.last() {
            Some(&slot) => slot,
            None => u32::try_from(self.slots.len())
                .ok()
                .filter(|&slot| slot < MOST)
                .ok_or_else(|| {
                    Error::Parameter(fault("keys", format!("at most {MOST} keys"), "more"))
                })?,
        };
        self.slots.try_reserve(1).map_err(out(size_of::<Slot>()))?;
        let name = match key {
            Key::Int(x) => {
                self.ints.reserve()?;
                Name::Int(x)
            }
            Key::Text(text) => {
                let len = u32::try_from(text.len()).map_err(|_| {
                    Error::Parameter(fault("keys", "texts below 4 GiB", "a longer one"))
                })?;
                self.arena
                    .try_reserve(text.len())
                    .map_err(out(text.len()))?;
                self.texts.reserve()?;
                let start = self.arena.len() as u64;
                self.arena.extend_from_slice(text.as_bytes());
                Name::Text { start, len }
            }
        };
        match key {
            Key::Int(_) => self.ints.insert(hash, slot),
            Key::Text(_) => self.texts.insert(hash, slot),
        }
        let new = Slot {
            serial: self.next_serial,
            name,
            prior,
        };
        self.next_serial += 1;
        if self.free.pop().is_some() {
            self.slots[slot as usize] = new;
        } else {
            self.slots.push(new);
        }
        Ok(slot)
    }

    /// Takes a living key out.
    pub fn remove(&mut self, slot: u32) {
        let name = std::mem::replace(&mut self.slots[slot as usize].name, Name::Free);
        match name {
            Name::Free => return,
            Name::Int(x) => self.ints.remove(self.ints.hash_int(x), slot),
            Name::Text { start, len } => {
                let hash = self.texts.hash_text(self.text(start, len));
                self.texts.remove(hash, slot);
                self.dead += len as usize;
            }
        }
        self.free.push(slot);
        if self.dead > 4096 && self.dead > self.arena.len() / 2 {
            self.compact();
        }
    }

    /// The texts of living keys alone.
    fn compact(&mut self) {
        let mut arena = Vec::with_capacity(self.arena.len() - self.dead);
        for slot in &mut self.slots {
            if let Name::Text { start, len } = &mut slot.name {
                let text = &self.arena[*start as usize..][..*len as usize];
                *start = arena.len() as u64;
                arena.extend_from_slice(text);
            }
        }
        (self.arena, self.dead) = (arena, 0);
    }

    /// The key of a living slot.
    pub fn key(&self, slot: u32) -> Option<Key<'_>> {
        match self.slots.get(slot as usize)?.name {
            Name::Free => None,
            Name::Int(x) => Some(Key::Int(x)),
            Name::Text { start, len } => {
                let text = std::str::from_utf8(self.text(start, len));
                text.ok().map(Key::Text)
            }
        }
    }

    /// Living slots in the order in which their keys appeared.
    pub fn live(&self) -> Vec<u32> {
        let slots = (0..self.slots.len() as u32).filter(|&slot| self.lives(slot));
        let mut slots: Vec<u32> = slots.collect();
        let serial = |slot: &u32| self.slots[*slot as usize].serial;
        if !slots.is_sorted_by_key(serial) {
            slots.sort_unstable_by_key(serial);
        }
        slots
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.ints.bytes()
            + self.texts.bytes()
            + self.arena.capacity()
            + self.slots.capacity() * size_of::<Slot>()
            + self.free.capacity() * size_of::<u32>()
    }
}

#[cfg(test)]
mod tests {
    use super::{Key, Keys};

    fn slot(keys: &mut Keys, key: Key<'_>) -> u32 {
        let hash = keys.hash(key);
        keys.find(key, hash)
            .unwrap_or_else(|| keys.insert(key, hash, 0).unwrap())
    }

    #[test]
    fn integers_and_texts_are_different_keys() {
        let mut keys = Keys::default();
        let all = [
            Key::Int(1),
            Key::Text("1"),
            Key::Text(""),
            Key::Int(-1),
            Key::Text("1\0"),
        ];
        let slots: Vec<_> = all.iter().map(|&key| slot(&mut keys, key)).collect();
        assert_eq!(slots, [0, 1, 2, 3, 4]);
        for (&key, &at) in all.iter().zip(&slots) {
            assert_eq!(slot(&mut keys, key), at);
            assert_eq!(keys.key(at), Some(key));
        }
        assert_eq!(keys.len(), 5);
    }

    #[test]
    fn the_order_is_that_of_appearance_whatever_was_dropped() {
        let mut keys = Keys::default();
        let names: Vec<String> = (0..1000).map(|i| format!("sensor-{i}")).collect();
        for name in &names {
            slot(&mut keys, Key::Text(name));
        }
        for i in (0..1000).step_by(2).chain((1..700).step_by(2)) {
            let at = slot(&mut keys, Key::Text(&names[i]));
            keys.remove(at);
            assert!(!keys.lives(at));
        }
        let again = slot(&mut keys, Key::Text("sensor-0"));
        assert!(
            again < 1000 && keys.capacity() == 1000,
            "slots are used again"
        );
        let order: Vec<_> = keys
            .live()
            .into_iter()
            .map(|at| keys.key(at).unwrap())
            .collect();
        let rest = (701..1000).step_by(2).map(|i| Key::Text(&names[i]));
        let expected: Vec<_> = rest.chain([Key::Text("sensor-0")]).collect();
        assert!(order == expected && keys.len() == expected.len());
        assert!(
            keys.arena.len() < 9000,
            "texts that are gone are given back"
        );
    }
}
