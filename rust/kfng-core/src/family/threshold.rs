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
//! So with t ~ N(z, sd²) a tail of y is one integral over s, of its density times a normal distribution function. Both are log-concave, and
//! with them their product and the tail: it is integrated about its own mode, so that a tail of 1e-300 has as many digits as one of 0.1.

use super::quadrature::rising_root;
use super::special::{FEW_NODES, beta_log_weight, gamma_log_weight, log_normal_cdf};

/// An integrand below e^-40 of its largest value is dropped.
pub const DEPTH: f64 = 40.0;
/// Standard deviations in which a normal distribution function goes from 0 to 1.
pub const FAR: f64 = 9.0;
/// A T less spread than so many widths of s is taken to be spread so: what it changes is of the order of its square.
const CERTAIN: f64 = 1e-9;

/// Which density s has.
enum Law {
    /// Of the log of a Gamma(a): exp(a s - e^s).
    LogGamma(f64),
    /// Of the log odds of a Beta(a, b): e^(a s)/(1+e^s)^(a+b), as `less` = min(a, b), its part of a + b, and 1 where that is a, else -1.
    LogOdds {
        less: f64,
        part: f64,
        rest: f64,
        sign: f64,
    },
}

/// A variable s = mode + d with the log-concave density exp(peak + fall(d)).
pub struct Threshold {
    pub mode: f64,
    peak: f64,
    law: Law,
}

/// s = log of a Gamma(a).
pub fn log_gamma(a: f64) -> Threshold {
    Threshold {
        mode: a.ln(),
        peak: gamma_log_weight(a, a),
        law: Law::LogGamma(a),
    }
}

/// s = log odds of a Beta(a, b).
pub fn log_odds(a: f64, b: f64) -> Threshold {
    let n = a + b;
    Threshold {
        mode: a.ln() - b.ln(),
        peak: beta_log_weight(a, b, a / n, b / n),
        law: Law::LogOdds {
            less: a.min(b),
            part: a.min(b) / n,
            rest: a.max(b) / n,
            sign: if a < b { 1.0 } else { -1.0 },
        },
    }
}

impl Law {
    fn fall(&self, d: f64) -> f64 {
        match *self {
            Law::LogGamma(a) => a * (d - d.exp_m1()),
            // a d - n log(1 + a/n·(e^d - 1)), or the same seen from the other end: the form whose terms are the smaller
            Law::LogOdds {
                less, part, sign, ..
            } => {
                let x = sign * d;
                less * x - less / part * (part * x.exp_m1()).ln_1p()
            }
        }
    }

    /// (fall', -fall'').
    fn slopes(&self, d: f64) -> (f64, f64) {
        match *self {
            Law::LogGamma(a) => (-a * d.exp_m1(), a * d.exp()),
            Law::LogOdds {
                less,
                part,
                rest,
                sign,
            } => {
                let (e, down) = ((-d.abs()).exp(), (-d.abs()).exp_m1());
                let below = if sign * d < 0.0 {
                    rest + part * e
                } else {
                    rest * e + part
                };
                let slope = less * rest * down / below;
                (
                    if d < 0.0 { -slope } else { slope },
                    less * rest * e / (below * below),
                )
            }
        }
    }
}

impl Threshold {
    /// How far from the mode the density has fallen by e^-depth, to a side of ±1.
    pub fn reach(&self, side: f64, depth: f64) -> f64 {
        extent(|d| self.law.fall(side * d), depth, self.width())
    }

    fn width(&self) -> f64 {
        1.0 / self.law.slopes(0.0).1.sqrt()
    }

    /// log P(s < T) where `upper`, else log P(s > T), for T ~ N(t, sd²), sd > 0; and its derivative in t, without sign.
    pub fn tail(&self, t: f64, sd: f64, upper: bool) -> (f64, f64) {
        self.tail_from(t - self.mode, sd, upper)
    }

