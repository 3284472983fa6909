//! What the iterated update works with: see relinearise.rs.

use crate::error::Error;
use crate::field::{filled, product};
use crate::linalg::Aligned;
use crate::scalar::Scalar;

/// Where the iteration is, and what it works with; sized once.
#[derive(Debug)]
pub struct Iterate<T> {
    /// dz (k, padded) where the iteration is, and where it tries to go.
    pub(crate) dz: [Aligned<T>; 2],
    /// P dz' (k, padded).
    pub(crate) products: Aligned<T>,
    /// d, v; the way from them; where they try to go; theta there. (padded,) each
    pub(crate) vectors: [Aligned<T>; 7],
    /// z (k,) where it is and where it tries to go.
    pub(crate) z: [Vec<f64>; 2],
    /// L (k, k); C and S (k, k); a triple product.
    pub(crate) squares: [Vec<f64>; 3],
    /// e, r, x, and one more (k,).
    pub(crate) small: [Vec<f64>; 4],
    /// e, L, r where the loss is measured, (k,), (k, k), (k,).
    pub(crate) trial: [Vec<f64>; 3],
    /// (k² + k,)
    pub(crate) family: Vec<f64>,
    /// w·r'S^-1 r at the last linearisation.
    pub(crate) distance: f64,
    /// Largest ratio of prior to noise variance there.
    pub(crate) rho: f64,
}

impl<T: Scalar> Iterate<T> {
    /// Room for k outputs and columns of length `padded`.
    pub fn new(k: usize, padded: usize) -> Result<Self, Error> {
        let (rows, square) = (product(&[k, padded])?, product(&[k, k])?);
        let long = || Aligned::zeros(rows);
        let vector = || Aligned::zeros(padded);
        Ok(Iterate {
            dz: [long()?, long()?],
            products: long()?,
            vectors: [
                vector()?,
                vector()?,
                vector()?,
                vector()?,
                vector()?,
                vector()?,
                vector()?,
            ],
            z: [filled(k)?, filled(k)?],
            squares: [filled(square)?, filled(square)?, filled(square)?],
            small: [filled(k)?, filled(k)?, filled(k)?, filled(k)?],
            trial: [filled(k)?, filled(square)?, filled(k)?],
            family: filled(product(&[k + 1, k])?)?,
            distance: 0.0,
            rho: 0.0,
        })
    }

    /// The step of theta (padded,).
    pub(crate) fn step(&self) -> &[T] {
        &self.vectors[0]
    }
}
