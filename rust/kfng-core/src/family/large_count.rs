//! -log densities of large counts, about their own z, so that nothing of size y log y cancels.
//!
//! The laws of counts are, in s = z - (the z at which y is the mean) and with x = y/(y + other), but for a constant
//!
//! ```text
//! (y + other) [log(1 + x (e^s - 1)) - x s] >= 0,
//! ```
//!
//! `other` = n - y for the binomial law, 1/dispersion for the negative binomial, infinite for Poisson's, where it is y (e^s - 1 - s).
//! The constant is what remains at s = 0, by Stirling's series (DLMF 5.11.1).

use libm::lgamma;

use super::Seen;
use super::bernoulli::{log1pexp, moments};
use super::quadrature::{NODES, log_sum_exp, rising_root};
use super::special::{HALF_LOG_2PI, LARGE, expm1mx, log1pmx, stirling_rest};

/// From here on; below, 2^-53 y log y, what the plain forms lose, is 1.3e-10 at most, and counts keep the bits they always had.
pub const LARGE_COUNT: f64 = 1e5;

/// e^s may overflow beyond.
const FAR: f64 = 700.0;

/// The law of y about the z at which it is the mean; other > 0.
pub struct LargeCount {
    y: f64,
    other: f64,
    centre: f64,
    /// nll at the centre.
    least: f64,
    /// log(y/other).
    log_odds: f64,
}

impl LargeCount {
    /// On the log link, r = 1/dispersion; `None` where the plain forms are right.
    pub fn new(y: f64, r: f64) -> Option<Self> {
        if y.is_nan() || y < LARGE_COUNT {
            return None;
        }
        let (log_y, odds) = (y.ln(), y / r);
        let log_odds = log_y - r.ln();
        let log_share = if odds.is_infinite() {
            log_odds
        } else {
            odds.ln_1p()
        };
        let rest = stirling_rest(y) - stirling_rest(y + r) + stirling_constant(r);
        Some(LargeCount {
            y,
            other: r,
            centre: log_y,
            least: f64::midpoint(log_y, log_share) + rest,
            log_odds,
        })
    }

    /// y of n; `None` where y or n - y is not large.
    pub fn of_trials(y: f64, n: f64) -> Option<Self> {
        let other = n - y;
        let large = y >= LARGE_COUNT && other >= LARGE_COUNT;
        large.then(|| {
            let rest = stirling_rest(y) + stirling_rest(other) - stirling_rest(n);
            let log_odds = (y / other).ln();
            LargeCount {
                y,
                other,
                centre: log_odds,
                least: f64::midpoint(y.ln() - n.ln(), other.ln()) + HALF_LOG_2PI + rest,
                log_odds,
            }
        })
    }

    /// nll(s) - nll(0): by the smaller of x and 1 - x, which change places with y, other and s, -s.
    fn excess(&self, s: f64) -> f64 {
        let (k, rest, s) = if self.y > self.other {
            (self.other, self.y, -s)
        } else {
            (self.y, self.other, s)
        };
        let growth = s.exp_m1();
        let u = growth / (1.0 + rest / k);
        if !u.is_finite() {
            return beyond(k, rest, s);
        }
        let ratio = |f: fn(f64) -> f64, at_0: f64| if u == 0.0 { at_0 } else { f(u) / u };
        if s.abs() < 1.0 {
            k * (expm1mx(s) + growth * ratio(log1pmx, 0.0))
        } else {
            k * (growth * ratio(f64::ln_1p, 1.0) - s)
        }
    }

    /// (-d excess/ds, d² excess/ds²).
    fn slopes(&self, s: f64) -> (f64, f64) {
        let (y, other, log_odds) = (self.y, self.other, self.log_odds + s);
        let (share, odds) = (moments(log_odds.abs()).0, (-log_odds.abs()).exp());
        let score = if log_odds <= 0.0 {
            -y * s.exp_m1()
        } else if s > -FAR {
            other * (-s).exp_m1()
        } else {
            y * odds // other·e^-s
        };
        let spread = odds * share * share; // m·other/(m + other)²
        let own = if other.is_finite() {
            other * spread
        } else {
            y * s.exp()
        };
        (score * share, y * spread + own)
    }

    /// -log density at z.
    pub fn nll(&self, z: f64) -> f64 {
        self.excess(z - self.centre) + self.least
    }

