//! The integral of a log-concave function that falls from 1, and Newton's method for a quantile.

use super::nodes::NODES;

/// The integrand is dropped once it is below e^-40 of its start.
pub const DEPTH: f64 = 40.0;

/// ∫ from 0 to reach of exp(log_f(s)) ds.
pub fn integrate(log_f: impl Fn(f64) -> f64, reach: f64) -> f64 {
    let pair = |(x, weight): (f64, f64)| {
        weight * (log_f(reach * (0.5 - x)).exp() + log_f(reach * (0.5 + x)).exp())
    };
    reach * NODES.map(pair).iter().sum::<f64>()
}

/// Where a concave log_f with log_f(0) = 0 has fallen to about -DEPTH.
///
/// Starts at the root of the parabola with `slope` = -log_f'(0) >= 0 and `curvature` = -log_f''(0) >= 0. Newton on a concave function
/// comes from the right after its first step, so the reach is never too short by much.
pub fn reach(
    log_f: impl Fn(f64) -> f64,
    slope_f: impl Fn(f64) -> f64,
    slope: f64,
    curvature: f64,
) -> f64 {
    let parabola =
        2.0 * DEPTH / (slope + (slope * slope + 2.0 * DEPTH * curvature).max(0.0).sqrt());
    (0..6).fold(parabola, |v, _| v - (log_f(v) + DEPTH) / slope_f(v))
}

/// The x > 0 of Newton's method in log x; `step(x)` is the proposed change of log x, cut at ±2.
pub fn newton_log(step: impl Fn(f64) -> f64, start: f64) -> f64 {
    let mut x = start;
    for _ in 0..100 {
        let change = step(x).clamp(-2.0, 2.0);
        x *= change.exp();
        // 1e-9 leaves 1e-18 after a quadratic step; NaN has nothing to wait for.
        if change.is_nan() || change.abs() <= 1e-9 {
            break;
        }
    }
    x
}
