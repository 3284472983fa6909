//! One block of U against one column h: the arithmetic every pass shares.

use pulp::Simd;

use super::columns::Tally;
use super::ud::NC;
use crate::scalar::Scalar;

/// The `NC` columns of a block, each cut to whole registers.
#[inline(always)]
fn split<T: Scalar, S: Simd>(block: &[T], len: usize) -> [&[T::Reg<S>]; NC] {
    let stride = block.len() / NC;
    std::array::from_fn(|c| T::regs::<S>(&block[c * stride..c * stride + len]))
}

#[inline(always)]
fn split_mut<T: Scalar, S: Simd>(block: &mut [T], len: usize) -> [&mut [T::Reg<S>]; NC] {
    let stride = block.len() / NC;
    let (c0, rest) = block.split_at_mut(stride);
    let (c1, rest) = rest.split_at_mut(stride);
    let (c2, c3) = rest.split_at_mut(stride);
    [c0, c1, c2, c3].map(|c| T::regs_mut::<S>(&mut c[..len]))
}

/// f_c = u_c'h for the columns of a block, two accumulators each: eight chains hide the latency of the addition.
///
/// block: (NC, stride), U; h: (len,). Cost O(NC·len).
#[inline(always)]
pub(crate) fn dots<T: Scalar, S: Simd>(s: S, block: &[T], h: &[T]) -> [T; NC] {
    let [c0, c1, c2, c3] = split::<T, S>(block, h.len());
    let (h, h_last) = T::regs::<S>(h).as_chunks::<2>();
    let ((c0, l0), (c1, l1)) = (c0.as_chunks::<2>(), c1.as_chunks::<2>());
    let ((c2, l2), (c3, l3)) = (c2.as_chunks::<2>(), c3.as_chunks::<2>());
    let mut a = [[T::reg_splat(s, T::zero()); 2]; NC];
    for ((((h, c0), c1), c2), c3) in h.iter().zip(c0).zip(c1).zip(c2).zip(c3) {
        for half in 0..2 {
            a[0][half] = T::reg_fma(s, c0[half], h[half], a[0][half]);
            a[1][half] = T::reg_fma(s, c1[half], h[half], a[1][half]);
            a[2][half] = T::reg_fma(s, c2[half], h[half], a[2][half]);
            a[3][half] = T::reg_fma(s, c3[half], h[half], a[3][half]);
        }
    }
    if let ([h], [l0], [l1], [l2], [l3]) = (h_last, l0, l1, l2, l3) {
        a[0][0] = T::reg_fma(s, *l0, *h, a[0][0]);
        a[1][0] = T::reg_fma(s, *l1, *h, a[1][0]);
        a[2][0] = T::reg_fma(s, *l2, *h, a[2][0]);
        a[3][0] = T::reg_fma(s, *l3, *h, a[3][0]);
    }
    a.map(|[x, y]| T::reg_sum(s, T::reg_add(s, x, y)))
}

/// v_c = D_c f_c, alpha and D of a block; returns (v, lambda) with lambda_c = -w f_c/alpha_c.
///
/// f: (NC,); d: (NC,), decayed on entry and updated on return. Cost O(NC), the divisions side by side.
#[inline(always)]
pub(crate) fn pivots<T: Scalar>(
    f: [T; NC],
    d: &mut [T; NC],
    weight: T,
    tally: &mut Tally<T>,
) -> ([T; NC], [T; NC]) {
    let (mut v, mut wf, mut alpha) = ([T::zero(); NC], [T::zero(); NC], [tally.alpha; NC + 1]);
    for c in 0..NC {
        v[c] = d[c] * f[c];
        wf[c] = weight * f[c];
        alpha[c + 1] = alpha[c] + wf[c] * v[c];
        tally.q += f[c] * v[c];
        tally.spread[c] += v[c].abs();
    }
    tally.alpha = alpha[NC];
    let (mut lambda, mut ratio) = (wf, alpha);
    for c in 0..NC {
        lambda[c] = -wf[c] / alpha[c];
    }
    for c in 0..NC {
        ratio[c] = alpha[c] / alpha[c + 1];
    }
    for c in 0..NC {
        d[c] *= ratio[c];
        let size = lambda[c].abs();
        // A NaN is not larger, but then alpha or v is not finite, which the bound sees.
        tally.peak[c] = if size > tally.peak[c] {
            size
        } else {
            tally.peak[c]
        };
    }
    (v, lambda)
}

/// u_c <- u_c + lambda_c b, then b <- b + v_c (old u_c), column after column in one sweep over the rows.
///
/// source: (NC, stride), the old U, or `None`: in place; block: (NC, stride), the new U; b: (len,). Cost O(NC·len).
#[inline(always)]
pub(crate) fn update<T: Scalar, S: Simd>(
    s: S,
    source: Option<&[T]>,
    block: &mut [T],
    b: &mut [T],
    v: [T; NC],
    lambda: [T; NC],
) {
    let len = b.len();
    let b = T::regs_mut::<S>(b);
    let [c0, c1, c2, c3] = split_mut::<T, S>(block, len);
    let (v, lambda) = (
        v.map(|x| T::reg_splat(s, x)),
        lambda.map(|x| T::reg_splat(s, x)),
    );
    if let Some(source) = source {
        let [s0, s1, s2, s3] = split::<T, S>(source, len);
        let new = b.iter_mut().zip(c0).zip(c1).zip(c2).zip(c3);
        let old = s0.iter().zip(s1).zip(s2).zip(s3);
        for (((((b, c0), c1), c2), c3), (((s0, s1), s2), s3)) in new.zip(old) {
            let mut x = *b;
            for (column, old, c) in [(c0, *s0, 0), (c1, *s1, 1), (c2, *s2, 2), (c3, *s3, 3)] {
                *column = T::reg_fma(s, lambda[c], x, old);
                x = T::reg_fma(s, old, v[c], x);
            }
            *b = x;
        }
    } else {
        for ((((b, c0), c1), c2), c3) in b.iter_mut().zip(c0).zip(c1).zip(c2).zip(c3) {
            let mut x = *b;
            for (column, c) in [(c0, 0), (c1, 1), (c2, 2), (c3, 3)] {
                let old = *column;
                *column = T::reg_fma(s, lambda[c], x, old);
                x = T::reg_fma(s, old, v[c], x);
            }
            *b = x;
        }
    }
}

/// b <- b + sum_c v_c u_c, with the rounding of [`update`].
///
/// block: (NC, stride), U; b: (len,). Cost O(NC·len).
#[inline(always)]
pub(crate) fn combine<T: Scalar, S: Simd>(s: S, block: &[T], b: &mut [T], v: [T; NC]) {
    let [c0, c1, c2, c3] = split::<T, S>(block, b.len());
    let v = v.map(|x| T::reg_splat(s, x));
    for ((((b, c0), c1), c2), c3) in T::regs_mut::<S>(b)
        .iter_mut()
        .zip(c0)
        .zip(c1)
        .zip(c2)
        .zip(c3)
    {
        for (column, c) in [(c0, 0), (c1, 1), (c2, 2), (c3, 3)] {
            *b = T::reg_fma(s, *column, v[c], *b);
        }
    }
}
