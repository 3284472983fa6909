//! One row: what it says, whether it may stand, and only then what it changes.

use pulp::Simd;

use super::law::{Law, over};
use super::pace::Beat;
use super::{NC, PAD, Small};
use crate::family::coverage::after;
use crate::family::{Likelihood, Seen};
use crate::linalg::in_place::{Blocks, diagonal, dot, measure};
use crate::linalg::index_order::Column;
use crate::row::{Block, FLAG_CLIPPED, Report};
use crate::scalar::Scalar;
use crate::scale::not_less;
use crate::state::{
    BOUND, CLAMPED, CLIPPED, COVERED, ELAPSED, EVIDENCE, FLOORED, LOG_SINCE, N_SEEN, N_UPDATES,
    NIS_COUNT, NIS_SUM, NOISE, RHO_MAX,
};

/// A state: views of the caller's slices.
pub(super) struct Place<'a, T, const K: usize> {
    wide: &'a mut [f64; NOISE],
    /// a, b and running weight, mean and sum of squares of y, where a noise variance is learned.
    noise: Option<&'a mut [f64; 5]>,
    theta: &'a mut Column<T>,
    d: &'a mut Column<T>,
    u: &'a mut Blocks<T, K>,
}

impl<'a, T: Scalar, const K: usize> Place<'a, T, K> {
    #[inline(always)]
    pub(super) fn of(wide: &'a mut [f64], narrow: &'a mut [T]) -> Option<Self> {
        let (wide, noise) = wide.split_first_chunk_mut::<NOISE>()?;
        let (theta, rest) = narrow.split_first_chunk_mut::<PAD>()?;
        let (d, u) = rest.split_first_chunk_mut::<PAD>()?;
        let blocks = u.as_chunks_mut::<PAD>().0.as_chunks_mut::<NC>().0;
        Some(Place {
            wide,
            noise: noise.first_chunk_mut(),
            theta,
            d,
            u: blocks.first_chunk_mut()?,
        })
    }
}

/// a, b and the moments of y after a row's time step, a and b as it reports them, and whether they were floored.
#[derive(Clone, Copy, Default)]
struct Noise {
    own: [f64; 5],
    a: f64,
    b: f64,
    floored: bool,
}

impl<T: Scalar> Small<T> {
    /// Row `i`; `false`: it must go the general way, and nothing has changed.
    #[inline(always)]
    pub(super) fn row<S: Simd, const K: usize>(
        &self,
        s: S,
        at: &mut Place<'_, T, K>,
        block: &Block<'_, T>,
        h: &Column<T>,
        i: usize,
        report: &mut Report<'_>,
    ) -> bool {
        let y = &block.y[i * self.width..(i + 1) * self.width];
        let (weight, dt) = (block.weight[i], block.dt[i]);
        if block.blank[i] || weight == 0.0 || y[0].is_nan() {
            return false;
        }
        let (t, mut own) = (at.wide[N_UPDATES] + 1.0, None);
        let Some(beat) = self.pace.beat(dt, t, self.limits.log_floor, &mut own) else {
            return false;
        };
        let mut since = at.wide[LOG_SINCE] + beat.time.log_decay;
        if beat.time.passes && self.limits.due(at.wide[N_SEEN], since) {
            if !self.calm(at, beat) {
                return false;
            }
            since = 0.0;
        }
        let noise = self.noise(at, beat.time.decay);
        let mut z = dot::<T, K>(h, at.theta).to_f64() + block.offset[i];
        if !z.is_finite() {
            return false;
        }
        let mut clamped = false;
        if let Law::Own = self.law {
            clamped = z.abs() > self.limits.z_clamp;
            z = z.clamp(-self.limits.z_clamp, self.limits.z_clamp);
        }
        let m = usize::from(self.learned.is_some());
        let (e, information) = self.law.score(&self.family, (z, y), (m, noise.a, noise.b));
        let fisher = T::of(beat.rates.metric * weight * information);
        let inverse_decay = over(T::one(), T::of(beat.time.decay));
        let says = measure(s, at.u, at.d, h, fisher, inverse_decay);
        let (alpha, q) = (says.alpha().to_f64(), says.q().to_f64());
        let c = beat.spread * q;
        let mut gain = beat.rates.learning * weight * e / alpha;
        let clipped = gain.abs() * q > self.limits.step_clip;
        if clipped {
            gain = gain.signum() * (self.limits.step_clip / q);
        }
        let distance = if information > 0.0 {
            weight * over(e * e, information) / alpha
        } else {
            f64::NAN
        };
        // Nothing that follows can overflow: |b| <= spread·max|u|, and theta is far from the largest number or stays where it is.
        let (bound, (peak, spread)) = (at.wide[BOUND], says.spread());
        let next_bound = bound * (1.0 + peak * spread);
        let limit = if T::MAX.to_f64() > 1e300 { 1e200 } else { 1e30 };
        let reach = spread * bound;
        let small = next_bound < limit && reach < limit && gain.abs() < limit;
        if !(small && reach * gain.abs() < limit && says.possible()) {
            return false;
        }
        let wide = &*at.wide;
        let known = !distance.is_nan();
        let nis = match known {
            true if self.relative => wide[NIS_SUM] + distance / (noise.own[1] / noise.own[0]),
            true => wide[NIS_SUM] + distance,
            false => wide[NIS_SUM],
        };
        let (mut learned, mut evidence) = (noise.own, wide[EVIDENCE]);
        if m > 0 {
            let gain = if self.relative {
                distance
            } else {
                let r = y[0] - z;
                weight * (r * r / (1.0 + weight * c * (noise.a / noise.b)))
            };
            learned = noise.after(y[0], weight, gain);
        }
        if self.evidence {
            let reported = Seen {
                z: &[z],
                c: &[c],
                y,
                a: &[noise.a][..m],
                b: &[noise.b][..m],
            };
            evidence -= weight * self.family.nll(&reported, &mut []);
        }
        let inside = self
            .law
            .inside(y[0] - z, c, (noise.a, noise.b), self.relative);
        let elapsed = wide[ELAPSED] + dt;
        let rho = wide[RHO_MAX].max(alpha - 1.0);
        // A sum that overflows is not finite either, and then the general step decides.
        let sum = z + c + alpha + nis + evidence + elapsed + since + rho;
        let all = learned.iter().fold(sum, |sum, x| sum + x);
        if !all.is_finite() {
            return false;
        }
        says.apply(at.u, at.d, at.theta, T::of(gain));
        let wide = &mut *at.wide;
        wide[N_SEEN] += 1.0;
        wide[N_UPDATES] += 1.0;
        wide[CLIPPED] += f64::from(clipped);
        wide[CLAMPED] += f64::from(clamped);
        wide[FLOORED] += f64::from(noise.floored);
        wide[ELAPSED] = elapsed;
        wide[LOG_SINCE] = since;
        wide[EVIDENCE] = evidence;
        wide[NIS_SUM] = nis;
        wide[NIS_COUNT] += f64::from(known);
        wide[RHO_MAX] = rho;
        wide[BOUND] = next_bound;
        if let Some(inside) = inside {
            wide[COVERED] = after(wide[COVERED], f64::from(inside));
        }
        if let Some(own) = &mut at.noise {
            **own = learned;
            (report.a[i], report.b[i]) = (noise.a, noise.b);
        }
        (report.z[i], report.c[i]) = (z, c);
        report.flags[i] = if clipped { FLAG_CLIPPED } else { 0 };
        true
    }

