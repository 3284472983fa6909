//! Sums in the order of `dot`, and a row as it comes in.

use pulp::Simd;

use super::{Incoming, Sums};
use crate::scalar::Scalar;

/// How far ahead of the sums a row is fetched, in numbers.
#[cfg(target_arch = "x86_64")]
const AHEAD: usize = 768;

/// Four registers of partial sums, in the order of `dot`.
pub struct Partial<T: Scalar, S: Simd>([T::Reg<S>; 4]);

impl<T: Scalar, S: Simd> Partial<T, S> {
    #[inline(always)]
    pub fn zero(s: S) -> Self {
        Partial([T::reg_splat(s, T::zero()); 4])
    }

    #[inline(always)]
    pub fn set(&mut self, c: usize, sums: T::Reg<S>) {
        self.0[c] = sums;
    }

    #[inline(always)]
    pub(super) fn add(&mut self, s: S, c: usize, x: T::Reg<S>, y: T::Reg<S>) {
        self.0[c] = T::reg_fma(s, x, y, self.0[c]);
    }

    #[inline(always)]
    pub fn sum(self, s: S) -> T {
        let [a, b, c, d] = self.0;
        T::reg_sum(s, T::reg_add(s, T::reg_add(s, a, b), T::reg_add(s, c, d))) + T::zero()
    }
}

/// The sums of a row as it comes in.
pub(super) struct Seen<T: Scalar, S: Simd> {
    z: Partial<T, S>,
    q: Partial<T, S>,
}

impl<T: Scalar, S: Simd> Seen<T, S> {
    #[inline(always)]
    pub(super) fn zero(s: S) -> Self {
        Seen {
            z: Partial::zero(s),
            q: Partial::zero(s),
        }
    }

    #[inline(always)]
    pub(super) fn add(&mut self, s: S, c: usize, h: T::Reg<S>, theta: T::Reg<S>, v: T::Reg<S>) {
        self.z.add(s, c, h, theta);
        self.q.add(s, c, h, T::reg_mul(s, v, h));
    }

    #[inline(always)]
    pub(super) fn sums(self, s: S) -> Sums<T> {
        Sums {
            z: self.z.sum(s),
            q: self.q.sum(s),
        }
    }
}

/// The same numbers, in a register: the compiler then reads them once, although they are summed and kept. A caller's array may change
/// meanwhile, and what was summed must be what is kept. (x - 0 is x, and no instruction is left of it.)
#[inline(always)]
pub(super) fn once<T: Scalar, S: Simd>(s: S, x: T::Reg<S>) -> T::Reg<S> {
    T::reg_add(s, x, T::reg_splat(s, -T::zero()))
}

/// Asks for what lies ahead of a place in a row: rows come from far away, and nothing else needs that way meanwhile.
#[inline(always)]
pub(super) fn prefetch<T>(row: &[T], at: usize) {
    #[cfg(target_arch = "x86_64")]
    #[expect(unsafe_code, reason = "a prefetch is an intrinsic")]
    // SAFETY: a prefetch of any address reads nothing and cannot fault; SSE is part of x86-64.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let ahead = row.as_ptr().wrapping_add(at + AHEAD).cast::<i8>();
        _mm_prefetch::<_MM_HINT_T0>(ahead);
        _mm_prefetch::<_MM_HINT_T0>(ahead.wrapping_add(64));
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (row, at);
}

/// Numbers of a row that come in whole groups of four registers.
#[inline(always)]
pub(super) fn whole<T: Scalar, S: Simd>(row: &Incoming<'_, T>) -> usize {
    let group = 4 * T::reg_lanes::<S>();
    assert!(row.from.len() <= row.to.len());
    row.from.len() - row.from.len() % group
}
