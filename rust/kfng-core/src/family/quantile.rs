//! Quantiles of y with a normal output t ~ N(z, sd²) integrated out, one law of y each; sd = 0 is the law itself.

use super::Seen;
use super::quadrature::{LOG_2PI, narrowed, rising_root};
use super::special::{beta_tails, gamma_quantile, gamma_tails, log_normal_cdf, normal_quantile};
use super::threshold::{DEPTH, FAR, each_node, log_gamma, log_odds};

/// Beyond, neighbouring counts are the same float64.
const LARGEST_COUNT: f64 = 9_007_199_254_740_992.0;

/// z and its standard deviation, of one output.
fn output(row: &Seen<'_>) -> (f64, f64) {
    (row.z[0], row.c.first().map_or(0.0, |c| c.sqrt()))
}

/// The `ends` at levels 0 and 1, `inner` between; NaN where `z` is.
fn each(z: f64, levels: &[f64], out: &mut [f64], ends: [f64; 2], inner: impl Fn(f64) -> f64) {
    for (out, &level) in out.iter_mut().zip(levels) {
        *out = match level {
            _ if z.is_nan() || level.is_nan() => f64::NAN,
            _ if level <= 0.0 => ends[0],
            _ if level >= 1.0 => ends[1],
            _ => inner(level),
        };
    }
}

/// The smallest k with P(y <= k) >= level of each level: 0 at level 0, infinite at 1.
///
/// - guess: about the quantile at a t
/// - tail: of k, P(y > k) where true, else P(y <= k)
fn counts(
    row: &Seen<'_>,
    levels: &[f64],
    out: &mut [f64],
    guess: impl Fn(f64) -> f64,
    tail: impl Fn(f64, bool) -> f64,
) {
    let (t, sd) = output(row);
    each(t, levels, out, [0.0, f64::INFINITY], |level| {
        let start = guess(t + sd * normal_quantile(level));
        if start >= LARGEST_COUNT || start.is_nan() {
            return start;
        }
        smallest(start, |k| {
            // asked of the smaller one
            if level > 0.5 {
                tail(k, true) <= 1.0 - level
            } else {
                tail(k, false) >= level
            }
        })
    });
}

/// The smallest whole k >= 0 that has `reached`: doubling steps from `start` until it is bracketed, then halves.
fn smallest(start: f64, reached: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high, mut stride) = (-1.0, f64::INFINITY, 1.0);
    let (mut probe, mut failed) = (start.floor().max(0.0), false);
    for _ in 0..200 {
        if reached(probe) {
            high = probe;
        } else {
            (low, failed) = (probe, true);
        }
        if high - low <= 1.0 {
            break;
        }
        let middle = f64::midpoint(low, high).floor();
        probe = match (high.is_infinite(), failed) {
            (true, _) => low + stride,
            (false, true) => middle,
            (false, false) => middle.max(high - stride),
        };
        stride *= 2.0;
    }
    high
}

fn either((up_to, beyond): (f64, f64), upper: bool) -> f64 {
    if upper { beyond } else { up_to }
}

/// Poisson; counts too large for float64 to tell apart by the log-normal law of the mean.
pub fn poisson(row: &Seen<'_>, levels: &[f64], out: &mut [f64]) {
    let (t, sd) = output(row);
    counts(row, levels, out, f64::exp, |k, upper| {
        if sd > 0.0 {
            return log_gamma(k + 1.0).tail(t, sd, upper).0.exp();
        }
        let (beyond, up_to) = gamma_tails(k + 1.0, t.exp());
        either((up_to, beyond), upper)
    });
}

/// Negative binomial; counts too large for float64 to tell apart by the law of their continuous limit.
pub fn negative_binomial(row: &Seen<'_>, dispersion: f64, levels: &[f64], out: &mut [f64]) {
    let ((t, sd), shape) = (output(row), 1.0 / dispersion);
    if t > 30.0 {
        return gamma(row, shape, levels, out);
    }
    let guess = |t: f64| t.min(30.0).exp();
    counts(row, levels, out, guess, |k, upper| {
        if sd > 0.0 {
            let law = log_odds(k + 1.0, shape);
            return law.tail(t + dispersion.ln(), sd, upper).0.exp();
        }
        let r = dispersion * t.exp();
        let tails = beta_tails(shape, k + 1.0, 1.0 / (1.0 + r), r / (1.0 + r));
        either(tails, upper)
    });
    for (out, &level) in out.iter_mut().zip(levels) {
        if *out >= LARGEST_COUNT && level < 1.0 {
            gamma(row, shape, &[level], std::slice::from_mut(out));
        }
    }
}

