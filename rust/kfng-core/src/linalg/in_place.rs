//! One column for p <= 16 in two halves, where the belief lies: what it says is computed first, and written only if it may be.
//!
//! f_j = u_j'h is taken from the old U, so that v, lambda, alpha and D follow without a write; a second sweep makes b and the new U. The
//! operations and their order are those of index_order.rs, so the bits are the same.

use pulp::Simd;

use super::index_order::{Column, dots};
use super::ud::{NC, PAD};
use crate::scalar::Scalar;

/// U of K blocks, each of `NC` columns.
pub(crate) type Blocks<T, const K: usize> = [[Column<T>; NC]; K];

/// What a column says of a belief that has not been touched; (p,) each, of the length of a column.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured<T, const K: usize> {
    v: Column<T>,
    lambda: Column<T>,
    d: Column<T>,
    alpha: T,
    q: T,
    /// Largest |lambda|.
    peak: f64,
}

/// The first half. `weight`: Fisher weight. Cost O(p²), one read of U.
#[inline(always)]
pub(crate) fn measure<T: Scalar, S: Simd, const K: usize>(
    s: S,
    u: &Blocks<T, K>,
    d: &Column<T>,
    h: &Column<T>,
    weight: T,
    inverse_decay: T,
) -> Measured<T, K> {
    let zeros = [T::zero(); PAD];
    let mut f = zeros;
    for k in 0..K {
        f[k * NC..(k + 1) * NC].copy_from_slice(&dots(&u[k], h, k));
    }
    let (mut v, mut lambda, mut decayed) = (zeros, zeros, zeros);
    let (mut more, mut squares) = (zeros, zeros);
    let each = 0..(K * NC).div_ceil(T::reg_lanes::<S>());
    let (times, minus) = (T::reg_splat(s, weight), T::reg_splat(s, -weight));
    let fresh = T::reg_splat(s, inverse_decay);
    for i in each.clone() {
        let f = T::regs::<S>(&f)[i];
        let d = T::reg_mul(s, T::regs::<S>(d)[i], fresh);
        let own = T::reg_mul(s, d, f);
        T::regs_mut::<S>(&mut decayed)[i] = d;
        T::regs_mut::<S>(&mut v)[i] = own;
        T::regs_mut::<S>(&mut lambda)[i] = T::reg_mul(s, minus, f);
        T::regs_mut::<S>(&mut more)[i] = T::reg_mul(s, T::reg_mul(s, times, f), own);
        T::regs_mut::<S>(&mut squares)[i] = T::reg_mul(s, f, own);
    }
    let (mut alphas, mut next, mut alpha, mut q) = (zeros, zeros, T::one(), T::zero());
    for j in 0..PAD {
        alphas[j] = alpha;
        if j < K * NC {
            alpha += more[j];
            q += squares[j];
        }
        next[j] = alpha;
    }
    let mut peaks = T::reg_splat(s, T::zero());
    for i in each {
        let (alpha, next) = (T::regs::<S>(&alphas)[i], T::regs::<S>(&next)[i]);
        let lambda = &mut T::regs_mut::<S>(&mut lambda)[i];
        *lambda = T::reg_div(s, *lambda, alpha);
        // A NaN may be lost here, but then alpha or v is not finite.
        peaks = T::reg_peak(s, *lambda, peaks);
        let d = &mut T::regs_mut::<S>(&mut decayed)[i];
        *d = T::reg_mul(s, *d, T::reg_div(s, alpha, next));
    }
    let mut sizes = zeros;
    T::regs_mut::<S>(&mut sizes)[0] = peaks;
    let lanes = T::reg_lanes::<S>();
    let peak = sizes[..lanes]
        .iter()
        .fold(0.0, |most: f64, x| most.max(x.to_f64()));
    Measured {
        v,
        lambda,
        d: decayed,
        alpha,
        q,
        peak,
    }
}

impl<T: Scalar, const K: usize> Measured<T, K> {
    /// 1 + weight·q.
    #[inline(always)]
    pub(crate) fn alpha(&self) -> T {
        self.alpha
    }

    /// h'P h.
    #[inline(always)]
    pub(crate) fn q(&self) -> T {
        self.q
    }

    /// (max|lambda|, sum of |v|): see `fuse`, which makes the growth of the bound on U from them.
    #[inline(always)]
    pub(crate) fn spread(&self) -> (f64, f64) {
        let mut spread = [T::zero(); NC];
        for j in 0..K * NC {
            spread[j % NC] += self.v[j].abs();
        }
        (self.peak, spread.iter().map(|x| x.to_f64()).sum())
    }

    /// Whether D stays possible.
    #[inline(always)]
    pub(crate) fn possible(&self) -> bool {
        let fine = |x: T| u8::from(x >= T::zero()) & u8::from(x <= T::MAX);
        let d = &self.d[..K * NC];
        d.iter().fold(1, |all, &x| all & fine(x)) == 1
    }

    /// The second half: writes U and D, and theta + gain·b. Cost O(p²), one read and one write of U.
    #[inline(always)]
    pub(crate) fn apply(
        &self,
        u: &mut Blocks<T, K>,
        d: &mut Column<T>,
        theta: &mut Column<T>,
        gain: T,
    ) {
        let mut x = [[T::zero(); NC]; K];
        for k in 0..K {
            for c in 0..NC {
                let (v, lambda) = (self.v[k * NC + c], self.lambda[k * NC + c]);
                let column = &mut u[k][c].as_chunks_mut::<NC>().0[..=k];
                for (q, quad) in column.iter_mut().enumerate() {
                    let old = *quad;
                    for r in 0..NC {
                        quad[r] = old[r] + lambda * x[q][r];
                    }
                    for r in 0..NC {
                        x[q][r] += v * old[r];
                    }
                }
            }
        }
        d[..K * NC].copy_from_slice(&self.d[..K * NC]);
        let theta = theta.as_chunks_mut::<NC>().0;
        for k in 0..K {
            for r in 0..NC {
                theta[k][r] += gain * x[k][r];
            }
        }
    }
}

/// h'theta in index order; both are zero from p on.
#[inline(always)]
pub(crate) fn dot<T: Scalar, const K: usize>(h: &Column<T>, theta: &Column<T>) -> T {
    let mut sum = T::zero();
    for i in 0..K * NC {
        sum += h[i] * theta[i];
    }
    sum
}

/// diag(P) with the bits of `diagonal`. Cost O(p²), one read of U.
#[inline(always)]
pub(crate) fn diagonal<T: Scalar, const K: usize>(u: &Blocks<T, K>, d: &Column<T>) -> Column<T> {
    let mut out = [T::zero(); PAD];
    for (k, block) in u.iter().enumerate() {
        for (c, column) in block.iter().enumerate() {
            let d = d[k * NC + c];
            for i in 0..(k + 1) * NC {
                out[i] += (d * column[i]) * column[i];
            }
        }
    }
    out
}
