//! The same step where nothing is asked but y ~ N(z, r) with a known r: no branches, so that it stays in registers.

use pulp::Simd;

use super::Said;
use super::given::Given;
use super::lanes::{Each, all, any, mask, narrow, read, wide, write};
use crate::family::coverage;
use crate::linalg::abreast::{Measured, Places, apply, measure, outputs};
use crate::scalar::Scalar;
use crate::small::Small;
use crate::small::law::{Law, over};
use crate::small::pace::Beat;
use crate::state::{
    BOUND, COVERED, ELAPSED, LOG_SINCE, N_SEEN, N_UPDATES, NIS_COUNT, NIS_SUM, RHO_MAX,
};

/// An expression of a number, which is a constant of the program where it is small: loops of so many passes are then written out.
macro_rules! known {
    ($number:expr, $name:ident => $body:expr) => {
        known!($number, $name => $body; 2 3 4)
    };
    ($number:expr, $name:ident => $body:expr; $($small:literal)+) => {
        match $number {
            $($small => {
                let $name = $small;
                $body
            })+
            $name => $body,
        }
    };
}
impl<T: Scalar> Small<T> {
    /// The variance r of filters that this step is for: no other noise, no clip, no evidence.
    #[inline(always)]
    pub(super) fn plain(&self) -> Option<(f64, f64)> {
        let bare = self.learned.is_none() && !self.evidence;
        match self.law {
            Law::Fixed { r, information } if bare && self.limits.step_clip == f64::INFINITY => {
                Some((r, information))
            }
            _ => None,
        }
    }

    /// As `rows_of`, of rows that are all alike in time; `false`: `rows_of` is to be asked.
    #[inline(always)]
    pub(super) fn plain_rows<S: Simd, const R: usize, const N: usize>(
        &self,
        s: S,
        (clock, belief): (&mut [f64], &mut [T]),
        h: &[T],
        given: &Given<N>,
        (r, information): (f64, f64),
        beat: &Beat,
        (measured, said): (&mut Measured<T>, &mut Said),
    ) -> bool {
        let p = self.p;
        let (theta, rest) = belief.split_at_mut(p * N);
        let (d, u) = rest.split_at_mut(p * N);
        let mut at = Places { theta, d, u };
        let (time, rates) = (&beat.time, &beat.rates);
        let mut ok = given.ok;

        let still = time.decay == 1.0 && time.log_decay == 0.0 && !time.passes;
        let since = ahead(read::<N>(clock, LOG_SINCE), time.log_decay);
        if time.passes && self.limits.windup.is_some() {
            let (seen, mut due) = (read::<N>(clock, N_SEEN), [0; N]);
            for l in 0..N {
                due[l] = mask(self.limits.due(seen[l], since[l]));
            }
            if any(&due) {
                return false;
            }
        }

        let mut z = known!(p, p => wide::<T, N>(&outputs::<T, S, R, N>(s, p, at.theta, h)));
        let (mut e, mut fisher, mut minus) = ([0.0; N], [0.0; N], [T::zero(); N]);
        for l in 0..N {
            z[l] += given.offset[l];
            e[l] = over(given.y[l] - z[l], r);
            fisher[l] = rates.metric * given.weight[l] * information;
        }
        let fisher = narrow::<T, N>(&fisher);
        for l in 0..N {
            minus[l] = -fisher[l];
        }
        let inverse = [if still {
            T::one()
        } else {
            T::one() / T::of(time.decay)
        }; N];
        let with = [&fisher[..], &minus[..], &inverse[..]];
        known!(p, p => measure::<T, S, R>(s, p, &at, h, with, measured));

        let (alpha, q) = (wide::<T, N>(&measured.alpha), wide::<T, N>(&measured.q));
        let (peak, spread) = (wide::<T, N>(&measured.peak), measured.spread::<N>());
        let (mut c, mut gain, mut distance) = ([0.0; N], [0.0; N], [0.0; N]);
        for l in 0..N {
            c[l] = beat.spread * q[l];
            gain[l] = rates.learning * given.weight[l] * e[l] / alpha[l];
            distance[l] = given.weight[l] * over(e[l] * e[l], information) / alpha[l];
        }
        let bound = read::<N>(clock, BOUND);
        let (nis, elapsed) = (read::<N>(clock, NIS_SUM), read::<N>(clock, ELAPSED));
        let rho = read::<N>(clock, RHO_MAX);
        let limit = Self::limit();
        let (mut next_bound, mut next) = ([0.0; N], [[0.0; N]; 3]);
        for l in 0..N {
            next_bound[l] = bound[l] * (1.0 + peak[l] * spread[l]);
            next[0][l] = nis[l] + distance[l];
            next[1][l] = elapsed[l] + given.dt[l];
            next[2][l] = rho[l].max(alpha[l] - 1.0);
            let sum = z[l] + c[l] + alpha[l] + next[0][l] + next[1][l] + next[2][l] + since[l];
            let (reach, far) = (spread[l] * bound[l], gain[l].abs());
            ok[l] &= mask(next_bound[l] < limit)
                & mask(reach < limit)
                & mask(far < limit)
                & mask(reach * far < limit)
                & mask(measured.possible(l))
                & mask(sum.abs() < f64::INFINITY);
        }
        if !all(&ok) {
            return false;
        }
        let gain = narrow::<T, N>(&gain);
        known!(p, p => apply::<T, S, R>(s, p, &mut at, &gain, measured));
        for (place, value) in [NIS_SUM, ELAPSED, RHO_MAX].into_iter().zip(&next) {
            write::<N>(clock, place, value);
        }
        for place in [N_SEEN, N_UPDATES, NIS_COUNT] {
            let more = ahead(read::<N>(clock, place), 1.0);
            write::<N>(clock, place, &more);
        }
        let mut covered = *read::<N>(clock, COVERED);
        for l in 0..N {
            let residual = given.y[l] - z[l];
            let inside = residual * residual <= coverage::NORMAL * (c[l] + r);
            covered[l] = coverage::after(covered[l], if inside { 1.0 } else { 0.0 });
        }
        write::<N>(clock, COVERED, &covered);
        if !still {
            write::<N>(clock, LOG_SINCE, &since);
        }
        write::<N>(clock, BOUND, &next_bound);
        said.z[..N].copy_from_slice(&z);
        said.c[..N].copy_from_slice(&c);
        said.flags[..N].fill(0);
        said.taken[..N].fill(true);
        true
    }
}

/// Each and a step more.
#[inline(always)]
fn ahead<const N: usize>(x: &Each<N>, step: f64) -> Each<N> {
    let mut out = *x;
    for l in 0..N {
        out[l] += step;
    }
    out
}
