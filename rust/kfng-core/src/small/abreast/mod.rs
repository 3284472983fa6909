//! Rows of different small filters side by side: one lane of a register each.
//!
//! The step of row.rs, operation by operation, so with its bits; a row that is not taken leaves nothing behind and goes its own way.
//!
//! A record is a state without padding: the float64 section, then theta (p), D (p) and what lies above the diagonal of U, column by column.

use std::marker::PhantomData;
use std::ops::Range;

use super::{PAD, Small};
use crate::error::Error;
use crate::field::filled;
use crate::linalg::abreast::{ABOVE, MOST, Measured, put_in, take_out};
use crate::row::{Block, Input, Report};
use crate::scalar::Scalar;
use crate::state::NOISE;

mod beats;
mod given;
mod lanes;
mod learn;
mod noise;
mod plain;
mod step;
mod sums;

use plain::Plain;
pub use step::Tile;
use step::{Count, Rows, Step, Who};

/// Numbers of the float64 section, at most.
const WIDE: usize = NOISE + 5;
/// Numbers of theta, D and U, at most.
const NARROW: usize = 2 * PAD + ABOVE;

/// What is reported of rows side by side, as `Report` has it.
#[derive(Clone, Debug)]
pub struct Said {
    /// z.
    pub z: [f64; MOST],
    /// Its variance.
    pub c: [f64; MOST],
    /// Shape and scale of the learned noise variance.
    pub a: [f64; MOST],
    /// So too.
    pub b: [f64; MOST],
    /// Flags.
    pub flags: [u8; MOST],
    /// Which rows are taken.
    pub taken: [bool; MOST],
}

impl Said {
    /// The first m of N rows to where they are reported, from row `start` on.
    #[inline(always)]
    fn report_all<const N: usize>(&self, (start, m): (usize, usize), out: &mut Report<'_>) {
        let all = start..start + N;
        if m < N {
            return self.report_some(start, m, out);
        }
        // Of a length that is known: whole registers.
        out.z[all.clone()].copy_from_slice(&self.z[..N]);
        out.c[all.clone()].copy_from_slice(&self.c[..N]);
        out.flags[all.clone()].copy_from_slice(&self.flags[..N]);
        if !out.a.is_empty() {
            out.a[all.clone()].copy_from_slice(&self.a[..N]);
            out.b[all].copy_from_slice(&self.b[..N]);
        }
    }

    #[cold]
    #[inline(never)]
    fn report_some(&self, start: usize, m: usize, out: &mut Report<'_>) {
        let scales = usize::from(!out.a.is_empty());
        for l in 0..m {
            self.report(l, &mut out.row(start + l, 1, scales));
        }
    }

    /// Row l to where it is reported.
    #[inline(always)]
    pub fn report(&self, l: usize, out: &mut Report<'_>) {
        (out.z[0], out.c[0], out.flags[0]) = (self.z[l], self.c[l], self.flags[l]);
        if !out.a.is_empty() {
            (out.a[0], out.b[0]) = (self.a[l], self.b[l]);
        }
    }
}

/// Room for filters side by side, and what came of their last rows.
#[derive(Debug)]
pub struct Abreast<T> {
    n: usize,
    wide: Vec<f64>,
    narrow: Vec<T>,
    h: Vec<T>,
    /// One.
    measured: Vec<Measured<T>>,
    said: Said,
}

impl<T: Scalar> Abreast<T> {
    /// Filters side by side.
    pub fn n(&self) -> usize {
        self.n
    }

    /// What is reported of the last rows.
    pub fn said(&self) -> &Said {
        &self.said
    }

    /// The record that row l leaves behind: its float64 section and the rest.
    #[inline(always)]
    pub fn take_out(&self, l: usize, wide: &mut [f64], narrow: &mut [T]) {
        take_out(&self.wide, self.n, l, wide);
        take_out(&self.narrow, self.n, l, narrow);
    }

    /// The inverse of `take_out`.
    #[inline(always)]
    pub fn put_in(&mut self, l: usize, wide: &[f64], narrow: &[T]) {
        put_in(wide, self.n, l, &mut self.wide);
        put_in(narrow, self.n, l, &mut self.narrow);
    }