    /// -log ∫ N(t; z, q) p(y|t) dt.
    ///
    /// As `laplace_hermite`, but that the mode and the nodes are found in s, which tells nodes apart that in t are the same number:
    /// sd·width is about 1/sqrt(y), t itself is known to 2^-53 log y.
    pub fn predictive_nll(&self, row: &Seen<'_>) -> f64 {
        let (z, q) = (row.z[0], row.c[0]);
        if z.is_nan() {
            return f64::NAN;
        }
        let (sd, s_0) = (q.sqrt(), z - self.centre);
        let curvature = self.slopes(0.0).1;
        let (own, others) = (1.0 / (1.0 + q * curvature), 1.0 / (1.0 / q + curvature));
        let balance = |s: f64| {
            let (score, slope) = self.slopes(s);
            (own * (s - s_0) - others * score, own + others * slope)
        };
        // The start: the root of the tangent at 0.
        let s = rising_root(balance, s_0.min(0.0), s_0.max(0.0), own * s_0, 0.0);
        let (score, slope) = self.slopes(s);
        // Equal; the one that does not cancel.
        let mode = if q * curvature > 1.0 {
            (s - s_0) / sd
        } else {
            sd * score
        };
        let width = 1.0 / 1f64.hypot(sd * slope.sqrt());
        let mut terms = [0.0; 2 * NODES.len()];
        for (pair, (node, log_weight)) in terms.as_chunks_mut::<2>().0.iter_mut().zip(NODES) {
            for (term, node) in pair.iter_mut().zip([-node, node]) {
                let v = mode + width * node;
                *term =
                    log_weight + (node * node - v * v) / 2.0 - self.excess(s + sd * width * node);
            }
        }
        -width.ln() - log_sum_exp(terms.into_iter()) + self.least
    }
}

/// The excess where e^s overflows.
#[cold]
fn beyond(k: f64, rest: f64, s: f64) -> f64 {
    let (total, odds) = (k + rest, k / rest);
    if total.is_infinite() {
        return f64::INFINITY;
    }
    let log_p = k.ln() - rest.ln() - odds.ln_1p();
    total * log1pexp(log_p + s) - k * s
}

/// log Gamma(r) - (r - 1/2) log r + r.
fn stirling_constant(r: f64) -> f64 {
    if r < LARGE {
        return lgamma(r) - (r - 0.5) * r.ln() + r;
    }
    HALF_LOG_2PI + stirling_rest(r)
}

#[cfg(test)]
mod tests {
    use super::LargeCount;
    use crate::family::Seen;

    #[test]
    fn slopes_are_those_of_the_excess() {
        for other in [f64::INFINITY, 1e12, 1e5, 3.0, 1e-8] {
            let law = LargeCount::new(1e6, other).expect("large");
            for s in [-30.0, -2.0, -0.9, -1e-3, 0.0, 0.1, 1.2, 20.0] {
                let h = 1e-4;
                let (at, up, down) = (law.excess(s), law.excess(s + h), law.excess(s - h));
                let (score, curvature) = law.slopes(s);
                let size = score.abs().max(curvature);
                assert!(at >= 0.0 && curvature >= 0.0);
                assert!(
                    ((down - up) / (2.0 * h) - score).abs() < 1e-6 * size.max(at),
                    "{other} {s}"
                );
                let second = (up + down - 2.0 * at) / (h * h);
                assert!(
                    (second - curvature).abs() < 1e-4 * curvature.max(at),
                    "{other} {s}"
                );
            }
        }
    }

    #[test]
    fn the_largest_counts_have_finite_densities() {
        for other in [f64::INFINITY, 1e308, 1.0, 1e-308] {
            for y in [1e5, 1e16, 1e154, 1e308, f64::MAX] {
                let law = LargeCount::new(y, other).expect("large");
                for z in [-300.0, 0.0, 300.0] {
                    assert!(!law.nll(z).is_nan());
                    for q in [0.0, 1e-320, 1e-8, 1.0, 1e300] {
                        let row = Seen {
                            z: &[z],
                            c: &[q],
                            y: &[y],
                            a: &[],
                            b: &[],
                        };
                        let nll = law.predictive_nll(&row);
                        assert!(nll.is_finite() || (q < 1e-7 && nll > 0.0), "{row:?}: {nll}");
                    }
                }
            }
        }
    }
}
