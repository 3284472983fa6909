//! Keys and their slots: integers and texts, in the order of their first appearance.

use super::index::{Index, MOST};
use crate::error::{Error, fault};
use crate::linalg::parts::prefetch;

/// A key as it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key<'a> {
    /// 1.
    Int(i64),
    /// "1", which is another key.
    Text(&'a str),
}

/// What a slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Free,
    Int,
    Text,
}

/// A text of the arena begins with its length, in so many bytes.
const HEAD: usize = size_of::<u32>();
/// Bytes of a slot, its key apart, where no slot was used twice and all keys started at one prior.
pub const SLOT_BYTES: usize = size_of::<Kind>();

/// All keys. What is the same for all of them takes no room: serial numbers while they are the slots, priors while they are the first.
#[derive(Debug, Default)]
pub struct Keys {
    ints: Index,
    texts: Index,
    /// Of each slot the integer, or where its text begins among all.
    names: Vec<u64>,
    kinds: Vec<Kind>,
    /// Counts the keys, which is the order of their appearance; empty until a slot is used again.
    serials: Vec<u64>,
    /// Empty until a key starts at another than the first.
    priors: Vec<u32>,
    /// The slot that became free last, and how many are free; the name of each is the one before it, so that to free one takes no memory.
    last_free: u32,
    free: usize,
    /// UTF-8, one behind the other.
    arena: Vec<u8>,
    /// Bytes of the arena that belong to keys that are gone.
    dead: usize,
    next_serial: u64,
}

/// Room for one more of n, an eighth more where there is none: what is larger costs memory, not time.
fn room<T>(list: &mut Vec<T>) -> Result<(), Error> {
    if list.len() < list.capacity() {
        return Ok(());
    }
    let more = (list.len() / 8).max(16);
    list.try_reserve_exact(more)
        .map_err(|_| Error::Memory(more.saturating_mul(size_of::<T>())))
}

/// The list with `x` for each of n slots, made where it is first needed.
fn begin<T: Clone>(
    list: &mut Vec<T>,
    n: usize,
    each: impl Iterator<Item = T>,
) -> Result<(), Error> {
    if list.is_empty() {
        list.try_reserve_exact(n + n / 8 + 16)
            .map_err(|_| Error::Memory(n.saturating_mul(size_of::<T>())))?;
        list.extend(each.take(n));
    }
    room(list)
}

