//! The pass that takes a row in, by itself or while it looks at the next one.

use pulp::{Simd, WithSimd};

use super::partial::{Seen, once, prefetch, whole};
use super::shrink::Factors;
use super::{Change, Incoming, Sums};
use crate::scalar::Scalar;

pub(super) struct Learn<'a, T> {
    pub(super) theta: &'a mut [T],
    pub(super) v: &'a mut [T],
    pub(super) h: &'a [T],
    pub(super) change: Change<T>,
}

impl<T: Scalar> WithSimd for Learn<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        if self.change.keeps_precision {
            self.run::<S, true>(s);
        } else {
            self.run::<S, false>(s);
        }
    }
}

impl<T: Scalar> Learn<'_, T> {
    #[inline(always)]
    fn run<S: Simd, const PRECISION: bool>(self, s: S) {
        let Learn {
            theta,
            v,
            h,
            change,
        } = self;
        assert!(theta.len() == h.len() && v.len() == h.len());
        let factors = Factors::<T, S>::new(s, &change);
        let (theta, v) = (T::regs_mut::<S>(theta), T::regs_mut::<S>(v));
        for ((theta, v), &h) in theta.iter_mut().zip(v).zip(T::regs::<S>(h)) {
            (*theta, *v) = factors.learn::<PRECISION>(s, h, *theta, *v);
        }
    }
}

pub(super) struct Both<'a, T> {
    pub(super) learn: Learn<'a, T>,
    pub(super) row: Incoming<'a, T>,
}

impl<T: Scalar> WithSimd for Both<'_, T> {
    type Output = Sums<T>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) -> Sums<T> {
        if self.learn.change.keeps_precision {
            self.run::<S, true>(s)
        } else {
            self.run::<S, false>(s)
        }
    }
}

impl<T: Scalar> Both<'_, T> {
    #[inline(always)]
    fn run<S: Simd, const PRECISION: bool>(self, s: S) -> Sums<T> {
        let Both { learn, row } = self;
        let whole = whole::<T, S>(&row);
        let (mut seen, factors) = (
            Seen::<T, S>::zero(s),
            Factors::<T, S>::new(s, &learn.change),
        );
        let Incoming { from, to } = row;
        let (n, h) = (to.len(), learn.h);
        assert!(h.len() == n && learn.theta.len() == n && learn.v.len() == n);
        let (theta, theta_tail) = learn.theta.split_at_mut(whole);
        let (v, v_tail) = learn.v.split_at_mut(whole);
        let (h, h_tail) = h.split_at(whole);
        let (head, tail) = to.split_at_mut(whole);
        tail[..from.len() - whole].copy_from_slice(&from[whole..]);
        let theta = T::regs_mut::<S>(theta).as_chunks_mut::<4>().0;
        let v = T::regs_mut::<S>(v).as_chunks_mut::<4>().0;
        let h = T::regs::<S>(h).as_chunks::<4>().0;
        let next = T::regs::<S>(&from[..whole]).as_chunks::<4>().0;
        let to = T::regs_mut::<S>(head).as_chunks_mut::<4>().0;
        let groups = theta.iter_mut().zip(v).zip(h).zip(next).zip(to);
        for (i, ((((theta, v), h), next), to)) in groups.enumerate() {
            prefetch(from, i * 4 * T::reg_lanes::<S>());
            for c in 0..4 {
                let x = once::<T, S>(s, next[c]);
                let (new_theta, new_v) = factors.learn::<PRECISION>(s, h[c], theta[c], v[c]);
                seen.add(s, c, x, new_theta, new_v);
                (to[c], theta[c], v[c]) = (x, new_theta, new_v);
            }
        }
        let (theta, theta_last) = T::regs_mut::<S>(theta_tail).as_chunks_mut::<4>();
        let (v, v_last) = T::regs_mut::<S>(v_tail).as_chunks_mut::<4>();
        let (h, h_last) = T::regs::<S>(h_tail).as_chunks::<4>();
        let (next, next_last) = T::regs::<S>(tail).as_chunks::<4>();
        for (((theta, v), h), next) in theta.iter_mut().zip(v).zip(h).zip(next) {
            for c in 0..4 {
                let (new_theta, new_v) = factors.learn::<PRECISION>(s, h[c], theta[c], v[c]);
                seen.add(s, c, next[c], new_theta, new_v);
                (theta[c], v[c]) = (new_theta, new_v);
            }
        }
        let last = theta_last.iter_mut().zip(v_last).zip(h_last).zip(next_last);
        for (((theta, v), &h), &next) in last {
            let (new_theta, new_v) = factors.learn::<PRECISION>(s, h, *theta, *v);
            seen.add(s, 0, next, new_theta, new_v);
            (*theta, *v) = (new_theta, new_v);
        }
        seen.sums(s)
    }
}
