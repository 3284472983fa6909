//! The order of Bierman's pass over blocks of columns and rows of a wave: panels of blocks outside, rows inside, blocks innermost.
//!
//! A panel stays in the cache while every row of the wave passes over it. The sweep of a row over a block sums dots on its way: those of
//! the next row with the new block, and in the last row those of the first row with a block of the next panel, so that no block is read
//! for its dots alone and reading goes on while other numbers are stored. The pivots of a panel are taken together: their divisions
//! fill registers, and their latency is paid once a panel. None of this changes an operation, so the bits are those of one row at a time.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::alone::alone;
use super::block::{Next, combine, dots, update};
use super::columns::{Setting, Tally};
use super::fuse::Part;
use super::pivots::pivots_of;
use super::ud::{NC, PAD, block_len, block_start};
use crate::scalar::Scalar;

/// Most blocks in a panel.
pub(super) const GROUP: usize = PAD / NC;
/// Bytes of a panel, so that it and the next one stay in a second cache of half a megabyte.
const PANEL: usize = 160 << 10;

/// Dots of a panel, or other numbers of its columns.
type Dots<T> = [[T; NC]; GROUP];

impl<T: Scalar> WithSimd for Part<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        match self.settings.len() {
            0 => return, // a thread without a column
            1 => return alone(s, self),
            _ => {}
        }
        let (origin, end) = (self.blocks.start, self.blocks.end);
        let wave = Rows {
            padded: self.padded,
            h: self.h,
            settings: self.settings,
        };
        let (mut u, mut d, mut from) = (self.u, self.d, self.from);
        let mut panel = Panel::at::<T>(origin, end);
        let mut f = [[T::zero(); NC]; GROUP];
        panel.dots(s, from.map_or(&*u, |(u0, _)| u0), &wave, 0, &mut f);
        while panel.blocks > 0 {
            let next = Panel::at::<T>(panel.first + panel.blocks, end);
            let along = panel.blocks.min(next.blocks);
            let (own, rest) = u.split_at_mut(panel.len());
            let (own_d, rest_d) = d.split_at_mut(panel.blocks * NC);
            let (mut source, rest_from) = match from {
                Some((u0, d0)) => {
                    let ((u0, u_rest), (d0, d_rest)) =
                        (u0.split_at(own.len()), d0.split_at(own_d.len()));
                    (Some((u0, d0)), Some((u_rest, d_rest)))
                }
                None => (None, None),
            };
            let ahead = Ahead {
                panel: &next,
                blocks: along,
                u: rest_from.map_or(&*rest, |(u0, _)| u0),
            };
            for t in 0..wave.settings.len() {
                let b = &mut self.b[t * self.padded..(t + 1) * self.padded];
                let (source, tally) = (source.take(), &mut self.tallies[t]);
                panel.row(s, source, own, own_d, (&wave, t), &ahead, b, tally, &mut f);
            }
            next.dots(s, ahead.u, &wave, along, &mut f);
            (u, d, from, panel) = (rest, rest_d, rest_from, next);
        }
    }
}

/// What the rows of a wave are.
struct Rows<'a, T> {
    padded: usize,
    h: &'a [T],
    settings: &'a [Setting<T>],
}

impl<T> Rows<'_, T> {
    /// h of row t.
    #[inline(always)]
    fn h(&self, t: usize) -> &[T] {
        &self.h[t * self.padded..(t + 1) * self.padded]
    }
}

/// The panel after the one at hand, of how many blocks of it sweeps take the dots along, and U from it on as the first row reads it.
struct Ahead<'a, T> {
    panel: &'a Panel,
    blocks: usize,
    u: &'a [T],
}

/// Blocks of columns side by side.
struct Panel {
    first: usize,
    blocks: usize,
}

impl Panel {
    /// The panel that starts at a block: blocks of one length, few where they are long.
    #[inline(always)]
    fn at<T>(first: usize, end: usize) -> Self {
        let most = match PANEL / (NC * block_len(first) * size_of::<T>()) {
            0 | 1 => 1,
            2 | 3 => 2,
            _ => GROUP,
        };
        let blocks = (GROUP - first % GROUP).min(most).min(end - first);
        Panel { first, blocks }
    }

