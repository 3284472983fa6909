//! Parameters that enter P = U D U' in its middle, or leave it: columns and rows of the identity in U.
//!
//! Where column j of U lies does not depend on p, so that all columns before the new ones stay where they are.

use super::Layout;
use super::ud::column_start;
use crate::scalar::Scalar;

/// n = len(variances) parameters, independent of all others, in front of `place`. Cost O((n + p - place) p), p the number there is then.
///
/// - layout: the larger one; u, d: of its lengths, with the smaller belief in front
pub fn insert<T: Scalar>(layout: &Layout, u: &mut [T], d: &mut [T], place: usize, variances: &[T]) {
    let (p, n) = (layout.p(), variances.len());
    assert!(place + n <= p && u.len() >= layout.u_len());
    for j in (place..p - n).rev() {
        let (from, to) = (column_start(j), column_start(j + n));
        u.copy_within(from + place..=from + j, to + place + n);
        u.copy_within(from..from + place, to);
        u[to + place..to + place + n].fill(T::zero());
        d[j + n] = d[j];
    }
    for (j, &variance) in (place..).zip(variances) {
        let at = column_start(j);
        u[at..at + j].fill(T::zero());
        u[at + j] = T::one();
        d[j] = variance;
    }
}

/// The inverse: n parameters from `place` on leave, which nothing has tied to others since they came. `layout`: the larger one.
pub fn remove<T: Scalar>(layout: &Layout, u: &mut [T], d: &mut [T], place: usize, n: usize) {
    let p = layout.p();
    assert!(place + n <= p && u.len() >= layout.u_len());
    for j in place..p - n {
        let (from, to) = (column_start(j + n), column_start(j));
        u.copy_within(from..from + place, to);
        u.copy_within(from + place + n..=from + j + n, to + place);
        d[j] = d[j + n];
    }
    for j in p - n..p {
        let at = column_start(j);
        u[at..=at + j].fill(T::zero());
        d[j] = T::zero();
    }
}
