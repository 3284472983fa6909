//! A row of every key: tiles of keys go side by side through their rows where they lie, see store.rs.

use std::ops::Range;

use super::slab::STRIPES;
use super::take::general;
use super::{Bank, Workspace};
use crate::error::{Error, fault};
use crate::row::{Block, Report};
use crate::scalar::Scalar;
use crate::small::abreast::{Abreast, Tile};

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
        let mut start = 0;
        while start < m {
            match self.tiles(first, start..m, n, block, report) {
                Ok(more) => start += more,
                Err((done, error)) => return (done, Some(error)),
            }
        }
        (m, None)
    }

    /// Some rows of these: those of tiles up to the first in which a row asks for more, or of that one tile; returns how many.
    fn tiles(
        &mut self,
        first: usize,
        rows: Range<usize>,
        n: usize,
        block: &Block<'_, T>,
        report: &mut Report<'_>,
    ) -> Result<usize, (usize, Error)> {
        let Workspace { filters, room } = &mut self.work[0];
        let slot = first + rows.start;
        let prior = self.keys.prior(slot as u32);
        let mut many = rows.len().div_ceil(n).min(STRIPES);
        if filters.len() > 1 {
            let mut own = slot as u32..(slot + rows.len().min(n)) as u32;
            many = usize::from(own.all(|slot| self.keys.prior(slot) == prior));
        }
        let own = rows.start..rows.end.min(rows.start + many.max(1) * n);
        let (slab, mut taken) = (self.store.tiles(slot..slot + own.len()), 0);
        if let (Some(small), Some(room), true) = (&filters[prior].small, room, many > 0) {
            let found = slab.tiles_mut(slot as u32, many).into_iter();
            let mut tiles: [Tile<'_, T>; STRIPES] = Default::default();
            for (tile, found) in tiles.iter_mut().zip(found.flatten()) {
                *tile = self.plan.turned(found, n);
            }
            taken = small.tiles(room, &mut tiles[..many], own, block, report);
            taken = rows.len().min(taken * n);
            slab.mark(slot as u32, taken);
        }
        if taken > 0 {
            return Ok(taken);
        }
        let own = rows.start..rows.end.min(rows.start + n);
        self.one_by_one(slot, own.clone(), block, report)?;
        Ok(own.len())
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
