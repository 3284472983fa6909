//! Beliefs: where a filter keeps its uncertainty about theta. One primitive, `fuse(columns)`.
//!
//! A belief is a section of the filter's buffer; the values here are its settings, and the section comes as a slice.

use std::ops::Range;

use enum_dispatch::enum_dispatch;
use serde::Deserialize;

use crate::error::Error;
use crate::field::{Array, Arrays};
use crate::linalg::Columns;
use crate::scalar::Scalar;

mod diagonal;
mod full;
mod point;

pub use diagonal::Diagonal;
pub use full::Full;
pub use point::Point;

/// The belief of a filter. The variants are the one list of names.
#[enum_dispatch(Uncertainty)]
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind")]
pub enum Belief {
    /// All covariances.
    Full,
    /// Variances alone.
    Diagonal,
    /// Nothing.
    Point,
}

/// What every belief supplies. `at`, `from`, `to`: sections of `size()` numbers.
#[enum_dispatch]
pub trait Uncertainty {
    /// Checks the settings against p parameters and takes in the arrays.
    fn prepare(&mut self, p: usize, arrays: &Arrays) -> Result<(), Error>;

    /// Numbers in the section.
    fn size(&self) -> usize;

    /// Length of every column and of theta: p and zeros.
    fn padded(&self) -> usize;

    /// Whether columns of several rows can be fused in one call.
    fn shares_passes(&self) -> bool {
        true
    }

    /// Room for columns.
    fn columns<T: Scalar>(&self, max: usize) -> Result<Columns<T>, Error>;

    /// Writes the prior.
    fn start<T: Scalar>(&self, to: &mut [T]) -> Result<(), Error>;

    /// Prior variances (p,).
    fn prior_variances(&self) -> &[f64];

    /// C' (p, p) with P_0^-1 = C C' and C lower triangular, where the prior has covariances; else empty.
    fn prior_columns(&self) -> Result<Vec<f64>, Error> {
        Ok(Vec::new())
    }

    /// The first n coordinates at the prior `section` again and independent of the others, which keep what is known of them.
    fn restart<T: Scalar>(&self, _at: &mut [T], _section: &[T], _n: usize) {}

    /// Fuses columns one after another, read from `from` where given; returns the growth of the bound on what it wrote.
    fn fuse<T: Scalar>(
        &self,
        from: Option<&[T]>,
        to: &mut [T],
        columns: &mut Columns<T>,
        range: Range<usize>,
    ) -> f64;

    /// Whether `gram` is there.
    fn has_gram(&self) -> bool {
        false
    }

    /// H P H' (k, k) of rows h (k, padded), P without decay.
    fn gram<T: Scalar>(&self, _at: &[T], _h: &[T], out: &mut [f64]) {
        out.fill(f64::NAN);
    }

    /// The bound after a wave that grew by `growth`, or the error of a belief that must not be committed.
    fn settle<T: Scalar>(&self, to: &[T], bound: f64, growth: f64) -> Result<f64, Error>;

    /// h'P h, and P h into `b`.
    fn variance<T: Scalar>(&self, at: &[T], h: &[T], b: &mut [T]) -> T;

    /// diag(P) into `out` (padded,).
    fn diagonal<T: Scalar>(&self, at: &[T], out: &mut [T]);

    /// P_ii with the bits of `diagonal`.
    fn diagonal_at<T: Scalar>(&self, at: &[T], i: usize) -> T;

    /// P <- P + Q·time; returns the growth of the bound.
    ///
    /// - variances: diag(Q) (p,); roots: (r, p) with Q the sum of the rows' outer products, or empty: Q is diagonal; work: (padded,)
    fn diffuse<T: Scalar>(
        &self,
        to: &mut [T],
        variances: &[f64],
        roots: &[f64],
        time: f64,
        work: &mut [T],
    ) -> f64;

    /// U (p, p) and D (p,) of P = U D U', in float64.
    fn factors<T: Scalar>(&self, at: &[T], u: &mut [f64], d: &mut [f64]);

    /// The largest p for which a (p, p) array is made.
    fn max_dense(&self) -> usize {
        usize::MAX
    }

    /// P (p, p) in float64.
    fn dense<T: Scalar>(&self, at: &[T], out: &mut [f64]) -> Result<(), Error>;

    /// The places of the section that say something, in the order theirs have in `save`'s arrays but D before U: not padding, not ones.
    fn told(&self) -> Result<Vec<Range<usize>>, Error>;

    /// The section by named arrays, without padding.
    fn save<T: Scalar>(
        &self,
        at: &[T],
        put: &mut dyn FnMut(&'static str, Array),
    ) -> Result<(), Error>;

    /// The shapes of the arrays that `load` needs, given the names that are there.
    fn shapes(&self, has: &dyn Fn(&str) -> bool) -> Result<Vec<(&'static str, Vec<usize>)>, Error>;

    /// The inverse of `save`, from arrays of these shapes, all finite; also takes the form another implementation saves.
    fn load<T: Scalar>(&self, arrays: &Arrays, to: &mut [T]) -> Result<(), Error>;
}
