//! Bernoulli observations on the logit link: y in [0, 1], P(y=1) = m = 1/(1+exp(-z)).
//!
//! ```text
//! e = y - m,   L² = m(1-m) = exp(-|z|)/(1+exp(-|z|))²
//! ```
//!
//! L² never cancels at a saturated logit, where the form in the mean is 0/0. Source: Ollivier 2018, arXiv 1703.00209.

use serde::Deserialize;

use super::quadrature::laplace_hermite;
use super::quantile;
use super::{Likelihood, Link, Seen, spread};
use crate::error::Error;
use crate::field::Arrays;

/// No settings.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bernoulli {}

/// (m, m(1-m)).
pub(super) fn moments(z: f64) -> (f64, f64) {
    let t = (-z.abs()).exp();
    let (small, slope) = (t / (1.0 + t), t / ((1.0 + t) * (1.0 + t)));
    (if z < 0.0 { small } else { 1.0 / (1.0 + t) }, slope)
}

/// log(1 + e^z).
pub(super) fn log1pexp(z: f64) -> f64 {
    z.max(0.0) + (-z.abs()).exp().ln_1p()
}

impl Likelihood for Bernoulli {
    fn prepare(&mut self, _: usize, _: &Arrays) -> Result<(), Error> {
        Ok(())
    }

    fn link(&self) -> Link {
        Link::Logit
    }

    fn invalid(&self, y: &[f64]) -> bool {
        y[0] < 0.0 || y[0] > 1.0
    }

    fn score(&self, row: &Seen<'_>) -> (f64, f64) {
        let (mean, slope) = moments(row.z[0]);
        (row.y[0] - mean, slope)
    }

    fn mean(&self, row: &Seen<'_>, out: &mut [f64]) {
        out[0] = moments(row.z[0]).0;
    }

    fn std(&self, row: &Seen<'_>, out: &mut [f64], _: &mut [f64]) {
        let slope = moments(row.z[0]).1;
        out[0] = spread(slope, slope, row.c[0]);
    }

    fn quantiles(&self, row: &Seen<'_>, levels: &[f64], out: &mut [f64]) {
        quantile::binomial(row, 1.0, levels, out);
    }

    fn nll(&self, row: &Seen<'_>, _: &mut [f64]) -> f64 {
        let y = row.y[0];
        let slopes = |t| {
            let (mean, slope) = moments(t);
            (y - mean, slope)
        };
        laplace_hermite(row, |t| log1pexp(t) - y * t, slopes)
    }

    fn plugin_nll(&self, row: &Seen<'_>, _: &mut [f64]) -> f64 {
        let (z, y) = (row.z[0], row.y[0]);
        log1pexp(z) - y * z
    }
}

#[cfg(test)]
mod tests {
    use super::moments;

    #[test]
    fn moments_do_not_cancel() {
        for z in [-800.0, -40.0, -1.0, 0.0, 1.0, 40.0, 800.0] {
            let (m, slope) = moments(z);
            assert!((0.0..=1.0).contains(&m) && (0.0..=0.25).contains(&slope));
            assert!((m - 1.0 / (1.0 + (-z).exp())).abs() < 1e-15);
        }
        assert!((moments(40.0).1 / (-40f64).exp() - 1.0).abs() < 1e-12);
    }
}
