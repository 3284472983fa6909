//! The same kernels for p <= 16: sums in index order, nothing fused, so every machine (and a bank of filters) gets the same bits.
//!
//! The arithmetic, each operation rounded once (a bank repeats it lane by lane):
//!
//! ```text
//! D_j <- D_j·(1/decay), for each j;  b = 0, q = 0, alpha = 1;  for j = 0..p-1:
//!     f = 0;  f <- f + u_ij·h_i  for i = 0, 1, ...         v = D_j·f          g = w·f
//!     alpha' = alpha + g·v      q <- q + f·v      D_j <- D_j·(alpha/alpha')      lambda = -g/alpha
//!     u_ij <- u_ij + lambda·b_i  (old b)          b_i <- b_i + v·u_ij  (old u)   alpha <- alpha'
//! ```

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::block::pivots;
use super::columns::{Setting, Tally};
use super::ud::{NC, PAD};
use super::{Columns, Layout};
use crate::scalar::Scalar;

/// A vector, or a column of U: at most `PAD` numbers, so all columns have one length.
pub(crate) type Column<T> = [T; PAD];

/// [`super::fuse()`] for p <= 16. Entries before `start` are zero and so are their f and v: nothing is gained by skipping them.
#[inline(always)]
pub(crate) fn fuse<T: Scalar>(
    layout: &Layout,
    from: Option<(&[T], &[T])>,
    u: &mut [T],
    d: &mut [T],
    columns: &mut Columns<T>,
    range: Range<usize>,
) {
    let path = layout.path();
    // The number of blocks as a constant: every loop below then has a fixed length.
    match layout.blocks() {
        1 => path.run_index_order(Wave::<T, 1> {
            from,
            u,
            d,
            columns,
            range,
        }),
        2 => path.run_index_order(Wave::<T, 2> {
            from,
            u,
            d,
            columns,
            range,
        }),
        3 => path.run_index_order(Wave::<T, 3> {
            from,
            u,
            d,
            columns,
            range,
        }),
        4 => path.run_index_order(Wave::<T, 4> {
            from,
            u,
            d,
            columns,
            range,
        }),
        _ => {}
    }
}

struct Wave<'a, T, const K: usize> {
    from: Option<(&'a [T], &'a [T])>,
    u: &'a mut [T],
    d: &'a mut [T],
    columns: &'a mut Columns<T>,
    range: Range<usize>,
}

impl<T: Scalar, const K: usize> WithSimd for Wave<'_, T, K> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Wave {
            from,
            u,
            d,
            columns,
            range,
        } = self;
        let (u, d) = (
            view_mut::<T, K>(u),
            d.first_chunk_mut::<PAD>().expect("D is padded"),
        );
        let mut old = from.map(|(u0, d0)| (view::<T, K>(u0), d0));
        let (h, b) = (
            columns.h.as_chunks::<PAD>().0,
            columns.b.as_chunks_mut::<PAD>().0,
        );
        for t in range {
            let (setting, tally) = (columns.settings[t], &mut columns.tallies[t]);
            if let Some((u0, d0)) = old.take() {
                d.copy_from_slice(d0);
                row::<T, K, true>(u0, u, d, setting, &h[t], &mut b[t], tally);
            } else {
                row::<T, K, false>(&[], u, d, setting, &h[t], &mut b[t], tally);
            }
        }
    }
}

#[inline(always)]
fn view<T: Scalar, const K: usize>(u: &[T]) -> &[[Column<T>; NC]] {
    &u.as_chunks::<PAD>().0.as_chunks::<NC>().0[..K]
}

#[inline(always)]
fn view_mut<T: Scalar, const K: usize>(u: &mut [T]) -> &mut [[Column<T>; NC]] {
    &mut u.as_chunks_mut::<PAD>().0.as_chunks_mut::<NC>().0[..K]
}

/// f_c = u_c'h for the columns of block k, rows in order.
#[inline(always)]
pub(super) fn dots<T: Scalar>(block: &[Column<T>; NC], h: &Column<T>, k: usize) -> [T; NC] {
    let mut f = [T::zero(); NC];
    let h = h.as_chunks::<NC>().0;
    for q in 0..=k {
        let mut products = [[T::zero(); NC]; NC];
        for c in 0..NC {
            let column = &block[c].as_chunks::<NC>().0[q];
            for r in 0..NC {
                products[c][r] = column[r] * h[q][r];
            }
        }
        for r in 0..NC {
            for c in 0..NC {
                f[c] += products[c][r];
            }
        }
    }
    f
}

/// One column h; `FROM`: read the belief from `u0`.
#[inline(always)]
fn row<T: Scalar, const K: usize, const FROM: bool>(
    u0: &[[Column<T>; NC]],
    u: &mut [[Column<T>; NC]],
    d: &mut [T; PAD],
    setting: Setting<T>,
    h: &Column<T>,
    b: &mut Column<T>,
    tally: &mut Tally<T>,
) {
    let (mut x, mut total) = ([[T::zero(); NC]; PAD / NC], *tally);
    for k in 0..K {
        let f = if FROM {
            dots(&u0[k], h, k)
        } else {
            dots(&u[k], h, k)
        };
        let d = d[k * NC..].first_chunk_mut::<NC>().expect("k < PAD / NC");
        for c in d.iter_mut() {
            *c *= setting.inverse_decay;
        }
        let (v, lambda) = pivots(f, d, setting.weight, &mut total);
        for c in 0..NC {
            let column = &mut u[k][c].as_chunks_mut::<NC>().0[..=k];
            for (q, quad) in column.iter_mut().enumerate() {
                let old = if FROM {
                    u0[k][c].as_chunks::<NC>().0[q]
                } else {
                    *quad
                };
                for r in 0..NC {
                    quad[r] = old[r] + lambda[c] * x[q][r];
                }
                for r in 0..NC {
                    x[q][r] += v[c] * old[r];
                }
            }
        }
    }
    b.copy_from_slice(x.as_flattened());
    *tally = total;
}

/// P h into `b`, h'P h returned, with the rounding of [`fuse`].
#[inline(always)]
pub(crate) fn variance<T: Scalar>(
    layout: &Layout,
    u: &[T],
    d: &[T],
    h: &[T],
    b: Option<&mut [T]>,
) -> T {
    layout.path().run_index_order(Variance {
        blocks: layout.blocks(),
        u,
        d,
        h,
        b,
    })
}

struct Variance<'a, T> {
    blocks: usize,
    u: &'a [T],
    d: &'a [T],
    h: &'a [T],
    b: Option<&'a mut [T]>,
}

impl<T: Scalar> WithSimd for Variance<'_, T> {
    type Output = T;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> T {
        let Some(h) = self.h.first_chunk::<PAD>() else {
            return T::zero();
        };
        let (mut x, mut q) = ([T::zero(); PAD], T::zero());
        for (k, block) in self
            .u
            .as_chunks::<PAD>()
            .0
            .as_chunks::<NC>()
            .0
            .iter()
            .take(self.blocks)
            .enumerate()
        {
            let f = dots(block, h, k);
            for c in 0..NC {
                let v = self.d[k * NC + c] * f[c];
                q += f[c] * v;
                for i in 0..(k + 1) * NC {
                    x[i] += v * block[c][i];
                }
            }
        }
        if let Some(b) = self.b {
            b.copy_from_slice(&x);
        }
        q
    }
}
