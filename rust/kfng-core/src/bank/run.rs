//! Rows of a bank in order: a key's record becomes the state of a workspace filter, the row is taken, the state becomes the record.
//!
//! Several threads take the rows of their own records, piece by piece; in a piece each copies a record before it is first changed. Should a row
//! fail, the piece is undone and taken again in order up to that row: what comes after it has never been.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Bank;
use super::record::Plan;
use super::rows::{Rows, Undo};
use super::slab::{Share, owner};
use crate::error::{Error, fault};
use crate::filter::Filter;
use crate::linalg::parts::prefetch;
use crate::linalg::threads;
use crate::row::{Block, Input, Report};
use crate::scalar::Scalar;

/// Rows of a piece for each thread: their copies stay in the cache.
const PIECE: usize = 1024;
/// Rows that records are asked for ahead.
const AHEAD: usize = 4;

impl<T: Scalar> Bank<T> {
    /// Takes rows in order, row i of the key in slot `slots[i]`; returns how many, and the error of the row after them.
    ///
    /// On an error exactly the rows before it are taken, whatever the number of threads.
    pub fn run(
        &mut self,
        slots: &[u32],
        block: &Block<'_, T>,
        report: &mut Report<'_>,
    ) -> (usize, Option<Error>) {
        if let Err(error) = self.fits(slots, block, report) {
            return (0, Some(error));
        }
        let m = slots.len();
        let threads = threads::available(usize::MAX).min(self.threads);
        if threads == 1 {
            return match self.in_order(slots, 0..m, block, report) {
                Ok(()) => (m, None),
                Err((done, error)) => (done, Some(error)),
            };
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.prepare(slots, threads);
        let mut done = 0;
        let mut error = None;
        while done < m && error.is_none() {
            let stop = m.min(done + threads * PIECE);
            (done, error) = self.piece(slots, done..stop, block, report, &mut scratch);
        }
        self.scratch = scratch;
        (done, error)
    }

    fn fits(&self, slots: &[u32], block: &Block<'_, T>, report: &Report<'_>) -> Result<(), Error> {
        let (m, sizes) = (slots.len(), self.sizes);
        let block = block.len() == m
            && matches!(block.input, Input::Features(_))
            && block.fits(Some(sizes.d), sizes.k, sizes.width, sizes.p, 0);
        if block && report.fits(m, sizes.k, sizes.scales) {
            return self.check(slots);
        }
        let expected = "arrays of one number of rows";
        Err(Error::Shape(fault("block", expected, "others")))
    }

    /// Rows one after another on this thread.
    fn in_order(
        &mut self,
        slots: &[u32],
        rows: Range<usize>,
        block: &Block<'_, T>,
        report: &mut Report<'_>,
    ) -> Result<(), (usize, Error)> {
        let (sizes, plan) = (self.sizes, &self.plan);
        for i in rows {
            if let Some(&next) = slots.get(i + AHEAD) {
                prefetch(self.slab.get(next));
            }
            let slot = slots[i];
            let (record, filter) = (
                self.slab.get_mut(slot),
                &mut self.work[self.keys.prior(slot)][0],
            );
            let mut place = report.row(i, sizes.k, sizes.scales);
            let block = block.rows(i..i + 1, sizes.d, sizes.k, sizes.width);
            row(plan, filter, record, &block, &mut place).map_err(|error| (i, error))?;
        }
        Ok(())
    }

    /// One piece by several threads; returns the first row that is not taken, and why.
    fn piece(
        &mut self,
        slots: &[u32],
        rows: Range<usize>,
        block: &Block<'_, T>,
        report: &mut Report<'_>,
        scratch: &mut super::rows::Scratch,
    ) -> (usize, Option<Error>) {
        let sizes = self.sizes;
        let part = &slots[rows.clone()];
        let own = block.rows(rows.clone(), sizes.d, sizes.k, sizes.width);
        let number = scratch.next_piece();
        let failed = AtomicUsize::new(usize::MAX);
        {
            let mut place = report.rows(rows.clone(), sizes.k, sizes.scales);
            let (owners, undos) = scratch.parts(rows.clone());
            let threads = undos.len();
            let outputs = Rows::parts(&mut place, sizes.k, sizes.scales, owners, threads);
            let mut work: Vec<Vec<&mut Filter<T>>> = (0..threads).map(|_| Vec::new()).collect();
            for prior in &mut self.work {
                for (mine, filter) in work.iter_mut().zip(prior) {
                    mine.push(filter);
                }
            }
            let shares = self.slab.share(threads).into_iter();
            let parts = shares.zip(work).zip(outputs).zip(undos);
            let workers: Vec<_> = parts
                .map(|(((records, filters), rows), undo)| {
                    Mutex::new(Worker {
                        records,
                        filters,
                        rows,
                        undo,
                    })
                })
                .collect();
            let (plan, keys) = (&self.plan, &self.keys);
            threads::share(&|me| {
                let Some(worker) = workers.get(me) else {
                    return; // a thread more than is needed
                };
                let Ok(mut worker) = worker.lock() else {
                    return;
                };
                let prior = |slot| keys.prior(slot);
                let order = Order {
                    slots: part,
                    owners,
                    me: me as u8,
                    number,
                };
                worker.take(plan, &order, &own, sizes, &prior, &failed);
            });
        }
        let failed = failed.into_inner();
        if failed == usize::MAX {
            return (rows.end, None);
        }
        for undo in scratch.undos() {
            undo.restore(&mut self.slab);
        }
        match self.in_order(slots, rows.start..rows.start + failed + 1, block, report) {
            Err((done, error)) => (done, Some(error)),
            Ok(()) => (rows.start + failed + 1, Some(Error::Overflow)), // cannot be: rows are functions of their records
        }
    }
}

/// One row of a record: what every thread does, and what one filter does.
#[inline]
fn row<T: Scalar>(
    plan: &Plan,
    filter: &mut Filter<T>,
    record: &mut [f64],
    block: &Block<'_, T>,
    report: &mut Report<'_>,
) -> Result<(), Error> {
    if let Some(small) = &filter.small {
        // Its float64 part is worked on where it lies; a row that is not taken has changed nothing.
        let narrow = &mut filter.state.narrow;
        let (wide, own) = plan.open(record);
        plan.spread(own, narrow);
        if small.one(wide, narrow, block, 0, report) {
            plan.gather(narrow, own);
            return Ok(());
        }
    }
    plan.unpack(record, &mut filter.state);
    if let (_, Some(error)) = filter.run(block, report) {
        return Err(error);
    }
    plan.pack(&filter.state, record);
    Ok(())
}

/// Which rows a thread takes.
struct Order<'a> {
    slots: &'a [u32],
    owners: &'a [u8],
    me: u8,
    /// Of the piece.
    number: u64,
}

