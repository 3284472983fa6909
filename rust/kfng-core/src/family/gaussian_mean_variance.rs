//! y ~ N(m, v), both outputs: z = (m, log v).
//!
//! ```text
//! e = ((y-m)/v, ((y-m)²/v - 1)/2) with 1/v = exp(-z_2),   L = diag(v^-1/2, 2^-1/2)
//! ```
//!
//! Source: Ollivier 2018, arXiv 1703.00209.

use serde::Deserialize;

use super::quadrature::{DEPTH, LOG_2PI, WIDE, log_add_exp, log_normal_mean};
use super::quantile;
use super::{Likelihood, Link, Seen};
use crate::error::Error;
use crate::field::Arrays;

/// No settings.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GaussianMeanVariance {}

/// z_1 | v ~ N(z_1 + slope·v, rest) where z_2 has moved by sd·v, v ~ N(0, 1): (slope, rest, sd).
fn given_v(c: &[f64]) -> Option<(f64, f64, f64)> {
    let [c_11, c_12, _, c_22] = c else {
        return None;
    };
    let sd = c_22.sqrt();
    let slope = if sd > 0.0 { c_12 / sd } else { 0.0 };
    Some((slope, (c_11 - slope * slope).max(0.0), sd))
}

impl Likelihood for GaussianMeanVariance {
    fn prepare(&mut self, _: usize, _: &Arrays) -> Result<(), Error> {
        Ok(())
    }

    fn outputs_needed(&self) -> Option<usize> {
        Some(2)
    }

    fn link(&self) -> Link {
        Link::Log
    }

    fn y_width(&self, _: usize) -> usize {
        1
    }

    fn mean_width(&self, _: usize) -> usize {
        1
    }

    fn invalid(&self, _: &[f64]) -> bool {
        false
    }

    /// z_2 alone goes into exp,
    fn clamp(&self, z: &mut [f64], limit: f64) -> bool {
        let before = z[1];
        z[1] = before.clamp(-limit, limit);
        z[1] != before
    }

    /// and is what a step must not move far.
    fn reach(&self, change: &[f64]) -> f64 {
        change[1].abs()
    }

    fn factor(
        &self,
        row: &Seen<'_>,
        _: &[usize],
        l: &mut [f64],
        _: &mut [f64],
    ) -> Result<(), Error> {
        l.copy_from_slice(&[(-row.z[1] / 2.0).exp(), 0.0, 0.0, 0.5f64.sqrt()]);
        Ok(())
    }

    fn whiten(&self, row: &Seen<'_>, _: &[usize], l: &[f64], r: &mut [f64]) {
        r[0] = (row.y[0] - row.z[0]) * l[0];
        r[1] = (r[0] * r[0] - 1.0) * l[3];
    }

    fn mean(&self, row: &Seen<'_>, out: &mut [f64]) {
        out[0] = row.z[0];
    }

    fn std(&self, row: &Seen<'_>, out: &mut [f64], _: &mut [f64]) {
        out[0] = (row.z[1].exp() + row.c[0]).sqrt();
    }

    fn quantiles(&self, row: &Seen<'_>, levels: &[f64], out: &mut [f64]) {
        let Some((slope, rest, sd)) = given_v(row.c) else {
            return out.fill(f64::NAN);
        };
        let at = |v: f64| {
            let variance = (row.z[1] + sd * v).exp() + rest;
            (row.z[0] + slope * v, variance.sqrt())
        };
        quantile::normal_mixture(at, levels, out);
    }

    /// z_1 integrated out in closed form given z_2 = z_2 + sd·v, v by quadrature.
    fn nll(&self, row: &Seen<'_>, _: &mut [f64]) -> f64 {
        let (Some((slope, rest, sd)), [z_1, z_2]) = (given_v(row.c), row.z) else {
            return f64::NAN;
        };
        let r = row.y[0] - z_1;
        if r.is_nan() {
            return f64::NAN;
        }
        let log_rest = rest.ln();
        let log_density = |v: f64| {
            let log_variance = log_add_exp(z_2 + sd * v, log_rest);
            let far = (r - slope * v) * (-log_variance / 2.0).exp();
            -(LOG_2PI + log_variance + far * far) / 2.0
        };
        let surprise = r * r / (z_2.exp() + rest);
        let mut reach = (surprise + 2.0 * DEPTH).sqrt() + sd;
        if reach >= WIDE / 2.0 {
            // Far off: the largest is no smaller than where the variance has grown to r², and beyond, v² alone is DEPTH below that.
            let v = ((2.0 * r.abs().ln() - z_2) / sd).max(0.0);
            let least = log_density(v) - v * v / 2.0;
            let farthest = sd + (2.0 * (DEPTH - least) - LOG_2PI - z_2).sqrt();
            reach = reach.min(farthest).min(1e300);
        }
        -log_normal_mean(log_density, reach)
    }

    fn plugin_nll(&self, row: &Seen<'_>, _: &mut [f64]) -> f64 {
        let far = (row.y[0] - row.z[0]) * (-row.z[1] / 2.0).exp();
        (LOG_2PI + row.z[1] + far * far) / 2.0
    }
}