/// Binomial of n trials, the largest count at level 1.
pub fn binomial(row: &Seen<'_>, n: f64, levels: &[f64], out: &mut [f64]) {
    let (t, sd) = output(row);
    let p = 1.0 / (1.0 + (-t).exp());
    let guess = |t: f64| n / (1.0 + (-t).exp());
    counts(row, levels, out, guess, |k, upper| {
        if k >= n {
            either((1.0, 0.0), upper)
        } else if sd > 0.0 {
            log_odds(k + 1.0, n - k).tail(t, sd, upper).0.exp()
        } else {
            either(beta_tails(n - k, k + 1.0, 1.0 - p, p), upper)
        }
    });
    for out in out {
        *out = if *out > n { n } else { *out }; // NaN stays
    }
}

/// Whether the upper tail is the smaller one, and the logarithm of the smaller one.
fn log_tail_of(level: f64) -> (bool, f64) {
    let upper = level > 0.5;
    (upper, if upper { 1.0 - level } else { level }.ln())
}

/// Gamma: log y by Newton on the logarithm of a tail, which is concave; 0 at level 0, infinite at 1.
///
/// In log y - t, so that quantiles that are nearly the same are in order.
pub fn gamma(row: &Seen<'_>, shape: f64, levels: &[f64], out: &mut [f64]) {
    let (t, sd) = output(row);
    let law = log_gamma(shape);
    each(t, levels, out, [0.0, f64::INFINITY], |level| {
        if sd.is_nan() || sd <= 0.0 {
            return t.exp() * gamma_quantile(shape, level) / shape;
        }
        let (upper, log_level) = log_tail_of(level);
        let (sign, depth) = (if upper { -1.0 } else { 1.0 }, DEPTH - log_level);
        // y <= e^(t+x) iff T > 0, T the threshold of mean x + log(shape), which is x from its mode: its upper tail is the lower one of y
        let excess = |x: f64| {
            let (log_tail, slope) = law.tail_from(x, sd, !upper);
            (sign * (log_tail - log_level), slope)
        };
        // a tail below e^-40 of the level's is beyond any doubt
        let spread = (2.0 * depth).sqrt() * sd;
        let low = -spread - law.reach(-1.0, depth);
        let high = spread + law.reach(1.0, depth);
        let slack = 1e-15 * (high - low);
        (t + rising_root(excess, low, high, sd * normal_quantile(level), slack)).exp()
    });
}

/// A mixture over v ~ N(0, 1) of normals; `at` v gives mean and standard deviation, the mean linear in v; infinite at levels 0 and 1.
///
/// A tail is the mean over v of a normal tail, which is integrated where their product is not negligible: it may fall within a narrow range
/// about the v at which y is the mean.
pub fn normal_mixture(at: impl Fn(f64) -> (f64, f64), levels: &[f64], out: &mut [f64]) {
    let ends = [f64::NEG_INFINITY, f64::INFINITY];
    each(at(0.0).0, levels, out, ends, |level| within(&at, level));
}

fn within(at: &impl Fn(f64) -> (f64, f64), level: f64) -> f64 {
    let ((upper, log_level), quantile) = (log_tail_of(level), normal_quantile(level));
    let side = if upper { -1.0 } else { 1.0 };
    let reach = (2.0 * (DEPTH - log_level)).sqrt();
    let (mean, sd) = at(0.0);
    let slope = (at(reach).0 - at(-reach).0) / (2.0 * reach);
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for (mean, sd) in [at(-reach), at(reach)] {
        for edge in [mean, mean + sd * quantile] {
            (low, high) = (low.min(edge), high.max(edge));
        }
    }
    let excess = |y: f64| {
        let log_tail = |v: f64| {
            let (mean, sd) = at(v);
            let (log_cdf, ratio) = log_normal_cdf(side * (y - mean) / sd);
            (log_cdf - 0.5 * (v * v + LOG_2PI), ratio / sd)
        };
        let (low, high) = narrowed(|v| log_tail(v).0, -reach, reach);
        let cross = (y - mean) / slope;
        let ramp = FAR * (at(cross).1 / slope).abs();
        let mut borders = [low; 10];
        for (i, border) in borders.iter_mut().enumerate() {
            *border = match i {
                7..=9 => cross + (i as f64 - 8.0) * ramp,
                _ => low + (high - low) * i as f64 / 6.0,
            };
            *border = if border.is_nan() { low } else { *border };
        }
        let (mut total, mut density) = (0.0, 0.0);
        each_node(&mut borders, low, high, |v, length| {
            let (height, ratio) = log_tail(v);
            let mass = length * height.exp();
            total += mass;
            density += mass * ratio;
        });
        (side * (total.ln() - log_level), density / total)
    };
    rising_root(excess, low, high, mean + sd * quantile, 0.0)
}