/// What one thread works with.
struct Worker<'a, T> {
    records: Share<'a>,
    filters: Vec<&'a mut Filter<T>>,
    rows: Rows<'a>,
    undo: &'a mut Undo,
}

impl<T: Scalar> Worker<'_, T> {
    fn take(
        &mut self,
        plan: &Plan,
        order: &Order<'_>,
        block: &Block<'_, T>,
        sizes: crate::filter::Sizes,
        prior: &dyn Fn(u32) -> usize,
        failed: &AtomicUsize,
    ) {
        let Order {
            slots, owners, me, ..
        } = *order;
        self.undo.clear();
        let mut ahead = (0..slots.len()).filter(|&i| owners[i] == me);
        for i in ahead.by_ref().take(AHEAD) {
            prefetch(self.records.get(slots[i]));
        }
        for i in (0..slots.len()).filter(|&i| owners[i] == me) {
            if let Some(next) = ahead.next() {
                prefetch(self.records.get(slots[next]));
            }
            if failed.load(Ordering::Relaxed) < i {
                return;
            }
            let slot = slots[i];
            let record = self.records.get_mut(slot);
            if plan.stamp(record) != order.number {
                self.undo.keep(slot, record);
                plan.set_stamp(record, order.number);
            }
            let own = block.rows(i..i + 1, sizes.d, sizes.k, sizes.width);
            let mut place = self.rows.report(i);
            if row(plan, self.filters[prior(slot)], record, &own, &mut place).is_err() {
                failed.fetch_min(i, Ordering::Relaxed);
                return;
            }
        }
    }
}

/// The thread of a slot, for `Scratch`.
pub(super) fn owners(slots: &[u32], threads: usize, to: &mut Vec<u8>) {
    to.clear();
    to.extend(slots.iter().map(|&slot| owner(slot, threads)));
}
