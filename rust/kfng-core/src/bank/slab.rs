//! Records of one size, at places that never move: growing adds a segment and copies nothing.
//!
//! Records come in tiles, one behind the other in memory: tile t lies in stripe t mod 16. Each stripe is a list of segments of 1, 1, 2, 4, ... times
//! the first one's records, up to a size from which all are alike. Threads share out whole stripes, so that no two of them reach one record.

use crate::error::Error;
use crate::field::listed;
use crate::linalg::Aligned;

/// Stripes, and so the most threads that share a bank.
pub const STRIPES: usize = 16;
/// Bytes of a first segment, and of the largest, about.
const FIRST: usize = 1 << 12;
const LARGEST: usize = 1 << 16;
const BITS: usize = u64::BITS as usize;

/// Where records lie.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    /// Numbers in a record.
    words: usize,
    /// log2 of the records of a first segment, and of the largest.
    first: u32,
    largest: u32,
}

/// Which stripe a record is of, and which of its records.
#[derive(Clone, Copy, Debug)]
pub struct Tiles {
    /// log2 of the records of a tile.
    log: u32,
}

impl Tiles {
    #[inline(always)]
    fn find(self, slot: u32) -> (usize, usize) {
        let (tile, inside) = (slot as usize >> self.log, slot as usize & (self.len() - 1));
        (tile % STRIPES, (tile / STRIPES) << self.log | inside)
    }

    /// Records of one.
    #[inline(always)]
    pub fn len(self) -> usize {
        1 << self.log
    }

    /// The thread that record `slot` belongs to.
    #[inline(always)]
    pub fn owner(self, slot: u32, threads: usize) -> u8 {
        (self.find(slot).0 % threads) as u8
    }
}

impl Sizes {
    fn new(words: usize, tiles: Tiles) -> Self {
        let log = |bytes: usize| (bytes / (8 * words.max(1))).max(tiles.len()).ilog2();
        Sizes {
            words,
            first: log(FIRST),
            largest: log(LARGEST),
        }
    }

    /// Segment and place in it of record i of a stripe.
    #[inline(always)]
    fn find(self, i: usize) -> (usize, usize) {
        let big = i >> self.largest;
        if big > 0 {
            // Segments below the first largest one make up one of its size.
            let small = (self.largest - self.first) as usize;
            return (small + big, i & ((1 << self.largest) - 1));
        }
        let group = i >> self.first;
        if group == 0 {
            return (0, i);
        }
        let level = group.ilog2();
        let start = 1 << (level + self.first);
        (level as usize + 1, i - start)
    }

    /// The first record of a segment.
    fn start(self, segment: usize) -> usize {
        (0..segment).map(|segment| self.len(segment)).sum()
    }

    /// Records in a segment.
    fn len(self, segment: usize) -> usize {
        let level = u32::try_from(segment.saturating_sub(1)).unwrap_or(u32::MAX);
        1 << self.first.saturating_add(level).min(self.largest)
    }
}

/// One stripe.
#[derive(Debug)]
pub struct Stripe {
    sizes: Sizes,
    segments: Vec<Aligned<f64>>,
    /// A bit of each record that there is room for.
    written: Vec<u64>,
}

impl Stripe {
    #[inline(always)]
    fn at(&self, i: usize) -> &[f64] {
        let ((segment, place), words) = (self.sizes.find(i), self.sizes.words);
        &self.segments[segment][place * words..][..words]
    }

    #[inline(always)]
    fn at_mut(&mut self, i: usize) -> &mut [f64] {
        self.written[i / BITS] |= 1 << (i % BITS);
        let ((segment, place), words) = (self.sizes.find(i), self.sizes.words);
        &mut self.segments[segment][place * words..][..words]
    }

    /// A tile of so many records.
    #[inline(always)]
    fn tile_mut(&mut self, i: usize, tile: usize) -> &mut [f64] {
        let ((segment, place), words) = (self.sizes.find(i), self.sizes.words);
        &mut self.segments[segment][place * words..][..tile * words]
    }

    /// Makes room for record i.
    fn reach(&mut self, i: usize) -> Result<(), Error> {
        let (segment, _) = self.sizes.find(i);
        while self.segments.len() <= segment {
            let records = self.sizes.len(self.segments.len());
            let all = (self.sizes.start(self.segments.len()) + records).div_ceil(BITS);
            self.written
                .try_reserve(all - self.written.len())
                .map_err(|_| Error::Memory(all))?;
            self.written.resize(all, 0);
            let len = records.checked_mul(self.sizes.words);
            let room = Aligned::zeros(len.ok_or(Error::Memory(usize::MAX))?)?;
            self.segments
                .try_reserve(1)
                .map_err(|_| Error::Memory(size_of::<Aligned<f64>>()))?;
            self.segments.push(room);
        }
        Ok(())
    }
}

/// Records of `words` numbers.
#[derive(Debug)]
pub struct Slab {
    stripes: Vec<Stripe>,
    words: usize,
    tiles: Tiles,
}

