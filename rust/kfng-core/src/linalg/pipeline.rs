//! A wave shared out among threads: each takes some of its columns through all of U, one thread behind the other.
//!
//! A column needs of U what the columns before it have left, block by block and in order; so the second thread can work on the first
//! blocks while the first thread is at the next ones. Every column meets the same numbers in the same order as in one thread: same bits.

use std::array::from_fn;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use super::fuse::Part;
use super::threads::{self, Finished, MAX, Progress};
use super::ud::{NC, block_start};
use super::{Columns, Layout};
use crate::scalar::Scalar;

/// Parts that U is cut into, of about equal size: the last thread starts after the first part, and ends one after the others.
const PARTS: usize = 16;

/// [`super::fuse()`] on the threads of the call; `false`, and nothing done, where it has none or they do not pay.
pub(super) fn fuse<T: Scalar>(
    layout: &Layout,
    from: Option<(&[T], &[T])>,
    u: &mut [T],
    d: &mut [T],
    columns: &mut Columns<T>,
    range: Range<usize>,
) -> bool {
    let stages = threads::available(layout.p()).min(range.len());
    if stages < 2 {
        return false;
    }
    let (padded, ends) = (columns.padded, ends(layout.blocks()));
    let (mut u, mut d, mut start) = (u, d, 0);
    let parts: [_; PARTS] = from_fn(|i| {
        let blocks = start..ends[i];
        start = ends[i];
        let (places, pivots) = (places(&blocks), blocks.len() * NC);
        let own = u
            .split_off_mut(..places.len())
            .zip(d.split_off_mut(..pivots));
        (blocks, Mutex::new(own))
    });
    let (mut b, mut tallies) = (
        &mut columns.b[padded * range.start..],
        &mut columns.tallies[range.start..],
    );
    let (h, settings) = (&columns.h[..], &columns.settings[..]);
    let mut next = range.start;
    let own: [_; MAX] = from_fn(|i| {
        let end = range.start + (i + 1).min(stages) * range.len() / stages;
        let some = next..end;
        next = end;
        let own = b
            .split_off_mut(..some.len() * padded)
            .zip(tallies.split_off_mut(..some.len()));
        Mutex::new(own.map(|own| (some, own)))
    });
    let progress: [_; MAX] = from_fn(|_| Progress::default());
    let path = layout.path();
    threads::share(&|stage| {
        let taken = own.get(stage).and_then(|own| own.lock().ok()?.take());
        let Some((some, (b, tallies))) = taken else {
            return;
        };
        let finished = Finished(&progress[stage]);
        for (i, (blocks, own)) in parts.iter().enumerate() {
            if stage > 0 {
                progress[stage - 1].wait_for(i);
            }
            let mut own = own.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((u, d)) = own.as_mut() {
                let first = from.filter(|_| stage == 0);
                let pivots = blocks.start * NC..blocks.end * NC;
                let part = Part {
                    blocks: blocks.clone(),
                    from: first.map(|(u0, d0)| (&u0[places(blocks)], &d0[pivots])),
                    u,
                    d,
                    padded,
                    h: &h[some.start * padded..some.end * padded],
                    b,
                    settings: &settings[some.clone()],
                    tallies,
                };
                if stage == 0 && i == 0 {
                    path.run(part);
                } else {
                    path.run_uncounted(part);
                }
            }
            drop(own);
            progress[stage].advance(i + 1);
        }
        drop(finished);
    });
    true
}

fn places(blocks: &Range<usize>) -> Range<usize> {
    block_start(blocks.start)..block_start(blocks.end)
}

/// The block after each part: U up to a block grows as its square.
fn ends(blocks: usize) -> [usize; PARTS] {
    from_fn(|i| {
        let share = ((i + 1) as f64 / PARTS as f64).sqrt();
        if i + 1 == PARTS {
            blocks
        } else {
            (share * blocks as f64) as usize
        }
    })
}
