//! From a key's hash to its slot: open addressing, the next free place, and deletion that leaves no gaps.
//!
//! The hash of an integer is a permutation of the 64-bit numbers, so that equal hashes are equal keys; texts are compared by the caller. It starts
//! from a number drawn anew for each bank, so that nobody can choose keys that collide; no result depends on it.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use crate::error::Error;
use crate::linalg::parts::prefetch;

/// No key.
const EMPTY: u32 = u32::MAX;
/// The most slots.
pub const MOST: u32 = u32::MAX - 1;

#[derive(Clone, Copy, Debug)]
struct Entry {
    hash: u64,
    slot: u32,
}

/// The table of the keys of one kind.
#[derive(Debug)]
pub struct Index {
    entries: Vec<Entry>,
    len: usize,
    seed: u64,
}

impl Default for Index {
    fn default() -> Self {
        Index {
            entries: Vec::new(),
            len: 0,
            seed: RandomState::new().hash_one(0u8),
        }
    }
}

/// A permutation of the 64-bit numbers in which every bit depends on every other. Source: the finaliser of D. Stafford's "mix 13", public domain.
#[inline(always)]
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

impl Index {
    /// Hash of an integer.
    #[inline(always)]
    pub fn hash_int(&self, key: i64) -> u64 {
        mix(key.cast_unsigned().wrapping_add(self.seed))
    }

    /// Hash of a text.
    #[inline]
    pub fn hash_text(&self, text: &[u8]) -> u64 {
        let (chunks, rest) = text.as_chunks::<8>();
        let mut hash = self.seed ^ text.len() as u64;
        for chunk in chunks {
            hash = mix(hash ^ u64::from_le_bytes(*chunk)).wrapping_add(self.seed);
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        mix(hash ^ u64::from_le_bytes(last))
    }

    #[inline(always)]
    fn mask(&self) -> usize {
        self.entries.len().wrapping_sub(1)
    }

    /// Asks for the place where a hash is looked for first.
    #[inline(always)]
    pub fn prefetch(&self, hash: u64) {
        if let Some(entry) = self.entries.get(hash as usize & self.mask()) {
            prefetch(std::slice::from_ref(entry));
        }
    }

    /// The slot with this hash for which `same` holds.
    #[inline(always)]
    pub fn find(&self, hash: u64, same: impl Fn(u32) -> bool) -> Option<u32> {
        if self.entries.is_empty() {
            return None;
        }
        let mut at = hash as usize & self.mask();
        loop {
            let entry = self.entries[at];
            if entry.slot == EMPTY {
                return None;
            }
            if entry.hash == hash && same(entry.slot) {
                return Some(entry.slot);
            }
            at = (at + 1) & self.mask();
        }
    }

    /// Makes room for one more; the table doubles where it is more than half full.
    pub fn reserve(&mut self) -> Result<(), Error> {
        if 2 * (self.len + 1) <= self.entries.len() {
            return Ok(());
        }
        let size = (2 * self.entries.len()).max(16);
        let mut entries = Vec::new();
        entries
            .try_reserve_exact(size)
            .map_err(|_| Error::Memory(size.saturating_mul(size_of::<Entry>())))?;
        let empty = Entry {
            hash: 0,
            slot: EMPTY,
        };
        entries.resize(size, empty);
        let before = std::mem::replace(&mut self.entries, entries);
        for entry in before.into_iter().filter(|entry| entry.slot != EMPTY) {
            self.put(entry);
        }
        Ok(())
    }

    fn put(&mut self, entry: Entry) {
        let mut at = entry.hash as usize & self.mask();
        while self.entries[at].slot != EMPTY {
            at = (at + 1) & self.mask();
        }
        self.entries[at] = entry;
    }

    /// A slot that is not in the table yet, after `reserve`.
    pub fn insert(&mut self, hash: u64, slot: u32) {
        self.put(Entry { hash, slot });
        self.len += 1;
    }

    /// Takes a slot out; what was put behind it moves up.
    pub fn remove(&mut self, hash: u64, slot: u32) {
        let mask = self.mask();
        let mut gap = hash as usize & mask;
        while self.entries[gap].slot != slot {
            gap = (gap + 1) & mask;
        }
        let mut at = gap;
        loop {
            at = (at + 1) & mask;
            let entry = self.entries[at];
            if entry.slot == EMPTY {
                break;
            }
            let home = entry.hash as usize & mask;
            // It may go to the gap unless its home lies cyclically behind the gap.
            if at.wrapping_sub(home) & mask >= at.wrapping_sub(gap) & mask {
                self.entries[gap] = entry;
                gap = at;
            }
        }
        self.entries[gap].slot = EMPTY;
        self.len -= 1;
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        size_of_val(&self.entries[..])
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::{Index, mix};

    #[test]
    fn it_is_a_map() {
        for (modulus, seed) in [(200, 1), (5000, 2), (100_000, 3)] {
            let (mut index, mut map, mut x) = (Index::default(), HashMap::new(), seed);
            for slot in 0..60_000u32 {
                x = mix(x + 1);
                let key = (x % modulus).cast_signed() - 50;
                let hash = index.hash_int(key);
                assert_eq!(index.find(hash, |_| true), map.get(&key).copied());
                if let Some(old) = map.remove(&key) {
                    index.remove(hash, old);
                } else {
                    index.reserve().unwrap();
                    index.insert(hash, slot);
                    map.insert(key, slot);
                }
            }
            for key in -50..modulus.cast_signed() {
                let found = index.find(index.hash_int(key), |_| true);
                assert_eq!(found, map.get(&key).copied());
            }
            assert!(index.len == map.len() && !map.is_empty());
        }
    }

    #[test]
    fn texts_of_one_hash_are_told_apart() {
        let mut index = Index::default();
        for slot in 0..5 {
            index.reserve().unwrap();
            index.insert(7, slot);
        }
        assert_eq!(index.find(7, |slot| slot == 3), Some(3));
        index.remove(7, 1);
        assert_eq!(index.find(7, |slot| slot == 1), None);
        assert_eq!(index.find(7, |slot| slot == 4), Some(4));
    }

    #[test]
    fn hashes_of_texts_differ() {
        let index = Index::default();
        let texts = [
            "",
            "\0",
            "a",
            "a\0",
            "aaaaaaaa",
            "aaaaaaaaa",
            "aaaaaaaaaaaaaaaa",
        ];
        for a in texts {
            for b in texts {
                let same = index.hash_text(a.as_bytes()) == index.hash_text(b.as_bytes());
                assert_eq!(same, a == b, "{a:?} {b:?}");
            }
        }
    }
}
