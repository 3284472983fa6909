//! Process noise: theta is a random walk.
//!
//! ```text
//! P <- P + Q·dt   before the row is predicted, or before every so many rows
//! ```
//!
//! Source: Ollivier 2018, arXiv 1703.00209.

use nalgebra::{DMatrix, SymmetricEigen};
use serde::Deserialize;

use crate::error::{Error, fault};
use crate::field::{Arrays, Field, filled, listed};

/// Variance per unit of time, and how often it is added.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessNoise {
    #[serde(rename = "Q")]
    q: Field,
    every: u64,
    /// (p,)
    #[serde(skip)]
    variances: Vec<f64>,
    /// (r, p): Q = sum of outer products, where Q has covariances.
    #[serde(skip)]
    roots: Vec<f64>,
}

impl ProcessNoise {
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.every == 0 {
            return Err(Error::Parameter(fault("every", "an integer >= 1", 0)));
        }
        Ok(())
    }

    pub(super) fn prepare(&mut self, p: usize, arrays: &Arrays) -> Result<(), Error> {
        self.variances = filled(p)?;
        let (values, step) = match &self.q {
            Field::Number(q) => (std::slice::from_ref(q), 0),
            Field::Array(named) => {
                let values = named.find("rule.Q", arrays, &[&[p], &[p, p]])?;
                (values, if named.shape.len() == 2 { p + 1 } else { 1 })
            }
        };
        for (i, variance) in self.variances.iter_mut().enumerate() {
            *variance = values[i * step];
            if !(*variance >= 0.0 && variance.is_finite()) {
                return Err(Error::Parameter(fault("Q", "variances >= 0", *variance)));
            }
        }
        if step == p + 1 {
            self.roots = roots(values, &self.variances)?;
        }
        Ok(())
    }

    /// Whether what is owed is added before the row after `n_seen` rows.
    #[inline]
    pub fn is_due(&self, n_seen: f64) -> bool {
        n_seen % self.every as f64 == 0.0
    }

    /// diag(Q) (p,).
    pub fn variances(&self) -> &[f64] {
        &self.variances
    }

    /// (r, p) with Q = the sum of the rows' outer products; empty where Q is diagonal.
    pub fn roots(&self) -> &[f64] {
        &self.roots
    }
}

/// Columns of the root of a semidefinite matrix, those that rounding alone makes left out: S V sqrt(lambda) with the eigenvalues of the
/// correlations, so that no unit matters. Cost O(p³), once.
fn roots(q: &[f64], variances: &[f64]) -> Result<Vec<f64>, Error> {
    let p = variances.len();
    let scale = listed(variances.iter().map(|v| v.sqrt()))?;
    let correlation = DMatrix::from_fn(p, p, |i, j| {
        let unit = scale[i] * scale[j];
        if unit > 0.0 {
            (q[i * p + j] + q[j * p + i]) / (2.0 * unit)
        } else {
            0.0
        }
    });
    let bad = || {
        Error::NotPositiveDefinite(fault(
            "Q",
            "a positive semidefinite matrix",
            "one that is not",
        ))
    };
    let rounding = 8.0 * p as f64 * f64::EPSILON;
    let eigen = SymmetricEigen::try_new(correlation, f64::EPSILON, 0).ok_or_else(bad)?;
    let mut roots = Vec::new();
    for (&value, vector) in eigen
        .eigenvalues
        .iter()
        .zip(eigen.eigenvectors.column_iter())
    {
        if value.is_nan() || value < -rounding {
            return Err(bad());
        }
        if value > rounding {
            roots.try_reserve(p).map_err(|_| Error::Memory(8 * p))?;
            roots.extend(vector.iter().zip(&scale).map(|(x, s)| x * s * value.sqrt()));
        }
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::roots;

    #[test]
    fn roots_multiply_to_the_matrix() {
        // rank 1 in units far apart, and a coordinate that does not move
        let a = [3e-6, 0.0, -2.0, 5e6];
        let q: Vec<f64> = (0..16).map(|ij| a[ij / 4] * a[ij % 4]).collect();
        let variances: Vec<f64> = a.iter().map(|x| x * x).collect();
        let root = roots(&q, &variances).unwrap();
        assert_eq!(root.len(), 4);
        for ij in 0..16 {
            let sum = root[ij / 4] * root[ij % 4];
            assert!((sum - q[ij]).abs() <= 1e-14 * (variances[ij / 4] * variances[ij % 4]).sqrt());
        }
        assert!(roots(&[1.0, 2.0, 2.0, 1.0], &[1.0, 1.0]).is_err());
    }
}
