//! The same step for whole tiles of filters of which nothing is asked but y ~ N(z, r) with a known r: no branches, nothing copied.

use pulp::{Simd, WithSimd};

use super::Abreast;
use super::lanes::{Each, all, any, mask, narrow, wide};
use super::step::{Tile, ask};
use crate::family::coverage;
use crate::linalg::abreast::{
    Measured, Places, SideBySide, apply, measure, outputs, side_by_side, turn_rows,
};
use crate::row::{Block, Report};
use crate::scalar::Scalar;
use crate::small::Small;
use crate::small::law::Law;
use crate::small::pace::Beat;
use crate::state::{
    BOUND, COVERED, ELAPSED, LOG_SINCE, N_SEEN, N_UPDATES, NIS_COUNT, NIS_SUM, NOISE, RHO_MAX,
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

/// Rows from `first` on, n for each tile; returns how many tiles have taken theirs: up to the first in which a row asks for more, of which
/// nothing has changed.
pub(super) struct Plain<'a, 'b, 'c, 'd, T> {
    pub small: &'a Small<T>,
    /// r and 1/r.
    pub law: (f64, f64),
    pub beat: &'a Beat,
    pub room: &'a mut Abreast<T>,
    pub tiles: &'a mut [Tile<'c, T>],
    pub first: usize,
    pub block: &'a Block<'b, T>,
    pub u: &'a [T],
    pub out: &'a mut Report<'d>,
}

impl<T: Scalar> WithSimd for Plain<'_, '_, '_, '_, T> {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) -> usize {
        side_by_side::<T, S>(s, self)
    }
}

impl<T: Scalar> SideBySide for Plain<'_, '_, '_, '_, T> {
    #[inline(always)]
    fn take<S: Simd, const R: usize, const N: usize>(self, s: S) -> usize {
        let Plain {
            small,
            block,
            u,
            out,
            tiles,
            ..
        } = self;
        let (d, many) = (small.d, tiles.len());
        let rows = self.first..self.first + many * N;
        let (y, weight) = (
            chunks::<N>(block.y, &rows),
            chunks::<N>(block.weight, &rows),
        );
        let (dt, offset) = (
            chunks::<N>(block.dt, &rows),
            chunks::<N>(block.offset, &rows),
        );
        let blank = &block.blank[rows.clone()].as_chunks::<N>().0[..many];
        let z = &mut out.z[rows.clone()].as_chunks_mut::<N>().0[..many];
        let c = &mut out.c[rows.clone()].as_chunks_mut::<N>().0[..many];
        let flags = &mut out.flags[rows.clone()].as_chunks_mut::<N>().0[..many];
        let mut u = &u[rows.start * d..rows.end * d];
        let Abreast { h, measured, .. } = self.room;
        if small.intercept {
            h[d * N..(d + 1) * N].fill(T::one());
        }
        let step = Both {
            small,
            law: self.law,
            beat: self.beat,
        };
        for t in 0..many {
            let (own, rest) = u.split_at(N * d);
            u = rest;
            turn_rows::<T, N>(small.path, own, d, h);
            ask(tiles.get(t + 1), N);
            if blank[t] != [false; N] {
                return t;
            }
            let given = [&y[t], &weight[t], &dt[t], &offset[t]];
            let state = (&mut *tiles[t].0, &mut *tiles[t].1);
            let said = (&mut z[t], &mut c[t]);
            if !step.rows::<S, R, N>(s, state, h, given, &mut measured[0], said) {
                return t;
            }
            flags[t].fill(0);
        }
        many
    }
}

/// Whole chunks of some rows.
#[inline(always)]
fn chunks<'a, const N: usize>(x: &'a [f64], rows: &std::ops::Range<usize>) -> &'a [Each<N>] {
    x[rows.clone()].as_chunks::<N>().0
}

/// What all rows have alike.
struct Both<'a, T> {
    small: &'a Small<T>,
    law: (f64, f64),
    beat: &'a Beat,
}

