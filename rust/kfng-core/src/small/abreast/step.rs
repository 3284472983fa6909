//! Rows, and the filters they go to, brought side by side.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::Abreast;
use super::given::Given;
use crate::linalg::abreast::{SideBySide, abreast, gather, side_by_side};
use crate::linalg::parts::prefetch;
use crate::row::{Block, Report};
use crate::scalar::Scalar;
use crate::small::Small;
use crate::state::{ELAPSED, MISSING, NIS_SUM, OWED};

/// The float64 numbers of a tile that lies turned (see bank/store.rs), and the rest.
pub type Tile<'a, T> = (&'a mut [f64], &'a mut [T]);

/// Asks for what ordinary rows change in a tile of n filters, the next one; the counters of others come when they do.
#[inline(always)]
pub(super) fn ask<T>(tile: Option<&Tile<'_, T>>, n: usize) {
    if let Some((wide, narrow)) = tile {
        prefetch(&wide[..MISSING * n]);
        prefetch(&wide[ELAPSED * n..OWED * n]);
        prefetch(&wide[NIS_SUM * n..]);
        prefetch(narrow);
    }
}

/// Which filters.
pub(super) enum Who<'a, 'b, T> {
    /// Those of records, which are copied to the lanes of the room.
    Records(&'a [(&'b [f64], &'b [T])]),
    /// Those that the lanes of the room hold.
    Lanes,
    /// Those of tiles, where they lie.
    Tiles(&'a mut [Tile<'b, T>]),
}

/// Which rows of a block.
pub(super) enum Rows<'a> {
    Each(&'a [usize]),
    /// These, as many as there are filters at a time.
    Run(Range<usize>),
}

impl Rows<'_> {
    /// The first of a group of n, and how many there are.
    #[inline(always)]
    fn group(&self, group: usize, n: usize) -> (usize, usize) {
        let len = match self {
            Rows::Each(rows) => rows.len(),
            Rows::Run(rows) => rows.len(),
        };
        (group * n, n.min(len - group * n))
    }

    #[inline(always)]
    fn at(&self, l: usize) -> usize {
        match self {
            Rows::Each(rows) => rows[l],
            Rows::Run(rows) => rows.start + l,
        }
    }
}

/// How many numbers go side by side.
pub(super) struct Count<T>(pub std::marker::PhantomData<T>);

impl<T: Scalar> WithSimd for Count<T> {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> usize {
        abreast::<T, S>()
    }
}

/// A row of each filter; returns how many groups of filters have taken theirs: up to the first one in which a row asks for more, of which
/// nothing has changed.
pub(super) struct Step<'a, 'b, 'c, 'd, T> {
    pub small: &'a Small<T>,
    pub room: &'a mut Abreast<T>,
    pub who: Who<'a, 'c, T>,
    pub rows: Rows<'a>,
    pub block: &'a Block<'b, T>,
    pub u: &'a [T],
    /// Where tiles report.
    pub out: Option<&'a mut Report<'d>>,
}

impl<T: Scalar> WithSimd for Step<'_, '_, '_, '_, T> {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) -> usize {
        side_by_side::<T, S>(s, self)
    }
}

impl<T: Scalar> SideBySide for Step<'_, '_, '_, '_, T> {
    /// Lanes without a row repeat the last.
    #[inline(always)]
    fn take<S: Simd, const R: usize, const N: usize>(self, s: S) -> usize {
        let Step {
            small,
            room,
            mut who,
            rows,
            block,
            u,
            mut out,
        } = self;
        let (d, path) = (small.d, small.path);
        let Abreast {
            wide,
            narrow,
            h,
            measured,
            said,
            ..
        } = room;
        if small.intercept {
            h[d * N..(d + 1) * N].fill(T::one());
        }
        let groups = match &who {
            Who::Tiles(tiles) => tiles.len(),
            _ => 1,
        };
        for group in 0..groups {
            let (start, m) = rows.group(group, N);
            let at = |l: usize| rows.at(start + l.min(m - 1));
            let mut inputs = [&[][..]; N];
            for l in 0..N {
                inputs[l] = &u[at(l) * d..][..d];
            }
            gather(path, &inputs, h);
            let mut needed = m;
            let (clock, belief) = match &mut who {
                Who::Lanes => (&mut wide[..], &mut narrow[..]),
                Who::Records(records) => {
                    let (mut wides, mut narrows) = ([&[][..]; N], [&[][..]; N]);
                    for l in 0..N {
                        (wides[l], narrows[l]) = records[l.min(m - 1)];
                    }
                    gather(path, &wides, wide);
                    gather(path, &narrows, narrow);
                    // Of records, which are copied, those that are not taken are taken alone; where filters lie, all or none are.
                    needed = 0;
                    (&mut wide[..], &mut narrow[..])
                }
                Who::Tiles(tiles) => {
                    ask(tiles.get(group + 1), N);
                    let (wide, narrow) = &mut tiles[group];
                    (&mut **wide, &mut **narrow)
                }
            };
            let mut given = Given::each(block, at, small.width);
            let (state, said_of) = ((clock, belief), (&mut measured[0], &mut *said));
            let taken = small.rows_of::<S, R, N>(s, state, h, &mut given, needed, said_of);
            if !taken {
                return group;
            }
            if let Some(out) = &mut out {
                said.report_all::<N>((rows.at(start), m), out);
            }
        }
        groups
    }
}
