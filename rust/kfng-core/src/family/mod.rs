//! Families: the law of an observation y given the model output z in link coordinates. They know nothing of parameters.
//!
//! Everything here is float64 on slices, in every filter: k outputs, of which m are observed. y is NaN where missing; a, b is the
//! inverse-gamma state of the learned noise variances as it is reported (empty where none is learned); C the covariance of z, relative to
//! the one variance where one is learned for all outputs.

use enum_dispatch::enum_dispatch;
use serde::Deserialize;

use crate::error::{Error, fault};
use crate::field::Arrays;

mod bernoulli;
mod binomial;
mod categorical;
pub(crate) mod coverage;
mod gamma;
mod gaussian;
mod gaussian_mean_variance;
mod large_count;
mod negative_binomial;
mod poisson;
mod quadrature;
mod quantile;
mod special;
mod threshold;

pub use bernoulli::Bernoulli;
pub use binomial::Binomial;
pub use categorical::Categorical;
pub use gamma::Gamma;
pub use gaussian::Gaussian;
pub use gaussian_mean_variance::GaussianMeanVariance;
pub use negative_binomial::NegativeBinomial;
pub use poisson::Poisson;

/// The family of a filter. The variants are the one list of names.
#[enum_dispatch(Likelihood)]
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind")]
pub enum Family {
    /// y ~ N(z, R).
    Gaussian,
    /// y ~ N(z_1, exp(z_2)).
    GaussianMeanVariance,
    /// y in [0, 1] on the logit link.
    Bernoulli,
    /// Successes of trials on the logit link.
    Binomial,
    /// Classes on logits.
    Categorical,
    /// Counts on the log link.
    Poisson,
    /// Overdispersed counts on the log link.
    NegativeBinomial,
    /// Positive numbers on the log link.
    Gamma,
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

    /// Whether the Fisher factor depends on neither z nor the noise: rows of a linear model then share a pass.
    fn fixed_factor(&self) -> bool {
        false
    }

    /// Whether L has no inverse: g = dz'e then goes into the belief after the columns of dz'L.
    fn singular(&self) -> bool {
        false
    }

    /// Whether the covariance of theta is relative to a learned noise variance.
    fn relative(&self) -> bool {
        false
    }

    /// Noise variances that are learned.
    fn noise_scales(&self, _k: usize) -> usize {
        0
    }

    /// a_0 of all learned noise variances, b_0 of each (m,).
    fn prior_noise(&self) -> (f64, &[f64]) {
        (0.0, &[])
    }

    /// Whether nothing can be learned from y.
    fn missing(&self, y: &[f64]) -> bool {
        y.iter().any(|y| y.is_nan())
    }

    /// Whether y lies outside the family's range; NaN never does.
    fn invalid(&self, y: &[f64]) -> bool;

    /// Writes the outputs that y informs about, where it is not missing; returns how many (m).
    fn observed(&self, _y: &[f64], seen: &mut [usize]) -> usize {
        seen.iter_mut().enumerate().for_each(|(j, seen)| *seen = j);
        seen.len()
    }

    /// Rank of the Fisher matrix of m outputs.
    fn degrees(&self, m: usize) -> usize {
        m
    }

    /// Keeps z where exp(z) means something; whether that changed it.
    #[inline]
    fn clamp(&self, z: &mut [f64], limit: f64) -> bool {
        let mut clamped = false;
        for z in z {
            clamped |= z.abs() > limit;
            *z = z.clamp(-limit, limit);
        }
        clamped
    }

    /// What the step clip bounds, of a change of z (k,).
    fn reach(&self, change: &[f64]) -> f64 {
        change.iter().fold(0.0, |most, x| most.max(x.abs()))
    }

    /// One output: (e, L²), the score d(-nll)/dz with the sign of descent and the Fisher information. Never divides by L.
    fn score(&self, _row: &Seen<'_>) -> (f64, f64) {
        (f64::NAN, f64::NAN)
    }

    /// Several outputs: L (m, m) row-major with L L' the Fisher matrix of the m outputs `seen`; work: (k² + k,).
    fn factor(
        &self,
        _row: &Seen<'_>,
        _seen: &[usize],
        _l: &mut [f64],
        _work: &mut [f64],
    ) -> Result<(), Error> {
        Err(Error::Unsupported(fault("family", "one output", "several")))
    }

    /// Several outputs: r (m,) with L r = e, of covariance I given z; NaN where there is none.
    fn whiten(&self, _row: &Seen<'_>, _seen: &[usize], _l: &[f64], r: &mut [f64]) {
        r.fill(f64::NAN);
    }

    /// Whether -log density is r'r/2 up to a constant, times the noise variance where that is learned.
    fn quadratic(&self) -> bool {
        false
    }

    /// Singular L: e (k,).
    fn gradient(&self, _row: &Seen<'_>, e: &mut [f64]) {
        e.fill(f64::NAN);
    }

    /// A variance of each output: twice what each b gains from the row, 0 where y is missing.
    fn innovations(&self, _row: &Seen<'_>, _weight: f64, out: &mut [f64]) {
        out.fill(0.0);
    }

    /// E(y|z) (mean_width,), of one row.
    fn mean(&self, row: &Seen<'_>, out: &mut [f64]);

    /// Standard deviation of y (mean_width,) with theta integrated out to first order. work: (k² + k,) where k > 1.
    fn std(&self, row: &Seen<'_>, out: &mut [f64], work: &mut [f64]);

    /// E(y|z) of many rows of one output, z (n,), where that is less work than one after another; `false`: it is not, and nothing is written.
    fn means(&self, _z: &[f64], _out: &mut [f64]) -> bool {
        false
    }

    /// `std` of many rows of one output, so too; c (n,), a and b (n, m).
    fn stds(&self, _c: &[f64], _noise: [&[f64]; 2], _out: &mut [f64]) -> bool {
        false
    }

    /// Quantiles of y with theta integrated out (mean_width, levels), levels in [0, 1]; NaN where the family has none.
    fn quantiles(&self, _row: &Seen<'_>, _levels: &[f64], out: &mut [f64]) {
        out.fill(f64::NAN);
    }

    /// Whether it has an interval whose coverage is kept.
    fn covers(&self) -> bool {
        false
    }

    /// Of the observed outputs, the share whose y lies in the central 90 % interval of its prediction; see family/coverage.rs.
    fn share_within(&self, _row: &Seen<'_>) -> f64 {
        f64::NAN
    }

    /// -log p(y) with theta integrated out; NaN where y is missing. work: (k² + k,).
    fn nll(&self, row: &Seen<'_>, work: &mut [f64]) -> f64;

    /// -log p(y|z). work: (k² + k,).
    fn plugin_nll(&self, row: &Seen<'_>, work: &mut [f64]) -> f64;
}

/// sqrt(slope²·c + noise), one output.
fn spread(slope: f64, noise: f64, c: f64) -> f64 {
    (slope * slope * c + noise).sqrt()
}
