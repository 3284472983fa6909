//! The incomplete beta function.

use libm::lgamma;

use super::elementary::{HALF_LOG_2PI, fall_rest, log1pmx};
use super::gamma::{LARGE, lgamma_ratio, stirling_rest};
use super::integral::{integrate, reach};

/// log x, from the smaller of x and y = 1-x.
fn log_of(x: f64, y: f64) -> f64 {
    if x < 0.5 { x.ln() } else { (-y).ln_1p() }
}

/// log of x^a y^b / B(a, b), y = 1-x. With a and b large about the mode (Loader 2000), so that nothing cancels.
pub fn log_weight(a: f64, b: f64, x: f64, y: f64) -> f64 {
    let (large, small) = (a.max(b), a.min(b));
    let (log_x, log_y) = (log_of(x, y), log_of(y, x));
    if small < LARGE || small.is_nan() {
        return a * log_x + b * log_y + lgamma_ratio(large, small) - lgamma(small);
    }
    let n = a + b;
    let (p, q) = (a / n, b / n);
    let e = if x < y { x - p } else { q - y };
    let shape = if e.abs() > 0.5 * p.min(q) {
        n * (p * (log_x - log_of(p, q)) + q * (log_y - log_of(q, p)))
    } else {
        n * (p * log1pmx(e / p) + q * log1pmx(-e / q))
    };
    let rest = stirling_rest(n) - stirling_rest(n * p) - stirling_rest(n * q);
    0.5 * (n * p * q).ln() - HALF_LOG_2PI + shape + rest
}

/// I_x(a, b) for x up to about the mean.
///
/// I = x^a y^b/B ∫_0^∞ e^(-a v) (1 - x e^-v)^(b-1) / y^b dv (DLMF 8.17.1 with t = x e^-v); a < 1 goes through
/// I(a) = I(a+1) + x^a y^b/(a B) (DLMF 8.17.20).
fn near_tail(a: f64, b: f64, x: f64, y: f64, weight: f64) -> f64 {
    let up = if a < 1.0 { a + 1.0 } else { a };
    let odds = x / y;
    // -a v + (b-1) log((1 - x e^-v)/(1-x)), arranged so that nothing of size a or b cancels
    let log_f = |v: f64| {
        let m = -(-v).exp_m1();
        ((b - 1.0) * odds - up) * m + up * fall_rest(v, m) + (b - 1.0) * log1pmx(odds * m)
    };
    let slope_f = |v: f64| (b - 1.0) * odds * (-v).exp() / (1.0 - odds * (-v).exp_m1()) - up;
    // b <= 1: the logarithm is convex, and falls at least as fast as -a v
    let slope = if b > 1.0 {
        (up - (b - 1.0) * odds).max(0.0)
    } else {
        up
    };
    let curvature = (b - 1.0).max(0.0) * odds / y;
    let body = weight / y * integrate(log_f, reach(log_f, slope_f, slope, curvature));
    if a < 1.0 {
        body * x * (a + b) / a + weight / a
    } else {
        body
    }
}

/// I_x(a, b) and I_y(b, a); x + y = 1, both given so that neither loses digits.
pub fn beta_tails(a: f64, b: f64, x: f64, y: f64) -> (f64, f64) {
    if !(a > 0.0 && b > 0.0 && a.is_finite() && b.is_finite() && x >= 0.0 && y >= 0.0) {
        return (f64::NAN, f64::NAN);
    }
    if x == 0.0 || y == 0.0 {
        return if x == 0.0 { (0.0, 1.0) } else { (1.0, 0.0) };
    }
    let weight = log_weight(a, b, x, y).exp();
    // the mean, kept one count away from either end, where the other factor is singular
    if x * b.max(1.0) <= y * a.max(1.0) {
        let tail = near_tail(a, b, x, y, weight).min(1.0);
        (tail, 1.0 - tail)
    } else {
        let tail = near_tail(b, a, y, x, weight).min(1.0);
        (1.0 - tail, tail)
    }
}
