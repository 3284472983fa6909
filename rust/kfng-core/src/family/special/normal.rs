//! The normal distribution.

use std::f64::consts::FRAC_1_SQRT_2;

use libm::{erf, erfc};

use super::elementary::HALF_LOG_2PI;

/// P(X <= x) and P(X > x), each with its own relative accuracy.
pub fn normal_tails(x: f64) -> (f64, f64) {
    let small = 0.5 * erfc(x.abs() * FRAC_1_SQRT_2);
    if x < 0.0 {
        (small, 1.0 - small)
    } else {
        (1.0 - small, small)
    }
}

/// (log P(X <= x), density(x)/P(X <= x)), the second its derivative; finite where the tail itself underflows.
pub fn log_normal_cdf(x: f64) -> (f64, f64) {
    let log_density = -x * x / 2.0 - HALF_LOG_2PI;
    if x > -30.0 {
        let (below, beyond) = normal_tails(x);
        let log_below = if x < 0.0 {
            below.ln()
        } else {
            (-beyond).ln_1p()
        };
        return (log_below, log_density.exp() / below);
    }
    // DLMF 7.12.1: the first term left out is below 1e-15
    let r = 1.0 / (x * x);
    let term = |series: f64, odd: f64| 1.0 - odd * r * series;
    let series = [11.0, 9.0, 7.0, 5.0, 3.0, 1.0].into_iter().fold(1.0, term);
    (log_density + (series / -x).ln(), -x / series)
}

/// The x with P(X <= x) = q; -inf, 0, inf at q = 0, 1/2, 1.
///
/// Start of Abramowitz & Stegun 26.2.23, right to 4.5e-4, then three Newton steps, on the logarithm of the tail below 0.2.
pub fn normal_quantile(q: f64) -> f64 {
    let p = q.min(1.0 - q); // exact: 1-q is exact for q >= 1/2
    if !(p > 0.0 && p < 0.5) {
        return match q {
            0.0 => f64::NEG_INFINITY,
            0.5 => 0.0,
            1.0 => f64::INFINITY,
            _ => f64::NAN,
        };
    }
    let t = (-2.0 * p.ln()).sqrt();
    let above = (0.010_328 * t + 0.802_853) * t + 2.515_517;
    let mut x = above / (((0.001_308 * t + 0.189_269) * t + 1.432_788) * t + 1.0) - t;
    for _ in 0..3 {
        let log_density = -x * x / 2.0 - HALF_LOG_2PI;
        x -= if p > 0.2 {
            (0.5 * erf(x * FRAC_1_SQRT_2) - (p - 0.5)) / log_density.exp()
        } else {
            let log_tail = log_normal_cdf(x).0; // its derivative is density/tail
            (log_tail - p.ln()) * (log_tail - log_density).exp()
        };
    }
    if q > 0.5 { -x } else { x }
}
