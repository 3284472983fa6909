//! Integrals over a normal output z: predictive densities. Everything is in v = (t - z)/sd, so that sd = 0 needs no care.

use super::Seen;

/// log(2 pi).
pub const LOG_2PI: f64 = 1.837_877_066_409_345_6;
/// Most iterations of a root.
const NEWTON: usize = 100;
/// An integrand below e^-32 of its largest value is dropped.
pub const DEPTH: f64 = 32.0;
const COARSE: usize = 33;
const ROUNDS: usize = 5;
/// A round leaves a sixteenth at least: after five of them the nodes are still close enough together.
pub const WIDE: f64 = 1e4;
/// From anything that float64 holds.
const ROUNDS_FROM_FAR: usize = 270;
const FINE: usize = 256;

/// The positive half of 48 Gauss-Hermite nodes for N(0, 1), with the logs of their weights. Source: DLMF 3.5(v).
pub const NODES: [(f64, f64); 24] = [
    (0.225_557_072_980_163_3, -1.740_323_996_620_669_8),
    (0.676_908_142_206_347_4, -1.942_937_373_183_129),
    (1.128_973_231_509_648_1, -2.349_012_345_145_202),
    (1.582_239_319_674_964, -2.960_265_066_198_891),
    (2.037_210_303_259_033, -3.779_320_176_588_816),
    (2.494_414_743_040_023, -4.809_774_548_083_482),
    (2.954_414_688_880_119_5, -6.056_288_074_504_875),
    (3.417_816_048_684_776, -7.524_707_295_638_788),
    (3.885_281_117_248_391_4, -9.222_230_285_926_377),
    (4.357_544_108_790_291, -11.157_625_002_501_245),
    (4.835_430_885_878_956, -13.341_518_832_044_219),
    (5.319_884_620_419_086, -15.786_785_508_218_84),
    (5.811_999_987_702_531, -18.509_068_804_902_412),
    (6.313_069_914_905_499, -21.527_503_886_223_965),
    (6.824_651_320_745_979, -24.865_733_367_777_207),
    (7.348_660_565_908_913, -28.553_378_724_520_517),
    (7.887_517_316_500_365, -32.628_245_153_112_6),
    (8.444_371_322_523_448, -37.139_768_386_514_37),
    (9.023_480_280_417_651, -42.154_698_058_204_296),
    (9.630_885_686_949_06, -47.767_136_648_052_91),
    (10.275_741_581_733_518, -54.117_986_119_459_35),
    (10.973_300_958_513_553, -61.437_882_137_084_905),
    (11.753_178_461_616_617, -70.163_311_201_720_75),
    (12.693_012_315_439_578, -81.394_075_441_884_8),
];

/// log(e^a + e^b).
pub fn log_add_exp(a: f64, b: f64) -> f64 {
    a.max(b) + (-(a - b).abs()).exp().ln_1p()
}

/// log of the sum of exp(x), x given twice: for its largest value, and for the sum.
pub fn log_sum_exp(x: impl Iterator<Item = f64> + Clone) -> f64 {
    let top = x.clone().fold(f64::NEG_INFINITY, f64::max);
    let top = if top.is_finite() { top } else { 0.0 };
    top + x.map(|x| (x - top).exp()).sum::<f64>().ln()
}

/// The root of an increasing function between low and high, to 1e-13 of itself or to `slack`; f gives value and slope.
///
/// Newton from `start`; where a step leaves the bracket or is not half the step before, the bracket is halved, in asinh so that one of
/// 1e130 is soon small. Source: Press et al., Numerical Recipes, rtsafe.
pub fn rising_root(
    f: impl Fn(f64) -> (f64, f64),
    mut low: f64,
    mut high: f64,
    start: f64,
    slack: f64,
) -> f64 {
    let (mut x, mut before) = (start, high - low);
    for _ in 0..NEWTON {
        let (value, slope) = f(x);
        low = if value <= 0.0 { x } else { low };
        high = if value >= 0.0 { x } else { high };
        let newton = x - value / slope;
        let trusted = newton >= low && newton <= high && (newton - x).abs() <= before / 2.0;
        let moved = if trusted {
            newton
        } else {
            f64::midpoint(low.asinh(), high.asinh())
                .sinh()
                .max(low)
                .min(high)
        };
        before = (moved - x).abs();
        x = moved;
        // NaN has nothing to wait for.
        if before.is_nan() || before <= slack.max(1e-13 * x.abs()) {
            break;
        }
    }
    x
}