    /// Numbers of U in it.
    #[inline(always)]
    fn len(&self) -> usize {
        block_start(self.first + self.blocks) - block_start(self.first)
    }

    /// Where block k of the panel lies in it, and how many rows are not zero, in whole registers.
    #[inline(always)]
    fn place<T: Scalar, S: Simd>(&self, k: usize) -> (Range<usize>, usize) {
        let block = self.first + k;
        let start = block_start(block) - block_start(self.first);
        let len = ((block + 1) * NC).next_multiple_of(T::reg_lanes::<S>());
        (start..start + NC * block_len(block), len)
    }

    /// Blocks that lie wholly before an index: the dots of a column that is zero there are zero.
    #[inline(always)]
    fn before(&self, start: usize) -> usize {
        (start / NC).saturating_sub(self.first).min(self.blocks)
    }

    /// f = U'h of the first row, for the blocks from `first` on, which no sweep has taken along.
    #[inline(always)]
    fn dots<T: Scalar, S: Simd>(
        &self,
        s: S,
        u: &[T],
        wave: &Rows<'_, T>,
        first: usize,
        f: &mut Dots<T>,
    ) {
        let skipped = wave
            .settings
            .first()
            .map_or(0, |row| self.before(row.start));
        for k in first..self.blocks {
            let (place, len) = self.place::<T, S>(k);
            f[k] = if k < skipped {
                [T::zero(); NC]
            } else {
                dots(s, &u[place], &wave.h(0)[..len])
            };
        }
    }

    /// The dots that the sweep of row t over block k takes along.
    #[inline(always)]
    fn next<'a, T: Scalar, S: Simd>(
        &self,
        k: usize,
        (wave, t): (&'a Rows<'_, T>, usize),
        ahead: &Ahead<'a, T>,
    ) -> Next<'a, T> {
        if t + 1 < wave.settings.len() {
            let (_, len) = self.place::<T, S>(k);
            return if k >= self.before(wave.settings[t + 1].start) {
                Next::Left(&wave.h(t + 1)[..len])
            } else {
                Next::Nothing
            };
        }
        let panel = ahead.panel;
        if k >= panel.before(wave.settings[0].start) && k < ahead.blocks {
            let (place, len) = panel.place::<T, S>(k);
            Next::Other(&ahead.u[place], &wave.h(0)[..len])
        } else {
            Next::Nothing
        }
    }

    /// Row t of the wave: its dots f come in, those of what comes next go out.
    #[inline(always)]
    fn row<T: Scalar, S: Simd>(
        &self,
        s: S,
        source: Option<(&[T], &[T])>,
        u: &mut [T],
        d: &mut [T],
        (wave, t): (&Rows<'_, T>, usize),
        ahead: &Ahead<'_, T>,
        b: &mut [T],
        tally: &mut Tally<T>,
        f: &mut Dots<T>,
    ) {
        let setting = wave.settings[t];
        if let Some((_, d0)) = source {
            d.copy_from_slice(d0);
        }
        let source = source.map(|(u0, _)| u0);
        let skipped = self.before(setting.start);
        let (vs, lambdas) = pivots_of(f, d, setting, tally);
        for k in 0..self.blocks {
            let (place, len) = self.place::<T, S>(k);
            let (old, block) = (source.map(|u0| &u0[place.clone()]), &mut u[place]);
            let next = self.next::<T, S>(k, (wave, t), ahead);
            let (b, v, lambda) = (&mut b[..len], &vs[k], &lambdas[k]);
            let keeps = k < skipped || setting.weight == T::zero();
            if let Some(old) = old.filter(|_| keeps) {
                block.copy_from_slice(old);
            }
            f[k] = if k < skipped {
                match next {
                    Next::Nothing => [T::zero(); NC],
                    Next::Left(h) => dots(s, block, h),
                    Next::Other(other, h) => dots(s, other, h),
                }
            } else if keeps {
                combine(s, block, b, v, next)
            } else {
                update(s, old, block, b, (v, lambda), next)
            };
        }
    }
}