    /// A column h = dz/dtheta without its inputs.
    #[inline(always)]
    pub(super) fn column(&self) -> Column<T> {
        let mut h = [T::zero(); PAD];
        if self.intercept {
            h[self.d] = T::one();
        }
        h
    }

    /// A wind-up check: whether it would not act.
    #[inline(never)]
    fn calm<const K: usize>(&self, at: &Place<'_, T, K>, beat: &Beat) -> bool {
        let (windup, (prior, scale_0)) = (self.limits.windup, &self.prior);
        let Some(windup) = windup.filter(|_| *scale_0 != 0.0) else {
            return true;
        };
        let variances = diagonal(at.u, at.d);
        (0..self.p).all(|i| {
            let c = prior[i] * (scale_0 / beat.scale);
            variances[i].to_f64() / beat.time.decay <= windup / 2.0 * c
        })
    }

    /// The learned noise after a time step: see scale.rs.
    #[inline(always)]
    fn noise<const K: usize>(&self, at: &Place<'_, T, K>, decay: f64) -> Noise {
        let (Some(a_0), Some(own)) = (self.learned, &at.noise) else {
            return Noise::default();
        };
        let mut own = **own;
        if decay != 1.0 {
            let faded = (decay * own[0]).max(a_0);
            own[1] *= faded / own[0];
            own[0] = faded;
            own[2] *= decay;
            own[4] *= decay;
        }
        let [a, b, w, _, squares] = own;
        let mut noise = Noise {
            own,
            a,
            b,
            floored: false,
        };
        if self.limits.r_floor != 0.0 {
            let variance = if w > 0.0 { squares / w } else { 0.0 };
            let floor = a * self.limits.r_floor * variance;
            noise.floored = floor > b;
            noise.b = b.max(floor);
        }
        noise
    }
}

impl Noise {
    /// After the row: see scale.rs.
    #[inline(always)]
    fn after(&self, y: f64, weight: f64, gain: f64) -> [f64; 5] {
        let [mut a, mut b, mut w, mut mean, mut squares] = self.own;
        a += weight / 2.0;
        w += weight;
        let delta = y - mean;
        mean += weight / w * delta;
        squares += not_less(weight * delta * (y - mean));
        b += gain / 2.0;
        [a, b, w, mean, squares]
    }
}

/// Copies at most `PAD` numbers; a size known to the compiler is a few moves, not a call.
#[inline(always)]
pub(super) fn copy<T: Scalar>(to: &mut Column<T>, from: &[T]) {
    macro_rules! sized {
        ($($n:literal)*) => {
            match from.len() {
                $($n => {
                    if let (Some(to), Some(from)) = (to.first_chunk_mut::<$n>(), from.first_chunk()) {
                        *to = *from;
                    }
                })*
                _ => {}
            }
        };
    }
    sized!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16);
}
