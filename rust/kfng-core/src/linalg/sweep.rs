//! The pass of a diagonal belief over one row, in place: bound by memory, so theta and V are read and written once a row.
//!
//! What the next row needs of them, h'theta and h'V h, is summed while they are in registers, and its h is brought along meanwhile.

use pulp::{Simd, WithSimd};

use super::Path;
use crate::scalar::Scalar;

/// How far ahead of the sums a row is fetched, in numbers.
#[cfg(target_arch = "x86_64")]
const AHEAD: usize = 768;

/// What is known of a row before it teaches: of h, theta and V, without the decay of its time step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sums<T> {
    /// h'theta, with the bits of `dot`.
    pub z: T,
    /// h'V h.
    pub q: T,
}

/// How a row changes theta and V.
///
/// ```text
/// V <- V·inverse_decay;   b = V h;   theta <- theta + gain·b
/// precision:  V <- V/(1 + weight·h b)      covariance:  V <- max(V - (weight/alpha)·b², u·V)     (u unit roundoff)
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Change<T> {
    /// 1/decay of the time step.
    pub inverse_decay: T,
    /// Factor of b in the step of theta.
    pub gain: T,
    /// Fisher weight.
    pub weight: T,
    /// 1 + weight·h'V h, with V after the decay.
    pub alpha: T,
    /// Which diagonal is kept.
    pub keeps_precision: bool,
}

/// A row on its way in: `from` (d,) goes to the head of `to` (padded,), whose rest stays: 1 where there is an intercept, and zeros.
#[derive(Debug)]
pub struct Incoming<'a, T> {
    /// u.
    pub from: &'a [T],
    /// h.
    pub to: &'a mut [T],
}

/// Looks at a row. Cost O(p), one read of theta and V.
pub fn look<T: Scalar>(theta: &[T], v: &[T], row: Incoming<'_, T>) -> Sums<T> {
    Path::best().run(Look { theta, v, row })
}

/// Takes a row in and looks at the next one. Cost O(p), one read and one write of theta and V.
///
/// Nothing is checked on the way: the caller has seen to it that every number stays finite.
pub fn learn<T: Scalar>(
    theta: &mut [T],
    v: &mut [T],
    h: &[T],
    change: Change<T>,
    next: Option<Incoming<'_, T>>,
) -> Option<Sums<T>> {
    let path = Path::best();
    let learn = Learn {
        theta,
        v,
        h,
        change,
    };
    if let Some(row) = next {
        return Some(path.run(Both { learn, row }));
    }
    path.run(learn);
    None
}

/// h'V h. Cost O(p).
pub(crate) fn quadratic<T: Scalar>(v: &[T], h: &[T]) -> T {
    Path::best().run(Quadratic { v, h })
}

/// V after a row, into `to` and from there where `from` is not given, and b = V h with V after the decay.
pub(crate) fn shrink<T: Scalar>(
    from: Option<&[T]>,
    to: &mut [T],
    h: &[T],
    b: &mut [T],
    change: Change<T>,
) {
    Path::best().run(Shrink {
        from,
        to,
        h,
        b,
        change,
    });
}

/// Four registers of partial sums, in the order of `dot`.
pub(super) struct Partial<T: Scalar, S: Simd>([T::Reg<S>; 4]);

impl<T: Scalar, S: Simd> Partial<T, S> {
    #[inline(always)]
    pub(super) fn zero(s: S) -> Self {
        Partial([T::reg_splat(s, T::zero()); 4])
    }

    #[inline(always)]
    pub(super) fn set(&mut self, c: usize, sums: T::Reg<S>) {
        self.0[c] = sums;
    }

    #[inline(always)]
    fn add(&mut self, s: S, c: usize, x: T::Reg<S>, y: T::Reg<S>) {
        self.0[c] = T::reg_fma(s, x, y, self.0[c]);
    }

    #[inline(always)]
    pub(super) fn sum(self, s: S) -> T {
        let [a, b, c, d] = self.0;
        T::reg_sum(s, T::reg_add(s, T::reg_add(s, a, b), T::reg_add(s, c, d))) + T::zero()
    }
}

/// The sums of a row as it comes in.
struct Seen<T: Scalar, S: Simd> {
    z: Partial<T, S>,
    q: Partial<T, S>,
}

impl<T: Scalar, S: Simd> Seen<T, S> {
    #[inline(always)]
    fn zero(s: S) -> Self {
        Seen {
            z: Partial::zero(s),
            q: Partial::zero(s),
        }
    }

    #[inline(always)]
    fn add(&mut self, s: S, c: usize, h: T::Reg<S>, theta: T::Reg<S>, v: T::Reg<S>) {
        self.z.add(s, c, h, theta);
        self.q.add(s, c, h, T::reg_mul(s, v, h));
    }

    #[inline(always)]
    fn sums(self, s: S) -> Sums<T> {
        Sums {
            z: self.z.sum(s),
            q: self.q.sum(s),
        }
    }
}

/// A change in registers.
struct Factors<T: Scalar, S: Simd> {
    inverse: T::Reg<S>,
    gain: T::Reg<S>,
    weight: T::Reg<S>,
    share: T::Reg<S>,
    one: T::Reg<S>,
    floor: T::Reg<S>,
}