impl Slab {
    /// No records yet; tiles of so many, a power of two of at most 16.
    pub fn new(words: usize, tile: usize) -> Result<Self, Error> {
        let tiles = Tiles { log: tile.ilog2() };
        let stripe = || Stripe {
            sizes: Sizes::new(words, tiles),
            segments: Vec::new(),
            written: Vec::new(),
        };
        let stripes = listed(std::iter::repeat_with(stripe).take(STRIPES))?;
        Ok(Slab {
            stripes,
            words,
            tiles,
        })
    }

    /// Record `slot`.
    #[inline(always)]
    pub fn get(&self, slot: u32) -> &[f64] {
        let (stripe, i) = self.tiles.find(slot);
        self.stripes[stripe].at(i)
    }

    /// Record `slot`, to be written.
    #[inline(always)]
    pub fn get_mut(&mut self, slot: u32) -> &mut [f64] {
        let (stripe, i) = self.tiles.find(slot);
        self.stripes[stripe].at_mut(i)
    }

    /// Makes room for record `slot`; nothing that was there moves.
    pub fn reach(&mut self, slot: u32) -> Result<(), Error> {
        let (stripe, i) = self.tiles.find(slot);
        self.stripes[stripe].reach(i)
    }

    /// The tile that begins with record `slot`. Whoever changes what its records say marks them.
    #[inline(always)]
    pub fn tile_mut(&mut self, slot: u32) -> &mut [f64] {
        let (stripe, i) = self.tiles.find(slot);
        self.stripes[stripe].tile_mut(i, self.tiles.len())
    }

    /// `many` tiles one after another, at most `STRIPES`, the first of which begins with record `slot`: see `tile_mut`.
    #[inline(always)]
    pub fn tiles_mut(&mut self, slot: u32, many: usize) -> [Option<&mut [f64]>; STRIPES] {
        let mut tiles = [const { None }; STRIPES];
        let ((first, i), len) = (self.tiles.find(slot), self.tiles.len());
        let (before, from) = self.stripes.split_at_mut(first);
        let mut t = 0;
        // Stripes are alike: what comes after the last one lies in the first ones, a tile further.
        for (stripes, i) in [(from, i), (before, i + len)] {
            for stripe in stripes.iter_mut().take(many - t) {
                tiles[t] = Some(stripe.tile_mut(i, len));
                t += 1;
            }
        }
        tiles
    }

    /// `m` records count as written: from `slot` on, where a tile begins, or this one.
    #[inline(always)]
    pub fn mark(&mut self, slot: u32, m: usize) {
        let len = self.tiles.len();
        for start in (0..m).step_by(len) {
            let (stripe, i) = self.tiles.find(slot + start as u32);
            let bits = (1 << len.min(m - start)) - 1;
            self.stripes[stripe].written[i / BITS] |= bits << (i % BITS);
        }
    }

    /// Whether a record was written since `clear`.
    pub fn written(&self, slot: u32) -> bool {
        let (stripe, i) = self.tiles.find(slot);
        let bits = self.stripes[stripe].written.get(i / BITS).unwrap_or(&0);
        bits >> (i % BITS) & 1 == 1
    }

    /// From now on no record counts as written.
    pub fn clear(&mut self) {
        for stripe in &mut self.stripes {
            stripe.written.fill(0);
        }
    }

    /// Shared out among so many threads, stripe after stripe.
    pub fn share(&mut self, threads: usize) -> Result<Vec<Share<'_>>, Error> {
        let share = || Share {
            stripes: Default::default(),
            tiles: self.tiles,
        };
        let mut shares = listed((0..threads).map(|_| share()))?;
        for (i, stripe) in self.stripes.iter_mut().enumerate() {
            shares[i % threads].stripes[i] = Some(stripe);
        }
        Ok(shares)
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        let of = |stripe: &Stripe| -> usize {
            let segments = stripe.segments.iter();
            let records: usize = segments.map(|segment| size_of_val(&segment[..])).sum();
            let list = stripe.segments.capacity() * size_of::<Aligned<f64>>();
            records + list + stripe.written.capacity() * size_of::<u64>()
        };
        self.stripes.iter().map(of).sum()
    }

    /// Numbers in a record.
    pub fn words(&self) -> usize {
        self.words
    }

    /// How records come in tiles.
    pub fn tiles(&self) -> Tiles {
        self.tiles
    }
}

/// The stripes of one thread.
#[derive(Debug)]
pub struct Share<'a> {
    stripes: [Option<&'a mut Stripe>; STRIPES],
    tiles: Tiles,
}

impl Share<'_> {
    /// Record `slot`, which must be this thread's.
    #[inline(always)]
    pub fn get(&self, slot: u32) -> &[f64] {
        let (stripe, i) = self.tiles.find(slot);
        let stripe = self.stripes[stripe].as_ref();
        stripe.expect("a record of another thread").at(i)
    }

    /// Record `slot`, which must be this thread's, to be written.
    #[inline(always)]
    pub fn get_mut(&mut self, slot: u32) -> &mut [f64] {
        let (stripe, i) = self.tiles.find(slot);
        let stripe = self.stripes[stripe].as_mut();
        stripe.expect("a record of another thread").at_mut(i)
    }
}

