//! Logarithms without cancellation.

/// log(2 pi)/2.
pub const HALF_LOG_2PI: f64 = 0.918_938_533_204_672_8;

/// log(1+x) - x, without the cancellation at small x.
///
/// log(1+x) = 2 atanh(r), r = x/(2+x) (DLMF 4.6.4), and 2r - x = -x·r exactly.
pub fn log1pmx(x: f64) -> f64 {
    if x.abs() >= 0.25 || x.is_nan() {
        return x.ln_1p() - x;
    }
    let r = x / (2.0 + x);
    // r² <= 1/49: 9 terms reach 49^-9 = 6e-16 of the first.
    let term = |series: f64, k: u32| (series + 1.0 / f64::from(2 * k + 1)) * (r * r);
    r * (2.0 * (1..=9).rev().fold(0.0, term) - x)
}

/// e^x - 1 - x, without the cancellation at small x: its Taylor series for |x| < 1.
pub fn expm1mx(x: f64) -> f64 {
    if x.abs() >= 1.0 || x.is_nan() {
        return x.exp_m1() - x;
    }
    // 2/20! = 8e-19 of the first.
    let term = |series: f64, k: u32| 1.0 + series * x / f64::from(k);
    x * x / 2.0 * (3..=19).rev().fold(1.0, term)
}

/// m - v for m = 1 - e^-v, v >= 0: log1pmx(-m), except where m is too near 1 to tell v from it.
pub fn fall_rest(v: f64, m: f64) -> f64 {
    if v < 0.5 { log1pmx(-m) } else { m - v }
}

/// log(x/a) - (x-a)/a for x, a > 0, accurate both where x is near a and where it is far below.
pub fn log_ratio_rest(x: f64, a: f64) -> f64 {
    let d = (x - a) / a;
    if d.abs() < 0.5 {
        log1pmx(d)
    } else {
        (x / a).ln() - d
    }
}