impl<T: Scalar, S: Simd> Factors<T, S> {
    #[inline(always)]
    fn new(s: S, change: &Change<T>) -> Self {
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
    fn learn<const PRECISION: bool>(
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

/// The same numbers, in a register: the compiler then reads them once, although they are summed and kept. A caller's array may change
/// meanwhile, and what was summed must be what is kept. (x - 0 is x, and no instruction is left of it.)
#[inline(always)]
fn once<T: Scalar, S: Simd>(s: S, x: T::Reg<S>) -> T::Reg<S> {
    T::reg_add(s, x, T::reg_splat(s, -T::zero()))
}

/// Asks for what lies ahead of a place in a row: rows come from far away, and nothing else needs that way meanwhile.
#[inline(always)]
fn prefetch<T>(row: &[T], at: usize) {
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
fn whole<T: Scalar, S: Simd>(row: &Incoming<'_, T>) -> usize {
    let group = 4 * T::reg_lanes::<S>();
    assert!(row.from.len() <= row.to.len());
    row.from.len() - row.from.len() % group
}

struct Look<'a, T> {
    theta: &'a [T],
    v: &'a [T],
    row: Incoming<'a, T>,
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

struct Learn<'a, T> {
    theta: &'a mut [T],
    v: &'a mut [T],
    h: &'a [T],
    change: Change<T>,
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

struct Both<'a, T> {
    learn: Learn<'a, T>,
    row: Incoming<'a, T>,
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

struct Quadratic<'a, T> {
    v: &'a [T],
    h: &'a [T],
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

struct Shrink<'a, T> {
    from: Option<&'a [T]>,
    to: &'a mut [T],
    h: &'a [T],
    b: &'a mut [T],
    change: Change<T>,
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

#[cfg(test)]
mod tests {
    use super::{Both, Change, Incoming, Learn, Look, quadratic};
    use crate::linalg::testing::Rng;
    use crate::linalg::{Path, dot};
    use crate::scalar::Scalar;

    /// Against the obvious loop in float64, on every path of this machine, with a row that ends anywhere in a register.
    fn equals_the_loop<T: Scalar>(tolerance: f64) {
        for d in [
            1usize, 15, 16, 17, 31, 33, 63, 64, 65, 127, 130, 257, 1000, 1531,
        ] {
            let (mut rng, padded) = (Rng(d as u64 + 1), (d + 1).next_multiple_of(16));
            let mut draw = |n: usize| -> Vec<T> { (0..n).map(|_| T::of(rng.next())).collect() };
            let (from, mut h, theta) = (draw(d), draw(padded), draw(padded));
            let v: Vec<T> = draw(padded).iter().map(|&x| x * x + T::of(0.1)).collect();
            h[d + 1..].fill(T::zero());
            for keeps_precision in [true, false] {
                let [inverse, gain, weight] = [1.25, -0.7, 3.0];
                let sum = |f: &dyn Fn(usize) -> f64| (0..padded).map(f).sum::<f64>();
                let q = inverse * sum(&|i| (h[i] * h[i] * v[i]).to_f64());
                let alpha = 1.0 + weight * q;
                let change = Change {
                    inverse_decay: T::of(inverse),
                    gain: T::of(gain),
                    weight: T::of(weight),
                    alpha: T::of(alpha),
                    keeps_precision,
                };
                let after = |i: usize| {
                    let (h, v) = (h[i].to_f64(), v[i].to_f64() * inverse);
                    let b = v * h;
                    let less = weight / alpha * b * b;
                    let shrunk = if keeps_precision {
                        v / (1.0 + weight * h * b)
                    } else {
                        (v - less).max(v * T::EPSILON.to_f64() / 2.0)
                    };
                    (theta[i].to_f64() + gain * b, shrunk)
                };
                let next = |i: usize| match i {
                    _ if i < d => from[i].to_f64(),
                    _ if i == d => 1.0,
                    _ => 0.0,
                };
                let close = |x: f64, y: f64| (x - y).abs() <= tolerance * (1.0 + y.abs());
                for path in Path::available() {
                    let blank = || -> Vec<T> {
                        (0..padded)
                            .map(|i| T::of(f64::from(u8::from(i == d))))
                            .collect()
                    };
                    let (mut theta_1, mut v_1, mut to) = (theta.clone(), v.clone(), blank());
                    let learn = Learn {
                        theta: &mut theta_1,
                        v: &mut v_1,
                        h: &h,
                        change,
                    };
                    let row = Incoming {
                        from: &from,
                        to: &mut to,
                    };
                    let sums = path.run(Both { learn, row });
                    assert!((0..padded).all(|i| to[i].to_f64() == next(i)));
                    for i in 0..padded {
                        let (x, y) = after(i);
                        assert!(close(theta_1[i].to_f64(), x) && close(v_1[i].to_f64(), y));
                    }
                    assert!(close(sums.z.to_f64(), sum(&|i| next(i) * after(i).0)));
                    assert!(close(
                        sums.q.to_f64(),
                        sum(&|i| next(i) * next(i) * after(i).1)
                    ));
                    // In two passes: the same bits.
                    let (mut theta_2, mut v_2, mut to) = (theta.clone(), v.clone(), blank());
                    path.run(Learn {
                        theta: &mut theta_2,
                        v: &mut v_2,
                        h: &h,
                        change,
                    });
                    assert!(theta_1 == theta_2 && v_1 == v_2);
                    let row = Incoming {
                        from: &from,
                        to: &mut to,
                    };
                    let (theta, v) = (&theta_2[..], &v_2[..]);
                    assert!(path.run(Look { theta, v, row }) == sums);
                    if path.name() == Path::best().name() && padded > 16 {
                        assert!(sums.z == dot(&to, theta) && sums.q == quadratic(v, &to));
                    }
                }
            }
        }
    }

    #[test]
    fn every_path_equals_the_loop() {
        equals_the_loop::<f64>(1e-13);
        equals_the_loop::<f32>(2e-5);
    }
}
