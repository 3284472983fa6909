//! Positive observations on the log link: E(y) = m = exp(z), Var(y) = m²/shape.
//!
//! ```text
//! e = shape·(y/m - 1),   L² = shape
//! ```
//!
//! Source: Ollivier 2018, arXiv 1703.00209.

use libm::lgamma;
use serde::Deserialize;

use super::quadrature::laplace_hermite;
use super::quantile;
use super::{Likelihood, Link, Seen, spread};
use crate::error::Error;
use crate::field::{Arrays, positive};

/// 1 is the exponential law.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gamma {
    shape: f64,
}

impl Gamma {
    /// r = log(y/m) and shape·(e^r - r).
    fn kernel(&self, z: f64, log_y: f64) -> f64 {
        let r = log_y - z;
        self.shape * (r.exp() - r)
    }

    fn constant(&self, log_y: f64) -> f64 {
        log_y + lgamma(self.shape) - self.shape * self.shape.ln()
    }
}

impl Likelihood for Gamma {
    fn prepare(&mut self, _: usize, _: &Arrays) -> Result<(), Error> {
        positive("shape", self.shape).map(|_| ())
    }

    fn link(&self) -> Link {
        Link::Log
    }

    fn fixed_factor(&self) -> bool {
        true
    }

    fn invalid(&self, y: &[f64]) -> bool {
        y[0] <= 0.0
    }

    fn score(&self, row: &Seen<'_>) -> (f64, f64) {
        let r = row.y[0].ln() - row.z[0];
        (self.shape * r.exp_m1(), self.shape)
    }

    fn mean(&self, row: &Seen<'_>, out: &mut [f64]) {
        out[0] = row.z[0].exp();
    }

    fn std(&self, row: &Seen<'_>, out: &mut [f64], _: &mut [f64]) {
        let z = row.z[0];
        out[0] = spread(z.exp(), (2.0 * z).exp() / self.shape, row.c[0]);
    }

    fn quantiles(&self, row: &Seen<'_>, levels: &[f64], out: &mut [f64]) {
        quantile::gamma(row, self.shape, levels, out);
    }

    fn nll(&self, row: &Seen<'_>, _: &mut [f64]) -> f64 {
        let log_y = row.y[0].ln();
        let slopes = |t: f64| {
            let r = log_y - t;
            (self.shape * r.exp_m1(), self.shape * r.exp())
        };
        laplace_hermite(row, |t| self.kernel(t, log_y), slopes) + self.constant(log_y)
    }

    fn plugin_nll(&self, row: &Seen<'_>, _: &mut [f64]) -> f64 {
        let log_y = row.y[0].ln();
        self.kernel(row.z[0], log_y) + self.constant(log_y)
    }
}
