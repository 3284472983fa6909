//! Keys that come often in a piece: a key has a lane of the registers as long as its rows last, then another has it.
//!
//! ```text
//! rows of the piece, key by key      lanes: 3 rows of a, 1 of b, 2 of c, 2 of d in lanes for three
//! a ─▶ row 0 ─▶ row 3 ─▶ row 4       a a a
//! b ─▶ row 1                         b d d
//! c ─▶ row 2 ─▶ row 5                c c
//! ```
//!
//! The order of rows of different keys is another one than theirs, which no result shows: each is a function of its key's record, and should a row
//! fail the piece is undone, see run.rs.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::Workspace;
use super::rows::room;
use super::take::{Out, Records, Taker, general, keep};
use crate::error::Error;
use crate::linalg::abreast::MOST;
use crate::linalg::parts::prefetch;
use crate::row::{Block, Input};
use crate::scalar::Scalar;
use crate::small::abreast::Abreast;

/// No row.
const NONE: u32 = u32::MAX;
/// Fewer rows of a key are not worth a lane of its own.
const FEW: usize = 3;

/// The rows of a thread, key by key.
#[derive(Debug, Default)]
pub struct Chains {
    /// Of each key its first row, in order.
    firsts: Vec<u32>,
    /// Of each row of the piece, the next one of its key.
    next: Vec<u32>,
    /// Of each slot its first row, while they are linked.
    heads: Vec<u32>,
    /// Rows of one key.
    rest: Vec<u32>,
}

impl Chains {
    /// Room for m rows of so many slots.
    pub fn room(&mut self, m: usize, slots: usize) -> Result<(), Error> {
        let more = slots.saturating_sub(self.heads.len());
        room(&mut self.heads, more)?;
        self.heads.resize(slots, NONE);
        for list in [&mut self.firsts, &mut self.next, &mut self.rest] {
            list.clear();
            room(list, m)?;
        }
        self.next.resize(m, NONE);
        Ok(())
    }

    /// Links the rows of thread `me`, after `room`; `false`: too few of each key.
    ///
    /// - slots, owners: (m,), of the rows of the piece
    pub fn link(&mut self, (slots, owners, me): (&[u32], &[u8], u8)) -> bool {
        let (m, mut rows) = (slots.len(), 0);
        for i in (0..m).rev() {
            if owners[i] == me {
                let head = &mut self.heads[slots[i] as usize];
                self.next[i] = std::mem::replace(head, i as u32);
                rows += 1;
            }
        }
        for (i, (&slot, &owner)) in (0..).zip(slots.iter().zip(owners)) {
            let head = &mut self.heads[slot as usize];
            if owner == me && *head == i {
                self.firsts.push(i);
                *head = NONE;
            }
        }
        rows >= FEW * self.firsts.len()
    }

    fn after(&self, row: usize) -> Option<usize> {
        let next = self.next[row];
        (next != NONE).then_some(next as usize)
    }
}

