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

/// f_c = u_c'h for the columns of `N` blocks, one accumulator each: a sum has the same bits wherever it is taken.
///
/// blocks: (NC, stride), U; h: (len,), at least as long as each block is high. Cost O(N·NC·len).
#[inline(always)]
fn dots_of<T: Scalar, S: Simd, const N: usize>(s: S, blocks: [&[T]; N], h: &[T]) -> [[T; NC]; N] {
    let h = T::regs::<S>(h);
    let columns = blocks.map(|block| {
        let stride = block.len() / NC;
        let column = |c: usize| &T::regs::<S>(&block[c * stride..(c + 1) * stride])[..h.len()];
        [column(0), column(1), column(2), column(3)]
    });
    let mut sums = [[T::reg_splat(s, T::zero()); NC]; N];
    for i in 0..h.len() {
        for n in 0..N {
            for c in 0..NC {
                sums[n][c] = T::reg_fma(s, columns[n][c][i], h[i], sums[n][c]);
            }
        }
    }
    sums.map(|sums| sums.map(|sum| T::reg_sum(s, sum)))
}

/// f_c = u_c'h for the columns of a block.
///
/// block: (NC, stride), U; h: (len,). Cost O(NC·len).
#[inline(always)]
pub(crate) fn dots<T: Scalar, S: Simd>(s: S, block: &[T], h: &[T]) -> [T; NC] {
    dots_of(s, [block], h)[0]
}

/// u_c'h for the columns of a block and each of `N` rows.
///
/// block: (NC, stride), U; rows: (len,) each. Cost O(N·NC·len), one read of the block.
#[inline(always)]
pub(crate) fn dots_rows<T: Scalar, S: Simd, const N: usize>(
    s: S,
    block: &[T],
    rows: [&[T]; N],
) -> [[T; NC]; N] {
    let len = rows[0].len();
    let columns = split::<T, S>(block, len);
    let n = columns[0].len();
    let (columns, rows) = (
        columns.map(|c| &c[..n]),
        rows.map(|h| &T::regs::<S>(&h[..len])[..n]),
    );
    let mut sums = [[T::reg_splat(s, T::zero()); NC]; N];
    for i in 0..n {
        for c in 0..NC {
            for r in 0..N {
                sums[r][c] = T::reg_fma(s, columns[c][i], rows[r][i], sums[r][c]);
            }
        }
    }
    sums.map(|sums| sums.map(|sum| T::reg_sum(s, sum)))
}

/// [`dots`] of two blocks at once, of one stride: eight chains hide the latency of the addition.
///
/// len is that of the second block; above its own last row the first holds zeros.
#[inline(always)]
pub(crate) fn dots_pair<T: Scalar, S: Simd>(s: S, blocks: [&[T]; 2], h: &[T]) -> [[T; NC]; 2] {
    dots_of(s, blocks, h)
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

/// u_c <- u_c + lambda_c b, then b <- b + v_c (old u_c), column after column in one sweep over the rows; on the way the dots of the new
/// block with the next row's h, with the bits of [`dots`].
///
/// source: (NC, stride), the old U, or `None`: in place; block: (NC, stride), the new U; b: (len,); next: (len,). Cost O(NC·len).
#[inline(always)]
pub(crate) fn update<T: Scalar, S: Simd>(
    s: S,
    source: Option<&[T]>,
    block: &mut [T],
    b: &mut [T],
    factors: (&[T; NC], &[T; NC]),
    next: Option<&[T]>,
) -> [T; NC] {
    match (source, next) {
        (None, None) => sweep::<T, S, false, false>(s, &[], block, b, factors, &[]),
        (None, Some(h)) => sweep::<T, S, false, true>(s, &[], block, b, factors, h),
        (Some(old), None) => sweep::<T, S, true, false>(s, old, block, b, factors, &[]),
        (Some(old), Some(h)) => sweep::<T, S, true, true>(s, old, block, b, factors, h),
    }
}

#[inline(always)]
fn sweep<T: Scalar, S: Simd, const FROM: bool, const NEXT: bool>(
    s: S,
    source: &[T],
    block: &mut [T],
    b: &mut [T],
    (v, lambda): (&[T; NC], &[T; NC]),
    h: &[T],
) -> [T; NC] {
    let len = b.len();
    let b = T::regs_mut::<S>(b);
    let n = b.len();
    let columns = split_mut::<T, S>(block, len).map(|c| &mut c[..n]);
    let olds = if FROM {
        split::<T, S>(source, len).map(|c| &c[..n])
    } else {
        [&[][..]; NC]
    };
    let h = if NEXT {
        &T::regs::<S>(&h[..len])[..n]
    } else {
        &[]
    };
    let (v, lambda) = (
        v.map(|x| T::reg_splat(s, x)),
        lambda.map(|x| T::reg_splat(s, x)),
    );
    let mut sums = [T::reg_splat(s, T::zero()); NC];
    for i in 0..n {
        let mut x = b[i];
        for c in 0..NC {
            let old = if FROM { olds[c][i] } else { columns[c][i] };
            let new = T::reg_fma(s, lambda[c], x, old);
            x = T::reg_fma(s, old, v[c], x);
            if NEXT {
                sums[c] = T::reg_fma(s, new, h[i], sums[c]);
            }
            columns[c][i] = new;
        }
        b[i] = x;
    }
    totals::<T, S, NEXT>(s, sums)
}

#[inline(always)]
fn totals<T: Scalar, S: Simd, const NEXT: bool>(s: S, sums: [T::Reg<S>; NC]) -> [T; NC] {
    if NEXT {
        sums.map(|sum| T::reg_sum(s, sum))
    } else {
        [T::zero(); NC]
    }
}

/// b <- b + sum_c v_c u_c, with the rounding of [`update`], whose lambda is zero; on the way the dots of the block with the next row's h.
///
/// block: (NC, stride), U; b: (len,); next: (len,). Cost O(NC·len), and U is not written.
#[inline(always)]
pub(crate) fn combine<T: Scalar, S: Simd>(
    s: S,
    block: &[T],
    b: &mut [T],
    v: &[T; NC],
    next: Option<&[T]>,
) -> [T; NC] {
    match next {
        None => read::<T, S, false>(s, block, b, v, &[]),
        Some(h) => read::<T, S, true>(s, block, b, v, h),
    }
}

#[inline(always)]
fn read<T: Scalar, S: Simd, const NEXT: bool>(
    s: S,
    block: &[T],
    b: &mut [T],
    v: &[T; NC],
    h: &[T],
) -> [T; NC] {
    let len = b.len();
    let b = T::regs_mut::<S>(b);
    let n = b.len();
    let columns = split::<T, S>(block, len).map(|c| &c[..n]);
    let h = if NEXT {
        &T::regs::<S>(&h[..len])[..n]
    } else {
        &[]
    };
    let v = v.map(|x| T::reg_splat(s, x));
    let mut sums = [T::reg_splat(s, T::zero()); NC];
    for i in 0..n {
        let mut x = b[i];
        for c in 0..NC {
            let old = columns[c][i];
            x = T::reg_fma(s, old, v[c], x);
            if NEXT {
                sums[c] = T::reg_fma(s, old, h[i], sums[c]);
            }
        }
        b[i] = x;
    }
    totals::<T, S, NEXT>(s, sums)
}
