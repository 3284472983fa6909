//! A row of every key: tiles of keys go side by side through their rows where they lie, see store.rs.

use std::ops::Range;

use super::take::general;
use super::{Bank, Workspace};
use crate::error::{Error, fault};
use crate::linalg::parts::prefetch;
use crate::row::{Block, Report};
use crate::scalar::Scalar;
use crate::small::abreast::Abreast;
use crate::state::{ELAPSED, MISSING, NIS_SUM, OWED};

impl<T: Scalar> Bank<T> {
    /// How many keys there are, if their slots are 0, 1, ... in the order of their first appearance: as long as none was removed.
    pub fn in_order_of_slots(&self) -> Option<usize> {
        self.keys.unbroken().then(|| self.keys.len())
    }

    /// How many keys of a panel go side by side; `None`: they go as rows of any keys do.
    pub fn abreast(&self) -> Option<usize> {
        let room = self.work[0].room.as_ref().map(Abreast::n);
        room.filter(|_| self.work.len() == 1)
    }

    /// As `run`, a row of every key from slot `first` on, a multiple of 64; for a bank whose slots are in order.
    pub fn run_panel(
        &mut self,
        first: usize,
        block: &Block<'_, T>,
        report: &mut Report<'_>,
    ) -> (usize, Option<Error>) {
        let (m, all) = (block.len(), self.in_order_of_slots().unwrap_or(0));
        let inside = first.checked_add(m).is_some_and(|end| end <= all);
        let Some(n) = self
            .abreast()
            .filter(|n| inside && first.is_multiple_of(*n))
        else {
            let expected = "keys of the bank, in order";
            return (0, Some(Error::Parameter(fault("keys", expected, "others"))));
        };
        if let Err(error) = self.shaped(m, block, report) {
            return (0, Some(error));
        }
        for start in (0..m).step_by(n) {
            let rows = start..m.min(start + n);
            if let Err((done, error)) = self.tile(first + start, all, rows, block, report) {
                return (done, Some(error));
            }
        }
        (m, None)
    }

    /// The rows of the tile that begins at a slot.
    #[inline]
    fn tile(
        &mut self,
        slot: usize,
        all: usize,
        rows: Range<usize>,
        block: &Block<'_, T>,
        report: &mut Report<'_>,
    ) -> Result<(), (usize, Error)> {
        let Workspace { filters, room } = &mut self.work[0];
        let slab = self.store.tiles(all as u32);
        let next = slot + room.as_ref().map_or(1, Abreast::n);
        if next < all {
            // What ordinary rows change; the counters of others come when they do.
            let (tile, n) = (slab.tile_mut(next as u32), next - slot);
            prefetch(&tile[..MISSING * n]);
            prefetch(&tile[ELAPSED * n..OWED * n]);
            prefetch(&tile[NIS_SUM * n..]);
        }
        let prior = self.keys.prior(slot as u32);
        let mut others = slot as u32 + 1..(slot + rows.len()) as u32;
        let alike = filters.len() == 1 || others.all(|other| self.keys.prior(other) == prior);
        if let (Some(small), Some(room), true) = (&filters[prior].small, room, alike) {
            let state = self.plan.turned(slab.tile_mut(slot as u32), room.n());
            if small.turned(room, state, rows.clone(), block) {
                slab.mark(slot as u32, rows.len());
                room.said().report_all(rows, report);
                return Ok(());
            }
        }
        self.one_by_one(slot, rows, block, report)
    }

    /// The same, where a row of them asks for more: each the general way.
    #[cold]
    fn one_by_one(
        &mut self,
        slot: usize,
        rows: Range<usize>,
        block: &Block<'_, T>,
        report: &mut Report<'_>,
    ) -> Result<(), (usize, Error)> {
        let (sizes, plan) = (self.sizes, &self.plan);
        let filters = &mut self.work[0].filters;
        for (l, i) in rows.enumerate() {
            let slot = (slot + l) as u32;
            let record = self.store.take_out(slot);
            let filter = &mut filters[self.keys.prior(slot)];
            let own = block.rows(i..i + 1, sizes.d, sizes.k, sizes.width);
            let mut place = report.row(i, sizes.k, sizes.scales);
            general(plan, filter, record, &own, &mut place).map_err(|error| (i, error))?;
            self.store.put_back(slot);
        }
        Ok(())
    }
}
