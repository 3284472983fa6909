//! Products of known rows in the metric of a belief.

use pulp::{Simd, WithSimd};

use super::Layout;
use super::block::dots_rows;
use super::ud::{NC, block_len, block_start};
use crate::scalar::Scalar;

/// G = H P H' of k rows h, P = U D U' as it is, without decay.
///
/// ```text
/// F = U'H';   G = F' D F
/// ```
///
/// - u: (`u_len`,), d: (`d_len`,); h: (k, padded), k at most `MOST`; out: (k, k), overwritten, symmetric
///
/// Sums over D in float64. Cost O(k p²), one read of U.
pub fn gram<T: Scalar>(layout: &Layout, u: &[T], d: &[T], h: &[T], out: &mut [f64]) {
    let k = h.len() / layout.padded();
    assert!(u.len() == layout.u_len() && d.len() == layout.d_len() && k <= MOST);
    assert!(h.len() == k * layout.padded() && out.len() == k * k);
    out.fill(0.0);
    layout.path().run(Gram {
        layout,
        u,
        d,
        h,
        k,
        out,
    });
    for i in 0..k {
        for j in 0..i {
            out[j * k + i] = out[i * k + j];
        }
    }
}

/// Most rows of a product.
pub const MOST: usize = 64;

struct Gram<'a, T> {
    layout: &'a Layout,
    u: &'a [T],
    d: &'a [T],
    h: &'a [T],
    k: usize,
    out: &'a mut [f64],
}

impl<T: Scalar> WithSimd for Gram<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let (padded, k, mut f) = (self.layout.padded(), self.k, [[T::zero(); NC]; MOST]);
        for block in 0..self.layout.blocks() {
            let end = (block + 1) * NC;
            let len = end.next_multiple_of(T::reg_lanes::<S>());
            let u = &self.u[block_start(block)..block_start(block) + NC * block_len(block)];
            let h = |t: usize| &self.h[t * padded..t * padded + len];
            let mut t = 0;
            while t < k {
                if t + 1 < k {
                    let pair = dots_rows(s, u, [h(t), h(t + 1)]);
                    (f[t], f[t + 1]) = (pair[0], pair[1]);
                } else {
                    f[t] = dots_rows(s, u, [h(t)])[0];
                }
                t += 2;
            }
            let d: [f64; NC] = std::array::from_fn(|c| self.d[end - NC + c].to_f64());
            for i in 0..k {
                let v: [f64; NC] = std::array::from_fn(|c| d[c] * f[i][c].to_f64());
                for (out, f) in self.out[i * k..=i * k + i].iter_mut().zip(&f) {
                    for c in 0..NC {
                        *out += v[c] * f[c].to_f64();
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::gram;
    use crate::linalg::testing::{Belief, PS, random_columns};
    use crate::linalg::{Layout, Path};

    #[test]
    fn equals_the_dense_product_on_every_path() {
        for p in PS {
            for path in Path::available() {
                let layout = Layout::with_path(p, path).unwrap();
                let belief = Belief::<f64>::random(layout, 7);
                let columns = random_columns(&layout, 5, 3);
                let (cov, mut out) = (belief.dense(), [f64::NAN; 16]);
                let rows = &columns.h[layout.padded()..];
                gram(&layout, &belief.u, &belief.d, rows, &mut out);
                for ij in 0..16 {
                    let (x, y) = (columns.h(1 + ij / 4), columns.h(1 + ij % 4));
                    let sum: f64 = (0..p * p).map(|at| x[at / p] * cov[at] * y[at % p]).sum();
                    assert!((out[ij] - sum).abs() <= 1e-12 * p as f64, "{layout:?}");
                }
            }
        }
    }
}
