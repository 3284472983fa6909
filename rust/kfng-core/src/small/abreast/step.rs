//! Rows, and the filters they go to, brought side by side.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::Abreast;
use super::given::Given;
use crate::linalg::abreast::{MOST, abreast, gather};
use crate::row::{Block, Report};
use crate::scalar::Scalar;
use crate::small::Small;

/// The float64 numbers of a tile that lies turned (see bank/store.rs), and the rest.
pub type Tile<'a, T> = (&'a mut [f64], &'a mut [T]);

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
        match T::reg_lanes::<S>() {
            2 => self.take::<S, 2, 4>(s),
            4 => self.take::<S, 2, 8>(s),
            8 => self.take::<S, 2, 16>(s),
            MOST => self.take::<S, 1, 16>(s),
            _ => {
                self.room.said.taken = [false; MOST];
                0
            }
        }
    }
}

impl<T: Scalar> Step<'_, '_, '_, '_, T> {
    /// N = R registers of filters. Lanes without a row repeat the last.
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
            let state = match &mut who {
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
                    let (wide, narrow) = &mut tiles[group];
                    (&mut **wide, &mut **narrow)
                }
            };
            let (clock, belief) = state;
            let mut given = Given::each(block, at, small.width);
            let beat = small.uniform(&given.dt);
            let (state, said_of) = ((clock, belief), (&mut measured[0], &mut *said));
            let taken = small.rows_of::<S, R, N>(s, state, h, &mut given, beat, needed, said_of);
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
