//! How a row shrinks V: in registers, and as a pass of its own.

use pulp::{Simd, WithSimd};

use super::Change;
use crate::scalar::Scalar;

/// A change in registers.
pub(super) struct Factors<T: Scalar, S: Simd> {
    inverse: T::Reg<S>,
    gain: T::Reg<S>,
    weight: T::Reg<S>,
    share: T::Reg<S>,
    one: T::Reg<S>,
    floor: T::Reg<S>,
}

impl<T: Scalar, S: Simd> Factors<T, S> {
    #[inline(always)]
    pub(super) fn new(s: S, change: &Change<T>) -> Self {
        Factors {
            inverse: T::reg_splat(s, change.inverse_decay),
            gain: T::reg_splat(s, change.gain),
            weight: T::reg_splat(s, change.weight),
            share: T::reg_splat(s, -(change.weight / change.alpha)),
            one: T::reg_splat(s, T::one()),
            floor: T::reg_splat(s, T::EPSILON / T::of(2.0)),
        }
    }

    /// b, and V after, of some coordinates.
    #[inline(always)]
    fn shrink<const PRECISION: bool>(
        &self,
        s: S,
        h: T::Reg<S>,
        v: T::Reg<S>,
    ) -> (T::Reg<S>, T::Reg<S>) {
        let v = T::reg_mul(s, v, self.inverse);
        let b = T::reg_mul(s, v, h);
        let v = if PRECISION {
            let alpha = T::reg_fma(s, self.weight, T::reg_mul(s, h, b), self.one);
            T::reg_div(s, v, alpha)
        } else {
            let less = T::reg_fma(s, T::reg_mul(s, self.share, b), b, v);
            T::reg_max(s, less, T::reg_mul(s, self.floor, v))
        };
        (b, v)
    }

    /// theta and V after, of some coordinates.
    #[inline(always)]
    pub(super) fn learn<const PRECISION: bool>(
        &self,
        s: S,
        h: T::Reg<S>,
        theta: T::Reg<S>,
        v: T::Reg<S>,
    ) -> (T::Reg<S>, T::Reg<S>) {
        let (b, v) = self.shrink::<PRECISION>(s, h, v);
        (T::reg_fma(s, self.gain, b, theta), v)
    }
}

pub(super) struct Shrink<'a, T> {
    pub(super) from: Option<&'a [T]>,
    pub(super) to: &'a mut [T],
    pub(super) h: &'a [T],
    pub(super) b: &'a mut [T],
    pub(super) change: Change<T>,
}

impl<T: Scalar> WithSimd for Shrink<'_, T> {
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

impl<T: Scalar> Shrink<'_, T> {
    #[inline(always)]
    fn run<S: Simd, const PRECISION: bool>(self, s: S) {
        let factors = Factors::<T, S>::new(s, &self.change);
        let (to, h) = (T::regs_mut::<S>(self.to), T::regs::<S>(self.h));
        let pairs = h.iter().zip(T::regs_mut::<S>(self.b));
        match self.from {
            Some(from) => {
                for ((to, &v), (&h, b)) in to.iter_mut().zip(T::regs::<S>(from)).zip(pairs) {
                    (*b, *to) = factors.shrink::<PRECISION>(s, h, v);
                }
            }
            None => {
                for (to, (&h, b)) in to.iter_mut().zip(pairs) {
                    (*b, *to) = factors.shrink::<PRECISION>(s, h, *to);
                }
            }
        }
    }
}