    /// What lane `from` holds goes to lane `to`, too.
    pub fn shift(&mut self, from: usize, to: usize) {
        for own in self.wide.chunks_exact_mut(self.n) {
            own[to] = own[from];
        }
        for own in self.narrow.chunks_exact_mut(self.n) {
            own[to] = own[from];
        }
    }
}

impl<T: Scalar> Small<T> {
    /// Room for such filters side by side; `None` on an instruction set that has no lanes.
    pub fn side_by_side(&self) -> Result<Option<Abreast<T>>, Error> {
        let n = self.path.run_uncounted(Count::<T>(PhantomData));
        let n = if self.width == 1 { n } else { 0 };
        if n == 0 {
            return Ok(None);
        }
        Ok(Some(Abreast {
            n,
            wide: filled(WIDE * n)?,
            narrow: filled(NARROW * n)?,
            h: filled(PAD * n)?,
            measured: filled(1)?,
            said: Said {
                z: [0.0; MOST],
                c: [0.0; MOST],
                a: [0.0; MOST],
                b: [0.0; MOST],
                flags: [0; MOST],
                taken: [false; MOST],
            },
        }))
    }

    /// Takes row `rows[l]` of the block by the filter of record l, side by side; what came of them is in `room`. Nothing else changes.
    ///
    /// - records: (m,) float64 sections and the rest, 0 < m <= n; rows: (m,)
    pub fn together(
        &self,
        room: &mut Abreast<T>,
        records: &[(&[f64], &[T])],
        rows: &[usize],
        block: &Block<'_, T>,
    ) {
        self.take(room, Who::Records(records), Rows::Each(rows), block, None);
    }

    /// Takes row `rows[l]` of the block by the filter that lane l holds, see `put_in`, where it lies; `false`: one of them, not `taken`, asks for
    /// more, and nothing has changed. What came of them is in `room`.
    ///
    /// - rows: (m,), 0 < m <= n; lanes from m on hold nothing
    pub fn in_lanes(&self, room: &mut Abreast<T>, rows: &[usize], block: &Block<'_, T>) -> bool {
        self.take(room, Who::Lanes, Rows::Each(rows), block, None) == 1
    }

    /// Takes rows of the block, one each by the filters of tiles, from their first on; returns how many tiles have taken theirs: up to the first
    /// in which a row asks for more, of which nothing has changed.
    ///
    /// - tiles: n filters each; rows: as many, or fewer in the last tile
    /// - report: of the block
    pub fn tiles(
        &self,
        room: &mut Abreast<T>,
        tiles: &mut [Tile<'_, T>],
        rows: Range<usize>,
        block: &Block<'_, T>,
        report: &mut Report<'_>,
    ) -> usize {
        let (n, mut taken) = (room.n, 0);
        let dt = &block.dt[rows.start..rows.end];
        if let (Some(law), Some(beat), Input::Features(u)) =
            (self.plain(), self.uniform(dt), block.input)
        {
            taken = self.path.run_index_order(Plain {
                small: self,
                law,
                beat,
                room,
                tiles: &mut tiles[..rows.len() / n],
                first: rows.start,
                block,
                u,
                out: report,
            });
        }
        if taken < tiles.len() {
            let (rest, rows) = (&mut tiles[taken..], rows.start + taken * n..rows.end);
            taken += self.take(room, Who::Tiles(rest), Rows::Run(rows), block, Some(report));
        }
        taken
    }

    #[inline(always)]
    fn take(
        &self,
        room: &mut Abreast<T>,
        who: Who<'_, '_, T>,
        rows: Rows<'_>,
        block: &Block<'_, T>,
        out: Option<&mut Report<'_>>,
    ) -> usize {
        let Input::Features(u) = block.input else {
            room.said.taken = [false; MOST];
            return 0;
        };
        self.path.run_index_order(Step {
            small: self,
            room,
            who,
            rows,
            block,
            u,
            out,
        })
    }
}
