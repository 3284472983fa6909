//! Bierman's pass and the wave: the one primitive of a full belief.

use std::ops::Range;

use super::columns::{Setting, Tally};
use super::{Columns, Layout};
use super::{index_order, pipeline};
use crate::scalar::Scalar;

/// Fuses columns into P = U D U', one after another, streaming U once.
///
/// ```text
/// D <- D·(1/decay);  b = 0, alpha = 1;  for j:  f = u_j'h;  v = D_j f;  alpha' = alpha + w f v
///     D_j <- D_j alpha/alpha';  u_j <- u_j - (w f/alpha) b  (old b);  b <- b + v u_j  (old u_j);  alpha = alpha'
/// => b = P_old h,  q = sum of f v = h'P_old h,  alpha = 1 + w q,  P_new h = b/alpha
/// ```
///
/// - from: (u0, d0), where the first column of `range` reads its belief; `None`: in place. The bits are the same
/// - u: (`u_len`,), d: (`d_len`,), the new belief; with `from` the old content is ignored (padding must be zero)
/// - columns: h, weight, decay in; b, q, alpha out; weight 0 is an ordinary number (D decays, b and q come out)
/// - range: which of the columns
///
/// Returns the growth, product over columns of 1 + max_j|w f_j/alpha_j|·sum_j|v_j|: max|u_ij| grew by this factor at most; infinite
/// when anything on the way was not finite. It decides no bits. A wave is bit-identical to its columns one at a time: the recursion is
/// causal in j, so with the column blocks outside and the wave inside each column meets the same numbers in the same order.
///
/// Cost O(p²) a column. Source: Bierman 1977, Factorization Methods for Discrete Sequential Estimation, V.3.
pub fn fuse<T: Scalar>(
    layout: &Layout,
    from: Option<(&[T], &[T])>,
    u: &mut [T],
    d: &mut [T],
    columns: &mut Columns<T>,
    range: Range<usize>,
) -> f64 {
    assert!(range.end <= columns.len() && columns.padded == layout.padded());
    assert!(u.len() == layout.u_len() && d.len() == layout.d_len());
    assert!(from.is_none_or(|(u0, d0)| u0.len() == u.len() && d0.len() == d.len()));
    if range.is_empty() {
        if let Some((u0, d0)) = from {
            u.copy_from_slice(u0);
            d.copy_from_slice(d0);
        }
        return 1.0;
    }
    for tally in &mut columns.tallies[range.clone()] {
        *tally = Tally {
            alpha: T::one(),
            ..Tally::default()
        };
    }
    if layout.is_index_order() {
        index_order::fuse(layout, from, u, d, columns, range.clone());
    } else {
        let padded = columns.padded;
        let places = range.start * padded..range.end * padded;
        columns.b[places.clone()].fill(T::zero());
        if !pipeline::fuse(layout, from, u, d, columns, range.clone()) {
            layout.path().run(Part {
                blocks: 0..layout.blocks(),
                from,
                u,
                d,
                padded,
                h: &columns.h[places.clone()],
                b: &mut columns.b[places],
                settings: &columns.settings[range.clone()],
                tallies: &mut columns.tallies[range.clone()],
            });
        }
    }
    columns.tallies[range].iter().map(growth).product()
}

/// 1 + max|lambda|·sum|v| of one column; infinite unless everything was finite (alpha keeps every overflow of w f v).
#[inline(always)]
pub(super) fn growth<T: Scalar>(tally: &Tally<T>) -> f64 {
    let largest = tally.peak.iter().fold(0.0, |m: f64, x| m.max(x.to_f64()));
    let total: f64 = tally.spread.iter().map(|x| x.to_f64()).sum();
    let bound = 1.0 + largest * total;
    if bound.is_finite() && tally.alpha.to_f64().is_finite() {
        bound
    } else {
        f64::INFINITY
    }
}

/// Some columns of a wave, (r, padded), against some blocks of U.
pub(super) struct Part<'a, T> {
    pub blocks: Range<usize>,
    /// The old U and D of these blocks, which the first column reads.
    pub from: Option<(&'a [T], &'a [T])>,
    /// U of these blocks.
    pub u: &'a mut [T],
    /// D of these blocks.
    pub d: &'a mut [T],
    pub padded: usize,
    pub h: &'a [T],
    pub b: &'a mut [T],
    pub settings: &'a [Setting<T>],
    pub tallies: &'a mut [Tally<T>],
}
