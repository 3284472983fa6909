//! Counts on the log link: y >= 0, E(y) = m = exp(z).
//!
//! ```text
//! e = y - m,   L² = m
//! ```
//!
//! Source: Ollivier 2018, arXiv 1703.00209.

use libm::lgamma;
use serde::Deserialize;

use super::large_count::LargeCount;
use super::quadrature::laplace_hermite;
use super::quantile;
use super::{Likelihood, Link, Seen, spread};
use crate::error::Error;
use crate::field::Arrays;

/// No settings.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Poisson {}

impl Likelihood for Poisson {
    fn prepare(&mut self, _: usize, _: &Arrays) -> Result<(), Error> {
        Ok(())
    }

    fn link(&self) -> Link {
        Link::Log
    }

    fn invalid(&self, y: &[f64]) -> bool {
        y[0] < 0.0
    }

    fn score(&self, row: &Seen<'_>) -> (f64, f64) {
        let mean = row.z[0].exp();
        (row.y[0] - mean, mean)
    }

    fn mean(&self, row: &Seen<'_>, out: &mut [f64]) {
        out[0] = row.z[0].exp();
    }

    fn std(&self, row: &Seen<'_>, out: &mut [f64], _: &mut [f64]) {
        let mean = row.z[0].exp();
        out[0] = spread(mean, mean, row.c[0]);
    }

    fn quantiles(&self, row: &Seen<'_>, levels: &[f64], out: &mut [f64]) {
        quantile::poisson(row, levels, out);
    }

    fn nll(&self, row: &Seen<'_>, _: &mut [f64]) -> f64 {
        let y = row.y[0];
        if let Some(large) = LargeCount::new(y, f64::INFINITY) {
            return large.predictive_nll(row);
        }
        let slopes = |t: f64| (y - t.exp(), t.exp());
        laplace_hermite(row, |t| t.exp() - y * t, slopes) + lgamma(y + 1.0)
    }

    fn plugin_nll(&self, row: &Seen<'_>, _: &mut [f64]) -> f64 {
        let (z, y) = (row.z[0], row.y[0]);
        if let Some(large) = LargeCount::new(y, f64::INFINITY) {
            return large.nll(z);
        }
        z.exp() - y * z + lgamma(y + 1.0)
    }
}