#[cfg(test)]
mod tests {
    use super::{STRIPES, Slab};

    #[test]
    fn records_are_distinct_and_stay_where_they_are() {
        for (words, tile) in [(1, 1), (76, 8), (76, 16), (3000, 4), (1 << 19, 1)] {
            let mut slab = Slab::new(words, tile).unwrap();
            let many = if words > 1000 { 150u32 } else { 60_000 };
            let mut places = Vec::new();
            for slot in 0..many {
                slab.reach(slot).unwrap();
                let record = slab.get_mut(slot);
                assert!(record.len() == words && record[0] == 0.0);
                record[0] = f64::from(slot) + 1.0;
                record[words - 1] = f64::from(slot) + 1.0;
                places.push(record.as_ptr().addr());
            }
            for slot in 0..many {
                let record = slab.get(slot);
                assert!(record[0] == f64::from(slot) + 1.0 && record[words - 1] == record[0]);
                assert_eq!(record.as_ptr().addr(), places[slot as usize]);
            }
        }
    }

    #[test]
    fn room_is_at_most_twice_what_is_needed_and_a_little() {
        for many in [1u32, 100, 5000, 40_000] {
            let mut slab = Slab::new(76, 8).unwrap();
            for slot in 0..many {
                slab.reach(slot).unwrap();
            }
            let needed = 76 * 8 * many as usize;
            assert!(
                slab.bytes() <= 2 * needed + STRIPES * (4096 + 100),
                "{many}"
            );
            assert!(slab.bytes() >= needed);
        }
    }

    #[test]
    fn every_record_is_of_one_share() {
        let mut slab = Slab::new(3, 8).unwrap();
        for slot in 0..1000 {
            slab.reach(slot).unwrap();
        }
        for threads in [1, 2, 3, 7, 16] {
            let tiles = slab.tiles();
            let mut shares = slab.share(threads).unwrap();
            for slot in 0..1000 {
                shares[usize::from(tiles.owner(slot, threads))].get_mut(slot)[0] += 1.0;
            }
        }
        assert!((0..1000).all(|slot| slab.get(slot)[0] == 5.0));
    }

    #[test]
    fn what_was_written_is_known() {
        let mut slab = Slab::new(3, 4).unwrap();
        for slot in 0..5000 {
            slab.reach(slot).unwrap();
            slab.get_mut(slot)[0] = 1.0;
        }
        assert!((0..5000).all(|slot| slab.written(slot)));
        slab.clear();
        assert!(!(0..5000).any(|slot| slab.written(slot)));
        for slot in [0, 17, 4999] {
            let owner = slab.tiles().owner(slot, 3);
            slab.share(3).unwrap()[usize::from(owner)].get_mut(slot)[1] = 2.0;
            let _ = slab.get(slot + 1 - 2 * u32::from(slot > 4000));
        }
        let found: Vec<_> = (0..6000).filter(|&slot| slab.written(slot)).collect();
        assert_eq!(found, [0, 17, 4999]);
    }

    #[test]
    fn a_tile_is_its_records_one_after_another() {
        let mut slab = Slab::new(3, 8).unwrap();
        for slot in 0..1000 {
            slab.reach(slot).unwrap();
            slab.get_mut(slot).fill(f64::from(slot));
        }
        slab.clear();
        for slot in (0..1000).step_by(8) {
            slab.mark(slot, 5);
            let tile = slab.tile_mut(slot);
            assert_eq!(tile.len(), 24);
            assert!((0..24).all(|i| tile[i] == f64::from(slot + i as u32 / 3)));
        }
        assert!((0..1000).all(|slot| slab.written(slot) == (slot % 8 < 5)));
        slab.clear();
        slab.mark(16, 21);
        assert!((0..1000).all(|slot| slab.written(slot) == (16..37).contains(&slot)));
    }

    #[test]
    fn tiles_that_follow_one_another_are_those_of_their_slots() {
        let mut slab = Slab::new(3, 8).unwrap();
        for slot in 0..1000 {
            slab.reach(slot).unwrap();
            slab.get_mut(slot).fill(f64::from(slot));
        }
        for (first, many) in [(0, 1), (0, 16), (40, 16), (8 * 17, 5), (984, 2)] {
            let mut tiles = slab
                .tiles_mut(first, many)
                .map(|tile| tile.map(|t| t.to_vec()));
            assert_eq!(tiles.iter().flatten().count(), many);
            for (tile, slot) in tiles.iter_mut().zip((first..).step_by(8)).take(many) {
                assert_eq!(tile.as_deref().unwrap(), &*slab.tile_mut(slot));
            }
        }
    }

    #[test]
    fn memory_that_cannot_be_had_is_an_error() {
        let mut slab = Slab::new(usize::MAX / 16, 1).unwrap();
        assert!(slab.reach(0).is_err());
    }
}
