//! z = W u + c: weight (k, d) and intercept (k,), flattened in this order.

use serde::Deserialize;

use super::Output;
use crate::error::{Error, fault};
use crate::scalar::Scalar;

/// The sizes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Linear {
    n_features: usize,
    n_outputs: usize,
    intercept: bool,
}

impl Linear {
    /// Whether outputs have an intercept.
    pub fn has_intercept(&self) -> bool {
        self.intercept
    }
}

impl Output for Linear {
    fn check(&self) -> Result<(), Error> {
        if self.n_outputs == 0 {
            return Err(Error::Parameter(fault("n_outputs", "at least 1", 0)));
        }
        if self.n_features == 0 && !self.intercept {
            return Err(Error::Parameter(fault(
                "n_features",
                "at least 1 without an intercept",
                0,
            )));
        }
        Ok(())
    }

    fn inputs(&self) -> Option<usize> {
        Some(self.n_features)
    }

    fn outputs(&self) -> usize {
        self.n_outputs
    }

    fn parameters(&self) -> Option<usize> {
        self.n_features
            .checked_add(usize::from(self.intercept))?
            .checked_mul(self.n_outputs)
    }

    fn linear(&self) -> bool {
        true
    }

    fn start(&self, j: usize) -> usize {
        j * self.n_features
    }

    #[inline]
    fn forward<T: Scalar>(
        &self,
        _: &[T],
        u: &[T],
        _: &mut [f64],
        dz: &mut [T],
        stride: usize,
        _: &mut [T],
    ) {
        let (d, k) = (self.n_features, self.n_outputs);
        for (j, row) in dz.chunks_exact_mut(stride).enumerate() {
            row[j * d..(j + 1) * d].copy_from_slice(u);
            if self.intercept {
                row[k * d + j] = T::one();
            }
        }
    }
}