impl<T: Scalar> Both<'_, T> {
    /// A row of each filter of a tile, with y, weight, dt and offset; `false`: one of them asks for more, and nothing has changed but what is
    /// said, z and its variance.
    #[inline(always)]
    fn rows<S: Simd, const R: usize, const N: usize>(
        &self,
        s: S,
        (clock, belief): (&mut [f64], &mut [T]),
        h: &[T],
        [y, weight, dt, offset]: [&Each<N>; 4],
        measured: &mut Measured<T>,
        (z, c): (&mut Each<N>, &mut Each<N>),
    ) -> bool {
        let p = self.small.p;
        let ((r, information), Beat { time, rates, .. }) = (self.law, self.beat);
        let (theta, rest) = belief.split_at_mut(p * N);
        let (d, u) = rest.split_at_mut(p * N);
        let mut at = Places { theta, d, u };
        let Some(clock) = clock.as_chunks_mut::<N>().0.first_chunk_mut::<NOISE>() else {
            return false;
        };

        let limits = &self.small.limits;
        let since = ahead(&clock[LOG_SINCE], time.log_decay);
        if time.passes && limits.windup.is_some() {
            let mut due = [0; N];
            for l in 0..N {
                due[l] = mask(limits.due(clock[N_SEEN][l], since[l]));
            }
            if any(&due) {
                return false;
            }
        }

        *z = wide::<T, N>(&known!(p, p => outputs::<T, S, R, N>(s, p, at.theta, h)));
        let (mut e, mut fisher, mut minus) = ([0.0; N], [0.0; N], [T::zero(); N]);
        for l in 0..N {
            z[l] += offset[l];
            e[l] = y[l] - z[l];
            fisher[l] = rates.metric * weight[l] * information;
        }
        let mut distance = [0.0; N];
        if r == 1.0 {
            for l in 0..N {
                distance[l] = e[l] * e[l];
            }
        } else {
            for l in 0..N {
                e[l] /= r;
                distance[l] = e[l] * e[l] / information;
            }
        }
        let fisher = narrow::<T, N>(&fisher);
        for l in 0..N {
            minus[l] = -fisher[l];
        }
        let inverse = if time.decay == 1.0 {
            T::one()
        } else {
            T::one() / T::of(time.decay)
        };
        let with = [&fisher[..], &minus[..], &[inverse; N][..]];
        known!(p, p => measure::<T, S, R>(s, p, &at, h, with, measured));

        let (alpha, q) = (wide::<T, N>(&measured.alpha), wide::<T, N>(&measured.q));
        let (peak, spread) = (wide::<T, N>(&measured.peak), measured.spread::<N>());
        let (mut gain, mut ok) = ([0.0; N], [0; N]);
        for l in 0..N {
            c[l] = self.beat.spread * q[l];
            gain[l] = rates.learning * weight[l] * e[l] / alpha[l];
            distance[l] = weight[l] * distance[l] / alpha[l];
        }
        let (bound, nis) = (&clock[BOUND], &clock[NIS_SUM]);
        let (elapsed, rho) = (&clock[ELAPSED], &clock[RHO_MAX]);
        let limit = Small::<T>::limit();
        let (mut next_bound, mut next) = ([0.0; N], [[0.0; N]; 3]);
        for l in 0..N {
            next_bound[l] = bound[l] * (1.0 + peak[l] * spread[l]);
            next[0][l] = nis[l] + distance[l];
            next[1][l] = elapsed[l] + dt[l];
            next[2][l] = rho[l].max(alpha[l] - 1.0);
            // Not finite where one of them is not; a y that is NaN makes its distance so.
            let sum = z[l] + c[l] + alpha[l] + next[0][l] + next[1][l] + next[2][l] + since[l];
            let (reach, far) = (spread[l] * bound[l], gain[l].abs());
            ok[l] = mask(weight[l] != 0.0)
                & mask(next_bound[l] < limit)
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
        [clock[NIS_SUM], clock[ELAPSED], clock[RHO_MAX]] = next;
        clock[BOUND] = next_bound;
        if time.passes || time.log_decay != 0.0 {
            clock[LOG_SINCE] = since;
        }
        for place in [N_SEEN, N_UPDATES, NIS_COUNT] {
            clock[place] = ahead(&clock[place], 1.0);
        }
        let (mut covered, z, c) = (clock[COVERED], *z, *c);
        for l in 0..N {
            let residual = y[l] - z[l];
            let inside = residual * residual <= coverage::NORMAL * (c[l] + r);
            covered[l] = coverage::after(covered[l], if inside { 1.0 } else { 0.0 });
        }
        clock[COVERED] = covered;
        true
    }
}

impl<T: Scalar> Small<T> {
    /// r and 1/r of filters that this step is for: no other noise, no clip, no evidence. In float32 the general step is fast enough for the
    /// code that it saves.
    #[inline(always)]
    pub(super) fn plain(&self) -> Option<(f64, f64)> {
        if size_of::<T>() != size_of::<f64>() {
            return None;
        }
        let bare = self.learned.is_none() && !self.evidence && self.width == 1;
        match self.law {
            Law::Fixed { r, information } if bare && self.limits.step_clip == f64::INFINITY => {
                Some((r, information)).filter(|_| information > 0.0)
            }
            _ => None,
        }
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
