//! A wave of one row: block after block.
//!
//! In place, the dots of a block are taken along by the update of the one before, so that reading goes on while other numbers are stored.
//! From one buffer to another there is enough to read: there each block is read for its dots, and updated while it is in the cache.

use pulp::Simd;

use super::block::{Next, combine, dots, pivots, update};
use super::fuse::Part;
use super::ud::{NC, block_len, block_start};
use crate::scalar::Scalar;

#[inline(always)]
pub(super) fn alone<T: Scalar, S: Simd>(s: S, part: Part<'_, T>) {
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
    let (setting, tally) = (settings[0], &mut tallies[0]);
    if let Some((_, d0)) = from {
        d.copy_from_slice(d0);
    }
    for x in d.iter_mut() {
        *x *= setting.inverse_decay;
    }
    let skips = (setting.start / NC).clamp(blocks.start, blocks.end);
    let (before, mut u) = u.split_at_mut(block_start(skips) - block_start(blocks.start));
    let mut source = from.map(|(u0, _)| {
        let (old, rest) = u0.split_at(before.len());
        before.copy_from_slice(old);
        rest
    });
    let d = d.as_chunks_mut::<NC>().0;
    let d = &mut d[skips - blocks.start..blocks.len()];
    let rows = |k: usize| ((k + 1) * NC).next_multiple_of(T::reg_lanes::<S>());
    let size = |k: usize| NC * block_len(k);
    let mut f = [T::zero(); NC];
    for (k, d) in (skips..blocks.end).zip(d) {
        let (block, rest) = u.split_at_mut(size(k));
        let (old, more) = match source.map(|u0| u0.split_at(block.len())) {
            Some((old, more)) => (Some(old), Some(more)),
            None => (None, None),
        };
        if k == skips || old.is_some() {
            f = dots(s, old.unwrap_or(block), &h[..rows(k)]);
        }
        let (v, lambda) = pivots(f, d, setting.weight, tally);
        let next = if old.is_none() && k + 1 < blocks.end {
            Next::Other(&rest[..size(k + 1)], &h[..rows(k + 1)])
        } else {
            Next::Nothing
        };
        let b = &mut b[..rows(k)];
        f = if setting.weight == T::zero() {
            if let Some(old) = old {
                block.copy_from_slice(old);
            }
            combine(s, block, b, &v, next)
        } else {
            update(s, old, block, b, (&v, &lambda), next)
        };
        (u, source) = (rest, more);
    }
}
