//! The order of Bierman's pass over blocks of columns and rows of a wave: panels of blocks outside, rows inside, blocks innermost.
//!
//! A panel stays in the cache while every row of the wave passes over it. While one row updates a block the dots of the next row with the
//! new block are summed, so a block is read and written once for each row; and the pivots of a panel are taken together, so that their
//! divisions fill registers and their latency is paid once a panel. None of this changes an operation, so the bits are those of one row
//! at a time.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::block::{combine, dots, dots_pair, pivots, update};
use super::columns::{Setting, Tally};
use super::fuse::Part;
use super::pivots::pivots_of;
use super::ud::{NC, PAD, block_len, block_start};
use crate::scalar::Scalar;

/// Blocks in a panel: those of one length. Wider panels were slower below p = 256 and no faster above.
pub(super) const GROUP: usize = PAD / NC;

impl<T: Scalar> WithSimd for Part<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        if self.settings.len() == 1 {
            alone(s, self);
            return;
        }
        let origin = self.blocks.start;
        for first in self.blocks.clone().step_by(GROUP) {
            let end = (first + GROUP).min(self.blocks.end);
            let panel = Panel {
                first,
                blocks: end - first,
            };
            let place =
                block_start(first) - block_start(origin)..block_start(end) - block_start(origin);
            let pivots = (first - origin) * NC..(end - origin) * NC;
            let mut source = self
                .from
                .map(|(u0, d0)| (&u0[place.clone()], &d0[pivots.clone()]));
            let mut f = [[T::zero(); NC]; GROUP];
            for t in 0..self.settings.len() {
                let (u, d) = (&mut self.u[place.clone()], &mut self.d[pivots.clone()]);
                let wave = Rows {
                    padded: self.padded,
                    h: self.h,
                    settings: self.settings,
                };
                let b = &mut self.b[t * self.padded..(t + 1) * self.padded];
                panel.row(
                    s,
                    source.take(),
                    u,
                    d,
                    &wave,
                    t,
                    b,
                    &mut self.tallies[t],
                    &mut f,
                );
            }
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

/// A wave of one row: block after block, each read for its dots and updated while it is in the cache.
#[inline(always)]
fn alone<T: Scalar, S: Simd>(s: S, part: Part<'_, T>) {
    let Part {
        blocks,
        from,
        u,
        d,
        h,
        b,
        settings,
        tallies,
        ..
    } = part;
    let (setting, tally, origin) = (settings[0], &mut tallies[0], block_start(blocks.start));
    if let Some((_, d0)) = from {
        d.copy_from_slice(d0);
    }
    for x in d.iter_mut() {
        *x *= setting.inverse_decay;
    }
    let source = from.map(|(u0, _)| u0);
    let start = |k: usize| block_start(k) - origin;
    let rows = |k: usize| &h[..((k + 1) * NC).next_multiple_of(T::reg_lanes::<S>())];
    let skips = (setting.start / NC).clamp(blocks.start, blocks.end);
    if let Some(u0) = source {
        u[..start(skips)].copy_from_slice(&u0[..start(skips)]);
    }
    for k in skips..blocks.end {
        let at = (k - blocks.start) * NC;
        let d = d[at..].first_chunk_mut::<NC>().expect("D is padded");
        let place = start(k)..start(k + 1);
        let old = source.map(|u0| &u0[place.clone()]);
        let f = dots(s, old.unwrap_or(&u[place.clone()]), rows(k));
        let (v, lambda) = pivots(f, d, setting.weight, tally);
        let b = &mut b[..rows(k).len()];
        update(s, old, &mut u[place], b, (&v, &lambda), None);
    }
}

/// Blocks of columns side by side.
struct Panel {
    first: usize,
    blocks: usize,
}

impl Panel {
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

    /// Row t of the wave. Its dots f come from the row before it, which summed them on the way, but those of the first row.
    #[inline(always)]
    fn row<T: Scalar, S: Simd>(
        &self,
        s: S,
        source: Option<(&[T], &[T])>,
        u: &mut [T],
        d: &mut [T],
        wave: &Rows<'_, T>,
        t: usize,
        b: &mut [T],
        tally: &mut Tally<T>,
        f: &mut [[T; NC]; GROUP],
    ) {
        let setting = wave.settings[t];
        if let Some((_, d0)) = source {
            d.copy_from_slice(d0);
        }
        let source = source.map(|(u0, _)| u0);
        let skipped = self.before(setting.start);
        if t == 0 {
            self.dots(s, source.unwrap_or(&*u), wave.h(t), skipped, f);
        }
        let (vs, lambdas) = pivots_of(f, d, setting, tally);
        let next = (t + 1 < wave.settings.len())
            .then(|| (wave.h(t + 1), self.before(wave.settings[t + 1].start)));
        for k in 0..self.blocks {
            let (place, len) = self.place::<T, S>(k);
            let (old, block) = (source.map(|u0| &u0[place.clone()]), &mut u[place]);
            let next = next
                .filter(|&(_, skips)| k >= skips)
                .map(|(h, _)| &h[..len]);
            let (b, v, lambda) = (&mut b[..len], &vs[k], &lambdas[k]);
            let keeps = k < skipped || setting.weight == T::zero();
            if let Some(old) = old.filter(|_| keeps) {
                block.copy_from_slice(old);
            }
            f[k] = if k < skipped {
                next.map_or([T::zero(); NC], |h| dots(s, block, h))
            } else if keeps {
                combine(s, block, b, v, next)
            } else {
                update(s, old, block, b, (v, lambda), next)
            };
        }
    }

    /// f = U'h of the blocks from `skipped` on, zero before.
    #[inline(always)]
    fn dots<T: Scalar, S: Simd>(&self, s: S, u: &[T], h: &[T], skipped: usize, f: &mut [[T; NC]]) {
        f[..skipped].fill([T::zero(); NC]);
        let mut k = skipped;
        while k < self.blocks {
            let (place, len) = self.place::<T, S>(k);
            let paired = k + 1 < self.blocks && (self.first + k).is_multiple_of(2);
            if paired {
                let (other, len) = self.place::<T, S>(k + 1);
                let pair = dots_pair(s, [&u[place], &u[other]], &h[..len]);
                f[k..k + 2].copy_from_slice(&pair);
                k += 2;
            } else {
                f[k] = dots(s, &u[place], &h[..len]);
                k += 1;
            }
        }
    }
}
