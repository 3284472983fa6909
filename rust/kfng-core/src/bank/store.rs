//! The records of a bank: one after another, or the same memory turned, each quantity of a tile's records side by side.
//!
//! ```text
//! a tile of n records, turned:   wide (wide, n) | theta and the belief's numbers (narrow, n), as T
//! ```
//!
//! Panels leave tiles turned, so that the next one finds every quantity in whole registers. Whoever else asks for records turns them back
//! first: `records` is the only way to them.

use std::marker::PhantomData;

use pulp::bytemuck::cast_slice;
use pulp::bytemuck::cast_slice_mut;

use super::record::Plan;
use super::slab::Slab;
use crate::error::Error;
use crate::field::filled;
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
    /// So many are turned, from the first on.
    turned: u32,
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
            turned: 0,
            room: filled(room)?.into(),
            number: PhantomData,
        })
    }

    /// Records one after another.
    #[inline(always)]
    pub fn records(&mut self) -> &mut Slab {
        if self.turned > 0 {
            self.turn_back();
        }
        &mut self.slab
    }

    /// Which records were written, and what they take: however they lie.
    pub fn slab(&self) -> &Slab {
        &self.slab
    }

    /// From now on no record counts as written.
    pub fn clear(&mut self) {
        self.slab.clear();
    }

    /// The first `slots` records in turned tiles.
    pub fn tiles(&mut self, slots: u32) -> &mut Slab {
        for first in (self.turned..slots).step_by(self.cut.n) {
            self.turn(first, true);
        }
        self.turned = self.turned.max(slots.next_multiple_of(self.cut.n as u32));
        &mut self.slab
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
    fn turn_back(&mut self) {
        for first in (0..self.turned).step_by(self.cut.n) {
            self.turn(first, false);
        }
        self.turned = 0;
    }

    /// A tile, side by side or one record after another.
    fn turn(&mut self, first: u32, abreast: bool) {
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
