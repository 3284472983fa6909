//! The step of row.rs side by side, operation by operation.

use pulp::Simd;

use super::Said;
use super::given::Given;
use super::lanes::{Each, Mask, all, any, mask, narrow, read, wide, write};
use super::sums::Changed;
use crate::linalg::abreast::{Measured, Places, apply, measure, outputs};
use crate::row::FLAG_CLIPPED;
use crate::scalar::Scalar;
use crate::small::Small;
use crate::small::law::Law;
use crate::state::{BOUND, CLAMPED, CLIPPED, FLOORED, LOG_SINCE, N_SEEN, N_UPDATES, NIS_COUNT};

impl<T: Scalar> Small<T> {
    /// What no product of a row's numbers may reach.
    #[inline(always)]
    pub(super) fn limit() -> f64 {
        if T::MAX.to_f64() > 1e300 { 1e200 } else { 1e30 }
    }

    /// The rows of N = R registers of filters; `false`: one of the first `needed` is not taken, and nothing has changed.
    #[inline(always)]
    pub(super) fn rows_of<S: Simd, const R: usize, const N: usize>(
        &self,
        s: S,
        (clock, belief): (&mut [f64], &mut [T]),
        h: &[T],
        given: &mut Given<N>,
        needed: usize,
        (measured, said): (&mut Measured<T>, &mut Said),
    ) -> bool {
        let (small, p) = (self, self.p);
        let (theta, rest) = belief.split_at_mut(p * N);
        let (d, u) = rest.split_at_mut(p * N);
        let mut at = Places { theta, d, u };
        let beats = small.beats::<N>(clock, given);
        let since = small.since::<S, R, N>(s, &at, clock, &beats, &mut given.ok);
        let noise = small.noises::<N>(clock, &beats.decay);

        let mut inverse = [T::one(); N];
        if !beats.still {
            for l in 0..N {
                inverse[l] = T::one() / T::of(beats.decay[l]);
            }
        }
        let z = wide::<T, N>(&outputs::<T, S, R, N>(s, p, at.theta, h));
        let (mut z, mut clamped): (_, Mask<N>) = (z, [0; N]);
        for l in 0..N {
            z[l] += given.offset[l];
        }
        if matches!(small.law, Law::Own) {
            for l in 0..N {
                given.ok[l] &= mask(z[l].is_finite());
                clamped[l] = mask(z[l].abs() > small.limits.z_clamp);
                z[l] = z[l].clamp(-small.limits.z_clamp, small.limits.z_clamp);
            }
        }
        let (e, information) = small.scores::<N>(&z, given, &noise);
        let (mut fisher, mut minus) = ([0.0; N], [T::zero(); N]);
        for l in 0..N {
            fisher[l] = beats.metric[l] * given.weight[l] * information[l];
        }
        let fisher = narrow::<T, N>(&fisher);
        for l in 0..N {
            minus[l] = -fisher[l];
        }
        measure::<T, S, R>(s, p, &at, h, [&fisher, &minus, &inverse], measured);

        let (alpha, q) = (wide::<T, N>(&measured.alpha), wide::<T, N>(&measured.q));
        let peak = wide::<T, N>(&measured.peak);
        let limit = Self::limit();
        let (mut c, mut gain, mut clipped): (_, Each<N>, Mask<N>) = ([0.0; N], [0.0; N], [0; N]);
        let (mut distance, mut next_bound) = ([0.0; N], [0.0; N]);
        let bound = read::<N>(clock, BOUND);
        for l in 0..N {
            c[l] = beats.spread[l] * q[l];
            gain[l] = beats.learning[l] * given.weight[l] * e[l] / alpha[l];
            distance[l] = e[l] * e[l];
        }
        if !small.law.plain() {
            for l in 0..N {
                distance[l] /= information[l];
            }
        }
        for l in 0..N {
            distance[l] = given.weight[l] * distance[l] / alpha[l];
        }
        if small.limits.step_clip < f64::INFINITY {
            for l in 0..N {
                clipped[l] = mask(gain[l].abs() * q[l] > small.limits.step_clip);
                if clipped[l] != 0 {
                    gain[l] = gain[l].signum() * (small.limits.step_clip / q[l]);
                }
            }
        }
        let spread = measured.spread::<N>();
        for l in 0..N {
            next_bound[l] = bound[l] * (1.0 + peak[l] * spread[l]);
        }
        let after_row = Changed::<T, N> {
            small,
            z,
            c,
            alpha,
            distance,
            since,
        };
        let sums = after_row.sums(clock, given, &noise);
        for l in 0..N {
            let reach = spread[l] * bound[l];
            // Without information there is no distance; such rows go alone. A z that is not finite makes its sum so.
            given.ok[l] &= mask(next_bound[l] < limit)
                & mask(reach < limit)
                & mask(gain[l].abs() < limit)
                & mask(reach * gain[l].abs() < limit)
                & mask(measured.possible(l))
                & mask(information[l] > 0.0)
                & mask(sums.all[l].abs() < f64::INFINITY);
        }
        if all(&given.ok) {
            said.taken[..N].fill(true);
        } else {
            for l in 0..N {
                said.taken[l] = given.ok[l] != 0;
            }
            if said.taken[..needed].contains(&false) {
                return false;
            }
        }
        apply::<T, S, R>(s, p, &mut at, &narrow::<T, N>(&gain), measured);
        let (learned, evidence) = (small.learned.is_some(), small.evidence);
        sums.write(clock, learned, evidence);
        small.cover::<N>(clock, given, (&z, &c), &noise);
        for l in 0..N {
            let change = |place: usize| place * N + l;
            clock[change(N_SEEN)] += 1.0;
            clock[change(N_UPDATES)] += 1.0;
            clock[change(NIS_COUNT)] += 1.0;
        }
        let counted = [
            (&clipped, CLIPPED),
            (&clamped, CLAMPED),
            (&noise.floored, FLOORED),
        ];
        for (which, place) in counted {
            if any(which) {
                for l in 0..N {
                    clock[place * N + l] += if which[l] != 0 { 1.0 } else { 0.0 };
                }
            }
        }
        if !beats.still {
            write::<N>(clock, LOG_SINCE, &since);
        }
        write::<N>(clock, BOUND, &next_bound);
        said.z[..N].copy_from_slice(&z);
        said.c[..N].copy_from_slice(&c);
        if learned {
            said.a[..N].copy_from_slice(&noise.a);
            said.b[..N].copy_from_slice(&noise.b);
        }
        for l in 0..N {
            said.flags[l] = if clipped[l] != 0 { FLAG_CLIPPED } else { 0 };
        }
        true
    }
}