/// -log ∫ N(t; z, q) exp(-nll(t)) dt for a convex nll whose (-nll', nll'') are `slopes`.
///
/// With t = z + sqrt(q)·v the integrand has its mode where v = sqrt(q)·score, and there the width 1/sqrt(1 + q·curvature); 48
/// Gauss-Hermite nodes are centred and scaled by these. Source: Liu & Pierce 1994, Biometrika 81.
pub fn laplace_hermite(
    row: &Seen<'_>,
    nll: impl Fn(f64) -> f64,
    slopes: impl Fn(f64) -> (f64, f64),
) -> f64 {
    let (z, q) = (row.z[0], row.c[0]);
    if row.y[0].is_nan() || z.is_nan() {
        return f64::NAN;
    }
    let sd = q.sqrt();
    let balance = |v: f64| {
        let (score, curvature) = slopes(z + sd * v);
        (v - sd * score, 1.0 + q * curvature)
    };
    let edge = (sd * slopes(z).0).clamp(-1e300, 1e300);
    let mode = rising_root(balance, edge.min(0.0), edge.max(0.0), 0.0, 0.0);
    let width = 1.0 / balance(mode).1.sqrt();
    let mut terms = [0.0; 2 * NODES.len()];
    for (pair, (node, log_weight)) in terms.as_chunks_mut::<2>().0.iter_mut().zip(NODES) {
        for (term, node) in pair.iter_mut().zip([-node, node]) {
            let v = mode + width * node;
            *term = log_weight + (node * node - v * v) / 2.0 - nll(z + sd * v);
        }
    }
    -width.ln() - log_sum_exp(terms.into_iter())
}

/// Where height is within DEPTH of its largest value between low and high: a grid of 33 nodes, narrowed five times, more often from far.
pub fn narrowed(height: impl Fn(f64) -> f64, mut low: f64, mut high: f64) -> (f64, f64) {
    let rounds = if high - low < WIDE {
        ROUNDS
    } else {
        ROUNDS_FROM_FAR
    };
    for _ in 0..rounds {
        let step = (high - low) / (COARSE - 1) as f64;
        let heights: [f64; COARSE] = std::array::from_fn(|i| height(low + step * i as f64));
        let least = heights.iter().copied().fold(f64::NEG_INFINITY, f64::max) - DEPTH;
        let kept = |h: &f64| *h >= least; // equal where DEPTH is lost to rounding
        let first = heights.iter().position(kept).unwrap_or(0);
        let last = heights.iter().rposition(kept).unwrap_or(COARSE - 1);
        high = low + step * (last + 1).min(COARSE - 1) as f64;
        low += step * first.saturating_sub(1) as f64;
    }
    (low, high)
}

/// log ∫ N(v; 0, 1) exp(log_f(v)) dv for an f of any shape, whose product with N(v) is negligible beyond ±reach.
///
/// Where the integrand is within e^-32 of its largest value it is summed by the trapezoidal rule with 256 nodes, which converges
/// geometrically for what is analytic and falls like a normal.
pub fn log_normal_mean(log_f: impl Fn(f64) -> f64, reach: f64) -> f64 {
    let height = |v: f64| log_f(v) - v * v / 2.0;
    let (low, high) = narrowed(height, -reach, reach);
    let step = (high - low) / (FINE - 1) as f64;
    let heights: [f64; FINE] = std::array::from_fn(|i| height(low + step * i as f64));
    step.ln() - LOG_2PI / 2.0 + log_sum_exp(heights.into_iter())
}

#[cfg(test)]
mod tests {
    use super::{NODES, laplace_hermite, log_normal_mean};
    use crate::family::Seen;

    #[test]
    fn the_nodes_know_the_moments_of_a_normal() {
        let moment = |n: i32| 2.0 * NODES.map(|(x, w)| x.powi(n) * w.exp()).iter().sum::<f64>();
        for (n, expected) in [(0, 1.0), (2, 1.0), (4, 3.0), (6, 15.0), (8, 105.0)] {
            assert!((moment(n) / expected - 1.0).abs() < 1e-13, "moment {n}");
        }
    }

    #[test]
    fn a_normal_integrand_is_integrated_exactly() {
        let exact = |z: f64, q: f64, y: f64| 0.5 * ((y - z).powi(2) / (1.0 + q) + (1.0 + q).ln());
        for (z, q, y) in [
            (0.0, 1.0, 0.5),
            (3.0, 0.0, -1.0),
            (-2.0, 1e4, 900.0),
            (1.0, 1e-12, 7.0),
        ] {
            let row = Seen {
                z: &[z],
                c: &[q],
                y: &[y],
                a: &[],
                b: &[],
            };
            let nll = |t: f64| (y - t).powi(2) / 2.0;
            let found = laplace_hermite(&row, nll, |t| (y - t, 1.0));
            assert!((found - exact(z, q, y)).abs() < 1e-12 * exact(z, q, y).max(1.0));
            let reach = (exact(z, q, y) * 2.0 + 64.0).sqrt() + q.sqrt();
            let found = -log_normal_mean(|v| -nll(z + q.sqrt() * v), reach);
            assert!((found - exact(z, q, y)).abs() < 1e-10 * exact(z, q, y).max(1.0));
        }
    }
}