    /// The same of a t that is a distance from the mode, as all is in d from here on.
    pub fn tail_from(&self, t: f64, sd: f64, upper: bool) -> (f64, f64) {
        let (side, sd) = (
            if upper { -1.0 } else { 1.0 },
            sd.max(CERTAIN * self.width()),
        );
        let height = |d: f64| self.law.fall(d) + log_normal_cdf(side * (d - t) / sd).0;
        let (mode, width) = self.mode_of(t, sd, side);
        let top = height(mode);
        let [left, right] =
            [-1.0, 1.0].map(|r| extent(|d| height(mode + r * d) - top, DEPTH, width));
        let mut borders = [
            mode - left,
            mode - left / 6.0,
            mode,
            mode + right / 6.0,
            t - FAR * sd,
            t,
            t + FAR * sd,
            mode + right,
        ];
        let (mut total, mut slope) = (0.0, 0.0);
        each_node(&mut borders, mode - left, mode + right, |d, length| {
            let (log_cdf, ratio) = log_normal_cdf(side * (d - t) / sd);
            let mass = length * (self.law.fall(d) + log_cdf - top).exp();
            total += mass;
            slope += mass * ratio;
        });
        (self.peak + top + total.ln(), slope / sd / total)
    }

    /// Where the integrand of a tail is largest, and its width there: towards t from the density's own mode, 0.
    fn mode_of(&self, t: f64, sd: f64, side: f64) -> (f64, f64) {
        let balance = |d: f64| {
            let x = side * (d - t) / sd;
            let ((slope, curvature), ratio) = (self.law.slopes(d), log_normal_cdf(x).1);
            // of log Phi, in (0, 1)
            let bend = if x < -1e3 {
                1.0
            } else {
                (ratio * (x + ratio)).clamp(0.0, 1.0)
            };
            (-slope - side * ratio / sd, curvature + bend / (sd * sd))
        };
        let (width, beyond) = (self.width(), (side * t).max(0.0));
        // the integrand falls where d·|fall'| > 1 > x phi(x)/Phi(x), d and x = (d-t)/sd on the far side of 0 and t
        let (mut far, mut doublings) = (width, 0..60);
        while self.law.slopes(side * far).0.abs() * far < 1.0 && doublings.next().is_some() {
            far *= 2.0;
        }
        let end = side * (beyond + far);
        let start = side * beyond * (width * width / (width * width + sd * sd));
        let slack = 1e-3 * width.min(sd);
        let mode = rising_root(balance, end.min(0.0), end.max(0.0), start, slack);
        (mode, 1.0 / balance(mode).1.sqrt())
    }
}

/// How far a concave function of d >= 0 with fall(0) = 0 goes until -depth; width is that of its parabola.
fn extent(fall: impl Fn(f64) -> f64, depth: f64, width: f64) -> f64 {
    let (mut near, mut far) = (0.0, (2.0 * depth).sqrt() * width);
    let mut doublings = 0..60;
    while fall(far) > -depth && doublings.next().is_some() {
        far *= 2.0;
    }
    for _ in 0..12 {
        let middle = f64::midpoint(near, far);
        if fall(middle) > -depth {
            near = middle;
        } else {
            far = middle;
        }
    }
    far
}

/// Nodes and weights of an integral from low to high: 32 Gauss-Legendre nodes between neighbours of `borders`, which are clipped.
pub fn each_node(borders: &mut [f64], low: f64, high: f64, mut at: impl FnMut(f64, f64)) {
    for x in &mut *borders {
        *x = x.max(low).min(high);
    }
    borders.sort_unstable_by(f64::total_cmp);
    for pair in borders.windows(2) {
        let (middle, length) = (f64::midpoint(pair[0], pair[1]), pair[1] - pair[0]);
        if length > 0.0 {
            for (node, weight) in FEW_NODES {
                at(middle - length * node, length * weight);
                at(middle + length * node, length * weight);
            }
        }
    }
}