impl<T: Scalar, R: Records, O: Out> Taker<'_, T, R, O> {
    /// The rows that are linked, of a bank of one prior and small filters; an error is that of the row whose index comes with it.
    pub fn in_lanes(
        &mut self,
        slots: &[u32],
        chains: &mut Chains,
        block: &Block<'_, T>,
        stop: &AtomicUsize,
    ) -> Result<(), (usize, Error)> {
        let most = self.work.room.as_ref().map_or(0, Abreast::n);
        let (mut rows, mut m, mut waiting) = ([0; MOST], 0, 0);
        loop {
            while let (true, Some(&row)) = (m < most, chains.firsts.get(waiting)) {
                if let Some(&later) = chains.firsts.get(waiting + 1) {
                    prefetch(self.records.of(slots[later as usize]));
                }
                self.enter(m, (row as usize, slots[row as usize]))?;
                (rows[m], m, waiting) = (row as usize, m + 1, waiting + 1);
            }
            if 4 * m <= most {
                break;
            }
            if stop.load(Ordering::Relaxed) != usize::MAX {
                return Ok(()); // the piece is undone
            }
            let all = self.step(&rows[..m], block);
            for l in (0..m).rev() {
                let (row, slot) = (rows[l], slots[rows[l]]);
                if !self.came(l, (row, slot), all, block)? {
                    continue;
                }
                if let Some(next) = chains.after(row) {
                    rows[l] = next;
                    if let Some(later) = chains.after(next) {
                        self.ask(later, block);
                    }
                    continue;
                }
                self.leave(l, slot);
                if let Some(&row) = chains.firsts.get(waiting) {
                    waiting += 1;
                    rows[l] = row as usize;
                    self.enter(l, (row as usize, slots[row as usize]))?;
                } else {
                    m -= 1;
                    self.shift(m, l);
                    rows[l] = rows[m];
                }
            }
        }
        self.few(slots, &rows[..m], chains, block)
    }

    /// The record of a slot gets lane l, for this row.
    #[inline]
    fn enter(&mut self, l: usize, (row, slot): (usize, u32)) -> Result<(), (usize, Error)> {
        let record = self.records.of(slot);
        keep(&mut self.undo, slot, record).map_err(|error| (row, error))?;
        if let Some(room) = &mut self.work.room {
            let (wide, narrow) = self.plan.parts(record);
            room.put_in(l, wide, narrow);
        }
        Ok(())
    }

    /// Lane l is written to its record.
    #[inline]
    fn leave(&mut self, l: usize, slot: u32) {
        if let Some(room) = &self.work.room {
            let (wide, narrow) = self.plan.open(self.records.of_mut(slot));
            room.take_out(l, wide, narrow);
        }
    }

    /// A row of each lane; `false`: one of them asks for more, and none is taken.
    #[inline]
    fn step(&mut self, rows: &[usize], block: &Block<'_, T>) -> bool {
        let Workspace { filters, room } = &mut *self.work;
        match (&filters[0].small, room) {
            (Some(small), Some(room)) => small.in_lanes(room, rows, block),
            _ => false,
        }
    }

    /// Whether lane l has its row behind it, `all` rows being taken, or those that ask for more now alone.
    #[inline]
    fn came(
        &mut self,
        l: usize,
        (row, slot): (usize, u32),
        all: bool,
        block: &Block<'_, T>,
    ) -> Result<bool, (usize, Error)> {
        let Some(room) = &self.work.room else {
            return Ok(false);
        };
        let said = room.said();
        if all {
            said.report(l, &mut self.out.row(row));
            return Ok(true);
        }
        if said.taken[l] {
            return Ok(false); // again, with the others' next rows
        }
        self.leave(l, slot);
        let record = self.records.of_mut(slot);
        let sizes = self.sizes;
        let own = block.rows(row..row + 1, sizes.d, sizes.k, sizes.width);
        let (filter, mut out) = (&mut self.work.filters[0], self.out.row(row));
        general(self.plan, filter, record, &own, &mut out).map_err(|error| (row, error))?;
        self.enter(l, (row, slot))?;
        Ok(true)
    }

    /// What lane `from` holds to lane `to`.
    fn shift(&mut self, from: usize, to: usize) {
        if let (Some(room), true) = (&mut self.work.room, from != to) {
            room.shift(from, to);
        }
    }

    /// Asks for a row.
    #[inline]
    fn ask(&self, row: usize, block: &Block<'_, T>) {
        if let Input::Features(u) = block.input {
            prefetch(&u[row * self.sizes.d..][..self.sizes.d]);
        }
    }

    /// The rows that are left when too few lanes hold a key.
    fn few(
        &mut self,
        slots: &[u32],
        rows: &[usize],
        chains: &mut Chains,
        block: &Block<'_, T>,
    ) -> Result<(), (usize, Error)> {
        for (l, &row) in rows.iter().enumerate() {
            self.leave(l, slots[row]);
            let mut rest = std::mem::take(&mut chains.rest);
            rest.clear();
            rest.extend(
                std::iter::successors(Some(row), |&row| chains.after(row)).map(|row| row as u32),
            );
            let done = self.alone(slots[row], 0..rest.len(), &rest[..], block);
            chains.rest = rest;
            done?;
        }
        Ok(())
    }
}
