//! The pivots of a panel of columns: what one row does to D, and the factors with which it goes on to U and b.

use super::columns::{Setting, Tally};
use super::panel::GROUP;
use super::ud::NC;
use crate::scalar::Scalar;

/// Numbers of the columns of a panel.
type Columns<T> = [[T; NC]; GROUP];

/// (v, lambda) and D from f, as [`super::block::pivots`] does it block by block: the same operations, the divisions in registers.
///
/// f: u_j'h; d: (blocks·NC,), not yet decayed, updated on return. Cost O(blocks).
#[inline(always)]
pub(super) fn pivots_of<T: Scalar>(
    f: &Columns<T>,
    d: &mut [T],
    setting: Setting<T>,
    tally: &mut Tally<T>,
) -> (Columns<T>, Columns<T>) {
    let d = d.as_chunks_mut::<NC>().0;
    let n = d.len().min(GROUP);
    let zero = [[T::zero(); NC]; GROUP];
    let (mut v, mut lambda, mut before, mut after) = (zero, zero, zero, zero);
    let (mut alpha, mut q) = (tally.alpha, tally.q);
    for k in 0..n {
        for c in 0..NC {
            d[k][c] *= setting.inverse_decay;
            v[k][c] = d[k][c] * f[k][c];
            lambda[k][c] = setting.weight * f[k][c];
            tally.spread[c] += v[k][c].abs();
        }
        for c in 0..NC {
            before[k][c] = alpha;
            alpha += lambda[k][c] * v[k][c];
            after[k][c] = alpha;
            q += f[k][c] * v[k][c];
        }
    }
    (tally.alpha, tally.q) = (alpha, q);
    for k in 0..n {
        for c in 0..NC {
            lambda[k][c] = -lambda[k][c] / before[k][c];
            d[k][c] *= before[k][c] / after[k][c];
            let size = lambda[k][c].abs();
            // A NaN is not larger, but then alpha or v is not finite, which the bound sees.
            tally.peak[c] = if size > tally.peak[c] {
                size
            } else {
                tally.peak[c]
            };
        }
    }
    (v, lambda)
}
