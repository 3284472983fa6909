//! One block of U against one column h: the arithmetic every pass shares.

use pulp::Simd;

use super::columns::Tally;
use super::grid::{Grid, GridMut};
use super::ud::NC;
use crate::scalar::Scalar;

/// The `NC` columns of a block, each cut to whole registers.
#[inline(always)]
fn split<T: Scalar, S: Simd>(block: &[T], len: usize) -> [&[T::Reg<S>]; NC] {
    let stride = block.len() / NC;
    std::array::from_fn(|c| T::regs::<S>(&block[c * stride..c * stride + len]))
}

/// f_c = u_c'h for the columns of a block, one accumulator each: a sum has the same bits wherever it is taken.
///
/// block: (NC, stride), U; h: (len,), at least as long as the block is high. Cost O(NC·len).
#[inline(always)]
pub(crate) fn dots<T: Scalar, S: Simd>(s: S, block: &[T], h: &[T]) -> [T; NC] {
    let columns = split::<T, S>(block, h.len());
    let h = T::regs::<S>(h);
    let columns = columns.map(|c| &c[..h.len()]);
    let mut sums = [T::reg_splat(s, T::zero()); NC];
    for i in 0..h.len() {
        for c in 0..NC {
            sums[c] = T::reg_fma(s, columns[c][i], h[i], sums[c]);
        }
    }
    sums.map(|sum| T::reg_sum(s, sum))
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

/// The dots that a sweep takes on its way, with the bits of [`dots`]: reading and summing for what comes next while it stores.
#[derive(Clone, Copy)]
pub(crate) enum Next<'a, T> {
    /// None; they count as 0.
    Nothing,
    /// Of the block it leaves behind, with this h.
    Left(&'a [T]),
    /// Of another block, at least as high, with this h.
    Other(&'a [T], &'a [T]),
}

const NOTHING: u8 = 0;
const LEFT: u8 = 1;
const OTHER: u8 = 2;

/// u_c <- u_c + lambda_c b, then b <- b + v_c (old u_c), column after column in one sweep over the rows, and the dots of `next`.
///
/// source: (NC, stride), the old U, or `None`: in place; block: (NC, stride), the new U; b: (len,). Cost O(NC·len).
#[inline(always)]
pub(crate) fn update<T: Scalar, S: Simd>(
    s: S,
    source: Option<&[T]>,
    block: &mut [T],
    b: &mut [T],
    factors: (&[T; NC], &[T; NC]),
    next: Next<'_, T>,
) -> [T; NC] {
    match (source, next) {
        (None, Next::Nothing) => sweep::<T, S, false, NOTHING>(s, &[], block, b, factors, &[], &[]),
        (None, Next::Left(h)) => sweep::<T, S, false, LEFT>(s, &[], block, b, factors, &[], h),
        (None, Next::Other(other, h)) => {
            sweep::<T, S, false, OTHER>(s, &[], block, b, factors, other, h)
        }
        (Some(old), Next::Left(h)) => sweep::<T, S, true, LEFT>(s, old, block, b, factors, &[], h),
        (Some(old), next) => {
            sweep::<T, S, true, NOTHING>(s, old, block, b, factors, &[], &[]);
            if let Next::Other(other, h) = next {
                return dots(s, other, h);
            }
            [T::zero(); NC]
        }
    }
}

#[inline(always)]
#[expect(unsafe_code, reason = "see grid.rs")]
fn sweep<T: Scalar, S: Simd, const FROM: bool, const NEXT: u8>(
    s: S,
    source: &[T],
    block: &mut [T],
    b: &mut [T],
    (v, lambda): (&[T; NC], &[T; NC]),
    other: &[T],
    h: &[T],
) -> [T; NC] {
    let (b, h) = (T::regs_mut::<S>(b), T::regs::<S>(h));
    let n = b.len();
    let (h, rest) = h.split_at(if NEXT == NOTHING { 0 } else { n });
    let from = Grid::new::<S>(source, if FROM { n } else { 0 });
    let beside = if NEXT == OTHER { n + rest.len() } else { 0 };
    let other = Grid::new::<S>(other, beside);
    let mut to = GridMut::new::<S>(block, n);
    let v = v.map(|x| T::reg_splat(s, x));
    let lambda = lambda.map(|x| T::reg_splat(s, x));
    let mut sums = [T::reg_splat(s, T::zero()); NC];
    for i in 0..n {
        let mut x = b[i];
        for c in 0..NC {
            // SAFETY: c < NC; i < n, of which `to` has room, and `from` where it is read.
            let old = unsafe {
                if FROM {
                    from.get::<S>(c, i)
                } else {
                    to.get::<S>(c, i)
                }
            };
            let new = T::reg_fma(s, lambda[c], x, old);
            x = T::reg_fma(s, old, v[c], x);
            if NEXT == LEFT {
                sums[c] = T::reg_fma(s, new, h[i], sums[c]);
            }
            // SAFETY: as above.
            unsafe { to.set::<S>(c, i, new) };
        }
        b[i] = x;
        if NEXT == OTHER {
            for c in 0..NC {
                // SAFETY: c < NC, and i < n <= beside.
                let there = unsafe { other.get::<S>(c, i) };
                sums[c] = T::reg_fma(s, there, h[i], sums[c]);
            }
        }
    }
    totals::<T, S, NEXT>(s, sums, other, n, rest)
}

/// The sums once the rows above a sweep of n registers are added: `other` has room for n registers and the rest of h.
#[inline(always)]
#[expect(unsafe_code, reason = "see grid.rs")]
fn totals<T: Scalar, S: Simd, const NEXT: u8>(
    s: S,
    sums: [T::Reg<S>; NC],
    other: Grid<'_, T>,
    n: usize,
    rest: &[T::Reg<S>],
) -> [T; NC] {
    let mut sums = sums;
    if NEXT == NOTHING {
        return [T::zero(); NC];
    }
    if NEXT == OTHER {
        for (i, &h) in rest.iter().enumerate() {
            for c in 0..NC {
                // SAFETY: c < NC, and n + i is below the n of `other`.
                let there = unsafe { other.get::<S>(c, n + i) };
                sums[c] = T::reg_fma(s, there, h, sums[c]);
            }
        }
    }
    sums.map(|sum| T::reg_sum(s, sum))
}

/// b <- b + sum_c v_c u_c, with the rounding of [`update`], whose lambda is zero, and the dots of `next`.
///
/// block: (NC, stride), U; b: (len,). Cost O(NC·len), and U is not written.
#[inline(always)]
pub(crate) fn combine<T: Scalar, S: Simd>(
    s: S,
    block: &[T],
    b: &mut [T],
    v: &[T; NC],
    next: Next<'_, T>,
) -> [T; NC] {
    match next {
        Next::Nothing => read::<T, S, NOTHING>(s, block, b, v, &[], &[]),
        Next::Left(h) => read::<T, S, LEFT>(s, block, b, v, &[], h),
        Next::Other(other, h) => read::<T, S, OTHER>(s, block, b, v, other, h),
    }
}

#[inline(always)]
#[expect(unsafe_code, reason = "see grid.rs")]
fn read<T: Scalar, S: Simd, const NEXT: u8>(
    s: S,
    block: &[T],
    b: &mut [T],
    v: &[T; NC],
    other: &[T],
    h: &[T],
) -> [T; NC] {
    let (b, h) = (T::regs_mut::<S>(b), T::regs::<S>(h));
    let n = b.len();
    let (h, rest) = h.split_at(if NEXT == NOTHING { 0 } else { n });
    let block = Grid::new::<S>(block, n);
    let beside = if NEXT == OTHER { n + rest.len() } else { 0 };
    let other = Grid::new::<S>(other, beside);
    let v = v.map(|x| T::reg_splat(s, x));
    let mut sums = [T::reg_splat(s, T::zero()); NC];
    for i in 0..n {
        let mut x = b[i];
        for c in 0..NC {
            // SAFETY: c < NC; i < n, and n <= beside where `other` is read.
            let (old, there) = unsafe {
                let old = block.get::<S>(c, i);
                (
                    old,
                    if NEXT == OTHER {
                        other.get::<S>(c, i)
                    } else {
                        old
                    },
                )
            };
            x = T::reg_fma(s, old, v[c], x);
            if NEXT != NOTHING {
                sums[c] = T::reg_fma(s, there, h[i], sums[c]);
            }
        }
        b[i] = x;
    }
    totals::<T, S, NEXT>(s, sums, other, n, rest)
}
