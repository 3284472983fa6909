//! Student's t distribution.

use std::f64::consts::PI;

use super::beta::beta_tails;
use super::gamma::lgamma_ratio;
use super::integral::newton_log;
use super::normal::normal_quantile;

/// P(T > x) and P(0 < T < x) for x >= 0: half the two incomplete beta functions at 1/(1 + x²/dof) (DLMF 8.17.2).
fn tails(x: f64, dof: f64) -> (f64, f64) {
    let r = (x / dof.sqrt()).powi(2);
    let y = if r.is_infinite() { 1.0 } else { r / (1.0 + r) };
    let (beyond, within) = beta_tails(dof / 2.0, 0.5, 1.0 / (1.0 + r), y);
    (0.5 * beyond, 0.5 * within)
}

/// Log density; the two gammas as one ratio, so that large dof tend to the normal density.
fn log_density(x: f64, dof: f64) -> f64 {
    let half = dof / 2.0;
    let r = x.abs() / dof.sqrt();
    let log_kernel = if r < 1e100 {
        (r * r).ln_1p()
    } else {
        2.0 * r.ln()
    };
    lgamma_ratio(half, 0.5) - 0.5 * (PI * dof).ln() - (half + 0.5) * log_kernel
}

/// The x with P(T <= x) = q for dof >= 2; -inf, 0, inf at q = 0, 1/2, 1.
///
/// Newton in log x, on the logarithm of the tail, or of P(0 < T < x) for q in (1/4, 3/4); both are concave there. Start: Wallace 1959,
/// x² = dof (e^(u²/dof) - 1), u = z (8 dof + 3)/(8 dof + 1).
pub fn student_quantile(q: f64, dof: f64) -> f64 {
    let tail = q.min(1.0 - q);
    if !(tail > 0.0 && tail < 0.5 && dof > 0.0 && dof.is_finite()) {
        return match q {
            0.0 => f64::NEG_INFINITY,
            0.5 => 0.0,
            1.0 => f64::INFINITY,
            _ => f64::NAN,
        };
    }
    let centre = tail > 0.25;
    let target = if centre { 0.5 - tail } else { tail }.ln();
    let u = (normal_quantile(tail) * (8.0 * dof + 3.0) / (8.0 * dof + 1.0)).powi(2) / dof;
    let half_log = 0.5 * if u > 30.0 { u } else { u.exp_m1().ln() };
    // never beyond the leading term of the tail, an upper bound: further out the tail may underflow
    let bound = log_density(0.0, dof) + 0.5 * (dof - 1.0) * dof.ln() - tail.ln();
    let start = (dof.sqrt() * half_log.exp()).min((bound / dof).exp());
    let step = |x: f64| {
        let (beyond, within) = tails(x, dof);
        let (mass, sign) = if centre {
            (within, 1.0)
        } else {
            (beyond, -1.0)
        };
        sign * (target - mass.ln()) * mass / (x.ln() + log_density(x, dof)).exp()
    };
    let x = newton_log(step, start);
    if q < 0.5 { -x } else { x }
}
