//! Rows of keys, one after another: side by side where small filters' rows follow one another that are of different keys, else alone.
//!
//! A record is read, its row taken, and only then is it written; a row that fails has changed nothing.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Workspace;
use super::record::Plan;
use super::rows::{Rows, Undo};
use super::slab::{Share, Slab};
use crate::error::Error;
use crate::filter::{Filter, Sizes};
use crate::linalg::abreast::MOST;
use crate::linalg::parts::prefetch;
use crate::row::{Block, Report};
use crate::scalar::Scalar;
use crate::small::abreast::Abreast;

/// Rows that records are asked for ahead.
const AHEAD: usize = 8;

/// Where records are: all of them, or one thread's.
pub(super) trait Records {
    /// Of a slot.
    fn of(&self, slot: u32) -> &[f64];
    /// To be written.
    fn of_mut(&mut self, slot: u32) -> &mut [f64];
}

impl Records for Slab {
    #[inline(always)]
    fn of(&self, slot: u32) -> &[f64] {
        self.get(slot)
    }

    #[inline(always)]
    fn of_mut(&mut self, slot: u32) -> &mut [f64] {
        self.get_mut(slot)
    }
}

impl Records for Share<'_> {
    #[inline(always)]
    fn of(&self, slot: u32) -> &[f64] {
        self.get(slot)
    }

    #[inline(always)]
    fn of_mut(&mut self, slot: u32) -> &mut [f64] {
        self.get_mut(slot)
    }
}

/// Where rows are reported.
pub(super) trait Out {
    /// Of row i.
    fn row(&mut self, i: usize) -> Report<'_>;
}

/// One report of all rows.
pub(super) struct Whole<'a, 'b> {
    pub report: &'a mut Report<'b>,
    pub k: usize,
    pub scales: usize,
}

impl Out for Whole<'_, '_> {
    #[inline(always)]
    fn row(&mut self, i: usize) -> Report<'_> {
        self.report.row(i, self.k, self.scales)
    }
}

impl Out for Rows<'_> {
    #[inline(always)]
    fn row(&mut self, i: usize) -> Report<'_> {
        self.report(i)
    }
}

/// Which rows are taken.
pub(super) trait Order {
    /// How many.
    fn count(&self) -> usize;
    /// The i-th.
    fn at(&self, i: usize) -> usize;
}

impl Order for Range<usize> {
    #[inline(always)]
    fn count(&self) -> usize {
        self.len()
    }

    #[inline(always)]
    fn at(&self, i: usize) -> usize {
        self.start + i
    }
}

impl Order for [u32] {
    #[inline(always)]
    fn count(&self) -> usize {
        self.len()
    }

    #[inline(always)]
    fn at(&self, i: usize) -> usize {
        self[i] as usize
    }
}

/// What one thread takes rows with.
pub(super) struct Taker<'a, T, R, O> {
    pub plan: &'a Plan,
    pub records: &'a mut R,
    pub work: &'a mut Workspace<T>,
    pub prior: &'a dyn Fn(u32) -> usize,
    pub out: O,
    pub sizes: Sizes,
    /// Where records are kept before they are first changed.
    pub undo: Option<&'a mut Undo>,
}

