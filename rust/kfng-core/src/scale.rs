//! Learned noise variances: sigma² ~ InvGamma(a, b) beside theta, and the running moments of y that floor them in reports.
//!
//! ```text
//! time:  a <- max(decay·a, a_0), b scaled with it
//! row:   a += w·k/2,   b += w·e'S^-1 e/2         (e = y - z raw, S = I + w·C relative to sigma²)
//! ```
//!
//! m = 1 variance for all k outputs, or m = k, each with the innovation of its own output. Source: the conjugate normal-inverse-gamma;
//! exact for the exponentially weighted posterior of one variance.

use crate::error::Error;
use crate::field::product;
use crate::state::NOISE;

/// The prior (a_0, b_0), and how many variances and outputs there are.
#[derive(Clone, Debug)]
pub struct Scale {
    /// Shape.
    pub a_0: f64,
    /// Scale of each (m,).
    pub b_0: Box<[f64]>,
    /// Variances (m).
    pub m: usize,
    /// Outputs whose moments are kept.
    pub k: usize,
}

/// The parts of a state's noise: a (m,), b (m,), and running weight, mean and sum of squares of y (3, k).
#[derive(Debug)]
pub struct Parts<X> {
    /// Shapes.
    pub a: X,
    /// Scales.
    pub b: X,
    /// Moments.
    pub stats: X,
}

impl Scale {
    /// Numbers that a state keeps.
    pub fn size(&self) -> Result<usize, Error> {
        let moments = product(&[3, self.k])?;
        let pairs = product(&[2, self.m])?;
        pairs.checked_add(moments).ok_or(Error::Memory(usize::MAX))
    }

    /// The parts in `wide`.
    #[inline]
    pub fn of<'a>(&self, wide: &'a [f64]) -> Parts<&'a [f64]> {
        let (a, rest) = wide[NOISE..].split_at(self.m);
        let (b, rest) = rest.split_at(self.m);
        let stats = &rest[..3 * self.k];
        Parts { a, b, stats }
    }

    /// The parts in `wide`, to be written.
    #[inline]
    pub fn of_mut<'a>(&self, wide: &'a mut [f64]) -> Parts<&'a mut [f64]> {
        let (a, rest) = wide[NOISE..].split_at_mut(self.m);
        let (b, rest) = rest.split_at_mut(self.m);
        let stats = &mut rest[..3 * self.k];
        Parts { a, b, stats }
    }

    /// Writes the prior.
    pub fn start(&self, wide: &mut [f64]) {
        let Parts { a, b, .. } = self.of_mut(wide);
        a.fill(self.a_0);
        b.copy_from_slice(&self.b_0);
    }

    /// Forgets past rows; a never decays below a_0. A decay of 1 changes no bit.
    pub fn fade(&self, wide: &mut [f64], decay: f64) {
        if decay == 1.0 {
            return;
        }
        let Parts { a, b, stats } = self.of_mut(wide);
        for (a, b) in a.iter_mut().zip(b) {
            let faded = (decay * *a).max(self.a_0);
            *b *= faded / *a;
            *a = faded;
        }
        let (w, rest) = stats.split_at_mut(self.k);
        for x in w.iter_mut().chain(&mut rest[self.k..]) {
            *x *= decay;
        }
    }

    /// Forgets past rows in favour of the prior: (a, b) <- decay·(a, b) + (1-decay)·(a_0, b_0).
    pub fn fade_towards(&self, wide: &mut [f64], decay: f64) {
        let Parts { a, b, stats } = self.of_mut(wide);
        for ((a, b), b_0) in a.iter_mut().zip(b).zip(&self.b_0) {
            *a = decay * *a + (1.0 - decay) * self.a_0;
            *b = decay * *b + (1.0 - decay) * b_0;
        }
        let (w, rest) = stats.split_at_mut(self.k);
        for x in w.iter_mut().chain(&mut rest[self.k..]) {
            *x *= decay;
        }
    }

    /// After a pull of theta to the prior: its e²/S counts, relative to sigma², but it is no observation of sigma².
    pub fn pull(&self, wide: &mut [f64], distance: f64) {
        self.of_mut(wide).b[0] += distance / 2.0;
    }

    /// a and b (m,) as predictions use them: b/a is at least `r_floor` times the running variance of y. Returns whether that acted.
    pub fn report(&self, wide: &[f64], r_floor: f64, to_a: &mut [f64], to_b: &mut [f64]) -> bool {
        let (k, Parts { a, b, stats }) = (self.k, self.of(wide));
        to_a.copy_from_slice(a);
        to_b.copy_from_slice(b);
        if r_floor == 0.0 {
            return false;
        }
        let variance = |j: usize| {
            if stats[j] > 0.0 {
                stats[2 * k + j] / stats[j]
            } else {
                0.0
            }
        };
        let mean = || (0..k).map(variance).sum::<f64>() / k as f64;
        let mut floored = false;
        for (j, to) in to_b.iter_mut().enumerate() {
            let floor = a[j] * r_floor * if self.m == k { variance(j) } else { mean() };
            floored |= floor > *to;
            *to = to.max(floor);
        }
        floored
    }

    /// After a row: `gains` (m,) = w·e'S^-1 e of the observed outputs of each variance.
    pub fn learn(&self, wide: &mut [f64], y: &[f64], weight: f64, gains: &[f64]) {
        let (k, Parts { a, b, stats }) = (self.k, self.of_mut(wide));
        for (j, &y) in y.iter().enumerate().filter(|(_, y)| !y.is_nan()) {
            a[if self.m == k { j } else { 0 }] += weight / 2.0;
            stats[j] += weight;
            let delta = y - stats[k + j];
            stats[k + j] += weight / stats[j] * delta;
            stats[2 * k + j] += not_less(weight * delta * (y - stats[k + j]));
        }
        for (b, gain) in b.iter_mut().zip(gains) {
            *b += gain / 2.0;
        }
    }
}

/// What a row adds to a sum of squares: 0 where rounding made it negative, as in a row that has all the weight.
#[inline(always)]
pub fn not_less(gain: f64) -> f64 {
    if gain < 0.0 { 0.0 } else { gain }
}
