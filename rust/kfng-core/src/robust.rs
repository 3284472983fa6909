//! Robust observation: what a row counts for that its prediction did not expect.
//!
//! ```text
//! delta = e'S^-1 e,   S = R/w + C          of m observed outputs, in units of the learned variance as it is reported
//! Imq:     1/(1 + delta/(m threshold²))    multiplies w
//! Student: (dof + m)/(dof + delta)         multiplies w
//! Winsor:  sqrt(m sd²/delta), at most 1    multiplies e; P is updated as usual
//! ```
//!
//! Sources: `Imq`: Duran-Martin et al. 2024, arXiv 2405.05646; `Student`: Lange, Little and Taylor, JASA 84 (1989); `Winsor`: Masreliez
//! and Martin, IEEE Trans. Automat. Control 22 (1977).

use serde::Deserialize;

use crate::error::{Error, fault};
use crate::family::Family;
use crate::field::{filled, positive, product};
use crate::linalg::small::{cholesky, solve_lower};

/// The policy of a filter. The variants are the one list of names.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(tag = "kind", deny_unknown_fields)]
pub enum Robust {
    /// Inverse multi-quadratic.
    Imq {
        /// In standard deviations: a row that far off counts for half.
        threshold: f64,
    },
    /// Student-t noise as a scale mixture.
    Student {
        /// Degrees of freedom.
        dof: f64,
    },
    /// The innovation is cut.
    Winsor {
        /// In standard deviations.
        sd: f64,
    },
}

impl Robust {
    /// Checks the setting and the family.
    pub fn check(&self, family: &Family) -> Result<(), Error> {
        let _ = match *self {
            Robust::Imq { threshold } => positive("threshold", threshold)?,
            Robust::Student { dof } => positive("dof", dof)?,
            Robust::Winsor { sd } => positive("sd", sd)?,
        };
        if matches!(family, Family::Gaussian(_)) {
            return Ok(());
        }
        let expected = "None with a family that is no Gaussian";
        Err(Error::Unsupported(fault("robust", expected, "one")))
    }

    /// Whether the innovation is multiplied, not the row's weight: the Fisher weight is known before z is.
    #[inline]
    pub fn cuts(&self) -> bool {
        matches!(self, Robust::Winsor { .. })
    }

    /// What a row of this squared distance counts for.
    #[inline]
    pub fn weight(&self, delta: f64, m: usize) -> f64 {
        let m = m as f64;
        match *self {
            Robust::Imq { threshold } => 1.0 / (1.0 + delta / (m * (threshold * threshold))),
            Robust::Student { dof } => (dof + m) / (dof + delta),
            Robust::Winsor { sd } => {
                let bound = m * (sd * sd);
                if delta <= bound {
                    1.0
                } else {
                    (bound / delta).sqrt()
                }
            }
        }
    }

    /// Whether such a row is counted as down-weighted.
    #[inline]
    pub fn counts(&self, weight: f64) -> bool {
        weight < if self.cuts() { 1.0 } else { 0.5 }
    }
}

/// What is needed for the distance of several outputs before their columns are fused, (k, k) each, and (k,).
#[derive(Debug, Default)]
pub(crate) struct Distance {
    pub(crate) c: Vec<f64>,
    s: Vec<f64>,
    product: Vec<f64>,
    pub(crate) r: Vec<f64>,
}

impl Distance {
    /// Room for k outputs.
    pub(crate) fn new(k: usize) -> Result<Self, Error> {
        let square = product(&[k, k])?;
        Ok(Distance {
            c: filled(square)?,
            s: filled(square)?,
            product: filled(square)?,
            r: filled(k)?,
        })
    }

    /// r'S^-1 r with S = I + share·L'CL, of the m outputs whose rows and columns of C are `c` (m, m), with L (m, m) and r given.
    pub(crate) fn of(&mut self, m: usize, share: f64, l: &[f64]) -> f64 {
        let (c, cl, s) = (
            &self.c[..m * m],
            &mut self.product[..m * m],
            &mut self.s[..m * m],
        );
        for (cl, c) in cl.chunks_exact_mut(m).zip(c.chunks_exact(m)) {
            for (j, x) in cl.iter_mut().enumerate() {
                *x = (0..m).map(|i| c[i] * l[i * m + j]).sum();
            }
        }
        for i in 0..m {
            for j in 0..m {
                let sum: f64 = (0..m).map(|t| l[t * m + i] * cl[t * m + j]).sum();
                s[i * m + j] = share * sum + if i == j { 1.0 } else { 0.0 };
            }
        }
        if cholesky(s, m).is_err() {
            return f64::INFINITY; // an overflow, found where the row is looked at as a whole
        }
        let r = &mut self.r[..m];
        solve_lower(s, m, r);
        r.iter().map(|r| r * r).sum()
    }
}

/// What of the innovation counts, of m outputs at a squared distance `delta`.
#[inline]
pub(crate) fn cut(robust: Option<Robust>, delta: f64, m: usize) -> f64 {
    robust
        .filter(Robust::cuts)
        .map_or(1.0, |robust| robust.weight(delta, m))
}
