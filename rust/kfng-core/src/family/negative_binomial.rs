//! Counts on the log link with E(y) = m = exp(z) and Var(y) = m + dispersion·m².
//!
//! ```text
//! e = (y-m)/(1 + dispersion·m),   L² = m/(1 + dispersion·m)
//! ```
//!
//! Both in the share x = dispersion·m/(1 + dispersion·m), a logistic function of z, so that neither m nor m² is formed.
//! Source: Ollivier 2018, arXiv 1703.00209.

use libm::lgamma;
use serde::Deserialize;

use super::bernoulli::{log1pexp, moments};
use super::large_count::LargeCount;
use super::quadrature::laplace_hermite;
use super::quantile;
use super::{Likelihood, Link, Seen, spread};
use crate::error::Error;
use crate::field::{Arrays, positive};

/// The smallest dispersion that is told from 0.
const LEAST: f64 = 1e-300;

/// The squared coefficient of variation of the rate.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NegativeBinomial {
    dispersion: f64,
}

impl NegativeBinomial {
    /// log(dispersion·m).
    fn odds(&self, z: f64) -> f64 {
        z + self.dispersion.ln()
    }

    fn kernel(&self, z: f64, y: f64) -> f64 {
        let rest = log1pexp(self.odds(z));
        y * rest + rest / self.dispersion - y * z
    }

    /// (e, d²nll/dz²).
    fn slopes(&self, z: f64, y: f64) -> (f64, f64) {
        let odds = self.odds(z);
        let (share, slope) = moments(odds);
        let score = y * moments(-odds).0 - share / self.dispersion;
        (score, (y + 1.0 / self.dispersion) * slope)
    }
}

/// log[d^y Gamma(y + 1/d)/Gamma(1/d)] = sum over j < y of log(1 + j·d), which is 0 where d is.
fn rising_factorial(y: f64, d: f64) -> f64 {
    let r = 1.0 / d;
    if d > 1e-3 {
        return lgamma(y + r) - lgamma(r) + y * d.ln();
    }
    // Stirling's series for both, so that log Gamma(1/d) does not cancel: DLMF 5.11.1
    let (x, end) = (y * d, r + y);
    let rest = 1.0 / (12.0 * end) - 1.0 / (12.0 * r) - 1.0 / (360.0 * end.powi(3))
        + 1.0 / (360.0 * r.powi(3));
    r * ((1.0 + x) * x.ln_1p() - x) - 0.5 * x.ln_1p() + rest
}

impl Likelihood for NegativeBinomial {
    fn prepare(&mut self, _: usize, _: &Arrays) -> Result<(), Error> {
        // Far from where 1/dispersion overflows, and for z <= 300 still Poisson's law.
        self.dispersion = positive("dispersion", self.dispersion)?.max(LEAST);
        Ok(())
    }

    fn link(&self) -> Link {
        Link::Log
    }

    fn invalid(&self, y: &[f64]) -> bool {
        y[0] < 0.0
    }

    fn score(&self, row: &Seen<'_>) -> (f64, f64) {
        let (z, y) = (row.z[0], row.y[0]);
        let share = moments(self.odds(z)).0;
        (self.slopes(z, y).0, share / self.dispersion)
    }

    fn mean(&self, row: &Seen<'_>, out: &mut [f64]) {
        out[0] = row.z[0].exp();
    }

    fn std(&self, row: &Seen<'_>, out: &mut [f64], _: &mut [f64]) {
        let mean = row.z[0].exp();
        out[0] = spread(mean, mean * (1.0 + self.dispersion * mean), row.c[0]);
    }

    fn quantiles(&self, row: &Seen<'_>, levels: &[f64], out: &mut [f64]) {
        quantile::negative_binomial(row, self.dispersion, levels, out);
    }

    fn nll(&self, row: &Seen<'_>, _: &mut [f64]) -> f64 {
        let y = row.y[0];
        if let Some(large) = LargeCount::new(y, 1.0 / self.dispersion) {
            return large.predictive_nll(row);
        }
        let rest = lgamma(y + 1.0) - rising_factorial(y, self.dispersion);
        laplace_hermite(row, |t| self.kernel(t, y), |t| self.slopes(t, y)) + rest
    }

    fn plugin_nll(&self, row: &Seen<'_>, _: &mut [f64]) -> f64 {
        let y = row.y[0];
        if let Some(large) = LargeCount::new(y, 1.0 / self.dispersion) {
            return large.nll(row.z[0]);
        }
        self.kernel(row.z[0], y) + lgamma(y + 1.0) - rising_factorial(y, self.dispersion)
    }
}

#[cfg(test)]
mod tests {
    use super::rising_factorial;

    #[test]
    fn both_forms_of_the_rising_factorial_are_its_sum() {
        for d in [1e-9, 1e-4, 0.999e-3, 1.001e-3, 0.1, 3.0] {
            for y in [0, 1, 5, 40] {
                let sum = (0..y).map(|j| (f64::from(j) * d).ln_1p()).sum::<f64>();
                assert!((rising_factorial(f64::from(y), d) - sum).abs() < 1e-10 * sum.max(1.0));
            }
        }
    }
}
