//! A learned noise variance: sigma² ~ InvGamma(a, b) beside theta, and the running moments of y that floor it in reports.
//!
//! ```text
//! time:  a <- max(decay·a, a_0), b scaled with it
//! row:   a += w·k/2,   b += w·e'S^-1 e/2         (e = y - z raw, S = I + w·C relative to sigma²)
//! ```
//!
//! Source: the conjugate normal-inverse-gamma; exact for the exponentially weighted posterior.

use crate::state::{A, B, Y_STATS};

/// The prior (a_0, b_0), and how many outputs there are.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// Shape.
    pub a_0: f64,
    /// Scale.
    pub b_0: f64,
    /// Outputs whose moments are kept.
    pub k: usize,
}

impl Scale {
    /// Forgets past rows; a never decays below a_0. A decay of 1 changes no bit.
    pub fn fade(&self, wide: &mut [f64], decay: f64) {
        if decay == 1.0 {
            return;
        }
        let a = (decay * wide[A]).max(self.a_0);
        wide[B] *= a / wide[A];
        wide[A] = a;
        let (w, rest) = wide[Y_STATS..].split_at_mut(self.k);
        for x in w.iter_mut().chain(&mut rest[self.k..]) {
            *x *= decay;
        }
    }

    /// b as predictions use it: b/a is at least `r_floor` times the running variance of y.
    pub fn reported(&self, wide: &[f64], r_floor: f64) -> f64 {
        if r_floor == 0.0 {
            return wide[B];
        }
        let stats = &wide[Y_STATS..];
        let variance = |j: usize| {
            if stats[j] > 0.0 {
                stats[2 * self.k + j] / stats[j]
            } else {
                0.0
            }
        };
        let mean = (0..self.k).map(variance).sum::<f64>() / self.k as f64;
        wide[B].max(wide[A] * r_floor * mean)
    }

    /// After a row: `distance` = w·e'S^-1 e of its observed outputs.
    pub fn learn(&self, wide: &mut [f64], y: &[f64], weight: f64, distance: f64) {
        let k = self.k;
        let mut observed = 0.0;
        let stats = &mut wide[Y_STATS..];
        for (j, &y) in y.iter().enumerate().filter(|(_, y)| !y.is_nan()) {
            observed += 1.0;
            stats[j] += weight;
            let delta = y - stats[k + j];
            stats[k + j] += weight / stats[j] * delta;
            stats[2 * k + j] += weight * delta * (y - stats[k + j]);
        }
        wide[A] += weight * observed / 2.0;
        wide[B] += distance / 2.0;
    }
}
