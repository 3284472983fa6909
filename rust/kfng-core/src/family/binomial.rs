//! Binomial observations on the logit link: y successes of N trials, E(y) = N m with m = 1/(1+exp(-z)).
//!
//! ```text
//! e = y - N m,   L² = N m(1-m)
//! ```
//!
//! N is the family's, or comes with each y. Source: Ollivier 2018, arXiv 1703.00209.

use libm::lgamma;
use serde::Deserialize;

use super::bernoulli::{log1pexp, moments};
use super::large_count::{LARGE_COUNT, LargeCount};
use super::quadrature::laplace_hermite;
use super::quantile;
use super::special::lgamma_ratio;
use super::{Likelihood, Link, Seen, spread};
use crate::error::{Error, fault};
use crate::field::Arrays;

/// N, or `None` where y is (successes, trials).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Binomial {
    trials: Option<f64>,
}

impl Binomial {
    /// N of one y; 1 where it is missing.
    fn count(&self, y: &[f64]) -> f64 {
        let own = || if y[1].is_nan() { 1.0 } else { y[1] };
        self.trials.unwrap_or_else(own)
    }
}

/// -log density but for the number of ways.
fn kernel(z: f64, y: f64, n: f64) -> f64 {
    n * log1pexp(z) - y * z
}

/// k of n trials, few beside many, in the z of what there are few of: without the cancellation of large logarithms.
struct FewOfMany {
    k: f64,
    n: f64,
}

impl FewOfMany {
    /// And z as it is there.
    fn new(z: f64, y: f64, n: f64) -> (Self, f64) {
        let sign = if y <= n - y { 1.0 } else { -1.0 };
        let k = y.min(n - y);
        (FewOfMany { k, n }, sign * z)
    }

    fn ways(&self) -> f64 {
        lgamma(self.k + 1.0) - lgamma_ratio(self.n - self.k + 1.0, self.k)
    }
}

/// -log of the number of ways.
fn ways(y: f64, n: f64) -> f64 {
    lgamma(y + 1.0) + lgamma(n - y + 1.0) - lgamma(n + 1.0)
}

impl Likelihood for Binomial {
    fn prepare(&mut self, _: usize, _: &Arrays) -> Result<(), Error> {
        match self.trials {
            Some(n) if !(n >= 1.0 && n.is_finite() && n.fract() == 0.0) => Err(Error::Parameter(
                fault("trials", "an integer >= 1 or None", n),
            )),
            _ => Ok(()),
        }
    }

    fn link(&self) -> Link {
        Link::Logit
    }

    fn y_width(&self, _: usize) -> usize {
        if self.trials.is_none() { 2 } else { 1 }
    }

    fn missing(&self, y: &[f64]) -> bool {
        y[0].is_nan()
    }

    fn invalid(&self, y: &[f64]) -> bool {
        let pair = self.trials.is_none();
        let bad_trials = pair && (y[1] < 0.0 || (y[1].is_nan() && !y[0].is_nan()));
        bad_trials || y[0] < 0.0 || y[0] > self.count(y)
    }

    fn score(&self, row: &Seen<'_>) -> (f64, f64) {
        let ((mean, slope), n) = (moments(row.z[0]), self.count(row.y));
        (row.y[0] - n * mean, n * slope)
    }

    fn mean(&self, row: &Seen<'_>, out: &mut [f64]) {
        out[0] = self.count(row.y) * moments(row.z[0]).0;
    }

    fn std(&self, row: &Seen<'_>, out: &mut [f64], _: &mut [f64]) {
        let slope = self.count(row.y) * moments(row.z[0]).1;
        out[0] = spread(slope, slope, row.c[0]);
    }

    fn quantiles(&self, row: &Seen<'_>, levels: &[f64], out: &mut [f64]) {
        quantile::binomial(row, self.count(row.y), levels, out);
    }

    fn nll(&self, row: &Seen<'_>, _: &mut [f64]) -> f64 {
        let (y, n) = (row.y[0], self.count(row.y));
        if let Some(large) = LargeCount::of_trials(y, n) {
            return large.predictive_nll(row);
        }
        if n >= LARGE_COUNT && !y.is_nan() {
            let (few, z) = FewOfMany::new(row.z[0], y, n);
            let slopes = |t| {
                let (mean, slope) = moments(t);
                (few.k - n * mean, n * slope)
            };
            let row = Seen { z: &[z], ..*row };
            return laplace_hermite(&row, |t| kernel(t, few.k, n), slopes) + few.ways();
        }
        let slopes = |t| {
            let (mean, slope) = moments(t);
            (y - n * mean, n * slope)
        };
        laplace_hermite(row, |t| kernel(t, y, n), slopes) + ways(y, n)
    }

    fn plugin_nll(&self, row: &Seen<'_>, _: &mut [f64]) -> f64 {
        let (z, y, n) = (row.z[0], row.y[0], self.count(row.y));
        if let Some(large) = LargeCount::of_trials(y, n) {
            return large.nll(z);
        }
        if n >= LARGE_COUNT && !y.is_nan() {
            let (few, z) = FewOfMany::new(z, y, n);
            return kernel(z, few.k, n) + few.ways();
        }
        kernel(z, y, n) + ways(y, n)
    }
}
