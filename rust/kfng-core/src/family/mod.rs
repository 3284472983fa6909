//! Families: the law of an observation y given the model output z in link coordinates. They know nothing of parameters.
//!
//! Everything here is float64 on slices of k numbers, in every filter. y is NaN where missing; a, b is the inverse-gamma state of a
//! learned noise variance as it is reported (empty where none is learned); C the covariance of z, relative to that variance.

use enum_dispatch::enum_dispatch;
use serde::Deserialize;

use crate::error::{Error, fault};
use crate::field::Arrays;

mod bernoulli;
mod gaussian;
mod poisson;

pub use bernoulli::Bernoulli;
pub use gaussian::Gaussian;
pub use poisson::Poisson;

/// The family of a filter. The variants are the one list of names.
#[enum_dispatch(Likelihood)]
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind")]
pub enum Family {
    /// y ~ N(z, R).
    Gaussian,
    /// y in [0, 1] on the logit link.
    Bernoulli,
    /// Counts on the log link.
    Poisson,
}

/// The coordinates of z.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// z is the mean.
    Identity,
    /// z is the log odds.
    Logit,
    /// z is the log of the mean.
    Log,
}

/// One row as it is reported: z (k,), c (k, k), y, a and b.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// Model output.
    pub z: &'a [f64],
    /// Its covariance; empty: zero.
    pub c: &'a [f64],
    /// Observation.
    pub y: &'a [f64],
    /// Shape of the inverse gamma.
    pub a: &'a [f64],
    /// Scale of the inverse gamma.
    pub b: &'a [f64],
}

/// What every family supplies.
#[enum_dispatch]
pub trait Likelihood {
    /// Checks the settings against k outputs and takes in the arrays.
    fn prepare(&mut self, k: usize, arrays: &Arrays) -> Result<(), Error>;

    /// The k this family needs, `None` for any.
    fn outputs_needed(&self) -> Option<usize> {
        Some(1)
    }

    /// Coordinates of z: decides clamp and step clip.
    fn link(&self) -> Link;

    /// Numbers in one observation of k outputs.
    fn y_width(&self, k: usize) -> usize {
        k
    }

    /// Numbers in the mean of one observation.
    fn mean_width(&self, k: usize) -> usize {
        k
    }

    /// Whether the Fisher factor does not depend on z: rows of a linear model then share a pass.
    fn fixed_factor(&self) -> bool {
        false
    }

    /// (a_0, b_0) of a learned noise variance.
    fn prior_noise(&self) -> Option<(f64, f64)> {
        None
    }

    /// Whether nothing can be learned from y.
    fn missing(&self, y: &[f64]) -> bool {
        y.iter().any(|y| y.is_nan())
    }

    /// Whether y lies outside the family's range; NaN never does.
    fn invalid(&self, y: &[f64]) -> bool;

    /// One output: (e, L²), the score d(-nll)/dz with the sign of descent and the Fisher information. Never divides by L.
    fn score(&self, z: f64, y: f64) -> (f64, f64);

    /// Several outputs: L (m, m) row-major with L L' the Fisher matrix of the m outputs `seen`; work: (m, m).
    fn factor(&self, seen: &[usize], l: &mut [f64], work: &mut [f64]) -> Result<(), Error>;

    /// E(y|z) (mean_width,), of one row.
    fn mean(&self, row: &Seen<'_>, out: &mut [f64]);

    /// Standard deviation of y with theta integrated out to first order.
    fn std(&self, row: &Seen<'_>, out: &mut [f64]);

    /// -log p(y) with theta integrated out; NaN where y is missing. work: (k² + k,).
    fn nll(&self, _row: &Seen<'_>, _work: &mut [f64]) -> Result<f64, Error> {
        Err(Error::Unsupported(fault(
            "nll",
            "a Gaussian family",
            "a family whose predictive density is not available yet",
        )))
    }

    /// -log p(y|z). work: (k² + k,).
    fn plugin_nll(&self, row: &Seen<'_>, work: &mut [f64]) -> f64;
}

/// No factor: a family of one output gives L² with its score.
fn one_output() -> Error {
    Error::Unsupported(fault("family", "one output", "several"))
}

/// (1 + c·slope)·slope and its like: sqrt(slope²·c + noise), one output.
fn spread(slope: f64, noise: f64, c: f64) -> f64 {
    (slope * slope * c + noise).sqrt()
}