impl<T: Scalar, R: Records, O: Out> Taker<'_, T, R, O> {
    /// The rows of this order, until a row after `stop`; an error is that of the row whose index comes with it.
    pub fn take(
        &mut self,
        slots: &[u32],
        order: &(impl Order + ?Sized),
        block: &Block<'_, T>,
        stop: &AtomicUsize,
    ) -> Result<(), (usize, Error)> {
        let (n, most) = (order.count(), self.work.room.as_ref().map_or(1, Abreast::n));
        let (mut at, mut asked) = (0, 0);
        let (mut rows, mut group) = ([0; MOST], [0; MOST]);
        while at < n {
            while asked < n.min(at + most + AHEAD) {
                prefetch(self.records.of(slots[order.at(asked)]));
                asked += 1;
            }
            // Rows of different keys, as many as there is room for.
            let mut m = 0;
            while m < most.min(n - at) {
                let row = order.at(at + m);
                if group[..m].contains(&slots[row]) {
                    break;
                }
                (rows[m], group[m]) = (row, slots[row]);
                m += 1;
            }
            if stop.load(Ordering::Relaxed) < rows[0] {
                return Ok(());
            }
            if 4 * m > most && most > 1 && self.together(&group[..m], &rows[..m], block)? {
                at += m;
                continue;
            }
            // Alone; where rows of one key follow one another its record stays open.
            let (slot, mut same) = (group[0], 1);
            while at + same < n && slots[order.at(at + same)] == slot {
                same += 1;
            }
            self.alone(slot, at..at + same, order, block)?;
            at += same;
        }
        Ok(())
    }

    /// Rows of different keys side by side; `false`: they cannot be, and nothing has changed.
    #[inline]
    fn together(
        &mut self,
        slots: &[u32],
        rows: &[usize],
        block: &Block<'_, T>,
    ) -> Result<bool, (usize, Error)> {
        let Workspace { filters, room } = &mut *self.work;
        let mut prior = 0;
        if filters.len() > 1 {
            prior = (self.prior)(slots[0]);
            if slots.iter().any(|&slot| (self.prior)(slot) != prior) {
                return Ok(false);
            }
        }
        let (Some(small), Some(room)) = (&filters[prior].small, room) else {
            return Ok(false);
        };
        let mut records = [(&[][..], &[][..]); MOST];
        for (record, &slot) in records.iter_mut().zip(slots) {
            *record = self.plan.parts(self.records.of(slot));
        }
        small.together(room, &records[..slots.len()], rows, block);
        let said = room.said();
        for (l, (&slot, &i)) in slots.iter().zip(rows).enumerate() {
            let record = self.records.of_mut(slot);
            keep(&mut self.undo, slot, record).map_err(|error| (i, error))?;
            let mut out = self.out.row(i);
            if said.taken[l] {
                let (wide, narrow) = self.plan.open::<T>(record);
                room.take_out(l, wide, narrow);
                said.report(l, &mut out);
            } else {
                let own = block.rows(i..i + 1, self.sizes.d, self.sizes.k, self.sizes.width);
                general(self.plan, &mut filters[prior], record, &own, &mut out)
                    .map_err(|error| (i, error))?;
            }
        }
        Ok(true)
    }

    /// Rows that follow one another, of one key.
    pub(super) fn alone(
        &mut self,
        slot: u32,
        places: Range<usize>,
        order: &(impl Order + ?Sized),
        block: &Block<'_, T>,
    ) -> Result<(), (usize, Error)> {
        let (plan, sizes) = (self.plan, self.sizes);
        let filters = &mut self.work.filters;
        let prior = if filters.len() > 1 {
            (self.prior)(slot)
        } else {
            0
        };
        let filter = &mut filters[prior];
        let record = self.records.of_mut(slot);
        keep(&mut self.undo, slot, record).map_err(|error| (order.at(places.start), error))?;
        let mut open = false;
        for place in places {
            let i = order.at(place);
            let own = block.rows(i..i + 1, sizes.d, sizes.k, sizes.width);
            let mut out = self.out.row(i);
            if let Some(small) = &filter.small {
                // The float64 part is worked on where it lies, the rest in whole registers; a row that is not taken has changed nothing.
                let (wide, packed) = plan.open(record);
                let narrow = &mut filter.state.narrow;
                if !open {
                    plan.spread(packed, narrow);
                    open = true;
                }
                if small.one(wide, narrow, &own, 0, &mut out) {
                    continue;
                }
                plan.gather(narrow, packed);
                open = false;
            }
            general(plan, filter, record, &own, &mut out).map_err(|error| (i, error))?;
        }
        if open {
            plan.gather(&filter.state.narrow, plan.open(record).1);
        }
        Ok(())
    }
}

/// A record as it is before a piece first changes it.
#[inline(always)]
pub(super) fn keep(undo: &mut Option<&mut Undo>, slot: u32, record: &[f64]) -> Result<(), Error> {
    undo.as_mut().map_or(Ok(()), |undo| undo.keep(slot, record))
}

/// One row the general way.
pub(super) fn general<T: Scalar>(
    plan: &Plan,
    filter: &mut Filter<T>,
    record: &mut [f64],
    block: &Block<'_, T>,
    report: &mut Report<'_>,
) -> Result<(), Error> {
    plan.unpack(record, &mut filter.state);
    if let (_, Some(error)) = filter.run(block, report) {
        filter.cleanse();
        return Err(error);
    }
    plan.pack(&filter.state, record);
    Ok(())
}
