//! Passes that read theta and V and leave them as they are.

use pulp::{Simd, WithSimd};

use super::partial::{Partial, Seen, once, prefetch, whole};
use super::{Incoming, Sums};
use crate::scalar::Scalar;

pub(super) struct Look<'a, T> {
    pub(super) theta: &'a [T],
    pub(super) v: &'a [T],
    pub(super) row: Incoming<'a, T>,
}

impl<T: Scalar> WithSimd for Look<'_, T> {
    type Output = Sums<T>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) -> Sums<T> {
        let Look { theta, v, row } = self;
        assert!(theta.len() == row.to.len() && v.len() == row.to.len());
        let (mut seen, whole) = (Seen::<T, S>::zero(s), whole::<T, S>(&row));
        let Incoming { from, to } = row;
        let (theta, theta_tail) = theta.split_at(whole);
        let (v, v_tail) = v.split_at(whole);
        let (head, tail) = to.split_at_mut(whole);
        tail[..from.len() - whole].copy_from_slice(&from[whole..]);
        let theta = T::regs::<S>(theta).as_chunks::<4>().0;
        let v = T::regs::<S>(v).as_chunks::<4>().0;
        let h = T::regs::<S>(&from[..whole]).as_chunks::<4>().0;
        let to = T::regs_mut::<S>(head).as_chunks_mut::<4>().0;
        for (i, (((theta, v), h), to)) in theta.iter().zip(v).zip(h).zip(to).enumerate() {
            prefetch(from, i * 4 * T::reg_lanes::<S>());
            for c in 0..4 {
                let x = once::<T, S>(s, h[c]);
                seen.add(s, c, x, theta[c], v[c]);
                to[c] = x;
            }
        }
        let (theta, theta_last) = T::regs::<S>(theta_tail).as_chunks::<4>();
        let (v, v_last) = T::regs::<S>(v_tail).as_chunks::<4>();
        let (h, h_last) = T::regs::<S>(tail).as_chunks::<4>();
        for ((theta, v), h) in theta.iter().zip(v).zip(h) {
            for c in 0..4 {
                seen.add(s, c, h[c], theta[c], v[c]);
            }
        }
        for ((&theta, &v), &h) in theta_last.iter().zip(v_last).zip(h_last) {
            seen.add(s, 0, h, theta, v);
        }
        seen.sums(s)
    }
}

pub(super) struct Quadratic<'a, T> {
    pub(super) v: &'a [T],
    pub(super) h: &'a [T],
}

impl<T: Scalar> WithSimd for Quadratic<'_, T> {
    type Output = T;

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) -> T {
        assert_eq!(self.v.len(), self.h.len());
        let mut q = Partial::<T, S>::zero(s);
        let (v, v_last) = T::regs::<S>(self.v).as_chunks::<4>();
        let (h, h_last) = T::regs::<S>(self.h).as_chunks::<4>();
        for (v, h) in v.iter().zip(h) {
            for c in 0..4 {
                q.add(s, c, h[c], T::reg_mul(s, v[c], h[c]));
            }
        }
        for (&v, &h) in v_last.iter().zip(h_last) {
            q.add(s, 0, h, T::reg_mul(s, v, h));
        }
        q.sum(s)
    }
}
