//! From a key's hash to its slot: open addressing, the next free place, and deletion that leaves no gaps.
//!
//! Eight bytes an entry: half of a key's hash, whose first bits are the entry's home, so that the table grows without the keys; the caller compares
//! keys. The hash starts from a number drawn anew for each bank, so that nobody can choose keys that collide; no result depends on it.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use crate::error::Error;
use crate::linalg::parts::prefetch;

/// No key.
const EMPTY: u32 = u32::MAX;
/// The most slots: three quarters of the largest table.
pub const MOST: u32 = 3 << 30;
/// Entries of the smallest table.
const LEAST: usize = 16;

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// The upper half of the hash.
    tag: u32,
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

    /// Where an entry is looked for first, in a table that is not empty.
    #[inline(always)]
    fn home(&self, tag: u32) -> usize {
        // The table has 2^bits entries, and trailing_zeros() is bits.
        (u64::from(tag) << self.entries.len().trailing_zeros() >> u32::BITS) as usize
    }

    /// Asks for the place where a hash is looked for first.
    #[inline(always)]
    pub fn prefetch(&self, hash: u64) {
        if !self.entries.is_empty() {
            let at = self.home((hash >> 32) as u32);
            prefetch(std::slice::from_ref(&self.entries[at]));
        }
    }

    /// The slot with this hash for which `same` holds.
    #[inline(always)]
    pub fn find(&self, hash: u64, same: impl Fn(u32) -> bool) -> Option<u32> {
        if self.entries.is_empty() {
            return None;
        }
        let tag = (hash >> 32) as u32;
        let mut at = self.home(tag);
        loop {
            let entry = self.entries[at];
            if entry.slot == EMPTY {
                return None;
            }
            if entry.tag == tag && same(entry.slot) {
                return Some(entry.slot);
            }
            at = (at + 1) & self.mask();
        }
    }

    /// Makes room for so many more; the table doubles where it would be more than three quarters full.
    pub fn reserve(&mut self, more: usize) -> Result<(), Error> {
        let len = self.len.saturating_add(more);
        if len <= self.entries.len() / 4 * 3 {
            return Ok(());
        }
        let size = len.saturating_mul(4).div_ceil(3).max(LEAST);
        let size = size.checked_next_power_of_two().unwrap_or(usize::MAX);
        let mut entries = Vec::new();
        entries
            .try_reserve_exact(size)
            .map_err(|_| Error::Memory(size.saturating_mul(size_of::<Entry>())))?;
        let empty = Entry {
            tag: 0,
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
        let mut at = self.home(entry.tag);
        while self.entries[at].slot != EMPTY {
            at = (at + 1) & self.mask();
        }
        self.entries[at] = entry;
    }

    /// A slot that is not in the table yet, after `reserve`.
    pub fn insert(&mut self, hash: u64, slot: u32) {
        let tag = (hash >> 32) as u32;
        self.put(Entry { tag, slot });
        self.len += 1;
    }

    /// Takes a slot out; what was put behind it moves up.
    pub fn remove(&mut self, hash: u64, slot: u32) {
        let mask = self.mask();
        let mut gap = self.home((hash >> 32) as u32);
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
            let home = self.home(entry.tag);
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
            let mut keys = vec![0; 60_000];
            for slot in 0..60_000u32 {
                x = mix(x + 1);
                let key = (x % modulus).cast_signed() - 50;
                let hash = index.hash_int(key);
                let same = |slot: u32| keys[slot as usize] == key;
                assert_eq!(index.find(hash, same), map.get(&key).copied());
                if let Some(old) = map.remove(&key) {
                    index.remove(hash, old);
                } else {
                    index.reserve(1).unwrap();
                    index.insert(hash, slot);
                    map.insert(key, slot);
                    keys[slot as usize] = key;
                }
            }
            for key in -50..modulus.cast_signed() {
                let same = |slot: u32| keys[slot as usize] == key;
                let found = index.find(index.hash_int(key), same);
                assert_eq!(found, map.get(&key).copied());
            }
            assert!(index.len == map.len() && !map.is_empty());
        }
    }

    #[test]
    fn texts_of_one_hash_are_told_apart() {
        let mut index = Index::default();
        for slot in 0..5 {
            index.reserve(1).unwrap();
            index.insert(7 << 32, slot);
        }
        assert_eq!(index.find(7 << 32, |slot| slot == 3), Some(3));
        index.remove(7 << 32, 1);
        assert_eq!(index.find(7 << 32, |slot| slot == 1), None);
        assert_eq!(index.find(7 << 32, |slot| slot == 4), Some(4));
    }

    #[test]
    fn a_table_is_at_most_three_quarters_full_and_at_least_three_eighths() {
        for n in [1usize, 12, 13, 1000, 50_000] {
            let mut index = Index::default();
            for slot in 0..n as u32 {
                index.reserve(1).unwrap();
                index.insert(mix(slot.into()), slot);
            }
            let room = index.bytes() / 8;
            assert!(4 * n <= 3 * room && (room == 16 || 8 * n > 3 * room));
            let mut at_once = Index::default();
            at_once.reserve(n).unwrap();
            assert_eq!(at_once.bytes(), index.bytes());
        }
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
