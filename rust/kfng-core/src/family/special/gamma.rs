//! The incomplete gamma functions and the quantiles of the gamma distribution.

use libm::lgamma;

use super::elementary::{HALF_LOG_2PI, fall_rest, log_ratio_rest, log1pmx};
use super::integral::{integrate, newton_log, reach};
use super::normal::normal_quantile;

/// From here Stirling's series with 8 terms is exact to rounding.
pub const LARGE: f64 = 10.0;
/// B_2k / (2k (2k-1)), k = 1..8.
const STIRLING: [f64; 8] = [
    1.0 / 12.0,
    -1.0 / 360.0,
    1.0 / 1260.0,
    -1.0 / 1680.0,
    1.0 / 1188.0,
    -691.0 / 360_360.0,
    1.0 / 156.0,
    -3617.0 / 122_400.0,
];

/// log Gamma(x) - [(x-1/2) log x - x + log(2 pi)/2], for x >= LARGE (DLMF 5.11.1).
pub fn stirling_rest(x: f64) -> f64 {
    let inverse_square = 1.0 / (x * x);
    let term = |series: f64, coefficient: &f64| series * inverse_square + coefficient;
    STIRLING.iter().rev().fold(0.0, term) / x
}

/// log Gamma(a+b) - log Gamma(a) for b > 0, without the cancellation of large logarithms.
pub fn lgamma_ratio(a: f64, b: f64) -> f64 {
    if a < LARGE || a.is_nan() {
        return lgamma(a + b) - lgamma(a);
    }
    let r = b / a;
    let rest = stirling_rest(a + b) - stirling_rest(a);
    b * a.ln() + a * log1pmx(r) + (b - 0.5) * r.ln_1p() + rest
}

/// log of x^a e^-x / Gamma(a): the density of log X. For large a about its mode (Loader 2000).
pub fn log_weight(a: f64, x: f64) -> f64 {
    if a < LARGE {
        return a * x.ln() - x - lgamma(a);
    }
    0.5 * a.ln() - HALF_LOG_2PI + a * log_ratio_rest(x, a) - stirling_rest(a)
}

/// P(a, x) and Q(a, x), by integrating the smaller tail away from x.
///
/// ```text
/// P = w ∫_0^∞ e^(-a v + x(1 - e^-v)) dv  (t = x e^-v),   Q = w ∫_0^∞ (1+s)^(a-1) e^(-x s) ds  (t = x(1+s)),
/// w = x^a e^-x / Gamma(a)                                 (DLMF 8.2.1, 8.2.2, 8.2.4)
/// ```
///
/// a < 1 goes through P(a) = P(a+1) + w/a (8.8.5).
pub fn gamma_tails(a: f64, x: f64) -> (f64, f64) {
    if !(a > 0.0 && a.is_finite() && x >= 0.0) {
        return (f64::NAN, f64::NAN);
    }
    if x == 0.0 || x.is_infinite() {
        return if x == 0.0 { (0.0, 1.0) } else { (1.0, 0.0) };
    }
    let weight = log_weight(a, x).exp();
    if x <= a.max(1.0) {
        let lower = lower_tail(a, x, weight).min(1.0);
        return (lower, 1.0 - lower);
    }
    let log_f = |s: f64| (a - 1.0) * log1pmx(s) + (a - 1.0 - x) * s;
    let slope = |s: f64| (a - 1.0) / (1.0 + s) - x;
    let far = reach(log_f, slope, x - a + 1.0, (a - 1.0).max(0.0));
    let upper = (weight * integrate(log_f, far)).min(1.0);
    (1.0 - upper, upper)
}

fn lower_tail(a: f64, x: f64, weight: f64) -> f64 {
    let up = if a < 1.0 { a + 1.0 } else { a };
    // -a v + x m, arranged so that nothing of size a cancels
    let log_f = |v: f64| {
        let m = -(-v).exp_m1();
        (x - up) * m + up * fall_rest(v, m)
    };
    let far = reach(log_f, |v| x * (-v).exp() - up, up - x, x);
    let body = integrate(log_f, far);
    if a < 1.0 {
        weight * x / a * body + weight / a
    } else {
        weight * body
    }
}

/// The x with P(a, x) = q, for 0 < q < 1.
///
/// Newton on log P or log Q in log x, both concave there. Start: Wilson & Hilferty 1931, or the leading term P ≈ x^a / Gamma(a+1), which is
/// itself the answer once x is below the rounding of 1.
pub fn gamma_quantile(a: f64, q: f64) -> f64 {
    let below = q <= 0.5;
    let log_tail = if below { q } else { 1.0 - q }.ln();
    let leading = (q.ln() + lgamma(a + 1.0)) / a; // log x, never above the root
    if leading < -45.0 {
        return leading.exp();
    }
    let cube = 1.0 - 1.0 / (9.0 * a) + normal_quantile(q) / (3.0 * a.sqrt());
    let start = leading.max(a.ln() + 3.0 * cube.max(1e-100).ln()).exp();
    let step = |x: f64| {
        let (lower, upper) = gamma_tails(a, x);
        let (tail, sign) = if below { (lower, 1.0) } else { (upper, -1.0) };
        sign * (log_tail - tail.ln()) * tail / log_weight(a, x).exp()
    };
    newton_log(step, start)
}
