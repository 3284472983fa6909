//! Laws of y that are thresholds of the output: y <= k exactly where a variable s of known density exceeds t.
//!
//! ```text
//! Poisson                y <= k  iff  t < s,  s = log of a Gamma(k+1)
//! negative binomial      the same with s = log odds of a Beta(k+1, 1/d), less log d
//! binomial, N trials     the same with s = log odds of a Beta(k+1, N-k)
//! Gamma(shape)           log y <= x  iff  t < x + log(shape) - log of a Gamma(shape)
//! (DLMF 8.4.10, 8.17.5, 8.17.24)
//! ```
//!
//! So with t ~ N(z, sd²) P(y <= k) is one integral over s, of its density times a normal distribution function, smooth between a few
//! borders whichever of the two is the narrower.

use super::quadrature::LOG_2PI;
use super::special::{FEW_NODES, normal_tails};

/// Density is dropped once it is below e^-40 of its largest value.
const DEPTH: f64 = 40.0;
/// Standard deviations beyond which a normal tail is 0 to 1e-19.
pub const FAR: f64 = 9.0;

/// A variable s with log-concave density exp(fall(s - mode)) up to its norm, and how far from the mode that reaches.
pub struct Threshold<F> {
    pub mode: f64,
    pub left: f64,
    pub right: f64,
    fall: F,
}

impl<F: Fn(f64) -> f64> Threshold<F> {
    fn new(mode: f64, curvature: f64, fall: F) -> Self {
        let (left, right) = (extent(|d| fall(-d), curvature), extent(&fall, curvature));
        Threshold {
            mode,
            left,
            right,
            fall,
        }
    }

    /// P(s > T), P(s < T) and the density of s - T at 0, for T ~ N(t, sd²), sd > 0.
    pub fn above(&self, t: f64, sd: f64) -> (f64, f64, f64) {
        let (low, high) = (self.mode - self.left, self.mode + self.right);
        let mut borders = [
            low,
            self.mode - self.left / 6.0,
            self.mode,
            self.mode + self.right / 6.0,
            t - FAR * sd,
            t,
            t + FAR * sd,
            high,
        ];
        for x in &mut borders {
            *x = x.max(low).min(high);
        }
        borders.sort_unstable_by(f64::total_cmp);
        let mut sums = [0.0; 4];
        for pair in borders.windows(2) {
            let (middle, length) = (f64::midpoint(pair[0], pair[1]), pair[1] - pair[0]);
            if length <= 0.0 {
                continue;
            }
            for (node, weight) in FEW_NODES {
                for s in [middle - length * node, middle + length * node] {
                    let mass = length * weight * (self.fall)(s - self.mode).exp();
                    let x = (s - t) / sd;
                    let (below, beyond) = normal_tails(x);
                    let density = (-0.5 * (x * x + LOG_2PI)).exp() / sd;
                    for (sum, value) in sums.iter_mut().zip([1.0, below, beyond, density]) {
                        *sum += mass * value;
                    }
                }
            }
        }
        (sums[1] / sums[0], sums[2] / sums[0], sums[3] / sums[0])
    }
}

/// How far from the mode a density has fallen by e^-40.
fn extent(fall: impl Fn(f64) -> f64, curvature: f64) -> f64 {
    let (mut near, mut far) = (0.0, (2.0 * DEPTH / curvature).sqrt());
    let mut doublings = 0..60;
    while fall(far) > -DEPTH && doublings.next().is_some() {
        far *= 2.0;
    }
    for _ in 0..12 {
        let middle = f64::midpoint(near, far);
        if fall(middle) > -DEPTH {
            near = middle;
        } else {
            far = middle;
        }
    }
    far
}

/// s = log of a Gamma(a): density ∝ exp(a s - e^s).
pub fn log_gamma(a: f64) -> Threshold<impl Fn(f64) -> f64> {
    Threshold::new(a.ln(), a, move |d: f64| a * (d - d.exp_m1()))
}

/// s = log odds of a Beta(a, b): density ∝ e^(a s)/(1+e^s)^(a+b).
pub fn log_odds(a: f64, b: f64) -> Threshold<impl Fn(f64) -> f64> {
    let (n, less, sign) = (a + b, a.min(b), if a < b { 1.0 } else { -1.0 });
    // a d - n log(1 + a/n·(e^d - 1)), or the same seen from the other end: the form whose terms are the smaller
    let fall = move |d: f64| {
        let x = sign * d;
        less * x - n * (less / n * x.exp_m1()).ln_1p()
    };
    Threshold::new(a.ln() - b.ln(), a * (b / n), fall)
}
