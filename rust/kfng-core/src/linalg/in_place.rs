//! One column for p <= 16 in two halves, where the belief lies: what it says is computed first, and written only if it may be.
//!
//! f_j = u_j'h is taken from the old U, so that v, lambda, alpha and D follow without a write; a second sweep makes b and the new U. The
//! operations and their order are those of index_order.rs, so the bits are the same.

use super::block::pivots;
use super::columns::Tally;
use super::index_order::{Column, dots};
use super::ud::{NC, PAD};
use crate::scalar::Scalar;

/// U of K blocks, each of `NC` columns.
pub(crate) type Blocks<T, const K: usize> = [[Column<T>; NC]; K];

/// What a column says of a belief that has not been touched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured<T, const K: usize> {
    v: [[T; NC]; K],
    lambda: [[T; NC]; K],
    d: [[T; NC]; K],
    tally: Tally<T>,
}

/// The first half. `weight`: Fisher weight. Cost O(p²), one read of U.
#[inline(always)]
pub(crate) fn measure<T: Scalar, const K: usize>(
    u: &Blocks<T, K>,
    d: &Column<T>,
    h: &Column<T>,
    weight: T,
    inverse_decay: T,
) -> Measured<T, K> {
    let none = [[T::zero(); NC]; K];
    let mut at = Measured {
        v: none,
        lambda: none,
        d: none,
        tally: Tally {
            alpha: T::one(),
            ..Tally::default()
        },
    };
    for k in 0..K {
        let f = dots(&u[k], h, k);
        for c in 0..NC {
            at.d[k][c] = d[k * NC + c] * inverse_decay;
        }
        (at.v[k], at.lambda[k]) = pivots(f, &mut at.d[k], weight, &mut at.tally);
    }
    at
}

impl<T: Scalar, const K: usize> Measured<T, K> {
    /// 1 + weight·q.
    #[inline(always)]
    pub(crate) fn alpha(&self) -> T {
        self.tally.alpha
    }

    /// h'P h.
    #[inline(always)]
    pub(crate) fn q(&self) -> T {
        self.tally.q
    }

    /// (max|lambda|, sum of |v|): see `fuse`, which makes the growth of the bound on U from them.
    #[inline(always)]
    pub(crate) fn spread(&self) -> (f64, f64) {
        let Tally { peak, spread, .. } = &self.tally;
        (
            peak.iter().fold(0.0, |m: f64, x| m.max(x.to_f64())),
            spread.iter().map(|x| x.to_f64()).sum(),
        )
    }

    /// Whether D stays possible.
    #[inline(always)]
    pub(crate) fn possible(&self) -> bool {
        let fine = |x: T| u8::from(x >= T::zero()) & u8::from(x <= T::MAX);
        let d = self.d.as_flattened();
        d.iter().fold(1, |all, &x| all & fine(x)) == 1
    }

    /// The second half: writes U and D, and theta + gain·b. Cost O(p²), one read and one write of U.
    #[inline(always)]
    pub(crate) fn apply(
        &self,
        u: &mut Blocks<T, K>,
        d: &mut Column<T>,
        theta: &mut Column<T>,
        gain: T,
    ) {
        let mut x = [[T::zero(); NC]; K];
        for k in 0..K {
            for c in 0..NC {
                let (v, lambda) = (self.v[k][c], self.lambda[k][c]);
                let column = &mut u[k][c].as_chunks_mut::<NC>().0[..=k];
                for (q, quad) in column.iter_mut().enumerate() {
                    let old = *quad;
                    for r in 0..NC {
                        quad[r] = old[r] + lambda * x[q][r];
                    }
                    for r in 0..NC {
                        x[q][r] += v * old[r];
                    }
                }
            }
            d[k * NC..][..NC].copy_from_slice(&self.d[k]);
        }
        let theta = theta.as_chunks_mut::<NC>().0;
        for k in 0..K {
            for r in 0..NC {
                theta[k][r] += gain * x[k][r];
            }
        }
    }
}

/// h'theta in index order; both are zero from p on.
#[inline(always)]
pub(crate) fn dot<T: Scalar, const K: usize>(h: &Column<T>, theta: &Column<T>) -> T {
    let mut sum = T::zero();
    for i in 0..K * NC {
        sum += h[i] * theta[i];
    }
    sum
}

/// diag(P) with the bits of `diagonal`. Cost O(p²), one read of U.
#[inline(always)]
pub(crate) fn diagonal<T: Scalar, const K: usize>(u: &Blocks<T, K>, d: &Column<T>) -> Column<T> {
    let mut out = [T::zero(); PAD];
    for (k, block) in u.iter().enumerate() {
        for (c, column) in block.iter().enumerate() {
            let d = d[k * NC + c];
            for i in 0..(k + 1) * NC {
                out[i] += (d * column[i]) * column[i];
            }
        }
    }
    out
}