impl Keys {
    /// Living keys.
    pub fn len(&self) -> usize {
        self.names.len() - self.free
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether every slot has a key, in the order of their appearance.
    pub fn unbroken(&self) -> bool {
        self.free == 0 && self.serials.is_empty()
    }

    /// The largest slot there ever was, and one.
    pub fn capacity(&self) -> usize {
        self.names.len()
    }

    fn kind(&self, slot: u32) -> Kind {
        *self.kinds.get(slot as usize).unwrap_or(&Kind::Free)
    }

    /// Whether the slot has a key.
    #[inline(always)]
    pub fn lives(&self, slot: u32) -> bool {
        self.kind(slot) != Kind::Free
    }

    /// The prior that the key started at.
    #[inline(always)]
    pub fn prior(&self, slot: u32) -> usize {
        *self.priors.get(slot as usize).unwrap_or(&0) as usize
    }

    /// The place of a slot's key in the order of their appearance.
    pub fn serial(&self, slot: u32) -> u64 {
        *self.serials.get(slot as usize).unwrap_or(&slot.into())
    }

    /// The serial number of the next key.
    pub fn next_serial(&self) -> u64 {
        self.next_serial
    }

    /// The text that begins at a place of the arena.
    fn text(&self, start: u64) -> &[u8] {
        let (head, rest) = self.arena[start as usize..]
            .split_first_chunk::<HEAD>()
            .expect("a text begins with its length");
        &rest[..u32::from_le_bytes(*head) as usize]
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

    /// Asks for what `find` reads next: the name in the slot that the hash leads to.
    #[inline(always)]
    pub fn prefetch_name(&self, key: Key<'_>, hash: u64) {
        let slot = match key {
            Key::Int(_) => self.ints.find(hash, |_| true),
            Key::Text(_) => self.texts.find(hash, |_| true),
        };
        if let Some(name) = slot.and_then(|slot| self.names.get(slot as usize)) {
            prefetch(std::slice::from_ref(name));
        }
    }

    /// The slot of a key with its hash.
    #[inline(always)]
    pub fn find(&self, key: Key<'_>, hash: u64) -> Option<u32> {
        let name = |slot: u32| self.names[slot as usize];
        match key {
            Key::Int(x) => self.ints.find(hash, |slot| name(slot) == x.cast_unsigned()),
            Key::Text(text) => self
                .texts
                .find(hash, |slot| self.text(name(slot)) == text.as_bytes()),
        }
    }

    /// Makes room for so many integers more.
    pub fn reserve(&mut self, ints: usize) -> Result<(), Error> {
        self.ints.reserve(ints)
    }

    /// A slot for a key that is not there yet; on an error nothing has changed.
    pub fn insert(&mut self, key: Key<'_>, hash: u64, prior: u32) -> Result<u32, Error> {
        let n = self.names.len();
        let slot = self.next()?;
        room(&mut self.names)?;
        room(&mut self.kinds)?;
        let (ordered, shared) = (
            self.free > 0 || !self.serials.is_empty(),
            prior != 0 || !self.priors.is_empty(),
        );
        if ordered {
            begin(&mut self.serials, n, 0..)?;
        }
        if shared {
            begin(&mut self.priors, n, std::iter::repeat(0))?;
        }
        let (kind, name) = match key {
            Key::Int(x) => {
                self.ints.reserve(1)?;
                self.ints.insert(hash, slot);
                (Kind::Int, x.cast_unsigned())
            }
            Key::Text(text) => {
                let start = self.keep(text)?;
                self.texts.insert(hash, slot);
                (Kind::Text, start)
            }
        };
        if self.free > 0 {
            self.last_free = self.names[slot as usize] as u32;
            self.free -= 1;
        }
        put(&mut self.names, slot, name);
        put(&mut self.kinds, slot, kind);
        if ordered {
            put(&mut self.serials, slot, self.next_serial);
        }
        if shared {
            put(&mut self.priors, slot, prior);
        }
        self.next_serial += 1;
        Ok(slot)
    }

    /// The slot that the next key will have.
    pub fn next(&self) -> Result<u32, Error> {
        if self.free > 0 {
            return Ok(self.last_free);
        }
        let slot = u32::try_from(self.names.len()).ok();
        slot.filter(|&slot| slot < MOST)
            .ok_or_else(|| Error::Parameter(fault("keys", format!("at most {MOST} keys"), "more")))
    }

    /// A text in the arena, with room for its entry; on an error nothing has changed.
    fn keep(&mut self, text: &str) -> Result<u64, Error> {
        let long = || Error::Parameter(fault("keys", "texts below 4 GiB", "a longer one"));
        let len = u32::try_from(text.len()).map_err(|_| long())?;
        let needed = text.len() + HEAD;
        if self.arena.capacity() - self.arena.len() < needed {
            let more = needed.max(self.arena.len() / 8);
            self.arena
                .try_reserve_exact(more)
                .map_err(|_| Error::Memory(more))?;
        }
        self.texts.reserve(1)?;
        let start = self.arena.len() as u64;
        self.arena.extend_from_slice(&len.to_le_bytes());
        self.arena.extend_from_slice(text.as_bytes());
        Ok(start)
    }

    /// Takes a living key out, without asking for memory that it could not do without.
    pub fn remove(&mut self, slot: u32) {
        let name = self.names[slot as usize];
        match std::mem::replace(&mut self.kinds[slot as usize], Kind::Free) {
            Kind::Free => return,
            Kind::Int => {
                let hash = self.ints.hash_int(name.cast_signed());
                self.ints.remove(hash, slot);
            }
            Kind::Text => {
                let text = self.text(name);
                let (hash, len) = (self.texts.hash_text(text), text.len());
                self.texts.remove(hash, slot);
                self.dead += len + HEAD;
            }
        }
        self.names[slot as usize] = self.last_free.into();
        self.last_free = slot;
        self.free += 1;
        if self.dead > 4096 && self.dead > self.arena.len() / 2 {
            self.compact();
        }
    }

    /// The texts of living keys alone, where there is memory for them beside the others.
    fn compact(&mut self) {
        let mut arena = Vec::new();
        if arena
            .try_reserve_exact(self.arena.len() - self.dead)
            .is_err()
        {
            return;
        }
        for slot in 0..self.names.len() {
            if self.kinds[slot] == Kind::Text {
                let start = self.names[slot] as usize;
                let len = HEAD + self.text(start as u64).len();
                self.names[slot] = arena.len() as u64;
                arena.extend_from_slice(&self.arena[start..][..len]);
            }
        }
        (self.arena, self.dead) = (arena, 0);
    }

    /// The key of a living slot.
    pub fn key(&self, slot: u32) -> Option<Key<'_>> {
        match self.kind(slot) {
            Kind::Free => None,
            Kind::Int => Some(Key::Int(self.names[slot as usize].cast_signed())),
            Kind::Text => {
                let text = std::str::from_utf8(self.text(self.names[slot as usize]));
                text.ok().map(Key::Text)
            }
        }
    }

    /// Living slots in the order in which their keys appeared.
    pub fn live(&self) -> Result<Vec<u32>, Error> {
        let mut slots = Vec::new();
        slots
            .try_reserve_exact(self.len())
            .map_err(|_| Error::Memory(self.len().saturating_mul(size_of::<u32>())))?;
        slots.extend((0..self.names.len() as u32).filter(|&slot| self.lives(slot)));
        if !self.serials.is_empty() {
            slots.sort_unstable_by_key(|&slot| self.serial(slot));
        }
        Ok(slots)
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.ints.bytes()
            + self.texts.bytes()
            + self.arena.capacity()
            + self.names.capacity() * size_of::<u64>()
            + self.kinds.capacity() * size_of::<Kind>()
            + self.serials.capacity() * size_of::<u64>()
            + self.priors.capacity() * size_of::<u32>()
    }
}

/// What a slot has, the next one or one that is used again.
fn put<T>(list: &mut Vec<T>, slot: u32, x: T) {
    if let Some(place) = list.get_mut(slot as usize) {
        *place = x;
    } else {
        list.push(x);
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
            .unwrap()
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
