//! The pass of a diagonal belief over one row, in place: bound by memory, so theta and V are read and written once a row.
//!
//! What the next row needs of them, h'theta and h'V h, is summed while they are in registers, and its h is brought along meanwhile.

mod learn;
mod look;
mod partial;
mod shrink;
#[cfg(test)]
mod tests;

use learn::{Both, Learn};
use look::{Look, Quadratic};
pub(super) use partial::Partial;
use shrink::Shrink;

use super::Path;
use crate::scalar::Scalar;

/// What is known of a row before it teaches: of h, theta and V, without the decay of its time step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sums<T> {
    /// h'theta, with the bits of `dot`.
    pub z: T,
    /// h'V h.
    pub q: T,
}

/// How a row changes theta and V.
///
/// ```text
/// V <- V·inverse_decay;   b = V h;   theta <- theta + gain·b
/// precision:  V <- V/(1 + weight·h b)      covariance:  V <- max(V - (weight/alpha)·b², u·V)     (u unit roundoff)
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Change<T> {
    /// 1/decay of the time step.
    pub inverse_decay: T,
    /// Factor of b in the step of theta.
    pub gain: T,
    /// Fisher weight.
    pub weight: T,
    /// 1 + weight·h'V h, with V after the decay.
    pub alpha: T,
    /// Which diagonal is kept.
    pub keeps_precision: bool,
}

/// A row on its way in: `from` (d,) goes to the head of `to` (padded,), whose rest stays: 1 where there is an intercept, and zeros.
#[derive(Debug)]
pub struct Incoming<'a, T> {
    /// u.
    pub from: &'a [T],
    /// h.
    pub to: &'a mut [T],
}

/// Looks at a row. Cost O(p), one read of theta and V.
pub fn look<T: Scalar>(theta: &[T], v: &[T], row: Incoming<'_, T>) -> Sums<T> {
    Path::best().run(Look { theta, v, row })
}

/// Takes a row in and looks at the next one. Cost O(p), one read and one write of theta and V.
///
/// Nothing is checked on the way: the caller has seen to it that every number stays finite.
pub fn learn<T: Scalar>(
    theta: &mut [T],
    v: &mut [T],
    h: &[T],
    change: Change<T>,
    next: Option<Incoming<'_, T>>,
) -> Option<Sums<T>> {
    let path = Path::best();
    let learn = Learn {
        theta,
        v,
        h,
        change,
    };
    if let Some(row) = next {
        return Some(path.run(Both { learn, row }));
    }
    path.run(learn);
    None
}

/// h'V h. Cost O(p).
pub(crate) fn quadratic<T: Scalar>(v: &[T], h: &[T]) -> T {
    Path::best().run(Quadratic { v, h })
}

/// V after a row, into `to` and from there where `from` is not given, and b = V h with V after the decay.
pub(crate) fn shrink<T: Scalar>(
    from: Option<&[T]>,
    to: &mut [T],
    h: &[T],
    b: &mut [T],
    change: Change<T>,
) {
    Path::best().run(Shrink {
        from,
        to,
        h,
        b,
        change,
    });
}
