//! Quantiles of y with a normal output t ~ N(z, sd²) integrated out, one law of y each; sd = 0 is the law itself.

use super::Seen;
use super::quadrature::rising_root;
use super::special::{beta_tails, gamma_quantile, gamma_tails, normal_quantile, normal_tails};
use super::threshold::{FAR, Threshold, log_gamma, log_odds};

/// Beyond, neighbouring counts are the same float64.
const LARGEST_COUNT: f64 = 9_007_199_254_740_992.0;
/// Nodes of a mixture of normals.
const NODES: usize = 512;

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
/// - tails: P(y <= k) and P(y > k)
fn counts(
    row: &Seen<'_>,
    levels: &[f64],
    out: &mut [f64],
    guess: impl Fn(f64) -> f64,
    tails: impl Fn(f64) -> (f64, f64),
) {
    let (t, sd) = output(row);
    each(t, levels, out, [0.0, f64::INFINITY], |level| {
        let start = guess(t + sd * normal_quantile(level));
        if start >= LARGEST_COUNT || start.is_nan() {
            return start;
        }
        smallest(start, |k| {
            let (up_to, beyond) = tails(k); // asked of the smaller one
            if level > 0.5 {
                beyond <= 1.0 - level
            } else {
                up_to >= level
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

fn tails_of<F: Fn(f64) -> f64>(law: &Threshold<F>, t: f64, sd: f64) -> (f64, f64) {
    let (up_to, beyond, _) = law.above(t, sd);
    (up_to, beyond)
}

/// Poisson; counts too large for float64 to tell apart by the log-normal law of the mean.
pub fn poisson(row: &Seen<'_>, levels: &[f64], out: &mut [f64]) {
    let (t, sd) = output(row);
    counts(row, levels, out, f64::exp, |k| {
        if sd > 0.0 {
            tails_of(&log_gamma(k + 1.0), t, sd)
        } else {
            let (beyond, up_to) = gamma_tails(k + 1.0, t.exp());
            (up_to, beyond)
        }
    });
}

/// Negative binomial; counts too large for float64 to tell apart by the law of their continuous limit.
pub fn negative_binomial(row: &Seen<'_>, dispersion: f64, levels: &[f64], out: &mut [f64]) {
    let ((t, sd), shape) = (output(row), 1.0 / dispersion);
    if t > 30.0 {
        return gamma(row, shape, levels, out);
    }
    counts(
        row,
        levels,
        out,
        |t| t.min(30.0).exp(),
        |k| {
            if sd > 0.0 {
                tails_of(&log_odds(k + 1.0, shape), t + dispersion.ln(), sd)
            } else {
                let r = dispersion * t.exp();
                beta_tails(shape, k + 1.0, 1.0 / (1.0 + r), r / (1.0 + r))
            }
        },
    );
}

/// Binomial of n trials, the largest count at level 1.
pub fn binomial(row: &Seen<'_>, n: f64, levels: &[f64], out: &mut [f64]) {
    let (t, sd) = output(row);
    let p = 1.0 / (1.0 + (-t).exp());
    counts(
        row,
        levels,
        out,
        |_| 0.0,
        |k| {
            if k >= n {
                (1.0, 0.0)
            } else if sd > 0.0 {
                tails_of(&log_odds(k + 1.0, n - k), t, sd)
            } else {
                beta_tails(n - k, k + 1.0, 1.0 - p, p)
            }
        },
    );
    for out in out {
        *out = if *out > n { n } else { *out }; // NaN stays
    }
}

/// Gamma: log y by Newton within a bracket; 0 at level 0, infinite at 1.
pub fn gamma(row: &Seen<'_>, shape: f64, levels: &[f64], out: &mut [f64]) {
    let (t, sd) = output(row);
    let (law, log_shape) = (log_gamma(shape), shape.ln());
    let low = t - FAR * sd + law.mode - law.left - log_shape;
    let high = t + FAR * sd + law.mode + law.right - log_shape;
    each(t, levels, out, [0.0, f64::INFINITY], |level| {
        if sd.is_nan() || sd <= 0.0 {
            return t.exp() * gamma_quantile(shape, level) / shape;
        }
        let excess = |x: f64| {
            let (beyond, up_to, density) = law.above(x + log_shape - t, sd);
            let upper = (1.0 - level) - beyond;
            (if level > 0.5 { upper } else { up_to - level }, density)
        };
        rising_root(excess, low, high, t + sd * normal_quantile(level)).exp()
    });
}

/// A mixture over v ~ N(0, 1) of normals whose (mean, standard deviation) `at` gives; infinite at levels 0 and 1.
pub fn normal_mixture(at: impl Fn(f64) -> (f64, f64), levels: &[f64], out: &mut [f64]) {
    let mut parts = [(0.0, 0.0, 0.0); NODES];
    for (i, part) in parts.iter_mut().enumerate() {
        let v = FAR * (2.0 * i as f64 / (NODES - 1) as f64 - 1.0);
        let (mean, sd) = at(v);
        *part = (mean, sd, (-v * v / 2.0).exp());
    }
    let sum: f64 = parts.iter().map(|part| part.2).sum();
    for part in &mut parts {
        part.2 /= sum;
    }
    let ends = [f64::NEG_INFINITY, f64::INFINITY];
    each(parts[0].0, levels, out, ends, |level| within(&parts, level));
}

fn within(parts: &[(f64, f64, f64)], level: f64) -> f64 {
    let quantile = normal_quantile(level);
    let (mut low, mut high, mut start) = (f64::INFINITY, f64::NEG_INFINITY, 0.0);
    for &(mean, sd, weight) in parts {
        let edge = mean + sd * quantile;
        (low, high, start) = (low.min(edge), high.max(edge), start + weight * edge);
    }
    let excess = |y: f64| {
        let (mut mass, mut density) = (0.0, 0.0);
        for &(mean, sd, weight) in parts {
            let x = (y - mean) / sd;
            let (below, beyond) = normal_tails(x);
            mass += weight * if level <= 0.5 { below } else { beyond };
            density += weight * (-0.5 * x * x).exp() / sd;
        }
        let density = density / std::f64::consts::TAU.sqrt();
        if level <= 0.5 {
            (mass - level, density)
        } else {
            ((1.0 - level) - mass, density)
        }
    };
    rising_root(excess, low, high, start)
}
