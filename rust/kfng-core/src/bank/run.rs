//! Rows of a bank in order, on one thread or shared out among several; take.rs takes them.
//!
//! Several threads take the rows of their own records, piece by piece; in a piece each copies a record before it is first changed. Should a row
//! fail, the piece is undone and taken again in order up to that row: what comes after it has never been. Where keys come often a piece is larger,
//! and each thread, even if it is the only one, takes its rows key by key, see lanes.rs.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::rows::{Rows, Scratch};
use super::take::{Taker, Whole};
use super::{Bank, Workspace};
use crate::error::{Error, fault};
use crate::field::listed;
use crate::linalg::threads;
use crate::row::{Block, Input, Report};
use crate::scalar::Scalar;

/// Rows of a piece for each thread: their copies stay in the cache.
const PIECE: usize = 4096;
/// The same where keys come often: each then has many rows.
const LONG: usize = 1 << 14;
/// Rows that are worth going through key by key.
const SOME: usize = 512;

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
        let m = slots.len();
        let fits = self.shaped(m, block, report);
        if let Err(error) = fits.and_then(|()| self.check(slots)) {
            return (0, Some(error));
        }
        let threads = threads::available(usize::MAX).min(self.work.len());
        let often = self.often(m.min(threads * LONG));
        if threads == 1 && !often {
            return match self.in_order(slots, 0..m, block, report) {
                Ok(()) => (m, None),
                Err((done, error)) => (done, Some(error)),
            };
        }
        let piece = threads * if often { LONG } else { PIECE };
        let mut scratch = std::mem::take(&mut self.scratch);
        if scratch.prepare(threads).is_err() {
            let taken = self.in_order(slots, 0..m, block, report);
            return taken.map_or_else(|(done, error)| (done, Some(error)), |()| (m, None));
        }
        let mut done = 0;
        let mut error = None;
        while done < m && error.is_none() {
            let stop = m.min(done + piece);
            (done, error) = self.piece(slots, done..stop, often, block, report, &mut scratch);
        }
        self.scratch = scratch;
        (done, error)
    }

    /// How many rows of any keys are best taken in one call.
    pub fn rows_at_once(&self) -> usize {
        let threads = self.work.len();
        threads
            * if self.often(threads * LONG) {
                LONG
            } else {
                PIECE
            }
    }

    /// Whether keys may come often enough among so many rows that each keeps a lane for a while.
    pub(super) fn often(&self, rows: usize) -> bool {
        let Workspace { filters, room } = &self.work[0];
        let lanes = room.is_some() && filters.len() == 1 && filters[0].small.is_some();
        lanes && rows >= SOME && rows / 2 >= self.keys.capacity()
    }

    /// Whether block and report are of m rows.
    pub(super) fn shaped(
        &self,
        m: usize,
        block: &Block<'_, T>,
        report: &Report<'_>,
    ) -> Result<(), Error> {
        let sizes = self.sizes;
        let block = block.len() == m
            && matches!(block.input, Input::Features(_))
            && block.fits(Some(sizes.d), sizes.k, sizes.width, sizes.p, 0);
        if block && report.fits(m, sizes.k, sizes.scales) {
            return Ok(());
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
        let (keys, sizes) = (&self.keys, self.sizes);
        let mut taker = Taker {
            plan: &self.plan,
            records: self.store.records_of(&slots[rows.clone()]),
            work: &mut self.work[0],
            prior: &|slot| keys.prior(slot),
            out: Whole {
                report,
                k: sizes.k,
                scales: sizes.scales,
            },
            sizes,
            undo: None,
        };
        let stop = AtomicUsize::new(usize::MAX);
        taker.take(slots, &rows, block, &stop)
    }

    /// One piece by several threads; returns the first row that is not taken, and why.
    fn piece(
        &mut self,
        slots: &[u32],
        rows: Range<usize>,
        often: bool,
        block: &Block<'_, T>,
        report: &mut Report<'_>,
        scratch: &mut Scratch,
    ) -> (usize, Option<Error>) {
        let sizes = self.sizes;
        let part = &slots[rows.clone()];
        let own_rows = block.rows(rows.clone(), sizes.d, sizes.k, sizes.width);
        let tiles = self.store.slab().tiles();
        let alone = |(done, error)| (done, Some(error));
        let failed = AtomicUsize::new(usize::MAX);
        let shared = scratch
            .begin(part, self.keys.capacity(), tiles, often)
            .and_then(|()| {
                let mut place = report.rows(rows.clone(), sizes.k, sizes.scales);
                let (owners, all) = scratch.parts();
                let threads = all.len();
                let outputs = Rows::parts(&mut place, sizes.k, sizes.scales, owners, threads)?;
                let (plan, keys) = (&self.plan, &self.keys);
                let shares = self.store.records_of(part).share(threads)?.into_iter();
                let parts = shares.zip(&mut self.work).zip(outputs).zip(all);
                let workers = listed(parts.map(|parts| Mutex::new(Some(parts))))?;
                threads::share(&|me| {
                    // A thread more than is needed finds nothing.
                    let mine = workers
                        .get(me)
                        .and_then(|worker| worker.lock().ok()?.take());
                    let Some((((mut records, work), out), mine)) = mine else {
                        return;
                    };
                    let mut taker = Taker {
                        plan,
                        records: &mut records,
                        work,
                        prior: &|slot| keys.prior(slot),
                        out,
                        sizes,
                        undo: Some(&mut mine.undo),
                    };
                    let result = if often && mine.chains.link((part, owners, me as u8)) {
                        taker.in_lanes(part, &mut mine.chains, &own_rows, &failed)
                    } else {
                        let all = (0..).zip(owners);
                        let own = all.filter(|(_, owner)| usize::from(**owner) == me);
                        mine.order.extend(own.map(|(i, _)| i));
                        taker.take(part, &mine.order[..], &own_rows, &failed)
                    };
                    if let Err((i, _)) = result {
                        failed.fetch_min(i, Ordering::Relaxed);
                    }
                });
                Ok(())
            });
        if shared.is_err() {
            // Nothing has begun, and one thread needs none of that memory.
            let taken = self.in_order(slots, rows.clone(), block, report);
            return taken.map_or_else(alone, |()| (rows.end, None));
        }
        let failed = failed.into_inner();
        if failed == usize::MAX {
            return (rows.end, None);
        }
        for undo in scratch.undos() {
            undo.restore(self.store.records_of(part));
        }
        // Without an error now, it was memory that a thread could not have for its copies, which are not needed here.
        let taken = self.in_order(slots, rows.start..rows.start + failed + 1, block, report);
        taken.map_or_else(alone, |()| (rows.start + failed + 1, None))
    }
}
