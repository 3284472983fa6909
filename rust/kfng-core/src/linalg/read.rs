//! What can be read of a belief without changing it.

use pulp::{Simd, WithSimd};

use super::block::{Next, combine, dots};
use super::index_order;
use super::ud::{NC, block_len, block_start};
use super::{Layout, Path};
use crate::scalar::Scalar;

/// q = h'P h and, where asked for, b = P h.
///
/// ```text
/// f = U'h;  v = D f;  q = f'v;  b = U v
/// ```
///
/// - u: (`u_len`,), d: (`d_len`,); h: (padded,); b: (padded,), overwritten
///
/// q and b have the bits of [`super::fuse()`] with decay 1. Cost O(p²), one read of U.
pub fn variance<T: Scalar>(layout: &Layout, u: &[T], d: &[T], h: &[T], b: Option<&mut [T]>) -> T {
    assert!(u.len() == layout.u_len() && d.len() == layout.d_len() && h.len() == layout.padded());
    assert!(b.as_ref().is_none_or(|b| b.len() == layout.padded()));
    if layout.is_index_order() {
        index_order::variance(layout, u, d, h, b)
    } else {
        layout.path().run(Variance { layout, u, d, h, b })
    }
}

struct Variance<'a, T> {
    layout: &'a Layout,
    u: &'a [T],
    d: &'a [T],
    h: &'a [T],
    b: Option<&'a mut [T]>,
}

impl<T: Scalar> WithSimd for Variance<'_, T> {
    type Output = T;

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) -> T {
        let Variance {
            layout,
            u,
            d,
            h,
            mut b,
        } = self;
        let mut q = T::zero();
        if let Some(b) = &mut b {
            b.fill(T::zero());
        }
        let len = |k: usize| ((k + 1) * NC).next_multiple_of(T::reg_lanes::<S>());
        let block = |k: usize| &u[block_start(k)..block_start(k) + NC * block_len(k)];
        let mut f = [T::zero(); NC];
        for k in 0..layout.blocks() {
            if k == 0 || b.is_none() {
                f = dots(s, block(k), &h[..len(k)]);
            }
            let v: [T; NC] = std::array::from_fn(|c| d[k * NC + c] * f[c]);
            for c in 0..NC {
                q += f[c] * v[c];
            }
            if let Some(b) = &mut b {
                let next = if k + 1 < layout.blocks() {
                    Next::Other(block(k + 1), &h[..len(k + 1)])
                } else {
                    Next::Nothing
                };
                f = combine(s, block(k), &mut b[..len(k)], &v, next);
            }
        }
        q
    }
}

/// diag(P): P_ii = sum over j >= i of D_j u_ij², j in order and nothing fused.
///
/// - u: (`u_len`,), d: (`d_len`,); out: (padded,), overwritten, zero from p on
///
/// `out[i]` has the bits of [`diagonal_at`], on every machine. Cost O(p²), one read of U.
pub fn diagonal<T: Scalar>(layout: &Layout, u: &[T], d: &[T], out: &mut [T]) {
    assert!(u.len() == layout.u_len() && d.len() == layout.d_len() && out.len() == layout.padded());
    layout.path().run(Diagonal { layout, u, d, out });
}

struct Diagonal<'a, T> {
    layout: &'a Layout,
    u: &'a [T],
    d: &'a [T],
    out: &'a mut [T],
}

impl<T: Scalar> WithSimd for Diagonal<'_, T> {
    type Output = ();

    // Element by element there is no sum to reorder, so the compiler vectorises this alone.
    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Diagonal { layout, u, d, out } = self;
        out.fill(T::zero());
        for k in 0..layout.blocks() {
            let (len, end) = (block_len(k), (k + 1) * NC);
            let block = &u[block_start(k)..block_start(k) + NC * len];
            let [d0, d1, d2, d3] = *d[end - NC..].first_chunk::<NC>().expect("D is padded");
            let (c0, c1, c2, c3) = (
                &block[..end],
                &block[len..len + end],
                &block[2 * len..][..end],
                &block[3 * len..][..end],
            );
            for ((((x, &a), &b), &c), &e) in out[..end].iter_mut().zip(c0).zip(c1).zip(c2).zip(c3) {
                *x = *x + (d0 * a) * a + (d1 * b) * b + (d2 * c) * c + (d3 * e) * e;
            }
        }
    }
}

/// P_ii alone, with the bits of [`diagonal`]. Cost O(p).
pub fn diagonal_at<T: Scalar>(layout: &Layout, u: &[T], d: &[T], i: usize) -> T {
    assert!(i < layout.p());
    let mut sum = T::zero();
    for j in i..layout.p() {
        let x = u[layout.at(i, j)];
        sum += (d[j] * x) * x;
    }
    sum
}

/// Whether every number of a slice is finite. Cost O(n), in registers: no early exit, for the answer is nearly always yes.
pub fn all_finite<T: Scalar>(x: &[T]) -> bool {
    Path::best().run(AllFinite(x))
}

struct AllFinite<'a, T>(&'a [T]);

impl<T: Scalar> WithSimd for AllFinite<'_, T> {
    type Output = bool;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> bool {
        // 0·x is 0 for a finite x and NaN otherwise; independent sums, so that they stay in registers.
        let (chunks, rest) = self.0.as_chunks::<32>();
        let mut sums = [T::zero(); 32];
        for chunk in chunks {
            for (sum, &x) in sums.iter_mut().zip(chunk) {
                *sum += x * T::zero();
            }
        }
        sums.iter().all(|&sum| sum == T::zero()) && rest.iter().all(T::is_finite)
    }
}
