//! Rows of a bank in order, on one thread or shared out among several; take.rs takes them.
//!
//! Several threads take the rows of their own records, piece by piece; in a piece each copies a record before it is first changed. Should a row
//! fail, the piece is undone and taken again in order up to that row: what comes after it has never been.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Bank;
use super::rows::{Rows, Scratch};
use super::take::{Taker, Whole};
use crate::error::{Error, fault};
use crate::field::listed;
use crate::linalg::threads;
use crate::row::{Block, Input, Report};
use crate::scalar::Scalar;

/// Rows of a piece for each thread: their copies stay in the cache.
const PIECE: usize = 4096;

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
        if threads == 1 {
            return match self.in_order(slots, 0..m, block, report) {
                Ok(()) => (m, None),
                Err((done, error)) => (done, Some(error)),
            };
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.prepare(threads);
        let mut done = 0;
        let mut error = None;
        while done < m && error.is_none() {
            let stop = m.min(done + threads * PIECE);
            (done, error) = self.piece(slots, done..stop, block, report, &mut scratch);
        }
        self.scratch = scratch;
        (done, error)
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
            records: self.store.records(),
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
        block: &Block<'_, T>,
        report: &mut Report<'_>,
        scratch: &mut Scratch,
    ) -> (usize, Option<Error>) {
        let sizes = self.sizes;
        let part = &slots[rows.clone()];
        let own = block.rows(rows.clone(), sizes.d, sizes.k, sizes.width);
        let tiles = self.store.slab().tiles();
        let alone = |(done, error)| (done, Some(error));
        let failed = AtomicUsize::new(usize::MAX);
        let shared = scratch
            .begin(part, self.keys.capacity(), tiles)
            .and_then(|()| {
                let mut place = report.rows(rows.clone(), sizes.k, sizes.scales);
                let (owners, orders, undos) = scratch.parts();
                let threads = undos.len();
                let outputs = Rows::parts(&mut place, sizes.k, sizes.scales, owners, threads)?;
                let (plan, keys) = (&self.plan, &self.keys);
                let shares = self.store.records().share(threads)?.into_iter();
                let parts = shares.zip(&mut self.work).zip(outputs).zip(undos);
                let workers = listed(parts.map(|parts| Mutex::new(Some(parts))))?;
                threads::share(&|me| {
                    // A thread more than is needed finds nothing.
                    let mine = workers
                        .get(me)
                        .and_then(|worker| worker.lock().ok()?.take());
                    let Some((((mut records, work), out), undo)) = mine else {
                        return;
                    };
                    let mut taker = Taker {
                        plan,
                        records: &mut records,
                        work,
                        prior: &|slot| keys.prior(slot),
                        out,
                        sizes,
                        undo: Some(undo),
                    };
                    if let Err((i, _)) = taker.take(part, &orders[me][..], &own, &failed) {
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
            undo.restore(self.store.records());
        }
        // Without an error now, it was memory that a thread could not have for its copies, which are not needed here.
        let taken = self.in_order(slots, rows.start..rows.start + failed + 1, block, report);
        taken.map_or_else(alone, |()| (rows.start + failed + 1, None))
    }
}
