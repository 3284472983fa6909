//! The records of a bank: one after another, or the same memory turned, each quantity of a tile's records side by side.
//!
//! ```text
//! a tile of n records, turned:   wide (wide, n) | theta and the belief's numbers (narrow, n), as T
//! ```
//!
//! Panels leave tiles turned, so that the next one finds every quantity in whole registers. Whoever else asks for records turns their tiles back
//! first: `record`, `record_mut` and `records_of` are the only ways to them.

use std::marker::PhantomData;
use std::ops::Range;

use pulp::bytemuck::cast_slice;
use pulp::bytemuck::cast_slice_mut;

use super::record::Plan;
use super::slab::Slab;
use crate::error::Error;
use crate::field::{filled, push};
use crate::linalg::Path;
use crate::linalg::abreast::{put_in, take_out, turn};
use crate::scalar::Scalar;

/// What turning needs to know: records of a tile, numbers of a record, those that are float64, and those of the filter's type, with the one that
/// makes its words whole.
#[derive(Clone, Copy, Debug)]
struct Cut {
    n: usize,
    words: usize,
    wide: usize,
    narrow: usize,
}

/// Records, and how they lie.
#[derive(Debug)]
pub struct Store<T> {
    slab: Slab,
    cut: Cut,
    path: Path,
    /// Of each tile whether it is turned, and how many are.
    turned: Vec<bool>,
    count: usize,
    /// A tile on its way.
    room: Box<[f64]>,
    number: PhantomData<T>,
}

impl<T: Scalar> Store<T> {
    /// No records yet; `n` go side by side, 1 where they never do.
    pub fn new(plan: &Plan, n: usize) -> Result<Self, Error> {
        let cut = Cut {
            n,
            words: plan.words,
            wide: plan.wide,
            narrow: (plan.words - plan.wide) * (size_of::<f64>() / size_of::<T>()),
        };
        let room = if n > 1 { n * plan.words } else { 0 };
        Ok(Store {
            slab: Slab::new(plan.words, n)?,
            cut,
            path: Path::best(),
            turned: Vec::new(),
            count: 0,
            room: filled(room)?.into(),
            number: PhantomData,
        })
    }

    /// Makes room for record `slot`.
    pub fn reach(&mut self, slot: u32) -> Result<(), Error> {
        self.slab.reach(slot)?;
        while self.cut.n > 1 && self.turned.len() <= slot as usize / self.cut.n {
            push(&mut self.turned, false)?;
        }
        Ok(())
    }

    /// Record `slot`.
    #[inline(always)]
    pub fn record(&mut self, slot: u32) -> &[f64] {
        self.records_of(&[slot]).get(slot)
    }

    /// Record `slot`, to be written.
    #[inline(always)]
    pub fn record_mut(&mut self, slot: u32) -> &mut [f64] {
        self.records_of(&[slot]).get_mut(slot)
    }

    /// The records of these slots, one after another.
    #[inline(always)]
    pub fn records_of(&mut self, slots: &[u32]) -> &mut Slab {
        if self.count > 0 {
            self.turn_back(slots);
        }
        &mut self.slab
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.slab.bytes() + self.turned.capacity()
    }

    /// Which records were written: however they lie.
    pub fn slab(&self) -> &Slab {
        &self.slab
    }

    /// From now on no record counts as written.
    pub fn clear(&mut self) {
        self.slab.clear();
    }

    /// The records of these slots in turned tiles, which are whole ones.
    #[inline(always)]
    pub fn tiles(&mut self, slots: Range<usize>) -> &mut Slab {
        let tiles = slots.start / self.cut.n..slots.end.div_ceil(self.cut.n);
        if self.turned[tiles.clone()].contains(&false) {
            self.turn_all(tiles);
        }
        &mut self.slab
    }

    #[cold]
    fn turn_all(&mut self, tiles: Range<usize>) {
        for tile in tiles {
            if !self.turned[tile] {
                self.turn(tile, true);
            }
        }
    }

    /// Record `slot` of those that are turned, copied; `put_back` then writes it.
    pub fn take_out(&mut self, slot: u32) -> &mut [f64] {
        self.copy(slot, true);
        &mut self.room[..self.cut.words]
    }

    /// See `take_out`.
    pub fn put_back(&mut self, slot: u32) {
        self.copy(slot, false);
        self.slab.mark(slot, 1);
    }

    #[cold]
    fn turn_back(&mut self, slots: &[u32]) {
        for &slot in slots {
            let tile = slot as usize / self.cut.n;
            if self.turned[tile] {
                self.turn(tile, false);
            }
        }
    }

    /// A tile, side by side or one record after another.
    fn turn(&mut self, tile: usize, abreast: bool) {
        self.turned[tile] = abreast;
        self.count = if abreast {
            self.count + 1
        } else {
            self.count - 1
        };
        let first = (tile * self.cut.n) as u32;
        let (Cut { n, words, wide, .. }, path) = (self.cut, self.path);
        let narrow = self.cut.narrow;
        let each = words * (size_of::<f64>() / size_of::<T>());
        let (tile, room) = (self.slab.tile_mut(first), &mut self.room[..]);
        room.copy_from_slice(tile);
        if abreast {
            let (to, own) = tile.split_at_mut(n * wide);
            turn(path, room, words, to, n, (n, wide));
            let (from, own) = (cast_slice(&room[wide..]), cast_slice_mut(own));
            turn::<T>(path, from, each, own, n, (n, narrow));
        } else {
            let (from, own) = room.split_at(n * wide);
            turn(path, from, n, tile, words, (wide, n));
            let (from, own) = (cast_slice(own), cast_slice_mut(&mut tile[wide..]));
            turn::<T>(path, from, n, own, each, (narrow, n));
        }
    }

    /// One record between its turned tile and the room.
    fn copy(&mut self, slot: u32, out: bool) {
        let Cut { n, words, wide, .. } = self.cut;
        let narrow = self.cut.narrow;
        let l = slot as usize % n;
        let tile = self.slab.tile_mut(slot - l as u32);
        let (tile, own) = tile.split_at_mut(n * wide);
        let (room, rest) = self.room[..words].split_at_mut(wide);
        let (own, rest) = (
            cast_slice_mut::<f64, T>(own),
            cast_slice_mut::<f64, T>(rest),
        );
        let rest = &mut rest[..narrow];
        if out {
            take_out(tile, n, l, room);
            take_out(own, n, l, rest);
        } else {
            put_in(room, n, l, tile);
            put_in(rest, n, l, own);
        }
    }
}
